# SPDX-License-Identifier: Apache-2.0
"""Echo requests: 0 to 16 bytes of body, answered without a server."""

import pytest

import env
import rawclient
import rts

AUTH = (env.USER, env.PASSWORD)


@pytest.fixture
def server(httpd, backends):
    return httpd(mpm="event", **backends.fields())


def check(answer):
    head, body = answer
    assert head.line == "HTTP/1.1 200 Success"
    assert head.headers["content-type"] == "application/rpc"
    assert head.headers["content-length"] == "20"
    assert body == rts.ECHO_BYTES


@pytest.mark.parametrize("length", [0, 1, 4, 16])
@pytest.mark.parametrize("method", ["RPC_IN_DATA", "RPC_OUT_DATA"])
def test_echo(server, method, length):
    channel = rawclient.Channel(server.address())
    for _ in range(3):                     # the connection stays usable
        channel.request(method, "echo.tcp:1", length, auth=AUTH)
        channel.send(bytes.fromhex("f8e81808")[:length].ljust(length, b"x"))
        check(channel.response())
    channel.close()


def test_echo_without_body_or_query(server):
    """impacket's first leg has no query; no Content-Length is 0."""
    channel = rawclient.Channel(server.address())
    channel.request("RPC_IN_DATA", None, None, auth=AUTH)
    check(channel.response())
    channel.request("RPC_OUT_DATA", "not-in-the-list:1", 0, auth=AUTH)
    check(channel.response())
    channel.close()


@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_channel_after_echo(httpd, backends, raw, tls, mpm, secure):
    """Wine sends an empty request first and reuses the connection."""
    server = httpd(mpm=mpm, **backends.fields())
    client = raw(server, "echo.tcp:1", tls if secure else None)
    cin, cout = client.channel(), client.channel()
    for channel, method in ((cin, "RPC_IN_DATA"), (cout, "RPC_OUT_DATA")):
        channel.request(method, client.target, 0, auth=client.auth)
        check(channel.response())
    client.open(cout=cout, cin=cin)
    assert client.calls().add_one(1) == 2
