# SPDX-License-Identifier: Apache-2.0
"""The ways that the same PDUs take to the same server: through the module,
through what it is compared with, and straight.

All servers of a run are started once, at their first use, and stay: one that
is idle costs nothing, and rounds can alternate between them.
"""

import load
import rig as rig_
import servers
import servers_front

#: What ends TLS before an inner RPC proxy, which is the way "ours".
FRONTS = ("front", "mod_proxy_http", "haproxy-http")


class Way:
    """One way: clients made for it, and the server between them."""

    def __init__(self, name, via, server, backends):
        self.name, self.via, self.server = name, via, server
        self.backends = backends          # window -> list of load.Server

    @property
    def pid(self):
        return self.server.pid if self.server else 0

    def argv(self, tls, connections, window=256, more=()):
        behind = self.backends(window)
        if self.server:
            port = self.server.ports.of(tls, window)
        else:
            port = [b.port for b in behind]
        return load.client_argv(self.via, port, behind, connections, tls,
                                window, servers.TARGET, more)


class Ways:
    """Makes each way when it is asked for."""

    def __init__(self, rig, back_ends=1):
        self.rig, self.count = rig, back_ends
        self.made, self.servers_by_window = {}, {}

    def backends(self, window):
        if window not in self.servers_by_window:
            self.servers_by_window[window] = [
                load.Server(self.rig, window) for _ in range(self.count)]
        return self.servers_by_window[window]

    def get(self, name, connections=64):
        """The way of that name. connections is what a server that holds a
        worker for each must be able to hold."""
        key = name
        if name in ("threads", "mod_proxy_http"):
            key = f"{name}-{connections}"
        if key not in self.made:
            self.made[key] = self._make(name, connections)
        return self.made[key]

    def inner_port(self):
        """Where the inner proxy of all fronts listens."""
        return self.get("ours").server.ports.plain

    def _make(self, name, connections):
        if name == "ours":
            return Way(name, "rpch", servers.Httpd(self.rig).start(),
                       self.backends)
        if name == "threads":
            shape = servers.loop_shape(2 * connections)
            return Way(name, "rpch",
                       servers.Httpd(self.rig, shape,
                                     f"{name}-{connections}").start(),
                       self.backends)
        if name in FRONTS:
            return self.front(name, connections)
        if name == "haproxy-tcp":
            raw = self.backends(256)[0].port
            return Way(name, "raw", servers.Haproxy(self.rig, raw).start(),
                       self.backends)
        if name == "mod_proxy_connect":
            return Way(name, "connect",
                       servers.ConnectHttpd(self.rig, connections).start(),
                       self.backends)
        if name == "direct":
            return Way(name, "raw", None, self.backends)
        raise rig_.Failed(f"no way is called {name}")

    def front(self, name, connections):
        """A way of its own through a new front."""
        server = servers_front.make(name, self.rig, self.inner_port(),
                                    connections)
        return Way(name, "rpch", server.start(), self.backends)

    def drop(self, name):
        """Ends the server of a way."""
        way = self.made.pop(name, None)
        if way and way.server:
            way.server.stop()
