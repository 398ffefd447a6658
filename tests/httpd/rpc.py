# SPDX-License-Identifier: Apache-2.0
"""DCE/RPC PDUs by hand (C706 chapter 12): what raw clients need."""

import struct
import uuid

import rts

REQUEST, RESPONSE, FAULT, BIND, BIND_ACK = 0, 2, 3, 11, 12

NDR = (uuid.UUID("8a885d04-1ceb-11c9-9fe8-08002b104860"), 2)
RPCECHO = (uuid.UUID("60a15ec5-4de8-11d7-a637-005056a20182"), 1)
MGMT = (uuid.UUID("afa8bd80-7d8a-11c9-bef4-08002b102989"), 1)

ADD_ONE, ECHO_DATA, SINK_DATA, SOURCE_DATA = range(4)

FRAGMENT = 4280


def _syntax(interface):
    return interface[0].bytes_le + struct.pack("<I", interface[1])


def bind(interface, call_id=1, fragment=FRAGMENT):
    """A bind without authentication, one context, NDR."""
    body = struct.pack("<HHIB3xHBx", fragment, fragment, 0, 1, 0, 1)
    body += _syntax(interface) + _syntax(NDR)
    return rts.header(BIND, 16 + len(body), call_id=call_id) + body


def request(opnum, stub, call_id=2, fragment=FRAGMENT):
    """A call as a list of its request PDUs."""
    room = (fragment - 24) & ~7
    parts = [stub[i:i + room] for i in range(0, len(stub), room)] or [b""]
    left, out = len(stub), []
    for i, part in enumerate(parts):
        flags = (0x01 if i == 0 else 0) | (0x02 if i == len(parts) - 1 else 0)
        head = rts.header(REQUEST, 24 + len(part), flags, call_id)
        out.append(head + struct.pack("<IHH", left, 0, opnum) + part)
        left -= len(part)
    return out


class Fault(Exception):
    """The server answered with a fault PDU."""

    def __init__(self, status):
        super().__init__(f"fault {status:#010x}")
        self.status = status


def ptype(pdu):
    return pdu[2]


def check_bind_ack(pdu):
    """Raises unless pdu is a bind_ack that accepts the only context."""
    if ptype(pdu) != BIND_ACK:
        raise AssertionError(f"PTYPE {ptype(pdu)} in answer to a bind")
    n = struct.unpack_from("<H", pdu, 24)[0]
    at = (26 + n + 3) & ~3
    result = struct.unpack_from("<H", pdu, at + 4)[0]
    if result:
        raise AssertionError(f"bind refused, result {result}")


def stub_of(pdu):
    """The stub data of a response PDU without authentication."""
    if ptype(pdu) == FAULT:
        raise Fault(struct.unpack_from("<I", pdu, 24)[0])
    if ptype(pdu) != RESPONSE:
        raise AssertionError(f"PTYPE {ptype(pdu)} in answer to a request")
    return pdu[24:]


class Calls:
    """RPC calls over anything that has send_rpc(bytes) and recv_rpc()."""

    def __init__(self, pipe):
        self.pipe, self.call_id = pipe, 1

    def bind(self, interface=RPCECHO, fragment=FRAGMENT):
        self.pipe.send_rpc(bind(interface, self.call_id, fragment))
        check_bind_ack(self.pipe.recv_rpc())
        self.fragment = fragment
        return self

    def call(self, opnum, stub):
        """The answer's whole stub."""
        self.call_id += 1
        for pdu in request(opnum, stub, self.call_id, self.fragment):
            self.pipe.send_rpc(pdu)
        return self.answer()

    def answer(self):
        parts = []
        while True:
            pdu = self.pipe.recv_rpc()
            parts.append(stub_of(pdu))
            if pdu[3] & 0x02:
                return b"".join(parts)

    def add_one(self, n):
        return struct.unpack("<I", self.call(ADD_ONE, struct.pack("<I", n)))[0]

    def echo(self, data):
        stub = struct.pack("<II", len(data), len(data)) + data
        answer = self.call(ECHO_DATA, stub)
        n = struct.unpack_from("<I", answer)[0]
        return answer[4:4 + n]

    def sink(self, data):
        self.call(SINK_DATA, struct.pack("<II", len(data), len(data)) + data)

    def source(self, n):
        answer = self.call(SOURCE_DATA, struct.pack("<I", n))
        got = struct.unpack_from("<I", answer)[0]
        return answer[4:4 + got]

    def inq_if_ids(self):
        """The interfaces of mgmt's rpc__mgmt_inq_if_ids, as a sorted list."""
        answer = self.call(0, b"")
        if struct.unpack_from("<I", answer)[0] == 0:
            return []
        count, n = struct.unpack_from("<II", answer, 4)
        at, found = 12 + 4 * n, []
        for _ in range(count):
            found.append((str(uuid.UUID(bytes_le=answer[at:at + 16])),
                          *struct.unpack_from("<HH", answer, at + 16)))
            at += 20
        return sorted(found)


class TcpPipe:
    """ncacn_ip_tcp: the reference that answers through the proxy are
    compared with."""

    def __init__(self, sock):
        self.sock = sock

    def send_rpc(self, pdu):
        self.sock.sendall(pdu)

    def recv_rpc(self):
        return read_pdu(self._exactly)

    def _exactly(self, n):
        data = bytearray()
        while len(data) < n:
            part = self.sock.recv(n - len(data))
            if not part:
                raise EOFError(f"end after {len(data)} of {n} bytes")
            data += part
        return bytes(data)

    def close(self):
        self.sock.close()


def read_pdu(exactly):
    """One PDU from exactly(n), which returns n bytes or raises EOFError."""
    head = exactly(16)
    length = rts.frag_length(head)
    if length < 16:
        raise rts.BadPdu(f"frag_length {length}")
    return head + exactly(length - 16)
