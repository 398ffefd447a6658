# SPDX-License-Identifier: Apache-2.0
"""Several inner proxies: failover at connect, affinity, pins under any
lbmethod, and counters that are true while streams live."""

import os
import re
import signal
import subprocess
import urllib.request

import pytest

import env
import rts
from front_inner import OUT_HEAD, Inner, answer, challenge
from front_rig import (ONLY_CHILD, Body, channel, each_way, of_way,
                       to_httpd)
from httpd import OWNER, Httpd
from httpd_conf import Conf
from test_front_headers import basic
from test_front_pins import message

GIB = 1 << 30
METHODS = ["byrequests", "rpch"]


def balanced(*members, method="byrequests", options=()):
    """Lines of a balancer; members are URLs without a path, or such with
    options."""
    return ('<Proxy "balancer://inside">',
            *(f"    BalancerMember {m} retry=60" for m in members),
            f"    ProxySet lbmethod={method}", *options, "</Proxy>",
            'ProxyPass "/rpc" "balancer://inside/rpc"')


def url(double):
    return f"rpch://127.0.0.1:{double.port}"


@pytest.fixture
def pair():
    """Two inner proxies by hand."""
    made = [Inner(), Inner()]
    yield made
    for double in made:
        double.close()


def taken_by(pair, timeout=20):
    """(number, connection) of the inner proxy that got the next one."""
    def find():
        for number, double in enumerate(pair):
            if not double.waiting.empty():
                return number, double.take()
        return None
    return env.wait_until(find, "an inner proxy to be asked", timeout)


def opens(c, pair, method="RPC_OUT_DATA", target="mbx:6001", headers=()):
    """Opens an OUT or IN channel: (number, the inner connection)."""
    c.request(method, target, 76 if "OUT" in method else GIB, headers)
    c.send(bytes(76))
    number, taken = taken_by(pair)
    taken.request()
    assert taken.exactly(76) == bytes(76)
    if "OUT" in method:
        taken.send(OUT_HEAD)
        assert c.head().status == 200
    return number, taken


# ---- two real ones ----------------------------------------------------------

@pytest.fixture
def two(scratch, certs, log, backends):
    """Two httpds with mod_rpcproxy, which believe the front, also when it
    says who the user is."""
    made = [Httpd(scratch, certs, Conf(auth="none", **backends.fields(
        location=("RpcProxyTrustedFront 127.0.0.0/8",
                  "RpcProxyRequireAuth Off"), http_tls_off=False)))
        for _ in range(2)]
    for server in made:
        server.start()
        log.watch(server)
    yield made
    for server in made:
        if server.process.alive():
            server.wait_idle()
            server.stop()


def open_calls(raw, server, tls, user, between=lambda: None):
    """Calls of a new connection; between() after its OUT channel."""
    client = raw(server, "echo.http:1", tls, auth=(user, "x"))
    client.start_out()
    client.read_200()
    client.read_a3()
    between()
    client.start_in()
    client.read_c2()
    calls = client.calls()
    assert calls.add_one(1) == 2
    return calls


def fill_three(raw, server, two, tls, turn):
    """Connections by the members that have their halves: (0,), (1,), and
    (0, 1), where turn() lets byrequests' next member be the other one."""
    found = {}
    for n in range(60):
        before = [h.status()["connections"] for h in two]
        calls = open_calls(raw, server, tls, f"user{n}",
                           turn if turn and n % 3 else lambda: None)
        now = [h.status()["connections"] for h in two]
        at = tuple(i for i in (0, 1) if now[i] > before[i])
        assert at and sum(now) == sum(before) + len(at)
        found.setdefault(at, []).append(calls)
        if len(found) == (3 if turn else 2):
            return found
    raise AssertionError(f"only {list(found)} after {n} users")


