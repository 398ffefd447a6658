# SPDX-License-Identifier: Apache-2.0
"""mod_proxy_rpch and mod_rpcproxy in one httpd, each with an engine of its
own: what ends a child reaches the streams of both, and each is logged."""

import os
import signal

import pytest

import env
import rawclient
import rts
from draining import STOPPED, wait_over
from engine_rig import holder
from front_inner import answer
from front_rig import ONLY_CHILD, each_way, front_module
from httpd import Httpd
from httpd_conf import Conf

GIB = 1 << 30
A1 = rts.make("CONN/A1", 1, bytes(range(16)), bytes(range(1, 17)), 65536)
PING = rts.make("Ping")
INNER = "/inner/rpcproxy.dll"
#: How httpd ends. A child that stops gracefully first hears of the real end
#: by a signal that both modules catch.
HOWS = {"stop": signal.SIGTERM, "graceful-stop": signal.SIGWINCH}


@pytest.fixture
def both(scratch, certs, log, double, rpch_server):
    """both(way): an httpd with one child (prefork: more), which passes
    /inner/ to the double."""
    made = []
    target = f"to={rpch_server.host}:{rpch_server.tcp_port}"

    def get(way):
        mpm, is_async = way
        only = () if mpm == "prefork" else ONLY_CHILD
        # The inner proxy has not answered an IN channel yet.
        log.allow("RPX0543: .*" + STOPPED)
        # The parent's impatience, after 3 s in which it had the processor.
        log.allow("AH00045")
        if way == ("event", "Off"):
            log.allow("AH03092")
        server = Httpd(scratch, certs, Conf(
            mpm=mpm, children=12 if mpm == "prefork" else 1, auth="none",
            location=("RpcProxyAllowAnonymous On",),
            modules=("proxy",), ports=("*:1",),
            routes=(f"*:1 protocol=ncacn_ip_tcp {target}",),
            vhost=(f'ProxyPass "/inner/" "{double.url()}/"',),
            server=(f"LoadModule proxy_rpch_module {front_module()}",
                    "LogLevel info ssl:warn",
                    "GracefulShutdownTimeout 1",
                    f"RpcProxyAsync {is_async}",
                    f"RpcProxyAsync {is_async}", *only)))
        made.append(server)
        server.start()
        log.watch(server)
        return server
    yield get
    double.fresh()
    for server in made:
        if server.process and server.process.alive():
            server.stop()


@pytest.fixture
def opened():
    """opened(server): a connection that is closed at the end."""
    made = []

    def get(server):
        made.append(rawclient.Channel(server.address()))
        return made[-1]
    yield get
    for channel in made:
        channel.close()


def through_the_front(client, double):
    """Opens an IN channel to the double on client's connection."""
    client.request("RPC_IN_DATA", "mbx:6001", GIB, path=INNER)
    taken = double.take()
    taken.request()
    client.send(PING)
    assert taken.exactly(len(PING)) == PING


def check_end(server, how, n):
    """httpd ends; n streams have their lines, and no child was killed."""
    os.kill(server.process.pid, HOWS[how])
    env.wait_until(lambda: not server.process.alive(), "httpd to end", 40)
    server.stop()
    lines = [a for a in server.access_since(0) if STOPPED in a.end]
    assert len(lines) == n, server.access_since(0)
    for bad in ("AH00046", "exit signal"):
        assert not any(bad in line for line in server.errors.since(0))


@each_way
@pytest.mark.parametrize("how", HOWS)
def test_end_with_streams_of_both(both, double, raw, opened, way, how):
    server = both(way)
    own = raw(server, "mbx:1").open()
    assert own.calls().add_one(1) == 2
    other = opened(server)
    through_the_front(other, double)
    if way[0] != "prefork":
        assert holder(server, own.cin) == holder(server, other)
    check_end(server, how, 3)
    wait_over(own.cin, own.cout)


@each_way
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("first", ["front", "own"])
def test_one_connection_for_both(both, double, opened, way, how, first):
    """A short request and a stream of the other module, sent together."""
    server = both(way)
    channel = opened(server)
    if first == "front":
        channel.request("RPC_OUT_DATA", "mbx:6001", 0, path=INNER)
        channel.request("RPC_OUT_DATA", "mbx:1", 76)
        channel.send(A1)
        taken = double.take()
        taken.request()
        taken.send(answer(body=b"echo"))
        head, body = channel.response()
        assert (head.status, body) == (200, b"echo")
        assert channel.head().status == 200
    else:
        channel.request("RPC_OUT_DATA", "mbx:1", 4)
        channel.send(b"echo")
        through_the_front(channel, double)
        head, _ = channel.response()
        assert head.status == 200
    check_end(server, how, 1)
