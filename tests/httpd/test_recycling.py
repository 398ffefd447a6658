# SPDX-License-Identifier: Apache-2.0
"""Channel recycling through a real httpd (MS-RPCH 3.2.1.5.3): successors in
the same child, another one, another generation and another proxy; and
successors that are none."""

import os
import signal

import pytest

import engine_rig
import env
import logs
import rawclient
import recycling
import rpc
import rts
from httpd import Httpd
from httpd_conf import Conf

KINDS = ["tcp", "http", "own"]
MPMS = ["event", "worker", "prefork"]
#: Each of both with each; under worker and prefork, which drive channels in the
#: same way, one kind of back end stands for the others.
PAIRS = [pytest.param(mpm, kind, id=f"{kind}-{mpm}",
                      marks=() if mpm == "event" or kind == "http"
                      else pytest.mark.full)
         for mpm in MPMS for kind in KINDS]
each_pair = pytest.mark.parametrize("mpm,kind", PAIRS)
#: The least lifetime of an OUT channel.
SHORT = ("RpcProxyChannelLifetime 128K",)
PART = 20000


def target(kind):
    return {"tcp": "echo.tcp:1", "http": "strict.http:1",
            "own": "own.http:1"}[kind]


@pytest.fixture
def fields(backends, recycling_server):
    """The fields of a Conf whose native server recycles."""
    def get(**more):
        f = backends.fields(**more)
        f["ports"] += ("strict.http:1",)
        f["routes"] += (f"strict.http to=127.0.0.1:{recycling_server.port}",)
        return f
    return get


@pytest.fixture
def recycler():
    """recycler(httpd, kind, ...): an open Recycler with its calls."""
    made = []

    def get(server, kind, tls=None, **options):
        client = recycling.Recycler(server.address(tls is not None, False),
                                    target(kind), tls=tls,
                                    **{"timeout": 30, **options})
        made.append(client)
        return client.open(), client.calls(fragment=5840)
    yield get
    for client in made:
        client.close()


def works(calls):
    """Answers what was asked last, and then one call more."""
    if calls.pipe.due:
        calls.pipe.due = False
        assert len(calls.answer()) >= PART
    data = os.urandom(PART)
    return calls.echo(data) == data


def until_asked(client, calls):
    """Uses C-OUT up until the server asks for another one. The last answer
    may not fit any more: works() takes it from the successor."""
    for _ in range(20):
        calls.call_id += 1
        client.send_rpc(rpc.request(rpc.SOURCE_DATA,
                                    PART.to_bytes(4, "little"),
                                    calls.call_id)[0])
        client.due = True
        while client.due and not client.wanted_out:
            client.queue_one()
            client.due = not (client.queue and client.queue[-1][3] & 0x02)
        if client.due:
            return
        assert len(calls.answer()) >= PART
        if client.wanted_out:
            return
    raise AssertionError("no OUT_R1/A2 within twice the lifetime")


def lines(server, mark, tag, *words):
    return [e for e in server.errors.since(mark)
            if tag in e and all(w in e for w in words)]


def wait_lines(server, mark, n, tag, *words):
    """Waits for the line that makes it n; there must not be more."""
    env.wait_until(lambda: len(lines(server, mark, tag, *words)) >= n,
                   f"{n} lines with {tag}")
    found = lines(server, mark, tag, *words)
    assert len(found) == n, found
    return found


