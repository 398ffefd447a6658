# SPDX-License-Identifier: Apache-2.0
"""RTS PDUs (MS-RPCH 2.2.3, 2.2.4), made and read by the letter.

Independent of lib/rpch on purpose: two readings of the specification that
agree are worth more than one. read() accepts nothing but the exact bytes
that the specification allows and says which byte is wrong.
"""

import struct

RTS = 20
HEADER = 20

PING, OTHER_CMD, RECYCLE = 0x01, 0x02, 0x04
IN_CHANNEL, OUT_CHANNEL, EOF, ECHO = 0x08, 0x10, 0x20, 0x40

FD_CLIENT, FD_IN_PROXY, FD_SERVER, FD_OUT_PROXY = range(4)

#: number -> (name, kind of body): "u32", "cookie", "ack", "none" and others
COMMANDS = {
    0x0: ("ReceiveWindowSize", "u32"),
    0x1: ("FlowControlAck", "ack"),
    0x2: ("ConnectionTimeout", "u32"),
    0x3: ("Cookie", "cookie"),
    0x4: ("ChannelLifetime", "u32"),
    0x5: ("ClientKeepalive", "u32"),
    0x6: ("Version", "u32"),
    0x7: ("Empty", "none"),
    0x8: ("Padding", "padding"),
    0x9: ("NegativeANCE", "none"),
    0xA: ("ANCE", "none"),
    0xB: ("ClientAddress", "address"),
    0xC: ("AssociationGroupId", "cookie"),
    0xD: ("Destination", "u32"),
    0xE: ("PingTrafficSentNotify", "u32"),
}
NUMBER = {name: n for n, (name, _) in COMMANDS.items()}

#: name -> allowed values of a u32 command
RANGES = {
    "ReceiveWindowSize": (0x2000, 0x40000),
    "ConnectionTimeout": (120000, 14400000),
    "ChannelLifetime": (0x20000, 0x80000000),
    "ClientKeepalive": (0, 0xFFFFFFFF),
    "Version": (1, 1),
    "Destination": (0, 3),
    "PingTrafficSentNotify": (1, 8192),
}

#: name -> (flags, commands in order); what no state makes ambiguous
PDUS = {
    "CONN/A1": (0, "Version Cookie Cookie ReceiveWindowSize"),
    "CONN/A2": (OUT_CHANNEL,
                "Version Cookie Cookie ChannelLifetime ReceiveWindowSize"),
    "CONN/A3": (0, "ConnectionTimeout"),
    "CONN/B1": (0, "Version Cookie Cookie ChannelLifetime ClientKeepalive "
                   "AssociationGroupId"),
    "CONN/B2": (IN_CHANNEL,
                "Version Cookie Cookie ReceiveWindowSize ConnectionTimeout "
                "AssociationGroupId ClientAddress"),
    "CONN/B3": (0, "ReceiveWindowSize Version"),
    "CONN/C1": (0, "Version ReceiveWindowSize ConnectionTimeout"),
    # One name for all that have the same bytes: IN_R1/A5 is also IN_R1/A6,
    # IN_R2/A2, IN_R2/A5 and OUT_R2/A4; OUT_R1/A9 is also A10, A11 and
    # OUT_R2/B1.
    "IN_R1/A1": (RECYCLE, "Version Cookie Cookie Cookie"),
    "IN_R1/A2": (RECYCLE | IN_CHANNEL,
                 "Version Cookie Cookie Cookie ReceiveWindowSize "
                 "ConnectionTimeout"),
    "IN_R1/A4": (0, "Destination Version ReceiveWindowSize "
                    "ConnectionTimeout"),
    "IN_R1/A5": (0, "Cookie"),
    "IN_R1/B1": (0, "Empty"),
    "IN_R1/B2": (0, "ReceiveWindowSize"),
    "IN_R2/A4": (0, "Destination"),
    "OUT_R1/A2": (RECYCLE, "Destination"),
    "OUT_R1/A3": (RECYCLE,
                  "Version Cookie Cookie Cookie ReceiveWindowSize"),
    "OUT_R1/A4": (RECYCLE | OUT_CHANNEL,
                  "Version Cookie Cookie Cookie ChannelLifetime "
                  "ReceiveWindowSize ConnectionTimeout"),
    "OUT_R1/A6": (OUT_CHANNEL, "Destination Version ConnectionTimeout"),
    "OUT_R1/A7": (OUT_CHANNEL, "Destination Cookie"),
    "OUT_R1/A9": (0, "ANCE"),
    "OUT_R2/A6": (0, "Destination ANCE"),
    "OUT_R2/A7": (OUT_CHANNEL, "Destination Cookie Version"),
    "OUT_R2/B2": (0, "NegativeANCE"),
    "OUT_R2/B3": (EOF, "ANCE"),
    "OUT_R2/C1": (PING, "Empty"),
    "Ping": (PING, ""),
    "Echo": (ECHO, ""),
    "Keep-Alive": (OTHER_CMD, "ClientKeepalive"),
    "PingTrafficSentNotify": (OTHER_CMD, "PingTrafficSentNotify"),
    "FlowControlAck": (OTHER_CMD, "FlowControlAck"),
    "FlowControlAckWithDestination": (OTHER_CMD,
                                      "Destination FlowControlAck"),
}
BY_SHAPE = {(flags, tuple(names.split())): pdu
            for pdu, (flags, names) in PDUS.items()}

