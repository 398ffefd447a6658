# SPDX-License-Identifier: Apache-2.0
"""Timers: the module's own end what they should, httpd's do not end a
live channel. Time passes here because it is what is tested; nothing is
asserted of how long anything took."""

import socket
import time

import pytest

import env
import rawclient
import rpc
import rts

KINDS = ["tcp", "http"]
MPMS = ["event", "worker", "prefork"]


@pytest.fixture
def short(httpd, backends):
    """An httpd with one timeout that is short."""
    def get(*lines, mpm="event", **more):
        return httpd(mpm=mpm, **backends.fields(location=lines, **more))
    return get


# ---- httpd's own timers -----------------------------------------------------

def test_httpds_timers_do_not_cut(httpd, backends, raw):
    """Debian's RequestReadTimeout, Timeout 5, KeepAliveTimeout 5: channels
    under all three MPMs idle, or trickle, for longer than any of them."""
    lines = ("RequestReadTimeout header=20-40,minrate=500 body=10,minrate=500",
             "Timeout 5", "KeepAliveTimeout 5")
    clients = []
    for mpm in MPMS:
        server = httpd(mpm=mpm, **backends.fields(server=lines))
        clients += [raw(server, f"echo.{kind}:1").open() for kind in KINDS
                    for _ in range(2)]
    calls = [c.calls() for c in clients]
    for _ in range(13):
        time.sleep(1)
        for client in clients[::2]:          # every second one trickles
            client.cin.send(rts.make("Ping"))
    for call in calls:
        assert call.echo(b"a" * 50000) == b"a" * 50000


def test_timeout_of_half_a_connection(httpd, backends, raw):
    """An OUT channel waits for its IN longer than httpd's Timeout."""
    server = httpd(mpm="event", **backends.fields(server=("Timeout 2",)))
    client = raw(server, "echo.tcp:1")
    client.start_out()
    client.read_200()
    client.read_a3()
    other = raw(server, "echo.tcp:1")
    other.start_in()
    time.sleep(4)
    client.start_in()
    client.read_c2()
    assert client.calls().add_one(1) == 2
    other.start_out()
    other.read_200()
    other.read_a3()
    other.read_c2()
    assert other.calls().add_one(1) == 2


# ---- the module's -----------------------------------------------------------

@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("what", ["out-without-body", "in-without-body",
                                  "half-a1", "half-b1"])
def test_handshake_first_pdu(short, raw, mpm, what):
    """A body that never comes."""
    server = short("RpcProxyHandshakeTimeout 1s", mpm=mpm)
    client = raw(server, "echo.tcp:1")
    if what.startswith("out") or what == "half-a1":
        client.request_out()
        channel = client.cout
        part = client.a1()[:40]
    else:
        client.request_in()
        channel = client.cin
        part = client.b1()[:40]
    if what.startswith("half"):
        channel.send(part)
    assert b"200 Success" not in channel.rest()
    server.wait_idle()


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("half", ["in", "out"])
def test_handshake_other_half(short, raw, mpm, kind, half):
    """The other half that never comes."""
    server = short("RpcProxyHandshakeTimeout 1s", mpm=mpm)
    client = raw(server, f"echo.{kind}:1")
    if half == "out":
        client.start_out()
        client.read_200()
        client.read_a3()
        assert client.cout.rest() == b""
    else:
        client.start_in()
        client.cin.rest()
    server.wait_idle()


@pytest.mark.parametrize("stage", ["accept", "A2", "C1"])
def test_handshake_silent_server(httpd, backends, raw, strict, log, stage):
    back = strict((backends.echo.host, backends.echo.tcp_port),
                  plan={stage: "hang"})
    server = httpd(mpm="event", ports=("s:1",),
                   routes=(f"s:1 to=127.0.0.1:{back.port}",),
                   location=("RpcProxyHandshakeTimeout 1s",))
    log.expect("RPX0331: .*RpcProxyRoute")
    client = raw(server, "s:1")
    client.start_out()
    client.start_in()
    client.cout.rest()
    client.cin.rest()
    server.wait_idle()


