# SPDX-License-Identifier: Apache-2.0
"""Version 1 through a real httpd: RPC_CONNECT, both kinds of back ends."""

import contextlib
import os
import struct
import threading
import time

import pytest

import clients
import env
import rawclient
import rpc
import rts
from version1 import ANSWER, BANNER, Greeter, greeter, v1  # noqa: F401

KINDS = ["tcp", "http", "own"]
MPMS = ["event", "worker", "prefork"]
MIB = 1 << 20
ON = "RpcProxyVersion1 On"


@pytest.fixture(scope="module")
def echo(backends):
    """rpch-server behind a banner of ours."""
    server = Greeter((backends.echo.host, backends.echo.tcp_port))
    yield server
    server.close()


@pytest.fixture
def fields(backends, echo):
    """The fields of a Conf with version 1; v1.http:1 is behind echo."""
    def get(*location, routes=(), ports=(), on=True, **more):
        return backends.fields(
            location=((ON,) if on else ()) + location,
            **more) | {
                "routes": (*routes, echo.route("v1.http"), *backends.routes),
                "ports": (*backends.ports, "v1.http:1", *ports)}
    return get


def target(kind):
    return {"tcp": "echo.tcp:1", "http": "v1.http:1",
            "own": "own.http:1"}[kind]


# ---- what it does -----------------------------------------------------------

@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("kind", KINDS)
def test_calls(httpd, fields, v1, tls, mpm, secure, kind):
    """Small calls, and 4 MiB each way."""
    server = httpd(mpm=mpm, **fields())
    mark = server.accesses.mark()
    client = v1(server, target(kind), tls if secure else None).open()
    calls = client.calls(fragment=5840)
    assert calls.add_one(41) == 42
    data = os.urandom(4 * MIB)
    assert calls.echo(data) == data
    counts = server.status()
    assert counts["connections"] == counts["connections_open"] == 1
    client.close()
    server.wait_idle()
    line = env.wait_until(
        lambda: [a for a in server.access_since(mark) if a.channel == "v1"],
        "the access log")[0]
    assert (line.status, line.target) == (200, target(kind))
    assert line.connection != "-"
    assert line.end == "the server closed the connection"


@pytest.mark.parametrize("kind", KINDS)
def test_answer_is_the_specifications(httpd, fields, v1, kind):
    """2.1.1.1.2: nothing of a length or a coding, RPC right behind."""
    server = httpd(mpm="event", **fields())
    client = v1(server, target(kind)).request(rpc.bind(rpc.RPCECHO))
    got = client.channel.exactly(len(ANSWER) + 3)
    assert got == ANSWER + b"\x05\x00\x0c"


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("kind", KINDS)
def test_pipelined(httpd, fields, v1, tls, secure, kind):
    """PDUs right behind the head, more than one read of httpd's takes."""
    server = httpd(mpm="event", **fields())
    client = v1(server, target(kind), tls if secure else None)
    data = os.urandom(100000)
    stub = struct.pack("<II", len(data), len(data)) + data
    client.request(rpc.bind(rpc.RPCECHO)
                   + b"".join(rpc.request(rpc.ECHO_DATA, stub)))
    client.read_200()
    rpc.check_bind_ack(client.recv_rpc())
    answer = rpc.Calls(client).answer()
    assert answer[4:4 + len(data)] == data


def test_byte_by_byte(httpd, fields, v1):
    server = httpd(mpm="event", **fields())
    client = v1(server, "v1.http:1")
    for byte in client.request_bytes() + rpc.bind(rpc.RPCECHO):
        client.channel.send(bytes([byte]))
    client.read_200()
    rpc.check_bind_ack(client.recv_rpc())


@pytest.mark.parametrize("kind", KINDS)
def test_http_1_0(httpd, fields, v1, kind):
    """The version in the request line is ignored, 2.1.1.1.1."""
    server = httpd(mpm="event", **fields())
    client = v1(server, target(kind), version="1.0").open()
    assert client.head.line == "HTTP/1.1 200 OK"
    assert client.calls().echo(b"x" * 70000) == b"x" * 70000


