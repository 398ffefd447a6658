# SPDX-License-Identifier: Apache-2.0
"""A real httpd with the module, on ports from the kernel."""

import json
import os
import signal
import urllib.request
from pathlib import Path

import clients
import engine_rig
import env
import httpd_conf
import logs

HTTPD = os.environ.get("HTTPD", "/usr/sbin/apache2")
#: User and group of httpd's children.
OWNER = ("www-data", "www-data")


def module_path():
    """The module under test."""
    return Path(os.environ.get("MOD_RPCPROXY",
                               ".libs/mod_rpcproxy.so")).resolve()


def line_refused(answer, line, value, allowed):
    """The configuration test's answer is an error at that line, which names the
    directive, its wrong value and what is allowed."""
    code, text = answer
    assert code != 0, f"accepted: {line}"
    said = [t for t in text.splitlines()
            if t.startswith(f"{line.split()[0]}: ")]
    assert said, text
    assert value in said[0] and allowed in said[0]


def _links(directory):
    """What the links in it point to, without those that go meanwhile."""
    found = []
    for link in directory.iterdir():
        try:
            found.append(os.readlink(link))
        except OSError:
            pass
    return found


class Httpd:
    """One running httpd; start() to stop()."""

    #: Of a subclass with a configuration of its own.
    conf = httpd_conf.Conf()
    #: Lines of the error log that tell of a slow machine only.
    forgiven = ()
    _last_look = None

    def __init__(self, scratch, certs, conf, kdc=None):
        self.conf, self.certs, self.kdc = conf, certs, kdc
        self.dir = scratch.dir(f"httpd-{conf.mpm}")
        self.ports = {name: env.free_port()
                      for name in ("http", "https", "cert")}
        self.errors = logs.File(self.dir / "error.log")
        self.accesses = logs.File(self.dir / "access.log")
        self.output = self.dir / "stdout"
        self.process = None
        self.started_before_test = False
        httpd_conf.write(conf, self.dir, self.ports, certs, module_path(),
                         OWNER)
        if conf.auth == "ntlm":
            users = self.dir / "ntlm.users"
            users.write_text(f"{env.DOMAIN}:{env.USER}:{env.PASSWORD}\n")
            users.chmod(0o644)
        if conf.auth == "negotiate":
            (self.dir / "http.keytab").write_bytes(kdc.keytab.read_bytes())
            (self.dir / "http.keytab").chmod(0o644)

    # Starting and stopping.

    def _environ(self):
        environ = dict(os.environ, LANG="C")
        environ["NTLM_USER_FILE"] = str(self.dir / "ntlm.users")
        if self.kdc:
            environ["KRB5_CONFIG"] = str(self.kdc.config)
            environ["KRB5RCACHETYPE"] = "none"
        if os.environ.get("HTTPD_PRELOAD"):
            environ["LD_PRELOAD"] = os.environ["HTTPD_PRELOAD"]
            environ.setdefault("ASAN_OPTIONS", "detect_leaks=0")
        return environ

    def _argv(self, *more):
        return [HTTPD, "-f", str(self.dir / "httpd.conf"), *more]

    def configtest(self):
        """What httpd -t says: (exit status, text)."""
        done = env.run(self._argv("-t"), env=self._environ(), check=False)
        return done.returncode, done.stdout

    def start(self):
        self.process = env.Process("httpd", self._argv("-DFOREGROUND"),
                                   self.output, env=self._environ())
        self.process.wait_ready(
            lambda: all(env.can_connect("127.0.0.1", p)
                        for p in self.ports.values()), timeout=60)
        env.wait_until(self.settled, "children with all their threads",
                       interval=0.03)
        return self

    def settled(self):
        """True when every child has all of its threads: they come one by
        one, and tests count them. How many are not the workers' is not known
        here, so nothing may have changed since the last look."""
        resources = self.resources()
        last, self._last_look = self._last_look, resources
        threads = {r[1] for r in resources.values()}
        return (resources == last and len(resources) >= self.conf.children
                and len(threads) == 1
                and (self.conf.mpm == "prefork"
                     or threads.pop() > self.conf.threads + 1))

    def _forgive(self, mark):
        """A child that got no processor for 3 s has not ended by then, and is
        asked again (AH00045); one that hangs is killed in the end
        (AH00046)."""
        lines = self.errors.since(mark)
        if not any("AH00046" in line for line in lines):
            self.forgiven = [line for line in lines if "AH00045" in line]

    def stop(self, strict=False):
        """Stops httpd; raises when its end was not a clean one. strict: also
        when a child had to be asked twice."""
        engine_rig.wait_closed(self)
        mark = self.errors.mark()
        code = self.process.stop(signal.SIGTERM, timeout=30)
        if not strict:
            self._forgive(mark)
        bad = [line.raw for line in logs.bad_lines(self.errors.since(mark))
               if line.raw not in self.forgiven]
        output = self.output.read_text(errors="replace")
        if logs.SANITIZER.search(output):
            bad.append(output[-4000:])
        if code or bad:
            raise AssertionError(f"httpd ended with {code}:\n"
                                 + "\n".join(bad))

    def graceful(self):
        """apachectl graceful; returns when the new generation serves."""
        old = set(self.children())
        os.kill(self.process.pid, signal.SIGUSR1)
        env.wait_until(lambda: set(self.children()) - old,
                       "a new generation")
        env.wait_until(lambda: env.can_connect("127.0.0.1",
                                               self.ports["http"]),
                       "the new generation to listen")
        env.wait_until(self.status, "the new generation to answer")
        if self.conf.mpm != "prefork":
            env.wait_until(lambda: not self._listens(old),
                           "the old ones to accept no more")
        return old

    def _listens(self, pids):
        """Whether one of these children could still accept; one that a test
        has stopped will not."""
        mine = {f"socket:[{s.inode}]" for s in engine_rig.tcp_sockets(self)
                if s.state == engine_rig.LISTEN}
        held = set()
        for pid in pids:
            try:
                stat = Path(f"/proc/{pid}/stat").read_text()
                if stat.rpartition(")")[2].split()[0] != "T":
                    held.update(_links(Path(f"/proc/{pid}/fd")))
            except OSError:
                pass                         # it has ended
        return bool(mine & held)

    # Where it is.

    def address(self, tls=False, cert=False):
        name = "cert" if cert else "https" if tls else "http"
        return ("127.0.0.1", self.ports[name])

    def via(self, tls=False):
        """What a real client needs to use this proxy."""
        auth = "basic" if self.conf.auth == "none" else self.conf.auth
        return clients.Via("proxy.example.test", self.address(tls)[1], tls,
                           auth)

    def url(self, path="/", tls=False, cert=False):
        scheme = "https" if tls or cert else "http"
        port = self.address(tls, cert)[1]
        return f"{scheme}://proxy.example.test:{port}{path}"

    # What it says and has.

    def status(self):
        """The counters of the status page."""
        url = (f"http://127.0.0.1:{self.ports['http']}"
               "/rpcproxy-status?format=json")
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.load(answer)

    def wait_idle(self, timeout=20):
        """Waits until the table has no virtual connection any more."""
        def idle():
            counts = self.status()
            return not counts["connections"]
        env.wait_until(idle, "the table to be empty", timeout)

    def children(self):
        """The pids of httpd's children."""
        if not self.process or not self.process.alive():
            return []
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}"
                    "/children")
        try:
            found = [int(p) for p in path.read_text().split()]
        except OSError:
            return []
        return found

    def resources(self):
        """pid -> (descriptors that are sockets, threads) of each child."""
        found = {}
        for pid in self.children():
            try:
                fds = _links(Path(f"/proc/{pid}/fd"))
                threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
            except OSError:
                continue
            found[pid] = (sum(f.startswith(("socket:", "anon_inode:",
                                            "pipe:")) for f in fds), threads)
        return found

    def access_since(self, mark):
        return [logs.Access(line) for line in self.accesses.since(mark)]
