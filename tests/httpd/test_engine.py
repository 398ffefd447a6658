# SPDX-License-Identifier: Apache-2.0
"""Channels in corners: nothing that a channel holds may be without a
descriptor that is polled or a timer that ends it, no state is a busy loop,
and no end of httpd or of a child has to wait for a channel."""

import os
import signal
import socket
import threading
import time

import pytest

import env
import rpc
import rts
from engine_rig import (IDLE_SHARE, REQUEST, Backend, connection_count, drain,
                        flood, holder, open_slow, send_until_full, shares,
                        sockets_of, wait_still, wait_stuck)
from engine_rig import deaf_dns, full  # noqa: F401
from httpd import Httpd
from httpd_conf import Conf

MPMS = ["event", "worker", "prefork"]
#: And event without its reactor.
LOOPS = [*MPMS, "event-off"]
MIB = 1 << 20
PORTS = ("idle:1;flood:1;both:1;tcp:1;own:1;full:1",
         "deaf.example.org:1;127.0.0.1:9;nohost.invalid:9")


@pytest.fixture(scope="module")
def servers():
    """mode -> Backend"""
    made = {mode: Backend(mode) for mode in ("idle", "flood", "both")}
    yield made
    for server in made.values():
        server.close()


@pytest.fixture(scope="module")
def fields(servers, rpch_server):
    """The fields of a Conf that reaches the servers of these tests: idle:1,
    flood:1, both:1, and rpch-server by both kinds as tcp:1 and own:1."""
    routes = (*(s.route(f"{mode}:1") for mode, s in servers.items()),
              "tcp:1 protocol=ncacn_ip_tcp "
              f"to=127.0.0.1:{rpch_server.tcp_port}",
              f"own:1 to=127.0.0.1:{rpch_server.http_port}")

    def get(mpm, *location, server=(), **more):
        if mpm == "event-off":
            mpm, server = "event", ("RpcProxyAsync Off", *server)
        return {"mpm": mpm, "ports": PORTS, "routes": routes,
                "location": location, "children": 8 if mpm == "prefork"
                else 2, "server": server, **more}
    return get


@pytest.fixture
def own_httpd(scratch, certs, log):
    """An httpd that the test may stop; it is stopped cleanly at the end at
    the latest: a child that had to be asked twice, or killed, is an error
    (AH00045, AH00046)."""
    made = []

    def get(**conf):
        server = Httpd(scratch, certs, Conf(**conf))
        made.append(server)
        server.start()
        log.watch(server)
        return server
    yield get
    for server in made:
        if server.process and server.process.alive():
            no_channels(server)
            stop_alone(server)


def stop_alone(server, live=0):
    """Stops httpd with no connections but live channels. At a hard stop
    httpd closes the sockets of its workers under them: a connection that
    ends just then, such as the status page's, may crash it."""
    env.wait_until(lambda: connection_count(server) == live, "no others", 20,
                   0.1)
    server.stop(strict=True)


def log_lines(server, pattern, mark=0):
    return [line for line in server.errors.since(mark) if pattern in line]


def no_channels(server):
    """Waits until the status page counts nothing any more."""
    def none():
        s = server.status()
        return not (s["connections"] or s["connections_open"]
                    or s["channels_in"] or s["channels_out"] or s["users"])
    env.wait_until(none, "all counters to be 0")


# ---- what is held -----------------------------------------------------------

@pytest.mark.parametrize("mpm", LOOPS)
def test_lane_that_nobody_empties(own_httpd, fields, raw, mpm):
    """Acks for the client come in on IN and the client never reads C-OUT:
    the lanes of both halves are full when it resets both. Neither half may
    outlive that by more than the stall timer, nor hold up httpd's end."""
    server = own_httpd(**fields(mpm, "RpcProxyStallTimeout 3s",
                                "RpcProxyPingInterval 1s"))
    client = open_slow(raw(server, "idle:1"))
    ack = rts.make("FlowControlAckWithDestination", rts.FD_CLIENT,
                   (0, 65536, client.in_cookie))
    # C-OUT may have CONN/C2 before IN has CONN/B3; until then nothing may be
    # forwarded.
    env.wait_until(lambda: log_lines(server, "RPX0310: IN"), "IN to be open")
    try:
        assert send_until_full(client.cin, ack * 20, 64 * MIB) < 64 * MIB
    except ConnectionError:
        pass                       # the stall timer came first
    client.cin.reset()
    client.cout.reset()
    no_channels(server)
    stop_alone(server)


