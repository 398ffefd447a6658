# SPDX-License-Identifier: Apache-2.0
"""What one child, one user and one connection may take: above it the answer
is "503 RPC Error: 6bb", what is there lives on, and there is room again when
something ends. Nobody can use up the table or a child's descriptors."""

import os
import resource
import select
import signal

import pytest

import env
import rts
import version1
from httpd import Httpd
from httpd_conf import Conf
from rawclient import Channel

AUTH = (env.USER, env.PASSWORD)
OTHER = (env.OTHER_USER, env.OTHER_PASSWORD)
TOO_BUSY = "503 RPC Error: 6bb"
#: One child, so that its limits are the server's.
ONE_CHILD = ("MaxRequestWorkers 25", "MinSpareThreads 1",
             "MaxSpareThreads 25")
ASYNC = ["Auto", "Off"]
TARGETS = ["echo.tcp:1", "echo.http:1"]


@pytest.fixture
def fields(rpch_server):
    """The fields of a Conf that reaches rpch-server by both kinds, and has
    one child."""
    def get(*lines, location=()):
        return {"ports": ("echo.tcp:1;echo.http:1;deaf:1",), "routes": (
            "echo.tcp protocol=ncacn_ip_tcp "
            f"to=127.0.0.1:{rpch_server.tcp_port}",
            f"echo.http to=127.0.0.1:{rpch_server.http_port}",
            "deaf protocol=ncacn_ip_tcp to=127.0.0.1:9"),
            "children": 1, "server": (*ONE_CHILD, *lines),
            "location": location}
    return get


@pytest.fixture
def alone(httpd, fields):
    """alone(server lines, location=lines): an httpd with one child."""
    return lambda *lines, **more: httpd(**fields(*lines, **more))


@pytest.fixture
def channels():
    """channels(server, ...): a connection whose request's head was sent; all
    are closed at the end."""
    made = []

    def get(server, auth=AUTH, target="echo.tcp:1", method="RPC_OUT_DATA",
            body=b""):
        ch = Channel(server.address())
        made.append(ch)
        ch.request(method, target, 76 if method == "RPC_OUT_DATA" else 1 << 30,
                   auth=auth)
        ch.send(body)
        return ch
    yield get
    for ch in made:
        ch.close()


def first_pdu(method="RPC_OUT_DATA"):
    """The first PDU of a connection that nobody knows."""
    if method == "RPC_OUT_DATA":
        return rts.make("CONN/A1", 1, os.urandom(16), os.urandom(16), 65536)
    return rts.make("CONN/B1", 1, os.urandom(16), os.urandom(16), 1 << 30,
                    300000, os.urandom(16))


def status(channel):
    return channel.head().line.split(" ", 1)[1]


def all_but_one(made):
    """One of the channels is refused, whichever came last; the others."""
    poll = select.poll()           # select() takes descriptors below 1024
    for channel in made:
        poll.register(channel.sock, select.POLLIN)
    ready = poll.poll(20000)
    refused = next(ch for ch in made if ch.sock.fileno() == ready[0][0])
    assert status(refused) == TOO_BUSY
    return [ch for ch in made if ch is not refused]


def tagged(log, tag):
    return [line for line in log.lines() if tag in line.text]


def opens(server, raw, target="echo.tcp:1", auth=AUTH):
    """Waits until a connection can be opened, and opens it."""
    def attempt():
        # When only IN is refused nothing comes on OUT for long.
        client = raw(server, target, auth=auth, timeout=5)
        try:
            client.open()
            for channel in (client.cin, client.cout):
                channel.sock.settimeout(30)
            return client
        except Exception as e:               # refused, in one way or another
            if TOO_BUSY not in str(e) and not isinstance(e, (OSError,
                                                             EOFError)):
                raise
            client.close()
            return None
    return env.wait_until(attempt, "room", 20, 0.1)


# ---- the channels of a child ------------------------------------------------

