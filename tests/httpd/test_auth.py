# SPDX-License-Identifier: Apache-2.0
"""httpd's authentication in front of the proxy, with real clients."""

import pytest

import clients
import env
import rawclient
import rts

CALL = ("mgmt",)
OPTIONS = ("ntlm",)              # RPC's own authentication, not HTTP's


def via_samba(samba, backends, server, kind, secure, environ=None,
              password=env.PASSWORD):
    return samba.python(CALL, f"dc.{kind}", backends.dc.samr_port,
                        via=server.via(secure), options=OPTIONS,
                        environ=environ, password=password)


@pytest.fixture
def direct(samba, samba_dc):
    answer = samba.python(CALL, samba_dc.host, samba_dc.samr_port,
                          options=OPTIONS)
    assert "mgmt" in answer
    return answer


def users(server, mark):
    """Who the access log names for the channels since mark."""
    def both():
        found = [a for a in server.access_since(mark)
                 if a.channel in ("in", "out")]
        return found if len(found) >= 2 else None
    return {a.user for a in env.wait_until(both, "the access log")}


@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_ntlm_on_the_connection(httpd, backends, samba, direct, mpm, secure):
    """Empty-body rounds first, then the channel on the same connection."""
    server = httpd(mpm=mpm, auth="ntlm", **backends.fields())
    mark = server.accesses.mark()
    assert via_samba(samba, backends, server, "tcp", secure) == direct
    assert all(env.USER in user for user in users(server, mark))
    rounds = [a for a in server.access_since(mark) if a.status == 401]
    assert rounds                           # the challenge


def test_ntlm_wrong_password(httpd, backends, samba, log):
    server = httpd(mpm="event", auth="ntlm", **backends.fields())
    log.allow("gssapi", "GSS ERROR")
    answer = via_samba(samba, backends, server, "tcp", False,
                       password="wrong")
    assert "error" in answer


class Ntlm:
    """NTLM by hand, with Samba's library: Wine's way, in which the real
    request carries no Authorization header at all."""

    def __init__(self, conf):
        from samba import credentials, gensec, param
        lp = param.LoadParm()
        lp.load(str(conf))
        creds = credentials.Credentials()
        creds.guess(lp)
        creds.set_domain(env.DOMAIN)
        creds.set_username(env.USER)
        creds.set_password(env.PASSWORD)
        creds.set_kerberos_state(credentials.DONT_USE_KERBEROS)
        self.gensec = gensec.Security.start_client(
            {"lp_ctx": lp, "target_hostname": "proxy.example.test"})
        self.gensec.set_credentials(creds)
        self.gensec.start_mech_by_name("ntlmssp")

    def authenticate(self, channel, method, target):
        """Both rounds on channel; the last answer is the echo's."""
        import base64
        token = b""
        for _ in range(3):
            _, out = self.gensec.update(token)
            header = "Authorization: NTLM " + base64.b64encode(out).decode()
            channel.request(method, target, 0, headers=[header])
            head, body = channel.response()
            if head.status == 200:
                return body
            assert head.status == 401
            challenge = head.headers["www-authenticate"].split(" ", 1)
            token = base64.b64decode(challenge[1])
        raise AssertionError("no end of NTLM")


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_ntlm_then_echo_then_channel(httpd, backends, samba, raw, tls,
                                     secure):
    """The authenticated empty request is an echo, and the connection then
    carries the channel without another header."""
    server = httpd(mpm="event", auth="ntlm", **backends.fields())
    client = raw(server, "echo.tcp:1", tls if secure else None, auth=None)
    cin, cout = client.channel(), client.channel()
    for channel, method in ((cin, "RPC_IN_DATA"), (cout, "RPC_OUT_DATA")):
        body = Ntlm(samba.conf).authenticate(channel, method, client.target)
        assert body == rts.ECHO_BYTES
    client.open(cout=cout, cin=cin)
    assert client.calls().add_one(1) == 2


