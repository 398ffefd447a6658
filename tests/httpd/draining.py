# SPDX-License-Identifier: Apache-2.0
"""What the tests of stopping children need: a server whose answers can be
held back, and a look at how channels ended."""

import socket
import threading

import env
import rpc

#: Why channels of a stopping child end, in the order in which they do.
IDLE = "its child process is stopping: no call was without an answer"
ANSWERED = "its child process is stopping: the last call was answered"
OVER = "its child process is stopping: RpcProxyDrainTimeout is over"
STOPPED = "httpd was stopped"
#: At level debug: a channel's first moment came, and a call with it.
WAITS = "it ends when it has no call without an answer"


class Gate:
    """A TCP relay before an ncacn_ip_tcp server; while it is shut nothing
    comes back from the server."""

    def __init__(self, target):
        self.target = target
        self.passing = threading.Event()
        self.passing.set()
        self.closed = False
        self.sockets = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        env.accept_each(self.listener, self._take)

    def shut(self):
        self.passing.clear()

    def open(self):
        self.passing.set()

    def close(self):
        self.closed = True
        env.close_listener(self.listener)
        self.passing.set()
        for sock in self.sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def _take(self, near, _):
        try:
            far = socket.create_connection(self.target, timeout=60)
        except OSError:
            near.close()
            return
        self.sockets += [near, far]
        env.in_thread(self._pump, near, far, None)
        env.in_thread(self._pump, far, near, self.passing)

    @staticmethod
    def _pump(source, sink, passing):
        try:
            while True:
                data = source.recv(65536)
                if passing:
                    passing.wait()
                if not data:
                    break
                sink.sendall(data)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def ask(calls, n=1):
    """Sends a call that add_one(n) would make, and does not wait."""
    calls.call_id += 1
    for pdu in rpc.request(rpc.ADD_ONE, n.to_bytes(4, "little"),
                           calls.call_id, calls.fragment):
        calls.pipe.send_rpc(pdu)


def answered(calls, n=1):
    """The answer to ask(n) comes, whole."""
    return int.from_bytes(calls.answer(), "little") == n + 1


def is_over(channel):
    """True when the proxy has closed channel; what came before is kept."""
    channel.sock.settimeout(0.02)
    try:
        channel._fill()
        return False
    except TimeoutError:
        return False
    except (EOFError, OSError):
        return True
    finally:
        channel.sock.settimeout(30)


def wait_over(*channels, timeout=60):
    left = set(channels)

    def none_left():
        left.difference_update({c for c in left if is_over(c)})
        return not left
    env.wait_until(none_left, "the proxy to close the channels", timeout)


def ends(server, mark=0):
    """The lines of the ends of channels and version 1 connections, in
    order."""
    return [line for line in server.errors.since(mark)
            if "RPX0311: " in line or "RPX0351: " in line]