@pytest.mark.parametrize("kind", KINDS)
def test_idle(short, raw, kind):
    """Pings do not count as use; calls do."""
    server = short("RpcProxyIdleTimeout 6s", "RpcProxyPingInterval 1s")
    idle, busy = (raw(server, f"echo.{kind}:1").open() for _ in range(2))
    idle.calls().add_one(1)
    calls = busy.calls()
    done = False
    idle.cout.sock.settimeout(0.5)
    for _ in range(40):
        assert calls.add_one(1) == 2
        try:
            idle.cin.send(rts.make("Ping"))
            idle.queue_one()
        except TimeoutError:
            continue
        except (EOFError, OSError):
            done = True
            break
    assert done and idle.pings > 0
    assert calls.add_one(1) == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mpm", MPMS)
def test_ping(short, raw, mpm, kind):
    """An idle OUT channel gets Pings; they are no RPC bytes."""
    server = short("RpcProxyPingInterval 1s", mpm=mpm)
    client = raw(server, f"echo.{kind}:1").open()
    calls = client.calls()
    while client.pings < 3:
        client.queue_one()
    assert calls.add_one(1) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_no_ping_before_c2(short, raw, kind):
    """Nothing but A3 and C2 before the connection is open."""
    server = short("RpcProxyPingInterval 1s")
    client = raw(server, f"echo.{kind}:1")
    client.start_out()
    client.read_200()
    client.read_a3()
    assert client.cout.silent(2.5)
    client.start_in()
    client.read_c2()
    while client.pings < 1:
        client.queue_one()


@pytest.mark.parametrize("kind", KINDS)
def test_quiet_client(short, raw, kind):
    """Samba gets neither Ping nor ack, and more than a window unasked."""
    server = short("RpcProxyPingInterval 1s")
    client = raw(server, f"echo.{kind}:1", samba=True, ack=False,
                 window=65536).open()
    calls = client.calls()
    assert client.cout.silent(2.5)
    data = b"s" * 1000000
    stub = len(data).to_bytes(4, "little") * 2 + data
    calls.call_id += 1
    for pdu in rpc.request(rpc.ECHO_DATA, stub, calls.call_id):
        client.send_rpc(pdu, wait=False)
    assert data in calls.answer()
    assert client.pings == client.acks == 0


@pytest.mark.parametrize("kind", KINDS)
def test_conforming_1_0_client_is_not_quiet(short, raw, kind):
    """HTTP/1.0 alone makes nobody quiet: its window is kept."""
    server = short("RpcProxyPingInterval 1s")
    client = raw(server, f"echo.{kind}:1")
    version = rawclient.Channel.request

    def as_1_0(channel, *args, **kw):
        return version(channel, *args, **{**kw, "version": "1.0"})
    client.cout, client.cin = client.channel(), client.channel()
    as_1_0(client.cout, "RPC_OUT_DATA", client.target, 76, auth=client.auth)
    client.cout.send(client.a1())
    client.read_200()
    client.read_a3()
    as_1_0(client.cin, "RPC_IN_DATA", client.target, 1 << 30,
           auth=client.auth)
    client.cin.send(client.b1())
    client.read_c2()
    data = b"n" * 300000
    assert client.calls().echo(data) == data
    assert client.acks > 0
    while client.pings < 1:
        client.queue_one()


@pytest.mark.parametrize("kind", KINDS)
def test_stalled_client(short, raw, kind):
    """A client that reads nothing while answers wait."""
    server = short("RpcProxyStallTimeout 2s")
    client = raw(server, f"echo.{kind}:1", window=8192).open()
    calls = client.calls()
    calls.call_id += 1
    client.send_rpc(rpc.request(rpc.SOURCE_DATA, (1 << 20).to_bytes(
        4, "little"), calls.call_id)[0])
    client.cin.rest()                      # no ack is ever sent
    client.cout.rest()
    server.wait_idle()


def test_stalled_server(httpd, backends, raw, strict):
    """A server that never renews its window."""
    back = strict((backends.echo.host, backends.echo.tcp_port), window=8192,
                  ack=False)
    server = httpd(mpm="event", ports=("s:1",),
                   routes=(f"s:1 to=127.0.0.1:{back.port}",),
                   location=("RpcProxyStallTimeout 2s",))
    client = raw(server, "s:1").open()
    client.calls()
    for pdu in rpc.request(rpc.SINK_DATA, bytes(60000), 9):
        client.send_rpc(pdu, wait=False)
    client.cout.rest()
    client.cin.rest()
    server.wait_idle()


