# SPDX-License-Identifier: Apache-2.0
"""The methods and requests in httpd's own terms."""

import pytest

import clients
import env
import rawclient

AUTH = (env.USER, env.PASSWORD)
CREDENTIALS = ("-u", f"{env.USER}:{env.PASSWORD}")


def ask(server, method, target="echo.tcp:1", length=0, **more):
    channel = rawclient.Channel(server.address())
    channel.request(method, target, length, auth=more.pop("auth", AUTH),
                    **more)
    answer = channel.response()
    channel.close()
    return answer


def test_limit(httpd, backends, log):
    """<Limit> knows the methods."""
    limits = ('<Location "/rpc">',
              "    <Limit RPC_IN_DATA>", "        Require user nobody-else",
              "    </Limit>",
              "    <Limit RPC_OUT_DATA>", "        Require valid-user",
              "    </Limit>", "</Location>")
    server = httpd(mpm="event", **backends.fields(vhost=limits))
    log.allow("AH01631")                  # authorization failure
    assert ask(server, "RPC_OUT_DATA")[0].status == 200
    assert ask(server, "RPC_IN_DATA")[0].status == 401


def test_limit_except(httpd, backends, log):
    limits = ('<Location "/rpc">',
              "    <LimitExcept RPC_IN_DATA RPC_OUT_DATA>",
              "        Require all denied", "    </LimitExcept>",
              "    <Limit RPC_IN_DATA RPC_OUT_DATA>",
              "        Require valid-user", "    </Limit>", "</Location>")
    server = httpd(mpm="event", **backends.fields(vhost=limits))
    log.allow("AH01630")                  # client denied
    assert ask(server, "RPC_OUT_DATA")[0].status == 200
    assert ask(server, "RPC_IN_DATA")[0].status == 200
    assert ask(server, "GET")[0].status == 403


def test_allow_methods(httpd, backends, log):
    allow = ("AllowMethods RPC_IN_DATA RPC_OUT_DATA",)
    server = httpd(mpm="event", **backends.fields(location=allow))
    log.allow("AH01623")
    assert ask(server, "RPC_OUT_DATA")[0].status == 200
    assert ask(server, "RPC_IN_DATA")[0].status == 200
    assert ask(server, "GET")[0].status == 405


def test_registered_methods(httpd, backends, log, raw):
    strict_http = ("HttpProtocolOptions Strict RegisteredMethods",)
    server = httpd(mpm="event", **backends.fields(server=strict_http))
    log.allow("AH02423")
    assert ask(server, "RPC_OUT_DATA")[0].status == 200
    assert ask(server, "RPC_IN_DATA")[0].status == 200
    assert ask(server, "RPC_CONNECTED")[0].status == 501
    assert raw(server, "echo.tcp:1").open().calls().add_one(1) == 2


@pytest.mark.parametrize("path", ["/rpc/rpcproxy.dll", "/RPC/RpcProxy.DLL",
                                  "/Rpc/RPCPROXY.dll"])
def test_path_case(httpd, backends, raw, path):
    server = httpd(mpm="event", **backends.fields())
    client = raw(server, "echo.tcp:1", path=path)
    assert client.open().calls().add_one(1) == 2


@pytest.mark.parametrize("path", ["/rpc", "/rpc/", "/rpc/rpcproxy.dll/x",
                                  "/rpc/rpcproxy_dll"])
def test_other_paths_are_not_ours(httpd, backends, path):
    server = httpd(mpm="event", **backends.fields())
    head, _ = ask(server, "RPC_IN_DATA", path=path)
    assert head.status in (404, 405, 501)


@pytest.mark.parametrize("length", [131072, 1 << 30, 1 << 31])
def test_in_lengths(httpd, backends, raw, length):
    """2 GiB is legal, httpd's default limit is 1."""
    server = httpd(mpm="event", **backends.fields())
    client = raw(server, "echo.tcp:1")
    client.IN_LENGTH = length
    assert client.open().calls().add_one(1) == 2


@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_expect_100(httpd, backends, raw, mpm, kind):
    """The interim answer comes before a byte of body was sent, on both."""
    server = httpd(mpm=mpm, **backends.fields())
    client = raw(server, f"echo.{kind}:1", headers=["Expect: 100-continue"])
    client.request_in()
    assert client.cin.head().status == 100
    client.request_out()
    assert client.cout.head().status == 100
    client.cout.send(client.a1())
    client.cin.send(client.b1())
    client.read_200()
    client.read_a3()
    client.read_c2()
    assert client.calls().add_one(1) == 2


def test_expect_100_is_not_sent_to_the_refused(httpd, backends, raw, log):
    server = httpd(mpm="event", **backends.fields())
    log.allow("AH01617")                  # password mismatch
    client = raw(server, "echo.tcp:1", headers=["Expect: 100-continue"],
                 auth=(env.USER, "wrong"))
    client.request_in()
    assert client.cin.head().status == 401


def test_http1_beside_http2(httpd, backends, raw, tls):
    server = httpd(mpm="event", **backends.fields(
        modules=("http2",), vhost=("Protocols h2 http/1.1",)))
    assert raw(server, "echo.tcp:1", tls).open().calls().add_one(1) == 2


def test_other_sites_are_served(httpd, backends, raw):
    """The rest of httpd goes on beside open channels."""
    server = httpd(mpm="event", **backends.fields())
    raw(server, "echo.tcp:1").open()
    status, text = clients.curl(server.url("/index.html"))
    assert status == 200 and b"another site" in text


def test_minimum_timeout_pragma(httpd, backends, raw):
    """MinConnTimeout is read among other pragmas, and never announced."""
    server = httpd(mpm="event", **backends.fields())
    client = raw(server, "echo.tcp:1", headers=[
        "Pragma: ResourceTypeUuid=44e265dd-7daf-42cd-8560-3cdb6e7a2729, "
        "MinConnTimeout=300, SessionId=x"])
    client.open()
    assert client.a3.get("ConnectionTimeout") == 120000


def test_response_head(httpd, backends, raw):
    server = httpd(mpm="event", **backends.fields())
    client = raw(server, "echo.tcp:1").open()
    assert client.out_head.line == "HTTP/1.1 200 Success"
    assert client.out_head.headers["content-type"] == "application/rpc"
    assert client.out_head.headers["content-length"] == "1073741824"
    assert "transfer-encoding" not in client.out_head.headers
    assert client.c2.get("ReceiveWindowSize") == 65536
    assert client.c2.get("ConnectionTimeout") == 120000
    assert client.a3.get("ConnectionTimeout") == 120000
