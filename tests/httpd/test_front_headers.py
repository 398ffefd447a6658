# SPDX-License-Identifier: Apache-2.0
"""What the inner proxy is told of the client and its request, and what the
client cannot make it believe."""

import base64

import pytest

import env
from front_inner import answer
from front_rig import SECURE, channel, passes

AUTH = (env.USER, env.PASSWORD)


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def asks(double):
    """asks(front, headers, ...): (the request as the inner proxy got it, the
    head of its answer at the client)."""
    made = []

    def get(server, headers=(), tls=None, auth=None, reply=None,
            method="RPC_OUT_DATA", target="mbx:6001", **options):
        c = channel(server, tls)
        made.append(c)
        c.request(method, target, 0, headers, auth, **options)
        taken = double.take()
        request = taken.request()
        taken.send(reply or answer(body=b"done"))
        return request, c.head()
    yield get
    for c in made:
        c.close()


def like(request, name):
    """The values of all fields that a CGI's environment has as name."""
    def folded(text):
        return text.lower().replace("-", "_")
    return [v for n, v in request.fields if folded(n) == folded(name)]


@pytest.fixture
def server(front, double):
    return front(*passes(double.url()))


# ---- the way ----------------------------------------------------------------

@pytest.mark.parametrize("via", ["Off", "On", "Full"])
def test_no_via(front, double, asks, via):
    """Windows gives up NTLM when it sees one."""
    server = front(*passes(double.url(), f"ProxyVia {via}"))
    request, head = asks(server)
    assert request.all("Via") == []
    assert "via" not in head.headers


@SECURE
@pytest.mark.parametrize("lie", [
    (), ("Front-End-Https: on", "X-Forwarded-Proto: https"),
    ("front-end-https:on", "x-forwarded-proto:https", "FRONT-END-HTTPS: on"),
    ("Front-End-Https: off", "X-Forwarded-Proto: http"),
    ("Front_End_Https: on", "X_Forwarded_Proto: https"),
    ("front-END_https: on", "X_forwarded-PROTO: https")])
def test_front_end_https(server, asks, tls, secure, lie):
    """Only the client's own TLS counts, for applications that take "_" for
    "-" as well."""
    request, _ = asks(server, lie, tls if secure else None)
    assert like(request, "Front-End-Https") == ["on"] * secure
    assert like(request, "X-Forwarded-Proto") == ["https"] * secure


def test_connection_cannot_take_them_away(server, asks, tls):
    """Fields that the client names in Connection are its own only."""
    request, _ = asks(server, [
        "Connection: Front-End-Https, X-Forwarded-Proto, X-Mine",
        "X-Mine: x"], tls)
    assert request.get("Front-End-Https") == "on"
    assert request.get("X-Forwarded-Proto") == "https"
    assert request.get("X-Mine") is None


def test_forwarded_for(server, asks):
    request, _ = asks(server)
    assert request.get("X-Forwarded-For") == "127.0.0.1"
    assert request.get("X-Forwarded-Host") == "proxy.example.test"
    assert request.get("X-Forwarded-Server") == "proxy.example.test"


def test_proxy_add_headers_off(front, double, asks, tls):
    """Front-End-Https stays: it is not one of them."""
    server = front(*passes(double.url(), "ProxyAddHeaders Off"))
    request, _ = asks(server, (), tls)
    assert request.get("X-Forwarded-For") is None
    assert request.get("Front-End-Https") == "on"


@pytest.mark.parametrize("keep", ["Off", "On"])
def test_preserve_host(front, double, asks, keep):
    server = front(*passes(double.url(), f"ProxyPreserveHost {keep}"))
    request, _ = asks(server)
    assert request.get("Host") == ("proxy.example.test" if keep == "On"
                                   else f"127.0.0.1:{double.port}")


@pytest.mark.parametrize("option,want", [
    ("", "/rpc/a%20b%2523?mbx:6001"), (" nocanon", "/rpc/a%20b%2523?mbx:6001"),
    (" mapping=encoded", "/rpc/a%20b%2523?mbx:6001")])
def test_path(front, double, asks, option, want):
    """Encoded once, whoever does it."""
    server = front(f'ProxyPass "/rpc" "{double.url()}"{option}')
    request, _ = asks(server, path="/rpc/a%20b%2523")
    assert request.uri == want