@each_pair
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_in_place(httpd, fields, recycler, tls, mpm, kind, secure):
    """IN_R2 and OUT_R2 again and again, with data in between."""
    server = httpd(mpm=mpm, **fields(location=SHORT))
    client, calls = recycler(server, kind, tls if secure else None)
    for i in range(12):
        assert client.recycle_in() == "IN_R2"
        assert works(calls)
        until_asked(client, calls)
        client.start_out_successor()
        assert client.finish_out_successor(early_c1=i % 2 == 0) == "OUT_R2"
        assert works(calls)
    status = server.status()
    assert status["connections"] == 1 and status["channels_in"] == 1
    assert status["channels_out"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_between_the_loops(scratch, certs, log, fields, recycler, kind):
    """Halves of one connection whose channels are driven by the reactor, and
    by a thread of their own: from one generation to the next."""
    server = Httpd(scratch, certs, Conf(**fields(
        location=SHORT, server=("RpcProxyAsync Auto",))))
    server.start()
    log.watch(server)
    conf = server.dir / "httpd.conf"
    client, calls = recycler(server, kind)
    for i in range(6):
        text = conf.read_text()
        ways = ("Auto", "Off") if i % 2 == 0 else ("Off", "Auto")
        assert f"RpcProxyAsync {ways[0]}\n" in text
        conf.write_text(text.replace(*(f"RpcProxyAsync {w}\n"
                                       for w in ways)))
        server.graceful()
        for step in ("in", "out") if i < 3 else ("out", "in"):
            if step == "in":
                assert client.recycle_in() == "IN_R2"
            else:
                until_asked(client, calls)
                assert client.recycle_out() == "OUT_R2"
            assert works(calls)
    client.close()
    server.wait_idle()
    server.stop()


@each_pair
def test_across_children(httpd, fields, recycler, mpm, kind):
    """The leg moves to the child that has the successor; the log says so."""
    server = httpd(mpm=mpm, children=4, **fields(location=SHORT))
    errors, access = server.errors.mark(), server.accesses.mark()
    client, calls = recycler(server, kind)
    pids, n = {"in": set(), "out": set()}, 0

    def moved():
        for a in server.access_since(access):
            if a.channel in pids:
                pids[a.channel].add(a.pid)
        return all(len(p) > 1 for p in pids.values())
    while not moved():
        assert client.recycle_in() == "IN_R2"
        until_asked(client, calls)
        assert client.recycle_out() == "OUT_R2"
        assert works(calls)
        n += 1
        assert n < 60, pids
    client.close()
    server.wait_idle()
    for tag in ("RPX0313", "RPX0314"):
        for way in ("IN", "OUT"):
            wait_lines(server, errors, n, tag, f"{way} channel")
    [summary] = wait_lines(server, errors, 1, "RPX0312")
    assert summary.count(f"{n} recycled") == 2, summary


@each_pair
def test_into_another_generation(httpd, fields, recycler, mpm, kind):
    """After a graceful restart a client that recycles moves over, and the
    old children can end."""
    server = httpd(mpm=mpm, **fields(location=SHORT, server=("# moves",)))
    client, calls = recycler(server, kind)
    for _ in range(2):
        old = server.graceful()
        # Idle children of prefork may take one more connection as they go.
        env.wait_until(lambda: len(old & set(server.children())) <= 2,
                       "the idle children to leave")
        assert client.recycle_in() == "IN_R2"
        assert works(calls)
        until_asked(client, calls)
        assert client.recycle_out() == "OUT_R2"
        assert works(calls)
        env.wait_until(lambda: not old & set(server.children()),
                       "the old children to end")
    assert works(calls)


@pytest.mark.parametrize("kind", ["http", "own"])
def test_through_another_proxy(httpd, fields, recycler, kind):
    """Two httpds that know nothing of each other: IN_R1 and OUT_R1, there
    and back again."""
    first = httpd(mpm="event", **fields(location=SHORT))
    second = httpd(mpm="worker", **fields(location=SHORT))
    marks = {s: s.errors.mark() for s in (first, second)}
    client, calls = recycler(first, kind)
    for i in range(6):
        there = (second, first)[i % 2].address(False, False)
        assert client.recycle_in(there) == "IN_R1"
        assert works(calls)
        until_asked(client, calls)
        assert client.recycle_out(there) == "OUT_R1"
        assert works(calls)
    client.close()
    for server in (first, second):
        server.wait_idle()
        for way in ("IN", "OUT"):
            wait_lines(server, marks[server], 3, "RPX0313",
                       f"{way} channel")


@pytest.mark.parametrize("kind", ["http", "own"])
def test_halves_of_two_proxies(httpd, fields, recycler, kind):
    """IN and OUT by different proxies, changed crosswise."""
    first = httpd(mpm="event", **fields(location=SHORT))
    second = httpd(mpm="worker", **fields(location=SHORT))
    a, b = (s.address(False, False) for s in (first, second))
    client, calls = recycler(first, kind)
    assert client.recycle_in(b) == "IN_R1"
    until_asked(client, calls)
    assert client.recycle_out() == "OUT_R2"
    assert works(calls)
    assert client.recycle_in(b) == "IN_R2"
    until_asked(client, calls)
    assert client.recycle_out(b) == "OUT_R1"
    assert client.recycle_in(a) == "IN_R1"
    assert works(calls)


def refused(channel, log, tag):
    """The successor is answered as an unreachable server is."""
    head = channel.head()
    assert (head.status, head.reason) == (503, "RPC Error: 6ba")
    channel.rest()
    channel.close()
    log.expect(tag)


@pytest.mark.parametrize("kind", KINDS)
def test_bad_newcomers(httpd, fields, recycler, log, kind):
    """Whatever is wrong with a successor is its own end; the connection that
    it wanted goes on."""
    server = httpd(mpm="event", **fields(location=SHORT))
    client, calls = recycler(server, kind)
    wrong = os.urandom(16)
    other = (env.OTHER_USER, env.OTHER_PASSWORD)
    for make in (client.in_a1, client.out_a3):
        refused(make(pred=wrong), log, "RPX0326")
        refused(make(auth=other), log,
                "RPX0325" if kind == "tcp" else "RPX0321")
        refused(make(target="echo.tcp:2"), log, "RPX02")
        assert works(calls)
    assert client.recycle_in() == "IN_R2"
    until_asked(client, calls)
    assert client.recycle_out() == "OUT_R2"
    assert works(calls)


@pytest.mark.parametrize("kind", KINDS)
def test_unasked(httpd, fields, recycler, log, kind):
    """The server starts the recycling of OUT, nobody else."""
    server = httpd(mpm="event", **fields(location=SHORT))
    client, calls = recycler(server, kind)
    refused(client.out_a3(), log, "RPX0326")
    assert works(calls)
    until_asked(client, calls)
    assert client.recycle_out() == "OUT_R2"
    refused(client.out_a3(), log, "RPX0326")
    assert works(calls)


def test_unknown_connection(httpd, fields, recycler, log):
    """R1 cannot exist with ncacn_ip_tcp."""
    server = httpd(mpm="event", **fields(location=SHORT))
    client, calls = recycler(server, "tcp")
    for make in (client.in_a1, client.out_a3):
        refused(make(vc=os.urandom(16)), log, "RPX0325")
    assert works(calls)


@pytest.mark.parametrize("kind", KINDS)
def test_two_successors(httpd, fields, recycler, log, kind):
    """The second one is refused while the first waits."""
    server = httpd(mpm="event", **fields(location=SHORT))
    client, calls = recycler(server, kind)
    client.start_in_successor()
    a4 = client.until("IN_R2/A4")
    client.seen.insert(0, a4)
    refused(client.in_a1(), log, "RPX0326")
    assert works(calls)
    assert client.finish_in_successor() == "IN_R2"
    assert works(calls)


@pytest.mark.parametrize("kind", KINDS)
def test_successor_that_goes(httpd, fields, recycler, kind):
    """Before the switch nothing is lost with it: the predecessor goes on,
    and another successor can come."""
    server = httpd(mpm="event", **fields(location=SHORT))
    mark = server.errors.mark()
    client, calls = recycler(server, kind)
    for _ in range(3):
        client.start_in_successor()
        client.until("IN_R2/A4")
        client.in_next.reset()
        assert works(calls)
    env.wait_until(lambda: len(lines(server, mark, "RPX0315")) == 3,
                   "the ends of the successors in the log")
    assert client.recycle_in() == "IN_R2"
    assert works(calls)


@pytest.mark.parametrize("kind", ["tcp", "own"])
def test_wrong_a5(httpd, fields, recycler, log, kind):
    """3.2.3.5.6: the successor is closed, the connection goes on."""
    server = httpd(mpm="event", **fields(location=SHORT))
    client, calls = recycler(server, kind)
    client.start_in_successor()
    client.until("IN_R2/A4")
    client.cin.send(rts.make("IN_R1/A5", os.urandom(16)))
    assert client.in_next.rest().startswith(b"HTTP/1.1 503 RPC Error: 6ba")
    log.expect("RPX0326")
    assert works(calls)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_a7(httpd, fields, recycler, log, kind):
    """3.2.5.5.13: the server refuses the successor and ends it all."""
    server = httpd(mpm="event", **fields(location=SHORT))
    client, calls = recycler(server, kind)
    log.allow("RPX034[01]", "RPX0326")
    until_asked(client, calls)
    client.start_out_successor()
    client.until("OUT_R2/A6")
    client.cin.send(rts.make("OUT_R2/A7", rts.FD_SERVER, os.urandom(16), 1))
    client.cout.rest()
    client.cin.rest()
    client.out_next.rest()
    server.wait_idle()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["in", "out"])
