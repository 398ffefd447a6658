# SPDX-License-Identifier: Apache-2.0
"""What the front says of a connection: its two halves are known by one name,
as at an RPC proxy; who, where to, through which member, how much, and why it
ended."""

import hashlib
import re

import pytest

import env
import rts
from front_inner import OUT_HEAD, answer
from front_rig import SECURE, channel, each_way, of_way, passes
from test_front_end import wait_ends

END = re.compile(
    r"RPX054[23]: (?P<what>\w+) channel of connection (?P<connection>\S+) of "
    r"(?P<user>.*) to (?P<target>\S+) through (?P<member>\S+) ended after "
    r"\d+ ms: up (?P<up>\d+) bytes, (?P<up_pdus>\d+) PDUs; down "
    r"(?P<down>\d+) bytes, (?P<down_pdus>\d+) PDUs: (?P<cause>.*)")
PING = rts.make("Ping")
AUTH = (env.USER, env.PASSWORD)


def ends(server, n):
    """The lines of the ends of n requests since the test began, by what."""
    def found():
        return [m for m in map(END.search, server.errors.since(server.mark))
                if m]
    env.wait_until(lambda: len(found()) >= n, "lines of ends")
    assert len(found()) == n
    return {m["what"]: m.groupdict() for m in found()}


@pytest.fixture
def server(front, double):
    def get(way=("event", "Auto"), **more):
        made = front(*passes(double.url()), **of_way(way), **more)
        made.mark = made.errors.mark()
        made.access_mark = made.accesses.mark()
        return made
    return get


@SECURE
@each_way
def test_a_connection(server, double, raw, tls, way, secure):
    server = server(way)
    client = raw(server, "MBX.example.com:6001", tls if secure else None,
                 auth=AUTH)
    client.start_out()
    out = double.take()
    out.request()
    out.exactly(76)
    out.send(OUT_HEAD + rts.make("CONN/A3", 120000))
    client.read_200()
    client.read_a3()
    client.start_in()
    in_ = double.take()
    in_.request()
    in_.exactly(104)
    out.send(rts.make("CONN/C1", 1, 65536, 120000))
    client.read_c2()
    for _ in range(3):
        # cut anywhere, a PDU is one
        client.cin.send(PING[:7])
        in_.exactly(7)
        client.cin.send(PING[7:])
        in_.exactly(13)
    client.close()
    found = ends(server, 2)
    name = hashlib.sha1(client.vc).hexdigest()[:12]
    for what in ("IN", "OUT"):
        line = found[what]
        assert line["connection"] == name
        assert line["target"] == "mbx.example.com:6001"
        assert line["member"] == f"127.0.0.1:{double.port}"
        assert env.USER in line["user"]
        assert "client" in line["cause"]
    assert (found["IN"]["up"], found["IN"]["up_pdus"]) == ("164", "4")
    assert (found["OUT"]["up"], found["OUT"]["up_pdus"]) == ("76", "1")
    assert found["OUT"]["down_pdus"] == "2"
    assert int(found["OUT"]["down"]) == 28 + 44
    lines = wait_ends(server, server.access_mark, 2)
    assert sorted(a.channel for a in lines) == ["in", "out"]
    for a in lines:
        assert a.connection == name
        assert a.target == "mbx.example.com:6001"
        assert a.end == found[a.channel.upper()]["cause"]
    # the cookie itself is a secret
    assert not any(client.vc.hex() in line
                   for line in server.errors.since(server.mark))


def test_passes_line(server, double, raw):
    """When a connection is known there is a line, so that one that lives for
    days can be found."""
    server = server()
    client = raw(server, "mbx:6001")
    client.start_out()
    taken = double.take()
    taken.request()
    name = hashlib.sha1(client.vc).hexdigest()[:12]
    want = rf"RPX0540: OUT channel of connection {name} .* passes to " \
           rf"127\.0\.0\.1:{double.port}"
    env.wait_until(lambda: any(re.search(want, line) for line in
                               server.errors.since(server.mark)), "the line")
    client.close()
    taken.rest()


@pytest.mark.parametrize("who,want", [
    (dict(auth=AUTH), f"unchecked user {env.USER}"),
    (dict(auth=None), "anonymous 127.0.0.1")])
def test_who(server, double, raw, who, want):
    """Nobody has looked at a password that is passed on."""
    server = server()
    client = raw(server, "mbx:6001", **who)
    client.start_out()
    double.take().request()
    client.close()
    assert ends(server, 1)["OUT"]["user"] == want


def test_who_was_checked(server, double, raw):
    server = server(basic=True, location=("ProxyRpchAuth none",))
    client = raw(server, "mbx:6001", auth=AUTH)
    client.start_out()
    double.take().request()
    client.close()
    assert ends(server, 1)["OUT"]["user"] == f"user {env.USER}"
    [line] = wait_ends(server, server.access_mark, 1)
    assert line.user == env.USER


def test_no_rpc(server, double):
    """Bytes are counted, PDUs are not."""
    server = server()
    c = channel(server)
    c.request("GET", None, path="/rpc/page")
    taken = double.take()
    taken.request()
    taken.send(answer(body=b"a page"))
    assert c.response()[1] == b"a page"
    c.close()
    [line] = ends(server, 1).values()
    assert (line["what"], line["target"]) == ("GET", "-")
    assert (line["down"], line["down_pdus"]) == ("6", "0")
    assert line["connection"] == "-"


CAUSES = {
    "the inner proxy goes": ("inner", "inner proxy"),
    "the client goes": ("client", "client"),
}


@pytest.mark.parametrize("case", CAUSES)
def test_cause(server, double, raw, case):
    who, want = CAUSES[case]
    server = server()
    client = raw(server, "mbx:6001")
    client.start_out()
    taken = double.take()
    taken.request()
    taken.send(OUT_HEAD + PING)
    client.read_200()
    client.cout.exactly(20)
    (client if who == "client" else taken).close()
    assert want in ends(server, 1)["OUT"]["cause"]


def test_control_characters(server, double):
    """What a client sends is not a line of its own in the log."""
    server = server()
    c = channel(server)
    c.request("RPC_OUT_DATA", "mbx%0aRPX0542:6001", 76,
              ["Authorization: Basic YQpbeF0gUlBYMDU0MjogbGllOnB3"])
    taken = double.take()
    assert "%0a" in taken.request().uri
    c.close()
    taken.rest()
    line = ends(server, 1)["OUT"]
    assert line["user"].startswith("anonymous")
