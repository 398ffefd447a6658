# SPDX-License-Identifier: Apache-2.0
"""The fronts of the benchmarks: what ends TLS before an inner RPC proxy and
passes its requests on. httpd with mod_proxy_rpch, stock httpd with
mod_proxy_http as good as it can be made, and HAProxy in http mode; all before
the same inner proxy, an httpd with mod_rpcproxy.
"""

import os
from pathlib import Path

import rig as rig_
import servers

MODULE = Path(os.environ.get("MOD_PROXY_RPCH", ".libs/mod_proxy_rpch.so"))


class FrontHttpd(servers.Httpd):
    """httpd with mod_proxy_rpch before an inner proxy's port."""

    LOADED = ("proxy",)
    LINES = ("RequestReadTimeout header=0 body=0",)

    def __init__(self, rig, inner_port, shape=servers.Shape(),
                 name="front"):
        self.inner_port = inner_port
        super().__init__(rig, servers.with_modules(shape, self.LOADED), name)

    def _module(self):
        if not MODULE.exists():
            raise rig_.Failed(f"there is no {MODULE}: make")
        return f"LoadModule proxy_rpch_module {MODULE.resolve()}\n"

    def _server_lines(self):
        return [*self.LINES, *self.shape.lines]

    def _status(self):
        return ""

    def _location(self, window):
        return ('    ProxyPass "/rpc" '
                f'"rpch://127.0.0.1:{self.inner_port}/rpc"\n')


class StockHttpd(FrontHttpd):
    """Stock httpd with mod_proxy_http, in the best configuration that is known
    for it: it waits neither for the body nor for more of the response, closes
    no connection that is quiet, and keeps none for others."""

    LOADED = ("env", "proxy", "proxy_http")

    def __init__(self, rig, inner_port, connections, name="mod_proxy_http"):
        # A worker for each of the two requests of a virtual connection.
        super().__init__(rig, inner_port,
                         servers.loop_shape(2 * connections), name)

    def _module(self):
        return ""

    def _location(self, window):
        return ('    SetEnv proxy-prefetch-nonblocking 1\n'
                '    ProxyPass "/rpc" '
                f'"http://127.0.0.1:{self.inner_port}/rpc" flushpackets=on '
                'disablereuse=on timeout=36000\n')


HAPROXY_HTTP = """defaults
    mode http
    option http-no-delay
    timeout connect 10s
    timeout client 10h
    timeout server 10h
    timeout http-request 1m
listen plain
    bind 127.0.0.1:{plain} backlog 4096
    server inner 127.0.0.1:{inner}
listen tls
    bind 127.0.0.1:{tls} ssl crt {pem} alpn http/1.1 backlog 4096
    server inner 127.0.0.1:{inner}
"""


class HaproxyHttp(servers.Haproxy):
    """HAProxy in http mode before an inner proxy's port."""

    name = "haproxy-http"
    SECTIONS = HAPROXY_HTTP


#: Name -> a server of its own before the inner proxy, for so many virtual
#: connections.
def make(name, rig, inner_port, connections):
    if name == "front":
        return FrontHttpd(rig, inner_port)
    if name == "mod_proxy_http":
        return StockHttpd(rig, inner_port, connections,
                          f"{name}-{connections}")
    if name == "haproxy-http":
        return HaproxyHttp(rig, inner_port)
    raise rig_.Failed(f"no front is called {name}")
