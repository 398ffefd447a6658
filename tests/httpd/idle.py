# SPDX-License-Identifier: Apache-2.0
"""One virtual connection of each client that is silent for as many Pings as
a long silence brings, and then makes a call."""

import bulk
import clients
import logs
import rawclient
import strict_recycling
from httpd import Httpd
from httpd_conf import Conf

#: Pings of 20 bytes each go unreported up to 1031 bytes; at the default
#: interval of 60 s so many are more than half an hour.
PINGS = 53
#: Each Ping may be a little late, and that adds up.
SILENCE = PINGS + 15
KINDS = ("tcp", "http")


class Idlers:
    """They start together; each is looked at once."""

    def __init__(self, scratch, certs, backends, samba):
        self.back = strict_recycling.RecyclingServer(
            (backends.echo.host, backends.echo.tcp_port))
        f = backends.fields(
            location=("RpcProxyPingInterval 1s",
                      "RpcProxyChannelLifetime 128K"))
        f["ports"] += ("idle.tcp:1;idle.http:1",)
        f["routes"] += (
            f"idle.tcp protocol=ncacn_ip_tcp to={backends.echo.host}:"
            f"{backends.echo.tcp_port}",
            f"idle.http to={self.back.host}:{self.back.port}")
        self.httpd = Httpd(scratch, certs, Conf(mpm="event", **f)).start()
        self.raw, self.bulk, self.impacket, self.samba = {}, {}, {}, {}
        via = self.httpd.via()
        for kind in KINDS:
            raw = rawclient.RawClient(self.httpd.address(), f"idle.{kind}:1")
            self.raw[kind] = raw, raw.open().calls()
            assert self.raw[kind][1].add_one(1) == 2
            self.bulk[kind] = bulk.Client(
                self.httpd.dir / f"rpch-client-{kind}", [self.httpd],
                f"idle.{kind}:1", bytes=100000, ping_interval=1000,
                idle=SILENCE * 1000)
            self.impacket[kind] = clients.impacket_idle(f"idle.{kind}", 1,
                                                        via)
            self.samba[kind] = samba.idle(f"dc.{kind}", 135, via)

    def close(self):
        for raw, _ in self.raw.values():
            raw.close()
        for running in self.bulk.values():
            running.process.stop()
        for program in [*self.impacket.values(), *self.samba.values()]:
            program.close()
        try:
            self.httpd.wait_idle()
            self.httpd.stop()
        finally:
            self.back.close()

    def wait(self):
        """Until all have been silent for long enough."""
        for raw, _ in self.raw.values():
            while raw.pings < PINGS:
                raw.queue_one()

    def notified(self):
        """What the server was told of Pings, for each connection."""
        return [v.ping_bytes for v in self.back.history]

    def bad(self):
        """The lines of its log that should not be there."""
        return logs.bad_lines(self.httpd.errors.since(0))
