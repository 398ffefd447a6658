# SPDX-License-Identifier: Apache-2.0
"""The directives, and what is decided before a channel begins: wrong values
stop the configuration test, refusals get the right answer and log line, echo
requests keep their connection, ValidPortsFile is read again."""

import base64
import os
import re

import pytest

import env
import rts
from httpd import Httpd, line_refused
from httpd_conf import Conf
from rawclient import Channel

ECHO = rts.make("Echo")
GIB = 1 << 30
AUTH = (env.USER, env.PASSWORD)
#: Nothing listens there, and the list below allows it.
DEAD = "127.0.0.1:9"
PORTS = ("127.0.0.1:9;short:1;full.example.test:2-3",)

DURATION = "as 30, 500ms, 5m or 8h"

#: A directive's line, its wrong value, and what the sentence says is allowed.
WRONG = [
    ("RpcProxyRequireTLS Yes", "'Yes'", "On or Off"),
    ("RpcProxyRequireAuth 1", "'1'", "On or Off"),
    ("RpcProxyAllowAnonymous x", "'x'", "On or Off"),
    ("RpcProxyVersion1 2", "'2'", "On or Off"),
    ("RpcProxyExtendedErrors yes", "'yes'", "On or Off"),
    ("RpcProxyConnectTimeout 10x", "'10x'", "100ms to 1h"),
    ("RpcProxyConnectTimeout 99ms", "'99ms'", DURATION),
    ("RpcProxyConnectTimeout 61m", "'61m'", "100ms to 1h"),
    ("RpcProxyHandshakeTimeout 0", "'0'", "100ms to 1h"),
    ("RpcProxyConnectionTimeout 119s", "'119s'", "2m to 4h"),
    ("RpcProxyConnectionTimeout 5h", "'5h'", "2m to 4h"),
    ("RpcProxyPingInterval 999ms", "'999ms'", "1s to 4h"),
    ("RpcProxyIdleTimeout -1", "'-1'", "1s to 720h"),
    ("RpcProxyStallTimeout 25h", "'25h'", "1s to 24h"),
    ("RpcProxyReceiveWindow 8191", "'8191'", "8K to 256K"),
    ("RpcProxyReceiveWindow 257K", "'257K'", "as 65536, 64K, 8M or 1G"),
    ("RpcProxyChannelLifetime 3G", "'3G'", "128K to 2G"),
    ("RpcProxyMaxPerUser 1K", "'1K'", "0 to 4294967295"),
    ("RpcProxyMaxPerAddress 4294967296", "'4294967296'", "0 to 4294967295"),
    ("RpcProxyValidPorts ex1", "'ex1'", "or None is allowed"),
    ("RpcProxyValidPorts a:1 \"b:2;c:0\"", "'c:0'", "or None is allowed"),
    ("RpcProxyValidPorts a:65536", "'a:65536'", "or None is allowed"),
    ("RpcProxyValidPorts a:2-1", "'a:2-1'", "or None is allowed"),
    ("RpcProxyValidPorts a:1 None", "'None'", "without a list"),
    ("RpcProxyValidPorts None a:1", "'a:1'", "without a list"),
    ("RpcProxyValidPortsFile /nowhere/at/all", "'/nowhere/at/all'",
     "No such file"),
    ("RpcProxyValidPortsFile /", "'/'", "not a regular file"),
    ("RpcProxyRoute ex1:0", "'ex1:0'", "NAME:LOW-HIGH"),
    ("RpcProxyRoute ex1 to=a:0", "'to=a:0'", "to=HOST:PORT"),
    ("RpcProxyRoute ex1 protocol=http", "'protocol=http'",
     "protocol=ncacn_ip_tcp is allowed"),
    ("RpcProxyRoute ex1 elsewhere", "'elsewhere'", "to=HOST[:PORT]"),
    ("RpcProxyTrustedFront front.example.test", "'front.example.test'",
     "192.0.2.0/24"),
    ("RpcProxyTrustedFront 192.0.2.1/33", "'192.0.2.1/33'", "192.0.2.0/24"),
]