@pytest.mark.parametrize("mode", ASYNC)
def test_channels_of_a_child(alone, raw, channels, log, mode):
    server = alone("RpcProxyMaxChannelsPerChild 4", f"RpcProxyAsync {mode}")
    log.expect(r"RPX0327: .*4 channels .*RpcProxyMaxChannelsPerChild "
               r"\(0 more")
    calls = [raw(server, target).open().calls() for target in TARGETS]
    for method in ("RPC_OUT_DATA", "RPC_IN_DATA", "RPC_OUT_DATA"):
        ch = channels(server, method=method)
        assert status(ch) == TOO_BUSY
        assert ch.rest() == b""
    # What is there was not disturbed, nor were others.
    for n, one in enumerate(calls):
        assert one.add_one(n) == n + 1
    assert server.status()["pid"] in server.children()
    calls[0].pipe.close()
    again = opens(server, raw).calls()
    assert again.add_one(7) == 8
    assert calls[1].add_one(8) == 9
    assert len(tagged(log, "RPX0327")) == 1
    # The refused ones became no channels.
    refused = [a for a in server.access_since(0) if a.status == 503]
    assert refused and all(a.channel == "-" for a in refused)


def test_version_1_counts_as_one(alone, raw, log):
    """It has one request, though two channels of the table."""
    server = alone("RpcProxyMaxChannelsPerChild 1",
                   location=("RpcProxyVersion1 On",))
    log.expect("RPX0327: ")
    first = version1.Version1(server.address(), "echo.tcp:1")
    calls = first.open().calls()
    second = version1.Version1(server.address(), "echo.tcp:1")
    assert second.refused()[0].line.endswith(TOO_BUSY)
    assert calls.add_one(1) == 2
    first.close()
    second.close()


def test_a_refusal_waits_for_no_body(alone, channels, log):
    """Nor is the client invited to send one."""
    server = alone("RpcProxyMaxChannelsPerChild 1")
    log.expect("RPX0327: ")
    channels(server, body=first_pdu())
    env.wait_until(lambda: server.status()["channels_out"] == 1, "a channel")
    ch = Channel(server.address())
    ch.request("RPC_IN_DATA", "echo.tcp:1", 1 << 30,
               ["Expect: 100-continue"], AUTH)
    assert status(ch) == TOO_BUSY
    ch.close()


def is_refused(server, channel, count):
    """Waits until channel is answered, or until there are count IN channels,
    of which it is one then."""
    poll = select.poll()
    poll.register(channel.sock, select.POLLIN)

    def outcome():
        if poll.poll(0):
            return "answered"
        return server.status()["channels_in"] == count and "taken"
    return env.wait_until(outcome, "an outcome") == "answered"


@pytest.mark.parametrize("mode", ASYNC)
def test_descriptors_of_a_child(own_limit, raw, channels, log, mode):
    """Long before accept() fails, for that would end the child for good."""
    server, pid = own_limit(384, f"RpcProxyAsync {mode}")
    log.expect("RPX0328: .*the limit of open files")
    calls = opens(server, raw, "echo.tcp:1", OTHER).calls()
    env.wait_until(lambda: server.status()["channels_in"] == 1, "no other")
    fill = []
    while len(fill) < 384:
        ch = channels(server, target="deaf:1", method="RPC_IN_DATA",
                      body=first_pdu("RPC_IN_DATA"))
        fill.append(ch)
        if is_refused(server, ch, 1 + len(fill)):
            assert status(ch) == TOO_BUSY
            break
    # 64 and two for each of 60 threads are kept, and a channel has 3 or 4.
    # One that has just ended may still be counted.
    room = (384 - 184) // (3 if mode == "Auto" else 4) - 2
    assert room - 1 <= len(fill) - 1 <= room
    assert len(os.listdir(f"/proc/{pid}/fd")) < 384 - 92
    for _ in range(20):
        assert server.status()["pid"] == pid
    assert calls.add_one(1) == 2
    for ch in fill:
        ch.close()
    assert opens(server, raw, "echo.tcp:1").calls().add_one(2) == 3
    assert server.children() == [pid]


@pytest.fixture
def own_limit(scratch, certs, fields, log):
    """own_limit(files, server lines): an httpd whose one child may have so
    many descriptors, and the child's pid."""
    made = []

    def get(files, *lines):
        server = Httpd(scratch, certs, Conf(
            threads=60, **fields("MaxRequestWorkers 60", *lines,
                                 location=("RpcProxyMaxPerUser 0",))))
        made.append(server)
        server.start()
        log.watch(server)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE,
                         (files, files))
        old = server.children()
        os.kill(server.process.pid, signal.SIGUSR1)
        env.wait_until(lambda: len(server.children()) == 1
                       and server.children() != old, "another child")
        env.wait_until(server.settled, "its threads", interval=0.1)
        return server, server.children()[0]
    yield get
    for server in made:
        server.wait_idle()
        server.stop()


