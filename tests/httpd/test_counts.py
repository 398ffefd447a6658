# SPDX-License-Identifier: Apache-2.0
"""What httpd counts of a channel's bytes (%I, %O, %b) is right where they go
past its filters, and where TLS keeps them on these."""

import re

import pytest

import bulk
import env

MPMS = ["event", "worker", "prefork"]
#: More than the head of a request or response, RTS PDUs and TLS records.
MARGIN = 0.03
COUNTS = ('LogFormat "%{RPC_CHANNEL}e %I %O %b" counts',
          "CustomLog counts.log counts")


def counted(httpd, since):
    """{"IN": (received, sent, body), "OUT": ...} of the log's lines."""
    def lines():
        # A look at the status page before may be logged only now.
        new = [line for line in
               (httpd.dir / "counts.log").read_text()[since:].splitlines()
               if not line.startswith("-")]
        return new if len(new) == 2 else None
    found = env.wait_until(lines, "two lines of counts.log", 30)
    return {way.upper(): tuple(0 if n == "-" else int(n) for n in numbers)
            for way, *numbers in (line.split() for line in found)}


def passed(httpd, mark):
    """{"IN": bytes of RPC PDUs, "OUT": ...} by the module's log."""
    def ends():
        text = "\n".join(map(str, httpd.errors.since(mark)))
        found = dict(re.findall(r"RPX0311: (IN|OUT) channel .* after (\d+) "
                                r"bytes in", text))
        return found if len(found) == 2 else None
    return {way: int(n) for way, n in
            env.wait_until(ends, "the channels' last lines", 30).items()}


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("mpm", MPMS)
def test_counts(httpd, backends, tls, tmp_path, mpm, secure):
    server = httpd(mpm=mpm, server=COUNTS, **backends.fields())
    front = bulk.TlsFront(server.address(tls=True), tls)
    mark = server.errors.mark()
    log = server.dir / "counts.log"
    since = len(log.read_text()) if log.exists() else 0
    try:
        bulk.Client(tmp_path / "client", [front if secure else server],
                    "own.http:1", in_lifetime=1 << 30).counts()
        counts, rpc = counted(server, since), passed(server, mark)
    finally:
        front.close()
    assert rpc["IN"] <= counts["IN"][0] <= rpc["IN"] * (1 + MARGIN)
    assert rpc["OUT"] <= counts["OUT"][2] <= rpc["OUT"] * (1 + MARGIN)
    assert counts["OUT"][2] < counts["OUT"][1] <= rpc["OUT"] * (1 + MARGIN)
