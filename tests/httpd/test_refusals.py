# SPDX-License-Identifier: Apache-2.0
"""Who and what is refused: the answer, and the sentence in the log."""

import pytest

import env
import rawclient

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


def test_nothing_allowed_as_shipped(httpd, raw, log):
    server = httpd(mpm="event")
    log.expect("RPX0210: .*RpcProxyValidPorts")
    assert answers(raw(server, "mbx:593"))[0] == UNAVAILABLE


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
    assert answers(client)[0] == UNAVAILABLE
    assert client.cin.head().line.endswith(UNAVAILABLE)


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


def test_tls_is_required(httpd, backends, raw, log, tls):
    server = httpd(mpm="event", **backends.fields(http_tls_off=False))
    log.expect("RPX0203: .*RpcProxyRequireTLS")
    status, _ = answers(raw(server, "echo.tcp:1"))
    assert status.startswith("403")
    assert raw(server, "echo.tcp:1", tls).open().calls().add_one(1) == 2


@pytest.mark.parametrize("header", ["X-Forwarded-Proto: https",
                                    "Front-End-Https: on"])
def test_trusted_front(httpd, backends, raw, log, header):
    server = httpd(mpm="event", **backends.fields(
        http_tls_off=False,
        location=("RpcProxyTrustedFront 127.0.0.0/8",)))
    client = raw(server, "echo.tcp:1", headers=[header])
    assert client.open().calls().add_one(1) == 2
    log.expect("RPX0201")
    assert answers(raw(server, "echo.tcp:1"))[0].startswith("403")


def test_front_that_is_not_trusted(httpd, backends, raw, log):
    server = httpd(mpm="event", **backends.fields(
        http_tls_off=False,
        location=("RpcProxyTrustedFront 192.0.2.0/24",)))
    log.expect("RPX0202: .*RpcProxyTrustedFront")
    client = raw(server, "echo.tcp:1", headers=["Front-End-Https: on"])
    assert answers(client)[0].startswith("403")


def test_authentication_is_required(httpd, backends, raw, log):
    server = httpd(mpm="event", **backends.fields(auth="none"))
    log.expect("RPX0204: .*RpcProxyRequireAuth")
    client = raw(server, "echo.tcp:1", auth=None)
    assert answers(client)[0].startswith("403")


@pytest.mark.parametrize("lines", [
    ("RpcProxyRequireAuth Off",),
    ("RpcProxyAllowAnonymous On",),
    ("RpcProxyAllowAnonymous On", "RpcProxyRequireTLS Off")])
def test_anonymous(httpd, backends, raw, lines):
    server = httpd(mpm="event", **backends.fields(auth="none",
                                                  location=lines))
    client = raw(server, "echo.tcp:1", auth=None)
    assert client.open().calls().add_one(1) == 2


def test_401_for_a_gigabyte(httpd, backends, log):
    """The client does not send the body before it has the answer: httpd
    must not wait for it, and the connection ends."""
    server = httpd(mpm="event", **backends.fields())
    channel = rawclient.Channel(server.address())
    channel.request("RPC_IN_DATA", "echo.tcp:1", 1 << 30)
    head = channel.head()
    assert head.status == 401
    assert head.headers.get("connection", "").lower() == "close"
    channel.rest()


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


def test_valid_ports_file(httpd, backends, raw, log, tmp_path):
    """Re-read when it changes, without a restart; a bad one changes
    nothing."""
    path = tmp_path / "validports"
    tmp_path.chmod(0o755)
    for parent in (tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(0o755)
    path.write_text("somebody:593\n")
    fields = backends.fields(location=(f"RpcProxyValidPortsFile {path}",))
    fields["ports"] = ("None",)
    server = httpd(mpm="event", **fields)
    log.allow("RPX02", "RPX0102")
    assert answers(raw(server, "echo.tcp:1"))[0] == UNAVAILABLE
    path.write_text("# now it may\nsomebody:593;echo.tcp:1\n")

    def works():
        client = raw(server, "echo.tcp:1")
        client.start_out()
        return client.cout.head().status == 200
    env.wait_until(works, "the new list", 30, 0.5)
    log.expect("RPX0101: .*RpcProxyValidPortsFile")
    path.write_text("echo.tcp:1;broken\n")

    def complained():
        assert works()
        return any("RPX0101" in line.raw for line in log.lines())
    env.wait_until(complained, "a complaint", 30, 0.5)