@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_kerberos(httpd, backends, samba, direct, kdc, tmp_path, mpm,
                  secure):
    """Negotiate with a ticket of the KDC."""
    server = httpd(mpm=mpm, auth="negotiate", **backends.fields())
    mark = server.accesses.mark()
    environ = kdc.kinit(tmp_path / "ccache")
    assert via_samba(samba, backends, server, "http", secure,
                     environ) == direct
    assert users(server, mark) == {f"{env.USER}@RIG.TEST"}


def test_kerberos_without_ticket(httpd, backends, log):
    server = httpd(mpm="event", auth="negotiate", **backends.fields())
    channel = rawclient.Channel(server.address())
    channel.request("RPC_IN_DATA", "echo.tcp:1", 0)
    head, _ = channel.response()
    assert head.status == 401
    assert "Negotiate" in head.headers["www-authenticate"]


def test_kerberos_echo_by_curl(httpd, backends, kdc, tmp_path):
    """curl sends the custom method with Negotiate."""
    server = httpd(mpm="event", auth="negotiate", **backends.fields())
    status, text = clients.curl(
        server.url("/rpc/rpcproxy.dll?echo.tcp:1"), "--negotiate", "-u", ":",
        "-H", "Content-Length: 0", method="RPC_IN_DATA",
        environ=kdc.kinit(tmp_path / "ccache"))
    assert status == 200 and text.endswith(rts.ECHO_BYTES)


@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
def test_client_certificate(httpd, backends, certs, raw, tls_cert, mpm):
    """A virtual host of its own that asks for a certificate."""
    server = httpd(mpm=mpm, **backends.fields())
    status, text = clients.curl(
        server.url("/rpcwithcert/rpcproxy.dll?echo.tcp:1", cert=True),
        "--cacert", certs.ca, "--cert", certs.client, "--key",
        certs.client_key, "--data-binary", "abcd", method="RPC_IN_DATA")
    assert status == 200 and text.endswith(rts.ECHO_BYTES)
    for kind in ("tcp", "http"):
        client = raw(server, f"echo.{kind}:1", cert=tls_cert, auth=None,
                     path="/rpcwithcert/rpcproxy.dll")
        assert client.open().calls().add_one(1) == 2


def test_no_client_certificate(httpd, backends, certs, log):
    server = httpd(mpm="event", **backends.fields())
    log.allow("AH02039", "SSL Library Error")
    with pytest.raises(AssertionError, match="curl exit"):
        clients.curl(
            server.url("/rpcwithcert/rpcproxy.dll?echo.tcp:1", cert=True),
            "--cacert", certs.ca, "--data-binary", "abcd",
            method="RPC_IN_DATA")


def test_another_certificate_is_another_user(httpd, backends, certs, raw,
                                             tls_cert, tls_other, log):
    """The identity is the subject: a half cannot be joined by another."""
    server = httpd(mpm="event", **backends.fields())
    path = "/rpcwithcert/rpcproxy.dll"
    first = raw(server, "echo.tcp:1", cert=tls_cert, auth=None, path=path)
    first.start_out()
    first.read_200()
    log.expect("RPX0321")
    other = raw(server, "echo.tcp:1", cert=tls_other, auth=None, path=path,
                cookies=[first.vc, first.in_cookie, first.out_cookie,
                         first.group])
    other.start_in()
    assert b"503 RPC Error: 6ba" in other.cin.rest()
    first.read_a3()
    first.start_in()
    first.read_c2()
    assert first.calls().add_one(1) == 2


@pytest.mark.parametrize("how", ["none", "wrong"])
def test_basic_refuses(httpd, backends, raw, log, how):
    server = httpd(mpm="event", **backends.fields())
    log.allow("AH01617")
    client = raw(server, "echo.tcp:1",
                 auth=None if how == "none" else (env.USER, "wrong"))
    client.start_out()
    head = client.cout.head()
    assert head.status == 401
    assert head.headers["www-authenticate"] == 'Basic realm="rpc"'