def test_predecessor_that_dies(httpd, fields, recycler, log, kind, way):
    """The child of the holder is killed while a successor waits."""
    server = httpd(mpm="prefork", **fields(location=SHORT,
                                           server=(f"# dies {way}",)))
    log.allow("RPX0302", "RPX0326", "exit signal", "RPX0325", "RPX0320",
              "RPX034")
    client, calls = recycler(server, kind)
    if way == "in":
        client.start_in_successor()
        client.until("IN_R2/A4")
    else:
        until_asked(client, calls)
        client.start_out_successor()
        client.until("OUT_R2/A6")
    opened = [e for e in server.errors.since(0) if "RPX0310" in e
              and f"{way.upper()} channel" in e]
    pid = logs.Line(opened[-1]).pid
    os.kill(pid, signal.SIGKILL)
    client.cin.rest()
    client.cout.rest()
    (client.in_next or client.out_next).rest()
    server.wait_idle()


@pytest.mark.parametrize("kind", KINDS)
def test_not_forwarded_to_samba(httpd, fields, recycler, log, kind):
    """A quiet client cannot be asked to recycle: its channel ends at its
    lifetime, and the log names that."""
    server = httpd(mpm="event", **fields(
        location=SHORT, server=("SetEnvIf User-Agent MSRPC rpcproxy-quiet",)))
    log.allow("RPX034")
    mark = server.errors.mark()
    client, calls = recycler(server, kind, ack=False, timeout=30)
    with pytest.raises(EOFError):
        for _ in range(12):
            calls.source(PART)
    assert not client.wanted_out
    client.close()
    server.wait_idle()
    assert lines(server, mark, "RPX031", "OUT channel")


