# SPDX-License-Identifier: Apache-2.0
"""An httpd with mod_proxy_rpch before inner proxies: its configuration, and
what its tests look at."""

import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

import clients
import env
import httpd_conf
import logs
import rawclient
from engine_rig import connection_count
from httpd import OWNER, Httpd

#: Modules that a front needs beside those of every httpd.
LOADED = ["proxy", "proxy_http", "proxy_balancer", "slotmem_shm",
          "lbmethod_byrequests", "status"]


def front_module():
    """The module under test."""
    return Path(os.environ.get("MOD_PROXY_RPCH",
                               ".libs/mod_proxy_rpch.so")).resolve()


@dataclass(frozen=True)
class FrontConf:
    """What a test asks of a front; equal ones share a running httpd."""

    mpm: str = "event"
    lines: tuple = ()            # of both virtual hosts: ProxyPass and others
    location: tuple = ()         # of <Location "/rpc">
    server: tuple = ()           # outside of every section
    basic: bool = False          # the front asks for a password itself
    modules: tuple = ()
    children: int = 2
    threads: int = 25


#: As in httpd_conf, without the inner proxy's things. KeepAliveTimeout: a
#: test that pauses between two requests keeps its connection.
BASE = """ServerRoot {dir}
ServerName proxy.example.test
DefaultRuntimeDir {dir}/run
PidFile {dir}/run/httpd.pid
ErrorLog {dir}/error.log
LogLevel info ssl:warn proxy:warn proxy_rpch:info
LogFormat "%{{BALANCER_WORKER_NAME}}e\\t%P\\t%{{RPC_CHANNEL}}e\\t\
%{{RPC_CONNECTION}}e\\t%>s\\t%u\\t%{{RPC_TARGET}}e\\t%{{RPC_END}}n\\t%v:%p\\t\
%r" test
CustomLog {dir}/access.log test
User {user}
Group {group}
GracefulShutdownTimeout 5
RpcProxyDrainTimeout 24h
KeepAliveTimeout 60
ExtendedStatus On
Listen 127.0.0.1:{http}
Listen 127.0.0.1:{https}
SSLSessionCache shmcb:{dir}/run/ssl(512000)
TypesConfig /dev/null
DocumentRoot {dir}/htdocs
<Directory {dir}/htdocs>
    Require all granted
</Directory>
<Location "/server-status">
    SetHandler server-status
    Require all granted
</Location>
"""

#: For an MPM with threads, children=1 and threads=25: httpd starts no second
#: child when one of the workers is busy.
ONLY_CHILD = ("MaxRequestWorkers 25", "MinSpareThreads 1",
              "MaxSpareThreads 25")

#: The outgoing TLS of a virtual host.
SSL_PROXY = ("SSLProxyEngine On", "SSLProxyVerify require",
             "SSLProxyCACertificateFile {ca}")


def _vhost(conf, where, port, head, certs):
    location = list(conf.location)
    if conf.basic:
        location = ["AuthType Basic", "AuthName front",
                    "AuthBasicProvider file",
                    f"AuthUserFile {where}/passwords",
                    "Require valid-user", *location]
    body = "".join(f"        {line}\n" for line in location)
    lines = [s.format(ca=certs.ca) for s in SSL_PROXY] + list(conf.lines)
    more = "".join(f"    {line}\n" for line in lines)
    return (f"<VirtualHost *:{port}>\n    ServerName proxy.example.test\n"
            f"{head}{more}    <Location \"/rpc\">\n{body}    </Location>\n"
            "</VirtualHost>\n")


def write(conf, where, ports, certs, module):
    """Writes where/httpd.conf and what it names."""
    for name in ("run", "htdocs"):
        (where / name).mkdir(exist_ok=True)
    (where / "htdocs/index.html").write_text("another site\n")
    (where / "passwords").write_text(
        httpd_conf.password_line(env.USER, env.PASSWORD)
        + httpd_conf.password_line(f"{env.DOMAIN}\\{env.USER}", env.PASSWORD)
        + httpd_conf.password_line(env.OTHER_USER, env.OTHER_PASSWORD))
    text = [f"LoadModule {m}_module {httpd_conf.MODULES}/mod_{m}.so\n"
            for m in (f"mpm_{conf.mpm}", *httpd_conf.LOADED, *LOADED,
                      *conf.modules)]
    text.append(f"LoadModule proxy_rpch_module {module}\n")
    text.append(BASE.format(dir=where, user=OWNER[0], group=OWNER[1],
                            **ports))
    text.append(httpd_conf.MPM[conf.mpm].format(
        c=conf.children, t=conf.threads, limit=4 * conf.children,
        workers=(2 * conf.children) * conf.threads))
    text += [line + "\n" for line in conf.server]
    text.append(_vhost(conf, where, ports["http"], "", certs))
    text.append(_vhost(conf, where, ports["https"],
                       httpd_conf.SSL.format(certs=certs), certs))
    path = where / "httpd.conf"
    path.write_text("".join(text))
    return path


