# SPDX-License-Identifier: Apache-2.0
"""Makes RPC calls with Samba's Python bindings, prints the answers as JSON.

    samba_cli.py CONF BINDING DOMAIN USER PASSWORD REPEAT CALL...

REPEAT above 1 makes so many calls on one connection after the others.
"""

import json
import sys

from samba import credentials, param
from samba.dcerpc import mgmt, samr
from samba.dcerpc.lsa import String


def do_samr(binding, lp, creds):
    """The users of the domain."""
    pipe = samr.samr(binding, lp, creds)
    server = pipe.Connect2(None, 0x02000000)
    _, names, _ = pipe.EnumDomains(server, 0, 100000)
    wanted = String()
    wanted.string = creds.get_domain()
    sid = pipe.LookupDomain(server, wanted)
    domain = pipe.OpenDomain(server, 0x02000000, sid)
    _, users, _ = pipe.EnumDomainUsers(domain, 0, 0, 1000000)
    return {"domains": sorted(e.name.string for e in names.entries),
            "sid": str(sid),
            "users": sorted([u.name.string, u.idx] for u in users.entries)}


def do_mgmt(binding, lp, creds):
    """The interfaces of the server."""
    ids = mgmt.mgmt(binding, lp, creds).inq_if_ids()
    return sorted(str(i.id.uuid) for i in ids.if_id)


def do_idle(binding, lp, creds):
    """A call, silence until the end of standard input, another call."""
    pipe = mgmt.mgmt(binding, lp, creds)
    first = pipe.inq_if_ids().count
    print("idle", flush=True)
    sys.stdin.read()
    return [first, pipe.inq_if_ids().count]


def repeat(binding, lp, creds, times):
    """Makes one call with a long answer many times on one connection."""
    pipe = samr.samr(binding, lp, creds)
    server = pipe.Connect2(None, 0x02000000)
    wanted = String()
    wanted.string = creds.get_domain()
    domain = pipe.OpenDomain(server, 0x02000000,
                             pipe.LookupDomain(server, wanted))
    for _ in range(times):
        pipe.QueryDisplayInfo(domain, 1, 0, 100, 65536)
    return times


CALLS = {"samr": do_samr, "mgmt": do_mgmt, "idle": do_idle}


def main():
    conf, binding, domain, user, password = sys.argv[1:6]
    lp = param.LoadParm()
    lp.load(conf)
    creds = credentials.Credentials()
    creds.guess(lp)
    creds.set_domain(domain)
    creds.set_username(user)
    creds.set_password(password)
    if "negotiate" in binding:
        creds.set_realm(lp.get("realm"))
        creds.set_kerberos_state(credentials.AUTO_USE_KERBEROS)
    else:
        creds.set_kerberos_state(credentials.DONT_USE_KERBEROS)
    answers = {}
    try:
        for name in sys.argv[7:]:
            answers[name] = CALLS[name](binding, lp, creds)
        if int(sys.argv[6]) > 1:
            answers["repeated"] = repeat(binding, lp, creds,
                                         int(sys.argv[6]))
    except Exception as e:
        answers["error"] = f"{type(e).__name__}: {e}"
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