@pytest.mark.parametrize("method", METHODS)
def test_one_is_killed(front, two, raw, tls, log, method):
    """New connections go to the other one, the log says so; and those that
    it had live on. byrequests parts even the halves of a connection, which
    meet at their ncacn_http server, if no other request comes between."""
    server = front(*balanced(*(to_httpd(h).removesuffix("/rpc") for h in two),
                             method=method))

    def turn():
        c = channel(server, tls)
        c.request("RPC_OUT_DATA", "echo.http:1", 0)
        assert c.response()[0].status == 200
        c.close()
    found = fill_three(raw, server, two, tls,
                       turn if method == "byrequests" else None)
    assert set(found) == ({(0,), (1,), (0, 1)} if method == "byrequests"
                          else {(0,), (1,)})
    dead = two[0].address()[1]
    log.expect(rf"RPX0533: .*127\.0\.0\.1:{dead}")
    os.killpg(two[0].process.pid, signal.SIGKILL)
    two[0].process.popen.wait(20)
    # its children, which are killed as well, have the listening socket
    env.wait_until(lambda: not env.can_connect("127.0.0.1", dead),
                   "nobody to listen")
    for n in log.tries(6):
        open_calls(raw, server, tls, f"new{n}")
    for calls in (c for at in found if 0 in at for c in found[at]):
        with pytest.raises((EOFError, OSError)):
            calls.add_one(3)
    for calls in found[(1,)]:
        assert calls.add_one(3) == 4
    assert two[1].status()["connections"] >= 6 + len(found[(1,)])


@each_way
@pytest.mark.parametrize("method", METHODS)
def test_streams_of_the_other_live_on(front, pair, opened, log, way, method):
    """One inner proxy ends all its connections and listens no more."""
    log.allow("RPX0543")
    log.expect(rf"RPX0533: .*127\.0\.0\.1:{pair[0].port}")
    server = front(*balanced(*(url(d) for d in pair), method=method),
                   **of_way(way))
    live = [[], []]
    while not all(live):
        c = opened(server)
        number, taken = opens(c, pair, target=f"m{len(live[0])}:1" if live[0]
                              else f"n{len(live[1])}:1")
        live[number].append((c, taken))
    pair[0].deafen()
    for c, taken in live[0]:
        taken.reset()
        c.rest()
    for n in log.tries(6):
        assert opens(opened(server), pair, target=f"o{n}:1")[0] == 1
    for c, taken in live[1]:
        taken.send(b"still here")
        assert c.exactly(10) == b"still here"


# ---- failover ---------------------------------------------------------------

@each_way
@pytest.mark.parametrize("method", METHODS)
def test_failover_at_connect(front, inner, opened, log, way, method):
    """The client does not notice; the next one does not even try."""
    dead = env.free_port()
    log.expect(rf"RPX0533: .*127\.0\.0\.1:{dead}")
    log.allow("AH01114", "AH01172", "AH00")
    double = inner()
    server = front(*balanced(f"rpch://127.0.0.1:{dead}", url(double),
                             method=method), **of_way(way))
    for n in log.tries(8):
        c = opened(server)
        opens(c, [double], ("RPC_OUT_DATA", "RPC_IN_DATA")[n % 2],
              f"mbx{n}:6001")
    assert double.count == n + 1
    said = [line for line in log.lines() if "RPX0533" in line.raw]
    assert 1 <= len(said) <= (n + 1 if way[0] == "prefork" else 2)


def test_all_are_gone(front, opened, log):
    ports = [env.free_port() for _ in range(2)]
    for port in ports:
        log.expect(rf"RPX0533: .*127\.0\.0\.1:{port}")
    log.allow("AH0")
    server = front(*balanced(*(f"rpch://127.0.0.1:{p}" for p in ports)))
    c = opened(server)
    c.request("RPC_IN_DATA", "mbx:6001", GIB)
    assert c.head().status == 503


def test_no_failover_once_asked(front, pair, opened, log):
    """A request that an inner proxy has seen is not sent to another."""
    log.expect("RPX0543: ")
    server = front(*balanced(*(url(d) for d in pair)))
    c = opened(server)
    c.request("RPC_OUT_DATA", "mbx:6001", 76)
    number, taken = taken_by(pair)
    taken.request()
    taken.close()
    assert c.head().status == 502
    assert [d.count for d in pair] in ([1, 0], [0, 1])
    again = opened(server)
    opens(again, pair)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("status", ["status=+D", "status=+H", "lbset=1"])
