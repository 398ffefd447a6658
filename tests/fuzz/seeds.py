#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the inputs that the fuzzers start from: seeds.py FOLDER [TARGET...].

FOLDER/TARGET gets one file for each seed: every PDU of tests/vectors/rts.txt,
the streams of tests/vectors/captures, and texts as administrators and clients
write them. The programs for the role machines are in machines.py.
"""

import os
import sys

import machines

HERE = os.path.dirname(os.path.abspath(__file__))
VECTORS = os.path.join(HERE, "../vectors")
STREAM_MAX = 6000

URLS = ("mail.example.com:6001", "[2001:db8::1]:593", "2001:db8::1:593",
        "192.0.2.1:65535", "0f1e@example.com:6004", "localhost:3388",
        "a:1", ":593", "host:0", "host:000593", "host:65536", "[]:1", "[x]:1",
        "a b:1", "a:b:1", "n" * 1023 + ":1", "n" * 1024 + ":1")

PORTS = ("mail:593;mail:6001-6004", "mail:100-5000;*:593",
         " dc.example.com:49152-65535 ; *@example.com:6001 ;",
         "[2001:db8::1]:6001-6002", "Data*:1024-1025;;", "*:1-65535",
         "a:2-1", "a:1-70000", "a*b:1", "2001:db8::1:593", "a", ":1", "a:",
         ";".join(f"host{i}:{i + 1}" for i in range(70)))
NAMES = ("mail", "mail.example.com", "0f1e@example.com", "2001:db8::1",
         "database7", "MAIL")

HEADS = (b"HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\n"
         b"Content-Length: 1073741824\r\n\r\n",
         b"HTTP/1.0 503 RPC Error: 6ba\r\n\r\nbody",
         b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\n"
         b"WWW-Authenticate: Basic realm=\"rpc\"\r\nContent-Length: 0\r\n"
         b"Connection: keep-alive, close\r\n\r\n",
         b"\r\n\nHTTP/1.1 200\nA: b\n  c\n\td\nE:\n f\nG : h\n\n",
         b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, chunked\r\n"
         b"Content-Length: 5, 5\r\n\r\n"
         b"5;a=b\r\nhello\r\n00A  \r\n0123456789\r\n0\r\nX: y\r\n\r\n",
         b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: gzip\r\n\r\n",
         b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n")
CHUNKS = (b"0\r\n\r\nrest", b"4000000000000000\r\nabc", b"1\r\nab",
          b"3;x\r\nabc\r\n0\r\nA: b\r\nC: d\r\n\r\n",
          b"1f4\r\n" + b"x" * 500 + b"\r\n0\r\n\r\n")


def vectors():
    """(name, bytes) of each PDU of the vectors."""
    found = []
    with open(os.path.join(VECTORS, "rts.txt"), encoding="ascii") as f:
        for line in f:
            line = line.split("#")[0].strip()
            if line.startswith(":"):
                found.append((line.split()[1], bytearray()))
            elif line:
                found[-1][1].extend(bytes.fromhex(line))
    return [(name, bytes(pdu)) for name, pdu in found]


def captures():
    """(name, bytes) of each recorded stream, cut to a bearable length."""
    folder = os.path.join(VECTORS, "captures")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".bin"):
            with open(os.path.join(folder, name), "rb") as f:
                yield name[:-len(".bin")], f.read(STREAM_MAX)


def pdus(stream):
    """The whole PDUs of a stream."""
    while len(stream) >= 16:
        n = int.from_bytes(stream[8:10], "little")
        if n < 16 or n > len(stream):
            break
        yield stream[:n]
        stream = stream[n:]


def message(kind, fields):
    return b"RPX\1" + bytes((kind, 0, 0, 0)) + fields


def messages():
    """One of each message of the first version; libFuzzer finds the rest."""
    cookie, number = bytes(range(0xa0, 0xb0)), bytes(range(8))
    pdu = vectors()[2][1]
    yield message(1, number + b"\1\2\3\4")
    yield message(2, cookie + bytes(16) + number)
    yield message(3, b"")
    yield message(4, len(pdu).to_bytes(2, "little") + pdu)
    yield message(5, b"\x38\xff\xff\xff\3\0why")
    yield message(6, cookie + number)
    yield message(7, b"\x38\xff\xff\xff\3\0why")
    yield message(8, number + b"\1\2\3\4\0" + cookie * 4 + number * 3)
    for i, leg in enumerate(legs()):
        yield leg
        body = le(2, len(leg)) + leg
        yield message(11, body) if i == 2 else message(10, le(4, 0) + body)
    yield message(13, le(2, 3) + b"abc")


def le(size, *values):
    """Those little-endian integers."""
    return b"".join(v.to_bytes(size, "little") for v in values)


def legs():
    """What MOVE and ROLE carry: an IN leg, an OUT leg, a joined role."""
    cookies = b"".join(bytes((0x90 + 16 * i,)) * 16 for i in range(5))
    yield (b"\1\0" + cookies[:64] + le(4, 65536, 65536) + le(8, 0) + b"\0"
           + le(4, 300000) + le(2, 0, 0))
    yield (b"\1\1" + cookies[:48] + le(8, 65536, 65536, 65536)
           + le(4, 0, 0) + b"\0" + le(4, 1 << 30, 0) + le(2, 0, 0))
    yield (b"\1\3\0\0" + cookies + cookies[:16] + bytes(17) + b"\1\1"
           + le(4, 65536, 120000, 1 << 30, 0) + le(8, 5000)
           + b"\xff" * 16 + le(8, 0) + le(4, 0, 0) + le(2, 0, 28)
           + vectors()[2][1])


def seeds(target):
    """The seeds of one target."""
    if target == "pdu":
        for _, pdu in vectors():
            yield b"\0\3" + pdu + pdu
        for _, stream in captures():
            yield b"\0\2" + stream
            yield b"\1\3ncacn_http/1.0" + stream
    elif target == "observer":
        for _, pdu in vectors():
            yield b"\0" + pdu
        for _, stream in captures():
            yield b"\3" + stream
    elif target == "head":
        for i, head in enumerate(HEADS):
            yield bytes((2 * (i % 2), i)) + head
        for i, chunks in enumerate(CHUNKS):
            yield bytes((1, i)) + chunks
    elif target == "rts":
        for i, (_, pdu) in enumerate(vectors()):
            yield b"\0" + pdu
            yield b"\2" + bytes((i % 50, i & 1, i % 4)) + bytes(range(60))
        for command in range(16):
            yield b"\1\0" + bytes((command,)) + bytes(24)
    elif target == "bind":
        for _, stream in captures():
            yield from (p for p in pdus(stream) if p[2] in (11, 14))
    elif target == "eeinfo":
        yield b"\1\1\4name" + bytes(range(19)) + b"\4\0\3abc\1" + bytes(4)
        yield b"\0" + bytes.fromhex("01100800cccccccc" + "00" * 8 + "01")
        yield b"\2AQIDBA=="
    elif target == "url":
        for url in URLS:
            yield url.encode()
    elif target == "ports":
        for i, ports in enumerate(PORTS):
            name = NAMES[i % len(NAMES)]
            yield b"\x51\x02" + ports.encode() + b"\0" + name.encode()
    elif target == "msg":
        yield from messages()
    else:
        yield from machines.seeds(target, dict(captures()))


def main():
    folder, targets = sys.argv[1], sys.argv[2:]
    if not targets:
        targets = [f[len("fuzz_"):-len(".c")] for f in os.listdir(HERE)
                   if f.startswith("fuzz_") and f.endswith(".c")]
    for target in targets:
        os.makedirs(os.path.join(folder, target), exist_ok=True)
        n = -1
        for n, seed in enumerate(seeds(target)):
            with open(os.path.join(folder, target, f"seed-{n:03}"), "wb") as f:
                f.write(seed)
        print(f"{target}: {n + 1} seeds")


main()
