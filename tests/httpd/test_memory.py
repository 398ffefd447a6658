# SPDX-License-Identifier: Apache-2.0
"""What a channel whose peer takes nothing may hold: its window and 64 kB,
more than an idle one. Measured over many in one child, against as many that
are idle. And what a child keeps when its channels have ended."""

import contextlib
import re
import selectors
import socket
from pathlib import Path

import pytest

import env
from engine_rig import REQUEST, Backend, wait_still
from httpd import Httpd
from httpd_conf import Conf
from rawclient import RawClient

CONNECTIONS = 30
KIB = 1024
ONE_CHILD = ("MaxRequestWorkers 25", "MinSpareThreads 1",
             "MaxSpareThreads 25", "AsyncRequestWorkerFactor 20",
             "SendBufferSize 8192", "ReceiveBufferSize 8192")


def private(pid):
    """The memory that pid alone has, in bytes."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return KIB * sum(int(n) for n in re.findall(
        r"^Private_\w+: +(\d+) kB", text, re.M))


@pytest.fixture
def running(scratch, certs, log):
    """running(conf): a server of its own, that ends with the context."""
    @contextlib.contextmanager
    def start(conf):
        server = Httpd(scratch, certs, conf)
        server.start()
        log.watch(server)
        try:
            yield server
        finally:
            server.wait_idle()
            server.stop()
    return start


@pytest.fixture
def measured(running, tls):
    """measured(target, work, ...): what a child of its own holds more when
    CONNECTIONS connections to target are open and work(client) was done with
    all of them, in bytes for each."""
    def get(route, work, secure, window=65536, location=()):
        conf = Conf(children=1, ports=("back:1",), routes=(route,),
                    location=("RpcProxyMaxPerUser 0", *location),
                    server=ONE_CHILD)
        with running(conf) as server, contextlib.ExitStack() as clients:
            pid = server.children()[0]
            # what the first ones cost, for all
            for _ in range(2):
                with RawClient(server.address(secure), "back:1",
                               tls if secure else None) as client:
                    client.open()
            server.wait_idle()
            before = private(pid)
            opened = [clients.enter_context(RawClient(
                server.address(secure), "back:1", tls if secure else None,
                window=window, ack=False)) for _ in range(CONNECTIONS)]
            for client in opened:
                client.start_out()
                client.cout.sock.setsockopt(socket.SOL_SOCKET,
                                            socket.SO_RCVBUF, 4096)
                client.read_200()
                client.read_a3()
                client.start_in()
                client.read_c2()
            work(opened)
            wait_still([pid], "the child to be at rest")
            assert server.children() == [pid]
            return (private(pid) - before) / CONNECTIONS
    return get


def nothing(clients):
    """They are idle."""


def send_all(clients):
    """Each sends until nobody takes any more."""
    rest = {}
    with selectors.DefaultSelector() as poll:
        for client in clients:
            client.cin.sock.setblocking(False)
            poll.register(client.cin.sock, selectors.EVENT_WRITE)
        while True:
            ready = poll.select(1)
            if not ready:
                return
            for key, _ in ready:
                data = rest.get(key.fd) or REQUEST
                try:
                    rest[key.fd] = data[key.fileobj.send(data):]
                except BlockingIOError:
                    rest[key.fd] = data


@pytest.fixture(scope="module")
def backs():
    made = {mode: Backend(mode) for mode in ("idle", "flood")}
    yield made
    for back in made.values():
        back.close()


@pytest.mark.parametrize("window", [65536, 262144])
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_client_that_reads_nothing(measured, backs, secure, window):
    """The server sends for ever, and the client acknowledges nothing."""
    idle = measured(backs["idle"].route("back"), nothing, secure, window)
    full = measured(backs["flood"].route("back"), nothing, secure, window)
    assert 0 < idle < full, "nothing was measured"
    assert full - idle <= window + 64 * KIB, (idle, full)


@pytest.mark.parametrize("window", ["64K", "256K"])
def test_server_that_reads_nothing(measured, backs, window):
    """The client sends beyond its window, for ever."""
    line = (f"RpcProxyReceiveWindow {window}",)
    back = Backend("idle")
    back.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    try:
        idle = measured(backs["idle"].route("back"), nothing, False,
                        location=line)
        full = measured(back.route("back"), send_all, False, location=line)
    finally:
        back.close()
    bound = (int(window[:-1]) + 64) * KIB
    assert full - idle <= bound, (idle, full)
    assert full - idle >= 8 * KIB, "nothing was measured"


def test_memory_comes_back(running, tls, rpch_server):
    """When channels have ended and the child is quiet, it gives back what
    malloc would keep: three quarters of what they had."""
    route = f"back:1 to=127.0.0.1:{rpch_server.http_port}"
    conf = Conf(children=1, ports=("back:1",), routes=(route,),
                location=("RpcProxyMaxPerUser 0",),
                server=ONE_CHILD)
    with running(conf) as server:
        pid = server.children()[0]
        with contextlib.ExitStack() as clients:
            before = private(pid)
            for _ in range(4 * CONNECTIONS):
                client = clients.enter_context(
                    RawClient(server.address(True), "back:1", tls))
                client.open()
            most = private(pid) - before
        server.wait_idle()
        # It is looked for once a minute at most.
        env.wait_until(lambda: private(pid) - before < most / 4,
                       "memory to come back", timeout=130)
        assert server.children() == [pid]
