# SPDX-License-Identifier: Apache-2.0
"""TLS 1.3 records of an inner proxy that are no data, in one segment with its
answer: mod_ssl says "nothing now" behind each, and the socket has no more."""

import socket
import ssl

import pytest

import env
from front_inner import OUT_HEAD, answer, server_tls
from front_rig import channel, passes


class TicketsLate:
    """Answers one request on each connection; what its side of the handshake
    ends with, the tickets, is sent with the answer only."""

    def __init__(self, certs, reply):
        self.context, self.reply = server_tls(certs), reply
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.held = []                 # bytes kept back, of each connection
        env.accept_each(self.listener, self._take)

    def _take(self, sock, _):
        env.in_thread(self._serve, sock)

    def _serve(self, sock):
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(into, out, server_side=True)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(out.read())
                into.write(sock.recv(65536))
        tickets, request = out.read(), b""
        while b"\r\n\r\n" not in request:
            try:
                request += tls.read(65536)
            except ssl.SSLWantReadError:
                into.write(sock.recv(65536))
        tls.write(self.reply)
        self.held.append(len(tickets))
        sock.sendall(tickets + out.read())
        sock.recv(1)                   # the peer's end, or ours
        sock.close()

    def close(self):
        env.close_listener(self.listener)


@pytest.mark.parametrize("method,length,reply", [
    ("RPC_IN_DATA", 0, answer("401 Unauthorized", b"no",
                              "WWW-Authenticate: NTLM")),
    ("RPC_IN_DATA", 1 << 30, OUT_HEAD + b"no"),
], ids=["worker", "reactor"])
def test_tickets_before_the_answer(front, certs, method, length, reply):
    inner = TicketsLate(certs, reply)
    server = front(*passes(f"rpchs://localhost:{inner.port}/rpc",
                           "ProxyTimeout 3"))
    c = channel(server)
    c.request(method, "mbx:6001", length)
    head = c.head()
    assert head.line == reply.decode().split("\r\n")[0]
    assert c.exactly(2) == b"no"
    assert inner.held[0] > 0
    c.close()
    inner.close()
