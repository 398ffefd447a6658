# SPDX-License-Identifier: Apache-2.0
"""The strict ncacn_http server with channel recycling (MS-RPCH 3.2.5).

It asks for a new OUT channel when little of the lifetime is left, and takes
successors of both directions in both forms. Every cookie, every state and
every byte of a lifetime is checked; what a proxy does wrong is a violation,
as in strict_server.
"""

import threading

import rpc
import rts
from strict_server import StrictServer, Sender, Violation, Receiver, _End

#: What an out-proxy adds to C-OUT without saying so: CONN/A3, and Pings that
#: are not reported yet.
UNREPORTED = 28 + 1031 + 20


class Recycled:
    """What recycling adds to a virtual connection."""

    def __init__(self, v):
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.old_cookies = set()
        self.lifetime = v.a2.get("ChannelLifetime")
        self.used = 0
        self.in_state = self.out_state = "Opened"
        self.in_next = self.out_next = None     # (leg, PDU) of R1
        self.succ = None                        # cookie announced
        self.old_out = None                     # (leg, its Sender) of R1
        self.counts = {"IN_R1": 0, "IN_R2": 0, "OUT_R1": 0, "OUT_R2": 0}


class RecyclingServer(StrictServer):
    """reserve: bytes of C-OUT's lifetime left when it is replaced."""

    def __init__(self, *args, reserve=8192, **kwargs):
        self.reserve = reserve
        super().__init__(*args, **kwargs)

    def counts(self):
        """Recyclings of all connections there ever were."""
        total = {"IN_R1": 0, "IN_R2": 0, "OUT_R1": 0, "OUT_R2": 0}
        for v in self.history:
            if v.opened:
                for form, n in v.recycled.counts.items():
                    total[form] += n
        return total

    def _first(self, leg):
        """CONN as before; a successor finds its connection."""
        raw = rpc.read_pdu(leg.exactly)
        if rpc.ptype(raw) == rts.RTS:
            pdu = rts.read(raw)
            if pdu.name in ("IN_R1/A2", "OUT_R1/A4"):
                self._successor(leg, pdu)
                return
        exactly, leg.exactly = leg.exactly, Again(raw, leg)
        try:
            super()._first(leg)
        finally:
            leg.exactly = exactly

    def _open(self, v):
        v.recycled = Recycled(v)
        super()._open(v)

    def _successor(self, leg, pdu):
        vc, pred, succ = pdu.all("Cookie")
        out = pdu.name == "OUT_R1/A4"
        leg.name = "S-OUT" if out else "S-IN"
        with self.lock:
            v = self.virtuals.get(vc)
        if v is None or not v.opened:
            raise Violation(f"{pdu.name} of an unknown connection")
        leg.virtual = v
        r = v.recycled
        self._note(v, leg, "recv", pdu.name)
        with r.lock:
            if out:
                if r.out_state != "A4W" or pred != v.out_cookie:
                    raise Violation(f"OUT_R1/A4 in {r.out_state}")
                r.out_next, r.succ, r.out_state = (leg, pdu), succ, "A8W"
                self._down(v, rts.make("OUT_R1/A6", rts.FD_CLIENT, 1,
                                       pdu.get("ConnectionTimeout")),
                           "OUT_R1/A5")
            else:
                if r.in_state != "Opened" or pred != v.in_cookie:
                    raise Violation(f"IN_R1/A2 in {r.in_state}")
                r.in_next, r.in_state = (leg, pdu), "A6W"
                self._down(v, rts.make("IN_R1/A4", rts.FD_CLIENT, 1,
                                       pdu.get("ReceiveWindowSize"),
                                       pdu.get("ConnectionTimeout")),
                           "IN_R1/A3")

    def _down(self, v, raw, name):
        """An RTS PDU to the client by the default S-OUT. Holds the lock."""
        v.recycled.used += len(raw)
        sout = v.legs["S-OUT"]
        self._note(v, sout, "send", name)
        sout.send(raw)

    def _forget(self, leg):
        """The end of a predecessor is no end of the connection."""
        v = leg.virtual
        if v and v.opened and leg.name == "old":
            leg.close()
            leg.sock.close()
            with self.lock:
                self.legs.discard(leg)
            return
        if v and v.opened:
            for coming in (v.recycled.in_next, v.recycled.out_next):
                if coming:
                    coming[0].close()
        super()._forget(leg)

    def _pdu(self, v, leg, raw):
        if rpc.ptype(raw) != rts.RTS or not v.opened:
            with v.recycled.lock if v.opened else threading.Lock():
                if v.opened and leg is not v.legs.get(leg.name):
                    raise Violation(f"an RPC PDU on a {leg.name} that is not "
                                    f"the current one")
            super()._pdu(v, leg, raw)
            return
        pdu = rts.read(raw)
        with v.recycled.lock:
            if self._recycling(v, leg, pdu):
                self._note(v, leg, "recv", pdu.name)
                return
        super()._pdu(v, leg, raw)

    def _recycling(self, v, leg, pdu):
        """True when pdu is one of these sequences, or an ack."""
        r = v.recycled
        if pdu.name == "FlowControlAck" and leg.name in ("S-OUT", "old"):
            received, available, cookie = pdu.get("FlowControlAck")
            known = {v.out_cookie, r.succ} | r.old_cookies
            if cookie not in known:
                raise Violation("ack with a cookie that is not OUT's")
            tx = v.out_tx if leg.name == "S-OUT" else r.old_out[1]
            tx.ack(received, available)
            return True
        if pdu.name == "IN_R1/A5":
            cookie = pdu.get("Cookie")
            if leg.name == "S-OUT":
                self._out_r2_a4(v, cookie)
            elif r.in_state == "A6W":
                if cookie != r.in_next[1].all("Cookie")[2]:
                    raise Violation("IN_R1/A6 with another cookie")
                r.in_state = "B1W"
            else:
                r.old_cookies.add(v.in_cookie)
                v.in_cookie = cookie
                r.counts["IN_R2"] += 1
                self._down(v, rts.make("IN_R2/A4", rts.FD_CLIENT),
                           "IN_R2/A3")
            return True
        if pdu.name == "IN_R1/B1" and leg.name == "S-IN":
            self._in_r1_b1(v, leg)
            return True
        if pdu.name in ("OUT_R1/A7", "OUT_R2/A7") and leg.name == "S-IN":
            self._a8(v, pdu)
            return True
        return False

    def _out_r2_a4(self, v, cookie):
        r = v.recycled
        if r.out_state != "A4W":
            raise Violation(f"OUT_R2/A4 in {r.out_state}")
        r.succ, r.out_state = cookie, "R2A8W"
        self._down(v, rts.make("OUT_R2/A6", rts.FD_CLIENT),
                   "OUT_R2/A5")

    def _in_r1_b1(self, v, leg):
        r = v.recycled
        if r.in_state != "B1W" or leg is not v.legs["S-IN"]:
            raise Violation(f"IN_R1/B1 in {r.in_state}")
        new, pdu = r.in_next
        leg.name = "old"
        v.legs["S-IN"] = new
        v.in_rx = Receiver(self.window)
        r.old_cookies.add(v.in_cookie)
        v.in_cookie = pdu.all("Cookie")[2]
        r.in_state, r.in_next = "Opened", None
        r.counts["IN_R1"] += 1
        self._note(v, new, "send", "IN_R1/B2")
        new.send(rts.make("IN_R1/B2", self.window))
        leg.close()

    def _a8(self, v, pdu):
        r = v.recycled
        if r.out_state not in ("A8W", "R2A8W"):
            raise Violation(f"{pdu.name} in {r.out_state}")
        sout = v.legs["S-OUT"]
        if pdu.get("Cookie") != r.succ:
            if r.out_state == "R2A8W":
                sout.send(rts.make("OUT_R2/B2"))
            raise _End
        r.old_cookies.add(v.out_cookie)
        v.out_cookie = r.succ
        if r.out_state == "A8W":
            new, a4 = r.out_next
            sout.name = "old"
            r.old_out = (sout, v.out_tx)
            v.legs["S-OUT"] = new
            # Whoever waits for the old one finds the new one there.
            v.out_tx = Sender(a4.get("ReceiveWindowSize"))
            r.old_out[1].end()
            r.lifetime = a4.get("ChannelLifetime")
            r.counts["OUT_R1"] += 1
        else:
            r.counts["OUT_R2"] += 1
        r.used, r.out_state, r.out_next = 0, "Opened", None
        # In R1 its end may follow at once, and is none of the connection.
        self._note(v, sout, "send", "OUT_R1/A9")
        sout.send(rts.make("OUT_R1/A9"))
        r.changed.notify_all()

    def _forward(self, v, leg, pdu):
        """Acks of a channel that is being drained go to its own S-OUT."""
        r = v.recycled
        with r.lock:
            cookie = (pdu.get("FlowControlAck")[2]
                      if pdu.name == "FlowControlAckWithDestination" else None)
            if (cookie in r.old_cookies
                    and pdu.destination == rts.FD_OUT_PROXY):
                try:
                    (r.old_out[0] if r.old_out
                     else v.legs["S-OUT"]).send(pdu.raw)
                except OSError:
                    pass
                return
            if pdu.destination == rts.FD_CLIENT:
                r.used += len(pdu.raw)
                if cookie in r.old_cookies:
                    v.legs["S-OUT"].send(pdu.raw)
                    return
            super()._forward(v, leg, pdu)

    def _pump_out(self, v):
        """RPC PDUs of the real server within window and lifetime."""
        pipe = rpc.TcpPipe(v.target)
        try:
            while True:
                self._send_out(v, pipe.recv_rpc())
        except (_End, EOFError, OSError):
            pass
        finally:
            v.close()
            v.target.close()

    def _send_out(self, v, raw):
        r = v.recycled
        while True:
            tx = v.out_tx
            try:
                tx.reserve(len(raw))
            except _End:
                if v.closed or v.out_tx is tx:
                    raise
                continue
            with r.lock:
                left = r.lifetime - r.used - len(raw) - UNREPORTED
                if left < self.reserve and r.out_state == "Opened":
                    r.out_state = "A4W"
                    self._down(v, rts.make("OUT_R1/A2", rts.FD_CLIENT),
                               "OUT_R1/A1")
                while (v.out_tx is tx and not v.closed
                       and r.used + len(raw) + UNREPORTED > r.lifetime):
                    r.changed.wait(1)
                if v.closed:
                    raise _End
                if v.out_tx is not tx:
                    continue
                r.used += len(raw)
                v.legs["S-OUT"].send(raw)
                v.rpc_out += len(raw)
                return


class Again:
    """exactly() of a leg whose first PDU was read already."""

    def __init__(self, raw, leg):
        self.raw, self.leg = raw, leg

    def __call__(self, n):
        data, self.raw = self.raw[:n], self.raw[n:]
        return data
