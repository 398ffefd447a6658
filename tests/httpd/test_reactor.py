# SPDX-License-Identifier: Apache-2.0
"""Under event a channel needs no worker: many more of them than threads, and
thousands that come and go through the moment in which the reactor takes a
connection over from its worker."""

import os
import signal
import socket
import threading
import urllib.error

import pytest

import env
import rawclient
import rpc
import rts
from engine_rig import connection_count, holder, wait_stuck
from reactor_rig import gate  # noqa: F401
from reactor_rig import (NARROW, PORTS, Narrow, OwnHttpds, Packed,
                         channel_lines, get, graceful_stop, processor_idle,
                         threads, wait_flat, wait_lines, workers)

AUTH = (env.USER, env.PASSWORD)
SECURE = pytest.mark.parametrize("secure", [False, True],
                                 ids=["http", "https"])


@pytest.fixture(scope="module")
def fields(gate, rpch_server):
    """The fields of a Conf that reaches the gate and rpch-server, and whose
    children have four workers each."""
    def get_(children=2, most=None, location=(), server=(), **more):
        return {"ports": PORTS, "children": children, "threads": 4,
                "routes": (
                    f"gate protocol=ncacn_ip_tcp to=127.0.0.1:{gate.port}",
                    "tcp protocol=ncacn_ip_tcp "
                    f"to=127.0.0.1:{rpch_server.tcp_port}",
                    f"own to=127.0.0.1:{rpch_server.http_port}"),
                "location": ("RpcProxyMaxPerUser 0", *location),
                "server": (*workers(children, 4, most), *server), **more}
    return get_


@pytest.fixture
def own_httpd(scratch, certs, log, fields):
    made = OwnHttpds(scratch, certs, log, fields)
    yield made
    made.close()


# ---- threads ----------------------------------------------------------------

@SECURE
@pytest.mark.parametrize("kind", ["tcp", "own"])
def test_no_thread_per_channel(httpd, fields, raw, tls, secure, kind):
    """Sixty connections, 120 channels, over eight workers."""
    server = httpd(**fields())
    before = threads(server)
    all_calls = []
    for n in range(60):
        calls = raw(server, f"{kind}:1",
                    tls if secure else None).open().calls()
        assert calls.add_one(n) == n + 1
        all_calls.append(calls)
    assert server.status()["connections_open"] == 60
    assert b"another site" in get(server)
    assert threads(server) == before
    for n, calls in enumerate(all_calls):
        assert calls.add_one(n) == n + 1
    # All at once, and ordinary requests beside them.
    for calls in all_calls:
        calls.call_id += 1
        calls.pipe.send_rpc(rpc.request(rpc.SOURCE_DATA,
                                        (20000).to_bytes(4, "little"),
                                        calls.call_id)[0])
        assert b"another site" in get(server)
    for calls in all_calls:
        assert len(calls.answer()) >= 20000
    assert threads(server) == before


def test_threads_are_held_without_the_reactor(httpd, fields, raw, log):
    """What the test above would see: with as many channels as workers an
    ordinary request has to wait for one of them. One child: of two, one whose
    workers are all held would accept what the other has room for."""
    server = httpd(**fields(children=1, most=4,
                            server=("RpcProxyAsync Off",)))
    log.allow("AH00484", "AH00485", "AH03490", "AH10159", "scoreboard")
    clients = [raw(server, "tcp:1").open() for _ in range(2)]
    assert connection_count(server) >= 4
    with pytest.raises((TimeoutError, urllib.error.URLError)):
        get(server, timeout=1)
    for client in clients:
        assert client.calls().add_one(1) == 2
    clients[0].close()
    assert b"another site" in get(server)


def test_every_child_has_its_reactor(httpd, fields, raw):
    """Both halves of a connection in one child, and in two."""
    server = httpd(**fields())
    found = set()
    for _ in range(200):
        client = raw(server, "tcp:1").open()
        found.add(holder(server, client.cin) == holder(server, client.cout))
        assert client.calls().echo(b"x" * 100000) == b"x" * 100000
        client.close()
        if found == {False, True}:
            return
    raise AssertionError(f"only {found}")


# ---- the moment of hand-over ------------------------------------------------

def head(method, target, length):
    token = "QWRtaW5pc3RyYXRvcjpScGMtUGFzc3cwcmQ="
    return (f"{method} /rpc/rpcproxy.dll?{target} HTTP/1.1\r\n"
            f"Host: proxy.example.test\r\nContent-Length: {length}\r\n"
            f"Authorization: Basic {token}\r\n\r\n").encode()


def a1():
    return rts.make("CONN/A1", 1, os.urandom(16), os.urandom(16), 65536)


