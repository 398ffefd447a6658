# SPDX-License-Identifier: Apache-2.0
"""Hostile and broken clients: each gets its answer, the others stay up.

Every test here runs beside an open virtual connection that must live.
"""

import os
import struct

import pytest

import env
import rpc
import rts

KINDS = ["tcp", "http"]


@pytest.fixture(params=["event", "prefork"])
def server(request, httpd, backends):
    return httpd(mpm=request.param, **backends.fields())


@pytest.fixture(autouse=True)
def bystander(server, raw):
    """A connection of somebody else, open before and after."""
    calls = raw(server, "echo.tcp:1").open().calls()
    yield
    assert calls.add_one(1) == 2
    calls.pipe.close()


def ended(channel):
    """The proxy ended this connection; what it sent before."""
    return channel.rest()


@pytest.mark.parametrize("target", [
    "", ":", ":593", "mbx:", "mbx", "mbx:0", "mbx:65536", "mbx:1000000",
    "mbx:-1", "mbx:+1", "mbx:1x", "mbx:0x10", "m%62x:593", "mbx:593?x",
    "mbx:593&x=1", "mbx/x:593", "a" * 1024 + ":593", "[::1:593",
    "::1]:593", "m\x7fx:593", "m\xe9x:593", "mbx:593#x", 'm"x:593',
    "m<x:593", "mbx\\y:593"])
@pytest.mark.parametrize("method", ["RPC_IN_DATA", "RPC_OUT_DATA"])
def test_malformed_target(server, raw, log, method, target):
    log.allow("RPX0223", "AH02430", "AH0056", "AH10411", "AH02420")
    client = raw(server, target)
    channel = client.channel()
    length = 1 << 30 if method == "RPC_IN_DATA" else 76
    channel.request(method, target, length, auth=client.auth)
    if method == "RPC_OUT_DATA":
        channel.send(client.a1())
    assert channel.head().status == 400


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at,value", [
    (0, 4), (1, 1), (2, 0), (2, 11), (2, 19), (3, 0x01), (3, 0x23), (4, 0x00),
    (4, 0x11), (5, 1), (6, 1), (7, 1), (10, 1), (11, 1), (12, 1), (15, 1),
    (16, 1), (16, 2), (17, 1), (18, 3), (18, 5), (19, 1), (20, 15),
    (24, 9)])
def test_wrong_byte_in_a1(server, raw, log, kind, at, value):
    """Each field of the header in turn. Version (24) is to be ignored."""
    log.allow("RPX0340")
    client = raw(server, f"echo.{kind}:1")
    a1 = bytearray(client.a1())
    a1[at] = value
    client.request_out()
    client.cout.send(bytes(a1))
    if at == 24:
        client.read_200()
    else:
        assert b"200" not in ended(client.cout)[:12]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [0, 1, 15, 19, 75, 77, 65535])
def test_wrong_length_in_a1(server, raw, log, kind, length):
    """65535: more is promised than the request's body has."""
    log.allow("RPX0340")
    client = raw(server, f"echo.{kind}:1")
    a1 = bytearray(client.a1())
    struct.pack_into("<H", a1, 8, length)
    client.request_out()
    client.cout.send(bytes(a1))
    assert b"200" not in ended(client.cout)[:12]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at,value", [(0, 4), (2, 0), (3, 0x83), (4, 0),
                                      (10, 1), (12, 1), (16, 8), (18, 7),
                                      (20, 0x0F)])
def test_wrong_byte_in_b1(server, raw, log, kind, at, value):
    log.allow("RPX0340", "RPX03")
    client = raw(server, f"echo.{kind}:1")
    b1 = bytearray(client.b1())
    b1[at] = value
    client.request_in()
    client.cin.send(bytes(b1))
    ended(client.cin)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [0, 15, 19, 103, 105])
def test_wrong_length_in_b1(server, raw, log, kind, length):
    log.allow("RPX0340")
    client = raw(server, f"echo.{kind}:1")
    b1 = bytearray(client.b1())
    struct.pack_into("<H", b1, 8, length)
    client.request_in()
    client.cin.send(bytes(b1) + bytes(2))
    ended(client.cin)


def test_promise_of_65535_bytes(server, raw, log):
    """B1 that says it is 65535 long: no RTS PDU is; it ends at once."""
    log.allow("RPX0340")
    client = raw(server, "echo.tcp:1")
    b1 = bytearray(client.b1())
    struct.pack_into("<H", b1, 8, 65535)
    client.request_in()
    client.cin.send(bytes(b1))
    ended(client.cin)


