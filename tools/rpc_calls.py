#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes RPC calls through an RPC proxy with impacket, a client that knows
nothing of this project.

    rpc_calls.py --proxy https://HOST:PORT/rpc/rpcproxy.dll
                 --user USER --password PASSWORD TARGET...

TARGET is HOST:PORT of an RPC server with the rpcecho and mgmt interfaces, as
the proxy knows it. Exit status 1 when a call fails; with --refused, when the
proxy lets one through.
"""

import argparse
import os
import struct
import sys

try:
    from impacket.dcerpc.v5 import mgmt, transport
    from impacket.dcerpc.v5.rpch import RPCProxyClientException
    from impacket.http import AUTH_BASIC
    from impacket.uuid import uuidtup_to_bin
except ImportError:
    sys.exit("rpc_calls.py: impacket is needed (Debian: python3-impacket)")

RPCECHO = ("60a15ec5-4de8-11d7-a637-005056a20182", "1.0")
ADD_ONE, ECHO_DATA = 0, 1


def connect(args, target):
    """An impacket connection to target by way of the proxy."""
    host, _, port = target.rpartition(":")
    t = transport.DCERPCTransportFactory(f"ncacn_http:{host}[{port}]")
    t.set_rpc_proxy_url(args.proxy)
    t.set_proxy_credentials(args.user, args.password)
    t.set_auth_type(AUTH_BASIC)
    dce = t.get_dce_rpc()
    dce.connect()
    return dce


def add_one(dce, n):
    dce.call(ADD_ONE, struct.pack("<I", n))
    return struct.unpack_from("<I", dce.recv())[0]


def echo_data(dce, data):
    padding = b"\0" * (-len(data) % 4)
    dce.call(ECHO_DATA,
             struct.pack("<II", len(data), len(data)) + data + padding)
    answer = dce.recv()
    count = struct.unpack_from("<I", answer)[0]
    return answer[4:4 + count]


def calls(args, target):
    """Makes the calls and prints a line for each; raises when one fails."""
    dce = connect(args, target)
    dce.bind(uuidtup_to_bin(RPCECHO))
    answer = add_one(dce, 41)
    if answer != 42:
        raise ValueError(f"AddOne(41) = {answer}")
    print(f"  {target}: rpcecho AddOne(41) = {answer}")
    data = os.urandom(args.size)
    if echo_data(dce, data) != data:
        raise ValueError(f"EchoData of {len(data)} bytes came back changed")
    print(f"  {target}: rpcecho EchoData({len(data)} bytes) came back equal")
    dce.disconnect()

    dce = connect(args, target)
    dce.bind(mgmt.MSRPC_UUID_MGMT)
    found = mgmt.hinq_if_ids(dce)["if_id_vector"]["count"]
    print(f"  {target}: mgmt inq_if_ids lists {found} interfaces")
    dce.disconnect()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--proxy", required=True)
    p.add_argument("--user", required=True)
    p.add_argument("--password", required=True)
    p.add_argument("--size", type=int, default=100000,
                   help="bytes that EchoData carries each way")
    p.add_argument("--refused", action="store_true",
                   help="expect the proxy to refuse the targets")
    p.add_argument("target", nargs="+")
    args = p.parse_args()
    for target in args.target:
        try:
            calls(args, target)
        except RPCProxyClientException as e:
            answer = str(e).strip()
            if not args.refused:
                sys.exit(f"  {target}: the proxy answered: {answer}")
            print(f"  {target}: refused: {answer}")
        except Exception as e:
            sys.exit(f"  {target}: {type(e).__name__}: {e}")
        else:
            if args.refused:
                sys.exit(f"  {target}: is not refused")


main()
