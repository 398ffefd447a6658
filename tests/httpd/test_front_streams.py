# SPDX-License-Identifier: Apache-2.0
"""What goes through the front, both ways: at once, byte by byte, whatever
the lengths that were declared and however the bodies are framed."""

import hashlib
import random
import threading

import pytest

import rts
from front_inner import CHUNKED_HEAD, OUT_HEAD, answer, chunk
from front_rig import SECURE, Body, channel, each_way, of_way, passes

GIB = 1 << 30
BYTES = bytes(range(256))
#: No length but that of an IN channel; no PDUs, which nobody asks for.
ANY = "RPC_IN_DATA"


@pytest.fixture
def server(front, double):
    """The front of one way, before double."""
    def get(way=("event", "Auto")):
        return front(*passes(double.url()), **of_way(way))
    return get


def one_by_one(data, sender, receiver, size=1):
    """Each piece arrives before the next one is sent."""
    for at in range(0, len(data), size):
        sender(data[at:at + size])
        assert receiver(len(data[at:at + size])) == data[at:at + size]


# ---- request bodies ---------------------------------------------------------

@SECURE
@each_way
def test_in_byte_by_byte(server, double, kept, tls, way, secure):
    c = kept(channel(server(way), tls if secure else None))
    c.request(ANY, "mbx:6001", GIB)
    taken = double.take()
    assert taken.request().get("Content-Length") == str(GIB)
    one_by_one(BYTES[:40], c.send, taken.exactly)


@pytest.mark.parametrize("length", [104, 65536, 65537, 131072, GIB, 2 * GIB,
                                    1 << 40])
def test_any_length(server, double, kept, length):
    """Nothing of a body is waited for."""
    c = kept(channel(server()))
    c.request(ANY, "mbx:6001", length)
    taken = double.take()
    assert taken.request().get("Content-Length") == str(length)
    one_by_one(BYTES[:100], c.send, taken.exactly, 25)
    if length == 104:
        c.send(b"last")
        assert taken.exactly(4) == b"last"
        taken.send(answer(body=b"done"))
        head, body = c.response()
        assert (head.status, body) == (200, b"done")


@each_way
def test_chunked_request(server, double, kept, way):
    """Each piece at once, and the end of the body."""
    c = kept(channel(server(way)))
    c.request("RDG_IN_DATA", None, headers=["Transfer-Encoding: chunked"])
    taken = double.take()
    request = taken.request()
    assert request.get("Content-Length") is None
    assert request.get("Transfer-Encoding") == "chunked"
    body = Body(taken, _Headers(request))
    one_by_one(BYTES[:10], lambda data: c.send(chunk(data)), body.exactly)
    c.send(b"5\r\n12")
    assert body.exactly(2) == b"12"
    c.send(b"345\r\n0\r\n\r\n")
    assert body.exactly(3) == b"345"
    assert body.ends()
    taken.send(answer(body=b"done"))
    assert Body(c, c.head()).exactly(4) == b"done"


class _Headers:
    """A request's fields as a response's."""

    def __init__(self, request):
        self.headers = {n.lower(): v for n, v in request.fields}


@pytest.mark.parametrize("extra", [b"", b"RPC_IN_DATA /rpc/x HTTP/1.1\r\n"])
def test_body_ends_where_it_says(server, double, kept, extra):
    """What follows a body is no part of it, and no request either behind a
    stream's."""
    c = kept(channel(server()))
    c.request(ANY, "mbx:6001", 1000)
    taken = double.take()
    taken.request()
    c.send(bytes(1000) + extra)
    assert taken.exactly(1000) == bytes(1000)
    assert taken.silent(0.2)
    taken.send(answer(body=b"done"))
    head, body = c.response()
    assert (head.status, body) == (200, b"done")
    assert double.count == 1


# ---- responses --------------------------------------------------------------

@SECURE
@each_way
def test_out_byte_by_byte(server, double, kept, tls, way, secure):
    """The head, too."""
    c = kept(channel(server(way), tls if secure else None))
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    taken = double.take()
    taken.request()
    one_by_one(BYTES[:76], c.send, taken.exactly, 19)
    for byte in OUT_HEAD:
        taken.send(bytes([byte]))
    head = c.head()
    assert head.line == "HTTP/1.1 200 Success"
    assert head.headers["content-length"] == str(GIB)
    assert head.headers["content-type"] == "application/rpc"
    one_by_one(BYTES[:40], taken.send, c.exactly)


@each_way
def test_chunked_response(server, double, kept, way):
    c = kept(channel(server(way)))
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    taken = double.take()
    taken.request()
    c.send(BYTES[:76])
    taken.send(CHUNKED_HEAD)
    head = c.head()
    assert head.status == 200 and "content-length" not in head.headers
    body = Body(c, head)
    assert body.chunked
    one_by_one(BYTES[:20], lambda data: taken.send(chunk(data)), body.exactly)
    for byte in b"14;name=value\r\n":
        taken.send(bytes([byte]))
    one_by_one(BYTES[:20], taken.send, body.exactly)
    taken.send(b"\r\n0\r\nTrailer: x\r\n\r\n")
    assert body.ends()


@pytest.mark.parametrize("cut", [b"", b"5\r\n123", b"zz\r\n",
                                 b"fffffffffffffffff\r\n"])
