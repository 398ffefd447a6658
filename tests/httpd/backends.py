# SPDX-License-Identifier: Apache-2.0
"""The names that clients ask for, and what is behind each.

One httpd reaches everything: dc.* is Samba, echo.* our rpch-server; *.tcp
by ncacn_ip_tcp, *.http by ncacn_http through the strict server, and own.http
is rpch-server's own ncacn_http.
"""

DC_PORTS = (135, 49152, 49153)


class Backends:
    def __init__(self, dc, echo, strict_of):
        self.dc, self.echo = dc, echo
        self.strict = {port: strict_of(dc.host, port) for port in DC_PORTS}
        self.strict_echo = strict_of(echo.host, echo.tcp_port)
        self.ports = (
            "dc.tcp:135;dc.tcp:49152-49153",
            "dc.http:135;dc.http:49152-49153",
            "echo.tcp:1;echo.http:1;own.http:1")
        self.routes = (
            f"dc.tcp protocol=ncacn_ip_tcp to={dc.host}",
            *(f"dc.http:{p} to=127.0.0.1:{s.port}"
              for p, s in self.strict.items()),
            f"echo.tcp protocol=ncacn_ip_tcp to=127.0.0.1:{echo.tcp_port}",
            f"echo.http to=127.0.0.1:{self.strict_echo.port}",
            f"own.http to=127.0.0.1:{echo.http_port}")

    def fields(self, **more):
        """The fields of a Conf that reaches all of it."""
        return {"ports": self.ports, "routes": self.routes, **more}

    def strict_servers(self):
        return [*self.strict.values(), self.strict_echo]