def test_passes_the_rest(server, asks):
    """Line and fields of a client as they are."""
    request, head = asks(
        server, ["Pragma: ResourceTypeUuid=44e265dd-7daf-42cd-8560-"
                 "3cdb6e7a2729", "Cookie: a=b; c=d", "X-Thing:  two  words"],
        target="mbx.example.com:6001", reply=answer(
            "200 Success", b"done", "Set-Cookie: one=1; path=/rpc",
            "Set-Cookie: two=2", "X-Back: y"))
    assert request.uri == "/rpc/rpcproxy.dll?mbx.example.com:6001"
    assert request.version == "HTTP/1.1"
    assert request.get("User-Agent") == "MSRPC"
    assert request.get("Accept") == "application/rpc"
    assert request.get("Content-Length") == "0"
    assert "ResourceTypeUuid=44e265dd" in ", ".join(request.all("Pragma"))
    assert request.get("Cookie") == "a=b; c=d"
    assert request.get("X-Thing") == "two  words"
    assert head.headers["set-cookie"] == "one=1; path=/rpc, two=2"
    assert head.headers["x-back"] == "y"


def test_hop_by_hop(server, asks):
    """Fields of one connection do not go to the other."""
    request, head = asks(
        server, ["Keep-Alive: 300", "TE: gzip", "Proxy-Authorization: x",
                 "Upgrade: websocket", "Trailer: X-T", "Proxy-Connection: x"],
        reply=answer("200 OK", b"done", "Keep-Alive: timeout=99",
                     "Connection: X-Hop, Upgrade", "X-Hop: 1", "Upgrade: h2c",
                     "Trailer: X-T", "TE: gzip", "Proxy-Connection: x",
                     "Proxy-Authenticate: Basic"))
    for name in ("Keep-Alive", "TE", "Proxy-Authorization", "Upgrade",
                 "Trailer", "Proxy-Connection"):
        assert request.get(name) is None, name
    for name in ("x-hop", "upgrade", "trailer", "te", "proxy-connection",
                 "proxy-authenticate"):
        assert name not in head.headers
    assert "99" not in head.headers.get("keep-alive", "")


@SECURE
def test_pass_reverse(front, double, asks, tls, secure):
    server = front(*passes(
        double.url(), f'ProxyPassReverse "/rpc" "{double.url()}"',
        f'ProxyPassReverse "/rpc" "http://127.0.0.1:{double.port}/rpc"',
        'ProxyPassReverseCookiePath "/inside" "/rpc"'))
    _, head = asks(server, (), tls if secure else None, reply=answer(
        "302 Found", b"", f"Location: http://127.0.0.1:{double.port}/rpc/x",
        "Set-Cookie: a=b; path=/inside"))
    want = "https" if secure else "http"
    assert head.status == 302
    assert head.headers["location"].startswith(f"{want}://proxy.example.test")
    assert head.headers["location"].endswith("/rpc/x")
    assert head.headers["set-cookie"] == "a=b; path=/rpc"


# ---- ProxyRpchAuth ----------------------------------------------------------

@pytest.fixture
def with_auth(front, double):
    def get(line=None, is_basic=True, **more):
        return front(*passes(double.url()), basic=is_basic,
                     location=(line,) if line else (), **more)
    return get


def refused_here(server, double, auth=None, headers=()):
    """The front asks for a password itself."""
    c = channel(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 0, headers, auth)
    head, _ = c.response()
    c.close()
    assert head.status == 401
    assert 'realm="front"' in head.headers["www-authenticate"]
    assert double.count == 0


def test_auth_pass(server, asks):
    for field in ("NTLM abc", basic(*AUTH), "Negotiate xyz", "Other z"):
        request, _ = asks(server, [f"Authorization: {field}"])
        assert request.all("Authorization") == [field]


def test_auth_basic(with_auth, double, asks, log):
    """The front looks at the user's credentials, the inner one as well."""
    server = with_auth("ProxyRpchAuth basic")
    refused_here(server, double)
    log.allow("AH01617", "RPX05")
    refused_here(server, double, (env.USER, "wrong"))
    request, _ = asks(server, auth=AUTH)
    assert request.all("Authorization") == [basic(*AUTH)]


@pytest.fixture
def secret(tmp_path):
    """A file with the password of the front's own account."""
    path = tmp_path / "secret"
    path.write_text("Inner-Passw0rd\n")
    path.chmod(0o600)
    return path