def test_tcp_server_that_reads_nothing(httpd, raw):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = httpd(mpm="event", ports=("t:1",), routes=(
            f"t:1 protocol=ncacn_ip_tcp to=127.0.0.1:{port}",),
            location=("RpcProxyStallTimeout 2s",))
        client = raw(server, "t:1").open()
        back, _ = listener.accept()
        client.cin.sock.settimeout(60)
        part = rpc.request(rpc.SINK_DATA, bytes(4000), 9)[0]
        for _ in range(2500):          # 10 MB, more than all buffers hold
            client.send_rpc(part, wait=False)
        client.cout.rest()
        back.close()
        client.close()
        server.wait_idle()


def test_connect_timeout(httpd, raw, log):
    """A server that does not answer a SYN: a backlog that is full."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port = listener.getsockname()[1]
    fill = []
    for _ in range(3):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", port))
        fill.append(s)
    server = httpd(mpm="event", ports=("slow:1",), routes=(
        f"slow:1 protocol=ncacn_ip_tcp to=127.0.0.1:{port}",),
        location=("RpcProxyConnectTimeout 1s",))
    log.expect("RPX0330")
    client = raw(server, "slow:1")
    client.start_out()
    assert client.cout.head().line.endswith("503 RPC Error: 6ba")
    for s in fill:
        s.close()
    listener.close()


@pytest.fixture
def deaf_dns():
    """A name server that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.99", 53))
        yield


def test_slow_names_block_nobody(httpd, backends, raw, log, deaf_dns):
    """While names resolve for ever, others connect and call, names from
    /etc/hosts among them."""
    echo = backends.echo
    fields = backends.fields(children=1)
    fields["ports"] += ("deaf.example.org:1", "hosts:1")
    fields["routes"] += (
        f"hosts protocol=ncacn_ip_tcp to=mbx.example.test:{echo.tcp_port}",)
    server = httpd(mpm="event",
                   location=("RpcProxyConnectTimeout 8s",), **fields)
    waiting = raw(server, "deaf.example.org:1")
    waiting.start_out()
    assert waiting.cout.silent(0.5)
    for name in ("echo.tcp:1", "echo.http:1", "hosts:1"):
        assert raw(server, name).open().calls().add_one(1) == 2
    assert waiting.cout.silent(0.1)
    log.expect("RPX0330: .*deaf.example.org")
    assert waiting.cout.head().line.endswith("503 RPC Error: 6ba")


def test_client_leaves_while_names_resolve(httpd, raw, log, deaf_dns):
    server = httpd(mpm="event", ports=("deaf.example.org:1",),
                   location=("RpcProxyConnectTimeout 2s",))
    log.allow("RPX0330")
    before = server.resources()
    for _ in range(6):
        client = raw(server, "deaf.example.org:1")
        client.start_out()
        client.close()
    server.wait_idle()

    def even():
        now = server.resources()
        return all(now[p][0] <= before[p][0] for p in before if p in now)
    env.wait_until(even, "the descriptors", 90, 0.2)


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("kind", KINDS)
def test_drain(httpd, backends, raw, mpm, kind):
    """After a graceful restart old channels end within the drain time."""
    server = httpd(mpm=mpm, **backends.fields(
        server=("RpcProxyDrainTimeout 2s",)))
    client = raw(server, f"echo.{kind}:1").open()
    assert client.calls().add_one(1) == 2
    old = server.graceful()
    client.cout.rest()
    client.cin.rest()
    assert raw(server, f"echo.{kind}:1").open().calls().add_one(1) == 2
    env.wait_until(lambda: not old & set(server.children()),
                   "the old children to end")


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("signal_name", ["stop", "graceful-stop"])
def test_stop_with_live_channels(httpds, scratch, certs, backends, raw, mpm,
                                 signal_name):
    """No child has to be killed, and every channel is logged where httpd
    logs a request that is under way."""
    from httpd import Httpd
    from httpd_conf import Conf
    import signal
    server = Httpd(scratch, certs, Conf(mpm=mpm, **backends.fields(
        server=("RpcProxyDrainTimeout 1s",)))).start()
    live = [raw(server, f"echo.{kind}:1").open() for kind in KINDS * 3]
    for client in live:
        client.calls().add_one(1)
    if signal_name == "graceful-stop":
        import os
        os.kill(server.process.pid, signal.SIGWINCH)
        server.process.popen.wait(30)
    server.stop(strict=True)
    if mpm == "prefork" and signal_name == "stop":
        return      # prefork's children exit in the signal handler
    logged = [a for a in server.access_since(0) if a.channel in ("in", "out")]
    assert len(logged) == 2 * len(live)