WRONG_MAIN = [
    ("RpcProxyMaxConnections 0", "'0'", "1 to 1048576"),
    ("RpcProxyMaxConnections many", "'many'", "1 to 1048576"),
    ("RpcProxyDrainTimeout 8d", "'8d'", "0 to 168h"),
    ("RpcProxyAsync On", "'On'", "Auto or Off"),
    ("RpcProxyMaxChannelsPerChild -1", "'-1'", "0 to 1048576"),
]

#: Every directive with every way to write its value.
RIGHT = (
    "RpcProxyRequireTLS off", "RpcProxyRequireAuth ON",
    "RpcProxyAllowAnonymous Off", "RpcProxyVersion1 on",
    "RpcProxyExtendedErrors on", "RpcProxyConnectTimeout 100ms",
    "RpcProxyHandshakeTimeout 1h", "RpcProxyConnectionTimeout 120",
    "RpcProxyPingInterval 1s", "RpcProxyIdleTimeout 8h",
    "RpcProxyStallTimeout 5min", "RpcProxyReceiveWindow 8192",
    "RpcProxyChannelLifetime 2G", "RpcProxyMaxPerUser 0",
    "RpcProxyMaxPerAddress 12",
    'RpcProxyValidPorts "a:1; b.example:2-3;" "*@example.test:6001"',
    'RpcProxyValidPorts "[2001:db8::1]:593;*:1;"',
    "RpcProxyRoute a", "RpcProxyRoute *@example.test:6001 to=b to=[::1]:7",
    "RpcProxyRoute c* protocol=ncacn_ip_tcp to=d:8",
    "RpcProxyTrustedFront 192.0.2.1 192.0.2.0/24 2001:db8::/32",
)


@pytest.fixture
def configtest(scratch, certs):
    def run(**fields):
        return Httpd(scratch, certs, Conf(**fields)).configtest()
    return run


@pytest.mark.parametrize("line,value,allowed", WRONG)
def test_wrong_value(configtest, line, value, allowed):
    line_refused(configtest(location=(line,)), line, value, allowed)


@pytest.mark.parametrize("line,value,allowed", WRONG_MAIN)
def test_wrong_value_of_the_server(configtest, line, value, allowed):
    line_refused(configtest(server=(line,)), line, value, allowed)


@pytest.mark.parametrize("where", ["location", "vhost", "server"])
def test_right_values(configtest, where):
    code, text = configtest(**{where: RIGHT})
    assert code == 0, text


def test_right_values_of_the_server(configtest):
    code, text = configtest(server=("RpcProxyMaxConnections 1048576",
                                    "RpcProxyDrainTimeout 0",
                                    "RpcProxyAsync auto",
                                    "RpcProxyMaxChannelsPerChild 0",
                                    "RpcProxyValidPorts None"))
    assert code == 0, text


@pytest.mark.parametrize("line", ["RpcProxyMaxConnections 5",
                                  "RpcProxyDrainTimeout 5m",
                                  "RpcProxyMaxChannelsPerChild 9",
                                  "RpcProxyAsync Off"])
@pytest.mark.parametrize("where", ["location", "vhost"])
def test_server_only(configtest, line, where):
    code, text = configtest(**{where: (line,)})
    assert code != 0
    assert line.split()[0] in text


def test_file_is_tested(configtest, scratch):
    path = scratch.dir("tested") / "ports"
    line = f"RpcProxyValidPortsFile {path}"
    path.write_text("# fine\na:1\nb:x\n")
    line_refused(configtest(location=(line,)), line, str(path), "line 3: 'b:x'")
    path.write_text("a:1\nb:2 # fine\n\n")
    for more in ((), ("RpcProxyValidPorts c:1", "RpcProxyValidPorts d:1")):
        code, text = configtest(location=(line, *more))
        assert code == 0, text
        code, text = configtest(location=(*more, line))
        assert code == 0, text
    code, text = configtest(location=(line, line))
    assert code != 0 and "only one file" in text
    none = "RpcProxyValidPorts None"
    for lines in ((line, none), (none, line)):
        code, text = configtest(location=lines)
        assert code != 0 and "without RpcProxyValidPortsFile" in text


def test_not_in_htaccess(httpd, log):
    server = httpd(server=('<Directory "${DIR}">\n'.replace(
        "${DIR}", "/"), "    AllowOverride All", "</Directory>"))
    folder = server.dir / "htdocs" / "inner"
    folder.mkdir()
    (folder / ".htaccess").write_text("RpcProxyValidPorts *:1\n")
    log.expect(r"RpcProxyValidPorts not allowed here")
    ch = Channel(server.address())
    ch.send(b"GET /inner/ HTTP/1.0\r\n\r\n")
    assert ch.head().status == 500


