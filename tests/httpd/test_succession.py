# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between a channel and its successor: either of them is
cut, killed, stopped or flooded at any moment (MS-RPCH 3.2.1.5.3)."""

import os
import signal

import pytest

import env
import rawclient
import recycling
import rpc
import rts
import strict_recycling
from engine_rig import connection_count, holder, wait_still
from test_recycling import (KINDS, MPMS, PART, SHORT, fields, lines,
                            recycler, refused, until_asked, works)

__all__ = ["fields", "recycler"]     # fixtures


def both(client, calls):
    """Replaces both channels."""
    assert client.recycle_in() == "IN_R2"
    assert works(calls)
    until_asked(client, calls)
    assert client.recycle_out() == "OUT_R2"
    assert works(calls)


def lives(calls):
    """True when a call is answered; it uses little of a lifetime."""
    return calls.echo(b"lives") == b"lives"


def in_requests(server, mark):
    """The IN requests that have ended."""
    return [a for a in server.access_since(mark)
            if a.request.startswith("RPC_IN_DATA")]


def still(server, what):
    wait_still(server.children(), what)


@pytest.mark.parametrize("mpm", MPMS)
def test_quiet_after_r1(httpd, fields, recycler, mpm):
    """Successors with a connection of their own wait without using a
    processor."""
    first = httpd(mpm=mpm, **fields(location=SHORT))
    second = httpd(mpm=mpm, **fields(location=SHORT, server=("# other",)))
    client, calls = recycler(first, "own")
    there = second.address()
    client.start_in_successor(there)
    a4 = client.until("IN_R1/A4")
    client.seen.insert(0, a4)
    still(second, "IN_R1 before A5")
    assert client.finish_in_successor() == "IN_R1"
    still(second, "IN_R1 is over")
    assert works(calls)
    until_asked(client, calls)
    client.start_out_successor(there)
    a6 = client.until("OUT_R1/A6")
    client.seen.insert(0, a6)
    still(second, "OUT_R1 before A7")
    assert client.finish_out_successor() == "OUT_R1"
    still(second, "OUT_R1 is over")
    assert works(calls)


@pytest.fixture
def deaf(rpch_server):
    """A server that acknowledges nothing, until the test lets it."""
    server = strict_recycling.RecyclingServer(
        (rpch_server.host, rpch_server.tcp_port), window=8192, ack=False)
    yield server
    server.close()


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_predecessor_that_writes_long(httpd, fields, deaf, mpm):
    """Until it has written all, which may take RpcProxyStallTimeout, its
    successor waits, longer than RpcProxyHandshakeTimeout if need be."""
    conf = fields(location=("RpcProxyHandshakeTimeout 2s",))
    conf["ports"] += ("deaf.http:1",)
    conf["routes"] += (f"deaf.http to=127.0.0.1:{deaf.port}",)
    first = httpd(mpm=mpm, **conf)
    second = httpd(mpm=mpm, **{**conf, "server": ("# the other one",)})
    there = second.address(False, False)
    data = os.urandom(40000)
    with recycling.Recycler(first.address(False, False),
                            "deaf.http:1") as client:
        calls = client.open().calls()
        stub = len(data).to_bytes(4, "little") * 2 + data
        for pdu in rpc.request(rpc.ECHO_DATA, stub, calls.call_id):
            client.send_rpc(pdu)
        assert client.recycle_in(there) == "IN_R1"
        # The successor was there before this one, which is given up.
        late = rawclient.Channel(there)
        late.request("RPC_IN_DATA", client.target, client.IN_LENGTH,
                     auth=client.auth)
        late.rest()
        late.close()
        deaf.ack = True
        v = deaf.history[-1]
        v.legs["S-IN"].send(v.in_rx.ack(v.in_cookie))
        assert calls.answer()[4:] == data
        assert works(calls)
    deaf.check()


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("kind", KINDS)
def test_quiet_in_r2(httpd, fields, recycler, mpm, kind):
    """So do those that wait for a leg, and their predecessors."""
    server = httpd(mpm=mpm, **fields(location=SHORT))
    client, calls = recycler(server, kind)
    client.start_in_successor()
    client.seen.insert(0, client.until("IN_R2/A4"))
    still(server, "IN_R2 before A5")
    assert client.finish_in_successor() == "IN_R2"
    until_asked(client, calls)
    client.start_out_successor()
    client.seen.insert(0, client.until("OUT_R2/A6"))
    still(server, "OUT_R2 before A7")
    client.out_next.send(rts.make("OUT_R2/C1"))
    still(server, "OUT_R2 with C1, before A7")
    client.cin.send(rts.make("OUT_R2/A7", rts.FD_SERVER, client.out_succ, 1))
    client.seen.clear()
    client.until("OUT_R2/B3")
    client.switch_out()
    still(server, "OUT_R2 is over")
    assert works(calls)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_successor_that_closes(httpd, fields, recycler, mpm, kind):
    """An end without a reset is an end, too: another successor can come."""
    server = httpd(mpm=mpm, **fields(location=SHORT))
    mark = server.errors.mark()
    client, calls = recycler(server, kind)
    for n in range(1, 3):
        client.start_in_successor()
        client.until("IN_R2/A4")
        client.in_next.close()
        env.wait_until(lambda: len(lines(server, mark, "RPX0315")) == n,
                       "the end of the successor in the log", 30)
        assert works(calls)
    assert client.recycle_in() == "IN_R2"
    assert works(calls)


@pytest.mark.parametrize("kind", KINDS)
def test_successor_that_closes_out(httpd, fields, recycler, kind):
    server = httpd(mpm="event", **fields(location=SHORT))
    mark = server.errors.mark()
    client, calls = recycler(server, kind)
    until_asked(client, calls)
    client.start_out_successor()
    client.until("OUT_R2/A6")
    client.out_next.close()
    env.wait_until(lambda: len(lines(server, mark, "RPX0315")) == 1,
                   "the end of the successor in the log", 30)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["in", "out"])
def test_successor_that_is_killed(httpd, fields, recycler, log, kind, way):
    """The child of a successor dies before it has the leg: the predecessor
    goes on; and after it has it: the connection ends."""
    server = httpd(mpm="prefork", **fields(
        location=SHORT, server=(f"# kills {kind} {way}",)))
    log.allow("RPX0302", "exit signal", "RPX034", "RPX0311")
    client, calls = recycler(server, kind)
    if way == "in":
        client.start_in_successor()
        client.until("IN_R2/A4")
        os.kill(holder(server, client.in_next), signal.SIGKILL)
        client.in_next.rest()
        assert works(calls)
        assert client.recycle_in() == "IN_R2"
        assert works(calls)
        os.kill(holder(server, client.cin), signal.SIGKILL)
    else:
        until_asked(client, calls)
        assert client.recycle_out() == "OUT_R2"
        assert works(calls)
        os.kill(holder(server, client.cout), signal.SIGKILL)
    client.cin.rest()
    client.cout.rest()
    server.wait_idle()


@pytest.mark.parametrize("kind", KINDS)
def test_predecessor_that_left(httpd, fields, recycler, log, kind):
    """Once the leg has moved, nothing depends on who had it."""
    server = httpd(mpm="prefork", children=6, **fields(
        location=SHORT, server=(f"# left {kind}",)))
    log.allow("RPX0302", "exit signal")
    client, calls = recycler(server, kind)
    for _ in range(3):
        old = {holder(server, client.cin), holder(server, client.cout)}
        both(client, calls)
        new = {holder(server, client.cin), holder(server, client.cout)}
        for pid in old - new:
            os.kill(pid, signal.SIGKILL)
        assert works(calls)
    env.wait_until(lambda: server.status()["connections"] == 1,
                   "the table to settle")
    assert works(calls)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mpm", MPMS)
def test_flood_of_newcomers(httpd, fields, recycler, log, mpm, kind):
    """Many successors at once: one is taken, the others go, and none of
    what they had stays behind."""
    server = httpd(mpm=mpm, children=8, **fields(
        location=SHORT, server=(f"# flood {kind}",)))
    log.allow("RPX0326", "RPX0325")
    client, calls = recycler(server, kind)
    mark, errors = server.accesses.mark(), server.errors.mark()
    assert works(calls)
    for i in range(1, 4):
        flood = [client.in_a1() for _ in range(12)]
        client.seen.append(client.until("IN_R2/A4"))
        assert lives(calls)
        for channel in flood:
            channel.reset()
        assert lives(calls)
        env.wait_until(lambda: len(in_requests(server, mark)) == 12 * i,
                       "the newcomers to be gone", 20)

    def taken():
        """True once an A4 is for a newcomer that is still there."""
        # The holder looks at its newcomer between two calls.
        assert lives(calls) and lives(calls)
        gone = len(lines(server, errors, "RPX0315"))
        return sum(p.name == "IN_R2/A4" for p in client.seen) == gone + 1
    # Those that were taken after another one left have an A4, too, and what
    # they asked may still be on its way when they are gone.
    client.start_in_successor()
    env.wait_until(taken, "the successor to be taken", 20)
    assert client.finish_in_successor() == "IN_R2"
    assert works(calls)
    status = server.status()
    assert (status["channels_in"], status["channels_out"]) == (1, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mpm", MPMS)
def test_no_descriptor_stays(httpd, fields, recycler, mpm, kind):
    """After many recyclings, begun and given up or done, the children have
    no more than before."""
    server = httpd(mpm=mpm, **fields(location=SHORT))
    client, calls = recycler(server, kind)

    def settled():
        """The most that any child has, once only two connections are left."""
        for channel in client.old:
            channel.close()
        env.wait_until(lambda: connection_count(server) == 2,
                       "the predecessors to be gone", 30)
        return max(n for n, _ in server.resources().values())
    both(client, calls)
    before = settled()
    for _ in range(5):
        client.start_in_successor()
        client.until("IN_R2/A4")
        client.in_next.reset()
        assert lives(calls)
        settled()
    for _ in range(20):
        both(client, calls)
    # Both channels may be in one child now, and were not: that is four
    # descriptors more. A leak would be one for each of 45 successions.
    env.wait_until(lambda: settled() <= before + 8,
                   f"{before} descriptors or little more", 30)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mpm", MPMS)
def test_both_at_once(httpd, fields, recycler, mpm, kind):
    """IN and OUT are recycled at the same time, in every order."""
    server = httpd(mpm=mpm, **fields(location=SHORT))
    client, calls = recycler(server, kind)
    for i in range(8):
        until_asked(client, calls)
        if i & 1:
            client.start_in_successor()
            client.start_out_successor()
        else:
            client.start_out_successor()
            client.start_in_successor()
        a6 = client.until("OUT_R2/A6")
        a4 = client.until("IN_R2/A4")
        client.seen += [a6, a4]
        if i & 2:
            assert client.finish_in_successor() == "IN_R2"
            assert client.finish_out_successor() == "OUT_R2"
        else:
            assert client.finish_out_successor() == "OUT_R2"
            assert client.finish_in_successor() == "IN_R2"
        assert works(calls)


def ask_much(client, calls, n, times=1):
    """Asks for n bytes, and does not read the answer."""
    for _ in range(times):
        calls.call_id += 1
        client.send_rpc(rpc.request(rpc.SOURCE_DATA,
                                    n.to_bytes(4, "little"),
                                    calls.call_id)[0])


def large(fields, **more):
    """A Conf whose channels have more to move than a socket takes."""
    return fields(location=("RpcProxyChannelLifetime 384K",
                            "RpcProxyReceiveWindow 256K"), **more)


class Leaving:
    """An OUT channel whose leg is on its way: the child of its successor is
    stopped, and more belongs to the leg than the socket takes."""

    MUCH = 250000

    def __init__(self, server, client, calls):
        self.client, self.calls = client, calls
        until_asked(client, calls)
        self.owed, client.due = client.due, False
        self._successor(server)
        ask_much(client, calls, self.MUCH)
        still(server, "the answer is queued")
        os.kill(self.stopped, signal.SIGSTOP)

    def _successor(self, server):
        """Starts a successor in a child that has no other channel."""
        client = self.client
        for _ in range(60):
            client.start_out_successor()
            client.seen.insert(0, client.until("OUT_R2/A6"))
            self.stopped = holder(server, client.out_next)
            self.others = {holder(server, client.cin),
                           holder(server, client.cout)}
            if self.stopped not in self.others:
                return
            client.seen.clear()
            client.out_next.reset()
            env.wait_until(lambda: connection_count(server) == 2,
                           "the successor to be gone", 30)
        raise AssertionError("all channels were always in one child")

    def switch(self):
        client = self.client
        client.cin.send(rts.make("OUT_R2/A7", rts.FD_SERVER, client.out_succ,
                                 1))
        client.out_next.send(rts.make("OUT_R2/C1"))
        client.seen.clear()
        client.until("OUT_R2/B3")

    def finish(self):
        """What was on its way comes, and in its order."""
        os.kill(self.stopped, signal.SIGCONT)
        self.client.switch_out()
        if self.owed:
            assert len(self.calls.answer()) >= PART
        assert len(self.calls.answer()) >= self.MUCH
        assert works(self.calls)


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_successor(httpd, fields, recycler, kind):
    """The predecessor waits without using a processor."""
    server = httpd(mpm="prefork", children=6, **large(fields))
    client, calls = recycler(server, kind, window=262144, timeout=20)
    state = Leaving(server, client, calls)
    try:
        state.switch()
        # Something for the role, which is on its way.
        for _ in range(3):
            client.cin.send(rts.make("FlowControlAckWithDestination",
                                     rts.FD_OUT_PROXY,
                                     (0, client.window, client.out_succ)))
        wait_still(set(server.children()) - {state.stopped},
                   "the leg is on its way")
    finally:
        os.kill(state.stopped, signal.SIGCONT)
    state.finish()


@pytest.mark.parametrize("kind", ["tcp", "own"])
@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_restart_while_leaving(httpd, fields, recycler, log, mpm, kind):
    """A predecessor does not outlive RpcProxyDrainTimeout, although its leg
    is not gone yet."""
    server = httpd(mpm=mpm, children=4, **large(
        fields, server=("RpcProxyDrainTimeout 1s", f"# leaving {kind}")))
    log.allow("RPX0302", "RPX034", "RPX0326", "still did not exit")
    client, calls = recycler(server, kind, window=262144, timeout=20)
    state = Leaving(server, client, calls)
    try:
        state.switch()
        server.graceful()
        env.wait_until(lambda: not state.others & set(server.children()),
                       "the old children to end", 20)
    finally:
        os.kill(state.stopped, signal.SIGCONT)
    client.cin.rest()
    client.out_next.rest()
    server.wait_idle()


@pytest.mark.parametrize("kind", ["tcp", "own"])
@pytest.mark.parametrize("who", ["predecessor", "successor"])
def test_killed_while_leaving(httpd, fields, recycler, log, kind, who):
    """A part of the leg is worth nothing: whoever is left ends the
    connection, and the half is given back."""
    server = httpd(mpm="prefork", children=6, **large(
        fields, server=(f"# {who} {kind}",)))
    log.allow("RPX0302", "RPX034", "RPX0326", "exit signal")
    client, calls = recycler(server, kind, window=262144, timeout=20)
    state = Leaving(server, client, calls)
    predecessor = holder(server, client.cout)
    try:
        state.switch()
        os.kill(predecessor if who == "predecessor" else state.stopped,
                signal.SIGKILL)
    finally:
        if state.stopped in server.children():
            os.kill(state.stopped, signal.SIGCONT)
    if who == "successor" or kind == "tcp":
        client.out_next.rest()
        client.cin.rest()
    else:
        # The leg may have left whole.
        client.cin.reset()
        client.out_next.reset()
    server.wait_idle()
