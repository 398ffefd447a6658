# SPDX-License-Identifier: Apache-2.0
"""The client's address: what the server is told of it (ClientAddress of
CONN/B2, MS-RPCH 2.2.3.5.12), and what RpcProxyMaxPerAddress counts."""

import ipaddress
import struct

import pytest

import env
from httpd_conf import Conf, extra_host
from rawclient import RawClient

BUSY = "503 RPC Error: 6bb"


@pytest.fixture
def port():
    """Of the host that listens without an address."""
    return env.free_port()


@pytest.fixture
def dual(httpd, backends, port):
    """An httpd with one more socket, for both families."""
    def get(**more):
        fields = backends.fields(**more)
        return httpd(server=extra_host(str(port), Conf(**fields)), **fields)
    return get


@pytest.fixture
def at():
    """at(host, port): a client of that address, closed at the end."""
    made = []

    def get(host, port, target="echo.http:1", **options):
        made.append(RawClient((host, port), target, **options))
        return made[-1]
    yield get
    for client in made:
        client.close()


def b2_of(backends, client):
    """The CONN/B2 of a client's connection."""
    [virtual] = [v for v in backends.strict_echo.history
                 if v.vc == client.vc]
    return virtual.b2


def check_b2(b2, address):
    """The address, of its own family, in a PDU of the right size. Windows
    sends a sockaddr without family and port."""
    wanted = ipaddress.ip_address(address).packed
    if len(wanted) == 4:
        said, size = struct.pack("<II4s8x", 0, 0, wanted), 128
    else:
        said, size = struct.pack("<I8x16s4x", 1, wanted), 140
    assert b2.get("ClientAddress") == said
    assert len(b2.raw) == size


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_dual_stack(dual, backends, at, port, address):
    """An IPv4 client of an IPv6 socket is an IPv4 client."""
    dual()
    client = at(address, port).open()
    assert client.calls().add_one(1) == 2
    check_b2(b2_of(backends, client), address)


def test_one_family(dual, backends, at):
    """The sockets that have an address."""
    server = dual()
    for address in ("127.0.0.1", "::1"):
        client = at(address, server.address()[1]).open()
        assert client.calls().add_one(1) == 2
        check_b2(b2_of(backends, client), address)


def refused_status(client):
    client.start_out()
    return client.cout.head().line.split(" ", 1)[1]


def test_limit_by_either_socket(dual, at, log, port):
    """A client is one address, whatever socket it came by."""
    server = dual(location=("RpcProxyMaxPerAddress 2",))
    first = at("127.0.0.1", server.address()[1]).open()
    log.expect(r"RPX0324: 127\.0\.0\.1 has 2 ")
    assert refused_status(at("127.0.0.1", port)) == BUSY
    assert at("::1", port).open().calls().add_one(1) == 2
    assert first.calls().add_one(1) == 2


# ---- behind a reverse proxy -------------------------------------------------

REMOTEIP = {"modules": ("remoteip",),
            "server": ("RemoteIPHeader X-Forwarded-For",
                       "RemoteIPInternalProxy 127.0.0.1")}


def behind(raw, server, address, kind):
    """A client that the reverse proxy forwards for address."""
    return raw(server, f"echo.{kind}:1",
               headers=[f"X-Forwarded-For: {address}"])


@pytest.mark.parametrize("kind", ["tcp", "http"])
@pytest.mark.parametrize("one,other", [("192.0.2.1", "192.0.2.2"),
                                       ("2001:db8::1", "2001:db8:0:1::1")])
def test_limit_of_forwarded_clients(httpd, backends, raw, log, kind, one,
                                    other):
    server = httpd(**backends.fields(
        location=("RpcProxyMaxPerAddress 2",), **REMOTEIP))
    first = behind(raw, server, one, kind).open()
    assert behind(raw, server, other, kind).open().calls().add_one(1) == 2
    log.expect(f"RPX0324: {network(one)} has 2 .*RpcProxyMaxPerAddress")
    assert refused_status(behind(raw, server, one, kind)) == BUSY
    assert first.calls().add_one(1) == 2
    first.close()


def network(address):
    """What counts as one client."""
    return address.replace("::1", "::/64")


def test_limit_of_an_ipv6_network(httpd, backends, raw, log):
    """All addresses of it are the client's to choose."""
    server = httpd(**backends.fields(
        location=("RpcProxyMaxPerAddress 2",), **REMOTEIP))
    first = behind(raw, server, "2001:db8::1", "tcp").open()
    log.expect("RPX0324: 2001:db8::/64 has 2 ")
    for other in ("2001:db8::2", "2001:db8::ffff:ffff:ffff:ffff"):
        assert refused_status(behind(raw, server, other, "tcp")) == BUSY
    assert first.calls().add_one(1) == 2
    first.close()


@pytest.mark.parametrize("address", ["192.0.2.77", "2001:db8::77"])
def test_b2_of_forwarded_clients(httpd, backends, raw, address):
    server = httpd(**backends.fields(
        location=("RpcProxyMaxPerAddress 2",), **REMOTEIP))
    client = behind(raw, server, address, "http").open()
    assert client.calls().add_one(1) == 2
    check_b2(b2_of(backends, client), address)


def test_front_is_asked_for_its_own_address(httpd, backends, raw, log):
    """The front is trusted by the address of its connection, and not because
    a client that it forwards has a trusted one."""
    fields = backends.fields(http_tls_off=False, **REMOTEIP)
    headers = ["X-Forwarded-For: 192.0.2.9", "X-Forwarded-Proto: https"]
    server = httpd(location=("RpcProxyTrustedFront 127.0.0.1",), **fields)
    client = raw(server, "echo.http:1", headers=headers).open()
    check_b2(b2_of(backends, client), "192.0.2.9")
    server = httpd(location=("RpcProxyTrustedFront 192.0.2.9",), **fields)
    log.expect("RPX0202: ")
    client = raw(server, "echo.http:1", headers=headers)
    assert refused_status(client) == "403 Forbidden"