def test_expect_100(httpd, fields, v1):
    server = httpd(mpm="event", **fields())
    client = v1(server, "v1.http:1", headers=["Expect: 100-continue"])
    assert client.request().channel.head().status == 100
    assert client.read_200().calls().add_one(1) == 2


def test_any_path(httpd, fields, v1, backends):
    """3.1.2.3: version 1 has no path of its own."""
    routes = (f"    RpcProxyRoute {r}" for r in backends.routes)
    server = httpd(mpm="event", **fields(vhost=(
        '<LocationMatch "^/(any/where)?$">', "    SetHandler rpcproxy",
        "    DirectoryCheckHandler On", f"    {ON}",
        "    RpcProxyRequireTLS Off", "    RpcProxyRequireAuth Off",
        '    RpcProxyValidPorts "echo.tcp:1"', *routes,
        "</LocationMatch>")))
    for path in ("/", "/any/where"):
        client = v1(server, "echo.tcp:1", path=path, auth=None).open()
        assert client.calls().add_one(1) == 2


def test_interfaces_in_the_log(httpd, fields, v1, log):
    """At debug level, for who looks for what a client wants."""
    server = httpd(mpm="event", **fields(
        server=("LogLevel rpcproxy:debug",)))
    v1(server, "v1.http:1").open().calls()
    assert v1(server, "v1.http:1").open().calls(rpc.MGMT)
    log.expect("v1: bind to 60a15ec5-4de8-11d7-a637-005056a20182/1.0",
               "v1: bind to afa8bd80-7d8a-11c9-bef4-08002b102989/1.0")


@pytest.mark.parametrize("kind", KINDS)
def test_many_at_once(httpd, fields, v1, kind):
    server = httpd(mpm="event", **fields())
    crowd = [v1(server, target(kind)).open() for _ in range(20)]
    calls = [c.calls() for c in crowd]
    for n, call in enumerate(calls):
        assert call.add_one(n) == n + 1
    assert server.status()["connections_open"] == 20


def test_beside_version_2(httpd, fields, v1, raw):
    server = httpd(mpm="event", **fields())
    one = v1(server, "echo.tcp:1").open().calls()
    two = raw(server, "echo.tcp:1").open().calls()
    assert one.echo(b"1" * 70000) == b"1" * 70000
    assert two.echo(b"2" * 70000) == b"2" * 70000


# ---- who may ----------------------------------------------------------------

def test_off_by_default(httpd, fields, v1, log):
    server = httpd(mpm="event", **fields(on=False))
    log.expect("RPX0220: .*RpcProxyVersion1")
    head, _ = v1(server, "echo.tcp:1").refused()
    assert head.status == 405
    assert head.headers["allow"] == "RPC_IN_DATA, RPC_OUT_DATA"


def test_allowed_methods_are_said(httpd, fields, raw):
    server = httpd(mpm="event", **fields())
    channel = rawclient.Channel(server.address())
    channel.request("GET", "echo.tcp:1", auth=(env.USER, env.PASSWORD))
    head, _ = channel.response()
    assert head.headers["allow"] == "RPC_IN_DATA, RPC_OUT_DATA, RPC_CONNECT"


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("need_tls", [True, False])
@pytest.mark.parametrize("need_auth", [True, False])
def test_three_switches(httpd, fields, v1, log, on, need_tls, need_auth):
    """Version 1, TLS and authentication are independent of each other."""
    server = httpd(mpm="event", auth="none", http_tls_off=False, **fields(
        f"RpcProxyRequireTLS {'On' if need_tls else 'Off'}",
        f"RpcProxyRequireAuth {'On' if need_auth else 'Off'}", on=on))
    client = v1(server, "echo.tcp:1", auth=None)
    tag, status = (("RPX0203", 403) if need_tls else
                   ("RPX0204", 403) if need_auth else
                   ("RPX0220", 405) if not on else (None, 200))
    if tag is None:
        assert client.open().calls().add_one(1) == 2
    else:
        log.expect(tag)
        assert client.refused()[0].status == status


