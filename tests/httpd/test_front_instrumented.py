# SPDX-License-Identifier: Apache-2.0
"""Streams of all kinds through one instrumented front (httpd -X);
instrumented.sh runs this. See test_instrumented.py."""

import random
import threading

import pytest

import env
import rts
from engine_rig import connection_count
from front_inner import CHUNKED_HEAD, OUT_HEAD, answer, chunk, server_tls
from front_rig import Body, Front, FrontConf, channel
from reactor_rig import workers
from test_front_flow import churn, churner
from test_front_pins import handshakes, one_client
from test_instrumented import KIND, PART, WAIT, OneProcess, each

pytestmark = pytest.mark.skipif(not KIND, reason="see instrumented.sh")
GIB = 1 << 30
PING = rts.make("Ping")


class OneFront(OneProcess, Front):
    """A front in one process."""


def chatter(taken):
    """An inner proxy that answers OUT by a stream, chunked for some, and IN
    by what came."""
    head = taken.request()
    if head.method == "RPC_IN_DATA":
        n = int.from_bytes(taken.exactly(4), "little")
        data = taken.exactly(n)
        return taken.send(answer(body=data[-1000:]))
    n = int.from_bytes(taken.exactly(4), "little")
    data = random.Random(n).randbytes(n)
    if n % 2:
        taken.send(CHUNKED_HEAD)
        for at in range(0, n, 30000):
            taken.send(chunk(data[at:at + 30000]))
        return taken.send(b"0\r\n\r\n")
    taken.send(OUT_HEAD)
    taken.send(data)
    return taken.rest()


@pytest.fixture(params=["Auto", "Off"])
def server(request, scratch, certs, log, inner):
    """A front of the double at /rpc, with TLS at /rpcs, and of others."""
    doubles = {"rpc": inner(chatter), "rpcs": inner(chatter,
                                                    tls=server_tls(certs)),
               "churn": inner(churner), "ntlm": inner(handshakes)}
    lines = [f'ProxyPass "/{name}/" "{d.url()}/"'
             for name, d in doubles.items()]
    httpd = OneFront(scratch, certs, FrontConf(
        lines=tuple(lines), children=1, threads=12,
        server=(*workers(1, 12, 12), f"RpcProxyAsync {request.param}")))
    log.allow("RPX05", "AH00485", "AH00484", "AH0")
    httpd.start()
    log.watch(httpd)
    # What OpenSSL keeps of a CA is made once, by atomic operations that no
    # instrument sees.
    ask(httpd, None, "rpcs", "RPC_OUT_DATA", 1)
    yield httpd
    if httpd.process.alive():
        env.wait_until(lambda: connection_count(httpd) == 0, "no others",
                       WAIT, 0.2)
        httpd.end()
    else:
        httpd.process.stop()


def ask(server, tls, path, method, n):
    c = channel(server, tls, timeout=WAIT)
    c.request(method, "mbx:6001", GIB, path=f"/{path}/rpcproxy.dll")
    if method == "RPC_IN_DATA":
        data = random.Random(n).randbytes(n)
        c.send(n.to_bytes(4, "little") + data)
        assert c.response()[1] == data[-1000:]
    else:
        c.send(n.to_bytes(4, "little"))
        head = c.head()
        assert Body(c, head).exactly(n) == random.Random(n).randbytes(n)
    c.close()


def test_streams(server, tls):
    """Bulk each way, by all kinds at once."""
    for n in (1, 70001, 1000000 // PART):
        each(*((ask, server, context, path, method, n + odd)
               for context in (None, tls) for path in ("rpc", "rpcs")
               for method, odd in (("RPC_IN_DATA", 0), ("RPC_OUT_DATA", 0),
                                   ("RPC_OUT_DATA", 1))))


def test_churn(server, tls):
    """Short requests, ended in all ways."""
    each(*((churn, server, tls, 120 // PART, "/churn/rpcproxy.dll")
           for _ in range(3)))


def test_handshakes(server, tls):
    """Kept connections, from request to request; fewer than workers, for
    else httpd closes those that are idle."""
    errors = []
    clients = [threading.Thread(target=one_client, args=(
        server, (None, tls)[n % 2], n, errors, "/ntlm/rpcproxy.dll"))
        for n in range(8 // PART)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join(WAIT)
    assert not errors, errors


def test_stop(server, tls):
    """With live streams of all kinds."""
    server.wait_idle()
    mark, live = server.accesses.mark(), []
    for context in (None, tls):
        for path in ("rpc", "rpcs"):
            for method in ("RPC_IN_DATA", "RPC_OUT_DATA"):
                c = channel(server, context, timeout=WAIT)
                c.request(method, "mbx:6001", GIB,
                          path=f"/{path}/rpcproxy.dll")
                c.send((4000).to_bytes(4, "little"))
                if method == "RPC_OUT_DATA":
                    assert c.head().status == 200
                    c.exactly(4000)
                live.append(c)
    server.end()
    lines = [a for a in server.access_since(mark) if a.channel != "-"]
    assert len(lines) == len(live)
    for c in live:
        c.close()
