# SPDX-License-Identifier: Apache-2.0
"""One client connection is one inner connection, from the first 401 of a
handshake to the end of its stream; never another client's."""

import base64
import os
import threading

import pytest

import env
from front_inner import OUT_HEAD, answer, challenge
from front_rig import SECURE, channel, each_way, of_way, passes

GIB = 1 << 30
SIGNATURE = b"NTLMSSP\0"


def message(step, scheme="NTLM", more=b""):
    """The Authorization field of a client's message."""
    raw = SIGNATURE + step.to_bytes(4, "little") + more.ljust(24, b"\0")
    return f"Authorization: {scheme} {base64.b64encode(raw).decode()}"


@pytest.fixture
def server(front, double):
    def get(way=("event", "Auto"), to=None):
        return front(*passes((to or double).url()), **of_way(way))
    return get


# ---- by hand ----------------------------------------------------------------

@SECURE
@each_way
@pytest.mark.parametrize("scheme", ["NTLM", "Negotiate"])
@pytest.mark.parametrize("method", ["RPC_IN_DATA", "RPC_OUT_DATA"])
def test_handshake(server, double, opened, tls, way, secure, scheme, method):
    """Three requests, then the stream."""
    c = opened(server(way), tls if secure else None)
    c.request(method, "mbx:6001", 0)
    taken = double.take()
    taken.whole()
    taken.send(challenge("", scheme))
    assert c.response()[0].headers["www-authenticate"] == scheme
    c.request(method, "mbx:6001", 0, [message(1, scheme)])
    assert taken.whole()[0].get("Authorization") == message(
        1, scheme).partition(": ")[2]
    taken.send(challenge("VFdP", scheme))
    assert c.response()[0].headers["www-authenticate"] == f"{scheme} VFdP"
    length = GIB if method == "RPC_IN_DATA" else 76
    c.request(method, "mbx:6001", length, [message(3, scheme)])
    assert taken.request().get("Authorization") == message(
        3, scheme).partition(": ")[2]
    c.send(b"x" * 76)
    assert taken.exactly(76) == b"x" * 76
    taken.send(OUT_HEAD + b"y")
    assert c.head().status == 200 and c.exactly(1) == b"y"
    assert double.count == 1
    c.close()
    assert taken.rest() == b""


def test_first_message_with_the_body(server, double, opened):
    """Samba sends all of OUT's body with the first message: it is passed,
    and the connection goes on behind the answer."""
    c = opened(server())
    taken = None
    for step in (1, 1, 3):
        c.request("RPC_OUT_DATA", "mbx:6001", 76, [message(step)])
        c.send(b"x" * 76)
        taken = taken or double.take()
        assert taken.whole()[1] == b"x" * 76
        if step == 1:
            taken.send(challenge("VFdP"))
            assert c.response()[0].status == 401
    taken.send(OUT_HEAD)
    assert c.head().status == 200
    assert double.count == 1


@each_way
def test_answer_before_the_body(server, double, opened, way):
    """An inner proxy may refuse the first message without a look at the body
    that comes with it: the body is passed nevertheless, for both connections
    go on behind it."""
    c = opened(server(way))
    c.request("RPC_OUT_DATA", "mbx:6001", 76, [message(1)])
    taken = double.take()
    taken.request()
    taken.send(challenge("VFdP"))
    assert c.response()[0].status == 401
    for half in (b"x" * 40, b"y" * 36):
        c.send(half)
        assert taken.exactly(len(half)) == half
    c.request("RPC_OUT_DATA", "mbx:6001", 76, [message(3)])
    c.send(b"z" * 76)
    assert taken.whole()[1] == b"z" * 76
    taken.send(OUT_HEAD)
    assert c.head().status == 200
    assert double.count == 1


def test_inner_ends_behind_401(server, double, opened):
    """Whoever sends the next message on another connection would begin
    again without knowing: the client's connection ends as well."""
    c = opened(server())
    c.request("RPC_OUT_DATA", "mbx:6001", 0, [message(1)])
    taken = double.take()
    taken.whole()
    taken.send(answer("401 Unauthorized", b"no", "Connection: close",
                      "WWW-Authenticate: NTLM VFdP"))
    taken.close()
    head, _ = c.response()
    assert head.headers.get("connection", "").lower() == "close"
    assert c.rest() == b""
    assert double.count == 1