def b1():
    return rts.make("CONN/B1", 1, os.urandom(16), os.urandom(16), 1 << 30,
                    300000, os.urandom(16))


OUT, IN = "RPC_OUT_DATA", "RPC_IN_DATA"


def out_fin(n):
    """FIN at once, no body."""
    yield head(OUT, f"gate:{n}", 76)


def out_short(n):
    yield head(OUT, f"gate:{n}", 76) + a1()[:50]


def out_whole(n):
    """Everything, in two packets, and the answer is waited for."""
    yield head(OUT, f"gate:{n}", 76)
    yield a1()
    yield None


def out_long(n):
    """More than the request has."""
    yield head(OUT, f"gate:{n}", 76) + a1() + b"GET / HTTP/1.1\r\n\r\n"


def in_fin(n):
    yield head(IN, f"gate:{n}", 1 << 30)


def in_short(n):
    """The whole body, which is no more than a part of the first PDU."""
    yield head(IN, f"gate:{n}", 1 << 20) + b1()[:30]


def in_whole(n):
    yield head(IN, f"gate:{n}", 1 << 30) + b1()


def in_junk(n):
    yield head(IN, f"gate:{n}", 1 << 20) + b"\5\0\x14\3" + b"x" * 500


STYLES = [out_fin, out_short, out_whole, out_long, in_fin, in_short, in_whole,
          in_junk]


def one(address, tls, n, end):
    """A short channel; end is what to do then. TLS that is just closed has
    not read its tickets: that is a reset, too."""
    channel = rawclient.Channel(address, tls)
    try:
        for part in STYLES[n % len(STYLES)](n % 99 + 1):
            if part is None:
                assert channel.head().status == 200
            else:
                channel.send(part)
    finally:
        if end == "reset":
            channel.reset()
        elif end == "fin":
            socket.socket.shutdown(channel.sock, socket.SHUT_WR)
            channel.rest()
        channel.close()


