# SPDX-License-Identifier: Apache-2.0
"""EEInfo in error responses (MS-RPCH 2.1.2.1.3, MS-EERR)."""

import re
import time

import pytest

import clients
import eerr
import env
from version1 import Version1

ON = "RpcProxyExtendedErrors On"
LINE = re.compile(r"503 RPC Error: (\w+), EEInfo: ([A-Za-z0-9+/]+=*)$")


def refusal(channel):
    """Head and body of an error response."""
    head, body = channel.response()
    assert channel.rest() == b""
    return head, body


def ask(server, raw, method, target):
    """The complete error response to a first PDU."""
    client = raw(server, target)
    if method == "out":
        client.start_out()
        return refusal(client.cout)
    if method == "in":
        client.start_in()
        return refusal(client.cin)
    return refusal(Version1(server.address(), target).request().channel)


def records(head, body):
    """The record of the status line and that of the body, and the code."""
    assert len(head.line) + 2 <= 1024
    line = LINE.search(head.line)
    assert body.startswith(b"RPC EEInfo:") and body.endswith(b"\r\n")
    return (eerr.decode(line[2]),
            eerr.decode(body[len(b"RPC EEInfo:"):-2].decode()),
            int(line[1], 16))


def filetime(seconds):
    return int((seconds + 11644473600) * 10 ** 7)


@pytest.fixture
def server(httpd, backends):
    """Everything that is refused: 6ba and 6bb, by policy or by fate."""
    gone = env.free_port()
    return httpd(mpm="event", ports=("gone:1;GONE.example.com:2",),
                 routes=(f"gone to=127.0.0.1:{gone}",
                         f"gone.example.com to=127.0.0.1:{gone}"),
                 location=(ON, "RpcProxyVersion1 On"))


@pytest.mark.parametrize("method", ["in", "out", "v1"])
@pytest.mark.parametrize("target,tag", [
    ("gone:1", "RPX03[35]"), ("GONE.example.com:2", "RPX03[35]"),
    ("secret:1", "RPX0214"), ("x" * 900 + ":593", "RPX0214")])
def test_record(server, raw, log, method, target, tag):
    """What it says; a target that policy refuses looks like one that does
    not answer."""
    log.expect(tag)
    before = time.time()
    head, body = ask(server, raw, method, target)
    *both, code = records(head, body)
    for record in both:
        name = eerr.text_of(record["ComputerName"]["u"]["Name"])
        assert (name, code) == ("proxy.example.test", 0x6BA)
        assert record["Status"] == code
        # MS-EERR 2.2.3: a proxy failed to connect to a server
        assert (record["GeneratingComponent"],
                record["DetectionLocation"]) == (0x0E, 0x5A0)
        assert record["ProcessID"] in server.children()
        assert record["Flags"] == 0 and record["nLen"] == 1
        said = eerr.text_of(record["Params"][0]["u"]["UnicodeString"])
        assert said == target.lower()[:127]
        assert (filetime(before - 2) < record["TimeStamp"]
                < filetime(time.time() + 2))


def test_limit(httpd, backends, raw, log):
    server = httpd(mpm="event", **backends.fields(
        location=(ON, "RpcProxyMaxPerUser 2")))
    log.expect("RPX0323")
    raw(server, "echo.tcp:1").open()
    record, again, code = records(*ask(server, raw, "out", "echo.tcp:1"))
    assert code == record["Status"] == 0x6BB
    assert record["GeneratingComponent"] >= 256   # MS-EERR 1.7
    assert again["Status"] == code


def test_off_by_default(httpd, raw, log):
    server = httpd(mpm="event", ports=("a:1",))
    log.expect("RPX0214")
    head, body = ask(server, raw, "out", "b:1")
    assert head.line == "HTTP/1.1 503 RPC Error: 6ba" and body == b""


def test_impacket_still_reads_the_code(httpd, backends, log):
    """It searches the status line for the digits; calls are unaffected."""
    server = httpd(mpm="event", **backends.fields(location=(ON,)))
    log.expect("RPX0214")
    answer = clients.impacket(("mgmt",), "nowhere", 135, via=server.via())
    assert "code: 0x6ba" in answer["error"]
    want = clients.impacket(("echo",), backends.echo.host,
                            backends.echo.tcp_port)
    assert clients.impacket(("echo",), "echo.tcp", 1,
                            via=server.via()) == want


def test_nobody_learns_more(server, raw, log):
    """Neither where a route leads nor any other name of this machine."""
    log.allow("RPX0")
    head, body = ask(server, raw, "out", "gone:1")
    record = records(head, body)[0]
    texts = [eerr.text_of(record["ComputerName"]["u"]["Name"]),
             *(eerr.text_of(p["u"]["UnicodeString"])
               for p in record["Params"])]
    assert texts == ["proxy.example.test", "gone:1"]