def test_members_that_wait(front, pair, opened, log, method, status):
    """Disabled, hot standby, or of a later set: not while the other one is
    there."""
    log.allow("RPX0533", "AH0")
    server = front(*balanced(url(pair[0]), f"{url(pair[1])} {status}",
                             method=method))
    for n in range(6):
        assert opens(opened(server), pair, target=f"m{n}:1")[0] == 0
    pair[0].deafen()
    c = opened(server)
    if status == "status=+D":
        c.request("RPC_OUT_DATA", "m:1", 76)
        assert c.head().status == 503
    else:
        assert opens(c, pair)[0] == 1


# ---- affinity ---------------------------------------------------------------

def users(n):
    return [[f"Authorization: {basic(f'user{i}', 'x')}"] for i in range(n)]


def test_user_has_one_member(front, pair, opened):
    """IN and OUT, whatever the target and the connection; and both members
    have users."""
    server = front(*balanced(*(url(d) for d in pair), method="rpch"))
    seen = {}
    for _ in range(2):
        for who, headers in enumerate(users(16)):
            for method, target in (("RPC_OUT_DATA", "mbx:6001"),
                                   ("RPC_IN_DATA", "mbx:6001"),
                                   ("RPC_OUT_DATA", f"mbx{who}:6004")):
                c = opened(server)
                number, _ = opens(c, pair, method, target, headers)
                assert seen.setdefault(who, number) == number
                c.close()
    assert set(seen.values()) == {0, 1}


def test_without_a_user(front, pair, opened):
    """Client address and target decide."""
    server = front(*balanced(*(url(d) for d in pair), method="rpch"))
    seen = {}
    for _ in range(2):
        for n in range(16):
            for method in ("RPC_OUT_DATA", "RPC_IN_DATA"):
                c = opened(server)
                number, _ = opens(c, pair, method, f"mbx{n}:6001")
                assert seen.setdefault(n, number) == number
                c.close()
    assert set(seen.values()) == {0, 1}


@each_way
@pytest.mark.parametrize("method", METHODS)
def test_handshake_stays(front, pair, opened, way, method):
    """Under any lbmethod, while others come between."""
    server = front(*balanced(*(url(d) for d in pair), method=method),
                   **of_way(way))
    clients = []
    # lbmethod=rpch chooses by the target and the members' ports, which are
    # others in each run: until both members have some.
    while len(clients) < 6 or len({number for _, number, _ in clients}) < 2:
        n = len(clients)
        assert n < 60
        c = opened(server)
        c.request("RPC_OUT_DATA", f"m{n}:1", 0, [message(1)])
        number, taken = taken_by(pair)
        taken.whole()
        taken.send(challenge(f"VF{n}P"))
        assert c.response()[0].status == 401
        clients.append((c, number, taken))
        if n % 2:
            continue
        # and one that is over at once
        other = opened(server)
        other.request("RPC_OUT_DATA", "x:1", 0)
        _, shorter = taken_by(pair)
        shorter.whole()
        shorter.send(answer(body=b"done"))
        assert other.response()[1] == b"done"
        other.close()
    before = [d.count for d in pair]
    for n, (c, _, taken) in enumerate(clients):
        c.request("RPC_OUT_DATA", f"m{n}:1", 76, [message(3)])
        c.send(bytes(76))
        assert taken.whole()[1] == bytes(76)
        taken.send(OUT_HEAD + b"%d" % n)
        assert c.head().status == 200
        assert c.exactly(1) == b"%d" % n
    assert [d.count for d in pair] == before


# ---- balancer-manager -------------------------------------------------------

MANAGER = ('<Location "/balancer-manager">',
           "    SetHandler balancer-manager", "    Require all granted",
           "</Location>")


def manager(server, column="Busy"):
    """A column of each member, in order, as balancer-manager has it."""
    at = f"http://127.0.0.1:{server.ports['http']}/balancer-manager"
    asked = urllib.request.Request(at, headers={"Referer": at})
    with urllib.request.urlopen(asked, timeout=20) as page:
        text = page.read().decode()
    names = re.findall(r"<th>([^<]*)</th>", text)
    names = names[names.index("Worker URL"):]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in
            re.findall(r"<tr>\s*(<td><a.*?)</tr>", text, re.S)]
    return [int(row[names.index(column)]) for row in rows
            if "rpch://" in row[0]]


