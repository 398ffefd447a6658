# SPDX-License-Identifier: Apache-2.0
"""The name of a client, when the access log wants it, is looked up before the
reactor has the channel: a name server that does not answer would hold all
channels of the child."""

import socket

import pytest

import rawclient
from httpd import Httpd
from httpd_conf import Conf
from reactor_rig import PORTS, wait_lines, workers

#: Has no name in the tests' hosts.
NAMELESS = "127.0.0.55"


class Nameless(rawclient.Channel):
    """A channel whose client's address the name server is asked about."""

    def __init__(self, address, timeout=60):
        self.sock = socket.create_connection(address, timeout=timeout,
                                             source_address=(NAMELESS, 0))
        self.buffer, self.name = bytearray(), "proxy.example.test"


class DeafDns:
    """A name server that never answers."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.99", 53))
        self.sock.setblocking(False)

    def asked(self):
        """How many questions came since the last look."""
        n = 0
        try:
            while self.sock.recv(4096):
                n += 1
        except BlockingIOError:
            pass
        return n


@pytest.fixture
def deaf_dns():
    dns = DeafDns()
    yield dns
    dns.sock.close()


@pytest.fixture
def server(scratch, certs, log, rpch_server):
    server = Httpd(scratch, certs, Conf(
        mpm="event", children=1, threads=4, ports=PORTS,
        routes=("tcp protocol=ncacn_ip_tcp "
                f"to=127.0.0.1:{rpch_server.tcp_port}",),
        location=("RpcProxyHandshakeTimeout 60s",),
        server=(*workers(1, 4), "HostnameLookups On",
                'CustomLog names.log "%h"'))).start()
    log.watch(server)
    yield server
    server.stop()


def test_no_name_is_looked_up_at_the_end(server, deaf_dns, raw):
    client = raw(server, "tcp:1", timeout=60)
    client.request_out(channel=Nameless(client.address))
    client.cout.send(client.a1())
    client.read_200()
    client.read_a3()
    assert deaf_dns.asked() > 0
    mark = server.accesses.mark()
    client.close()
    wait_lines(server, mark, 1)
    assert deaf_dns.asked() == 0
