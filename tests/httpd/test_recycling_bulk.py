# SPDX-License-Identifier: Apache-2.0
"""Bytes in bulk over channels that are replaced all the time, compared by
rpch-client; what it counted is what the proxies logged and counted."""

import re

import pytest

import bulk
import clients
import env
import idle
import logs
import recycling
from test_recycling import each_pair, until_asked, works
from test_relay import settle

KINDS = ["tcp", "own", "http"]
#: The least lifetime of an OUT channel.
SHORT = ("RpcProxyChannelLifetime 128K",)
TARGETS = {"tcp": "echo.tcp:1", "http": "strict.http:1", "own": "own.http:1"}


@pytest.fixture
def fields(backends, recycling_server):
    """The fields of a Conf with four children whose channels are short."""
    def get(location=(), **more):
        f = backends.fields(children=4, location=SHORT + location, **more)
        f["ports"] += ("strict.http:1",)
        f["routes"] += (f"strict.http to=127.0.0.1:{recycling_server.port}",)
        return f
    return get


@pytest.fixture(scope="module", autouse=True)
def idlers(scratch, certs, backends, samba):
    """They are silent while the other tests of this file run."""
    some = idle.Idlers(scratch, certs, backends, samba)
    yield some
    some.close()


@pytest.fixture
def client(tmp_path):
    """client(kind, proxy, ..., options): a running rpch-client."""
    made = []

    def get(back_end, /, *proxies, **options):
        log = tmp_path / f"rpch-client-{len(made)}"
        made.append(bulk.Client(log, proxies, TARGETS[back_end],
                                **options))
        return made[-1]
    yield get
    for c in made:
        c.process.stop()


def moved(counts, size=bulk.BULK_MIB * bulk.MIB):
    """All of it arrived, by channels of which none lasts longer than its
    lifetime."""
    assert counts["up"] >= size and counts["down"] >= size
    least = size // bulk.LIFETIME - 1
    assert counts["in_r1"] + counts["in_r2"] >= least
    assert counts["out_r1"] + counts["out_r2"] >= least


@each_pair
def test_bulk(httpd, fields, client, mpm, kind):
    """IN_R2 and OUT_R2 through one httpd."""
    server = httpd(mpm=mpm, **fields())
    seen = bulk.Recyclings(server)
    counts = client(kind, server).counts()
    print(mpm, kind, counts)
    moved(counts)
    assert counts["in_r1"] == counts["out_r1"] == 0
    seen.check(counts)


@pytest.mark.parametrize("mpm", ["event", "prefork"])
@pytest.mark.parametrize("kind", KINDS)
def test_bulk_https(httpd, fields, client, tls, mpm, kind):
    server = httpd(mpm=mpm, **fields())
    seen = bulk.Recyclings(server)
    front = bulk.TlsFront(server.address(tls=True), tls)
    try:
        counts = client(kind, front).counts()
    finally:
        front.close()
    moved(counts)
    seen.check(counts)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("window", [8192, 262144])