def test_httpd_authenticates(httpd, fields, v1, log):
    server = httpd(mpm="event", **fields())
    log.allow("AH01617")                  # password mismatch
    head, _ = v1(server, "echo.tcp:1", auth=None).request().channel.response()
    assert head.status == 401
    head, _ = v1(server, "echo.tcp:1",
                 auth=(env.USER, "wrong")).request().channel.response()
    assert head.status == 401


@pytest.mark.parametrize("header", ["Content-Length: 0",
                                    "Content-Length: 1073741824",
                                    "Transfer-Encoding: chunked"])
def test_announced_body(httpd, fields, v1, log, header):
    server = httpd(mpm="event", **fields())
    log.expect("RPX0229")
    assert v1(server, "echo.tcp:1", headers=[header]).refused()[0].status \
        == 400


@pytest.mark.parametrize("bad", [None, "", "echo.tcp", "echo.tcp:0",
                                 "echo.tcp:x"])
def test_bad_url(httpd, fields, v1, log, bad):
    server = httpd(mpm="event", **fields())
    log.expect("RPX0223")
    assert v1(server, bad).refused()[0].status == 400


def test_http2(httpd, fields, log):
    server = httpd(mpm="event", **fields(
        modules=("http2",), vhost=("Protocols h2c http/1.1",)))
    log.allow("http2")
    log.expect("RPX0222")
    status, _ = clients.curl(
        server.url("/rpc/rpcproxy.dll?echo.tcp:1"), "-u",
        f"{env.USER}:{env.PASSWORD}", "--max-time", "20",
        "--http2-prior-knowledge", "-X", "RPC_CONNECT")
    assert status == 501


@pytest.mark.parametrize("asked,line", [
    ("nowhere:593", "RPX0214: .*nowhere:593"),
    ("echo.tcp:2", "RPX0211: .*echo.tcp:1")])
def test_valid_ports(httpd, fields, v1, log, asked, line):
    server = httpd(mpm="event", **fields())
    log.expect(line)
    head, _ = v1(server, asked).refused()
    assert head.line.endswith("503 RPC Error: 6ba")


@pytest.mark.parametrize("protocol", ["ncacn_http", "ncacn_ip_tcp"])
def test_server_that_is_not_there(httpd, fields, v1, log, protocol):
    port = env.free_port()
    server = httpd(mpm="event", **fields(
        ports=("gone:1",),
        routes=(f"gone protocol={protocol} to=127.0.0.1:{port}",)))
    log.expect(f"RPX0353: .*:{port}")
    head, _ = v1(server, "gone:1").refused()
    assert head.line.endswith("503 RPC Error: 6ba")
    server.wait_idle()


@pytest.mark.parametrize("limit", ["RpcProxyMaxPerUser 3",
                                   "RpcProxyMaxPerAddress 3"])
def test_limits(httpd, fields, v1, log, limit):
    """A connection is two channels; what was refused is given back."""
    server = httpd(mpm="event", **fields(limit))
    log.expect(f"RPX0352: .*{limit.split()[0]}")
    first = v1(server, "echo.tcp:1").open()
    for _ in range(2):
        head, _ = v1(server, "echo.tcp:1").refused()
        assert head.line.endswith("503 RPC Error: 6bb")
    first.close()
    server.wait_idle()
    assert v1(server, "echo.tcp:1").open().calls().add_one(1) == 2


def test_full_table(httpd, fields, v1, log):
    server = httpd(mpm="event", **fields(server=("RpcProxyMaxConnections 1",)))
    log.expect("RPX0352: .*RpcProxyMaxConnections")
    first = v1(server, "echo.tcp:1").open()
    head, _ = v1(server, "v1.http:1").refused()
    assert head.line.endswith("503 RPC Error: 6bb")
    assert first.calls().add_one(1) == 2


# ---- servers that greet, late, or not ---------------------------------------

