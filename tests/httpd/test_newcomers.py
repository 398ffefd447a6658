# SPDX-License-Identifier: Apache-2.0
"""Connections that are accepted in the moment in which their child is told
to stop, and that are the only ones it has: httpd's listener ends when it
finds no connection, and counts one only when a worker has it."""

import threading

import pytest

import env
import rawclient
from draining import STOPPED, ends
from httpd import Httpd
from httpd_conf import Conf
from reactor_rig import workers

RESTARTS = 25


@pytest.fixture
def server(scratch, certs, log, rpch_server):
    conf = Conf(children=2, threads=4, ports=("free:1",),
                routes=("free protocol=ncacn_ip_tcp to=127.0.0.1:"
                        f"{rpch_server.tcp_port}",),
                server=(*workers(2, 4), "ServerLimit 32"))
    httpd = Httpd(scratch, certs, conf)
    httpd.start()
    log.watch(httpd)
    yield httpd
    httpd.stop()


class Opener(threading.Thread):
    """Opens one short connection behind the other until told to end."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.over = server, threading.Event()
        self.opened, self.errors = 0, []

    def run(self):
        while not self.over.is_set() and not self.errors:
            client = rawclient.RawClient(self.server.address(), "free:1")
            try:
                assert client.open().calls().add_one(1) == 2
                self.opened += 1
            except Exception as e:
                self.errors.append(f"{type(e).__name__}: {e}")
            finally:
                client.close()


def test_accepted_while_the_child_stops(server):
    openers = [Opener(server) for _ in range(3)]
    for opener in openers:
        opener.start()
    for _ in range(RESTARTS):
        counts = [o.opened for o in openers]
        server.graceful()
        env.wait_until(lambda: any(o.errors for o in openers) or all(
            o.opened > n for o, n in zip(openers, counts)), "openings")
    for opener in openers:
        opener.over.set()
    for opener in openers:
        opener.join(30)
    assert not [line for line in ends(server) if STOPPED in line]
    assert not [e for o in openers for e in o.errors]
    assert all(o.opened > RESTARTS for o in openers)
