# SPDX-License-Identifier: Apache-2.0
"""The real clients: impacket, Samba's, curl. Each call is a process of its
own with a deadline; each can go through a proxy or directly."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import env

#: Samba hangs on the session tickets of TLS 1.3.
SMB_CONF = """[global]
    workgroup = {domain}
    realm = RIG.TEST
    netbios name = TESTCLIENT
    tls priority = NORMAL:-VERS-TLS1.3
    tls cafile = {ca}
    tls verify peer = ca_and_name
    client use kerberos = {kerberos}
    name resolve order = host
    private dir = {dir}
    lock directory = {dir}
    state directory = {dir}
    cache directory = {dir}
    log file = {dir}/log
"""


@dataclass(frozen=True)
class Via:
    """How a client reaches its proxy."""

    host: str
    port: int
    tls: bool = False
    auth: str = "basic"          # basic, ntlm, negotiate

    @property
    def url(self):
        return (f"http{'s' if self.tls else ''}://{self.host}:{self.port}"
                "/rpc/rpcproxy.dll")


def _python(script, *argv, timeout=90, environ=None):
    """The JSON that one of our client programs prints."""
    try:
        done = subprocess.run(
            [sys.executable, str(env.HERE / script), *argv], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
            env=environ)
    except subprocess.TimeoutExpired as e:
        return {"error": f"no end within {timeout} s: "
                         f"{(e.stderr or b'')[-500:]}"}
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"error": f"exit {done.returncode}: {done.stderr[-2000:]}"}


class Idle:
    """One of our client programs in its call "idle": it has made a call and
    waits on the same connection until go_on()."""

    def __init__(self, script, *argv):
        self.popen = subprocess.Popen(
            [sys.executable, str(env.HERE / script), *argv], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True)
        first = self.popen.stdout.readline()
        if first != "idle\n":
            raise AssertionError(f"{script} said {first!r}: "
                                 f"{self.popen.communicate()[1][-2000:]}")

    def go_on(self, timeout=60):
        """Lets it make its second call; the JSON that it prints."""
        out, err = self.popen.communicate("", timeout=timeout)
        try:
            return json.loads(out.splitlines()[-1])
        except (IndexError, ValueError):
            return {"error": f"exit {self.popen.returncode}: {err[-2000:]}"}

    def close(self):
        self.popen.kill()
        self.popen.communicate()


def _impacket_spec(calls, host, port, via, **more):
    spec = {"host": host, "port": port, "calls": list(calls),
            "user": env.USER, "password": env.PASSWORD,
            "domain": env.DOMAIN, **more}
    if via:
        spec["url"] = via.url
        spec["auth"] = via.auth
    return json.dumps(spec)


def impacket(calls, host, port, via=None, timeout=90, **more):
    """Answers of impacket's calls (epm, mgmt, samr, echo), by name; more:
    seal, user, password, size."""
    return _python("impacket_cli.py",
                   _impacket_spec(calls, host, port, via, **more),
                   timeout=timeout)


def impacket_idle(host, port, via):
    """impacket between two calls of rpcecho."""
    return Idle("impacket_cli.py", _impacket_spec(("idle",), host, port, via))


class Samba:
    """Samba's client programs with a configuration of their own."""

    def __init__(self, where, ca):
        self.dir = where
        self.conf = where / "smb.conf"
        self.kerberos_conf = where / "smb-kerberos.conf"
        for path, kerberos in ((self.conf, "off"),
                               (self.kerberos_conf, "desired")):
            path.write_text(SMB_CONF.format(domain=env.DOMAIN, ca=ca,
                                            dir=where, kerberos=kerberos))

    def _conf(self, via):
        negotiate = via and via.auth == "negotiate"
        return self.kerberos_conf if negotiate else self.conf

    def binding(self, host, port, via=None, options=()):
        """The string binding; options such as "seal" and "ntlm"."""
        extra = "".join(f",{o}" for o in options)
        if not via:
            return f"ncacn_ip_tcp:{host}[{port}{extra}]"
        return (f"ncacn_http:{host}[{port},RpcProxy={via.host}:{via.port},"
                f"HttpUseTls={'true' if via.tls else 'false'},"
                f"HttpAuthOption={via.auth}{extra}]")

    def python(self, calls, host, port, via=None, options=(), user=env.USER,
               password=env.PASSWORD, environ=None, timeout=90, repeat=1):
        """Answers of python3-samba's calls (samr, mgmt)."""
        return _python("samba_cli.py", str(self._conf(via)),
                       self.binding(host, port, via, options), env.DOMAIN,
                       user, password, str(repeat), *calls, timeout=timeout,
                       environ=environ)

    def idle(self, host, port, via):
        """python3-samba between two calls of mgmt."""
        return Idle("samba_cli.py", str(self._conf(via)),
                    self.binding(host, port, via, ("ntlm",)), env.DOMAIN,
                    env.USER, env.PASSWORD, "1", "idle")

    def smbtorture(self, suite, host, port, via=None, options=(),
                   user=env.USER, password=env.PASSWORD, environ=None,
                   timeout=90):
        """The lines of a suite's result: success: ..., failure: ..."""
        # A domain before the name would be taken for the realm.
        name = (user if via and via.auth == "negotiate"
                else f"{env.DOMAIN}\\{user}")
        argv = ["smbtorture", "-s", str(self._conf(via)),
                self.binding(host, port, via, options),
                "-U", f"{name}%{password}",
                f"--basedir={self.dir}", suite]
        try:
            done = subprocess.run(argv, text=True, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=timeout,
                                  errors="replace", env=environ)
        except subprocess.TimeoutExpired:
            return [f"error: no end within {timeout} s"]
        lines = [line for line in done.stdout.splitlines()
                 if line.split(":")[0] in ("success", "failure", "error",
                                           "skip")]
        return lines or [f"error: {done.stdout[-1500:]}"]


def curl(url, *argv, method=None, timeout=60, environ=None):
    """Runs curl: (status, head and body as bytes)."""
    command = ["curl", "-sS", "-i", "--max-time", str(timeout), "-H",
               "Expect:", *argv, url]
    if method:
        command[1:1] = ["-X", method]
    done = subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout + 5,
                          env=environ or os.environ)
    last = None
    for line in done.stdout.split(b"\r\n"):
        if line.startswith(b"HTTP/"):
            last = int(line.split()[1])
    if last is None:
        raise AssertionError(f"curl exit {done.returncode}: "
                             f"{done.stderr.decode()[-500:]}")
    return last, done.stdout