def test_nothing_before_the_greeting(httpd, fields, v1, backends, greeter):
    """3.1.2.5.1: the server sees nothing of the client before it greeted, and
    the client no answer; then everything comes."""
    slow = greeter((backends.echo.host, backends.echo.tcp_port), drip=True)
    server = httpd(mpm="event", **fields(ports=("s:1",),
                                         routes=(slow.route("s"),)))
    client = v1(server, "s:1").request(rpc.bind(rpc.RPCECHO))
    env.wait_until(lambda: slow.sockets, "the connection to the server")
    assert client.channel.silent(0.5)
    slow.greet.set()
    client.read_200()
    rpc.check_bind_ack(client.recv_rpc())
    assert slow.early == [b""]


def hang(sock):
    while sock.recv(65536):
        pass


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("greeting,talk,misdeed", [
    (b"", hang, "was silent"),
    (b"ncacn_http/1", hang, "was silent"),
    (b"", None, "closed the connection"),
    (b"ncacn_ht", None, "closed the connection"),
    (b"220 mail.example.com ESMTP\r\n", hang, "sent something else"),
    (b"ncacn_http/2.0", hang, "sent something else"),
    (rpc.bind(rpc.RPCECHO), hang, "sent something else"),
    (rts.make("Ping"), hang, "sent something else")])
def test_server_that_does_not_greet(httpd, fields, v1, log, greeter, mpm,
                                    greeting, talk, misdeed):
    bad = greeter(greeting=greeting, talk=talk)
    server = httpd(mpm=mpm, **fields("RpcProxyHandshakeTimeout 1s",
                                     ports=("s:1",),
                                     routes=(bad.route("s"),)))
    log.expect(f"RPX0354: .*{misdeed}.*RpcProxyRoute")
    head, _ = v1(server, "s:1", timeout=20).refused()
    assert head.line.endswith("503 RPC Error: 6ba")
    bad.wait_end()
    server.wait_idle()


# ---- what ends it -----------------------------------------------------------

RTS_PDUS = [rts.make("Ping"),
            rts.make("CONN/B1", 1, b"v" * 16, b"i" * 16, 1 << 30, 300000,
                     b"g" * 16),
            rts.make("CONN/A2", 1, b"v" * 16, b"o" * 16, 1 << 30, 65536)]


@pytest.mark.parametrize("pdu", RTS_PDUS, ids=["Ping", "B1", "A2"])
@pytest.mark.parametrize("bound", [False, True])
def test_rts_from_the_client(httpd, fields, v1, log, greeter, pdu, bound):
    """A client of version 1 cannot pose as a proxy: the server sees none of
    it, as the first PDU or later."""
    seen = []

    def keep(sock):
        while data := sock.recv(65536):
            seen.append(data)
    keeper = greeter(talk=keep)
    server = httpd(mpm="event", **fields(ports=("s:1",),
                                         routes=(keeper.route("s"),)))
    log.expect("RPX0355: .*RTS PDU from a client of version 1")
    client = v1(server, "s:1").open()
    before = rpc.bind(rpc.RPCECHO) if bound else b""
    client.channel.send(before + pdu + rpc.bind(rpc.RPCECHO))
    assert client.channel.rest() == b""
    keeper.wait_end()
    assert b"".join(seen) == before


@pytest.mark.parametrize("protocol", ["ncacn_http", "ncacn_ip_tcp"])
def test_rts_from_the_server(httpd, fields, v1, log, greeter, protocol):
    def talk(sock):
        sock.sendall(rts.make("Ping"))
        hang(sock)
    bad = greeter(greeting=BANNER if protocol == "ncacn_http" else b"",
                  talk=talk)
    server = httpd(mpm="event", **fields(ports=("s:1",),
                                         routes=(bad.route("s", protocol),)))
    log.expect("RPX0355: .*RTS PDU from the server in version 1")
    client = v1(server, "s:1").open()
    assert client.channel.rest() == b""
    bad.wait_end()


