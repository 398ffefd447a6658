# SPDX-License-Identifier: Apache-2.0
"""Real clients get the same answers through the proxy as directly."""

import functools

import pytest

import clients
import env
import pairs
import rpc

DIMENSIONS = {
    "mpm": ["event", "worker", "prefork"],
    "auth": ["basic", "ntlm", "negotiate"],
    "kind": ["tcp", "http"],
    "tls": [False, True],
    "client": ["impacket", "samba", "smbtorture", "raw"],
}

#: Suites of smbtorture that pass directly.
SUITES = ("rpc.lsalookup", "rpc.dssetup", "rpc.asyncbind",
          "rpc.samr.handletype", "rpc.backupkey")


def allowed(case):
    # gss-ntlmssp refuses impacket's first NTLM message; only Samba's clients
    # do more than Basic.
    if case["auth"] != "basic":
        return case["client"] in ("samba", "smbtorture")
    return True


SHORT = pairs.covering(DIMENSIONS, allowed)


def cases():
    """Sorted by what needs an httpd of its own."""
    for case in sorted(pairs.every(DIMENSIONS, allowed),
                       key=lambda c: (c["mpm"], c["auth"])):
        name = "-".join([case["mpm"], case["auth"], case["kind"],
                         "https" if case["tls"] else "http",
                         case["client"]])
        marks = () if case in SHORT else (pytest.mark.full,)
        yield pytest.param(case, id=name, marks=marks)


@functools.cache
def direct_impacket(host, port, calls, seal):
    return clients.impacket(calls, host, port, seal=seal)


@pytest.fixture(scope="session")
def direct_suites(samba, samba_dc):
    return {suite: samba.smbtorture(suite, samba_dc.host,
                                    samba_dc.samr_port)
            for suite in SUITES}


@pytest.fixture
def environ(request, tmp_path):
    """The environment of a client that has the user's ticket."""
    def get(case):
        if case["auth"] != "negotiate":
            return None
        return request.getfixturevalue("kdc").kinit(tmp_path / "ccache")
    return get


def by_impacket(server, kind, via):
    dc, echo = server.dc, server.echo
    for calls, port, seal in ((("epm", "mgmt"), 135, False),
                              (("samr", "mgmt"), dc.samr_port, True)):
        want = direct_impacket(dc.host, port, calls, seal)
        assert "error" not in want
        assert clients.impacket(calls, f"dc.{kind}", port, via=via,
                                seal=seal) == want
    want = direct_impacket(echo.host, echo.tcp_port, ("echo", "mgmt"), False)
    assert want["echo"] == {"one": 42, "echo": True, "source": 60000}
    assert clients.impacket(("echo", "mgmt"), f"echo.{kind}", 1,
                            via=via) == want


def by_samba(samba, server, kind, via, environ):
    dc = server.dc
    for options in (("sign",), ("seal",)):
        options += ("ntlm",)
        want = samba.python(("samr", "mgmt"), dc.host, dc.samr_port,
                            options=options)
        assert "error" not in want
        assert samba.python(("samr", "mgmt"), f"dc.{kind}", dc.samr_port,
                            via=via, options=options,
                            environ=environ) == want


def by_smbtorture(samba, direct, server, kind, via, environ):
    for suite in SUITES:
        assert direct[suite][0].startswith("success")
        assert samba.smbtorture(suite, f"dc.{kind}", server.dc.samr_port,
                                via=via, options=("ntlm",),
                                environ=environ) == direct[suite], suite


@pytest.mark.parametrize("case", cases())
def test_same_answers(case, httpd, backends, samba, direct_suites, raw, tls,
                      environ):
    server = httpd(mpm=case["mpm"], auth=case["auth"], **backends.fields())
    via, kind = server.via(case["tls"]), case["kind"]
    if case["client"] == "impacket":
        by_impacket(backends, kind, via)
    elif case["client"] == "samba":
        by_samba(samba, backends, kind, via, environ(case))
    elif case["client"] == "smbtorture":
        by_smbtorture(samba, direct_suites, backends, kind, via,
                      environ(case))
    else:
        client = raw(server, f"echo.{kind}:1", tls if case["tls"] else None)
        calls = client.open().calls()
        assert calls.add_one(41) == 42
        data = bytes(range(256)) * 1000
        assert calls.echo(data) == data


@pytest.mark.parametrize("tls_on", [False, True], ids=["http", "https"])
def test_rpch_server_own_ncacn_http(httpd, backends, raw, tls, tls_on):
    """rpch-server's own half of ncacn_http, written on lib/rpch."""
    server = httpd(mpm="event", **backends.fields())
    client = raw(server, "own.http:1", tls if tls_on else None).open()
    assert client.calls().echo(b"x" * 100000) == b"x" * 100000


@pytest.mark.parametrize("fragment", [1432, 5840])
@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_fragment_sizes(httpd, backends, raw, kind, fragment):
    server = httpd(mpm="event", **backends.fields())
    client = raw(server, f"echo.{kind}:1").open()
    calls = rpc.Calls(client).bind(rpc.RPCECHO, fragment)
    data = bytes(range(251)) * 400
    assert calls.echo(data) == data


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_impacket_learns_why(httpd, backends, log, kind):
    """A wrong password, and a server that may not be reached."""
    server = httpd(mpm="event", **backends.fields())
    log.allow("AH01617")                  # password mismatch
    answer = clients.impacket(("mgmt",), f"dc.{kind}", 135, via=server.via(),
                              password="wrong")
    assert "401" in answer["error"]
    log.expect("RPX0214: .*nowhere:135")
    answer = clients.impacket(("mgmt",), "nowhere", 135, via=server.via())
    assert "0x6ba" in answer["error"]


def test_samba_quiet_bulk(httpd, backends, samba):
    """More than Samba's 256 KiB window, which it never renews."""
    server = httpd(mpm="event", **backends.fields())
    for kind in ("tcp", "http"):
        answer = samba.python((), f"dc.{kind}",
                              backends.dc.samr_port, via=server.via(),
                              options=("ntlm",), repeat=600)
        assert answer.get("repeated") == 600, answer
    assert env.can_connect("127.0.0.1", server.ports["http"])
