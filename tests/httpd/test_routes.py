# SPDX-License-Identifier: Apache-2.0
"""Routes: to servers that speak something else than the route says, and to
servers with IPv6 addresses."""

import pytest

import env
import servers

UNAVAILABLE = "503 RPC Error: 6ba"

# ---- a server that does not speak ncacn_http --------------------------------


@pytest.fixture
def wrong_server(backends, strict):
    """The address of a server that is not one of ncacn_http."""
    def get(what):
        if what == "rpch-server":
            return f"{backends.echo.host}:{backends.echo.tcp_port}"
        if what == "samba":
            return f"{backends.dc.host}:135"
        # Reset only after the first PDU: before it, connect() may fail.
        plan = {"silent": {"accept": "hang"}, "closes": {"accept": "close"},
                "resets": {"A2": "reset", "B2": "reset"}}[what]
        back = strict(plan=plan, banner=False)
        return f"{back.host}:{back.port}"
    return get


@pytest.mark.parametrize("in_first", [False, True], ids=["out-in", "in-out"])
@pytest.mark.parametrize("what", ["rpch-server", "samba", "silent", "closes",
                                  "resets"])
def test_server_of_another_protocol(httpd, raw, wrong_server, log, what,
                                    in_first):
    """The log names the directive, the client hears the usual."""
    server = httpd(ports=("s:1",), routes=(f"s:1 to={wrong_server(what)}",),
                   location=("RpcProxyHandshakeTimeout 2s",))
    log.expect("RPX0331: .* s:1: .*RpcProxyRoute")
    client = raw(server, "s:1")
    for start in ((client.start_in, client.start_out) if in_first else
                  (client.start_out, client.start_in)):
        start()
    assert client.cin.head().line.endswith(UNAVAILABLE)
    client.cin.rest()
    client.cout.rest()
    server.wait_idle()


@pytest.mark.parametrize("which", ["out", "in"])
def test_half_a_connection_is_no_wrong_server(httpd, backends, raw, which):
    """A client that opens one channel only says nothing of the server."""
    server = httpd(ports=("s:1",), location=(
        "RpcProxyHandshakeTimeout 1s",), routes=(
            f"s:1 to=127.0.0.1:{backends.strict_echo.port}",))
    client = raw(server, "s:1")
    if which == "out":
        client.start_out()
        client.cout.rest()
    else:
        client.start_in()
        client.cin.rest()
    server.wait_idle()


# ---- IPv6 -------------------------------------------------------------------

@pytest.fixture(scope="module")
def echo6(scratch):
    """rpch-server, by IPv6 only."""
    server = servers.RpchServer(scratch, host="::1")
    yield server
    server.stop()


PROTOCOL = {"tcp": "ncacn_ip_tcp", "http": "ncacn_http"}


def port_of(server, kind):
    return server.tcp_port if kind == "tcp" else server.http_port


def check_works(client):
    assert client.open().calls().echo(b"6" * 100000) == b"6" * 100000


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_address_in_the_url(httpd, echo6, raw, kind):
    """RpcProxyValidPorts has the address that the client asks for."""
    port = port_of(echo6, kind)
    server = httpd(ports=(f"[::1]:{port}",),
                   routes=(f"[::1] protocol={PROTOCOL[kind]}",))
    check_works(raw(server, f"[::1]:{port}"))


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_address_in_the_route(httpd, echo6, raw, kind):
    server = httpd(ports=("six:1",), routes=(
        f"six protocol={PROTOCOL[kind]} to=[::1]:{port_of(echo6, kind)}",))
    check_works(raw(server, "six:1"))


def test_strict_server(httpd, backends, strict, raw):
    back = strict((backends.echo.host, backends.echo.tcp_port), host="::1")
    server = httpd(ports=("six:1",), routes=(f"six to=[::1]:{back.port}",))
    check_works(raw(server, "six:1"))
    assert back.names("S-IN", "recv")[0] == "CONN/B2"


@pytest.mark.parametrize("kind", ["tcp", "http"])
@pytest.mark.parametrize("family", ["inet", "inet6"])
def test_name_of_both_families(httpd, backends, echo6, raw, kind, family):
    """Where one of the addresses refuses, the other is used."""
    port = port_of(echo6 if family == "inet6" else backends.echo, kind)
    server = httpd(ports=("both:1",), routes=(
        f"both protocol={PROTOCOL[kind]} to=both.example.test:{port}",))
    check_works(raw(server, "both:1"))


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_nobody_listens(httpd, raw, log, kind):
    """The log has the address as one writes it."""
    port = env.free_port()
    server = httpd(ports=("six:1",), routes=(
        f"six protocol={PROTOCOL[kind]} to=[::1]:{port}",))
    log.expect(rf"RPX0330: .*\[::1\]:{port}")
    client = raw(server, "six:1")
    client.start_out()
    assert client.cout.head().line.endswith(UNAVAILABLE)
