# SPDX-License-Identifier: Apache-2.0
"""Real clients get the same answers through a front and mod_rpcproxy as they
do directly: TLS ends at the front, and goes on in clear text, or anew."""

import pytest

import clients
import env
import pairs
from front_rig import passes, to_httpd
from httpd import module_path
from httpd_conf import SHIPPED_CONF, Conf, extra_host
from test_clients import direct_impacket

DIMENSIONS = {
    "mpm": ["event", "worker", "prefork"],
    "auth": ["pass", "basic", "fixed", "header", "ntlm"],
    "inside": ["http", "https"],
    "client": ["impacket", "samba", "raw"],
}

#: What runs always: every MPM with what most will have.
MOST = {**DIMENSIONS, "auth": ["pass", "basic", "ntlm"]}

#: Of the front, and of the inner httpd.
FRONT = {"pass": (), "basic": ("ProxyRpchAuth basic",),
         "fixed": ("ProxyRpchAuth fixed {user} {secret}",),
         "header": ("ProxyRpchAuth header X-User",), "ntlm": ()}
INSIDE = {"pass": "basic", "basic": "basic", "fixed": "basic",
          "header": "none", "ntlm": "ntlm"}


def allowed(case):
    # gss-ntlmssp refuses impacket's first NTLM message; the raw client knows
    # Basic only.
    if case["auth"] == "ntlm":
        return case["client"] == "samba"
    return True


SHORT = [*pairs.covering(MOST, allowed),
         {"mpm": "event", "auth": "fixed", "inside": "http",
          "client": "impacket"},
         {"mpm": "event", "auth": "header", "inside": "https",
          "client": "samba"}]


def cases():
    for case in sorted(pairs.every(DIMENSIONS, allowed),
                       key=lambda c: (c["inside"], c["auth"], c["mpm"])):
        marks = () if case in SHORT else (pytest.mark.full,)
        yield pytest.param(case, id="-".join(case.values()), marks=marks)


@pytest.fixture(scope="session")
def secret(scratch):
    """The file with the fixed account's password."""
    path = scratch.dir("front-secret") / "password"
    path.write_text(env.PASSWORD + "\n")
    path.chmod(0o600)
    return path


def by_impacket(backends, via):
    dc, echo = backends.dc, backends.echo
    want = direct_impacket(dc.host, dc.samr_port, ("samr",), True)
    assert "error" not in want
    assert clients.impacket(("samr",), "dc.tcp", dc.samr_port, via=via,
                            seal=True) == want
    want = direct_impacket(echo.host, echo.tcp_port, ("echo",), False)
    assert clients.impacket(("echo",), "echo.http", 1, via=via) == want


@pytest.fixture(scope="session")
def direct_samba(samba, samba_dc):
    answer = samba.python(("samr",), samba_dc.host, samba_dc.samr_port,
                          options=("seal", "ntlm"))
    assert "error" not in answer
    return answer


def by_samba(samba, backends, via, want):
    for kind in ("tcp", "http"):
        assert samba.python(("samr",), f"dc.{kind}", backends.dc.samr_port,
                            via=via, options=("seal", "ntlm")) == want


def by_raw(server, raw, tls):
    calls = raw(server, "echo.tcp:1", tls).open().calls()
    data = bytes(range(256)) * 1000
    assert calls.echo(data) == data
    calls.pipe.close()


@pytest.mark.parametrize("case", cases())
def test_same_answers(case, front, httpd, backends, samba, direct_samba, raw,
                      tls, secret):
    """The inner httpd asks for TLS, and believes the front."""
    auth = case["auth"]
    location = ["RpcProxyTrustedFront 127.0.0.0/8"]
    if auth == "header":
        location += ["RpcProxyRequireAuth Off"]
    inside = httpd(mpm="event", auth=INSIDE[auth], http_tls_off=False,
                   **backends.fields(location=tuple(location)))
    server = front(
        *passes(to_httpd(inside, case["inside"] == "https")),
        mpm=case["mpm"], basic=auth in ("basic", "fixed", "header"),
        location=tuple(line.format(user=env.USER, secret=secret)
                       for line in FRONT[auth]))
    via = server.via(True, "ntlm" if auth == "ntlm" else "basic")
    if case["client"] == "impacket":
        by_impacket(backends, via)
    elif case["client"] == "samba":
        by_samba(samba, backends, via, direct_samba)
    else:
        by_raw(server, raw, tls)


def test_in_clear_text_is_refused(front, httpd, backends, raw, log):
    """A client that has no TLS at the front has none at the inner proxy,
    which does not ask it for a password."""
    inside = httpd(mpm="event", auth="basic", http_tls_off=False,
                   **backends.fields(
                       location=("RpcProxyTrustedFront 127.0.0.0/8",)))
    server = front(*passes(to_httpd(inside)))
    log.expect("RPX0201: ")
    client = raw(server, "echo.tcp:1", headers=[
        "Front-End-Https: on", "X-Forwarded-Proto: https"])
    client.start_out()
    head = client.cout.head()
    assert head.status == 403
    assert "www-authenticate" not in head.headers


def test_one_name_on_both(front, httpd, backends, raw):
    """A connection's lines are found by one name in both logs."""
    inside = httpd(mpm="event", auth="none", **backends.fields(
        location=("RpcProxyRequireAuth Off",)))
    server = front(*passes(to_httpd(inside)))
    marks = server.errors.mark(), inside.errors.mark()
    calls = raw(server, "echo.tcp:1").open().calls()
    assert calls.echo(b"x") == b"x"
    calls.pipe.close()

    def names(httpd_, mark, tag):
        return {line.split(" connection ")[1].split()[0]
                for line in httpd_.errors.since(mark) if tag in line}
    env.wait_until(lambda: names(inside, marks[1], "RPX0311"), "its end")
    [name] = names(server, marks[0], "RPX0540")
    assert names(inside, marks[1], "RPX0311") == {name}
    assert len(name) == 12


def test_wrong_password(front, httpd, backends, log):
    """What the client is told is the inner proxy's word."""
    inside = httpd(mpm="event", auth="basic", http_tls_off=False,
                   **backends.fields(
                       location=("RpcProxyTrustedFront 127.0.0.0/8",)))
    server = front(*passes(to_httpd(inside)))
    log.allow("AH01617")
    answer = clients.impacket(("mgmt",), "dc.tcp", 135, via=server.via(True),
                              password="wrong")
    assert "401" in answer["error"]
    log.expect("RPX0214: .*nowhere:135")
    answer = clients.impacket(("mgmt",), "nowhere", 135, via=server.via(True))
    assert "0x6ba" in answer["error"]


def test_both_modules_in_one_httpd(front, backends, raw, tls):
    """One httpd may be the inner proxy of its own front."""
    port = env.free_port()
    inside = Conf(http_tls_off=False, **backends.fields(
        location=("RpcProxyTrustedFront 127.0.0.0/8",)))
    host = extra_host(f"127.0.0.1:{port}", inside,
                      head=(f"Include {SHIPPED_CONF}",))
    server = front(
        *passes(f"rpch://127.0.0.1:{port}/rpc"),
        server=(f"LoadModule rpcproxy_module {module_path()}", *host))
    by_raw(server, raw, tls)
    found = {a.request.split()[0] for a in server.access_since(0)
             if a.channel in ("in", "out")}
    assert found <= {"RPC_IN_DATA", "RPC_OUT_DATA"}
