# SPDX-License-Identifier: Apache-2.0
"""What streams through the front cost: no workers, bounded memory where
somebody does not read, nothing that is left behind."""

import hashlib
import random
import selectors
import signal
import threading

import pytest

import env
import rts
from engine_rig import connection_count, wait_still
from front_inner import OUT_HEAD, answer, challenge
from front_rig import Front, FrontConf, channel, each_way, of_way, passes
from reactor_rig import (NARROW, Narrow, get, graceful_stop, processor_idle,
                         wait_flat, workers)
from test_front_end import push
from test_front_pins import message
from test_memory import CONNECTIONS, KIB, ONE_CHILD, private

GIB = 1 << 30
PING = rts.make("Ping")


@pytest.fixture
def own_front(scratch, certs, log):
    made = []

    def start(double, **fields):
        server = Front(scratch, certs, FrontConf(
            lines=passes(double.url()), **fields))
        made.append(server)
        server.start()
        log.watch(server)
        return server
    yield start
    for server in made:
        if server.process and server.process.alive():
            server.wait_idle()
            server.stop()


def open_out(c, double):
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    c.send(bytes(76))
    taken = double.take()
    taken.request()
    assert taken.exactly(76) == bytes(76)
    taken.send(OUT_HEAD + PING)
    assert c.head().status == 200
    assert c.exactly(20) == PING
    return taken


def open_in(c, double):
    c.request("RPC_IN_DATA", "mbx:6001", GIB)
    taken = double.take()
    taken.request()
    c.send(PING)
    assert taken.exactly(20) == PING
    return taken


# ---- workers ----------------------------------------------------------------

def test_fifty_streams_no_worker(front, double, kept, tls):
    """Over eight workers, two children; ordinary pages are served beside
    them, and no processor is used."""
    server = front(*passes(double.url()), threads=4,
                   server=workers(2, 4))
    env.wait_until(lambda: server.busy() == 0, "no worker at work")
    live = []
    for n in range(25):
        context = (None, tls)[n % 2]
        for work in (open_out, open_in):
            c = kept(channel(server, context))
            live.append((c, work(c, double), work))
    env.wait_until(lambda: server.busy() == 0, "no worker at work")
    assert b"another site" in get(server)
    processor_idle(server, "fifty streams")
    for c, taken, work in live:
        sender, receiver = (taken, c) if work is open_out else (c, taken)
        sender.send(PING)
        assert receiver.exactly(20) == PING


def test_waiting_for_answers_holds_none(front, double, kept):
    """Streams whose inner proxy has not answered yet."""
    server = front(*passes(double.url()), threads=4, server=workers(2, 4))
    live = []
    for _ in range(20):
        c = kept(channel(server))
        c.request("RPC_OUT_DATA", "mbx:6001", 76)
        c.send(bytes(76))
        taken = double.take()
        taken.request()
        live.append((c, taken))
    env.wait_until(lambda: server.busy() == 0, "no worker at work")
    for c, taken in live:
        taken.send(OUT_HEAD)
        assert c.head().status == 200


# ---- who does not read ------------------------------------------------------

def random_bytes(n):
    return random.Random(n).randbytes(n)


@each_way
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("back", [False, True], ids=["in", "out"])
def test_reader_that_waits(front, double, kept, tls, way, secure, back):
    """The sender is stopped, and all of it arrives later."""
    fields = of_way(way)
    fields["server"] += NARROW
    server = front(*passes(double.url()), **fields)
    kind = Narrow if back else channel
    c = kept(Narrow(server.address(secure), tls if secure else None)
               if kind is Narrow else channel(server, tls if secure else None))
    taken = (open_out if back else open_in)(c, double)
    sender, receiver = (taken, c) if back else (c, taken)
    data = random_bytes(30000000)
    sent = threading.Event()

    def send():
        sender.send(data)
        sent.set()
    threading.Thread(target=send, daemon=True).start()
    # what the kernel takes is no measure; 30 MB it does not take
    assert not sent.wait(1)
    got = hashlib.sha256()
    left = len(data)
    while left:
        part = receiver.exactly(min(left, 100000))
        got.update(part)
        left -= len(part)
    assert got.digest() == hashlib.sha256(data).digest()
    assert sent.wait(20)


