# SPDX-License-Identifier: Apache-2.0
"""Version 1 of RPC over HTTP (MS-RPCH 2.1.1, 3.1): a client on a raw socket,
and servers that greet, or do something else."""

import base64
import socket
import threading

import pytest

import env
import rawclient
import rpc

BANNER = b"ncacn_http/1.0"
ANSWER = b"HTTP/1.1 200 OK\r\n\r\n"


class Version1:
    """One RPC_CONNECT request; may make calls (send_rpc, recv_rpc)."""

    def __init__(self, address, target, tls=None,
                 auth=(env.USER, env.PASSWORD), path="/rpc/rpcproxy.dll",
                 headers=(), version="1.1", timeout=30):
        self.target, self.auth, self.path = target, auth, path
        self.headers, self.version = headers, version
        self.channel = rawclient.Channel(address, tls, timeout=timeout)

    def request_bytes(self):
        query = f"?{self.target}" if self.target is not None else ""
        lines = [f"RPC_CONNECT {self.path}{query} HTTP/{self.version}",
                 f"Host: {self.channel.name}", "Pragma: No-cache",
                 "User-Agent: RPC"]
        if self.auth:
            token = base64.b64encode(":".join(self.auth).encode()).decode()
            lines.append(f"Authorization: Basic {token}")
        lines.extend(self.headers)
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def request(self, behind=b""):
        """Sends the head, and behind right with it."""
        self.channel.send(self.request_bytes() + behind)
        return self

    def open(self):
        self.request()
        return self.read_200()

    def read_200(self):
        self.head = self.channel.head()
        if self.head.status != 200:
            raise rawclient.HttpError(self.head)
        return self

    def refused(self):
        """The complete answer to a request that is refused; its connection
        is closed."""
        head, body = self.request().channel.response()
        assert self.channel.rest() == b""
        return head, body

    def send_rpc(self, pdu):
        self.channel.send(pdu)

    def recv_rpc(self):
        return rpc.read_pdu(self.channel.exactly)

    def calls(self, interface=rpc.RPCECHO, fragment=rpc.FRAGMENT):
        return rpc.Calls(self).bind(interface, fragment)

    def end_sending(self):
        """FIN; by the socket itself, since TLS would forget the session."""
        socket.socket.shutdown(self.channel.sock, socket.SHUT_WR)

    def close(self):
        self.channel.close()


class Greeter:
    """A server that sends greeting, then is target's TCP server (HOST, PORT),
    or does what talk(sock) does. What it had received when the greeting was
    complete is in early."""

    def __init__(self, target=None, greeting=BANNER, talk=None, drip=False):
        self.target, self.greeting = target, greeting
        self.talk, self.drip = talk, drip
        self.early, self.errors, self.sockets = [], [], []
        self.greet = threading.Event()      # drip: go on with the greeting
        self.ended = threading.Semaphore(0)  # a connection came to its end
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        env.accept_each(self.listener, self._take)

    def route(self, name, protocol="ncacn_http"):
        return f"{name}:1 protocol={protocol} to=127.0.0.1:{self.port}"

    def _take(self, sock, _):
        self.sockets.append(sock)
        env.in_thread(self._serve, sock)

    def _say_greeting(self, sock):
        if not self.drip:
            sock.sendall(self.greeting)
            return
        sock.sendall(self.greeting[:5])
        self.greet.wait(20)
        sock.setblocking(False)
        try:
            self.early.append(sock.recv(65536))
        except BlockingIOError:
            self.early.append(b"")
        sock.setblocking(True)
        for i in range(5, len(self.greeting)):
            sock.sendall(self.greeting[i:i + 1])

    def _serve(self, sock):
        try:
            self._say_greeting(sock)
            if self.talk:
                self.talk(sock)
            elif self.target:
                self._splice(sock)
        except OSError as e:
            self.errors.append(e)
        finally:
            sock.close()
            self.ended.release()

    def _splice(self, sock):
        with socket.create_connection(self.target) as other:
            back = threading.Thread(target=self._copy, args=(other, sock),
                                    daemon=True)
            back.start()
            self._copy(sock, other)
            back.join(60)

    @staticmethod
    def _copy(a, b):
        try:
            while data := a.recv(1 << 16):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            for sock in (a, b):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def wait_end(self):
        """Waits until a connection has ended."""
        assert self.ended.acquire(timeout=20)

    def close(self):
        env.close_listener(self.listener)
        for sock in self.sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


# Fixtures, for the tests that import them.

@pytest.fixture
def greeter():
    """greeter(...): a Greeter of this test alone."""
    made = []

    def get(*args, **options):
        made.append(Greeter(*args, **options))
        return made[-1]
    yield get
    for server in made:
        server.close()


@pytest.fixture
def v1():
    """v1(server, target, ...): a Version1 that is closed at the end."""
    made = []

    def get(server, target, tls=None, **options):
        made.append(Version1(server.address(tls is not None), target, tls,
                             **options))
        return made[-1]
    yield get
    for client in made:
        client.close()
