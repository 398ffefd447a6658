# SPDX-License-Identifier: Apache-2.0
"""Who is let in and when he hears it: clear text before passwords, refusals
before bodies, certificates that nobody verified; and httpd's other modules,
which may not take the requests away."""

import ssl

import pytest

import env
import rts
from httpd import Httpd
from httpd_conf import Conf, extra_host
from rawclient import Channel, RawClient

AUTH = (env.USER, env.PASSWORD)
GIB = 1 << 30
TARGET = "127.0.0.1:9"
PORTS = (TARGET,)
ECHO = rts.make("Echo")
METHODS = [("RPC_IN_DATA", GIB), ("RPC_IN_DATA", 0), ("RPC_OUT_DATA", 76),
           ("RPC_OUT_DATA", 0), ("GET", None)]


@pytest.fixture
def channel():
    """channel(address, ...): a connection that is closed at the end."""
    made = []

    def get(*args, **more):
        made.append(Channel(*args, **more))
        return made[-1]
    yield get
    for one in made:
        one.close()


# ---- clear text -------------------------------------------------------------

@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_clear_text_is_not_asked_for_a_password(httpd, channel, log, mpm,
                                                auth):
    """403 and no challenge, which would draw the password."""
    server = httpd(mpm=mpm, ports=PORTS, auth=auth, http_tls_off=False)
    log.expect("RPX0203: .*RpcProxyRequireTLS")
    for method, length in METHODS:
        ch = channel(server.address())
        ch.request(method, TARGET, length)
        head, body = ch.response()
        assert head.status == 403, method
        assert "www-authenticate" not in head.headers
        assert b"https" in body
    told = [line for line in log.lines() if "RPX0203" in line.text]
    assert len(told) == len(METHODS)


def test_clear_text_beats_a_wrong_password(httpd, channel, log):
    server = httpd(ports=PORTS, http_tls_off=False)
    log.expect("RPX0203: ")
    ch = channel(server.address())
    ch.request("RPC_IN_DATA", TARGET, GIB, auth=(env.USER, "wrong"))
    head, _ = ch.response()
    assert head.status == 403
    assert "www-authenticate" not in head.headers


def test_tls_is_asked_for_a_password(httpd, channel, tls):
    server = httpd(ports=PORTS, http_tls_off=False)
    ch = channel(server.address(True), tls)
    ch.request("RPC_IN_DATA", TARGET, GIB)
    head, _ = ch.response()
    assert head.status == 401 and "www-authenticate" in head.headers


@pytest.mark.parametrize("header", ["X-Forwarded-Proto: https",
                                    "Front-End-Https: on"])
def test_behind_a_trusted_front(httpd, channel, log, header):
    """The front's client is asked; without the header he is not."""
    server = httpd(ports=PORTS, http_tls_off=False,
                   location=("RpcProxyTrustedFront 127.0.0.1",))
    ch = channel(server.address())
    ch.request("RPC_OUT_DATA", TARGET, 0, [header])
    head, _ = ch.response()
    assert head.status == 401
    assert head.headers["www-authenticate"] == 'Basic realm="rpc"'
    ch.request("RPC_OUT_DATA", TARGET, 0, [header], AUTH)
    assert ch.response()[1] == ECHO
    log.expect("RPX0201: ")
    ch.request("RPC_OUT_DATA", TARGET, 0)
    head, _ = ch.response()
    assert head.status == 403 and "www-authenticate" not in head.headers


def test_behind_somebody_else(httpd, channel, log):
    server = httpd(ports=PORTS, http_tls_off=False,
                   location=("RpcProxyTrustedFront 192.0.2.1",))
    log.expect("RPX0202: .*127.0.0.1")
    ch = channel(server.address())
    ch.request("RPC_OUT_DATA", TARGET, 0, ["X-Forwarded-Proto: https"])
    head, _ = ch.response()
    assert head.status == 403 and "www-authenticate" not in head.headers


# ---- refusals do not wait for bodies ----------------------------------------

#: Nothing but the client's patience ends the wait for a body.
PATIENT = ("RequestReadTimeout header=0 body=0", "Timeout 600")

