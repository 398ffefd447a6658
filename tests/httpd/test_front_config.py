# SPDX-License-Identifier: Apache-2.0
"""The front's directives, what it needs of httpd, and what it refuses before
anything goes to a member."""

import re
import signal
import socket

import pytest

import env
import httpd_conf
from front_inner import answer
from front_rig import Front, FrontConf, channel, passes
from httpd import line_refused

PROXY = f"LoadModule proxy_module {httpd_conf.MODULES}/mod_proxy.so\n"

#: A directive's line, its wrong value, and what the sentence says is allowed.
WRONG = [
    ("ProxyRpchStrict Yes", "'Yes'", "On or Off"),
    ("ProxyRpchAuth", "''", "pass, basic, fixed USER FILE, header NAME"),
    ("ProxyRpchAuth kerberos", "'kerberos'", "or none is allowed"),
    ("ProxyRpchAuth pass through", "'pass'", "or none is allowed"),
    ("ProxyRpchAuth fixed alice", "'fixed'", "fixed USER FILE"),
    ("ProxyRpchAuth fixed a:b /dev/null", "'a:b'", "without colon"),
    ("ProxyRpchAuth fixed alice /nowhere/at/all", "'/nowhere/at/all'",
     "No such file"),
    ("ProxyRpchAuth fixed alice /dev/null", "'/dev/null'", "the first line"),
    ("ProxyRpchAuth header", "'header'", "header NAME"),
    ("ProxyRpchAuth header Host", "'Host'", "that nothing else sets"),
    ("ProxyRpchAuth header X-Forwarded-Proto", "'X-Forwarded-Proto'",
     "that nothing else sets"),
    ('ProxyRpchAuth header "X User"', "'X User'", "that nothing else sets"),
    ("RpcProxyIdleTimeout 999ms", "'999ms'", "1s to 720h"),
    ("RpcProxyStallTimeout 25h", "'25h'", "as 30, 500ms, 5m or 8h"),
    ("RpcProxyValidPorts a:1 b", "'b'", "or None is allowed"),
    ("RpcProxyValidPorts a:1 None", "'None'", "without a list"),
    ("RpcProxyValidPortsFile /nowhere/at/all", "'/nowhere/at/all'",
     "No such file"),
]

WRONG_MAIN = [
    ("RpcProxyDrainTimeout 8d", "'8d'", "0 to 168h"),
    ("RpcProxyAsync On", "'On'", "Auto or Off"),
]

RIGHT = ("ProxyRpchStrict on", "ProxyRpchAuth PASS", "ProxyRpchAuth Basic",
         "ProxyRpchAuth none", "ProxyRpchAuth header X-Remote-User",
         "RpcProxyIdleTimeout 8h", "RpcProxyStallTimeout 1s",
         'RpcProxyValidPorts "a:1; b.example:2-3;" "*@example.test:6001"')


@pytest.fixture
def configtest(scratch, certs):
    """configtest(edit=None, ...): what httpd says of a FrontConf, whose text
    edit may change."""
    def run(edit=None, **fields):
        server = Front(scratch, certs, FrontConf(**fields))
        if edit:
            path = server.dir / "httpd.conf"
            path.write_text(edit(path.read_text()))
        return server.configtest()
    return run


@pytest.mark.parametrize("line,value,allowed", WRONG)
def test_wrong_value(configtest, line, value, allowed):
    line_refused(configtest(location=(line,)), line, value, allowed)


@pytest.mark.parametrize("line,value,allowed", WRONG_MAIN)
def test_wrong_value_of_the_server(configtest, line, value, allowed):
    line_refused(configtest(server=(line,)), line, value, allowed)


@pytest.mark.parametrize("where", ["location", "lines", "server"])
def test_right_values(configtest, where):
    code, text = configtest(**{where: RIGHT})
    assert code == 0, text


@pytest.mark.parametrize("line", ["RpcProxyDrainTimeout 5m",
                                  "RpcProxyAsync Off"])
@pytest.mark.parametrize("where", ["location", "lines"])
def test_server_only(configtest, line, where):
    code, text = configtest(**{where: (line,)})
    assert code != 0, text
    assert re.search(r"cannot occur within|not allowed in", text), text


