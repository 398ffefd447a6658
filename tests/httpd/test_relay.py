# SPDX-License-Identifier: Apache-2.0
"""The relay itself: data, processes, and what is left behind."""

import hashlib
import os
import signal
import threading

import pytest

import env
import logs
import rawclient
import rpc
import rts

KINDS = ["tcp", "http", "own"]
MPMS = ["event", "worker", "prefork"]
MIB = 1 << 20


def target(kind):
    return "own.http:1" if kind == "own" else f"echo.{kind}:1"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_bulk(httpd, backends, raw, tls, kind, secure):
    """64 MiB each way, compared byte by byte."""
    server = httpd(mpm="event", **backends.fields())
    client = raw(server, target(kind), tls if secure else None)
    calls = client.open().calls(fragment=5840)
    data = hashlib.shake_128(kind.encode()).digest(MIB)
    for i in range(64):
        sent = data[i:] + data[:i]
        assert calls.echo(sent) == sent
    assert client.acks > 100 and client.received > 64 * MIB


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("window", [8192, 65536, 262144])
def test_client_windows(httpd, backends, raw, kind, window):
    server = httpd(mpm="event", **backends.fields())
    client = raw(server, target(kind), window=window)
    calls = client.open().calls(fragment=5840)
    data = os.urandom(2 * MIB)
    assert calls.echo(data) == data


@pytest.mark.parametrize("kind", KINDS)
def test_offered_window(httpd, backends, raw, kind):
    """RpcProxyReceiveWindow at its least, and a client that waits."""
    server = httpd(mpm="event", **backends.fields(
        location=("RpcProxyReceiveWindow 8K",)))
    client = raw(server, target(kind)).open()
    assert client.in_window == 8192
    data = os.urandom(MIB)
    assert client.calls(fragment=5840).echo(data) == data