def test_garbage(httpd, fields, v1, log):
    server = httpd(mpm="event", **fields())
    log.expect("RPX0355: .*rpc_vers is not 5")
    client = v1(server, "v1.http:1").open()
    client.channel.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.channel.rest() == b""


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_client_ends_sending(httpd, fields, v1, tls, greeter, mpm, secure):
    """The server learns it behind the last byte, and its answer still
    arrives."""
    def answer(sock):
        data = b""
        while part := sock.recv(65536):
            data += part
        sock.sendall(data * 8)
    late = greeter(talk=answer)
    server = httpd(mpm=mpm, **fields(ports=("s:1",),
                                     routes=(late.route("s"),)))
    client = v1(server, "s:1", tls if secure else None).open()
    pdus = b"".join(rpc.request(rpc.SINK_DATA, os.urandom(2 * MIB)))
    client.channel.send(pdus)
    client.end_sending()
    assert client.channel.rest() == pdus * 8
    late.wait_end()


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_server_closes(httpd, fields, v1, tls, greeter, mpm, secure):
    """What it had sent is delivered first, to a client that reads late."""
    pdus = b"".join(rpc.request(rpc.ECHO_DATA, os.urandom(4 * MIB)))
    flood = greeter(talk=lambda sock: sock.sendall(pdus))
    server = httpd(mpm=mpm, **fields(ports=("s:1",),
                                     routes=(flood.route("s"),)))
    client = v1(server, "s:1", tls if secure else None).open()
    time.sleep(0.5)                      # both socket buffers are full now
    assert client.channel.rest() == pdus


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("way", ["close", "reset"])
@pytest.mark.parametrize("stage", ["head", "waiting", "open", "bound",
                                   "half-pdu", "answering"])
def test_client_dies(httpd, fields, v1, log, greeter, mpm, way, stage):
    """The server's connection ends with it."""
    def answer(sock):
        while sock.recv(65536):
            if stage == "answering":
                sock.sendall(b"".join(rpc.request(0, bytes(16 * MIB))))
    back = greeter(talk=answer, greeting=b"" if stage == "waiting"
                   else BANNER)
    server = httpd(mpm=mpm, **fields("RpcProxyHandshakeTimeout 2s",
                                     "RpcProxyStallTimeout 2s",
                                     ports=("s:1",),
                                     routes=(back.route("s"),)))
    log.allow("RPX0354")
    client = v1(server, "s:1").request()
    if stage in ("open", "bound", "half-pdu", "answering"):
        client.read_200()
    if stage in ("bound", "answering"):
        client.channel.send(rpc.bind(rpc.RPCECHO))
    if stage == "half-pdu":
        client.channel.send(rpc.bind(rpc.RPCECHO)[:30])
    if stage == "answering":
        client.channel.exactly(100000)
    if stage != "head":
        env.wait_until(lambda: back.sockets, "the connection to the server")
    getattr(client.channel, way)()
    env.wait_until(lambda: back.sockets, "the connection to the server")
    back.wait_end()
    server.wait_idle()


@pytest.mark.parametrize("who", ["client", "server"])
def test_stall(httpd, fields, v1, greeter, who):
    """A receiver that takes nothing is cut off."""
    def talk(sock):
        if who == "client":
            sock.sendall(b"".join(rpc.request(0, bytes(64 * MIB))))
        else:
            stop.wait(20)
    stop = threading.Event()
    deaf = greeter(talk=talk)
    server = httpd(mpm="event", **fields("RpcProxyStallTimeout 1s",
                                         ports=("s:1",),
                                         routes=(deaf.route("s"),)))
    mark = server.accesses.mark()
    client = v1(server, "s:1").open()
    if who == "server":
        try:
            client.channel.send(b"".join(rpc.request(0, bytes(64 * MIB))))
        except OSError:
            pass                         # httpd may drain what still comes
    line = env.wait_until(
        lambda: [a for a in server.access_since(mark) if a.channel == "v1"],
        "the end")[0]
    assert line.end == "the receiver took nothing for RpcProxyStallTimeout"
    stop.set()