@pytest.mark.parametrize("kind", KINDS)
def test_first_pdu_of_the_other_channel(server, raw, log, kind):
    log.allow("RPX0340")
    client = raw(server, f"echo.{kind}:1")
    client.request_out(length=104)
    client.cout.send(client.b1())
    ended(client.cout)
    client.request_in()
    client.cin.send(client.a1())
    ended(client.cin)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", ["bind", "ping", "echo", "ack", "http",
                                   "zeros"])
@pytest.mark.parametrize("direction", ["in", "out"])
def test_something_else_first(server, raw, log, kind, first, direction):
    log.allow("RPX0340")
    client = raw(server, f"echo.{kind}:1")
    data = {"bind": rpc.bind(rpc.MGMT), "ping": rts.make("Ping"),
            "echo": rts.ECHO_BYTES,
            "ack": rts.make("FlowControlAckWithDestination",
                            rts.FD_OUT_PROXY, (0, 65536, b"x" * 16)),
            "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + b" " * 76,
            "zeros": bytes(128)}[first]
    if direction == "in":
        client.request_in()
        channel = client.cin
    else:
        client.request_out(length=len(data))
        channel = client.cout
    channel.send(data)
    assert b"200 Success" not in ended(channel)


def check_works(client):
    assert client.calls().add_one(41) == 42


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("in_first", [True, False])
def test_either_order(server, raw, kind, in_first):
    """IN before OUT and OUT before IN are both right."""
    client = raw(server, f"echo.{kind}:1")
    if in_first:
        client.start_in()
        assert client.cin.silent(0.3)      # nothing before its time
    check_works(client.open() if not in_first else finish(client))


def finish(client):
    """The rest of opening when IN was first."""
    client.start_out()
    client.read_200()
    client.read_a3()
    client.read_c2()
    return client


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", ["in", "out"])
def test_same_cookie_twice(server, raw, log, kind, direction):
    """The newcomer ends alone, the connection that it names lives."""
    client = raw(server, f"echo.{kind}:1").open()
    calls = client.calls()
    log.expect("RPX0320")
    other = raw(server, client.target, cookies=[
        client.vc, os.urandom(16), os.urandom(16), os.urandom(16)])
    if direction == "in":
        other.start_in()
        answer = ended(other.cin)
    else:
        other.start_out()
        answer = ended(other.cout)
    assert b"503 RPC Error: 6ba" in answer
    assert calls.add_one(1) == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["user", "target"])
@pytest.mark.parametrize("direction", ["in", "out"])
def test_foreign_cookie(server, raw, log, kind, what, direction):
    """Half of a connection cannot be taken by another user, nor for another
    target."""
    client = raw(server, f"echo.{kind}:1")
    (client.start_out if direction == "in" else client.start_in)()
    env.wait_until(lambda: server.status()["connections"] == 2,
                   "the first half")
    log.expect("RPX0321")
    other = raw(
        server, f"dc.{kind}:135" if what == "target" else client.target,
        auth=((env.OTHER_USER, env.OTHER_PASSWORD) if what == "user"
              else client.auth),
        cookies=[client.vc, client.in_cookie, client.out_cookie,
                 client.group])
    if direction == "in":
        other.start_in()
        answer = ended(other.cin)
    else:
        other.start_out()
        answer = ended(other.cout)
    assert b"503 RPC Error: 6ba" in answer
    if direction == "in":
        client.read_200()
        client.read_a3()
        client.start_in()
        client.read_c2()
    else:
        finish(client)
    check_works(client)


@pytest.mark.parametrize("kind", KINDS)
def test_a1_with_trailing_bytes(server, raw, log, kind):
    """What the specification allows at most is 120 bytes of OUT body."""
    log.allow("RPX0340")
    client = raw(server, f"echo.{kind}:1")
    client.request_out(length=100)
    client.cout.send(client.a1() + bytes(24))
    ended(client.cout)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", [
    "a1", "b1", "c2", "ack-in-proxy", "ack-cookie",
    "notify", "unknown-command", "dest-4", "fragment-15", "version-4"])