# ---- answers --------------------------------------------------------------

def ask(channel, method="RPC_IN_DATA", target=DEAD, length=0, auth=AUTH,
        **more):
    channel.request(method, target, length, auth=auth, **more)
    return channel.response()


def echoed(head, body):
    assert head.line == "HTTP/1.1 200 Success"
    assert head.headers["content-type"] == "application/rpc"
    assert body == ECHO


def closed(channel):
    """Nothing comes any more but the end."""
    return channel.rest() == b""


METHODS = ["RPC_IN_DATA", "RPC_OUT_DATA"]


@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
def test_echo_keeps_the_connection(httpd, mpm):
    ch = Channel(httpd(mpm=mpm, ports=PORTS).address())
    for method in METHODS:
        for length in (0, 4, 16):
            ch.request(method, DEAD, length, auth=AUTH)
            ch.send(b"\xf8\xe8\x18\x08" * (length // 4))
            echoed(*ch.response())
        echoed(*ask(ch, method, length=None))
        echoed(*ask(ch, method, target=None))
        echoed(*ask(ch, method, target="not allowed at all"[:3]))
    ch.close()


def test_echo_http_1_0(httpd):
    ch = Channel(httpd(ports=PORTS).address())
    for _ in range(2):
        ch.request("RPC_OUT_DATA", DEAD, 0, auth=AUTH, version="1.0")
        head, body = ch.response()
        assert head.reason == "Success" and body == ECHO
        assert head.headers["connection"].lower() == "keep-alive"
    ch.close()


def test_echo_of_any_case_and_path(httpd, tls):
    server = httpd(ports=PORTS)
    ch = Channel(server.address(True), tls)
    for path in ("/rpc/rpcproxy.dll", "/RPC/RpcProxy.DLL"):
        echoed(*ask(ch, path=path))
    ch.close()


def test_echo_with_expect(httpd):
    ch = Channel(httpd(ports=PORTS).address())
    ch.request("RPC_IN_DATA", DEAD, 4, ["Expect: 100-continue"], AUTH)
    assert ch.head().status == 100
    ch.send(b"abcd")
    echoed(*ch.response())
    ch.close()


@pytest.mark.parametrize("mpm", ["event", "prefork"])
@pytest.mark.parametrize("method", METHODS)
def test_401_comes_at_once(httpd, log, mpm, method):
    """The body that was announced is not waited for."""
    log.allow("AH01617")
    server = httpd(mpm=mpm, ports=PORTS)
    for auth in (None, (env.USER, "wrong")):
        ch = Channel(server.address())
        head, _ = ask(ch, method, length=GIB, auth=auth)
        assert head.status == 401
        assert head.headers["connection"].lower() == "close"
        assert closed(ch)
        ch.close()


def test_401_keeps_the_connection_of_an_empty_body(httpd):
    ch = Channel(httpd(ports=PORTS).address())
    for method in METHODS:
        head, _ = ask(ch, method, auth=None)
        assert head.status == 401
        echoed(*ask(ch, method))
    ch.close()


def test_401_of_an_out_channel_keeps_the_connection(httpd):
    ch = Channel(httpd(ports=PORTS).address())
    ch.request("RPC_OUT_DATA", DEAD, 76)
    ch.send(bytes(76))
    head, _ = ch.response()
    assert head.status == 401
    echoed(*ask(ch))
    ch.close()


@pytest.mark.parametrize("method", METHODS)
def test_clear_text(httpd, log, method):
    server = httpd(ports=PORTS, http_tls_off=False)
    log.expect("RPX0203: .*RpcProxyRequireTLS")
    ch = Channel(server.address())
    head, body = ask(ch, method, length=GIB)
    assert head.status == 403 and b"https" in body
    assert closed(ch)
    ch.close()


def test_trusted_front(httpd, log):
    server = httpd(ports=PORTS, http_tls_off=False, location=(
        "RpcProxyTrustedFront 192.0.2.1", "RpcProxyTrustedFront 127.0.0.1/32"))
    log.expect("RPX0201: .*RpcProxyTrustedFront")
    ch = Channel(server.address())
    for header in ("X-Forwarded-Proto: https", "X-Forwarded-Proto: HTTPS",
                   "Front-End-Https: on", "Front-End-Https: On"):
        echoed(*ask(ch, headers=[header]))
    for headers in ([], ["X-Forwarded-Proto: http"], ["Front-End-Https: off"],
                    ["X-Forwarded-Proto: https", "X-Forwarded-Proto: http"]):
        head, _ = ask(ch, headers=headers)
        assert head.status == 403
    ch.close()


def test_untrusted_front(httpd, log):
    server = httpd(ports=PORTS, http_tls_off=False,
                   location=("RpcProxyTrustedFront 192.0.2.1",))
    log.expect("RPX0202: .*127.0.0.1.*RpcProxyTrustedFront")
    ch = Channel(server.address())
    head, _ = ask(ch, headers=["X-Forwarded-Proto: https"])
    assert head.status == 403
    ch.close()


def test_nobody_authenticated(httpd, log):
    server = httpd(ports=PORTS, auth="none")
    log.expect("RPX0204: .*RpcProxyRequireAuth")
    ch = Channel(server.address())
    head, _ = ask(ch, auth=None)
    assert head.status == 403
    ch.close()


@pytest.mark.parametrize("lines", [("RpcProxyRequireAuth Off",),
                                   ("RpcProxyAllowAnonymous On",)])
def test_anonymous(httpd, lines):
    server = httpd(ports=PORTS, auth="none", location=lines,
                   http_tls_off=lines[0].startswith("RpcProxyRequire"))
    ch = Channel(server.address())
    echoed(*ask(ch, auth=None))
    ch.close()


def test_explicit_requirement_beats_allow_anonymous(httpd, log):
    server = httpd(ports=PORTS, auth="none", location=(
        "RpcProxyAllowAnonymous On", "RpcProxyRequireAuth On"))
    log.expect("RPX0204: ")
    ch = Channel(server.address())
    head, _ = ask(ch, auth=None)
    assert head.status == 403
    ch.close()


def test_client_certificate(httpd, tls_cert, log):
    server = httpd(ports=PORTS)
    ch = Channel(server.address(cert=True), tls_cert)
    echoed(*ask(ch, path="/rpcwithcert/rpcproxy.dll", auth=None))
    ch.close()


def test_methods(httpd, log):
    server = httpd(ports=PORTS)
    log.expect("RPX0220: .*RPC_CONNECT", "RPX0221: ")
    for method in ("GET", "POST", "OPTIONS", "RPC_ECHO", "rpc_in_data"):
        ch = Channel(server.address())
        head, body = ask(ch, method)
        assert head.status == 405, method
        assert head.headers["allow"] == "RPC_IN_DATA, RPC_OUT_DATA"
        ch.close()
    ch = Channel(server.address())
    head, _ = ask(ch, "RPC_CONNECT", length=None)
    assert head.status == 405
    assert closed(ch)
    ch.close()


@pytest.mark.parametrize("query", [
    None, "", "x", "x:", ":1", "x:0", "x:65536", "x:1234567", "x:1x", "x:-1",
    "x:+1", "a%62:1", "a/b:1", "a?b:1", "[::1:1",
    pytest.param("a" * 1024 + ":1", id="long")])
def test_malformed_url(httpd, log, query):
    log.expect("RPX0223: ")
    server = httpd(ports=PORTS)
    for method, length in zip(METHODS, (GIB, 76)):
        ch = Channel(server.address())
        ch.request(method, query, length, auth=AUTH)
        ch.send(bytes(76))
        head, body = ch.response()
        assert head.status == 400
        assert b"server:port" in body
        ch.close()


@pytest.mark.parametrize("length", [17, 76, 131071])
def test_in_length(httpd, log, length):
    log.expect("RPX0225: ")
    ch = Channel(httpd(ports=PORTS).address())
    head, body = ask(ch, length=length)
    assert head.status == 400 and b"131072" in body
    assert closed(ch)
    ch.close()


@pytest.mark.parametrize("method", METHODS)
def test_chunked(httpd, log, method):
    log.expect("RPX0224: ")
    ch = Channel(httpd(ports=PORTS).address())
    head, _ = ask(ch, method, length=None,
                  headers=["Transfer-Encoding: chunked"])
    assert head.status == 400
    assert closed(ch)
    ch.close()


@pytest.mark.parametrize("length", ["x", "-1", "0x10", "99999999999999999999",
                                    "1 2"])
def test_content_length_is_no_number(httpd, log, length):
    log.allow("RPX0227: ")
    ch = Channel(httpd(ports=PORTS).address())
    ch.request("RPC_IN_DATA", DEAD, length, auth=AUTH)
    assert ch.head().status == 400
    ch.close()


def test_limit_request_body(httpd, log):
    log.expect("RPX0226: .*LimitRequestBody", "RPX0408: ")
    ch = Channel(httpd(ports=PORTS, location=(
        "LimitRequestBody 1000000",)).address())
    head, _ = ask(ch, length=GIB)
    assert head.status == 413
    assert closed(ch)
    ch.close()


def test_http2(httpd, log):
    server = httpd(ports=PORTS, modules=("http2",),
                   server=("Protocols h2c http/1.1",))
    log.expect("RPX0222: .*Protocols")
    log.allow("http2")
    done = env.run(["curl", "-s", "-o", os.devnull, "-w", "%{http_code}",
                    "--max-time", "20", "--http2-prior-knowledge", "-X",
                    "RPC_OUT_DATA", "-u", ":".join(AUTH), "--data-binary",
                    "x" * 76, "http://127.0.0.1:%d/rpc/rpcproxy.dll?%s" % (
                        server.address()[1], DEAD)])
    assert done.stdout == "501"


def test_channel_after_echo_on_one_connection(httpd, log):
    log.expect("RPX0330: ")
    ch = Channel(httpd(ports=PORTS).address())
    echoed(*ask(ch, "RPC_OUT_DATA"))
    ch.request("RPC_OUT_DATA", DEAD, 76, ["Expect: 100-continue"], AUTH)
    assert ch.head().status == 100
    ch.send(rts.make("CONN/A1", 1, os.urandom(16), os.urandom(16), 65536))
    head, _ = ch.response()
    assert head.line.endswith("503 RPC Error: 6ba")
    ch.close()


# ---- targets --------------------------------------------------------------

def open_out(server, target):
    """Asks for an OUT channel; the response's status line."""
    ch = Channel(server.address())
    try:
        ch.request("RPC_OUT_DATA", target, 76, auth=AUTH)
        ch.send(rts.make("CONN/A1", 1, os.urandom(16), os.urandom(16), 65536))
        return ch.head().line.split(" ", 1)[1]
    finally:
        ch.close()


@pytest.mark.parametrize("target,says", [
    ("127.0.0.1:10", "RPX0211: .*127.0.0.1:9 "),
    ("SHORT.example.test:1", "RPX0212: .*SHORT.example.test:1 .* short:1 "),
    ("full:2", "RPX0213: .* full.example.test:2-3 "),
    ("other:1", "RPX0214: .*other:1 "),
    ("[::1]:9", r"RPX0214: .*\[::1\]:9 ")])
def test_target_refused(httpd, log, target, says):
    log.expect(says)
    server = httpd(ports=PORTS)
    assert open_out(server, target) == "503 RPC Error: 6ba"


def test_nothing_is_allowed(httpd, log):
    """The shipped configuration, and an inner None."""
    log.expect("RPX0210: ")
    assert open_out(httpd(), DEAD) == "503 RPC Error: 6ba"
    inner = httpd(vhost=('RpcProxyValidPorts "127.0.0.1:9"',),
                  location=("RpcProxyValidPorts None",))
    assert open_out(inner, DEAD) == "503 RPC Error: 6ba"


def test_outer_list_holds(httpd, log):
    log.expect("RPX0330: ")
    server = httpd(vhost=('RpcProxyValidPorts "127.0.0.1:9"',))
    assert open_out(server, DEAD) == "503 RPC Error: 6ba"


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_file_is_read_again(httpd, log, scratch, mpm):
    folder = scratch.dir("ports")
    path = folder / "ports"
    path.write_text("other:1\n")
    path.chmod(0o644)
    server = httpd(mpm=mpm, location=(f"RpcProxyValidPortsFile {path}",))

    def lines(tag):
        return [line for line in log.lines() if tag in line.text]

    def put(text):
        (folder / "new").write_text(text)
        (folder / "new").chmod(0o644)
        (folder / "new").rename(path)

    def until(tag):
        """Asks until one more line with tag is in the log."""
        before = len(lines(tag))

        def more():
            assert open_out(server, DEAD) == "503 RPC Error: 6ba"
            return len(lines(tag)) > before
        env.wait_until(more, tag, interval=0.2)

    log.expect("RPX0102: .*was read again, it has 2 entries")
    log.allow("RPX0214", "RPX0330")
    until("RPX0214")
    put(f"{DEAD}\nother:1\n")
    until("RPX0330")
    # Spoilt: told, and what was read before stays.
    put("nonsense\n")
    log.expect("RPX0101: .*line 1: 'nonsense'")
    until("RPX0101")
    until("RPX0330")
    pids = [line.pid for line in lines("RPX0101")]
    assert len(pids) == len(set(pids)), "told twice by a child"
    put("other:1\n")
    until("RPX0214")


# ---- the rest -------------------------------------------------------------

@pytest.mark.parametrize("quiet,version,change", [
    ("1", "1.0", ("", "")),
    ("-", "1.1", ("", "")),
    ("-", "1.0", ("keep-alive", "Keep-Alive")),
    ("-", "1.0", ("Pragma: no-cache", "Pragma: No-cache")),
    ("-", "1.0", ("Cache-Control: no-cache", "Cache-Control: No-cache")),
    ("-", "1.0", ("Pragma: no-cache", "X: no-cache"))])
def test_shipped_conf_knows_samba(httpd, quiet, version, change):
    """rpcproxy-quiet: for Samba's head, and none that resembles it."""
    server = httpd(ports=PORTS,
                   vhost=('CustomLog quiet.log "%{rpcproxy-quiet}e"',))
    path = server.dir / "quiet.log"
    before = path.read_text().splitlines()
    head = ("Accept: application/rpc\r\nUser-Agent: MSRPC\r\nHost: x\r\n"
            "Connection: keep-alive\r\nContent-Length: 0\r\n"
            "Cache-Control: no-cache\r\nPragma: no-cache\r\n"
            ).replace(*change)
    token = base64.b64encode(":".join(AUTH).encode()).decode()
    ch = Channel(server.address())
    ch.send(f"RPC_IN_DATA /rpc/rpcproxy.dll?{DEAD} HTTP/{version}\r\n{head}"
            f"Authorization: Basic {token}\r\n\r\n".encode())
    assert ch.response()[1] == ECHO
    ch.close()
    # The status page is logged too.
    line = env.wait_until(lambda: path.read_text().splitlines()[len(before):],
                          "the log line")[0]
    assert line == quiet


def test_status_page(httpd):
    server = httpd(ports=PORTS)
    counts = server.status()
    assert counts["connections_max"] == 16384 and counts["pid"] > 0
    assert counts["children"] >= 1

    def get(query, method="GET"):
        ch = Channel(server.address())
        ch.send(f"{method} /rpcproxy-status{query} HTTP/1.0\r\n\r\n".encode())
        head = ch.head()
        body = ch.rest().decode()
        ch.close()
        return head, body
    head, body = get("")
    assert head.headers["content-type"].startswith("text/html")
    assert "<td align=\"right\">16384</td>" in body
    head, body = get("?format=openmetrics")
    assert head.headers["content-type"].startswith(
        "application/openmetrics-text")
    assert body.endswith("\n# EOF\n")
    for line in body.splitlines()[:-1]:
        assert re.fullmatch(r"# (TYPE|HELP) rpcproxy_\w+ .+|"
                            r"rpcproxy_\w+(\{(channel|form)=\"\w+\"\})? \d+",
                            line), line
    assert get("?format=xml")[0].status == 400
    assert get("", "POST")[0].status == 405


def test_post_read_leaves_other_requests_alone(httpd):
    ch = Channel(httpd(ports=PORTS).address())
    for _ in range(2):
        ch.send(b"POST /index.html HTTP/1.1\r\nHost: x\r\n"
                b"Content-Length: 100\r\n\r\n" + bytes(100))
        head, _ = ch.response()
        assert head.headers.get("connection", "").lower() != "close"
    ch.close()