@pytest.mark.parametrize("how", ["close", "reset"])
def test_inner_ends_while_the_client_thinks(server, double, opened, how):
    """Behind a 401 that promised to go on. A fresh connection has no
    challenge of the next message; what it says is the last thing that the
    client's connection hears."""
    c = opened(server())
    c.request("RPC_OUT_DATA", "mbx:6001", 0, [message(1)])
    taken = double.take()
    taken.whole()
    taken.send(challenge("VFdP"))
    assert c.response()[0].status == 401
    getattr(taken, how)()
    c.request("RPC_OUT_DATA", "mbx:6001", 0, [message(1)])
    again = double.take()
    again.whole()
    again.send(challenge("VFdQ"))
    head, _ = c.response()
    assert head.status == 401
    assert head.headers["connection"].lower() == "close"
    assert c.rest() == b""


def test_client_leaves_behind_401(server, double, opened, log):
    """Its inner connection goes with it; the next client gets its own."""
    log.allow("RPX0543")           # the last one gets no answer
    c = opened(server())
    c.request("RPC_OUT_DATA", "mbx:6001", 0, [message(1)])
    taken = double.take()
    taken.whole()
    taken.send(challenge("VFdP"))
    assert c.response()[0].status == 401
    c.close()
    assert taken.rest() == b""
    other = opened(server())
    other.request("RPC_OUT_DATA", "mbx:6001", 0, [message(1)])
    assert double.take() is not taken
    assert double.count == 2


def test_idle_pin_ends(front, double, opened):
    """httpd closes a client connection that is idle for KeepAliveTimeout,
    and the inner one with it."""
    server = front(*passes(double.url()), server=("KeepAliveTimeout 1",))
    c = opened(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 0, [message(1)])
    taken = double.take()
    taken.whole()
    taken.send(challenge("VFdP"))
    assert c.response()[0].status == 401
    assert c.rest() == b""
    assert taken.rest() == b""


def test_other_member(front, double, inner, opened):
    """A second request of the client's connection that goes elsewhere."""
    second = inner()
    server = front(*passes(double.url()),
                   f'ProxyPass "/other" "{second.url()}"')
    c = opened(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 0)
    taken = double.take()
    taken.whole()
    taken.send(answer(body=b"one"))
    assert c.response()[1] == b"one"
    c.request("RPC_OUT_DATA", "mbx:6001", 0, path="/other/rpcproxy.dll")
    there = second.take()
    there.whole()
    there.send(answer(body=b"two"))
    assert c.response()[1] == b"two"


# ---- many -------------------------------------------------------------------

def handshakes(taken):
    """An inner proxy whose challenge is the connection's own: message 3
    must name it."""
    token = base64.b64encode(os.urandom(12)).decode()
    while True:
        head, body = taken.whole()
        sent = head.get("Authorization")
        if sent is None:
            taken.send(challenge(""))
            continue
        raw = base64.b64decode(sent.partition(" ")[2])
        if raw[8] == 1:
            taken.send(challenge(token, body=raw[12:]))
        else:
            assert raw[12:].rstrip(b"\0") == token.encode()
            taken.send(answer(body=token.encode() + body))


def one_client(server, tls, number, errors, path="/rpc/rpcproxy.dll"):
    try:
        c = channel(server, tls)
        for n in range(5):
            mine = b"%d/%d" % (number, n)
            c.request("RPC_OUT_DATA", "mbx:6001", 0,
                      [message(1, more=mine)], path=path)
            head, body = c.response()
            assert body.rstrip(b"\0") == mine, (body, mine)
            token = head.headers["www-authenticate"].partition(" ")[2]
            # message 3 goes on as a stream that its handler does not end
            c.request("RPC_OUT_DATA", "mbx:6001", 76,
                      [message(3, more=token.encode())], path=path)
            c.send(mine.ljust(76))
            head, body = c.response()
            assert body == token.encode() + mine.ljust(76)
            if head.headers.get("connection", "").lower() == "close":
                c.rest()
                c.close()
                c = channel(server, tls)
        c.close()
    except Exception as e:
        errors.append(f"{number}: {type(e).__name__}: {e}")


@each_way
def test_handshakes_side_by_side(server, inner, tls, way):
    """Twenty clients in threads, each with several handshakes."""
    double = inner(handshakes)
    front = server(way, double)
    errors = []
    clients = [threading.Thread(target=one_client, daemon=True, args=(
        front, (None, tls)[n % 2], n, errors)) for n in range(20)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join(60)
    assert not errors, errors
    assert double.count >= 20
    env.wait_until(lambda: all(t.sock.fileno() < 0 for t in double.taken),
                   "the inner connections to end")