def test_wrong_pdu_when_open(server, raw, log, kind, what):
    """Protocol errors end the virtual connection, both channels of it; an
    ack for nobody's cookie is discarded (MS-RPCH 3.2.1.4.1.2)."""
    log.allow("RPX0340")
    client = raw(server, f"echo.{kind}:1").open()
    calls = client.calls()
    bind = bytearray(rpc.bind(rpc.RPCECHO))
    if what == "fragment-15":
        struct.pack_into("<H", bind, 8, 15)
    if what == "version-4":
        bind[0] = 4
    data = {
        "a1": client.a1(), "b1": client.b1(),
        "c2": client.c2.raw,
        "ack-in-proxy": rts.make("FlowControlAckWithDestination",
                                 rts.FD_IN_PROXY,
                                 (0, 65536, client.in_cookie)),
        "ack-cookie": rts.make("FlowControlAckWithDestination",
                               rts.FD_OUT_PROXY, (0, 65536, b"x" * 16)),
        "notify": rts.make("PingTrafficSentNotify", 1040),
        "unknown-command": (rts.header(rts.RTS, 24)
                            + struct.pack("<HHI", 0, 1, 15)),
        "dest-4": (rts.header(rts.RTS, 28)
                   + struct.pack("<HHII", 4, 1, 13, 4)),
        "fragment-15": bytes(bind), "version-4": bytes(bind)}[what]
    client.cin.send(data)
    if what == "ack-cookie":
        assert calls.add_one(1) == 2
        return
    ended(client.cin)
    ended(client.cout)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_behind_the_body_of_out(server, raw, kind):
    """They would be the next request; nobody reads them."""
    client = raw(server, f"echo.{kind}:1").open()
    client.cout.send(rpc.bind(rpc.RPCECHO))
    check_works(client)


@pytest.mark.parametrize("kind", KINDS)
def test_ack_of_the_future(server, raw, log, kind):
    log.expect("RPX0340")
    client = raw(server, f"echo.{kind}:1").open()
    client.cin.send(rts.make("FlowControlAckWithDestination",
                             rts.FD_OUT_PROXY,
                             (1 << 20, 65536, client.out_cookie)))
    ended(client.cout)
    ended(client.cin)


@pytest.mark.parametrize("kind", KINDS)
def test_pings_and_keep_alive(server, raw, kind):
    client = raw(server, f"echo.{kind}:1").open()
    for _ in range(50):
        client.cin.send(rts.make("Ping"))
    for value in (0, 60000, 300000):
        client.cin.send(rts.make("Keep-Alive", value))
    check_works(client)


def test_b1_cut_at_each_byte(server, raw):
    """However the bytes come; and a B1 that ends in the middle."""
    client = raw(server, "echo.tcp:1")
    client.start_out()
    client.read_200()
    client.read_a3()
    client.request_in()
    for byte in client.b1():
        client.cin.send(bytes([byte]))
    client.read_c2()
    check_works(client)
    for cut in range(1, 104):
        half = raw(server, "echo.tcp:1")
        half.request_in()
        half.cin.send(half.b1()[:cut])
        half.close()


def test_everything_in_one_segment(server, raw):
    """Head, B1 and a bind in one write: the window is open before C2."""
    client = raw(server, "echo.http:1")
    client.start_out()
    client.read_200()
    client.read_a3()
    client.cin = client.channel()
    held, client.cin.send = [], lambda data: held.append(data)
    client.request_in(channel=client.cin)
    del client.cin.send
    client.cin.send(b"".join(held) + client.b1() + rpc.bind(rpc.RPCECHO))
    client.read_c2()
    rpc.check_bind_ack(client.recv_rpc())


def test_half_open_crowd(server, raw):
    """200 connections that send nothing, or half a request."""
    crowd = []
    n = 200 if server.conf.mpm == "event" else 40
    for i in range(n):
        client = raw(server, "echo.tcp:1", timeout=60)
        channel = client.channel()
        crowd.append(channel)
        if i % 2:
            channel.send(b"RPC_IN_DATA /rpc/rpcproxy.dll?echo.tcp:1 HT")
    check_works(raw(server, "echo.tcp:1", timeout=90).open())
    for channel in crowd:
        channel.close()


@pytest.mark.parametrize("kind", KINDS)
def test_random_bytes(server, raw, log, kind):
    """Noise at every stage; the seed is in the test's name."""
    log.allow("RPX0340")
    for seed in range(20):
        noise = bytes((seed * 31 + i * i) & 0xFF for i in range(300))
        client = raw(server, f"echo.{kind}:1").open()
        client.cin.send(noise)
        client.close()