def test_auth_fixed(with_auth, double, asks, secret, log):
    """One account for all, which no client sees."""
    server = with_auth(f"ProxyRpchAuth fixed service {secret}")
    refused_here(server, double)
    request, head = asks(server, auth=AUTH)
    assert request.all("Authorization") == [basic("service",
                                                  "Inner-Passw0rd")]
    assert "Inner" not in str(head.headers)
    said = [line.raw for line in log.lines()]
    assert not any("Inner-Passw0rd" in line for line in said)


def test_auth_header(with_auth, double, asks):
    """The user's name in a field, which a client cannot forge."""
    server = with_auth("ProxyRpchAuth header X-User")
    request, _ = asks(server, ["X-User: admin", "x-user: root", "X_User: eve",
                               "X-User-2: y", "X-Use: z"], auth=AUTH)
    assert like(request, "X-User") == [env.USER]
    assert request.get("X-User-2") == "y" and request.get("X-Use") == "z"
    assert request.get("Authorization") is None


def test_auth_header_connection(with_auth, double, asks):
    """Nor take away."""
    server = with_auth("ProxyRpchAuth header X-User")
    request, _ = asks(server, ["Connection: X-User"], auth=AUTH)
    assert request.all("X-User") == [env.USER]


def test_auth_none(with_auth, double, asks):
    server = with_auth("ProxyRpchAuth none")
    refused_here(server, double)
    request, _ = asks(server, auth=AUTH)
    assert request.get("Authorization") is None


def refused(server, double, status, headers=(), auth=None):
    c = channel(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 0, headers, auth)
    assert c.head().status == status
    c.close()
    assert double.count == 0


def test_never_silently_both(with_auth, double, log):
    """The front has authenticated somebody, and nobody said what the inner
    proxy is to be told."""
    log.expect("RPX0520: .*ProxyRpchAuth")
    refused(with_auth(), double, 500, auth=AUTH)


@pytest.mark.parametrize("headers", [(), ("Authorization: NTLM TlRMTVNTUAA",)])
def test_basic_it_must_be(with_auth, double, log, headers):
    log.expect("RPX0521: ")
    refused(with_auth("ProxyRpchAuth basic", is_basic=False), double, 403,
            headers)


def test_nobody_was_authenticated(with_auth, double, log):
    """Where the front has no AuthType it says what is missing, and passes
    nothing, whatever the client says of itself."""
    log.expect("RPX0522: ")
    refused(with_auth("ProxyRpchAuth header X-User", is_basic=False), double,
            403, ["X-User: admin"], AUTH)


ANYBODY = ("AuthType Basic", "AuthName front", "AuthBasicProvider anon",
           "Anonymous *", "Anonymous_MustGiveEmail Off",
           "Require valid-user", "ProxyRpchAuth header X-User")


@pytest.mark.parametrize("name", [
    "eve\r\nX-User: admin", "eve\nX-User: admin", "eve\r", "e\x01ve",
    "eve\x7f"], ids=["crlf", "lf", "cr", "control", "delete"])
def test_name_that_is_no_field(front, double, log, name):
    """Whatever httpd lets be a user: a name begins no other field."""
    log.expect("RPX0523: ")
    server = front(*passes(double.url()), location=ANYBODY,
                   modules=("authn_anon",))
    refused(server, double, 403, auth=(name, "x"))


@pytest.mark.parametrize("line", [
    "ProxyRpchAuth fixed service {}", "ProxyRpchAuth header X-User",
    "ProxyRpchAuth none"], ids=lambda line: line.split()[1])
def test_inner_refuses_what_we_say(with_auth, asks, secret, log, line):
    """The client has no part in that, and is not asked for a password that
    would go nowhere."""
    log.expect("RPX0524: ")
    _, head = asks(with_auth(line.format(secret)), auth=AUTH, reply=answer(
        "401 Unauthorized", b"no", 'WWW-Authenticate: Basic realm="inside"',
        "WWW-Authenticate: NTLM", "X-Why: so"))
    assert head.status == 502
    assert "www-authenticate" not in head.headers
    assert head.headers["x-why"] == "so"


def test_secret_that_everybody_reads(with_auth, double, asks, secret, log):
    log.expect(f"RPX0504: .*{secret}")
    secret.chmod(0o644)
    server = with_auth(f"ProxyRpchAuth fixed open {secret}")
    request, _ = asks(server, auth=AUTH)
    assert request.get("Authorization") == basic("open", "Inner-Passw0rd")
