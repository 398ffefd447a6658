# SPDX-License-Identifier: Apache-2.0
"""The real RPC servers and the Kerberos KDC of a run.

Samba's ports are fixed, so these run in the run's network namespace on
addresses of their own.
"""

import os
import re
import signal

import env

REALM = "RIG.TEST"

SMB_CONF = """[global]
    netbios name = RIGDC
    realm = {realm}
    workgroup = {domain}
    server role = active directory domain controller
    interfaces = {host}/8
    bind interfaces only = yes
    server services = rpc
    dcerpc endpoint servers = epmapper, samr, lsarpc, netlogon, drsuapi, \
dssetup, wkssvc, backupkey, unixinfo, browser, eventlog6
    rpc server port = {port}
    private dir = {dir}/private
    lock directory = {dir}/lock
    state directory = {dir}/state
    cache directory = {dir}/cache
    pid directory = {dir}/run
    ncalrpc dir = {dir}/ncalrpc
    ntp signd socket directory = {dir}/run/ntp
    log file = {dir}/log/log.%m
    logging = file
    log level = 1
    max log size = 0
    allow dcerpc auth level connect = yes
    ntlm auth = yes
    disable netbios = yes
    tls enabled = no
    dns proxy = no
    load printers = no
[sysvol]
    path = {dir}/state/sysvol
[netlogon]
    path = {dir}/state/sysvol
"""


class SambaDC:
    """A Samba domain controller that serves RPC only: the endpoint mapper
    on 135, netlogon on port, everything else on port + 1."""

    host = "127.0.0.10"
    port = 49152
    samr_port = 49153

    def __init__(self, scratch):
        self.dir = scratch.dir("samba-dc")
        self._provision()
        for name in ("log", "run", "ncalrpc", "lock"):
            (self.dir / name).mkdir(exist_ok=True)
        conf = self.dir / "smb.conf"
        conf.write_text(SMB_CONF.format(realm=REALM, domain=env.DOMAIN,
                                        host=self.host, port=self.port,
                                        dir=self.dir))
        self.process = env.Process(
            "samba", ["samba", "-i", "-M", "single", "-s", conf],
            self.dir / "log/stdout")
        self.process.wait_ready(
            lambda: all(env.can_connect(self.host, p)
                        for p in (135, self.port, self.samr_port)))

    def _provision(self):
        # An empty file of ours keeps the system's smb.conf out of it.
        empty = self.dir / "empty.conf"
        empty.write_text("[global]\n")
        env.run(["samba-tool", "domain", "provision", "-s", empty,
                 f"--realm={REALM}", f"--domain={env.DOMAIN}",
                 f"--adminpass={env.PASSWORD}", "--server-role=dc",
                 "--host-name=rigdc", f"--host-ip={self.host}",
                 f"--targetdir={self.dir}", "--dns-backend=NONE",
                 "--option=netbios name=RIGDC",
                 f"--option=interfaces={self.host}/8",
                 "--option=bind interfaces only=yes"], timeout=120)

    def stop(self):
        self.process.stop()


class RpchServer:
    """Our own demonstration server: rpcecho and mgmt, both back-end kinds."""

    def __init__(self, scratch, program=None, host="127.0.0.1"):
        self.dir = scratch.dir("rpch-server")
        self.host = host
        at = f"[{host}]" if ":" in host else host
        program = program or os.environ.get("RPCH_SERVER", "./rpch-server")
        log = self.dir / "stdout"
        self.process = env.Process(
            "rpch-server", [program, "--tcp", f"{at}:0",
                            "--http", f"{at}:0"], log)

        def ports():
            text = log.read_text(errors="replace")
            found = dict(re.findall(
                rf"listening (ncacn_\w+) {re.escape(at)}:(\d+)", text))
            return found if len(found) == 2 else None
        found = self.process.wait_ready(ports)
        self.tcp_port = int(found["ncacn_ip_tcp"])
        self.http_port = int(found["ncacn_http"])

    def stop(self):
        self.process.stop()


KRB5_CONF = """[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    udp_preference_limit = 1
[realms]
    {realm} = {{
        kdc = 127.0.0.1:{port}
    }}
[domain_realm]
    .example.test = {realm}
    example.test = {realm}
"""

KDC_CONF = """[kdcdefaults]
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
[realms]
    {realm} = {{
        database_name = {dir}/principal
        key_stash_file = {dir}/stash
        acl_file = {dir}/kadm5.acl
    }}
[logging]
    kdc = FILE:{dir}/kdc.log
"""


class Kdc:
    """A Kerberos KDC (MIT) with the test's user and httpd's service."""

    def __init__(self, scratch, host="proxy.example.test"):
        self.dir = scratch.dir("kdc")
        # Browsers and curl ask for HTTP/host, Samba for http/host.
        services = [f"HTTP/{host}", f"http/{host}"]
        self.keytab = self.dir / "http.keytab"
        self.config = self.dir / "krb5.conf"
        port = env.free_port()
        self.config.write_text(KRB5_CONF.format(realm=REALM, port=port))
        kdc_conf = self.dir / "kdc.conf"
        kdc_conf.write_text(KDC_CONF.format(realm=REALM, port=port,
                                            dir=self.dir))
        self.env = dict(os.environ, KRB5_CONFIG=str(self.config),
                        KRB5_KDC_PROFILE=str(kdc_conf))
        env.run(["/usr/sbin/kdb5_util", "create", "-s", "-P", "master",
                 "-r", REALM], env=self.env)
        self._kadmin(f"addprinc -pw {env.PASSWORD} {env.USER}")
        for service in services:
            self._kadmin(f"addprinc -randkey {service}")
            self._kadmin(f"ktadd -k {self.keytab} {service}")
        self.keytab.chmod(0o644)
        self.process = env.Process(
            "krb5kdc", ["/usr/sbin/krb5kdc", "-n", "-r", REALM],
            self.dir / "stdout", env=self.env)
        self.process.wait_ready(
            lambda: env.can_connect("127.0.0.1", port))

    def _kadmin(self, query):
        env.run(["/usr/sbin/kadmin.local", "-r", REALM, "-q", query],
                env=self.env)

    def kinit(self, cache):
        """Gets the user's ticket into cache and returns the environment
        that uses it."""
        mine = dict(self.env, KRB5CCNAME=f"FILE:{cache}")
        env.run(["kinit", f"{env.USER}@{REALM}"], env=mine,
                input=env.PASSWORD + "\n")
        return mine

    def stop(self):
        self.process.stop(signal.SIGTERM)