# ---- mod_proxy --------------------------------------------------------------

def without_proxy(text):
    """A configuration whose modules are those that the front must have."""
    needs_it = re.compile(r"/mod_(proxy|proxy_http|proxy_balancer"
                          r"|lbmethod_byrequests)\.so$")
    return "".join(line.replace(" proxy:warn", "") + "\n"
                   for line in text.splitlines() if not needs_it.search(line))


@pytest.mark.parametrize("late", [False, True])
def test_mod_proxy_is_missing(configtest, late):
    """Or comes too late: the module says so in the place of the linker."""
    code, text = configtest(
        lambda t: without_proxy(t) + (PROXY if late else ""))
    assert code != 0
    assert "RPX0501: mod_proxy_rpch needs mod_proxy" in text


class Cramped(Front):
    """Whose children, which are not root's, may start no threads."""

    def _argv(self, *more):
        return ["prlimit", "--nproc=1", *super()._argv(*more)]

    def stop(self):
        """Its children complain to the end, the last one as well."""
        assert self.process.stop(signal.SIGTERM, timeout=30) == 0


def test_child_without_its_threads(scratch, certs, double, log):
    """It says so, and refuses what it cannot serve; the rest of httpd
    works."""
    server = Cramped(scratch, certs, FrontConf(
        mpm="prefork", lines=passes(double.url())))
    log.expect("RPX0503: ", "RPX0510: ")
    server.start()
    log.watch(server)
    try:
        for method, length in (("RPC_OUT_DATA", 76), ("RPC_IN_DATA", 1 << 30)):
            c = channel(server)
            c.request(method, "mbx:6001", length)
            assert c.head().line == "HTTP/1.1 503 RPC Error: 6bb"
            c.close()
        assert double.count == 0
        assert server.status()["ServerMPM"] == "prefork"
    finally:
        server.stop()


# ---- members that are not used ----------------------------------------------

@pytest.mark.parametrize("status", ["+D", "+S"])
def test_member_without_balancer_is_off(front, double, log, status):
    log.expect("RPX0528: .*disabled")
    server = front(f'ProxyPass "/rpc" "{double.url()}" status={status}')
    c = channel(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    assert c.head().status == 503
    assert double.count == 0
    c.close()


def test_unix_sockets(front, log, tmp_path):
    log.expect("RPX0538: ")
    server = front(f'ProxyPass "/rpc" "unix:{tmp_path}/s|rpch://localhost/"')
    c = channel(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 0)
    assert c.head().status == 500
    c.close()


def test_proxy_block(front, double, log):
    log.expect("RPX0537: ")
    log.allow("AH0")
    server = front(*passes(double.url(), "ProxyBlock 127.0.0.1"))
    c = channel(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 0)
    assert c.head().status == 403
    assert double.count == 0
    c.close()


def test_forward_proxy(front, log):
    """rpch:// is no scheme for those who may ask for any URL."""
    log.expect("RPX0507: ")
    server = front("ProxyRequests On")
    with socket.create_connection(("127.0.0.1", server.ports["http"]),
                                  20) as s:
        s.sendall(b"RPC_OUT_DATA rpch://127.0.0.1:9/rpc?a:1 HTTP/1.1\r\n"
                  b"Host: x\r\nContent-Length: 0\r\n\r\n")
        assert s.recv(100).startswith(b"HTTP/1.1 403 ")


MATCH = 'ProxyPassMatch "^/rpc/([^/]*)(/.*)$" "rpch://$1/rpc$2"'


@pytest.mark.parametrize("host,status,tag", [
    ("127.0.0.1:99999", 400, r"RPX0508: .*//127\.0\.0\.1:99999\): "),
    ("%5b::1", 400, r"RPX0508: .*//\[::1\): "),
    (":80", 400, "RPX0508: .*//:80"),
    ("%23", 500, "RPX0539: .*rpch://#/rpc/x"),
    ("%3f:80", 500, r"RPX0539: .*rpch://\?:80/rpc/x")])
def test_url_that_cannot_be_read(front, log, host, status, tag):
    """Which ProxyPassMatch may make."""
    log.expect(tag)
    c = channel(front(MATCH))
    c.request("RPC_OUT_DATA", "mbx:6001", 0, path=f"/rpc/{host}/x")
    assert c.head().status == status
    c.close()


@pytest.mark.parametrize("name,status", [("a%20b", 200), ("a b", 403),
                                         ("a\tb", 403)])
def test_nocanon(front, double, log, name, status):
    """What nobody encodes has to be so already."""
    log.allow("AH00111")           # NAME is no variable of the configuration
    if status == 403:
        log.expect("RPX0509: ")
    server = front('SetEnvIf X-Name "(.*)" NAME=$1',
                   "ProxyPassInterpolateEnv On",
                   f'ProxyPass "/rpc" "{double.url()}/${{NAME}}" '
                   "interpolate nocanon")
    c = channel(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 0, [f"X-Name: {name}"])
    if status == 200:
        taken = double.take()
        assert taken.request().uri.startswith("/rpc/a%20b/")
        taken.send(answer())
    assert c.head().status == status
    assert double.count == (status == 200)
    c.close()


def test_http2(front, double, log):
    """A stream of HTTP/2 has no connection that could be its own."""
    log.expect("RPX0511: ")
    server = front(*passes(double.url()), modules=("http2",),
                   server=("Protocols h2c http/1.1",))
    page = env.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                    "--http2-prior-knowledge", "-X", "RPC_OUT_DATA",
                    f"http://127.0.0.1:{server.ports['http']}/rpc/x?a:1"])
    assert page.stdout == "501"
    assert double.count == 0


