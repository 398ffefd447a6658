# SPDX-License-Identifier: Apache-2.0
"""The configurations and commands of a page in docs/, and an httpd that has
one of them and nothing else."""

import os
import re
from pathlib import Path

import env
import logs
from front_rig import front_module
from httpd import OWNER, Httpd, module_path
from httpd_conf import MODULES, SHIPPED_CONF, password_line

DOCS = env.HERE.parent.parent / "docs"
LOADED = ["mpm_event", "authn_core", "authz_core", "authn_file", "authz_user",
          "authz_host", "auth_basic", "ssl", "socache_shmcb", "setenvif",
          "env", "headers", "reqtimeout", "mime", "dir", "remoteip", "proxy"]
#: Addresses of the pages' machines in the tests' namespace, see hosts.
FRONT, INNER = "127.0.0.20", "127.0.0.21"
BASE = """ServerRoot {dir}
ServerName localhost
DefaultRuntimeDir {dir}/run
PidFile {dir}/run/httpd.pid
ErrorLog {dir}/error.log
LogLevel info ssl:warn
User {owner[0]}
Group {owner[1]}
StartServers 1
ThreadsPerChild 25
MaxRequestWorkers 100
MinSpareThreads 25
MaxSpareThreads 100
ServerLimit 8
SSLSessionCache shmcb:{dir}/run/ssl(512000)
TypesConfig /dev/null
"""


def fenced(page, kind):
    """The ```kind blocks of the page."""
    return re.findall(rf"^```{kind}\n(.*?)^```", (DOCS / page).read_text(),
                      re.M | re.S)


def commands(page):
    """(command, expected lines) of the ```console blocks."""
    found = []
    for text in fenced(page, "console"):
        first, *rest = text.splitlines()
        assert first.startswith("$ "), text
        found.append((first[2:], rest))
    return found


class Machine(Httpd):
    """An httpd with one block of a page; ports is where it listens."""

    def __init__(self, scratch, certs, block, ports, address=INNER):
        self.where, self.ports, self.certs = address, ports, certs
        self.dir = scratch.dir("machine")
        self.output = self.dir / "stdout"
        self.errors = logs.File(self.dir / "error.log")
        self.started_before_test, self.process, self.kdc = False, None, None
        (self.dir / "run").mkdir()
        (self.dir / "users").write_text(password_line("alice", "secret"))
        (self.dir / "httpd.conf").write_text(self._conf(block))

    def _conf(self, block):
        lines = [f"LoadModule {m}_module {MODULES}/mod_{m}.so"
                 for m in LOADED]
        lines += [f"LoadModule proxy_rpch_module {front_module()}",
                  BASE.format(dir=self.dir, owner=OWNER)]
        if "SetHandler rpcproxy" in block:
            # a2enmod rpcproxy, which takes /rpc/rpcproxy.dll from the front
            lines += [f"LoadModule rpcproxy_module {module_path()}",
                      f"Include {SHIPPED_CONF}"]
        lines += [f"Listen {self.where}:{p}" for p in self.ports.values()]
        for pattern, path in (
                (r"/etc/ssl/private/([\w.]+)\.key", r"{}/\1.key"),
                (r"/etc/ssl/(?:corp-)?(ca|[a-z]+\.example\.com)\.pem",
                 r"{}/\1.pem")):
            block = re.sub(pattern, path.format(self.certs.dir), block)
        block = block.replace("/etc/apache2/rpc.users", f"{self.dir}/users")
        # from there the front's connections come
        block = re.sub(r"(?<=[ ])192\.0\.2\.10\b", "127.0.0.1", block)
        return "\n".join([*lines, block, ""])

    def start(self):
        self.process = env.Process("httpd", self._argv("-DFOREGROUND"),
                                   self.output, env=self._environ())
        self.process.wait_ready(
            lambda: all(env.can_connect(self.where, p)
                        for p in self.ports.values()), timeout=60)
        return self

    def wait_idle(self, timeout=20):
        """Nothing outlives a test here."""

    def _environ(self):
        return dict(super()._environ(), PATH=os.environ["PATH"])


def programs():
    """The PATH of an administrator who has installed the project."""
    built = Path(os.environ.get("RPCH_SERVER", "./rpch-server")).parent
    return f"{built}:{os.environ['PATH']}"
