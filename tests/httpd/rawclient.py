# SPDX-License-Identifier: Apache-2.0
"""An RPC over HTTP client on raw sockets, for what no real client does.

RawClient.open() does everything right; each step can be done by hand, with
any bytes. It keeps its windows (MS-RPCH 3.2.1.4.1) in both directions, and
checks each PDU of C-OUT strictly.
"""

import base64
import os
import socket
import ssl
from collections import deque

import env
import rpc
import rts


class HttpError(Exception):
    """The proxy answered with an error status."""

    def __init__(self, head):
        super().__init__(head.line)
        self.head, self.status, self.line = head, head.status, head.line


class Head:
    """A response's head."""

    def __init__(self, raw):
        lines = raw.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.status = int(self.line.split(" ")[1])
        self.reason = self.line.split(" ", 2)[2]
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name, value = name.strip().lower(), value.strip()
            if name in self.headers:
                value = f"{self.headers[name]}, {value}"
            self.headers[name] = value


class Channel:
    """One HTTP connection to the proxy."""

    def __init__(self, address, tls=None, name="proxy.example.test",
                 timeout=30):
        self.sock = socket.create_connection(address, timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=name)
        self.buffer = bytearray()
        self.name = name

    def send(self, data):
        self.sock.sendall(data)

    def request(self, method, target, length=None, headers=(), auth=None,
                version="1.1", path="/rpc/rpcproxy.dll", samba=False):
        """Sends a request's head; the body is the caller's. samba: in the
        words of Samba's client, by which rpcproxy-quiet knows it."""
        query = f"?{target}" if target is not None else ""
        if samba:
            version = "1.0"
        lines = [f"{method} {path}{query} HTTP/{version}",
                 f"Host: {self.name}", "Accept: application/rpc",
                 "User-Agent: MSRPC", "Cache-Control: no-cache"]
        lines += (["Connection: keep-alive", "Pragma: no-cache"] if samba
                  else ["Connection: Keep-Alive", "Pragma: No-cache"])
        if length is not None:
            lines.append(f"Content-Length: {length}")
        if auth:
            token = base64.b64encode(":".join(auth).encode()).decode()
            lines.append(f"Authorization: Basic {token}")
        lines.extend(headers)
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    def _fill(self):
        data = self.sock.recv(262144)
        if not data:
            raise EOFError("the proxy closed the connection")
        self.buffer += data

    def exactly(self, n):
        while len(self.buffer) < n:
            self._fill()
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        return data

    def head(self):
        """The next response head."""
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        raw, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        self.buffer = bytearray(rest)
        return Head(raw)

    def response(self):
        """A complete response: its head and body."""
        head = self.head()
        return head, self.exactly(int(head.headers.get("content-length", 0)))

    def rest(self):
        """Everything until the proxy closes."""
        try:
            while True:
                self._fill()
        except (EOFError, ConnectionResetError, ssl.SSLEOFError):
            pass
        data, self.buffer = bytes(self.buffer), bytearray()
        return data

    def silent(self, seconds):
        """True when nothing comes and nothing is closed for that long."""
        old = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            self._fill()
            return False
        except (TimeoutError, ssl.SSLWantReadError):
            return True
        except (EOFError, ConnectionResetError):
            return False
        finally:
            self.sock.settimeout(old)

    def close(self):
        self.sock.close()

    def reset(self):
        """Closes with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             b"\1\0\0\0\0\0\0\0")
        self.sock.close()


class RawClient:
    """One virtual connection."""

    IN_LENGTH = 1073741824

    def __init__(self, address, target, tls=None, window=65536,
                 auth=(env.USER, env.PASSWORD), ack=True, cookies=None,
                 path="/rpc/rpcproxy.dll", headers=(), timeout=30,
                 samba=False):
        self.address, self.target, self.tls = address, target, tls
        self.auth, self.path, self.headers = auth, path, headers
        self.timeout, self.samba = timeout, samba
        self.window, self.ack = window, ack
        self.vc, self.in_cookie, self.out_cookie, self.group = (
            cookies or [os.urandom(16) for _ in range(4)])
        self.cin = self.cout = None
        self.a3 = self.c2 = self.out_head = None
        self.in_window = self.in_sent = 0
        self.in_room = 0
        self.received = 0
        self.room = self.advertised = window
        self.largest = 0
        self.pings = self.acks = 0
        self.queue = deque()

    # Steps of opening.

    def channel(self):
        return Channel(self.address, self.tls, timeout=self.timeout)

    def a1(self):
        return rts.make("CONN/A1", 1, self.vc, self.out_cookie, self.window)

    def b1(self, lifetime=1073741824, keepalive=300000):
        return rts.make("CONN/B1", 1, self.vc, self.in_cookie, lifetime,
                        keepalive, self.group)

    def request_out(self, length=76, channel=None):
        self.cout = channel or self.channel()
        self.cout.request("RPC_OUT_DATA", self.target, length,
                          self.headers, self.auth, path=self.path,
                         samba=self.samba)

    def request_in(self, length=None, channel=None):
        self.cin = channel or self.channel()
        self.cin.request("RPC_IN_DATA", self.target,
                         self.IN_LENGTH if length is None else length,
                         self.headers, self.auth, path=self.path,
                         samba=self.samba)

    def start_out(self, channel=None):
        self.request_out(channel=channel)
        self.cout.send(self.a1())

    def start_in(self, channel=None):
        self.request_in(channel=channel)
        self.cin.send(self.b1())

    def read_200(self):
        self.out_head = self.cout.head()
        if self.out_head.status != 200:
            raise HttpError(self.out_head)

    def read_a3(self):
        self.a3 = self._rts("CONN/A3")

    def read_c2(self):
        self.c2 = self._rts("CONN/C2")
        self.in_window = self.in_room = self.c2.get("ReceiveWindowSize")

    def _rts(self, name):
        pdu = rts.read(rpc.read_pdu(self.cout.exactly))
        if pdu.name == "CONN/C1":     # CONN/C2 has the same bytes
            pdu.name = "CONN/C2"
        if pdu.name != name:
            raise AssertionError(f"{pdu.name} where {name} was due")
        return pdu

    def open(self, in_first=False, cout=None, cin=None):
        """Opens the virtual connection as the specification says; over these
        channels, where there are some."""
        if in_first:
            self.start_in(cin)
        self.start_out(cout)
        self.read_200()
        self.read_a3()
        if not in_first:
            self.start_in(cin)
        self.read_c2()
        return self

    # Data.

    def send_rpc(self, pdu, wait=True):
        """Sends one RPC PDU, waiting for the IN window."""
        while wait and self.in_room < len(pdu):
            self.queue_one()
        self.in_room -= len(pdu)
        self.in_sent += len(pdu)
        self.cin.send(pdu)

    def queue_one(self):
        """Takes one PDU off C-OUT."""
        raw = rpc.read_pdu(self.cout.exactly)
        if rpc.ptype(raw) == rts.RTS:
            self._control(rts.read(raw))
        else:
            self._count(len(raw))
            self.queue.append(raw)

    def _control(self, pdu):
        if pdu.name == "Ping":
            self.pings += 1
            return
        if pdu.name != "FlowControlAckWithDestination":
            raise AssertionError(f"{pdu.name} on an open C-OUT")
        received, available, cookie = pdu.get("FlowControlAck")
        if (pdu.destination != rts.FD_CLIENT or cookie != self.in_cookie
                or received > self.in_sent or available > self.in_window):
            raise AssertionError(f"bad ack {pdu.commands}")
        self.acks += 1
        self.in_room = available - (self.in_sent - received)

    def _count(self, n):
        self.received += n
        self.room -= n
        self.advertised -= n
        self.largest = max(self.largest, n)
        if self.room < 0 and self.ack:
            raise AssertionError(f"{-self.room} bytes beyond the OUT window")

    def recv_rpc(self):
        while not self.queue:
            self.queue_one()
        raw = self.queue.popleft()
        self.room += len(raw)
        if self.ack and self.advertised < max(self.window // 2,
                                              self.largest):
            self.send_ack()
        return raw

    def send_ack(self):
        self.advertised = self.room
        self.cin.send(rts.make("FlowControlAckWithDestination",
                               rts.FD_OUT_PROXY,
                               (self.received, self.room, self.out_cookie)))

    def calls(self, interface=rpc.RPCECHO, fragment=rpc.FRAGMENT):
        """Binds and returns what makes calls."""
        return rpc.Calls(self).bind(interface, fragment)

    def close(self):
        for channel in (self.cin, self.cout):
            if channel:
                channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