# ---- RpcProxyValidPorts -----------------------------------------------------

LISTED = 'RpcProxyValidPorts "short:1;full.example.test:2"'


@pytest.mark.parametrize("target,tag", [
    ("short.example.test:1", "RPX0517: .*short:1 has the short form"),
    ("full:2", "RPX0517: .*full.example.test:2 has the full form"),
    ("SHORT:2", "RPX0516: .*has the name, but not the port")])
def test_near_targets(front, double, log, target, tag):
    """An entry that comes close is named."""
    log.expect(tag)
    server = front(*passes(double.url()), location=(LISTED,))
    c = channel(server)
    c.request("RPC_IN_DATA", target, 1 << 30)
    assert c.head().line == "HTTP/1.1 503 RPC Error: 6ba"
    assert double.count == 0
    c.close()


def test_empty_list(front, double, log):
    log.expect("RPX0515: ")
    server = front(*passes(double.url()), location=("RpcProxyValidPorts None",))
    c = channel(server)
    c.request("RPC_IN_DATA", "mbx:1", 1 << 30)
    assert c.head().line == "HTTP/1.1 503 RPC Error: 6ba"
    c.close()


def test_file_of_ports(front, log, scratch):
    """It is read again when it changes; a bad one leaves the old entries. What
    is allowed gets another answer, for nobody listens there."""
    log.expect("RPX0506: ", "RPX0505: ", "RPX0516: ")
    log.allow("RPX0533")
    ports = scratch.dir("ports") / "ports"      # httpd's user reads it, too
    ports.write_text("mbx:1\n")
    server = front(*passes(f"rpch://127.0.0.1:{env.free_port()}/rpc"),
                   children=1, location=(f"RpcProxyValidPortsFile {ports}",))

    def is_allowed(target):
        c = channel(server)
        c.request("RPC_OUT_DATA", target, 0)
        line = c.head().line
        c.close()
        return line == "HTTP/1.1 503 Service Unavailable"

    assert is_allowed("mbx:1") and not is_allowed("mbx:2")
    ports.write_text("mbx:2\nmbx:3\n")
    env.wait_until(lambda: is_allowed("mbx:2"), "the file's new entries")
    ports.write_text("nonsense without a port\n")
    mark = server.errors.mark()
    env.wait_until(lambda: is_allowed("mbx:3")
                   and any("RPX0505" in line
                           for line in server.errors.since(mark)),
                   "the refusal of the file")
