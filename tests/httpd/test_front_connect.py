# SPDX-License-Identifier: Apache-2.0
"""From the front to an inner proxy that is not there, does not answer, or is
somebody else: one answer for the client, one line for the administrator."""

import socket
import ssl

import pytest

import env
from front_inner import OUT_HEAD, Silent, answer, server_tls
from front_rig import SECURE, each_way, of_way, passes
from reactor_rig import Packed
from test_front_end import wait_ends
from test_front_pins import message

GIB = 1 << 30
#: So that the member is tried again at once.
AT_ONCE = " retry=0"


def to(url, more="", *lines):
    return (f'ProxyPass "/rpc" "{url}"{AT_ONCE}{more}', *lines)


def asks(c, method="RPC_OUT_DATA", length=76):
    """The head of what the client is told; nothing is waited for."""
    c.request(method, "mbx:6001", length)
    return c.head()


# ---- where nobody is --------------------------------------------------------

@SECURE
@pytest.mark.parametrize("method,length", [
    ("RPC_OUT_DATA", 76), ("RPC_IN_DATA", GIB), ("RPC_IN_DATA", 0)])
def test_nobody_listens(front, opened, log, tls, secure, method, length):
    port = env.free_port()
    log.expect(rf"RPX0533: .*127\.0\.0\.1:{port}")
    server = front(*to(f"rpch://127.0.0.1:{port}/rpc"))
    head = asks(opened(server, tls if secure else None), method, length)
    assert head.status == 503


def test_unreachable_is_left_alone(front, opened, log):
    """With status=-I, for retry= seconds: waiting for a member that does not
    answer takes the workers of everybody."""
    port = env.free_port()
    log.expect(rf"RPX0533: .*127\.0\.0\.1:{port}")
    log.expect(rf"RPX0528: .*127\.0\.0\.1:{port}")
    server = front(f'ProxyPass "/rpc" "rpch://127.0.0.1:{port}/rpc" '
                   'status=-I retry=600')
    for _ in range(3 * len(server.children())):
        assert asks(opened(server)).status == 503
    # each child has its own view of a member outside of a balancer
    asked = sum("RPX0533" in line.raw for line in log.lines())
    assert 1 <= asked <= len(server.children())


def test_tried_again(front, opened, log):
    """A member outside of a balancer ignores errors, as mod_proxy has it."""
    port = env.free_port()
    log.expect(rf"RPX0533: .*127\.0\.0\.1:{port}")
    server = front(f'ProxyPass "/rpc" "rpch://127.0.0.1:{port}/rpc" retry=600')
    assert asks(opened(server)).status == 503
    assert asks(opened(server)).status == 503
    assert sum("RPX0533" in line.raw for line in log.lines()) == 2


def second(inner, kept):
    """An inner proxy at the second address of two.example.test. The port is
    taken at the first one, without a listener: nobody else will be there."""
    while True:
        member = inner(address="127.0.0.77")
        first = kept(socket.socket())
        try:
            first.bind(("127.0.0.1", member.port))
        except OSError:
            continue               # somebody is already
        return member


def test_second_address(front, inner, opened, kept, log):
    """Of a name with two addresses the first is of nobody: the C library puts
    127.0.0.1 before the other one."""
    member = second(inner, kept)
    log.expect(rf"RPX0531: 127\.0\.0\.1:{member.port}, an address of the "
               rf"member two\.example\.test:{member.port}")
    c = opened(front(*to(member.url(host="two.example.test"))))
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    taken = member.take()
    taken.request()
    taken.send(OUT_HEAD)
    assert c.head().status == 200


