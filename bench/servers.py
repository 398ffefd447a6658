# SPDX-License-Identifier: Apache-2.0
"""The servers of the benchmarks: httpd with the module, in the reactor or in
its request threads, stock httpd with mod_proxy_connect, and HAProxy.

All end TLS with the same certificate, protocol version and cipher, and all
write what their administrator would want to keep: httpd an access log.
"""

import json
import os
import signal
import subprocess
import urllib.request
from dataclasses import dataclass, field, replace
from pathlib import Path

import proc
import rig as rig_

HTTPD = os.environ.get("HTTPD", "/usr/sbin/apache2")
MODULES = Path(os.environ.get("HTTPD_MODULES", "/usr/lib/apache2/modules"))
MODULE = Path(os.environ.get("MOD_RPCPROXY", ".libs/mod_rpcproxy.so"))
CIPHER = "TLS_AES_256_GCM_SHA384"
#: User and group of httpd's children.
OWNER = os.environ.get("HTTPD_OWNER", "www-data:www-data")
URL = "/rpc/rpcproxy.dll"

LOADED = ["mpm_event", "unixd", "log_config", "authn_core", "authz_core",
          "ssl", "socache_shmcb", "setenvif", "reqtimeout", "dir", "mime"]


@dataclass(frozen=True)
class Shape:
    """How many processes and threads httpd has, and what is switched."""

    children: int = 4
    threads: int = 64
    #: Channels (connections) of one child beyond its workers, each idle one.
    factor: int = 200
    #: Virtual connections that the table has room for.
    connections: int = 12500
    #: The reactor, or "Off" for the request-thread loop.
    use_async: str = "Auto"
    drain: str = ""
    #: Scoreboard slots beyond children, for generations that drain.
    spare: int = 8
    #: More lines of the server, and of the RPC location.
    lines: tuple = ()
    location: tuple = ()
    log_level: str = "warn"
    modules: tuple = ()
    #: What httpd's environment has more: (name, value), ...
    environment: tuple = ()


