# SPDX-License-Identifier: Apache-2.0
"""A server that reads no call while it answers another one: the window of
S-IN (or TCP's) is closed then, and only the client's acks for the OUT channel
open it. They come by whatever IN channel is the newest, while the one before
still holds RPC PDUs that the server does not take."""

import pytest

import bulk

TARGETS = {"tcp": "echo.tcp:1", "own": "own.http:1"}
SHORT = ("RpcProxyChannelLifetime 128K",)
#: Each answer is several windows long, and more calls than one wait behind
#: the one that is answered.
BUSY = {"call_bytes": 300000, "outstanding": 4, "bytes": 20000000,
        "in_lifetime": bulk.LIFETIME}


@pytest.fixture
def fields(backends):
    def get(location=(), **more):
        return backends.fields(children=4, location=SHORT + location, **more)
    return get


@pytest.fixture
def client(tmp_path):
    made = []

    def get(kind, *proxies, **options):
        made.append(bulk.Client(tmp_path / f"rpch-client-{len(made)}",
                                proxies, TARGETS[kind],
                                **{**BUSY, **options}))
        return made[-1]
    yield get
    for c in made:
        c.process.stop()


def moved(counts):
    least = BUSY["bytes"] // bulk.LIFETIME - 1
    assert counts["up"] >= BUSY["bytes"] and counts["down"] >= BUSY["bytes"]
    assert counts["in_r1"] + counts["in_r2"] >= least
    assert counts["out_r1"] + counts["out_r2"] >= least


@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
@pytest.mark.parametrize("kind", TARGETS)
def test_busy(httpd, fields, client, mpm, kind):
    """IN_R2: the predecessor's queue moves with the leg."""
    server = httpd(mpm=mpm, **fields())
    seen = bulk.Recyclings(server)
    counts = client(kind, server).counts()
    moved(counts)
    assert counts["in_r1"] == counts["out_r1"] == 0
    seen.check(counts)


@pytest.mark.parametrize("mpms", [("event", "prefork"), ("worker", "event")])
def test_busy_two_proxies(httpd, fields, client, mpms):
    """IN_R1: the successor passes acks on before IN_R1/B2."""
    servers = [httpd(mpm=mpm, **fields()) for mpm in mpms]
    seen = bulk.Recyclings(*servers)
    counts = client("own", *servers).counts()
    moved(counts)
    assert counts["in_r2"] == counts["out_r2"] == 0
    seen.check(counts)


def test_busy_in_turns(httpd, fields, client):
    """R1 and R2: a leg with an inherited queue drains, too."""
    a, b = (httpd(mpm=mpm, **fields()) for mpm in ("event", "worker"))
    seen = bulk.Recyclings(a, b)
    counts = client("own", a, a, a, b, b).counts()
    moved(counts)
    assert all(counts[form] > 10 for form in bulk.FORMS), counts
    seen.check(counts)


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("window", [8192, 65536])
def test_busy_windows(httpd, fields, client, kind, window):
    server = httpd(mpm="event", **fields(
        location=(f"RpcProxyReceiveWindow {window}",)))
    seen = bulk.Recyclings(server)
    counts = client(kind, server, window=window).counts()
    moved(counts)
    seen.check(counts)