class Access(logs.Access):
    """A line of a front's access log: the member first."""

    def __init__(self, raw):
        self.member, _, rest = raw.partition("\t")
        super().__init__(rest)


class Front(Httpd):
    """One running front; start() to stop()."""

    def __init__(self, scratch, certs, conf):
        self.conf, self.certs, self.kdc = conf, certs, None
        self.dir = scratch.dir(f"front-{conf.mpm}")
        self.ports = {name: env.free_port() for name in ("http", "https")}
        self.errors = logs.File(self.dir / "error.log")
        self.accesses = logs.File(self.dir / "access.log")
        self.output = self.dir / "stdout"
        self.process = None
        self.started_before_test = False
        write(conf, self.dir, self.ports, certs, front_module())

    def via(self, tls=False, auth="basic"):
        return clients.Via("proxy.example.test", self.address(tls)[1], tls,
                           auth)

    def status(self):
        """What mod_status says."""
        url = f"http://127.0.0.1:{self.ports['http']}/server-status?auto"
        with urllib.request.urlopen(url, timeout=20) as page:
            text = page.read().decode()
        return dict(line.split(": ", 1) for line in text.splitlines()
                    if ": " in line)

    def busy(self):
        """Workers at work, without the one that says so."""
        return int(self.status()["BusyWorkers"]) - 1

    def wait_idle(self, timeout=20):
        """Waits until no client has a connection any more."""
        env.wait_until(lambda: connection_count(self) == 0,
                       "the front to be idle", timeout)

    def access_since(self, mark):
        return [Access(line) for line in self.accesses.since(mark)]


def passes(url, *more, path="/rpc"):
    """The lines of a front that passes all of path to url."""
    return (f'ProxyPass "{path}" "{url}"', *more)


def to_httpd(inner, tls=False):
    """The URL of an inner httpd with mod_rpcproxy."""
    host = "localhost" if tls else "127.0.0.1"
    return (f"rpch{'s' if tls else ''}://{host}:{inner.address(tls)[1]}"
            "/rpc")


def start_in(client, inner):
    """Opens an IN channel by hand: client's, the inner one's request and
    connection, with CONN/B1 on both sides."""
    client.start_in()
    taken = inner.take()
    request = taken.request()
    b1 = client.b1()
    assert taken.exactly(len(b1)) == b1
    return taken, request


def channel(front, tls=None, **options):
    """A connection to the front."""
    return rawclient.Channel(front.address(tls is not None), tls, **options)


class Body:
    """A body as its receiver reads it, chunked or not, byte by byte."""

    def __init__(self, channel, head):
        self.channel = channel
        self.chunked = "chunked" in (head.headers.get("transfer-encoding")
                                     or "")
        self.left = 0                  # of the chunk

    def _size(self):
        line = b""
        while not line.endswith(b"\r\n"):
            line += self.channel.exactly(1)
        return int(line.split(b";")[0], 16)

    def exactly(self, n):
        """The next n bytes."""
        if not self.chunked:
            return self.channel.exactly(n)
        data = b""
        while len(data) < n:
            if not self.left:
                self.left = self._size()
                assert self.left, f"the body ends after {len(data)} of {n}"
            part = self.channel.exactly(min(self.left, n - len(data)))
            self.left -= len(part)
            data += part
            if not self.left:
                assert self.channel.exactly(2) == b"\r\n"
        return data

    def ends(self):
        """True when it ends here as a chunked body must."""
        try:
            return self._size() == 0 and self.channel.exactly(2) == b"\r\n"
        except (EOFError, OSError, ValueError):
            return False


#: (MPM, RpcProxyAsync); the loop of event without the reactor is worker's.
WAYS = (("event", "Auto"), ("event", "Off"), ("worker", "Auto"),
        ("prefork", "Auto"))
EACH_WAY = [pytest.param(way, id="-".join(way),
                         marks=() if way[0] != "prefork" and way[1] == "Auto"
                         else pytest.mark.full) for way in WAYS]
each_way = pytest.mark.parametrize("way", EACH_WAY)
SECURE = pytest.mark.parametrize("secure", [False, True],
                                 ids=["http", "https"])


def of_way(way):
    """The fields of a FrontConf for one of WAYS."""
    mpm, is_async = way
    return {"mpm": mpm, "server": (f"RpcProxyAsync {is_async}",),
            "children": 12 if mpm == "prefork" else 2}