def test_stall_of_a_client_that_talks(httpd, fields, v1, greeter):
    """What it sends is no sign that it takes what waits for it."""
    def swallow(sock):
        with contextlib.suppress(OSError):
            hang(sock)

    def talk(sock):
        threading.Thread(target=swallow, args=(sock,), daemon=True).start()
        sock.sendall(b"".join(rpc.request(0, bytes(64 * MIB))))
    flood = greeter(talk=talk)
    server = httpd(mpm="event", **fields("RpcProxyStallTimeout 2s",
                                         ports=("s:1",),
                                         routes=(flood.route("s"),)))
    mark = server.accesses.mark()
    client = v1(server, "s:1").open()

    def ended():
        with contextlib.suppress(OSError):
            client.channel.send(rpc.request(0, bytes(64))[0])
        return [a for a in server.access_since(mark) if a.channel == "v1"]
    line = env.wait_until(ended, "the end")[0]
    assert line.end == "the receiver took nothing for RpcProxyStallTimeout"


def test_idle(httpd, fields, v1):
    server = httpd(mpm="event", **fields("RpcProxyIdleTimeout 1s"))
    mark = server.accesses.mark()
    client = v1(server, "v1.http:1").open()
    assert client.calls().add_one(1) == 2
    assert client.channel.rest() == b""
    line = env.wait_until(
        lambda: [a for a in server.access_since(mark) if a.channel == "v1"],
        "the end")[0]
    assert line.end == "no call for RpcProxyIdleTimeout"


def test_silence_after_the_client_ended(httpd, fields, v1, greeter):
    """A server that ignores the end does not hold the connection for ever."""
    def ignore(sock):
        hang(sock)
        stop.wait(20)
    stop = threading.Event()
    deaf = greeter(talk=ignore)
    server = httpd(mpm="event", **fields("RpcProxyStallTimeout 1s",
                                         ports=("s:1",),
                                         routes=(deaf.route("s"),)))
    client = v1(server, "s:1").open()
    client.end_sending()
    assert client.channel.rest() == b""
    server.wait_idle()
    stop.set()


@pytest.mark.parametrize("mpm", MPMS)
def test_httpds_timers_do_not_cut(httpd, fields, v1, mpm):
    lines = ("RequestReadTimeout header=20-40,minrate=500 body=2,minrate=500",
             "Timeout 2", "KeepAliveTimeout 2")
    server = httpd(mpm=mpm, **fields(server=lines))
    calls = [v1(server, target(kind)).open().calls() for kind in KINDS]
    for n in range(5):
        time.sleep(1)
        assert calls[0].add_one(n) == n + 1
    for call in calls:
        assert call.echo(b"a" * 50000) == b"a" * 50000


@pytest.mark.parametrize("mpm", MPMS)
def test_graceful_restart(httpd, fields, v1, mpm):
    """Goes on in the old child, which ends with it; test_drain.py has what
    ends it there."""
    server = httpd(mpm=mpm, **fields(server=("# restarts of version 1",
                                             "RpcProxyDrainTimeout 12h")))
    mark = server.accesses.mark()
    client = v1(server, "v1.http:1").open()
    calls = client.calls()
    old = server.graceful()
    assert calls.echo(b"w" * 200000) == b"w" * 200000
    client.close()
    line = env.wait_until(
        lambda: [a for a in server.access_since(mark) if a.channel == "v1"],
        "the end")[0]
    assert line.pid in old
    env.wait_until(lambda: not old & set(server.children()),
                   "the old children to end")


@pytest.mark.parametrize("mpm", MPMS)
def test_stop(httpd, httpds, fields, v1, log, mpm):
    """Nothing is waited for, and each connection is logged; prefork's
    children end in the signal handler."""
    server = httpd(mpm=mpm, **fields(server=("# stops of version 1",)))
    crowd = [v1(server, target(kind)).open() for kind in KINDS]
    for client in crowd:
        assert client.calls().add_one(1) == 2
    log.marks.pop(server)                # it will not be idle, but gone
    httpds.stop(server.conf)
    for client in crowd:
        assert client.channel.rest() == b""
    ends = [line for line in server.errors.since(0) if "RPX0351" in line]
    if mpm != "prefork":
        assert len(ends) == len(KINDS)
        assert all("httpd was stopped" in line for line in ends)
