# SPDX-License-Identifier: Apache-2.0
"""TLS 1.3 KeyUpdates of the client in one segment with data behind them:
mod_ssl says "nothing now" behind each, and the socket has no more."""

import array
import fcntl
import socket
import subprocess
import termios
import threading

import pytest

import env
import rawclient
import rpc
import rts
from reactor_rig import QUIET, Gate

#: A KeyUpdate as a record: its message is 5 bytes; a header, the inner type
#: and the tag are 22 more, of each record (RFC 8446 4.6.3, 5.2).
UPDATE, MORE = 27, 22


class Holding:
    """Passes one TCP connection on. While it holds, what the client sends is
    kept; release() sends it as one segment, once it has so many bytes."""

    def __init__(self, address):
        self.address = address
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock, self.held, self.server = threading.Lock(), None, None
        env.in_thread(self._up)

    def _up(self):
        client, _ = self.listener.accept()
        self.server = socket.create_connection(self.address)
        self.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        env.in_thread(self._down, client)
        while data := client.recv(65536):
            with self.lock:
                if self.held is None:
                    self.server.sendall(data)
                else:
                    self.held += data
        self.server.close()

    def _down(self, client):
        try:
            while data := self.server.recv(65536):
                client.sendall(data)
        except OSError:
            pass

    def hold(self):
        with self.lock:
            self.held = b""

    def release(self, size):
        env.wait_until(lambda: len(self.held) >= size, "the records")
        with self.lock:
            assert len(self.held) == size
            self.server.sendall(self.held)
            self.held = None

    def close(self):
        env.close_listener(self.listener)


class Client(rawclient.Channel):
    """A channel spoken by openssl s_client, which has commands: what it reads
    at once and begins with k is a KeyUpdate, and no data."""

    def __init__(self, port, certs):
        self.name, self.buffer = "proxy.example.test", bytearray()
        self.program = subprocess.Popen(
            ["openssl", "s_client", "-quiet", "-no_ign_eof", "-tls1_3",
             "-servername", self.name, "-CAfile", str(certs.ca),
             "-verify_return_error", "-connect", f"127.0.0.1:{port}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, bufsize=0)

    def _fill(self):
        data = self.program.stdout.read(65536)
        if not data:
            raise EOFError("s_client has ended")
        self.buffer += data

    def send(self, data):
        # httpd skips an empty line; R would be a command as well
        if data.startswith(b"RPC_"):
            data = b"\r\n" + data
        self.program.stdin.write(data)
        left = array.array("i", [1])

        def is_read():
            fcntl.ioctl(self.program.stdin, termios.FIONREAD, left)
            return left[0] == 0
        env.wait_until(is_read, "s_client to read")

    def update_key(self, answer=False):
        """answer: httpd is to do so, too, with what it writes next."""
        self.send(b"K\n" if answer else b"k\n")

    def close(self):
        self.program.stdin.close()
        self.program.terminate()
        self.program.wait()
        self.program.stdout.close()


@pytest.fixture
def gate():
    g = Gate()
    yield g
    g.close()


#: More of them than are looked at in one turn.
@pytest.mark.parametrize("updates", [1, 30])
@pytest.mark.parametrize("mpm", ["event", "worker"])
def test_key_update(httpd, raw, tls, certs, gate, mpm, updates):
    server = httpd(mpm=mpm, children=1, threads=4, ports=("gate:1",),
                   routes=("gate protocol=ncacn_ip_tcp "
                           f"to=127.0.0.1:{gate.port}",), location=QUIET)
    between = Holding(("127.0.0.1", server.ports["https"]))
    client = raw(server, "gate:1", tls)
    client.open(cin=Client(between.port, certs))
    pdu = rts.header(rpc.REQUEST, 100) + bytes(84)
    for n in range(1, 4):
        between.hold()
        for _ in range(updates):
            client.cin.update_key()
        client.cin.send(pdu)
        between.release(updates * UPDATE + MORE + len(pdu))
        gate.last(1).wait_for(n * pdu)
    client.close()
    between.close()
