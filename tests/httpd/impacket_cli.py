# SPDX-License-Identifier: Apache-2.0
"""Makes RPC calls with impacket and prints the answers as JSON.

A program of its own: at the end of a connection impacket reads for ever, so
that somebody must be able to end it.

    impacket_cli.py '{"host": ..., "port": ..., "url": ..., "calls": [...],
                      "user": ..., "password": ..., "domain": ...}'

Without url it goes to host:port by ncacn_ip_tcp.
"""

import json
import socket
import sys

from impacket.dcerpc.v5 import epm, mgmt, samr, transport
from impacket.dcerpc.v5.dtypes import DWORD, NULL
from impacket.dcerpc.v5.ndr import NDRCALL, NDRUniConformantArray
from impacket.dcerpc.v5.rpcrt import RPC_C_AUTHN_LEVEL_PKT_PRIVACY
from impacket.http import AUTH_BASIC, AUTH_NTLM
from impacket.uuid import bin_to_string, uuidtup_to_bin

RPCECHO = uuidtup_to_bin(("60a15ec5-4de8-11d7-a637-005056a20182", "1.0"))


class Bytes(NDRUniConformantArray):
    item = "c"


class AddOne(NDRCALL):
    opnum = 0
    structure = (("in_data", DWORD),)


class AddOneResponse(NDRCALL):
    structure = (("out_data", DWORD),)


class EchoData(NDRCALL):
    opnum = 1
    structure = (("len", DWORD), ("in_data", Bytes))


class EchoDataResponse(NDRCALL):
    structure = (("out_data", Bytes),)


class SinkData(NDRCALL):
    opnum = 2
    structure = (("len", DWORD), ("data", Bytes))


class SinkDataResponse(NDRCALL):
    structure = ()


class SourceData(NDRCALL):
    opnum = 3
    structure = (("len", DWORD),)


class SourceDataResponse(NDRCALL):
    structure = (("data", Bytes),)


def connect(spec):
    """A DCERPC object for spec, connected."""
    if spec.get("url"):
        binding = f"ncacn_http:{spec['host']}[{spec['port']}]"
    else:
        binding = f"ncacn_ip_tcp:{spec['host']}[{spec['port']}]"
    rpc = transport.DCERPCTransportFactory(binding)
    if spec.get("url"):
        # Before set_credentials: it decides whose credentials they are.
        rpc.set_rpc_proxy_url(spec["url"])
        rpc.set_auth_type(AUTH_NTLM if spec.get("auth") == "ntlm"
                          else AUTH_BASIC)
    rpc.set_credentials(spec.get("user", ""), spec.get("password", ""),
                        spec.get("domain", ""))
    dce = rpc.get_dce_rpc()
    if spec.get("seal"):
        dce.set_credentials(spec["user"], spec["password"], spec["domain"])
        dce.set_auth_level(RPC_C_AUTHN_LEVEL_PKT_PRIVACY)
    if spec.get("fragment"):
        dce.set_max_fragment_size(spec["fragment"])
    dce.connect()
    return dce


def do_epm(dce, _):
    """The endpoint mapper's whole listing. impacket's hept_lookup takes
    Samba's "no more entries" for an error, hence the loop of our own."""
    dce.bind(epm.MSRPC_UUID_PORTMAP)
    found, handle = set(), epm.ept_lookup_handle_t()
    while True:
        request = epm.ept_lookup()
        request["inquiry_type"] = epm.RPC_C_EP_ALL_ELTS
        request["object"] = request["Ifid"] = NULL
        request["vers_option"] = epm.RPC_C_VERS_ALL
        request["entry_handle"] = handle
        request["max_ents"] = 500
        answer = dce.request(request, checkError=False)
        for i in range(answer["num_ents"]):
            entry = answer["entries"][i]
            floors = epm.EPMTower(
                b"".join(entry["tower"]["tower_octet_string"]))["Floors"]
            found.add((str(floors[0]), epm.PrintStringBinding(floors),
                       b"".join(entry["annotation"]).rstrip(b"\0").decode()))
        handle = answer["entry_handle"]
        if answer["num_ents"] == 0 or handle.isNull():
            return sorted(found)


def do_mgmt(dce, _):
    """The interfaces of the server."""
    dce.bind(mgmt.MSRPC_UUID_MGMT)
    ids = mgmt.hinq_if_ids(dce)["if_id_vector"]
    return sorted(bin_to_string(ids["if_id"][i]["Data"]["Uuid"]).lower()
                  for i in range(ids["count"]))


def do_samr(dce, spec):
    """The users of the domain, through sealed calls when seal is set."""
    dce.bind(samr.MSRPC_UUID_SAMR)
    server = samr.hSamrConnect(dce)["ServerHandle"]
    domains = [e["Name"] for e in samr.hSamrEnumerateDomainsInSamServer(
        dce, server)["Buffer"]["Buffer"]]
    sid = samr.hSamrLookupDomainInSamServer(
        dce, server, spec["domain"])["DomainId"]
    domain = samr.hSamrOpenDomain(dce, server, domainId=sid)["DomainHandle"]
    users = samr.hSamrEnumerateUsersInDomain(dce, domain)["Buffer"]["Buffer"]
    return {"domains": sorted(domains), "sid": sid.formatCanonical(),
            "users": sorted([u["Name"], u["RelativeId"]] for u in users)}


def call(dce, cls, **fields):
    """A call of rpcecho. The last four bytes of its answers are no error
    code."""
    request = cls()
    for name, value in fields.items():
        request[name] = value
    return dce.request(request, checkError=False)


def do_echo(dce, spec):
    """rpcecho: AddOne, and the other three with spec's size."""
    dce.bind(RPCECHO)
    size = spec.get("size", 60000)
    data = bytes((i * 7) & 0xFF for i in range(size))

    def joined(value):
        return b"".join(value)
    one = call(dce, AddOne, in_data=41)["out_data"]
    echoed = joined(call(dce, EchoData, len=size, in_data=data)["out_data"])
    call(dce, SinkData, len=size, data=data)
    sourced = joined(call(dce, SourceData, len=size)["data"])
    return {"one": one, "echo": echoed == data, "source": len(sourced)}


def do_idle(dce, _):
    """A call, silence until the end of standard input, another call."""
    dce.bind(RPCECHO)
    first = call(dce, AddOne, in_data=1)["out_data"]
    print("idle", flush=True)
    sys.stdin.read()
    return [first, call(dce, AddOne, in_data=2)["out_data"]]


CALLS = {"epm": do_epm, "mgmt": do_mgmt, "samr": do_samr, "echo": do_echo,
         "idle": do_idle}


def main():
    spec = json.loads(sys.argv[1])
    socket.setdefaulttimeout(spec.get("timeout", 60))
    answers = {}
    try:
        for name in spec["calls"]:
            dce = connect(spec)
            answers[name] = CALLS[name](dce, spec)
            dce.disconnect()
    except Exception as e:            # whatever impacket raises is an answer
        answers["error"] = f"{type(e).__name__}: {e}"
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
