# SPDX-License-Identifier: Apache-2.0
"""Programs for the fuzz targets of the role machines: the ordinary life of a
connection, with each form of recycling, and what clients have really sent.

A program is a list of operations (see fuzz_machine.h and the enum of each
target): Program.add writes one, Program.rts one that takes an RTS PDU.
"""

import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
JOINED, QUIET, LOG = 0x01, 0x02, 0x80
TINY = 0x24      # limits: a lifetime of 2048 bytes, a reserve of 512
LIFETIME = 1     # numbers of a PDU's fields
SECOND = 0x80    # an operation on the second machine or slot


def enum(path, last, prefix):
    """The members of the C enum that ends with last, numbered, without their
    prefix."""
    with open(os.path.join(HERE, path), encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    members = re.search(rf"enum[ \w]*{{([\w\s,]*){last}\s*}}", text).group(1)
    return {name[len(prefix):]: i
            for i, name in enumerate(re.findall(r"\w+", members))}


PDUS = enum("../../lib/rpch/rts_table.h", "RPCH_PDU_ID_MAX", "RPCH_")


class Program:
    def __init__(self, target, flags=0, limits=0):
        self.ops = enum(f"fuzz_{target}.c", "OP_MAX", "OP_")
        self.out = bytearray((flags, limits))

    def add(self, op, *operands, at=0):
        """An operation; operands are bytes, or (value,) for 16 bits."""
        self.out.append(self.ops[op] | at)
        for o in operands:
            self.out += (o[0].to_bytes(2, "little") if isinstance(o, tuple)
                         else bytes((o,)))
        return self

    def rts(self, op, name, cookies=None, field=None, dest=0, at=0):
        """An operation that takes an RTS PDU. cookies are the numbers of the
        first, second, third, and of an ack's; field is (number, value)."""
        how = dest << 6 | (cookies is not None) | (field is not None) << 1
        self.add(op, PDUS[name], how, at=at)
        if cookies is not None:
            one, two, three, ack = cookies + (0, 1, 2, 1)[len(cookies):]
            self.out += bytes((one | two << 4, three | ack << 4))
        if field is not None:
            self.out.append(field[0])
            self.out += field[1].to_bytes(4, "little")
        return self

    def raw(self, op, data, at=0):
        self.add(op, (len(data),), at=at)
        self.out += data
        return self


def inbound_open(flags=0, limits=0):
    p = Program("inbound", flags, limits)
    p.rts("CLIENT_RTS", "CONN_B1").add("CLIENT_FEED", 0).add("ADVANCE", 0)
    p.add("FLUSH", 255)
    return p.rts("SERVER_RTS", "CONN_B3").add("SERVER_FEED", 0)


def inbound(captures):
    for flags in (0, JOINED, LOG):
        p = inbound_open(flags)
        p.add("CLIENT_RPC", 0, (200,)).add("CLIENT_FEED", 7)
        p.add("CLIENT_FEED", 0).add("SEND").add("SEND")
        p.rts("SERVER_RTS", "FLOW_CONTROL_ACK").add("SERVER_FEED", 0)
        p.rts("CLIENT_RTS", "KEEP_ALIVE").rts("CLIENT_RTS", "PING")
        yield p.rts("CLIENT_RTS", "FLOW_CONTROL_ACK_DEST", dest=3).add(
            "CLIENT_FEED", 0)
        p = inbound_open(flags)
        p.add("CLIENT_RPC", 0, (300,)).add("CLIENT_FEED", 0)
        p.rts("CLIENT_RTS", "IN_R2_A1", at=SECOND)
        p.add("CLIENT_FEED", 0, at=SECOND).add("ADVANCE", 0, at=SECOND)
        p.rts("CLIENT_RTS", "IN_R2_A5", (2,)).add("CLIENT_FEED", 0)
        p.add("SEND").add("SEND").add("ADVANCE", 0)
        p.add("CLIENT_RPC", 0, (99,), at=SECOND)
        yield p.add("CLIENT_FEED", 0, at=SECOND).add("SEND", at=SECOND)
    p = inbound_open()
    p.rts("CLIENT_RTS", "IN_R1_A1", at=SECOND)
    p.add("CLIENT_FEED", 0, at=SECOND).add("ADVANCE", 1, at=SECOND)
    p.rts("CLIENT_RTS", "IN_R1_A5", (2,)).add("CLIENT_FEED", 0)
    p.add("SEND").add("FLUSH", 255).add("SERVER_CLOSE")
    p.rts("SERVER_RTS", "IN_R1_B2", at=SECOND)
    yield p.add("SERVER_FEED", 0, at=SECOND)
    for name, stream in captures.items():
        if name.endswith("-in"):
            p = Program("inbound").raw("CLIENT_RAW", stream)
            p.add("CLIENT_FEED", 0).add("ADVANCE", 0)
            p.rts("SERVER_RTS", "CONN_B3").add("SERVER_FEED", 0)
            yield p.add("CLIENT_FEED", 0).add("SEND").add("SEND").add("SEND")


def outbound_open(flags=0, limits=0):
    p = Program("outbound", flags, limits)
    p.rts("BODY_RTS", "CONN_A1").add("BODY_FEED", 0).add("ADVANCE", 0)
    p.add("ADVANCE", 0).add("FLUSH_CLIENT", 255)
    return p.rts("SERVER_RTS", "CONN_C1").add("SERVER_FEED", 0)


def outbound(captures):
    for flags in (0, JOINED, QUIET):
        p = outbound_open(flags)
        p.add("SERVER_RPC", 0, (200,)).add("SERVER_FEED", 7)
        p.add("SERVER_FEED", 0).add("SEND").add("SEND")
        p.rts("SERVER_RTS", "FLOW_CONTROL_ACK_DEST", dest=3)
        p.rts("SERVER_RTS", "OUT_R1_A2").add("SERVER_FEED", 0)
        yield p.add("TIME", 4).add("FLUSH_CLIENT", 255).add("TIME", 5)
        p = outbound_open(flags)
        p.add("SERVER_RPC", 0, (300,)).add("SERVER_RPC", 0, (99,))
        p.add("SERVER_FEED", 0).add("SEND")
        p.rts("BODY_RTS", "OUT_R2_A3", at=SECOND)
        p.add("BODY_FEED", 0, at=SECOND).add("ADVANCE", 0, at=SECOND)
        p.rts("SERVER_RTS", "OUT_R2_B1").add("SERVER_FEED", 0)
        p.add("SEND").add("SEND").add("FLUSH_CLIENT", 255).add("ADVANCE", 0)
        p.rts("BODY_RTS", "OUT_R2_C1", at=SECOND)
        p.add("BODY_FEED", 0, at=SECOND).add("ADVANCE", 0, at=SECOND)
        yield p.add("SERVER_FEED", 0, at=SECOND).add("SEND", at=SECOND)
    p = outbound_open()
    p.add("SERVER_RPC", 0, (300,)).rts("BODY_RTS", "OUT_R1_A3", at=SECOND)
    p.add("BODY_FEED", 0, at=SECOND).add("ADVANCE", 1, at=SECOND)
    p.rts("BODY_RTS", "OUT_R1_A11", at=SECOND)
    p.add("BODY_FEED", 0, at=SECOND).add("ADVANCE", 0, at=SECOND)
    p.rts("SERVER_RTS", "OUT_R1_A9").add("SERVER_FEED", 0)
    yield p.add("SEND").add("SEND").add("FLUSH_CLIENT", 255)
    for name, stream in captures.items():
        if name.endswith("-out"):
            yield outbound_open().raw("BODY_RAW", stream).add("BODY_FEED", 0)
        if name.endswith("-response"):
            p = outbound_open().raw("SERVER_RAW", stream[28 + 44:])
            yield p.add("SERVER_FEED", 0).add("SEND").add("SEND")


def server_open(flags=0, limits=0, lifetime=131072):
    p = Program("server", flags, limits).add("ENTER_IN").add("ENTER_OUT")
    p.rts("IN_RTS", "CONN_B2").add("IN_FEED", 0)
    p.rts("OUT_RTS", "CONN_A2", field=(LIFETIME, lifetime))
    return p.add("OUT_FEED", 0)


def server(captures):
    for flags in (0, JOINED):
        p = server_open(flags).add("IN_RPC", 0, (200,)).add("IN_FEED", 7)
        p.add("IN_FEED", 0).add("CONSUME").add("SEND", (500,))
        p.rts("OUT_RTS", "FLOW_CONTROL_ACK").add("OUT_FEED", 0)
        p.rts("OUT_RTS", "PING_TRAFFIC_SENT_NOTIFY").add("OUT_FEED", 0)
        yield p.rts("IN_RTS", "IN_R2_A2", (2,)).add("IN_FEED", 0)
        p = server_open(flags, TINY, 4096).add("SEND", (1900,))
        p.add("SEND", (1900,)).add("SPENT", (3000,)).add("SPENT", (900,))
        p.rts("OUT_RTS", "OUT_R2_A4", (2,)).add("OUT_FEED", 0)
        p.rts("IN_RTS", "OUT_R2_A8", (0, 2)).add("IN_FEED", 0).add("MOVE")
        yield p.add("SEND", (1900,)).add("FORGE", 0)
    p = server_open().add("ENTER_IN").rts("IN_RTS", "IN_R1_A2", at=SECOND)
    p.add("IN_FEED", 0, at=SECOND).rts("IN_RTS", "IN_R1_A6", (2,))
    p.rts("IN_RTS", "IN_R1_B1").add("IN_FEED", 0)
    yield p.add("IN_FEED", 0, at=SECOND).add("OVER")
    p = server_open(0, TINY, 4096).add("SEND", (1900,)).add("SEND", (1900,))
    p.add("ENTER_OUT").rts("OUT_RTS", "OUT_R1_A4", at=SECOND)
    p.add("OUT_FEED", 0, at=SECOND).rts("IN_RTS", "OUT_R1_A8", (2,))
    yield p.add("IN_FEED", 0).add("SEND", (400,)).add("TIME", 6).add("OVER")


def client_open(flags=0, limits=0):
    p = Program("client", flags, limits).add("FLUSH", 255).add("BODY", 255)
    p.add("RESPONSE").rts("RTS", "CONN_A3").rts("RTS", "CONN_C2")
    return p.add("FEED", 0)


def client(captures):
    p = client_open().add("RPC", 0, (200,)).add("FEED", 7).add("FEED", 0)
    p.add("CONSUME").add("SEND", (500,))
    p.rts("RTS", "FLOW_CONTROL_ACK_DEST").rts("RTS", "PING").add("FEED", 0)
    yield p.add("TIME", 4).add("TIME", 5)
    for form in ("IN_R1_A4", "IN_R2_A4"):
        p = client_open(0, TINY).add("SEND", (1500,)).add("SEND", (900,))
        p.add("REQUEST", at=SECOND).add("FLUSH", 255, at=SECOND)
        p.rts("RTS", form).add("FEED", 0).add("OVER").add("SEND", (900,))
        yield p.add("FLUSH", 255, at=SECOND)
    for six, last in (("OUT_R1_A6", "OUT_R1_A10"), ("OUT_R2_A6", "OUT_R2_B3")):
        p = client_open().rts("RTS", "OUT_R1_A2").add("FEED", 0)
        p.add("REQUEST").add("BODY", 255, at=SECOND).rts("RTS", six)
        p.add("RPC", 0, (99,)).add("FEED", 0).add("BODY", 255, at=SECOND)
        p.rts("RTS", last).add("FEED", 0).add("BODY", 255, at=SECOND)
        p.add("RESPONSE", at=SECOND).add("RPC", 0, (99,), at=SECOND)
        yield p.add("FEED", 0, at=SECOND).add("OVER").add("CONSUME")
    for name, stream in captures.items():
        if name.endswith("-response"):
            p = Program("client").add("RESPONSE").raw("RAW", stream)
            yield p.add("FEED", 0).add("CONSUME").add("SEND", (300,))


def mixed(captures):
    for flags in (0, JOINED):
        p = Program("mixed", flags).add("ADVANCE").add("BANNER")
        p.add("SERVER_FEED", 0).add("ADVANCE").add("CLIENT_RPC", 0, (200,))
        p.add("CLIENT_FEED", 9).add("CLIENT_FEED", 0)
        p.add("SERVER_RPC", 2, (200,)).add("SERVER_FEED", 0)
        yield p.add("CLIENT_END").add("TIME", 6).add("SERVER_CLOSE")


def seeds(target, captures):
    """The programs that the fuzzer of that machine starts from."""
    for program in globals()[target](captures):
        yield bytes(program.out)