def fill(socks, pid):
    """Until none of them takes any more. Patience beyond a second would have
    the child trim its streams (TRIM_MSEC), unlike the idle ones."""
    def stand():
        with selectors.DefaultSelector() as poll:
            for sock in socks:
                poll.register(sock, selectors.EVENT_WRITE)
            taking = [key.fileobj for key, _ in poll.select(0)]
        threads = [threading.Thread(target=push, daemon=True, args=(s, 1))
                   for s in taking]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        if taking:
            wait_still([pid], "the child to be at rest")
        return not taking
    env.wait_until(stand, "the senders to stand", 60)


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("back", [False, True], ids=["in", "out"])
def test_memory_is_bounded(own_front, inner, kept, tls, secure, back):
    """Against as many streams that are idle."""
    double = inner(small=True)
    server = own_front(double, children=1, server=ONE_CHILD)
    [pid] = server.children()
    context = tls if secure else None

    def stream():
        c = kept(Narrow(server.address(secure), context))
        return c, (open_out if back else open_in)(c, double)
    for _ in range(2):             # what the first ones cost, for all
        c, _ = stream()
        c.close()
    server.wait_idle()
    before = private(pid)
    live = [stream() for _ in range(CONNECTIONS)]
    wait_still([pid], "the child to be at rest")
    idle = private(pid)
    fill([(taken if back else c).sock for c, taken in live], pid)
    full = private(pid)
    each_idle = (idle - before) / CONNECTIONS
    each_full = (full - idle) / CONNECTIONS
    print(f"idle {each_idle:.0f}, full {each_full:.0f} more")
    assert 0 < each_idle < 128 * KIB
    assert each_full <= 128 * KIB


# ---- what is left -----------------------------------------------------------

def churner(taken):
    """An inner proxy that answers by what the target says."""
    while True:
        head = taken.request()
        what = head.uri.partition("?")[2].partition(":")[0]
        if what == "cut":
            return taken.reset()
        if head.get("Authorization"):
            taken.send(challenge("VFdP"))
            continue
        if what == "refuse":
            return taken.send(answer("503 RPC Error: 6ba", b"no"))
        if what == "middle":
            taken.send(OUT_HEAD + PING)
            return taken.reset()
        if what == "half":
            return taken.send(OUT_HEAD[:20])
        if what == "body":
            taken.exactly(10)
            return None
        taken.send(OUT_HEAD + PING)
        taken.rest()
        return None


WHATS = ("cut", "refuse", "middle", "half", "body", "stream", "stream")


def churn(server, tls, n, path="/rpc/rpcproxy.dll"):
    """n requests of all kinds, ended in all ways."""
    rng = random.Random(n)
    for i in range(n):
        c = channel(server, tls if i % 4 == 0 else None)
        what = WHATS[i % len(WHATS)]
        try:
            if i % 5 == 0:
                c.request("RPC_OUT_DATA", "mbx:1", 0, [message(1)],
                          path=path)
                assert c.response()[0].status == 401
            c.request(rng.choice(("RPC_OUT_DATA", "RPC_IN_DATA")),
                      f"{what}:1", rng.choice((76, GIB)), path=path)
            c.send(bytes(rng.choice((0, 10, 76))))
            if what == "stream" and i % 2:
                assert c.head().status == 200
                assert c.exactly(20) == PING
        except (EOFError, OSError):
            pass
        if rng.random() < 0.5 or (i % 4 == 0):
            c.close()
        else:
            c.reset()


@each_way
def test_nothing_is_left(own_front, inner, log, tls, way):
    """Descriptors, threads, connections; at the end the counters of httpd,
    for which it would wait."""
    log.allow("RPX0543", "RPX0526", "RPX0533")
    double = inner(churner)
    fields = of_way(way)
    fields["server"] += ("GracefulShutdownTimeout 0",)
    if way[0] == "prefork":
        fields["server"] += ("MaxSpareServers 150",)
    server = own_front(double, **fields)
    before = None
    for n in (60, 200):
        threads = [threading.Thread(target=churn, args=(server, tls, n))
                   for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)
        env.wait_until(lambda: connection_count(server) == 0, "no others")
        env.wait_until(lambda: all(t.sock.fileno() < 0
                                   for t in double.taken), "inner ones")
        before = before or server.resources()
    if way[0] != "prefork":        # which makes and ends children
        wait_flat(server, before, "churn")
    graceful_stop(server, signal.SIGWINCH)
