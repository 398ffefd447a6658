# SPDX-License-Identifier: Apache-2.0
"""mod_proxy_http beside mod_proxy_rpch: what fails with it, as it is and in
its best known configuration, and what does not with the module. One httpd
has all three; the inner proxy is the same."""

import pytest

import env
import rts
from front_inner import OUT_HEAD
from rawclient import RawClient

#: Seconds that mod_reqtimeout grants a body, where it is asked.
BODY_TIMEOUT = 3
#: What mod_proxy_http reads of a body before it connects.
PREFETCH = 16384
WAYS = ("stock", "best", "rpch")
BEST = ("flushpackets=on disablereuse=on",
        '<Location "/best">', "SetEnv proxy-prefetch-nonblocking 1",
        "</Location>")


@pytest.fixture
def server(front, double, log):
    """A front with the three ways to double."""
    # mod_proxy_http, whose streams are cut
    log.allow("AH00898", "AH01097", "AH01102", "AH01110",
              "AH02608")

    def get(*lines):
        to = f"127.0.0.1:{double.port}"
        made = front(f'ProxyPass "/stock" "http://{to}/rpc"',
                     f'ProxyPass "/best" "http://{to}/rpc" {BEST[0]}',
                     *BEST[1:], f'ProxyPass "/rpc" "rpch://{to}/rpc"',
                     server=lines, threads=40, children=1)
        made.double = double
        return made
    return get


@pytest.fixture
def client():
    """client(server, way): a RawClient whose requests go that way."""
    made = []

    def get(server, way, **options):
        path = {"rpch": "/rpc"}.get(way, f"/{way}")
        made.append(RawClient(server.address(), "mbx:6001",
                              path=f"{path}/rpcproxy.dll", **options))
        return made[-1]
    yield get
    for one in made:
        one.close()


def reaches(server, what):
    """The next connection of the inner proxy, with its request's head and
    then what."""
    taken = server.double.take()
    request = taken.request()
    assert taken.exactly(len(what)) == what
    return taken, request


@pytest.mark.parametrize("way", WAYS)
def test_first_pdu_at_once(server, client, way):
    """CONN/B1 alone, of a body of 1 GiB, which stays declared."""
    server = server()
    c = client(server, way)
    c.start_in()
    if way == "stock":
        # not even the head, until 16 KiB of the body are there
        assert c.cin.silent(0.5) and server.double.count == 0
        c.cin.send(bytes(PREFETCH))
    taken, request = reaches(server, c.b1())
    assert request.get("Content-Length") == "1073741824"
    c.cin.close()
    taken.close()


@pytest.mark.parametrize("way", WAYS)
def test_idle_beyond_reqtimeout(server, client, way):
    """An IN channel that is silent. It is alive when one of mod_proxy_http
    that was opened later has been cut."""
    server = server(f"RequestReadTimeout body={BODY_TIMEOUT}")
    c = client(server, way)
    c.start_in()
    if way == "stock":
        c.cin.send(bytes(PREFETCH))
    taken, _ = reaches(server, c.b1())
    if way != "rpch":
        assert c.cin.head().status == 408
        return
    later = client(server, "best")
    later.start_in()
    reaches(server, later.b1())
    assert later.cin.head().status == 408
    ping = rts.make("Ping")
    c.cin.send(ping)
    assert taken.exactly(len(ping)) == ping
    assert c.cin.silent(0.1)


@pytest.mark.parametrize("way", WAYS)
def test_workers_held(server, client, way):
    """Ten virtual connections that are open and quiet: two workers each, or
    none."""
    server = server()
    env.wait_until(lambda: server.busy() == 0, "no worker at work")
    for _ in range(10):
        c = client(server, way)
        c.start_out()
        taken, _ = reaches(server, c.a1())
        if way != "stock":             # which flushes nothing either
            taken.send(OUT_HEAD + rts.make("CONN/A3", 120000))
            c.read_200()
            c.read_a3()
        c.start_in()
        if way == "stock":
            c.cin.send(bytes(PREFETCH))
        reaches(server, c.b1())
    want = 0 if way == "rpch" else 20
    env.wait_until(lambda: server.busy() == want, f"{want} busy workers")
