# SPDX-License-Identifier: Apache-2.0
"""How requests of the front end: by the client or the inner proxy, at every
stage; always with a line in the access log that says why, with the other side
told, and with everything given back."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

import env
import rts
from engine_rig import connection_count, holder
from front_inner import CHUNKED_HEAD, OUT_HEAD, challenge, chunk
from front_rig import channel, each_way, of_way, passes
from reactor_rig import NARROW, Narrow, wait_flat
from test_front_pins import message

GIB = 1 << 30
BLOCK = bytes(65536)


@pytest.fixture
def server(front, double):
    def get(way=("event", "Auto"), location=()):
        fields = of_way(way)
        fields["server"] += (*NARROW, "KeepAliveTimeout 1")
        return front(*passes(double.url(), "ProxyTimeout 3"),
                     location=location, **fields)
    return get


# ---- stages: the client's connection and the inner one ----------------------

def asked(c, double):
    """The inner proxy has not answered."""
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    c.send(bytes(76))
    taken = double.take()
    taken.request()
    taken.exactly(76)
    return taken


def unread(c, double):
    """The inner proxy has not looked at the request."""
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    c.send(bytes(76))
    return double.take()


def half_a_body(c, double):
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    c.send(bytes(40))
    taken = double.take()
    taken.request()
    taken.exactly(40)
    return taken


def half_a_head(c, double):
    taken = asked(c, double)
    taken.send(OUT_HEAD[:30])
    return taken


def refused(c, double):
    """Between the first and the second message of a handshake."""
    c.request("RPC_OUT_DATA", "mbx:6001", 0, [message(1)])
    taken = double.take()
    taken.whole()
    taken.send(challenge("VFdP"))
    assert c.response()[0].status == 401
    return taken


def held(c, double):
    """A leg of a handshake whose answer is not there yet: the worker
    waits."""
    c.request("RPC_OUT_DATA", "mbx:6001", 0, [message(1)])
    taken = double.take()
    taken.request()
    return taken


def half_a_refusal(c, double):
    taken = held(c, double)
    taken.send(challenge("VFdP", body=bytes(1000))[:-500])
    assert c.head().status == 401
    c.exactly(500)
    return taken


def out_open(c, double):
    taken = asked(c, double)
    taken.send(OUT_HEAD + rts.make("Ping"))
    assert c.head().status == 200
    c.exactly(20)
    return taken


def half_a_pdu(c, double):
    taken = out_open(c, double)
    taken.send(rts.make("Ping")[:10])
    c.exactly(10)
    return taken


def half_a_chunk(c, double):
    taken = asked(c, double)
    taken.send(CHUNKED_HEAD + chunk(b"12345")[:-4])
    assert c.head().status == 200
    return taken


def in_open(c, double):
    c.request("RPC_IN_DATA", "mbx:6001", GIB)
    taken = double.take()
    taken.request()
    c.send(bytes(200))
    taken.exactly(200)
    return taken


def push(sock, patience=0.3):
    """Until nobody takes any more, for so many seconds."""
    old = sock.gettimeout()
    sock.settimeout(patience)
    try:
        while True:
            sock.sendall(BLOCK)
    except OSError:
        pass
    sock.settimeout(old)


def deaf_inner(c, double):
    taken = in_open(c, double)
    push(c.sock)
    return taken


def deaf_client(c, double):
    taken = out_open(c, double)
    push(taken.sock)
    return taken


STAGES = [unread, asked, half_a_body, half_a_head, refused, held,
          half_a_refusal, out_open, half_a_pdu, half_a_chunk, in_open,
          deaf_inner, deaf_client]
HOWS = ["close", "reset", "half"]


def end(connection, how):
    if how == "half":
        socket.socket.shutdown(connection.sock, socket.SHUT_WR)
    else:
        getattr(connection, how)()


def is_closed(connection):
    """Reads what is left until the other side has closed."""
    connection.sock.settimeout(20)
    try:
        while connection.sock.recv(1 << 20):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def wait_ends(server, mark, n, began=True):
    """n lines more in the access log, each with why it ended; began: all of
    them got as far as that."""
    try:
        env.wait_until(lambda: len(server.access_since(mark)) >= n, "lines")
    except env.Timeout:
        pass
    found = server.access_since(mark)
    assert len(found) == n, found
    assert not began or all(a.end not in ("", "-") for a in found), found
    return found


def wait_unchanged(server, before, what):
    """Descriptors and threads. A child of prefork that has served nobody has
    less than it will have."""
    if server.conf.mpm == "prefork":
        most = tuple(max(r) for r in zip(*before.values()))
        before = dict.fromkeys(before, most)
    wait_flat(server, before, what)


def connect(server, stage, secure):
    kind = Narrow if stage is deaf_client else channel
    if kind is Narrow:
        return Narrow(server.address(secure is not None), secure)
    return channel(server, secure)


#: By reset and FIN in clear text under event, all others on demand.
ENDS = [pytest.param(way, secure, how, id=f"{way[0]}-{way[1]}-{secure}-{how}",
                     marks=() if way == ("event", "Auto") and not secure
                     and how != "half" else pytest.mark.full)
        for way in (("event", "Auto"), ("event", "Off"), ("worker", "Auto"),
                    ("prefork", "Auto"))
        for secure in (False, True) for how in HOWS
        if not (secure and how == "half")]


@pytest.mark.parametrize("way,secure,how", ENDS)
@pytest.mark.parametrize("stage", STAGES)
def test_client_is_gone(server, double, log, tls, stage, way, secure, how):
    """The inner connection ends as well, whatever it was waiting for. A
    client that only says that it sends no more is one that has left."""
    server = server(way)
    log.allow("RPX0543")
    before = None
    for _ in range(2):
        mark = server.accesses.mark()
        c = connect(server, stage, tls if secure else None)
        taken = stage(c, double)
        end(c, how)
        assert is_closed(taken)
        wait_ends(server, mark, 1)
        if how == "half":
            assert is_closed(c)
        c.close()
        taken.close()
        env.wait_until(lambda: connection_count(server) == 0, "no others")
        before = before or server.resources()
    wait_unchanged(server, before, stage.__name__)


#: What the client is told when the inner proxy goes: nothing but the end of
#: its connection where the response has begun.
TOLD = {asked: 502, half_a_body: 502, half_a_head: 502, held: 502,
        in_open: 502, deaf_inner: 502}


@pytest.mark.parametrize("way,secure,how", ENDS)
@pytest.mark.parametrize("stage", [s for s in STAGES if s is not deaf_client])
def test_inner_is_gone(server, double, log, tls, stage, way, secure, how):
    server = server(way)
    if stage not in (in_open, deaf_inner):   # whose answer is not due
        log.allow("RPX0543", "RPX0526", "RPX0533", "RPX0534")
    before = None
    for _ in range(2):
        mark = server.accesses.mark()
        c = connect(server, stage, tls if secure else None)
        taken = stage(c, double)
        end(taken, how)
        if stage is unread:        # by a reset even before the head was sent
            assert c.head().status in (502, 503)
        elif stage in TOLD:
            assert c.head().status == TOLD[stage]
        if stage is half_a_chunk:
            assert not c.rest().endswith(b"0\r\n\r\n")
        assert is_closed(c)
        assert is_closed(taken) if how == "half" else True
        wait_ends(server, mark, 1, stage is not unread)
        c.close()
        taken.close()
        env.wait_until(lambda: connection_count(server) == 0, "no others")
        before = before or server.resources()
    wait_unchanged(server, before, stage.__name__)


@each_way
@pytest.mark.parametrize("stage", [deaf_client, deaf_inner])
def test_stall(server, double, log, way, stage):
    """Nobody takes what waits: RpcProxyStallTimeout ends it."""
    log.expect("RPX054[23]: .*RpcProxyStallTimeout")
    server = server(way, ("RpcProxyStallTimeout 1s",))
    mark = server.accesses.mark()
    c = connect(server, stage, None)
    taken = stage(c, double)
    [line] = wait_ends(server, mark, 1)
    assert "RpcProxyStallTimeout" in line.end
    assert line.status == (200 if stage is deaf_client else 504)
    c.close()
    taken.close()


@each_way
def test_idle(front, double, log, way):
    """RpcProxyIdleTimeout, which every byte puts off."""
    log.expect("RPX054[23]: .*RpcProxyIdleTimeout")
    server = front(*passes(double.url()), **of_way(way),
                   location=("RpcProxyIdleTimeout 4s",))
    mark = server.accesses.mark()
    c, later = channel(server), channel(server)
    taken = out_open(c, double)
    other = out_open(later, double)
    ping = rts.make("Ping")
    while not server.access_since(mark):
        other.send(ping)
        assert later.exactly(len(ping)) == ping
    [line] = server.access_since(mark)
    assert "RpcProxyIdleTimeout" in line.end
    assert line.status == 200
    assert is_closed(taken)
    other.send(ping)
    assert later.exactly(len(ping)) == ping
    c.close()
    later.close()


def is_stopped(pid):
    """All threads of a process are."""
    return all(stat.read_text().rpartition(")")[2].split()[0] == "T"
               for stat in Path(f"/proc/{pid}/task").glob("*/stat"))


@each_way
@pytest.mark.parametrize("back", [False, True], ids=["in", "out"])
def test_data_at_the_deadline(front, double, way, back):
    """A child that was late finds both that the time is over and that
    something came: the stream lives on."""
    server = front(*passes(double.url()), **of_way(way),
                   location=("RpcProxyIdleTimeout 3s",))
    c = channel(server)
    taken = (out_open if back else in_open)(c, double)
    sender, receiver = (taken, c) if back else (c, taken)
    pid = holder(server, c)
    os.kill(pid, signal.SIGSTOP)
    try:
        env.wait_until(lambda: is_stopped(pid), "the child to be stopped")
        over = time.monotonic() + 4
        sender.send(b"in time")
        env.wait_until(lambda: time.monotonic() > over, "the deadline")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert receiver.exactly(7) == b"in time"
    sender.send(b"and later")
    assert receiver.exactly(9) == b"and later"
    c.close()
    taken.close()