#: What is wrong -> target, status, line of the log, fields of the Conf
REFUSED = {
    "url": ("no-port", 400, "RPX0223", {}),
    "clear-text": (TARGET, 403, "RPX0203", {"http_tls_off": False}),
    "nobody": (TARGET, 403, "RPX0204", {"auth": "none"}),
}


@pytest.mark.parametrize("mpm", ["event", "prefork"])
@pytest.mark.parametrize("expect", [True, False], ids=["expect", "plain"])
@pytest.mark.parametrize("what", REFUSED)
def test_refusal_does_not_wait(httpd, channel, log, mpm, expect, what):
    """The answer is there before the first byte of a body is, and there is
    no invitation to send it. Either it is read behind the answer, or the
    connection ends."""
    target, status, line, fields = REFUSED[what]
    server = httpd(mpm=mpm, ports=PORTS, server=PATIENT, **fields)
    log.expect(line)
    ch = channel(server.address(), timeout=10)
    ch.request("RPC_OUT_DATA", target, 76,
               ["Expect: 100-continue"] if expect else [],
               None if what == "nobody" else AUTH)
    head, _ = ch.response()
    assert head.status == status
    assert head.headers["connection"].lower() == "close"
    assert ch.rest() == b""


@pytest.mark.parametrize("what", REFUSED)
def test_refusal_with_its_body(httpd, channel, log, what):
    """A client that sends its 76 bytes in one go hears the same, and not the
    reset of a connection that was closed over them."""
    target, status, line, fields = REFUSED[what]
    server = httpd(ports=PORTS, server=PATIENT, **fields)
    log.expect(line)
    for _ in range(20):
        ch = channel(server.address(), timeout=10)
        ch.request("RPC_OUT_DATA", target, 76,
                   auth=None if what == "nobody" else AUTH)
        ch.send(bytes(76))
        head, _ = ch.response()
        assert head.status == status
        assert ch.rest() == b""


# ---- certificates -----------------------------------------------------------

@pytest.fixture(scope="module")
def self_signed(scratch, certs):
    """The TLS of a client that signed its own certificate of CN=alice."""
    where = scratch.dir("self-signed")
    env.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
             "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj",
             "/O=Example/CN=alice"], cwd=where)
    context = ssl.create_default_context(cafile=str(certs.ca))
    context.load_cert_chain(str(where / "cert.pem"), str(where / "key.pem"))
    return context


@pytest.fixture
def cert_port():
    return env.free_port()


@pytest.fixture
def connect(httpd, backends, certs, cert_port):
    """connect(tls, ...): a client of a host that takes any certificate, and
    that has these lines in its RPC location."""
    made = []

    def get(tls, *location, how="none", auth=None):
        fields = backends.fields()
        host = extra_host(
            f"127.0.0.1:{cert_port}",
            Conf(auth=how, location=location, **fields), certs,
            (f"SSLCACertificateFile {certs.ca}",
             "SSLVerifyClient optional_no_ca"))
        httpd(server=host, **fields)
        made.append(RawClient(("127.0.0.1", cert_port), "echo.tcp:1", tls,
                              auth=auth))
        return made[-1]
    yield get
    for client in made:
        client.close()


def status_of(client):
    client.start_out()
    return client.cout.head().status


BY_NAME = "SSLUserName SSL_CLIENT_S_DN_CN"


def test_unverified_certificate_names_nobody(connect, self_signed, log):
    log.expect("RPX0205: .*optional_no_ca")
    assert status_of(connect(self_signed, BY_NAME)) == 403


def test_unverified_certificate_beside_anonymous(connect, self_signed, log):
    """Who may come without a name may not come with a false one."""
    log.expect("RPX0205: ")
    client = connect(self_signed, BY_NAME, "RpcProxyRequireAuth Off")
    assert status_of(client) == 403


def test_unverified_certificate_is_no_subject(connect, self_signed, log):
    """Without SSLUserName it is as if there were no certificate."""
    log.expect("RPX0204: ")
    assert status_of(connect(self_signed)) == 403


