# SPDX-License-Identifier: Apache-2.0
"""An inner proxy that does what the test tells it to, on raw sockets: it
records exactly what a front sends, and answers with any bytes."""

import queue
import socket
import ssl
import threading

import env
import rawclient

#: The response's heads of OUT channels.
OUT_HEAD = (b"HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\n"
            b"Content-Length: 1073741824\r\n\r\n")
CHUNKED_HEAD = (b"HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n")


def answer(status="200 OK", body=b"", *headers):
    """A response with a length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def challenge(token, scheme="NTLM", body=b"no"):
    """The 401 of a handshake's second message."""
    return answer("401 Unauthorized", body, f"WWW-Authenticate: {scheme} "
                  f"{token}".rstrip())


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


class Request:
    """A request's head as it came."""

    def __init__(self, raw):
        self.raw = raw
        lines = raw.decode("latin-1").split("\r\n")
        self.method, self.uri, self.version = lines[0].split(" ")
        self.fields = [tuple(line.split(": ", 1)) for line in lines[1:]]

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name):
        """The only field of that name, or None."""
        found = self.all(name)
        assert len(found) < 2, self.raw
        return found[0] if found else None


class Taken(rawclient.Channel):
    """A connection that the inner proxy accepted."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer, self.name = bytearray(), ""

    def request(self):
        """The next request's head; its body is in exactly()."""
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        raw, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        self.buffer = bytearray(rest)
        return Request(raw)

    def whole(self):
        """The next request with its body: (head, body)."""
        head = self.request()
        return head, self.exactly(int(head.get("Content-Length") or 0))

    def chunks(self):
        """The next chunk of a chunked body; b"" is its end."""
        line = bytearray()
        while not line.endswith(b"\r\n"):
            line += self.exactly(1)
        data = self.exactly(int(line.split(b";")[0], 16))
        assert self.exactly(2) == b"\r\n"
        return data

    def no_more(self):
        """Says that it sends no more, and goes on reading."""
        socket.socket.shutdown(self.sock, socket.SHUT_WR)


class Inner:
    """Accepts connections: for take(), or for handler(Taken), each in a
    thread of its own, whose exceptions are kept in errors."""

    def __init__(self, handler=None, tls=None, timeout=30, small=False,
                 address="127.0.0.1"):
        self.handler, self.tls, self.timeout = handler, tls, timeout
        self.waiting, self.taken, self.errors = queue.Queue(), [], []
        self.running = {}          # thread -> the socket that it uses
        self.listener = socket.socket(
            socket.AF_INET6 if ":" in address else socket.AF_INET)
        if small:                  # what a connection takes unread
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                     32768)
        self.listener.bind((address, 0))
        self.listener.listen(256)
        self.port = self.listener.getsockname()[1]
        env.accept_each(self.listener, self._take)

    @property
    def count(self):
        """Connections that ever came."""
        return len(self.taken)

    def url(self, scheme=None, host=None):
        """For ProxyPass; mod_ssl compares names, not addresses."""
        scheme = scheme or ("rpchs" if self.tls else "rpch")
        host = host or ("localhost" if self.tls else "127.0.0.1")
        return f"{scheme}://{host}:{self.port}/rpc"

    def take(self, timeout=20):
        """The next connection."""
        return self.waiting.get(timeout=timeout)

    def fresh(self):
        """Forgets the connections that came so far; for the next test."""
        while not self.waiting.empty():
            self.waiting.get()
        for taken in self.taken:
            taken.close()
        self.taken.clear()
        return self

    def _take(self, sock, _):
        thread = threading.Thread(target=self._run, args=(sock,), daemon=True)
        self.running[thread] = sock
        thread.start()

    def _run(self, sock):
        sock.settimeout(self.timeout)
        try:
            if self.tls:
                # two steps, so that close() can end the handshake
                sock = self.tls.wrap_socket(sock, server_side=True,
                                            do_handshake_on_connect=False)
                self.running[threading.current_thread()] = sock
                sock.do_handshake()
        except OSError:
            sock.close()
        else:
            self._serve(Taken(sock))
        finally:
            del self.running[threading.current_thread()]

    def _serve(self, taken):
        self.taken.append(taken)
        if not self.handler:
            self.waiting.put(taken)
            return
        try:
            self.handler(taken)
        except (EOFError, ConnectionError, ssl.SSLEOFError):
            pass
        except Exception as e:     # noqa: B902 - the test looks at it
            self.errors.append(f"{type(e).__name__}: {e}")
        finally:
            taken.close()

    def deafen(self):
        """Accepts no more; what is open stays so."""
        env.close_listener(self.listener)

    def close(self):
        self.deafen()
        env.wait_until(self._no_threads, "the handlers to end")
        for taken in self.taken:
            taken.close()

    def _no_threads(self):
        """Has each see the end of its connection. A socket that is closed
        under a thread would be another's descriptor there."""
        for sock in list(self.running.values()):
            try:
                # SSLSocket's own would forget that it speaks TLS
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                pass               # its thread is through with it
        return not self.running


def server_tls(certs):
    """The TLS of an inner proxy."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(certs.server), str(certs.server_key))
    return context


class Silent:
    """A port of which the listener takes no connection: its backlog is full,
    and a SYN gets no answer."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.fill = [socket.socket() for _ in range(3)]
        for s in self.fill:
            s.setblocking(False)
            s.connect_ex(self.listener.getsockname())

    def close(self):
        for s in (*self.fill, self.listener):
            s.close()