# ---- a user who abandons what he opens --------------------------------------

def test_silent_requests_of_a_user(alone, raw, channels, log):
    """They are bounded, and others get in."""
    server = alone(location=("RpcProxyMaxPerUser 4",))
    log.expect(f"RPX0329: .* 4 requests of user {env.USER} .*"
               "RpcProxyMaxPerUser")
    silent = all_but_one([channels(server) for _ in range(5)])
    for ch in silent:
        assert ch.silent(0.05)
    assert raw(server, "echo.tcp:1", auth=OTHER).open().calls().add_one(1) == 2
    # One that speaks is silent no more.
    silent[0].send(first_pdu())
    env.wait_until(lambda: server.status()["channels_out"] == 2, "a channel")
    silent = all_but_one([*silent[1:], channels(server), channels(server)])
    for ch in silent:
        assert ch.silent(0.05)


def test_silent_requests_of_an_address(alone, channels, log):
    server = alone(location=("RpcProxyMaxPerAddress 3",))
    log.expect("RPX0332: .* 3 requests from 127.0.0.1 .*"
               "RpcProxyMaxPerAddress")
    for ch in all_but_one([channels(server, auth)
                           for auth in (AUTH, OTHER, AUTH, OTHER)]):
        assert ch.silent(0.05)


@pytest.mark.parametrize("method", ["RPC_OUT_DATA", "RPC_IN_DATA"])
def test_silent_requests_end(alone, raw, channels, log, method):
    """By RpcProxyHandshakeTimeout, and their places are free then."""
    log.expect("RPX0329: ")
    server = alone(location=("RpcProxyMaxPerUser 4",
                             "RpcProxyHandshakeTimeout 3s"))
    all_but_one([channels(server, method=method) for _ in range(5)])
    assert opens(server, raw).calls().add_one(1) == 2


@pytest.mark.parametrize("method", ["RPC_OUT_DATA", "RPC_IN_DATA"])
@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_first_halves_that_are_left(alone, raw, channels, log, method, kind):
    """A user who opens one half after the other and goes away, hundreds of
    times: the table has room for twenty connections."""
    target = f"echo.{kind}:1"
    server = alone("RpcProxyMaxConnections 20",
                   location=("RpcProxyMaxPerUser 8",))
    log.allow("RPX0323", "RPX0329")
    for n in range(600):
        ch = channels(server, target=target, method=method,
                      body=first_pdu(method))
        ch.close()
        if n % 200 == 100:
            calls = opens(server, raw, target, OTHER).calls()
            assert calls.add_one(n) == n + 1
            calls.pipe.close()
    # Some of them may not be accepted yet when it is empty.
    server.wait_idle()
    assert opens(server, raw, target).calls().add_one(1) == 2


@pytest.mark.parametrize("method", ["RPC_OUT_DATA", "RPC_IN_DATA"])
@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_first_halves_that_stay(alone, raw, channels, log, method, kind):
    """A user who keeps his first halves has as many as he may have, until
    they end by RpcProxyHandshakeTimeout."""
    target = f"echo.{kind}:1"
    server = alone("RpcProxyMaxConnections 12",
                   location=("RpcProxyMaxPerUser 8",
                             "RpcProxyHandshakeTimeout 4s"))
    log.expect("RPX0323: .*RpcProxyMaxPerUser")
    log.allow("RPX0331")
    for _ in range(8):
        channels(server, target=target, method=method, body=first_pdu(method))
    env.wait_until(lambda: server.status()["connections"] == 8, "all")
    for _ in range(12):
        ch = channels(server, target=target, method=method,
                      body=first_pdu(method))
        # IN has no answer of its own before its end.
        assert TOO_BUSY in ch.rest().decode("latin-1")
    calls = raw(server, target, auth=OTHER).open().calls()
    assert calls.add_one(3) == 4
    assert server.status()["connections"] == 9
    env.wait_until(lambda: server.status()["connections"] == 1,
                   "the halves to end")
    assert opens(server, raw, target).calls().add_one(1) == 2
    assert calls.add_one(4) == 5
