# SPDX-License-Identifier: Apache-2.0
"""A strict ncacn_http server: the server role of MS-RPCH 3.2.5.

It exists to catch a proxy that is wrong. Any PDU out of order, with a byte
that the specification does not allow, beyond a window, or with a cookie
that is not the connection's is recorded as a violation and ends the virtual
connection; the fixtures fail the test then. RPC PDUs are bridged to a real
ncacn_ip_tcp server. plan makes it misbehave on purpose.
"""

import socket
import struct
import threading
import time

import env
import rpc
import rts


class Violation(Exception):
    """The proxy did what it must not."""


class _End(Exception):
    """This connection ends here; nobody is at fault."""


class Leg:
    """One TCP connection from a proxy: S-IN or S-OUT once it is known."""

    def __init__(self, sock, peer):
        self.sock, self.peer = sock, peer
        self.name = "S-?"
        self.virtual = None        # known after the first PDU
        self.resetting = False
        self.lock = threading.Lock()

    def exactly(self, n):
        data = bytearray()
        while len(data) < n:
            part = self.sock.recv(n - len(data))
            if not part:
                raise EOFError(len(data))
            data += part
        return bytes(data)

    def send(self, data):
        with self.lock:
            self.sock.sendall(data)

    def close(self, how=socket.SHUT_RDWR):
        """Ends the connection; the thread that reads it closes the socket."""
        try:
            if not self.resetting:
                self.sock.shutdown(how)
        except OSError:
            pass

    def reset(self):
        """Ends the connection with a RST. Only the thread that reads can
        close the socket: this wakes it without a packet."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.close(socket.SHUT_RD)
        self.resetting = True


class Sender:
    """What a sender knows of its peer's window (3.2.1.4.1.2)."""

    def __init__(self, window):
        self.window = self.available = window
        self.sent = 0
        self.changed = threading.Condition()
        self.ended = False

    def reserve(self, n):
        """Waits for room for a PDU of n bytes and takes it."""
        with self.changed:
            while self.available < n and not self.ended:
                self.changed.wait()
            if self.ended:
                raise _End
            self.available -= n
            self.sent += n

    def ack(self, received, available):
        with self.changed:
            if received > self.sent:
                raise Violation(f"ack of {received} bytes, {self.sent} sent")
            if available > self.window:
                raise Violation(f"ack offers {available}, the window is "
                                f"{self.window}")
            room = available - (self.sent - received)
            if room < 0:
                raise Violation(f"ack {received}/{available} takes back "
                                f"window at {self.sent} sent")
            self.available = room
            self.changed.notify_all()

    def end(self):
        with self.changed:
            self.ended = True
            self.changed.notify_all()