def test_windows(httpd, fields, client, kind, window):
    """The least and the largest, offered by client and proxy."""
    server = httpd(mpm="event", **fields(
        location=(f"RpcProxyReceiveWindow {window}",)))
    seen = bulk.Recyclings(server)
    size = bulk.BULK_MIB * bulk.MIB // 2
    counts = client(kind, server, window=window, bytes=size,
                    call_bytes=window // 4).counts()
    moved(counts, size)
    seen.check(counts)


@each_pair
def test_twenty_at_once(httpd, fields, client, mpm, kind):
    server = httpd(mpm=mpm, **fields())
    seen = bulk.Recyclings(server)
    running = [client(kind, server, bytes=bulk.MIB,
                      window=(8192, 65536, 262144)[i % 3],
                      call_bytes=2048 << i % 3) for i in range(20)]
    counts = [c.counts() for c in running]
    for c in counts:
        moved(c, bulk.MIB)
    seen.check(*counts)


# ---- other generations, other proxies ---------------------------------------

def crossed(server, mark, old):
    """True when a connection got legs in children of old and of none such."""
    where = {}
    for line in map(logs.Line, server.errors.since(mark)):
        if "RPX0314" in line.text:
            name = line.text.split(" connection ")[1].split()[0]
            where.setdefault(name, set()).add(line.pid in old)
    return {True, False} in where.values()


@each_pair
def test_graceful_restarts(httpd, fields, client, kind, mpm):
    """Three of them under way; each moves the connection to the new
    generation, and the old children end. A client that ends before is
    followed by another one."""
    server = httpd(mpm=mpm, **fields(server=("# restarts in bulk",)))
    seen = bulk.Recyclings(server)
    size = bulk.BULK_MIB * bulk.MIB * (2 if kind == "http" else 6)
    running, counts, restarts, left = None, [], 0, set()
    for _ in range(20):
        if running is None or not running.process.alive():
            running = client(kind, server, bytes=size)
            counts.append(running)
        mark, page = server.errors.mark(), seen.page(server)[1]
        env.wait_until(lambda: seen.page(server)[1] > page
                       or not running.process.alive(), "recyclings")
        old = server.graceful()
        left |= old
        env.wait_until(lambda: crossed(server, mark, old)
                       or not running.process.alive(), "the move")
        restarts += crossed(server, mark, old)
        if restarts == 3:
            break
    counts = [c.counts() for c in counts]
    assert restarts == 3
    for c in counts:
        moved(c, size)
    seen.check(*counts)
    env.wait_until(lambda: not left & set(server.children()),
                   "the old children to end")


@pytest.mark.parametrize("kind", ["own", "http"])
@pytest.mark.parametrize("mpms", [("event", "prefork"), ("worker", "event")])
def test_two_proxies(httpd, fields, client, kind, mpms):
    """Each successor comes to the other one: R1 only."""
    servers = [httpd(mpm=mpm, **fields()) for mpm in mpms]
    seen = bulk.Recyclings(*servers)
    counts = client(kind, *servers).counts()
    print(mpms, kind, counts)
    moved(counts)
    assert counts["in_r2"] == counts["out_r2"] == 0
    seen.check(counts)
    for server in servers:
        assert seen.logged("RPX0313", "IN", server) >= counts["in_r1"] // 2
        assert seen.logged("RPX0313", "OUT", server) >= counts["out_r1"] // 2


@pytest.mark.parametrize("kind", ["own", "http"])
def test_r1_and_r2(httpd, fields, client, kind):
    """In turns: the same httpd again, then the other one."""
    a, b = (httpd(mpm=mpm, **fields()) for mpm in ("event", "worker"))
    seen = bulk.Recyclings(a, b)
    counts = client(kind, a, a, a, b, b).counts()
    moved(counts)
    assert all(counts[form] > bulk.BULK_MIB for form in bulk.FORMS), counts
    seen.check(counts)


# ---- nothing stays behind ---------------------------------------------------

@each_pair
def test_flat(httpd, fields, mpm, kind):
    """200 recyclings of each channel later a connection has what it had."""
    server = httpd(mpm=mpm, **fields())
    seen = bulk.Recyclings(server)
    with recycling.Recycler(server.address(), TARGETS[kind]) as client:
        client.open()
        calls = client.calls(fragment=5840)
        assert works(calls)
        before = server.resources()
        for _ in range(200):
            assert client.recycle_in() == "IN_R2"
            until_asked(client, calls)
            assert client.recycle_out() == "OUT_R2"
            if client.due:
                works(calls)
            for channel in client.old:
                channel.close()
            client.old.clear()
        assert works(calls)
        page = server.status()
        assert [page[k] for k in ("connections", "connections_open",
                                  "channels_in", "channels_out")] == [1] * 4
        assert seen.page(server) == [0, 400]

        def sockets(resources):
            """What is there beyond what each idle child has."""
            idle = min(r[0] for r in resources.values())
            return sum(r[0] - idle for r in resources.values())
        env.wait_until(lambda: sockets(server.resources())
                       <= sockets(before), "the descriptors of one "
                       "connection")
    server.wait_idle()
    settle(server, before)


# ---- clients that cannot recycle --------------------------------------------

#: By this spelling of the location httpd knows whom to spare.
QUIET_URL = "/rpc/RPCPROXY.DLL"
QUIET = (f"SetEnvIf Request_URI {QUIET_URL} rpcproxy-quiet",)

#: What rpch-client says, and what the log says of the channel, by what it
#: does and which way the bytes go.
ENDS = {
    ("norecycle", "sink"): ("the IN channel's lifetime is used up",
                            "IN .*: the client closed"),
    ("norecycle", "source"): ("a PDU of channel recycling for a client that "
                              "cannot do it",
                              "OUT .*a successor had been asked for"),
    ("quiet", "sink"): ("the IN channel's lifetime is used up",
                        "IN .*: the client closed"),
    ("quiet", "source"): ("was closed", "OUT .*: the OUT channel's lifetime "),
}


@pytest.mark.parametrize("way", ["sink", "source"])
def test_clients_that_cannot(httpd, fields, client, raw, way):
    """Each ends at the lifetime, and says so; the log says it too, and what
    else goes on is not disturbed."""
    server = httpd(mpm="event", **fields(server=QUIET))
    other = [raw(server, TARGETS[kind]).open().calls() for kind in KINDS]
    mark = server.errors.mark()
    ending = [(mode, client(kind, server, mode=mode, kind=way,
                            url=QUIET_URL if mode == "quiet" else None))
              for mode in ("norecycle", "quiet") for kind in KINDS]
    busy = client("tcp", server)
    said = [(mode, c.error()) for mode, c in ending]
    moved(busy.counts())
    assert all(calls.echo(b"o" * 9000) == b"o" * 9000 for calls in other)
    for mode, text in said:
        assert ENDS[mode, way][0] in text, (mode, way)
    log = [e for e in server.errors.since(mark) if "RPX0311" in e]
    for mode in ("norecycle", "quiet"):
        pattern = re.compile(f"RPX0311: {ENDS[mode, way][1]}")
        assert len([e for e in log if pattern.search(e)]) >= len(KINDS), log


@pytest.mark.parametrize("kind", KINDS)
def test_r2_only(httpd, fields, client, kind):
    server = httpd(mpm="event", **fields())
    seen = bulk.Recyclings(server)
    counts = client(kind, server, mode="r2only").counts()
    moved(counts)
    seen.check(counts)


@pytest.mark.parametrize("kind", ["own", "http"])
@pytest.mark.parametrize("way", ["sink", "source"])
def test_r2_only_meets_r1(httpd, fields, client, kind, way):
    """Two proxies are one too many for it; neither keeps anything."""
    servers = [httpd(mpm=mpm, **fields()) for mpm in ("event", "worker")]
    said = client(kind, *servers, mode="r2only", kind=way).error()
    assert "a client that knows IN_R2 and OUT_R2 only" in said
    for server in servers:
        server.wait_idle()


@pytest.mark.parametrize("kind", KINDS)
def test_impacket(httpd, fields, log, kind):
    """Below the lifetime as ever; at its end impacket says why it leaves."""
    server = httpd(mpm="event", **fields())
    host = TARGETS[kind].split(":")[0]
    answer = clients.impacket(("echo", "mgmt"), host, 1, via=server.via(),
                              size=10000)
    assert answer["echo"] == {"one": 42, "echo": True, "source": 10000}
    assert "error" not in answer
    answer = clients.impacket(("echo",), host, 1, via=server.via(),
                              size=100000)
    assert "recycling of a virtual OUT channel" in answer["error"]
    log.expect("RPX0311: OUT .*a successor had been asked for")
    server.wait_idle()


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_samba(httpd, fields, backends, samba, log, kind):
    """The same, with a quiet client; the log says why."""
    server = httpd(mpm="event", **fields())

    def displayed(times):
        return samba.python((), f"dc.{kind}", backends.dc.samr_port,
                            via=server.via(), options=("ntlm",),
                            repeat=times)
    assert displayed(20).get("repeated") == 20
    assert "error" in displayed(1000)
    log.expect("RPX0311: OUT .*: the OUT channel's lifetime ")
    server.wait_idle()


# ---- silence ----------------------------------------------------------------

def test_idle(idlers):
    """Each client's connection lives on Pings alone, and a call works; the
    server is told of Pings that it cannot see."""
    idlers.wait()
    for kind in idle.KINDS:
        assert idlers.raw[kind][1].echo(b"r" * 5000) == b"r" * 5000
        counts = idlers.bulk[kind].counts()
        assert counts["pings_received"] >= idle.PINGS
        assert counts["pings_sent"] >= 30
        assert idlers.impacket[kind].go_on() == {"idle": [2, 3]}
        answer = idlers.samba[kind].go_on()
        first, second = answer["idle"]
        assert first == second > 0
    told = idlers.notified()
    assert len(told) == 3
    assert all(n > 1031 for n in told), told
    assert not idlers.bad()
    idlers.back.check()
