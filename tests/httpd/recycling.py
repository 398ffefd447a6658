# SPDX-License-Identifier: Apache-2.0
"""A client that recycles its channels, step by step or all at once.

MS-RPCH 3.2.2: IN and OUT, by whichever form (IN_R1, IN_R2, OUT_R1, OUT_R2)
the other side answers with. Each PDU is checked strictly; what a channel is
replaced by may be sent to another proxy.
"""

import os

import rawclient
import rts


class Unexpected(AssertionError):
    """A PDU that this state of the client does not allow."""


class Recycler(rawclient.RawClient):
    """One virtual connection whose channels can be replaced."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.counts = {"IN_R1": 0, "IN_R2": 0, "OUT_R1": 0, "OUT_R2": 0}
        self.in_next = self.out_next = None      # channels
        self.in_succ = self.out_succ = None      # their cookies
        self.wanted_out = False                  # OUT_R1/A2 came
        self.seen = []                           # recycling PDUs of C-OUT
        self.old = []                            # channels to be closed
        self.due = False                         # an answer is outstanding

    def _control(self, pdu):
        if pdu.name in ("OUT_R1/A2", "IN_R1/A4", "IN_R2/A4", "OUT_R1/A6",
                        "OUT_R2/A6", "OUT_R1/A9", "OUT_R2/B3"):
            if pdu.destination not in (None, rts.FD_CLIENT):
                raise Unexpected(f"{pdu.name} for {pdu.destination}")
            self.wanted_out = self.wanted_out or pdu.name == "OUT_R1/A2"
            self.seen.append(pdu)
            return
        if pdu.name == "FlowControlAckWithDestination":
            # One for a predecessor says nothing about the successor.
            cookie = pdu.get("FlowControlAck")[2]
            if cookie in self.old_in_cookies:
                return
        super()._control(pdu)

    old_in_cookies = ()

    def until(self, *names):
        """Reads C-OUT until one of these recycling PDUs came; takes it."""
        while True:
            for pdu in self.seen:
                if pdu.name in names:
                    self.seen.remove(pdu)
                    return pdu
            self.queue_one()

    # IN.

    def in_a1(self, address=None, vc=None, pred=None, succ=None, auth=None,
              target=None, length=None):
        """A successor IN request with IN_R1/A1; returns its channel."""
        channel = rawclient.Channel(address or self.address, self.tls,
                                    timeout=self.timeout)
        channel.request("RPC_IN_DATA", target or self.target,
                        length or self.IN_LENGTH, self.headers,
                        auth or self.auth, path=self.path)
        channel.send(rts.make("IN_R1/A1", 1, vc or self.vc,
                              pred or self.in_cookie,
                              succ or os.urandom(16)))
        return channel

    def start_in_successor(self, address=None, length=None):
        self.in_succ = os.urandom(16)
        self.in_next = self.in_a1(address, succ=self.in_succ, length=length)

    def finish_in_successor(self, cookie=None):
        """Waits for A4, switches, and returns the form that it was."""
        a4 = self.until("IN_R1/A4", "IN_R2/A4")
        form = a4.name.split("/")[0]
        self.cin.send(rts.make("IN_R1/A5", cookie or self.in_succ))
        self.old.append(self.cin)
        self.old_in_cookies += (self.in_cookie,)
        self.cin, self.in_next = self.in_next, None
        self.in_cookie = self.in_succ
        if form == "IN_R1":
            self.in_window = a4.get("ReceiveWindowSize")
        self.in_room, self.in_sent = self.in_window, 0
        self.counts[form] += 1
        return form

    def recycle_in(self, address=None):
        self.start_in_successor(address)
        return self.finish_in_successor()

    # OUT.

    def out_a3(self, address=None, vc=None, pred=None, succ=None, auth=None,
               target=None, length=120):
        """A successor OUT request with OUT_R1/A3; returns its channel."""
        channel = rawclient.Channel(address or self.address, self.tls,
                                    timeout=self.timeout)
        channel.request("RPC_OUT_DATA", target or self.target, length,
                        self.headers, auth or self.auth, path=self.path)
        channel.send(rts.make("OUT_R1/A3", 1, vc or self.vc,
                              pred or self.out_cookie,
                              succ or os.urandom(16), self.window))
        return channel

    def start_out_successor(self, address=None):
        self.out_succ = os.urandom(16)
        self.out_next = self.out_a3(address, succ=self.out_succ)

    def finish_out_successor(self, cookie=None, early_c1=True):
        """Waits for A6, switches, and returns the form that it was. early_c1
        False: OUT_R2/C1 only after B3."""
        a6 = self.until("OUT_R1/A6", "OUT_R2/A6")
        form = a6.name.split("/")[0]
        cookie = cookie or self.out_succ
        c1 = rts.make("OUT_R2/C1")
        if form == "OUT_R1":
            self.cin.send(rts.make("OUT_R1/A7", rts.FD_SERVER, cookie))
            self.until("OUT_R1/A9")
            self.out_next.send(rts.make("OUT_R1/A9"))
        else:
            self.cin.send(rts.make("OUT_R2/A7", rts.FD_SERVER, cookie, 1))
            if early_c1:
                self.out_next.send(c1)
            self.until("OUT_R2/B3")
            if not early_c1:
                self.out_next.send(c1)
        self.switch_out()
        self.counts[form] += 1
        return form

    def switch_out(self):
        """The successor is C-OUT from now on."""
        self.old.append(self.cout)
        self.cout, self.out_next = self.out_next, None
        self.read_200()
        self.out_cookie = self.out_succ
        self.received, self.largest = 0, 0
        # What is read and not consumed was credited with the old channel.
        self.room = self.advertised = self.window
        self.uncredited = sum(len(raw) for raw in self.queue)
        self.wanted_out = False

    uncredited = 0

    def recv_rpc(self):
        while not self.queue:
            self.queue_one()
        if not self.uncredited:
            return super().recv_rpc()
        raw = self.queue.popleft()
        self.uncredited -= len(raw)
        return raw

    def recycle_out(self, address=None):
        """Once the server has asked for it."""
        self.until("OUT_R1/A2")
        self.start_out_successor(address)
        return self.finish_out_successor()

    def close(self):
        super().close()
        for channel in self.old + [self.in_next, self.out_next]:
            if channel:
                channel.close()
