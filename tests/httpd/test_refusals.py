# SPDX-License-Identifier: Apache-2.0
"""What is refused once the first PDU was read: the answer on both channels, and
the sentence in the log."""

import pytest

import env

UNAVAILABLE = "503 RPC Error: 6ba"
BUSY = "503 RPC Error: 6bb"


def answers(client):
    """The status lines of both channels of a client that is refused."""
    client.start_out()
    head = client.cout.head()
    return head.line.split(" ", 1)[1], head


@pytest.mark.parametrize("target,line", [
    ("nowhere:593", "RPX0214: .*nowhere:593"),
    ("echo.tcp:2", "RPX0211: .*echo.tcp:1"),
    ("ECHO:1", "RPX0213: .*echo.tcp:1"),
    ("echo.tcp.example.com:1", "RPX021[24]"),
])
def test_valid_ports(httpd, backends, raw, log, target, line):
    server = httpd(mpm="event", **backends.fields())
    log.expect(line)
    client = raw(server, target)
    status, head = answers(client)
    assert status == UNAVAILABLE
    assert head.headers["content-length"] == "0"
    client.start_in()
    assert client.cin.head().line.endswith(UNAVAILABLE)
    assert client.cin.rest() == b""


def test_names_in_any_case(httpd, backends, raw):
    server = httpd(mpm="event", **backends.fields())
    assert raw(server, "ECHO.Tcp:1").open().calls().add_one(1) == 2


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_server_that_is_not_there(httpd, raw, log, kind):
    """The same answer as for a target that is not in the list."""
    port = env.free_port()
    server = httpd(mpm="event", ports=(f"gone:{port}",), routes=(
        f"gone protocol=ncacn_{'ip_tcp' if kind == 'tcp' else 'http'} "
        f"to=127.0.0.1",))
    log.expect(f"RPX0330: .*:{port}")
    client = raw(server, f"gone:{port}")
    status, head = answers(client)
    assert status == UNAVAILABLE
    assert head.headers["content-length"] == "0"
    client.start_in()
    if kind == "http":
        assert client.cin.head().line.endswith(UNAVAILABLE)


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_in_learns_that_out_failed(httpd, raw, log, kind):
    """IN first: it gets its 503 when OUT could not connect."""
    port = env.free_port()
    server = httpd(mpm="event", ports=(f"gone:{port}",), routes=(
        f"gone protocol=ncacn_{'ip_tcp' if kind == 'tcp' else 'http'} "
        f"to=127.0.0.1",))
    log.expect("RPX0330")
    client = raw(server, f"gone:{port}")
    client.start_in()
    env.wait_until(lambda: server.status()["channels_in"] == 1
                   or kind == "http", "IN in the table")
    assert answers(client)[0] == UNAVAILABLE
    assert client.cin.head().line.endswith(UNAVAILABLE)


@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
@pytest.mark.parametrize("in_first", [False, True])
@pytest.mark.parametrize("way", ["close", "reset"])
def test_error_after_the_response(httpd, backends, raw, strict, log, mpm,
                                  in_first, way):
    """The server fails in place of CONN/C1, when OUT's 200 is out already:
    OUT is closed, behind CONN/A3, and IN gets the 503."""
    back = strict((backends.echo.host, backends.echo.tcp_port),
                  plan={"C1": way})
    server = httpd(mpm=mpm, ports=("s:1",),
                   routes=(f"s:1 to=127.0.0.1:{back.port}",),
                   location=("RpcProxyHandshakeTimeout 20s",))
    log.expect("RPX0331: (IN|OUT) channel")
    client = raw(server, "s:1")
    if in_first:
        client.start_in()
    client.start_out()
    client.read_200()
    client.read_a3()
    if not in_first:
        client.start_in()
    assert client.cin.head().line == f"HTTP/1.1 {UNAVAILABLE}"
    assert client.cin.rest() == b"" and client.cout.rest() == b""
    server.wait_idle()


def test_unknown_name(httpd, raw, log):
    server = httpd(mpm="event", ports=("no-such-host.invalid:593",),
                   location=("RpcProxyConnectTimeout 2s",))
    log.expect("RPX0330: .*no-such-host.invalid")
    assert answers(raw(server, "no-such-host.invalid:593"))[0] == UNAVAILABLE


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_failover(httpd, backends, raw, log, kind):
    """Several to=, and a name with an address where nobody listens."""
    log.allow("RPX033")
    echo = backends.echo
    port = echo.tcp_port if kind == "tcp" else echo.http_port
    protocol = "ncacn_ip_tcp" if kind == "tcp" else "ncacn_http"
    dead = env.free_port()
    server = httpd(mpm="event", ports=("a:1", "b:1"), routes=(
        f"a protocol={protocol} to=127.0.0.1:{dead} to=127.0.0.1:{port}",
        f"b protocol={protocol} to=two.example.test:{port}"))
    for name in ("a", "b"):
        assert raw(server, f"{name}:1").open().calls().add_one(1) == 2


@pytest.mark.parametrize("directive,tag", [
    ("RpcProxyMaxPerUser", "RPX0323"), ("RpcProxyMaxPerAddress", "RPX0324")])
@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_limits(httpd, backends, raw, log, directive, tag, kind):
    server = httpd(mpm="event", **backends.fields(
        location=(f"{directive} 2",)))
    first = raw(server, f"echo.{kind}:1").open()
    log.expect(f"{tag}: .*{directive}")
    assert answers(raw(server, f"echo.{kind}:1"))[0] == BUSY
    assert first.calls().add_one(1) == 2
    first.close()
    server.wait_idle()
    assert raw(server, f"echo.{kind}:1").open().calls().add_one(1) == 2


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_full_table(httpd, backends, raw, log, kind):
    """Full: 503 for ncacn_ip_tcp; ncacn_http needs no entry."""
    server = httpd(mpm="event", **backends.fields(
        server=("RpcProxyMaxConnections 1",)))
    first = raw(server, f"echo.{kind}:1").open()
    client = raw(server, f"echo.{kind}:1")
    log.expect("RPX0322: .*RpcProxyMaxConnections") if kind == "tcp" else (
        log.allow("RPX0322"))
    if kind == "tcp":
        assert answers(client)[0] == BUSY
    else:
        assert client.open().calls().add_one(1) == 2
    assert first.calls().add_one(1) == 2
