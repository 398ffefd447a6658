# SPDX-License-Identifier: Apache-2.0
"""Requests that are no streams, answers that are errors, and what the front
refuses itself."""

import pytest

import rts
from front_inner import OUT_HEAD, answer, chunk
from front_rig import SECURE, Body, passes

GIB = 1 << 30
REFUSED = ["WWW-Authenticate: Negotiate", "WWW-Authenticate: NTLM",
           'WWW-Authenticate: Basic realm="mbx, inside"']


@pytest.fixture
def server(front, double):
    return front(*passes(double.url()))


@pytest.fixture
def strict_front(front, double):
    return front(*passes(double.url()), location=("ProxyRpchStrict On",))


# ---- echo requests ----------------------------------------------------------

@SECURE
@pytest.mark.parametrize("samba", [False, True], ids=["1.1", "1.0"])
@pytest.mark.parametrize("method", ["RPC_IN_DATA", "RPC_OUT_DATA"])
def test_echo(server, double, opened, tls, method, samba, secure):
    """The inner proxy's answer comes back, and the client's connection goes
    on; also that of a client that speaks HTTP/1.0 with keep-alive."""
    c = opened(server, tls if secure else None)
    taken = None
    for length in (0, 0):
        c.request(method, "mbx:6001", length, samba=samba)
        taken = taken or double.take()
        head, body = taken.whole()
        assert (head.method, body) == (method, b"")
        taken.send(answer("200 Success", rts.ECHO_BYTES,
                          "Content-Type: application/rpc"))
        got, body = c.response()
        assert body == rts.ECHO_BYTES
        assert got.line == "HTTP/1.1 200 Success"
        assert got.headers["content-type"] == "application/rpc"
        if samba:
            assert got.headers["connection"].lower() == "keep-alive"
    assert double.count == 1


@pytest.mark.parametrize("length", [4, 16])
def test_echo_with_a_body(server, double, opened, length):
    c = opened(server)
    c.request("RPC_OUT_DATA", "mbx:6001", length)
    c.send(b"x" * length)
    taken = double.take()
    assert taken.whole()[1] == b"x" * length
    taken.send(answer("200 Success", rts.ECHO_BYTES))
    assert c.response()[1] == rts.ECHO_BYTES


# ---- Expect: 100-continue ---------------------------------------------------

@SECURE
@pytest.mark.parametrize("method,length", [("RPC_IN_DATA", GIB),
                                           ("RPC_OUT_DATA", 76)])
def test_expect_continue(server, double, opened, tls, secure, method, length):
    """The client sends nothing before it is told to."""
    c = opened(server, tls if secure else None)
    c.request(method, "mbx:6001", length, ["Expect: 100-continue"])
    taken = double.take()
    if taken.request().get("Expect"):
        taken.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert c.head().status == 100
    c.send(bytes(76))
    assert taken.exactly(76) == bytes(76)
    taken.send(OUT_HEAD + b"x")
    assert c.head().status == 200
    assert c.exactly(1) == b"x"