@pytest.mark.parametrize("mpm", LOOPS)
def test_client_that_stops_acknowledging(httpd, fields, raw, log, mpm):
    """Pings go on to it, and are no sign that it takes what waits."""
    server = httpd(**fields(mpm, "RpcProxyStallTimeout 3s",
                            "RpcProxyPingInterval 1s"))
    client = raw(server, "flood:1", ack=False).open()
    deadline = time.monotonic() + 25
    with pytest.raises((EOFError, OSError)):
        while time.monotonic() < deadline:
            client.queue_one()
    assert client.received > 0 and client.pings > 0
    log.expect("RPX0311: OUT .*RpcProxyStallTimeout")
    server.wait_idle()


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_low_flush_threshold(httpd, fields, raw, tls, mpm, secure):
    """Above FlushMaxThreshold httpd's filters would block; no byte may be
    lost to that."""
    server = httpd(**fields(mpm, server=("FlushMaxThreshold 8192",
                                         "SendBufferSize 8192")))
    client = raw(server, "tcp:1", tls if secure else None, window=262144)
    calls = client.open().calls()
    calls.call_id += 1
    client.send_rpc(rpc.request(rpc.SOURCE_DATA, MIB.to_bytes(4, "little"),
                                calls.call_id)[0])
    wait_stuck(client.cout)
    answer = calls.answer()
    assert len(answer) >= MIB
    assert calls.echo(answer[:100000]) == answer[:100000]


# ---- timers -----------------------------------------------------------------

@pytest.mark.parametrize("mpm,target", [(m, "idle:1") for m in MPMS]
                         + [("event", "own:1")])
def test_pings_come_at_their_interval(httpd, fields, raw, mpm, target):
    """And not at the next time that something else wakes the channel: that
    would be every two seconds."""
    server = httpd(**fields(mpm, "RpcProxyPingInterval 1s"))
    client = raw(server, target).open()
    deadline = time.monotonic() + 14
    while client.pings < 8:
        client.cout.sock.settimeout(max(deadline - time.monotonic(), 0.01))
        client.queue_one()
    assert client.received == 0


@pytest.mark.parametrize("mpm", LOOPS)
def test_drain_under_load(own_httpd, fields, raw, mpm):
    """Channels through which data flows without a pause have timers, too, and
    an IN whose client goes on sending does not linger for half a minute. In
    the words of Samba's client, which needs no flow control."""
    server = own_httpd(**fields(mpm, "RpcProxyChannelLifetime 2G",
                                server=("RpcProxyDrainTimeout 2s",)))
    client = raw(server, "both:1", samba=True)
    client.IN_LENGTH = 1 << 40
    client.open()
    client.cin.sock.settimeout(60)
    threads = [threading.Thread(target=drain, args=(client.cout.sock,)),
               threading.Thread(target=flood, args=(client.cin.sock,
                                                    REQUEST * 4000))]
    for thread in threads:
        thread.start()
    try:
        old = server.graceful()
        env.wait_until(
            lambda: any("RpcProxyDrainTimeout" in line
                        for line in log_lines(server, "RPX0311: ")),
            "the drain timer to end it", 30)
        for thread in threads:
            thread.join(15)
            assert not thread.is_alive()
    finally:
        client.close()
    env.wait_until(lambda: not old & set(server.children()),
                   "the old children to end")
    stop_alone(server)


# ---- the end of httpd -------------------------------------------------------

def live_channels(server, raw):
    """Connections in states of all kinds; how many channels they are."""
    raw(server, "idle:1").open()
    raw(server, "own:1").open().calls().add_one(1)
    # OUT is stalled: by its window, and by the client's socket.
    raw(server, "flood:1", ack=False).open()
    deaf = open_slow(raw(server, "flood:1", window=262144))
    wait_stuck(deaf.cout)
    # IN is stalled: the server does not read.
    full = raw(server, "idle:1").open()
    assert send_until_full(full.cin) > 65536
    # Junk behind the request of OUT.
    raw(server, "idle:1").open().cout.send(b"GET / HTTP/1.1\r\n")
    half_out = raw(server, "idle:1")
    half_out.start_out()
    half_out.read_200()
    half_in = raw(server, "idle:1")
    half_in.start_in()
    env.wait_until(lambda: server.status()["connections"] == 8, "8 of them")
    return 14


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGHUP],
                         ids=["stop", "restart"])