ECHO_BYTES = bytes.fromhex("0500140310000000140000000000000040000000")
LEGACY = b"ncacn_http/1.0"


class BadPdu(Exception):
    """The bytes are not what MS-RPCH allows; the text says where."""


class Pdu:
    """A named RTS PDU with its commands in order: [(name, value)]."""

    def __init__(self, name, commands, raw):
        self.name, self.commands, self.raw = name, commands, raw

    def all(self, command):
        return [v for n, v in self.commands if n == command]

    def get(self, command):
        return self.all(command)[0]

    @property
    def destination(self):
        """Where it is to go, or None when it is for its receiver."""
        found = self.all("Destination")
        return found[0] if found else None

    def __repr__(self):
        return f"<{self.name} {len(self.raw)}>"


def header(ptype, length, flags=0x03, call_id=0, auth=0):
    """The common header of a PDU, little-endian."""
    return struct.pack("<BBBB4sHHI", 5, 0, ptype, flags,
                       b"\x10\0\0\0", length, auth, call_id)


def _body(name, value):
    kind = COMMANDS[NUMBER[name]][1]
    if kind == "u32":
        return struct.pack("<I", value)
    if kind == "cookie":
        assert len(value) == 16
        return value
    if kind == "ack":
        received, window, cookie = value
        return struct.pack("<II", received, window) + cookie
    if kind == "padding":
        return struct.pack("<I", len(value)) + value
    if kind == "address":
        return value
    return b""


def make(name, *values):
    """The bytes of the named PDU; values in the order of those commands that
    have one."""
    flags, commands = PDUS[name]
    left = list(values)
    commands = [(c, left.pop(0) if COMMANDS[NUMBER[c]][1] != "none" else None)
                for c in commands.split()]
    assert not left, left
    return make_raw(flags, commands)


def make_raw(flags, commands):
    """The bytes of any PDU: commands is [(name, value)]."""
    body = b"".join(struct.pack("<I", NUMBER[n]) + _body(n, v)
                    for n, v in commands)
    return (header(RTS, HEADER + len(body))
            + struct.pack("<HH", flags, len(commands)) + body)


def frag_length(head):
    """Length of the PDU whose first 10 bytes are head."""
    order = "<" if head[4] & 0xF0 else ">"
    return struct.unpack_from(order + "H", head, 8)[0]


def _read_command(raw, at):
    number = struct.unpack_from("<I", raw, at)[0]
    if number not in COMMANDS:
        raise BadPdu(f"command {number:#x} at {at}")
    name, kind = COMMANDS[number]
    at += 4
    if kind == "u32":
        return name, struct.unpack_from("<I", raw, at)[0], at + 4
    if kind == "cookie":
        return name, _take(raw, at, 16), at + 16
    if kind == "ack":
        received, window = struct.unpack_from("<II", raw, at)
        return name, (received, window, _take(raw, at + 8, 16)), at + 24
    if kind == "padding":
        n = struct.unpack_from("<I", raw, at)[0]
        return name, _take(raw, at + 4, n), at + 4 + n
    if kind == "address":
        family = struct.unpack_from("<I", raw, at)[0]
        if family not in (0, 1):
            raise BadPdu(f"ClientAddress type {family}")
        n = 20 if family == 0 else 32
        return name, _take(raw, at, n), at + n
    return name, None, at


def _take(raw, at, n):
    if at + n > len(raw):
        raise BadPdu(f"{n} bytes at {at} run over the end at {len(raw)}")
    return raw[at:at + n]


def check_header(raw):
    """Raises BadPdu unless the first 20 bytes are an RTS header."""
    want = [("rpc_vers", 0, 5), ("rpc_vers_minor", 1, 0), ("PTYPE", 2, RTS),
            ("pfc_flags", 3, 3), ("drep[0]", 4, 0x10), ("drep[1]", 5, 0),
            ("drep[2]", 6, 0), ("drep[3]", 7, 0)]
    for name, at, value in want:
        if raw[at] != value:
            raise BadPdu(f"{name} is {raw[at]:#x}, not {value:#x}")
    length, auth, call = struct.unpack_from("<HHI", raw, 8)
    if length != len(raw):
        raise BadPdu(f"frag_length {length} of {len(raw)} bytes")
    if auth or call:
        raise BadPdu(f"auth_length {auth}, call_id {call}")


def read(raw):
    """Reads one RTS PDU strictly; every value within its range."""
    raw = bytes(raw)
    if len(raw) < HEADER:
        raise BadPdu(f"RTS PDU of {len(raw)} bytes")
    check_header(raw)
    flags, n = struct.unpack_from("<HH", raw, 16)
    at, commands = HEADER, []
    try:
        for _ in range(n):
            name, value, at = _read_command(raw, at)
            low, high = RANGES.get(name, (None, None))
            if low is not None and not low <= value <= high:
                raise BadPdu(f"{name} {value} outside {low}..{high}")
            commands.append((name, value))
    except struct.error as e:
        raise BadPdu(f"command at {at} runs over the end") from e
    if at != len(raw):
        raise BadPdu(f"{len(raw) - at} bytes after the last command")
    shape = (flags, tuple(name for name, _ in commands))
    if shape not in BY_SHAPE:
        raise BadPdu(f"no PDU has flags {flags:#x} and {shape[1]}")
    return Pdu(BY_SHAPE[shape], commands, raw)