@pytest.mark.parametrize("kind", KINDS)
def test_client_that_ignores_the_window(httpd, backends, raw, kind):
    """No open-source client waits for the IN window."""
    server = httpd(mpm="event", **backends.fields())
    client = raw(server, target(kind)).open()
    calls = client.calls()
    data = os.urandom(4 * MIB)
    stub = len(data).to_bytes(4, "little") * 2 + data
    calls.call_id += 1
    for pdu in rpc.request(rpc.SINK_DATA, stub, calls.call_id):
        client.send_rpc(pdu, wait=False)
    calls.answer()
    assert calls.add_one(1) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_source_to_a_slow_client(httpd, backends, raw, kind):
    """A client that acknowledges late stalls nobody but itself."""
    server = httpd(mpm="event", **backends.fields())
    slow = raw(server, target(kind), window=8192).open()
    calls = slow.calls()
    calls.call_id += 1
    slow.send_rpc(rpc.request(rpc.SOURCE_DATA, (MIB).to_bytes(4, "little"),
                              calls.call_id)[0])
    other = raw(server, target(kind)).open().calls()
    assert other.echo(b"y" * MIB) == b"y" * MIB
    assert len(calls.answer()) >= MIB


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("kind", KINDS)
def test_fifty_at_once(httpd, backends, raw, mpm, kind):
    server = httpd(mpm=mpm, **backends.fields())
    errors = []

    def one(n):
        try:
            client = raw(server, target(kind), timeout=90).open()
            calls = client.calls()
            barrier.wait(90)
            data = os.urandom(100000 + n)
            assert calls.echo(data) == data
            assert calls.add_one(n) == n + 1
        except Exception as e:
            errors.append(f"{n}: {type(e).__name__} {e}")
            barrier.abort()
    barrier = threading.Barrier(50)
    threads = [threading.Thread(target=one, args=(n,)) for n in range(50)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    assert server.status()["connections_open"] == 50


def channel_pids(server, mark):
    """(pid of IN, pid of OUT) of each connection that ended since mark."""
    found = {}
    for a in server.access_since(mark):
        if a.channel in ("in", "out"):
            found.setdefault(a.connection, {})[a.channel] = a.pid
    return [(c["in"], c["out"]) for c in found.values() if len(c) == 2]


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("kind", KINDS)
def test_in_and_out_in_different_children(httpd, backends, raw, mpm, kind):
    """Prefork shows it always; elsewhere until they differ."""
    server = httpd(mpm=mpm, **backends.fields())
    mark = server.accesses.mark()
    for _ in range(200):
        crowd = [raw(server, target(kind)).open() for _ in range(4)]
        for client in crowd:
            assert client.calls().echo(b"z" * 70000) == b"z" * 70000
            client.close()
        server.wait_idle()
        pairs = env.wait_until(lambda: channel_pids(server, mark), "pids")
        if any(a != b for a, b in pairs):
            break
    assert any(a != b for a, b in pairs), pairs
    if mpm == "prefork":
        assert all(a != b for a, b in pairs), pairs


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("kind", KINDS)
def test_graceful_restart(httpd, backends, raw, mpm, kind):
    """Live connections go on in the old children; a connection may have its
    OUT in the old generation and its IN in the new one."""
    server = httpd(mpm=mpm, **backends.fields(server=("# restarts",)))
    mark = server.accesses.mark()
    whole = raw(server, target(kind)).open()
    calls = whole.calls()
    assert calls.add_one(1) == 2
    half_out = raw(server, target(kind))
    half_out.start_out()
    half_out.read_200()
    half_out.read_a3()
    half_in = raw(server, target(kind))
    half_in.start_in()
    env.wait_until(lambda: server.status()["connections"] == 3, "halves")
    old = server.graceful()
    # An idle child of prefork may take one more connection as it leaves: of
    # the old ones those are to be left that hold the four channels.
    env.wait_until(lambda: len(old & set(server.children())) <= 4,
                   "the idle children to leave")
    half_out.start_in()
    half_out.read_c2()
    half_in.start_out()
    half_in.read_200()
    half_in.read_a3()
    half_in.read_c2()
    for client in (half_out, half_in):
        assert client.calls().echo(b"q" * 200000) == b"q" * 200000
        client.close()
    assert calls.echo(b"w" * 200000) == b"w" * 200000
    whole.close()
    server.wait_idle()
    pairs = env.wait_until(
        lambda: (lambda p: p if len(p) == 3 else None)(
            channel_pids(server, mark)), "three connections in the log")
    mixed = [(a in old, b in old) for a, b in pairs]
    assert (True, True) in mixed
    assert (False, True) in mixed and (True, False) in mixed
    env.wait_until(lambda: not old & set(server.children()),
                   "the old children to end")


def settle(server, before):
    """Waits until no child has more than before."""
    def even():
        now = server.resources()
        return all(now[p][0] <= r[0] and now[p][1] <= r[1]
                   for p, r in before.items() if p in now)
    env.wait_until(even, f"descriptors and threads to be {before}, "
                         f"not {server.resources()}", 20, 0.1)


def stages(client):
    """The steps of a connection's life, one after the other."""
    yield "request-out", client.request_out
    yield "half-a1", lambda: client.cout.send(client.a1()[:40])
    yield "a1", lambda: client.cout.send(client.a1()[40:])
    yield "200", client.read_200
    yield "a3", client.read_a3
    yield "request-in", client.request_in
    yield "half-b1", lambda: client.cin.send(client.b1()[:50])
    yield "b1", lambda: client.cin.send(client.b1()[50:])
    yield "c2", client.read_c2
    yield "half-bind", lambda: client.cin.send(rpc.bind(rpc.RPCECHO)[:20])
    yield "bind", lambda: client.cin.send(rpc.bind(rpc.RPCECHO)[20:])
    yield "bind-ack", client.recv_rpc
    yield "source", lambda: client.cin.send(
        rpc.request(rpc.SOURCE_DATA, (MIB).to_bytes(4, "little"))[0])
    yield "first-answer", client.recv_rpc


#: The two halves of an ncacn_http connection are joined by the server alone:
#: when it is gone, or the window is closed, it is a timer that ends the other.
SHORT = ("RpcProxyHandshakeTimeout 10s", "RpcProxyStallTimeout 2s")

STAGES = [name for name, _ in stages(rawclient.RawClient(None, None))]


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("kind", KINDS)
def test_client_dies_at_every_stage(httpd, backends, raw, mpm, kind, log):
    """By close and by reset, of either channel: the other is closed, and
    nothing stays behind."""
    server = httpd(mpm=mpm, **backends.fields(location=SHORT))
    # When OUT is over before IN is there, the server's word is all there is.
    log.allow("RPX0340",
              "RPX0331: IN channel .* closed the connection before CONN/B3")
    warm = raw(server, target(kind)).open()
    warm.calls().add_one(1)
    warm.close()
    server.wait_idle()
    before = server.resources()
    for last in STAGES:
        for how in ("close-in", "close-out", "reset-in", "reset-out"):
            die_at(raw(server, target(kind)), last, how)
    server.wait_idle()
    settle(server, before)
    for strict in backends.strict_servers():
        env.wait_until(lambda: strict.leg_count() == 0, "the legs to end")


def die_at(client, last, how):
    way, which = how.split("-")
    for name, step in stages(client):
        step()
        if name == last:
            break
    mine = client.cin if which == "in" else client.cout
    if mine is None:
        mine = client.cout
    getattr(mine, way)()
    other = client.cout if mine is client.cin else client.cin
    # Half a connection may wait for its other half; a whole one may not.
    if other is not None and STAGES.index(last) >= STAGES.index("c2"):
        other.rest()
    client.close()


PLANS = ["accept", "A2", "B2", "C1", "B3", "rpc-in", "rpc-out",
         "half-rpc-out"]


@pytest.mark.parametrize("stage", PLANS)
@pytest.mark.parametrize("way", ["close", "reset"])
def test_server_dies_at_every_stage(httpd, backends, raw, strict, log, stage,
                                    way):
    """Both channels learn it, and nothing stays behind."""
    back = strict((backends.echo.host, backends.echo.tcp_port),
                  plan={stage: way})
    server = httpd(mpm="event", ports=("s:1",),
                   routes=(f"s:1 to=127.0.0.1:{back.port}",),
                   location=SHORT)
    log.allow("RPX03")
    before = server.resources()
    client = raw(server, "s:1")
    client.start_out()
    client.start_in()
    try:
        client.read_200()
        client.read_a3()
        client.read_c2()
        calls = client.calls()
        calls.source(MIB)
        raise AssertionError("the server did not die")
    except (EOFError, OSError, rawclient.HttpError):
        pass
    client.cin.rest()
    client.cout.rest()
    server.wait_idle()
    client.close()
    settle(server, before)


MALICE = {
    "C1": [rts.make("CONN/C1", 1, 65536, 120000)[:-4],
           rts.make("CONN/B3", 65536, 1), rts.make("CONN/A3", 120000),
           rpc.bind(rpc.RPCECHO), bytes(44), b"HTTP/1.1 200 OK\r\n\r\n" * 4],
    "B3": [rts.make("CONN/C1", 1, 65536, 120000), rpc.bind(rpc.RPCECHO),
           rts.make("CONN/B3", 65536, 1)[:-4] + b"\0\0\0", bytes(36)],
    "open-in": [rpc.bind(rpc.RPCECHO), rts.make("CONN/B3", 65536, 1),
                rts.make("FlowControlAck", (1 << 30, 65536, b"x" * 16)),
                b"\x05\0\x14\x03\x10\0\0\0\x0f\0\0\0\0\0\0\0"],
    "open-out": [rts.make("CONN/C1", 1, 65536, 120000),
                 rts.make("Ping"), bytes(20),
                 rts.header(rts.RTS, 24) + b"\2\0\1\0\x0f\0\0\0"],
}


@pytest.mark.parametrize("stage,data", [
    pytest.param(s, d, id=f"{s}-{i}") for s, ds in MALICE.items()
    for i, d in enumerate(ds)])
def test_server_that_misbehaves(httpd, backends, raw, strict, log, stage,
                                data):
    """What a back end must not send ends the connection, not the proxy."""
    back = strict((backends.echo.host, backends.echo.tcp_port),
                  plan={stage: data})
    server = httpd(mpm="event", ports=("s:1",),
                   routes=(f"s:1 to=127.0.0.1:{back.port}",),
                   location=("RpcProxyHandshakeTimeout 2s",))
    log.allow("RPX03")
    client = raw(server, "s:1")
    client.start_out()
    client.start_in()
    try:
        client.read_200()
        client.read_a3()
        client.read_c2()
        client.calls().add_one(1)
    except (EOFError, OSError, AssertionError, rawclient.HttpError,
            rts.BadPdu):
        pass
    back.violations.clear()
    client.close()
    server.wait_idle()


@pytest.mark.parametrize("data", [
    rts.make("Ping"), rts.make("CONN/C1", 1, 65536, 120000),
    b"\x05\0\x02\x03\x10\0\0\0\x0f\0\0\0\0\0\0\0", b"SSH-2.0-x\r\n" * 4],
    ids=["rts", "c1", "length-15", "ssh"])
def test_tcp_server_that_misbehaves(httpd, raw, log, data):
    """A plain server cannot forge RTS PDUs to the client."""
    import socket
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(30)
    port = listener.getsockname()[1]
    server = httpd(mpm="event", ports=("t:1",), routes=(
        f"t:1 protocol=ncacn_ip_tcp to=127.0.0.1:{port}",))
    log.expect("RPX0340")
    client = raw(server, "t:1").open()
    back, _ = listener.accept()
    back.sendall(data)
    assert client.cout.rest() == b""
    client.cin.rest()
    back.close()
    listener.close()


def test_no_banner(httpd, backends, raw, strict):
    """The banner may be missing (MS-RPCH 2.1.2.2.1)."""
    back = strict((backends.echo.host, backends.echo.tcp_port), banner=False)
    server = httpd(mpm="event", ports=("s:1",),
                   routes=(f"s:1 to=127.0.0.1:{back.port}",))
    assert raw(server, "s:1").open().calls().add_one(1) == 2


def test_server_window(httpd, backends, raw, strict):
    """The in-proxy waits for a server that grants 8 KiB."""
    back = strict((backends.echo.host, backends.echo.tcp_port), window=8192)
    server = httpd(mpm="event", ports=("s:1",),
                   routes=(f"s:1 to=127.0.0.1:{back.port}",))
    data = os.urandom(MIB)
    assert raw(server, "s:1").open().calls(fragment=5840).echo(data) == data


def test_what_the_server_sees(httpd, backends, raw, strict):
    """Every RTS PDU by name, with the values of protocol and client."""
    back = strict((backends.echo.host, backends.echo.tcp_port))
    server = httpd(mpm="event", ports=("s:1",),
                   routes=(f"s:1 to=127.0.0.1:{back.port}",),
                   location=("RpcProxyReceiveWindow 32K",
                             "RpcProxyChannelLifetime 256K",
                             "RpcProxyConnectionTimeout 240s"))
    client = raw(server, "s:1", window=65536).open()
    assert client.calls().add_one(1) == 2
    virtual = back.history[0]
    assert back.names("S-OUT", "recv") == ["CONN/A2"]
    assert back.names("S-IN", "recv") == ["CONN/B2"]
    assert virtual.a2.all("Cookie") == [client.vc, client.out_cookie]
    assert virtual.a2.get("ChannelLifetime") == 262144
    assert virtual.a2.get("ReceiveWindowSize") == 32768
    assert virtual.b2.all("Cookie") == [client.vc, client.in_cookie]
    assert virtual.b2.get("ReceiveWindowSize") == 32768
    assert virtual.b2.get("ConnectionTimeout") == 240000
    assert virtual.b2.get("AssociationGroupId") == client.group
    assert bytes([127, 0, 0, 1]) in virtual.b2.get("ClientAddress")
    assert client.a3.get("ConnectionTimeout") == 240000
    assert client.c2.get("ReceiveWindowSize") == 32768
    assert client.out_head.headers["content-length"] == "262144"


def test_many_short_connections(httpd, backends, raw):
    """What each leaves behind would add up."""
    server = httpd(mpm="event", **backends.fields())
    raw(server, "echo.tcp:1").open().close()
    server.wait_idle()
    before = server.resources()
    for i in range(100):
        client = raw(server, target(KINDS[i % 3])).open()
        assert client.calls().add_one(i) == i + 1
        client.close()
    server.wait_idle()
    settle(server, before)


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("kind", KINDS)
def test_child_dies(httpd, backends, raw, mpm, kind, log):
    """A child that is killed takes its channels along; the other children
    end the other halves, and the table gets its entries back."""
    server = httpd(mpm=mpm, **backends.fields(
        location=SHORT, server=("# a child dies",)))
    log.expect("RPX0302")                 # channels were taken back
    mark = server.errors.mark()
    crowd = [raw(server, target(kind)).open() for _ in range(6)]
    for client in crowd:
        client.calls().add_one(1)
    opened = [line for line in map(logs.Line, server.errors.since(mark))
              if "RPX0310" in line.raw]
    os.kill(opened[0].pid, signal.SIGKILL)
    env.wait_until(lambda: server.status()["connections"] < 6, "reaping")
    for client in crowd:
        client.close()
    server.wait_idle()
    assert raw(server, target(kind)).open().calls().add_one(1) == 2
