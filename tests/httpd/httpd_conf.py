# SPDX-License-Identifier: Apache-2.0
"""The httpd.conf of a test: what varies is a Conf, the rest is fixed."""

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import env

MODULES = Path(os.environ.get("HTTPD_MODULES", "/usr/lib/apache2/modules"))
SHIPPED_CONF = env.HERE.parent.parent / "conf" / "rpcproxy.conf"

#: The module's locations, as a client may spell them.
RPC = r"(?i)^/rpc/rpcproxy\.dll$"
RPC_WITH_CERT = r"(?i)^/rpcwithcert/rpcproxy\.dll$"


@dataclass(frozen=True)
class Conf:
    """What a test asks of httpd; equal Confs share a running httpd."""

    mpm: str = "event"
    auth: str = "basic"          # basic, ntlm, negotiate, none
    ports: tuple = ()            # arguments of RpcProxyValidPorts
    routes: tuple = ()           # arguments of RpcProxyRoute, one line each
    location: tuple = ()         # more lines for the RPC locations
    server: tuple = ()           # lines outside of every section
    vhost: tuple = ()            # lines at the end of each virtual host
    modules: tuple = ()          # more modules, "http2"
    http_tls_off: bool = True    # RpcProxyRequireTLS Off in the http host
    children: int = 3
    threads: int = 25


LOADED = ["authn_core", "authz_core", "authn_file", "authz_user",
          "authz_host", "auth_basic", "ssl", "socache_shmcb", "setenvif",
          "env", "headers", "reqtimeout", "allowmethods", "dir", "mime"]

MPM = {
    "event": """StartServers {c}
ServerLimit {limit}
ThreadsPerChild {t}
MaxRequestWorkers {workers}
MinSpareThreads {t}
MaxSpareThreads {workers}
""",
    "prefork": """StartServers {c}
ServerLimit 300
MaxRequestWorkers 150
MinSpareServers {c}
MaxSpareServers 150
""",
}
MPM["worker"] = MPM["event"]

#: RpcProxyDrainTimeout: after a graceful restart idle channels end at random
#: moments within it; those of an hour would fall into tests.
BASE = """ServerRoot {dir}
ServerName proxy.example.test
DefaultRuntimeDir {dir}/run
PidFile {dir}/run/httpd.pid
ErrorLog {dir}/error.log
LogLevel info ssl:warn rpcproxy:{level}
LogFormat "%P\\t%{{RPC_CHANNEL}}e\\t%{{RPC_CONNECTION}}e\\t%>s\\t%u\\t\
%{{RPC_TARGET}}e\\t%{{RPC_END}}n\\t%v:%p\\t%r" test
CustomLog {dir}/access.log test
User {user}
Group {group}
GracefulShutdownTimeout 5
RpcProxyDrainTimeout 24h
Listen 127.0.0.1:{http}
Listen [::1]:{http}
Listen 127.0.0.1:{https}
Listen 127.0.0.1:{cert}
SSLSessionCache shmcb:{dir}/run/ssl(512000)
TypesConfig /dev/null
DocumentRoot {dir}/htdocs
<Directory {dir}/htdocs>
    Require all granted
</Directory>
"""

SSL = """    SSLEngine on
    SSLCertificateFile {certs.server}
    SSLCertificateKeyFile {certs.server_key}
"""


def password_line(user, password):
    """A line for AuthUserFile, in its {SHA} form."""
    digest = hashlib.sha1(password.encode()).digest()
    return f"{user}:{{SHA}}{base64.b64encode(digest).decode()}\n"


def _auth(conf, where):
    if conf.auth == "none":
        return ["Require all granted"]
    if conf.auth == "basic":
        return ["AuthType Basic", "AuthName rpc", "AuthBasicProvider file",
                f"AuthUserFile {where}/passwords", "Require valid-user"]
    if conf.auth == "ntlm":
        return ["AuthType GSSAPI", "AuthName rpc",
                "GssapiAllowedMech ntlmssp", "GssapiConnectionBound On",
                "Require valid-user"]
    return ["AuthType GSSAPI", "AuthName rpc", "GssapiAllowedMech krb5",
            "GssapiConnectionBound On",
            f"GssapiCredStore keytab:{where}/http.keytab",
            "Require valid-user"]


