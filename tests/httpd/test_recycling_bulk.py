# SPDX-License-Identifier: Apache-2.0
"""Bytes in bulk over channels that are replaced all the time, compared by
rpch-client; what it counted is what the proxies logged and counted."""

import pytest

import bulk
import env
from test_relay import settle

KINDS = ["tcp", "own", "http"]
MPMS = ["event", "worker", "prefork"]
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


@pytest.fixture
def client(tmp_path):
    """client(kind, proxy, ..., options): a running rpch-client."""
    made = []

    def get(kind, *proxies, **options):
        log = tmp_path / f"rpch-client-{len(made)}"
        made.append(bulk.Client(log, proxies, TARGETS[kind], **options))
        return made[-1]
    yield get
    for c in made:
        c.process.stop()


def moved(counts, mib=bulk.BULK_MIB):
    """All of it arrived, by channels of which none lasts longer than its
    lifetime."""
    assert counts["up"] >= mib << 20 and counts["down"] >= mib << 20
    least = (mib << 20) // bulk.LIFETIME
    assert counts["in_r1"] + counts["in_r2"] >= least
    assert counts["out_r1"] + counts["out_r2"] >= least


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("kind", KINDS)
def test_bulk(httpd, fields, client, mpm, kind):
    """IN_R2 and OUT_R2 through one httpd."""
    server = httpd(mpm=mpm, **fields())
    seen = bulk.Recyclings(server)
    counts = client(kind, server).counts()
    print(mpm, kind, counts)
    moved(counts)
    assert counts["in_r1"] == counts["out_r1"] == 0
    seen.check(counts)