def test_continue_that_nobody_asked_for(server, double, opened):
    """Interim answers are none."""
    c = opened(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    taken = double.take()
    taken.request()
    taken.send(b"HTTP/1.1 100 Continue\r\n\r\n"
               b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OUT_HEAD + b"x")
    head = c.head()
    while head.status < 200:
        head = c.head()
    assert head.status == 200
    assert c.exactly(1) == b"x"


def test_many_interim_answers(server, double, opened, log):
    """Without end they are no answer."""
    log.expect("RPX0543: ")
    c = opened(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    taken = double.take()
    taken.request()
    with pytest.raises(OSError):
        while True:
            taken.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)
    head = c.head()
    while head.status < 200:
        head = c.head()
    assert head.status == 502


# ---- errors -----------------------------------------------------------------

@SECURE
@pytest.mark.parametrize("method,length", [
    ("RPC_IN_DATA", 0), ("RPC_OUT_DATA", 76), ("RPC_IN_DATA", GIB)])
@pytest.mark.parametrize("status", [
    "401 Unauthorized", "403 Forbidden ( The server denied it. )",
    "404 Not Found", "500 Internal", "503 RPC Error: 6ba"])
def test_refusal_passes(server, double, opened, tls, secure, method, length,
                        status):
    """Status line, fields and body, while the client waits for more or still
    sends."""
    c = opened(server, tls if secure else None)
    c.request(method, "mbx:6001", length)
    taken = double.take()
    taken.request()
    fields = REFUSED if status.startswith("401") else ["X-Why: so"]
    taken.send(answer(status, b"<why>", "Server: inner/1.0", *fields))
    head, body = c.response()
    assert head.line == f"HTTP/1.1 {status}"
    assert body == b"<why>"
    if status.startswith("401"):
        assert head.headers["www-authenticate"] == ", ".join(
            f.split(": ", 1)[1] for f in REFUSED)
    else:
        assert head.headers["x-why"] == "so"


def test_error_in_the_middle_of_in(server, double, opened):
    """IIS answers IN at its end, whatever that is."""
    c = opened(server)
    c.request("RPC_IN_DATA", "mbx:6001", GIB)
    taken = double.take()
    taken.request()
    c.send(bytes(200))
    assert taken.exactly(200) == bytes(200)
    taken.send(answer("503 RPC Error: c0021012", b"late"))
    taken.close()
    head, body = c.response()
    assert head.line == "HTTP/1.1 503 RPC Error: c0021012"
    assert body == b"late"
    assert c.rest() == b""


def test_chunked_error(server, double, opened):
    c = opened(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    taken = double.take()
    taken.request()
    taken.send(b"HTTP/1.1 502 Bad\r\nTransfer-Encoding: chunked\r\n\r\n"
               + chunk(b"no") + b"0\r\n\r\n")
    head = c.head()
    assert head.line == "HTTP/1.1 502 Bad"
    if "content-length" in head.headers:
        assert c.exactly(int(head.headers["content-length"])) == b"no"
    else:
        body = Body(c, head)
        assert body.exactly(2) == b"no" and body.ends()


@pytest.mark.parametrize("status", ["204 None", "304 Same"])
def test_answer_without_a_body(server, double, opened, status):
    c = opened(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 0)
    taken = double.take()
    taken.request()
    taken.send(f"HTTP/1.1 {status}\r\nX-Why: so\r\n\r\n".encode())
    head = c.head()
    assert head.status == int(status[:3])
    c.request("RPC_OUT_DATA", "mbx:6001", 0)
    taken.request()
    taken.send(answer(body=b"done"))
    assert c.response()[1] == b"done"


#: Heads that are none.
BAD_HEADS = {
    "text": b"hello\r\n\r\n", "no status": b"HTTP/1.1 \r\n\r\n",
    "status": b"HTTP/1.1 2x0 OK\r\n\r\n", "small": b"HTTP/1.1 099 OK\r\n\r\n",
    "field": b"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                   b"Content-Length: 6\r\n\r\n12345",
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n12345",
    "long length": b"HTTP/1.1 200 OK\r\nContent-Length: "
                   b"99999999999999999999\r\n\r\n12345",
    "coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, x\r\n\r\n12345",
    "one coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n123",
    "nul": b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
    "long": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200000,
    "many": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000,
    "half": b"HTTP/1.1 200 OK\r\nX: ", "none": b"",
    "tls": bytes.fromhex("15030100020228"),
}


@pytest.mark.parametrize("way", ["whole", "in bytes"])
@pytest.mark.parametrize("head", BAD_HEADS, ids=lambda n: n.replace(" ", "-"))
def test_bad_head(server, double, opened, log, head, way):
    """502, and a line that says which member it was."""
    raw = BAD_HEADS[head]
    if way == "in bytes" and len(raw) > 1000:
        pytest.skip("long")
    log.expect(rf"RPX0543: OUT .* through 127\.0\.0\.1:{double.port} ")
    c = opened(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    taken = double.take()
    taken.request()
    try:
        for part in ([raw] if way == "whole" else
                     [raw[i:i + 1] for i in range(len(raw))]):
            taken.send(part)
    except OSError:
        pass                       # it has seen enough
    if head in ("half", "none"):
        taken.close()
    assert c.head().status == 502
    taken.close()


# ---- other methods ----------------------------------------------------------

@pytest.mark.parametrize("method", ["RDG_OUT_DATA", "RDG_IN_DATA"])
def test_rd_gateway(server, double, opened, method):
    """Both directions, by bytes that are no PDUs (MS-TSGU)."""
    c = opened(server)
    c.request(method, None, headers=["Transfer-Encoding: chunked",
                                     "RDG-Connection-Id: {1-2}"],
              path="/rpc/remoteDesktopGateway/")
    taken = double.take()
    request = taken.request()
    assert request.uri == "/rpc/remoteDesktopGateway/"
    assert request.get("RDG-Connection-Id") == "{1-2}"
    taken.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    body = Body(c, c.head())
    for n in range(5):
        taken.send(chunk(b"%d" % n))
        assert body.exactly(1) == b"%d" % n
        c.send(chunk(b"\xff\0there"))
        assert taken.exactly(len(chunk(b"\xff\0there"))) == chunk(
            b"\xff\0there")


def test_get(server, double, opened):
    """Something else under the same path, on one connection."""
    c = opened(server)
    taken = None
    for n in range(3):
        c.request("GET", None, path=f"/rpc/page{n}")
        taken = taken or double.take()
        request = taken.request()
        assert (request.method, request.uri) == ("GET", f"/rpc/page{n}")
        taken.send(answer(body=b"page %d" % n))
        assert c.response()[1] == b"page %d" % n


def test_head(server, double, opened):
    """A length, and nothing of it."""
    c = opened(server)
    c.request("HEAD", None, path="/rpc/page")
    taken = double.take()
    taken.request()
    taken.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
    assert c.head().status == 200
    c.request("GET", None, path="/rpc/page")
    taken.request()
    taken.send(answer(body=b"page"))
    assert c.response()[1] == b"page"


def test_post(server, double, opened):
    c = opened(server)
    c.request("POST", None, 5, path="/rpc/form")
    c.send(b"a=b&c")
    taken = double.take()
    head, body = taken.whole()
    assert (head.method, body) == ("POST", b"a=b&c")
    taken.send(answer(body=b"thanks"))
    assert c.response()[1] == b"thanks"


def test_version_1_is_refused(server, double, opened, log):
    log.expect("RPX0512: .*RPC_CONNECT")
    c = opened(server)
    c.request("RPC_CONNECT", "mbx:6001", None)
    assert c.head().status == 501
    assert double.count == 0


# ---- ProxyRpchStrict --------------------------------------------------------

@pytest.mark.parametrize("method", ["GET", "POST", "PROPFIND", "RPC_X_DATA"])
def test_strict_methods(strict_front, double, opened, log, method):
    log.expect("RPX0513: ")
    c = opened(strict_front)
    c.request(method, "mbx:6001", 0)
    assert c.head().status == 405
    assert double.count == 0


@pytest.mark.parametrize("method", ["RDG_OUT_DATA", "RDG_IN_DATA",
                                    "RPC_IN_DATA", "RPC_OUT_DATA"])
def test_strict_passes(strict_front, double, opened, method):
    c = opened(strict_front)
    c.request(method, "mbx:6001", 0)
    taken = double.take()
    taken.request()
    taken.send(answer(body=b"done"))
    assert c.response()[1] == b"done"


def test_strict_in(strict_front, double, opened, log):
    """Bytes that are no PDU end the stream, and do not go on."""
    log.expect("RPX0542: IN channel")
    c = opened(strict_front)
    c.request("RPC_IN_DATA", "mbx:6001", GIB)
    taken = double.take()
    taken.request()
    ping = rts.make("Ping")
    c.send(ping)
    assert taken.exactly(len(ping)) == ping
    c.send(b"GET / HTTP/1.1\r\n\r\n")
    c.rest()
    assert b"GET" not in taken.rest()


def test_strict_out(strict_front, double, opened, log):
    log.expect("RPX0543: OUT channel")
    c = opened(strict_front)
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    taken = double.take()
    taken.request()
    ping = rts.make("Ping")
    taken.send(OUT_HEAD + ping)
    assert c.head().status == 200
    assert c.exactly(len(ping)) == ping
    taken.send(b"<html>an error page in the middle</html>")
    assert b"error page" not in c.rest()
    taken.rest()


def test_no_pdus_pass_where_it_is_off(server, double, opened):
    c = opened(server)
    c.request("RPC_IN_DATA", "mbx:6001", GIB)
    taken = double.take()
    taken.request()
    c.send(b"no PDU at all")
    assert taken.exactly(13) == b"no PDU at all"


# ---- RpcProxyValidPorts -----------------------------------------------------

def test_valid_ports(front, double, opened, log):
    """What the list does not have looks as it does at an RPC proxy, and the
    inner one never hears of it."""
    server = front(*passes(double.url()),
                   location=('RpcProxyValidPorts "mbx:6001-6004"',))
    for target, status in (("mbx:6005", "503 RPC Error: 6ba"),
                           ("mbx2:6001", "503 RPC Error: 6ba"),
                           ("mbx", "400 Bad Request"),
                           (None, "400 Bad Request")):
        c = opened(server)
        c.request("RPC_OUT_DATA", target, 76)
        assert c.head().line == f"HTTP/1.1 {status}", target
    log.expect("RPX0516: .*mbx:6005", "RPX0518: .*mbx2:6001", "RPX0514: ")
    assert double.count == 0
    c = opened(server)
    c.request("RPC_OUT_DATA", "mbx:6004", 76)
    assert double.take().request().uri.endswith("?mbx:6004")