def _section(conf, where, tls, cert=False):
    auth = ["Require all granted"] if cert else _auth(conf, where)
    lines = list(auth)
    if not tls and conf.http_tls_off:
        lines.append("RpcProxyRequireTLS Off")
    if conf.ports:
        lines.append("RpcProxyValidPorts "
                     + " ".join(f'"{p}"' for p in conf.ports))
    lines += [f"RpcProxyRoute {r}" for r in conf.routes]
    lines += conf.location
    body = "".join(f"        {line}\n" for line in lines)
    path = RPC_WITH_CERT if cert else RPC
    return f'    <LocationMatch "{path}">\n{body}    </LocationMatch>\n'


def _vhost(conf, where, port, head, section):
    more = "".join(f"    {line}\n" for line in conf.vhost)
    return (f"<VirtualHost *:{port}>\n    ServerName proxy.example.test\n"
            f"{head}{section}{more}</VirtualHost>\n")


def extra_host(listen, conf, certs=None, head=()):
    """Lines for Conf.server: one more virtual host, behind "Listen listen".
    Its RPC location is what conf says; with certs it speaks TLS. head are
    lines of the host itself."""
    text = SSL.format(certs=certs) if certs else ""
    text += "".join(f"    {line}\n" for line in head)
    # httpd takes a relative path from ServerRoot.
    host = _vhost(conf, ".", listen.rpartition(":")[2], text,
                  _section(conf, ".", tls=certs is not None))
    return (f"Listen {listen}", *host.splitlines())


def write(conf, where, ports, certs, module, user, level="info"):
    """Writes where/httpd.conf and what it names; ports is a dict with
    http, https and cert."""
    for name in ("run", "htdocs"):
        (where / name).mkdir(exist_ok=True)
    (where / "htdocs/index.html").write_text("another site\n")
    (where / "passwords").write_text(
        password_line(env.USER, env.PASSWORD)
        # impacket and Samba put their domain before the name.
        + password_line(f"{env.DOMAIN}\\{env.USER}", env.PASSWORD)
        + password_line(env.OTHER_USER, env.OTHER_PASSWORD))
    loaded = [f"mpm_{conf.mpm}", *LOADED, *conf.modules]
    if conf.auth in ("ntlm", "negotiate"):
        loaded.append("auth_gssapi")
    text = [f"LoadModule {m}_module {MODULES}/mod_{m}.so\n" for m in loaded]
    text.append(f"LoadModule rpcproxy_module {module}\n")
    text.append(BASE.format(dir=where, level=level, user=user[0],
                            group=user[1], **ports))
    text.append(MPM[conf.mpm].format(
        c=conf.children, t=conf.threads, limit=4 * conf.children,
        workers=(2 * conf.children) * conf.threads))
    text.append(f"Include {SHIPPED_CONF}\n")
    text += [line + "\n" for line in conf.server]
    text.append('<Location "/rpcproxy-status">\n'
                "    SetHandler rpcproxy-status\n    Require all granted\n"
                "</Location>\n")
    ssl = SSL.format(certs=certs)
    text.append(_vhost(conf, where, ports["http"], "",
                       _section(conf, where, tls=False)))
    text.append(_vhost(conf, where, ports["https"], ssl,
                       _section(conf, where, tls=True)))
    verify = (f"    SSLCACertificateFile {certs.ca}\n"
              "    SSLVerifyClient require\n")
    text.append(_vhost(conf, where, ports["cert"], ssl + verify,
                       _section(conf, where, tls=True, cert=True)))
    path = where / "httpd.conf"
    path.write_text("".join(text))
    return path