@pytest.mark.parametrize("location", [(), (BY_NAME,)])
def test_verified_certificate(connect, tls_cert, location):
    client = connect(tls_cert, *location)
    assert client.open().calls().add_one(1) == 2


@pytest.mark.parametrize("location", [(), (BY_NAME,)])
def test_no_certificate(connect, tls, log, location):
    log.expect("RPX0204: ")
    log.allow("AH02227")             # mod_ssl misses what SSLUserName names
    assert status_of(connect(tls, *location)) == 403


def test_password_beside_an_unverified_certificate(connect, self_signed):
    """Here it is the password that says who comes."""
    client = connect(self_signed, how="basic", auth=AUTH)
    assert client.open().calls().add_one(1) == 2


# ---- None, and a file -------------------------------------------------------

@pytest.mark.parametrize("none_first", [True, False])
@pytest.mark.parametrize("where", ["location", "vhost", "server"])
def test_none_beside_a_file(scratch, certs, where, none_first):
    path = scratch.dir("policy") / "ports"
    path.write_text("a:1\n")
    lines = ("RpcProxyValidPorts None", f"RpcProxyValidPortsFile {path}")
    lines = lines if none_first else lines[::-1]
    code, text = Httpd(scratch, certs, Conf(**{where: lines})).configtest()
    assert code != 0
    [said] = [t for t in text.splitlines() if t.startswith("RpcProxyValid")]
    assert said.startswith(lines[1].split()[0])
    assert "RpcProxyValidPorts None" in said
    assert "RpcProxyValidPortsFile" in said


def test_none_around_a_file(scratch, certs):
    """In sections of their own both are fine."""
    path = scratch.dir("policy") / "ports"
    path.write_text("a:1\n")
    conf = Conf(vhost=("RpcProxyValidPorts None",),
                location=(f"RpcProxyValidPortsFile {path}",))
    code, text = Httpd(scratch, certs, conf).configtest()
    assert code == 0, text


# ---- httpd's other modules --------------------------------------------------

def get_page(channel, server, path):
    ch = channel(server.address())
    ch.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return ch.response()


def serves(channel, raw, server):
    """An echo request and a virtual connection by the shipped conf."""
    ch = channel(server.address())
    for path in ("/rpc/rpcproxy.dll", "/Rpc/RpcProxy.dll"):
        ch.request("RPC_IN_DATA", "echo.tcp:1", 0, auth=AUTH, path=path)
        head, body = ch.response()
        assert head.reason == "Success" and body == ECHO
    assert raw(server, "echo.tcp:1").open().calls().add_one(1) == 2


@pytest.mark.parametrize("line", ["ProxyPass / http://127.0.0.1:1/",
                                  "ProxyPassMatch ^(.*)$ "
                                  "http://127.0.0.1:1$1"])
def test_beside_proxy_pass(httpd, backends, channel, raw, log, line):
    """A site that passes everything on keeps its RPC proxy."""
    server = httpd(**backends.fields(
        modules=("proxy", "proxy_http"), vhost=(
            "ProxyPass /rpcproxy-status !", line)))
    serves(channel, raw, server)
    log.expect("AH00957|AH01114")
    head, _ = get_page(channel, server, "/index.html")
    assert head.status == 503


@pytest.mark.parametrize("how", ["directory", "htaccess"])
def test_beside_rewrite(httpd, backends, channel, raw, how):
    """The front controller of a site, in its directory."""
    rules = ("RewriteEngine On", "RewriteCond %{REQUEST_URI} !status",
             "RewriteCond %{REQUEST_FILENAME} !-f",
             "RewriteRule ^ /index.html [L]")
    if how == "directory":
        lines = ('<DirectoryMatch "/htdocs">', *rules, "</DirectoryMatch>")
    else:
        lines = ('<Directory "/">', "AllowOverride All", "</Directory>")
    server = httpd(**backends.fields(
        modules=("rewrite",), vhost=(f"# {how}", *lines)))
    if how == "htaccess":
        (server.dir / "htdocs" / ".htaccess").write_text(
            "\n".join(rules) + "\n")
    serves(channel, raw, server)
    head, body = get_page(channel, server, "/nothing/here")
    assert head.status == 200 and body == b"another site\n"