def test_chunked_response_is_cut(server, double, kept, log, cut):
    """The client is not told that the body was whole."""
    c = kept(channel(server()))
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    taken = double.take()
    taken.request()
    taken.send(CHUNKED_HEAD + chunk(b"12345"))
    body = Body(c, c.head())
    assert body.exactly(5) == b"12345"
    log.allow("RPX05")
    taken.send(cut)
    taken.close()
    rest = c.rest()
    assert not rest.endswith(b"0\r\n\r\n") and len(rest) < 100


def test_chunked_response_to_http_10(server, double, kept):
    """Its client does not know chunks."""
    c = kept(channel(server()))
    c.request("RPC_OUT_DATA", "mbx:6001", 76, samba=True)
    taken = double.take()
    taken.request()
    taken.send(CHUNKED_HEAD + chunk(b"12345"))
    head = c.head()
    assert "transfer-encoding" not in head.headers
    assert c.exactly(5) == b"12345"
    one_by_one(BYTES[:20], lambda data: taken.send(chunk(data)), c.exactly)
    taken.send(b"0\r\n\r\n")
    assert c.rest() == b""


@pytest.mark.parametrize("head", [
    b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nX: y\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"])
def test_response_until_the_end(server, double, kept, head):
    """Neither a length nor chunks: the connection's end is the body's."""
    c = kept(channel(server()))
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    taken = double.take()
    taken.request()
    taken.send(head)
    body = Body(c, c.head())
    one_by_one(BYTES[:20], taken.send, body.exactly)
    taken.close()
    if body.chunked:
        assert body.ends()
    assert c.rest() == b""


def test_response_is_cut(server, double, kept, log):
    """Less than its Content-Length: nothing is made up."""
    c = kept(channel(server()))
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    taken = double.take()
    taken.request()
    taken.send(OUT_HEAD + b"12345")
    c.head()
    assert c.exactly(5) == b"12345"
    taken.close()
    assert c.rest() == b""


def test_response_and_no_more(server, double, kept):
    """What an inner proxy sends beyond its response goes nowhere."""
    c = kept(channel(server()))
    c.request("RPC_OUT_DATA", "mbx:6001", 0)
    taken = double.take()
    taken.request()
    taken.send(answer(body=b"done") + answer("200 OK", b"forged"))
    head, body = c.response()
    assert (head.status, body) == (200, b"done")
    c.sock.settimeout(20)
    try:
        c.request("RPC_OUT_DATA", "mbx:6001", 0)
        again = double.take()
        again.request()
        again.send(answer(body=b"true"))
        assert c.response()[1] == b"true"
    except (EOFError, OSError):
        pass                       # the client's connection may end with it
    assert b"forged" not in c.buffer


# ---- both -------------------------------------------------------------------

def pump(sender, data, sizes):
    rng, at = random.Random(7), 0
    while at < len(data):
        size = rng.choice(sizes)
        sender(data[at:at + size])
        at += size


@SECURE
@each_way
def test_both_ways_at_once(server, double, kept, tls, way, secure):
    """Megabytes each way, on two channels at a time and on one request,
    which an inner proxy may answer before it has read it."""
    rng = random.Random(5)
    there, back = rng.randbytes(3000000), rng.randbytes(3000000)
    c = kept(channel(server(way), tls if secure else None))
    c.request(ANY, "mbx:6001", GIB)
    taken = double.take()
    taken.request()
    taken.send(OUT_HEAD)
    c.head()
    senders = [
        threading.Thread(target=pump, daemon=True, args=(
            c.send, there, (1, 100, 5000, 70000))),
        threading.Thread(target=pump, daemon=True, args=(
            taken.send, back, (1, 100, 5000, 70000)))]
    got = {}

    def read(name, connection, n):
        got[name] = hashlib.sha256(connection.exactly(n)).digest()
    if secure:
        # a thread of each: TLS objects of ssl take no two at once
        senders[0].start()
        read("there", taken, len(there))
        senders[1].start()
        read("back", c, len(back))
    else:
        readers = [threading.Thread(target=read, daemon=True, args=args)
                   for args in (("there", taken, len(there)),
                                ("back", c, len(back)))]
        for thread in senders + readers:
            thread.start()
        for thread in readers:
            thread.join(60)
    assert got == {"there": hashlib.sha256(there).digest(),
                   "back": hashlib.sha256(back).digest()}


@each_way
def test_a_virtual_connection(server, double, raw, way):
    """IN and OUT of one client, PDU by PDU."""
    client = raw(server(way), "mbx:6001")
    client.start_out()
    out = double.take()
    out.request()
    assert out.exactly(76) == client.a1()
    out.send(OUT_HEAD + rts.make("CONN/A3", 120000))
    client.read_200()
    client.read_a3()
    client.start_in()
    in_ = double.take()
    in_.request()
    assert in_.exactly(104) == client.b1()
    out.send(rts.make("CONN/C1", 1, 65536, 120000))
    client.read_c2()
    for n in range(10):
        ping = rts.make("Ping")
        client.cin.send(ping)
        assert in_.exactly(len(ping)) == ping
        out.send(ping)
        client.queue_one()
    assert client.pings == 10


def test_pipelined(server, double, kept):
    """A request behind a short one waits for its answer."""
    c = kept(channel(server()))
    one = (b"RPC_OUT_DATA /rpc/rpcproxy.dll?mbx:6001 HTTP/1.1\r\n"
           b"Host: proxy.example.test\r\nContent-Length: 0\r\n\r\n")
    c.send(one + one)
    taken = double.take()
    for n in range(2):
        taken.request()
        taken.send(answer(body=b"%d" % n))
        assert c.response()[1] == b"%d" % n