@pytest.mark.parametrize("kind", KINDS)
def test_limit_per_user(httpd, fields, recycler, kind):
    """A successor is no channel more: the limit lets it in."""
    server = httpd(mpm="event", **fields(
        location=SHORT + ("RpcProxyMaxPerUser 2",)))
    client, calls = recycler(server, kind)
    for _ in range(3):
        assert client.recycle_in() == "IN_R2"
        until_asked(client, calls)
        assert client.recycle_out() == "OUT_R2"
        assert works(calls)


def test_short_body(httpd, fields, recycler, log):
    """A successor OUT request whose body ends before OUT_R2/C1."""
    server = httpd(mpm="event", **fields(location=SHORT))
    client, calls = recycler(server, "tcp")
    until_asked(client, calls)
    channel = client.out_a3(length=96)
    log.allow("RPX0340")
    assert b" 200 " not in channel.rest()
    channel.close()
    assert client.recycle_out() == "OUT_R2"
    assert works(calls)


@pytest.mark.parametrize("kind", KINDS)
def test_next_but_one(httpd, fields, recycler, kind):
    """The successor of a successor asks before its predecessor has the leg:
    it is told to ask again, not refused."""
    server = httpd(mpm="event", **fields(location=SHORT))
    client, calls = recycler(server, kind)
    early(client, server.address(), server.address(), "IN_R2")
    assert works(calls)


def test_back_at_once(httpd, fields, recycler):
    """A channel goes to another proxy and comes back before the old channel
    there has ended: its predecessor is not the one that still holds it."""
    first = httpd(mpm="event", **fields(location=SHORT))
    second = httpd(mpm="worker", **fields(location=SHORT))
    client, calls = recycler(first, "own")
    early(client, second.address(), first.address(), "IN_R1")
    assert works(calls)
    until_asked(client, calls)
    assert client.recycle_out(second.address()) == "OUT_R1"
    assert works(calls)
    until_asked(client, calls)
    assert client.recycle_out(first.address()) == "OUT_R1"
    assert works(calls)


def test_idle_successors_are_quiet(httpd, fields, recycler):
    """Once a channel has succeeded, by either form, it waits for events and
    for nothing else."""
    first = httpd(mpm="event", **fields(location=SHORT))
    second = httpd(mpm="worker", **fields(location=SHORT))
    for there, form in ((second, "R1"), (first, "R2")):
        client, calls = recycler(first, "own")
        assert client.recycle_in(there.address()) == f"IN_{form}"
        until_asked(client, calls)
        assert client.recycle_out(there.address()) == f"OUT_{form}"
        assert works(calls)
        for server in (first, second):
            engine_rig.wait_still(server.children(), f"{form} of {server}")


def early(client, there, then, form):
    """Two successors of IN; the second asks before IN_Rx/A5 of the first."""
    client.start_in_successor(there)
    a4 = client.until(f"{form}/A4")
    succ = os.urandom(16)
    second = client.in_a1(then, pred=client.in_succ, succ=succ)
    assert second.silent(0.5)
    client.seen.insert(0, a4)
    assert client.finish_in_successor() == form
    client.in_next, client.in_succ = second, succ
    assert client.finish_in_successor() == form