#: For so many channels in request threads, each holds one.
def loop_shape(channels):
    threads = 256 if channels > 256 else 64
    children = max(2, -(-(channels + threads) // threads))
    return Shape(children=children, threads=threads, factor=2,
                 connections=channels // 2, use_async="Off",
                 spare=2 * children)


def with_modules(shape, names):
    """The same shape with more modules."""
    return replace(shape, modules=(*shape.modules, *names))


BASE = """ServerRoot {dir}
ServerName localhost
DefaultRuntimeDir {dir}
PidFile {dir}/httpd.pid
ErrorLog {dir}/error.log
LogLevel {level}
LogFormat "%h %u %t \\"%r\\" %>s %D %{{RPC_END}}n" bench
CustomLog {dir}/access.log bench
{owner}
ListenBacklog 4096
Timeout 60
KeepAlive On
Protocols http/1.1
SSLSessionCache shmcb:{dir}/ssl(512000)
TypesConfig /dev/null
DocumentRoot {dir}/htdocs
<Directory {dir}/htdocs>
    AllowOverride None
    Require all granted
</Directory>
StartServers {c}
ServerLimit {limit}
ThreadsPerChild {t}
ThreadLimit {t}
MaxRequestWorkers {workers}
MinSpareThreads {t}
MaxSpareThreads {workers}
MaxConnectionsPerChild 0
AsyncRequestWorkerFactor {factor}
"""

SSL = """    SSLEngine on
    SSLCertificateFile {cert}
    SSLCertificateKeyFile {key}
    SSLProtocol -all +TLSv1.3
    SSLCipherSuite TLSv1.3 {cipher}
"""

LOCATION = """    <LocationMatch "(?i)^/rpc/rpcproxy\\.dll$">
        SetHandler rpcproxy
        LimitRequestBody 0
        Require all granted
        RpcProxyAllowAnonymous On
        RpcProxyReceiveWindow {window}
        RpcProxyMaxPerUser 0
        RpcProxyMaxPerAddress 0
        RpcProxyValidPorts "{host}:{first}-{last};{joined}:{first}-{last}"
        RpcProxyRoute {host} protocol=ncacn_http to=127.0.0.1
        RpcProxyRoute {joined} protocol=ncacn_ip_tcp to=127.0.0.1
{more}    </LocationMatch>
"""

#: The names by which clients ask for the back end: as a server of RPC over
#: HTTP, and as one of plain DCE/RPC over TCP.
TARGET = "native.example"
JOINED = "joined.example"


def module_knows(directive, _known={}):
    """True when the module that is measured has a directive."""
    if not _known:
        _known["text"] = MODULE.read_bytes()
    return directive.encode() + b"\0" in _known["text"]


@dataclass
class Ports:
    """Where a server listens, by whether TLS is spoken and by window (kB)."""

    plain: int = 0
    tls: int = 0
    plain_64: int = 0
    tls_64: int = 0
    more: dict = field(default_factory=dict)

    def of(self, tls, window=256):
        if window == 64:
            return self.tls_64 if tls else self.plain_64
        return self.tls if tls else self.plain


class Httpd:
    """A running httpd with the module."""

    def __init__(self, rig, shape=Shape(), name="httpd"):
        self.rig, self.shape, self.name = rig, shape, name
        self.dir = rig.file(name)
        (self.dir / "htdocs").mkdir(parents=True)
        self.dir.chmod(0o755)
        (self.dir / "htdocs/index.html").write_text("an ordinary page\n" * 64)
        self.ports = Ports(*(rig.ports.new() for _ in range(4)))
        self.status_port = rig.ports.new()
        self.process = None
        self._write()

    def _write(self):
        s, d = self.shape, self.dir
        user, group = OWNER.split(":")
        text = [f"LoadModule {m}_module {MODULES}/mod_{m}.so\n"
                for m in (*LOADED, *s.modules)
                if (MODULES / f"mod_{m}.so").exists()]
        text.append(self._module())
        workers = s.children * s.threads
        text.append(BASE.format(
            dir=d, level=s.log_level, owner=f"User {user}\nGroup {group}",
            c=s.children, limit=s.children + s.spare, t=s.threads,
            workers=workers, factor=s.factor))
        text += [line + "\n" for line in self._server_lines()]
        for window in (256, 64):
            for tls in (False, True):
                text.append(self._vhost(tls, window))
        text.append(self._status())
        (d / "httpd.conf").write_text("".join(text))

    def _module(self):
        if not MODULE.exists():
            raise rig_.Failed(f"there is no {MODULE}: make")
        return f"LoadModule rpcproxy_module {MODULE.resolve()}\n"

    def _server_lines(self):
        """Lines outside of sections."""
        lines = [f"RpcProxyMaxConnections {self.shape.connections}"]
        if self.shape.use_async == "Off" and module_knows("RpcProxyAsync"):
            lines.append("RpcProxyAsync Off")
        if self.shape.drain:
            lines.append(f"RpcProxyDrainTimeout {self.shape.drain}")
        return lines + list(self.shape.lines)

    def _status(self):
        """The module's status page."""
        return (f"Listen 127.0.0.1:{self.status_port}\n"
                '<Location "/rpcproxy-status">\n'
                "    SetHandler rpcproxy-status\n"
                "    Require all granted\n</Location>\n")

    def _vhost(self, tls, window):
        port = self.ports.of(tls, window)
        ssl = SSL.format(cert=self.rig.cert, key=self.rig.key,
                         cipher=CIPHER) if tls else ""
        return (f"Listen 127.0.0.1:{port}\n<VirtualHost *:{port}>\n"
                f"{ssl}{self._location(window)}</VirtualHost>\n")

    def _location(self, window):
        more = "".join(f"        {line}\n" for line in self.shape.location)
        ports = self.rig.ports
        return LOCATION.format(window=f"{window}K", host=TARGET,
                               joined=JOINED, more=more, first=ports.FIRST,
                               last=ports.LAST)

    def start(self):
        argv = [HTTPD, "-f", self.dir / "httpd.conf"]
        done = subprocess.run([*argv, "-t"], text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise rig_.Failed(f"{self.name}: {done.stdout}")
        self.process = self.rig.start(
            self.name, [*argv, "-DFOREGROUND"],
            env={**os.environ, **dict(self.shape.environment)})
        self.process.wait_ready(self._ready, timeout=90)
        return self

    @property
    def pid(self):
        return self.process.pid

    def _ready(self):
        """All children, each with all of its threads, and an answer."""
        pids = self.children()
        return (len(pids) >= self.shape.children
                and all(proc.threads(p) > self.shape.threads + 1 for p in pids)
                and rig_.can_connect(self.ports.plain))

    def children(self):
        return proc.children(self.pid)

    def status(self):
        """The counters of the module's status page."""
        url = (f"http://127.0.0.1:{self.status_port}/rpcproxy-status"
               "?format=json")
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.load(answer)

    def wait_empty(self, timeout=60):
        """Waits until the table has no connection any more."""
        rig_.wait_until(lambda: not self.status()["connections"],
                        f"{self.name} to be without connections", timeout,
                        interval=0.1)

    def graceful(self):
        os.kill(self.pid, signal.SIGUSR1)

    def error_log(self):
        return self.dir / "error.log"

    def stop(self):
        self.rig.stop(self.process)
        self.process = None


class ConnectHttpd(Httpd):
    """Stock httpd with mod_proxy_connect: the nearest that it has to carrying
    a stream of bytes both ways at once."""

    def __init__(self, rig, connections):
        children = max(2, -(-(connections + 32) // 64))
        super().__init__(rig, Shape(children=children, factor=2, spare=2,
                                    modules=("proxy", "proxy_connect")),
                         "mod_proxy_connect")

    def _module(self):
        return ""

    def _server_lines(self):
        return []

    def _location(self, window):
        ports = self.rig.ports
        return (f"    ProxyRequests On\n    AllowCONNECT "
                f"{ports.FIRST}-{ports.LAST}\n"
                "    <Proxy \"*\">\n        Require all granted\n"
                "    </Proxy>\n")


HAPROXY = """global
    nbthread 2
    maxconn {maxconn}
    user {user}
    group {group}
    ssl-default-bind-options ssl-min-ver TLSv1.3
    ssl-default-bind-ciphersuites {cipher}
"""

HAPROXY_TCP = """defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen plain
    bind 127.0.0.1:{plain} backlog 4096
    server raw 127.0.0.1:{inner}
listen tls
    bind 127.0.0.1:{tls} ssl crt {pem} backlog 4096
    server raw 127.0.0.1:{inner}
"""


class Haproxy:
    """HAProxy in tcp mode, TLS ended, before the back end's raw port."""

    name = "haproxy-tcp"
    SECTIONS = HAPROXY_TCP

    def __init__(self, rig, inner_port):
        self.rig = rig
        self.program = rig_.need_program("haproxy", "haproxy")
        self.ports = Ports(rig.ports.new(), rig.ports.new())
        self.ports.plain_64 = self.ports.plain
        self.ports.tls_64 = self.ports.tls
        self.process = None
        self.conf = rig.file("haproxy.cfg")
        user, group = OWNER.split(":")
        # Two descriptors for each connection, and some for itself.
        limit = min(120000, rig_.raise_descriptor_limit())
        self.conf.write_text((HAPROXY + self.SECTIONS).format(
            maxconn=(limit - 200) // 2, user=user, group=group,
            cipher=CIPHER, plain=self.ports.plain, tls=self.ports.tls,
            inner=inner_port, pem=rig.dir / "both.pem"))

    def start(self):
        self.process = self.rig.start(
            self.name, [self.program, "-db", "-f", self.conf])
        self.process.wait_ready(lambda: rig_.can_connect(self.ports.plain)
                                and rig_.can_connect(self.ports.tls))
        return self

    @property
    def pid(self):
        return self.process.pid


def versions():
    """Lines that name the programs and their versions."""
    def first_line(*argv):
        try:
            done = subprocess.run(argv, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=20)
        except OSError:
            return "missing"
        return done.stdout.splitlines()[0].strip() if done.stdout else "?"
    return [f"httpd: {first_line(HTTPD, '-v')}",
            f"HAProxy: {first_line('haproxy', '-v')}",
            f"OpenSSL: {first_line('openssl', 'version')}"]