@each_way
@pytest.mark.parametrize("method", METHODS)
def test_busy_is_true(front, pair, opened, log, way, method):
    """While streams live, although mod_proxy's handler has returned; and
    down to nothing, however they end."""
    log.allow("RPX0543", "RPX0533", "AH0")
    server = front(*balanced(*(url(d) for d in pair), method=method),
                   *MANAGER, **of_way(way))
    assert manager(server) == [0, 0]
    live, want = [], [0, 0]
    for n in range(6):
        c = opened(server)
        number, taken = opens(c, pair, ("RPC_OUT_DATA", "RPC_IN_DATA")[n % 2],
                              f"m{n}:1")
        want[number] += 1
        live.append((c, taken, number))
    env.wait_until(lambda: manager(server) == want, f"busy {want}")
    for n, (c, taken, number) in enumerate(live):
        (c, taken)[n % 2].close()
        want[number] -= 1
        env.wait_until(lambda: manager(server) == want, f"busy {want}")
    assert want == [0, 0]
    # a handshake, and a request that fails
    c = opened(server)
    c.request("RPC_OUT_DATA", "m:1", 0, [message(1)])
    _, taken = taken_by(pair)
    taken.whole()
    taken.send(challenge("VFdP"))
    assert c.response()[0].status == 401
    env.wait_until(lambda: manager(server) == want, "nobody busy")
    c.request("RPC_OUT_DATA", "m:1", 76, [message(3)])
    taken.request()
    taken.close()
    assert c.head().status == 502
    env.wait_until(lambda: manager(server) == want, "nobody busy")


def test_bytes_are_counted(front, pair, opened):
    """To and From: of the bodies, when a stream has ended."""
    server = front(*balanced(*(url(d) for d in pair)), *MANAGER)
    c = opened(server)
    c.request("RPC_OUT_DATA", "m:1", 76)
    number, taken = taken_by(pair)
    taken.request()
    c.send(b"x" * 76)
    assert taken.exactly(76) == b"x" * 76
    taken.send(OUT_HEAD + b"y" * 500)
    assert c.head().status == 200 and c.exactly(500) == b"y" * 500
    c.close()
    taken.rest()
    env.wait_until(lambda: manager(server, "To")[number] == 76, "76 bytes")
    assert manager(server, "From")[number] == 500
    assert manager(server, "To")[1 - number] == 0


def test_chunked_through_a_balancer(front, pair, opened):
    """The framing of a member is not another's matter."""
    server = front(*balanced(*(url(d) for d in pair)))
    for n in range(4):
        c = opened(server)
        c.request("RPC_OUT_DATA", "m:1", 76)
        _, taken = taken_by(pair)
        taken.request()
        taken.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                   b"14\r\n" + rts.make("Ping") + b"\r\n")
        assert Body(c, c.head()).exactly(20) == rts.make("Ping")


# ---- a child without descriptors --------------------------------------------

def limit_files(pid, limit):
    """Sets a child's limit of descriptors, as the user that it runs as."""
    subprocess.run(["setpriv", "--reuid", OWNER[0], "--regid", OWNER[1],
                    "--clear-groups", "prlimit", "--pid", str(pid),
                    f"--nofile={limit}:"], check=True, timeout=20)


def free_below(pid, n):
    """The limit below which n descriptors of a process are free."""
    used = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
    limit = 0
    while n:
        n -= limit not in used
        limit += 1
    return limit


def test_no_descriptor_is_nobodys_fault(front, pair, opened, log):
    """The two connections are there, but nothing to wait with: the request
    has been sent, so that no other member may have it, too."""
    log.expect("RPX0541: ")
    log.allow("RPX0543", "RPX0542")
    server = front(*balanced(*(url(d) for d in pair)), mpm="worker",
                   children=1, server=ONLY_CHILD)
    opens(opened(server), pair)    # all that is opened once is open
    [pid] = server.children()
    limit_files(pid, free_below(pid, 2))
    try:
        c = opened(server)
        c.request("RPC_OUT_DATA", "m:1", 76)
        assert c.head().line == "HTTP/1.1 503 RPC Error: 6bb"
    finally:
        limit_files(pid, 1024)
    assert taken_by(pair)[1].rest().startswith(b"RPC_OUT_DATA ")
    assert sorted(d.count for d in pair) == [1, 1]
    seen = {opens(opened(server), pair)[0] for _ in range(4)}
    assert seen == {0, 1}
