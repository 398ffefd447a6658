# SPDX-License-Identifier: Apache-2.0
"""The directory of the children's sockets: it outlives restarts, and goes
with httpd."""

import os

import pytest

from engine_rig import sockets_of
from httpd import Httpd
from httpd_conf import Conf


def directory_of(server):
    [path] = {socket.parent for pid in server.children()
              for socket in sockets_of(server, pid)}
    return path


@pytest.fixture
def server(scratch, certs, log):
    server = Httpd(scratch, certs, Conf(mpm="event", children=2)).start()
    log.watch(server)
    yield server
    if server.process.alive():
        server.stop()


def test_it_survives_a_restart_without_sockets(server):
    """A child that was just forked has not bound its socket yet: when a
    restart takes the directory away in that moment, it serves nobody."""
    path = directory_of(server)
    for socket in path.iterdir():
        socket.unlink()
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for _ in range(2):
            server.graceful()
            assert os.fstat(fd).st_nlink > 0
            for socket in path.iterdir():
                socket.unlink()
    finally:
        os.close(fd)


def test_it_goes_with_httpd(server):
    path = directory_of(server)
    server.graceful()
    server.stop()
    assert not path.exists()
