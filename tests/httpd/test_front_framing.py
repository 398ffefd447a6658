# SPDX-License-Identifier: Apache-2.0
"""The inner proxy gets one request for each that the front has looked at,
whatever a client or a module of httpd does to bodies and methods."""

import gzip

import pytest

from front_inner import answer, chunk
from front_rig import channel, each_way, of_way, passes

GIB = 1 << 30
#: What must never come to be a request: it says what only the front may say.
HIDDEN = (b"GET /rpc/hidden HTTP/1.1\r\nHost: inner\r\nX-User: admin\r\n"
          b"Front-End-Https: on\r\n\r\n")
INFLATE = ("SetInputFilter DEFLATE",)


@pytest.fixture
def opened():
    made = []

    def get(server):
        made.append(channel(server))
        return made[-1]
    yield get
    for connection in made:
        connection.close()


# ---- a filter of httpd changes the body's length ----------------------------

@pytest.fixture
def inflating(front, double):
    """inflating(way): a front whose administrator has bodies unpacked."""
    def get(way):
        return front(*passes(double.url()), location=INFLATE,
                     modules=("deflate",), **of_way(way))
    return get


@each_way
@pytest.mark.parametrize("headers", [(), ("Authorization: NTLM TlRMTVNTUAA=",)],
                         ids=["stream", "held"])
def test_body_longer_than_its_length(inflating, double, opened, way, headers):
    """The rest would be the next request of the inner connection."""
    body = bytes(4000)
    packed = gzip.compress(body + HIDDEN)
    c = opened(inflating(way))
    c.request("POST", None, len(packed), ["Content-Encoding: gzip", *headers],
              path="/rpc/form")
    c.send(packed)
    taken = double.take()
    head = taken.request()
    length = int(head.get("Content-Length"))
    assert length == len(packed)
    assert c.head().status == 400
    assert len(taken.rest()) <= length


def test_body_shorter_than_its_length(inflating, double, opened):
    """Nobody waits for what will never come."""
    packed = gzip.compress(b"a")
    c = opened(inflating(("event", "Auto")))
    c.request("POST", None, len(packed), ["Content-Encoding: gzip"],
              path="/rpc/form")
    c.send(packed)
    taken = double.take()
    taken.request()
    assert c.head().status == 400
    assert len(taken.rest()) < len(packed)


# ---- the method, otherwise spelt --------------------------------------------

@pytest.mark.parametrize("method", ["rpc_out_data", "Rpc_In_Data"])
def test_valid_ports_in_any_case(front, double, opened, log, method):
    """An inner proxy may take it for the same method."""
    log.expect("RPX0518: .*mbx:6005")
    server = front(*passes(double.url()),
                   location=('RpcProxyValidPorts "other:6001"',))
    c = opened(server)
    c.request(method, "mbx:6005", 76)
    assert c.head().line == "HTTP/1.1 503 RPC Error: 6ba"
    assert double.count == 0


def test_version_1_in_any_case(front, double, opened, log):
    log.expect("RPX0512: ")
    c = opened(front(*passes(double.url())))
    c.request("rpc_connect", "mbx:6001", None)
    assert c.head().status == 501
    assert double.count == 0