def test_hard_end_with_live_channels(own_httpd, fields, raw, mpm, sig):
    """No child is waited for, each channel is logged."""
    server = own_httpd(**fields(mpm))
    count = live_channels(server, raw)
    if sig == signal.SIGTERM:
        stop_alone(server, live=count)
    else:
        env.wait_until(lambda: connection_count(server) == count, "no others")
        old = set(server.children())
        os.kill(server.process.pid, sig)
        env.wait_until(lambda: not old & set(server.children()),
                       "the old children to end")
        env.wait_until(lambda: env.can_connect("127.0.0.1",
                                               server.ports["http"]),
                       "httpd to listen again")
        assert raw(server, "tcp:1").open().calls().add_one(1) == 2
    for bad in ("AH00045", "AH00046", "exit signal"):
        assert not log_lines(server, bad)
    ends = log_lines(server, "RPX0311: ")
    assert len(ends) == count, ends
    assert any("httpd was stopped" in line for line in ends)


# ---- busy loops -------------------------------------------------------------

@pytest.mark.parametrize("mpm", ["prefork"])
def test_join_that_waits(httpd, fields, raw, mpm):
    """The child that has OUT does not answer: it is stopped. The one that
    has IN waits without using a processor, and goes on."""
    server = httpd(**fields(mpm))
    client = raw(server, "tcp:1")
    client.start_out()
    client.read_200()
    client.read_a3()
    stopped = holder(server, client.cout)
    os.kill(stopped, signal.SIGSTOP)
    try:
        client.start_in()
        waiting = holder(server, client.cin)
        assert waiting != stopped
        wait_still([waiting], "IN waits for a JOIN")
        # Over longer than the period at which the table is looked at.
        share = shares([waiting], 2)[waiting]
        assert share < IDLE_SHARE
    finally:
        os.kill(stopped, signal.SIGCONT)
    client.read_c2()
    assert client.calls().add_one(1) == 2


def out_alone(new, servers):
    client = new("idle:1")
    client.start_out()
    yield "OUT alone"
    client.cout.sock.shutdown(socket.SHUT_WR)
    yield "OUT alone, half closed"


def in_alone(new, servers):
    client = new("idle:1")
    client.start_in()
    yield "IN alone"
    client.cin.sock.shutdown(socket.SHUT_WR)
    yield "IN alone, half closed"


def long_body(new, servers):
    client = new("idle:1")
    client.request_out(1000)
    client.cout.send(client.a1())
    yield "OUT with a body that does not come"


def quiet(new, servers):
    client = new("idle:1").open()
    yield "open"
    client.cout.send(b"x")
    yield "a byte behind OUT's request"
    client.cout.sock.shutdown(socket.SHUT_WR)
    yield "and OUT half closed"


def server_leaves(new, servers):
    new("idle:1").open()
    servers["idle"].hang_up(socket.SHUT_WR)
    yield "the server half closed"


def half_pdu(new, servers):
    client = new("idle:1").open()
    client.cin.send(REQUEST[:116])
    yield "half of a PDU on IN"
    client.cin.sock.shutdown(socket.SHUT_WR)
    yield "and IN half closed"


def no_acks(new, servers):
    client = new("flood:1", ack=False).open()
    yield "the OUT window is closed"
    servers["flood"].hang_up()
    yield "and the server gone"
    client.cout.reset()
    yield "and OUT reset"


def deaf(new, servers):
    client = open_slow(new("flood:1", window=262144))
    yield "the client reads nothing"
    client.cout.sock.shutdown(socket.SHUT_WR)
    yield "and OUT half closed"


def deaf_and_left(new, servers):
    client = open_slow(new("flood:1", window=262144))
    yield "the client reads nothing"
    servers["flood"].hang_up()
    yield "and the server gone"
    client.cin.send(b"junk" * 10)
    yield "and no PDU on IN"


def deaf_server(new, servers):
    client = new("idle:1").open()
    send_until_full(client.cin)
    yield "the server reads nothing"
    client.cin.sock.shutdown(socket.SHUT_WR)
    yield "and IN half closed"
    servers["idle"].hang_up()
    yield "and the server gone"


def connecting(new, servers):
    client = new("full:1")
    client.start_out()
    client.start_in()
    yield "connecting"


def resolving(new, servers):
    client = new("deaf.example.org:1")
    client.start_out()
    client.start_in()
    yield "resolving"


STATES = [out_alone, in_alone, long_body, quiet, server_leaves, half_pdu,
          no_acks, deaf, deaf_and_left, deaf_server, connecting, resolving]


@pytest.mark.parametrize("mpm", LOOPS)
@pytest.mark.parametrize("states", STATES, ids=lambda s: s.__name__)
def test_no_busy_loop(httpd, fields, servers, full, deaf_dns, raw, log, mpm,
                      states):
    """Whatever a channel waits for, it waits without using a processor."""
    conf = fields(mpm, "RpcProxyStallTimeout 60s", "RpcProxyConnectTimeout 3s",
                  "RpcProxyPingInterval 1s")
    conf["routes"] += (
        f"full:1 protocol=ncacn_ip_tcp to=127.0.0.1:{full}",)
    server = httpd(**conf)
    log.allow("RPX0330", "RPX0340")

    def new(target, **options):
        return raw(server, target, **options)
    before = set(server.children())
    for state in states(new, servers):
        wait_still(before | set(server.children()), state)