def churn(server, tls, count, *ends):
    """count channels by four threads, with these ends by turns."""
    errors = []

    def some(first):
        try:
            for n in range(first, count, 4):
                # 4 and the number of styles have a divisor.
                one(server.address(tls is not None), tls, n // 4,
                    ends[n // 32 % len(ends)])
        except Exception as e:
            errors.append(f"{n}: {type(e).__name__} {e}")
    workers_ = [threading.Thread(target=some, args=(i,)) for i in range(4)]
    for t in workers_:
        t.start()
    for t in workers_:
        t.join()
    assert not errors


def stop_when_empty(server):
    """A child leaves when its count of connections is 0, and only then."""
    graceful_stop(server, signal.SIGWINCH)


@SECURE
@pytest.mark.parametrize("children", [1, 2])
def test_hand_over(own_httpd, tls, log, secure, children):
    """Thousands of channels that end at once, in every way: the children
    live on, each is logged, nothing is left."""
    context = tls if secure else None
    server = own_httpd(children=children,
                       server=("GracefulShutdownTimeout 0",))
    # Junk is told; and a tick may find all workers busy.
    log.allow("RPX0340", "AH00484")
    mark = server.accesses.mark()
    churn(server, context, 400, "fin")     # what is made on demand
    wait_lines(server, mark, 400)
    before, pids = server.resources(), server.children()
    mark = server.accesses.mark()
    count = 1500 if secure else 4000
    churn(server, context, count, "fin")
    wait_lines(server, mark, count)
    # A reset may come before the request is read.
    churn(server, context, count, "close", "reset")
    server.wait_idle()
    env.wait_until(lambda: connection_count(server) == 0, "all to end", 20,
                   0.1)
    assert set(pids) <= set(server.children())    # there may be one more
    wait_flat(server, before)
    assert len(channel_lines(server, mark)) > count
    stop_when_empty(server)


# ---- what came before on the same connection --------------------------------

GET = b"GET /index.html HTTP/1.1\r\nHost: proxy.example.test\r\n\r\n"


def before_gets(channel):
    """Two, and a pause in which the MPM keeps the connection."""
    for _ in range(2):
        channel.send(GET)
        assert b"another site" in channel.response()[1]
    assert channel.silent(0.3)


def before_refused(channel):
    channel.request("RPC_OUT_DATA", "tcp:1", 76)
    channel.send(bytes(76))
    assert channel.response()[0].status == 401


def before_echo(channel):
    """The empty request by which clients authenticate: its answer comes
    before its body would."""
    channel.request("RPC_IN_DATA", "tcp:1", 0, auth=AUTH)
    head_, body = channel.response()
    assert head_.status == 200 and rts.read(body).name == "Echo"


BEFORE = [before_gets, before_refused, before_echo]


@SECURE
@pytest.mark.parametrize("before", BEFORE, ids=lambda f: f.__name__)
def test_after_other_requests(httpd, fields, raw, tls, secure, before):
    server = httpd(**fields())
    mark = server.accesses.mark()
    client = raw(server, "tcp:1", tls if secure else None)
    cout, cin = client.channel(), client.channel()
    for channel in (cout, cin):
        before(channel)
    client.open(cout=cout, cin=cin)
    assert client.calls().echo(b"e" * 50000) == b"e" * 50000
    client.close()
    env.wait_until(lambda: len(channel_lines(server, mark)) == 2, "lines")


@SECURE
def test_pipelined(httpd, fields, raw, tls, secure):
    """An ordinary request and the channel behind it in one write, its first
    PDU too: of all that nothing more will come from the socket."""
    server = httpd(**fields())
    client = raw(server, "tcp:1", tls if secure else None)
    client.cout, client.cin = (
        Packed(client.address, client.tls, timeout=30) for _ in range(2))
    client.cout.send(GET)
    client.request_out(channel=client.cout)
    client.cout.send(client.a1())
    client.cout.flush()
    assert b"another site" in client.cout.response()[1]
    client.read_200()
    client.read_a3()
    client.cin.send(GET)
    client.request_in(channel=client.cin)
    client.cin.send(client.b1())
    client.cin.flush()
    assert b"another site" in client.cin.response()[1]
    client.read_c2()
    client.cin.send = client.cin.sock.sendall
    assert client.calls().add_one(1) == 2


@SECURE
def test_pipelined_behind_much(httpd, fields, raw, tls, secure):
    """The client does not read what it asked for first."""
    server = httpd(**fields(server=NARROW))
    (server.dir / "htdocs/much").write_bytes(b"much" * 750000)
    client = raw(server, "tcp:1", tls if secure else None)
    parts = []
    client.cout = Narrow(client.address, client.tls)
    send, client.cout.send = client.cout.send, parts.append
    client.cout.send(GET.replace(b"index.html", b"much"))
    client.request_out(channel=client.cout)
    client.cout.send(client.a1())
    client.cout.send = send
    send(b"".join(parts))
    wait_stuck(client.cout)
    processor_idle(server, "a client that does not read")
    assert client.cout.response()[1] == b"much" * 750000
    client.read_200()
    client.read_a3()
    client.start_in()
    client.read_c2()
    assert client.calls().add_one(1) == 2


@SECURE
def test_first_pdu_in_the_same_record(httpd, fields, raw, tls, secure):
    """Head and first PDU are read by the worker, both."""
    server = httpd(**fields())
    for cut in (0, 1, 19, 75):
        client = raw(server, "own:1", tls if secure else None)
        client.cout, client.cin = (
            Packed(client.address, client.tls, timeout=30) for _ in range(2))
        client.request_out(channel=client.cout)
        client.cout.send(client.a1()[:76 - cut])
        client.cout.flush()
        if cut:
            client.cout.sock.sendall(client.a1()[76 - cut:])
        client.request_in(channel=client.cin)
        client.cin.send(client.b1())
        client.cin.flush()
        client.read_200()
        client.read_a3()
        client.read_c2()
        client.cin.send = client.cin.sock.sendall
        assert client.calls().add_one(cut) == cut + 1


@SECURE
def test_expect_100(httpd, fields, raw, tls, secure):
    """impacket waits for the interim response on both channels."""
    server = httpd(**fields())
    client = raw(server, "tcp:1", tls if secure else None)
    client.headers = ("Expect: 100-continue",)
    client.request_out()
    assert client.cout.head().status == 100
    client.cout.send(client.a1())
    client.read_200()
    client.read_a3()
    client.request_in()
    assert client.cin.head().status == 100
    client.cin.send(client.b1())
    client.read_c2()
    assert client.calls().add_one(1) == 2


def test_many_who_expect_and_leave(own_httpd, log):
    """The interim response goes to a client that is gone: a connection that
    httpd knows to be broken when the handler is asked."""
    server = own_httpd(children=1, server=("GracefulShutdownTimeout 0",))
    pids = server.children()
    expect = b"Expect: 100-continue\r\n\r\n"
    for n in range(600):
        with socket.create_connection(server.address()) as s:
            s.sendall(head(OUT if n % 2 else IN, "gate:1",
                           76 if n % 2 else 1 << 30)[:-2] + expect)
            if n % 3 == 0:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             b"\1\0\0\0\0\0\0\0")
    server.wait_idle()
    assert set(pids) <= set(server.children())
    stop_when_empty(server)