@pytest.mark.parametrize("source", ["127.0.0.5", "::1"])
def test_source_address(front, double, opened, log, source):
    """One of the other family is left out, and a line says so."""
    if source == "::1":
        log.expect(rf"RPX0532: .*127\.0\.0\.1:{double.port} does not come "
                   "from ProxySourceAddress")
    server = front(*to(double.url(), "", f"ProxySourceAddress {source}"))
    c = opened(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    taken = double.take()
    taken.request()
    assert taken.sock.getpeername()[0] == ("127.0.0.1" if source == "::1"
                                           else source)
    taken.send(OUT_HEAD)
    assert c.head().status == 200


def test_address_of_ipv6(front, inner, opened):
    member = inner(address="::1")
    c = opened(front(*to(member.url(host="[::1]"))))
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    taken = member.take()
    assert taken.request().get("Host") == f"[::1]:{member.port}"
    taken.send(OUT_HEAD)
    assert c.head().status == 200


def test_no_such_name(front, opened, log):
    log.expect("RPX0530: .*nobody.example.test")
    server = front(*to("rpch://nobody.example.test:1/rpc"))
    assert asks(opened(server)).status == 503


@pytest.fixture
def silent():
    made = Silent()
    yield made
    made.close()


#: The timers of mod_proxy, which hold for this scheme as well.
TIMERS = [("", ("ProxyTimeout 1",)), (" timeout=1", ()),
          (" connectiontimeout=1", ())]


@pytest.mark.parametrize("option,lines", TIMERS,
                         ids=["ProxyTimeout", "timeout", "connection"])
def test_connect_takes_too_long(front, silent, opened, log, option, lines):
    log.expect(rf"RPX0533: .*127\.0\.0\.1:{silent.port}")
    server = front(*to(f"rpch://127.0.0.1:{silent.port}/rpc", option, *lines))
    assert asks(opened(server)).status in (503, 504)


@each_way
@pytest.mark.parametrize("method,length", [("RPC_OUT_DATA", 76),
                                           ("RPC_OUT_DATA", 0)])
def test_no_answer(front, double, kept, log, way, method, length):
    """An OUT channel's answer is due at once, an echo request's as well."""
    log.expect("RPX0543: .*did not answer within ProxyTimeout")
    server = front(*to(double.url(), "", "ProxyTimeout 1"), **of_way(way))
    c = kept(Packed(server.address()))
    c.request(method, "mbx:6001", length)
    c.send(bytes(length))
    c.flush()                      # the body is in time
    taken = double.take()
    taken.request()
    assert c.head().status == 504
    assert taken.exactly(length) == bytes(length)
    assert taken.rest() == b""


@each_way
@pytest.mark.parametrize("headers", [[], [message(1)]],
                         ids=["stream", "held"])
def test_body_does_not_come(front, double, kept, way, headers):
    """Which is not the inner proxy's fault: no warning."""
    server = front(*to(double.url(), "", "ProxyTimeout 1"), **of_way(way))
    mark = server.accesses.mark()
    c = kept(Packed(server.address()))
    c.request("RPC_OUT_DATA", "mbx:6001", 76, headers)
    c.send(bytes(40))
    c.flush()                      # so much is in time
    taken = double.take()
    taken.request()
    assert c.head().status == 408
    assert taken.exactly(40) == bytes(40)
    assert taken.rest() == b""
    [line] = wait_ends(server, mark, 1)
    assert "the client did not send" in line.end


@each_way
def test_in_has_no_answer(front, double, opened, log, way):
    """An IN channel's comes at its end: ProxyTimeout is not for it, nor for
    an open OUT channel. An OUT channel that was opened later has timed
    out."""
    log.expect("RPX0543: .*did not answer within ProxyTimeout")
    server = front(*to(double.url(), "", "ProxyTimeout 3"), **of_way(way))
    in_, out, late = (opened(server) for _ in range(3))
    in_.request("RPC_IN_DATA", "mbx:6001", GIB)
    there = double.take()
    there.request()
    out.request("RPC_OUT_DATA", "mbx:6001", 76)
    out.send(bytes(76))
    back = double.take()
    back.request()
    back.send(OUT_HEAD)
    assert out.head().status == 200
    late.request("RPC_OUT_DATA", "mbx:6001", 76)
    late.send(bytes(76))
    double.take().request()
    assert late.head().status == 504
    in_.send(b"x")
    assert there.exactly(1) == b"x"
    back.send(b"y")
    assert out.exactly(1) == b"y"


# ---- TLS --------------------------------------------------------------------

@pytest.fixture
def secret(inner, certs):
    """An inner proxy that speaks TLS."""
    return inner(tls=server_tls(certs))


@SECURE
@each_way
def test_tls(front, secret, opened, tls, way, secure):
    """Both ways, byte by byte, through the outgoing TLS."""
    server = front(*to(secret.url()), **of_way(way))
    c = opened(server, tls if secure else None)
    c.request("RPC_IN_DATA", "mbx:6001", GIB)
    taken = secret.take()
    request = taken.request()
    assert request.get("Content-Length") == str(GIB)
    for n in range(20):
        c.send(bytes([n]))
        assert taken.exactly(1) == bytes([n])
    taken.send(OUT_HEAD)
    assert c.head().status == 200
    for n in range(20):
        taken.send(bytes([n]))
        assert c.exactly(1) == bytes([n])
    # more than one record, and more than one read of either
    data = bytes(range(256)) * 400
    taken.send(data)
    assert c.exactly(len(data)) == data
    c.send(data)
    assert taken.exactly(len(data)) == data
    c.close()
    assert taken.rest() == b""


def test_tls_records_that_wait(front, secret, opened):
    """What OpenSSL has read already is no event of the socket."""
    server = front(*to(secret.url()))
    c = opened(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    taken = secret.take()
    taken.request()
    data = bytes(range(250)) * 60
    taken.sock.sendall(OUT_HEAD + data)        # one record
    assert c.head().status == 200
    assert c.exactly(len(data)) == data


@each_way
@pytest.mark.parametrize("cut", [0, 1, 30, 90], ids=lambda n: f"cut{n}")
def test_tls_short_answer(front, secret, opened, way, cut):
    """An answer of one record, or of two in one packet, behind which the
    inner proxy is silent: three times on one connection."""
    server = front(*to(secret.url(), "", "ProxyTimeout 3"), **of_way(way))
    c = opened(server)
    taken = None
    whole = answer("401 Unauthorized", b"x" * 421,
                   "WWW-Authenticate: NTLM VFdP")
    for n in range(3):
        c.request("RPC_OUT_DATA", "mbx:6001", 0, [message(1)])
        taken = taken or secret.take()
        taken.whole()
        cork = socket.IPPROTO_TCP, socket.TCP_CORK
        taken.sock.setsockopt(*cork, 1)
        for part in (whole[:cut], whole[cut:]):
            if part:
                taken.sock.sendall(part)
        taken.sock.setsockopt(*cork, 0)
        head, body = c.response()
        assert (head.status, body) == (401, b"x" * 421)


def test_tls_handshake_takes_too_long(front, double, opened, log):
    """The inner proxy accepts and says nothing."""
    log.expect(r"RPX052[56]: ")
    log.allow("AH0", "ssl:")
    server = front(*to(double.url("rpchs"), "", "ProxyTimeout 1"))
    assert asks(opened(server)).status in (502, 504)


@pytest.fixture(scope="module")
def other_ca(scratch):
    """Certificates of somebody else."""
    return env.Certificates(scratch.dir("other-certs"))


def refused(server, opened, secret):
    """The inner proxy never gets a request."""
    assert asks(opened(server)).status == 502
    assert all(t.rest() == b"" for t in secret.taken)


def test_unknown_ca(front, inner, other_ca, opened, log):
    """SSLProxyVerify require fails closed."""
    log.expect("RPX0525: ")
    log.allow("AH0", "SSL Library Error", "ssl:")
    double = inner(tls=server_tls(other_ca))
    refused(front(*to(double.url())), opened, double)


def test_wrong_name(front, secret, opened, log):
    """SSLProxyCheckPeerName, whose default is on."""
    log.expect("RPX0525: ")
    log.allow("AH0", "SSL Library Error", "ssl:")
    url = secret.url(host="mbx.example.test")
    refused(front(*to(url)), opened, secret)


@pytest.mark.parametrize("method", ["byrequests", "rpch"])
def test_other_member_is_trusted(front, inner, other_ca, certs, opened, log,
                                 method):
    """A member that fails the checks is left for one that does not."""
    log.expect("RPX0525: ")
    log.allow("AH0", "SSL Library Error", "ssl:")
    bad = inner(tls=server_tls(other_ca))
    good = inner(tls=server_tls(certs))
    members = [d.url().removesuffix("/rpc") for d in (bad, good)]
    server = front('<Proxy "balancer://inside">',
                   *(f"    BalancerMember {m} retry=60" for m in members),
                   f"    ProxySet lbmethod={method}", "</Proxy>",
                   'ProxyPass "/rpc" "balancer://inside/rpc"')
    for n in log.tries(8):
        c = opened(server)
        c.request("RPC_OUT_DATA", f"m{n}:1", 0)
        taken = good.take()
        taken.request()
        taken.send(answer(body=b"done"))
        assert c.response()[1] == b"done"
    assert all(t.rest() == b"" for t in bad.taken)


def done(taken):
    """An inner proxy that answers all requests."""
    while True:
        taken.whole()
        taken.send(answer(body=b"done"))


def test_clients_host_is_nobodys_fault(front, inner, certs, opened, log):
    """With ProxyPreserveHost the client says which name the certificate has
    to have: a wrong one is refused, and puts no member out of service."""
    log.expect("RPX0525: ")
    log.allow("AH0", "SSL Library Error", "ssl:")
    pair = [inner(done, tls=server_tls(certs)) for _ in range(2)]
    members = [d.url().removesuffix("/rpc") for d in pair]
    server = front('<Proxy "balancer://inside">',
                   *(f"    BalancerMember {m} retry=60" for m in members),
                   "</Proxy>", "ProxyPreserveHost On",
                   'ProxyPass "/rpc" "balancer://inside/rpc"')
    c = opened(server)
    c.name = "somebody.example.test"
    assert asks(c, length=0).status == 502
    said = [line for line in log.lines() if "RPX0525" in line.raw]
    assert len(said) == 1          # the other member was not tried either
    c = opened(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 0)
    assert c.response()[1] == b"done"


def test_other_host_other_connection(front, inner, certs, opened):
    """With ProxyPreserveHost the certificate was looked at for one name: the
    next request of the same client for another name is not sent there."""
    double = inner(done, tls=server_tls(certs))
    server = front("ProxyPreserveHost On", *to(double.url()))
    c = opened(server)
    for name, count in (("proxy.example.test", 1), ("proxy.example.test", 1),
                        ("localhost", 2)):
        c.name = name
        c.request("RPC_OUT_DATA", "mbx:6001", 0)
        assert c.response()[1] == b"done"
        assert double.count == count


def test_checks_are_the_administrators(front, inner, other_ca, opened):
    """What SSLProxy... switches off is off."""
    double = inner(tls=server_tls(other_ca))
    server = front(
        "SSLProxyVerify none", "SSLProxyCheckPeerName off",
        *to(double.url(host="mbx.example.test")))
    c = opened(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 0)
    taken = double.take()
    taken.request()
    taken.send(answer(body=b"done"))
    assert c.response()[1] == b"done"


def test_client_certificate(front, inner, certs, opened):
    """SSLProxyMachineCertificateFile: the front says who it is."""
    context = server_tls(certs)
    context.load_verify_locations(str(certs.ca))
    context.verify_mode = ssl.CERT_REQUIRED
    double = inner(tls=context)
    both = certs.dir / "machine.pem"
    both.write_text(certs.client.read_text() + certs.client_key.read_text())
    server = front(f"SSLProxyMachineCertificateFile {both}",
                   *to(double.url()))
    c = opened(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 0)
    taken = double.take()
    taken.request()
    assert "alice" in str(taken.sock.getpeercert()["subject"])
    taken.send(answer(body=b"done"))
    assert c.response()[1] == b"done"


def test_not_https(front, double, opened, log):
    """rpchs:// to a port of plain HTTP."""
    log.expect(r"RPX052[56]: ")
    log.allow("AH0", "SSL Library Error", "ssl:")
    server = front(*to(double.url("rpchs")))
    c = opened(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    taken = double.take()
    assert taken.exactly(1) == b"\x16"
    taken.send(answer("400 Bad Request", b"plain HTTP"))
    taken.close()
    assert c.head().status == 502


def test_without_an_engine(front, double, opened, log):
    """SSLProxyEngine is off: a line says which directive is missing."""
    log.expect("RPX0535: .*SSLProxyEngine")
    log.allow("AH0", "ssl:")
    server = front("SSLProxyEngine Off", *to(double.url("rpchs")))
    assert asks(opened(server)).status == 500