class Receiver:
    """What a receiver grants (3.2.1.4.1.1)."""

    def __init__(self, window):
        self.window = self.available = self.advertised = window
        self.received = 0
        self.largest = 0

    def got(self, n):
        self.available -= n
        self.advertised -= n
        self.received += n
        self.largest = max(self.largest, n)
        if self.advertised < 0:
            raise Violation(f"{-self.advertised} bytes beyond the window "
                            f"of S-IN")

    def used(self, n):
        """True when an ack is due now."""
        self.available += n
        return self.advertised < max(self.window // 2, self.largest)

    def ack(self, cookie):
        """The ack that renews the grant."""
        self.advertised = self.available
        return rts.make("FlowControlAck",
                        (self.received, self.available, cookie))


class Virtual:
    """One virtual connection at the server."""

    def __init__(self, vc):
        self.vc = vc
        self.legs = {}
        self.a2 = self.b2 = None
        self.in_cookie = self.out_cookie = None
        self.opened = False
        self.closed = False
        self.out_tx = self.in_rx = None
        self.target = None
        self.ping_bytes = 0
        self.rpc_in = self.rpc_out = 0

    def close(self):
        self.closed = True
        if self.out_tx:
            self.out_tx.end()
        for leg in list(self.legs.values()):
            leg.close()
        if self.target:
            try:
                self.target.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class StrictServer:
    """Listens for ncacn_http and bridges to target, (host, port).

    plan: stage -> what to do there instead of what is right:
      "close", "reset"  end this TCP connection
      "hang"            do nothing more on it, and keep it open
      bytes             send these instead of the stage's own PDU
    Stages: accept, A2, B2, C1, B3 (instead of sending them), open (once
    open, on both legs), open-in, open-out, rpc-in (an RPC PDU came),
    rpc-out (an RPC PDU is to be sent), half-rpc-out (half of it was sent).
    """

    def __init__(self, target=None, banner=True, window=65536, plan=None,
                 ack=True, host="127.0.0.1", port=0):
        self.target, self.banner, self.window = target, banner, window
        self.plan, self.ack = dict(plan or {}), ack
        self.lock = threading.Lock()
        self.violations = []
        self.log = []          # (vc in hex or "", leg, "recv"|"send", name)
        self.virtuals = {}
        self.history = []      # every Virtual there ever was
        self.legs = set()
        self.accepted = 0
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.socket(family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.listener.listen(256)
        self.host, self.port = self.listener.getsockname()[:2]
        env.accept_each(self.listener, self._take)

    # What tests ask.

    def names(self, leg=None, way=None):
        """The RTS PDUs of one leg and way, in order."""
        with self.lock:
            return [e[3] for e in self.log
                    if leg in (None, e[1]) and way in (None, e[2])]

    def open_count(self):
        """Virtual connections that are known now, open or half open."""
        with self.lock:
            return len(self.virtuals)

    def leg_count(self):
        with self.lock:
            return len(self.legs)

    def check(self):
        """Raises when the proxy ever did what it must not."""
        with self.lock:
            if self.violations:
                raise AssertionError("the proxy broke the protocol: "
                                     + "; ".join(self.violations))

    def close(self):
        env.close_listener(self.listener)
        with self.lock:
            virtuals, legs = list(self.virtuals.values()), list(self.legs)
        for v in virtuals:
            v.close()
        for leg in legs:
            leg.close()

    # The server.

    def _take(self, sock, peer):
        leg = Leg(sock, peer)
        with self.lock:
            self.accepted += 1
            self.legs.add(leg)
        env.in_thread(self._serve, leg)

    def _serve(self, leg):
        try:
            self._stage("accept", leg)
            if self.banner:
                leg.send(rts.LEGACY)
            self._first(leg)
            while True:
                self._pdu(leg.virtual, leg, rpc.read_pdu(leg.exactly))
        except (Violation, rts.BadPdu) as e:
            self._violation(leg, str(e))
        except (_End, EOFError, OSError):
            pass
        finally:
            self._forget(leg)

    def _violation(self, leg, text):
        with self.lock:
            # What arrives after we closed is not the proxy's mistake.
            if leg.virtual is None or not leg.virtual.closed:
                self.violations.append(f"{leg.name}: {text}")

    def _forget(self, leg):
        virtual = leg.virtual
        if virtual:
            virtual.close()
            with self.lock:
                if self.virtuals.get(virtual.vc) is virtual:
                    del self.virtuals[virtual.vc]
        leg.close()
        try:
            leg.sock.close()
        except OSError:
            pass
        with self.lock:
            self.legs.discard(leg)

    def _stage(self, stage, leg):
        """Does what the plan says at stage; true when it stood in for the
        stage's own PDU."""
        action = self.plan.get(stage)
        if action is None:
            return False
        if action == "close":
            raise _End
        if action == "reset":
            leg.reset()
            raise _End
        if action == "hang":
            while leg.sock.recv(4096):
                time.sleep(0)
            raise _End
        leg.send(action)
        return True

    def _note(self, virtual, leg, way, name):
        with self.lock:
            self.log.append((virtual.vc.hex() if virtual else "", leg.name,
                             way, name))

    def _first(self, leg):
        """The PDU that says which half of which connection this is."""
        raw = rpc.read_pdu(leg.exactly)
        if rpc.ptype(raw) != rts.RTS:
            raise Violation(f"first PDU has PTYPE {rpc.ptype(raw)}")
        pdu = rts.read(raw)
        if pdu.name not in ("CONN/A2", "CONN/B2"):
            raise Violation(f"first PDU is {pdu.name}")
        out = pdu.name == "CONN/A2"
        leg.name = "S-OUT" if out else "S-IN"
        vc = pdu.all("Cookie")[0]
        with self.lock:
            virtual = self.virtuals.get(vc)
            if virtual is None:
                virtual = self.virtuals[vc] = Virtual(vc)
                self.history.append(virtual)
            if leg.name in virtual.legs:
                raise Violation(f"a second {pdu.name} for one connection")
            virtual.legs[leg.name] = leg
            leg.virtual = virtual
        self._note(virtual, leg, "recv", pdu.name)
        self._stage("A2" if out else "B2", leg)
        with self.lock:
            if out:
                virtual.a2 = pdu
                virtual.out_cookie = pdu.all("Cookie")[1]
                virtual.out_tx = Sender(pdu.get("ReceiveWindowSize"))
            else:
                virtual.b2 = pdu
                virtual.in_cookie = pdu.all("Cookie")[1]
                virtual.in_rx = Receiver(self.window)
            met = virtual.a2 is not None and virtual.b2 is not None
        if met:
            self._open(virtual)

    def _open(self, v):
        sin, sout = v.legs["S-IN"], v.legs["S-OUT"]
        if self.target:
            v.target = socket.create_connection(self.target, timeout=20)
            v.target.settimeout(None)
            v.target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        v.opened = True
        if not self._stage("C1", sout):
            c1 = rts.make("CONN/C1", 1, v.b2.get("ReceiveWindowSize"),
                          v.b2.get("ConnectionTimeout"))
            self._note(v, sout, "send", "CONN/C1")
            sout.send(c1)
        if not self._stage("B3", sin):
            self._note(v, sin, "send", "CONN/B3")
            sin.send(rts.make("CONN/B3", self.window, 1))
        self._stage("open-in", sin)
        self._stage("open-out", sout)
        if v.target:
            threading.Thread(target=self._pump_out, args=(v,),
                             daemon=True).start()

    def _pdu(self, v, leg, raw):
        if rpc.ptype(raw) != rts.RTS:
            return self._rpc_in(v, leg, raw)
        pdu = rts.read(raw)
        self._note(v, leg, "recv", pdu.name)
        if not v.opened:
            raise Violation(f"{pdu.name} before the connection was open")
        if pdu.destination is not None:
            return self._forward(v, leg, pdu)
        if leg.name == "S-OUT" and pdu.name == "FlowControlAck":
            received, available, cookie = pdu.get("FlowControlAck")
            if cookie != v.out_cookie:
                raise Violation("ack with a cookie that is not OUT's")
            return v.out_tx.ack(received, available)
        if leg.name == "S-OUT" and pdu.name == "PingTrafficSentNotify":
            v.ping_bytes += pdu.get("PingTrafficSentNotify")
            return None
        raise Violation(f"{pdu.name} on {leg.name}")

    def _forward(self, v, leg, pdu):
        """3.2.1.5.2; nothing of a client or in-proxy ends here. An ack for
        the out-proxy is the client's, verbatim, whatever is in it."""
        if leg.name != "S-IN":
            raise Violation(f"{pdu.name} for {pdu.destination} on S-OUT")
        if pdu.destination not in (rts.FD_CLIENT, rts.FD_OUT_PROXY):
            raise Violation(f"{pdu.name} for {pdu.destination} on S-IN")
        if (pdu.destination == rts.FD_CLIENT
                and pdu.get("FlowControlAck")[2] != v.in_cookie):
            raise Violation("ack to the client with a cookie that is not "
                            "IN's")
        self._note(v, v.legs["S-OUT"], "send", pdu.name)
        v.legs["S-OUT"].send(pdu.raw)

    def _rpc_in(self, v, leg, raw):
        if leg.name != "S-IN":
            raise Violation(f"RPC PDU {rpc.ptype(raw)} on S-OUT")
        if not v.opened:
            raise Violation("RPC PDU before CONN/B3")
        v.in_rx.got(len(raw))
        v.rpc_in += len(raw)
        self._stage("rpc-in", leg)
        if v.target:
            v.target.sendall(raw)
        if v.in_rx.used(len(raw)) and self.ack:
            self._note(v, leg, "send", "FlowControlAck")
            leg.send(v.in_rx.ack(v.in_cookie))

    def _pump_out(self, v):
        """RPC PDUs of the real server to S-OUT, within its window."""
        sout = v.legs["S-OUT"]
        pipe = rpc.TcpPipe(v.target)
        try:
            while True:
                raw = pipe.recv_rpc()
                v.out_tx.reserve(len(raw))
                self._stage("rpc-out", sout)
                if "half-rpc-out" in self.plan:
                    sout.send(raw[:len(raw) // 2])
                    self._stage("half-rpc-out", sout)
                sout.send(raw)
                v.rpc_out += len(raw)
        except (_End, EOFError, OSError):
            pass
        finally:
            v.close()
            v.target.close()