# ---- the end of a child -----------------------------------------------------

def open_apart(server, raw, target):
    """A connection whose halves are in different children."""
    for _ in range(300):
        client = raw(server, target).open()
        pids = holder(server, client.cin), holder(server, client.cout)
        if pids[0] != pids[1]:
            return client, pids
        client.close()
        server.wait_idle()
    raise AssertionError("IN and OUT were always in one child")


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("target", ["tcp:1", "own:1"])
@pytest.mark.parametrize("half", ["in", "out"])
def test_child_is_killed(own_httpd, fields, raw, log, mpm, target, half):
    """The other half learns it, the table gets the place back, and the
    child's socket goes with the next restart."""
    server = own_httpd(**fields(mpm))
    client, (pid_in, pid_out) = open_apart(server, raw, target)
    assert client.calls().add_one(1) == 2
    victim = pid_in if half == "in" else pid_out
    env.wait_until(lambda: len(sockets_of(server, victim)) == 1, "its socket")
    log.expect("RPX0302: ")
    os.kill(victim, signal.SIGKILL)
    survivor = client.cout if half == "in" else client.cin
    survivor.rest()
    client.close()
    no_channels(server)
    env.wait_until(lambda: server.status()["channels_reaped"] == 1,
                   "the half to be reaped")
    assert raw(server, target).open().calls().add_one(1) == 2
    server.graceful()
    env.wait_until(lambda: not sockets_of(server, victim),
                   "the dead child's socket to go")
    assert raw(server, target).open().calls().add_one(1) == 2


@pytest.mark.parametrize("mpm", LOOPS)
def test_nothing_stays_behind(own_httpd, fields, raw, log, mpm):
    """Of a child that was killed, with the stop; nor of the others."""
    server = own_httpd(**fields(mpm))
    client = raw(server, "tcp:1").open()
    victim = holder(server, client.cout)
    log.allow("RPX0302: ")
    os.kill(victim, signal.SIGKILL)
    client.cin.rest()
    [path] = sockets_of(server, victim)
    client.close()
    stop_alone(server)
    assert not path.parent.exists()


# ---- what adds up -----------------------------------------------------------

def abort(client, other, stage):
    """Leaves at one of ten stages; other makes a client for a target."""
    if stage == 0:
        client.start_out()
        client.cout.reset()
    elif stage == 1:
        client.start_in()
        client.cin.reset()
    elif stage == 2:
        client.start_out()
        client.start_in()
        client.cout.reset()
        client.cin.reset()
    elif stage in (3, 4):
        client.open()
        (client.cout if stage == 3 else client.cin).reset()
    elif stage == 5:
        client.start_out()
        client.read_200()
        client.start_in()
        client.cin.reset()
        client.cout.reset()
    elif stage == 6:
        client.start_in()
        first = client.cin
        client.start_in()
        first.close()
    elif stage == 7:
        client.start_out()
        client.read_200()
        client.start_in()
        client.cin.send(b"\x05\x00garbage" * 10)
        client.cin.rest()
    else:
        client = other("nohost.invalid:9" if stage == 8 else "127.0.0.1:9")
        client.start_out()
        client.start_in()
        client.cout.rest()
        client.cin.rest()
    client.close()


def abort_many(server, raw, n):
    """n aborted connections, twenty at a time, as many at each stage."""
    errors = []

    def one(stage):
        try:
            abort(raw(server, "idle:1"), lambda t: raw(server, t), stage)
        except Exception as e:
            errors.append(f"stage {stage}: {type(e).__name__} {e}")
    for _ in range(n // 20):
        threads = [threading.Thread(target=one, args=(i % 10,))
                   for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not errors
    no_channels(server)


@pytest.mark.parametrize("mpm", LOOPS)
def test_aborted_connections(httpd, fields, raw, log, mpm):
    """Descriptors, threads and places in the table come back."""
    server = httpd(**fields(mpm))
    log.allow("RPX0320", "RPX0330", "RPX0340")
    abort_many(server, raw, 100)          # threads that are made on demand
    before = server.resources()
    abort_many(server, raw, 200)

    def even():
        now = server.resources()
        return all(now[p][0] <= r[0] and now[p][1] <= r[1]
                   for p, r in before.items() if p in now)
    env.wait_until(even, f"descriptors and threads to be {before}, not "
                         f"{server.resources()}", 20, 0.1)
