# SPDX-License-Identifier: Apache-2.0
"""rpch-client in a test: started with options, judged by its exit status,
and its counts compared with what the proxies logged and counted."""

import asyncio
import os
import re
import threading

import env

PROGRAM = os.environ.get("RPCH_CLIENT", "./rpch-client")
MIB = 1 << 20
#: What moves each way in one test, MiB.
BULK_MIB = int(os.environ.get("BULK_MIB", "16"))
#: The lifetime of every channel: the least that OUT may have.
LIFETIME = 131072

FORMS = ("in_r1", "in_r2", "out_r1", "out_r2")


def address(proxy):
    """HOST:PORT of an Httpd, or of anything with host and port."""
    host, port = (proxy.address() if hasattr(proxy, "address")
                  else (proxy.host, proxy.port))
    return f"{host}:{port}"


class Client:
    """One rpch-client. Options are those of its command line, with _ for -;
    one that is None is left out."""

    def __init__(self, log, proxies, target, **options):
        options = {"user": env.USER, "password": env.PASSWORD,
                   "bytes": BULK_MIB * MIB, "in_lifetime": LIFETIME,
                   "timeout": 30000, **options}
        argv = [PROGRAM, "--server", target, "--stats"]
        for proxy in proxies:
            argv += ["--proxy", address(proxy)]
        for name, value in options.items():
            if value is not None:
                argv += [f"--{name.replace('_', '-')}", str(value)]
        self.process = env.Process("rpch-client", argv, log)

    def said(self):
        return self.process.log.read_text(errors="replace")

    def wait(self, timeout=None):
        """Its exit status."""
        try:
            self.process.popen.wait(timeout or 60 + 4 * BULK_MIB)
        finally:
            self.process.stop()
        return self.process.popen.returncode

    def counts(self, timeout=None):
        """The numbers of its last line; it must have succeeded."""
        status = self.wait(timeout)
        assert status == 0, f"exit status {status}: {self.said()[-3000:]}"
        return self.numbers()

    def numbers(self):
        return {name: int(n) for name, n in
                re.findall(r"(\w+)=(\d+)", self.said().splitlines()[-1])}

    def error(self, timeout=None):
        """What it says why it failed; it must have."""
        status = self.wait(timeout)
        assert status == 1, f"exit status {status}: {self.said()[-3000:]}"
        return "\n".join(line for line in self.said().splitlines()
                         if line.startswith("rpch-client:"))


def total(counts, names=FORMS):
    """The sum over several clients, by name."""
    return {name: sum(c[name] for c in counts) for name in names}


class Recyclings:
    """What httpds log and count from now on."""

    PAGE = ("channels_recycled_r1", "channels_recycled_r2")

    def __init__(self, *servers):
        self.servers = servers
        self.marks = {s: s.errors.mark() for s in servers}
        self.pages = {s: s.status() for s in servers}

    def logged(self, tag, way, server=None):
        """The lines of tag about that direction."""
        return sum(tag in line and f"{tag}: {way} channel" in line
                   for s in ([server] if server else self.servers)
                   for line in s.errors.since(self.marks[s]))

    def page(self, server):
        now = server.status()
        return [now[name] - self.pages[server][name] for name in self.PAGE]

    def seen(self):
        """As a client counts: by direction and form. RPX0313 is each channel
        that was replaced, RPX0314 each that took the leg of one."""
        r2 = {way: self.logged("RPX0314", way) for way in ("IN", "OUT")}
        all_ = {way: self.logged("RPX0313", way) for way in ("IN", "OUT")}
        return {"in_r1": all_["IN"] - r2["IN"], "in_r2": r2["IN"],
                "out_r1": all_["OUT"] - r2["OUT"], "out_r2": r2["OUT"]}

    def check(self, *counts):
        """Waits until the connections have ended, and compares."""
        want = total(counts)
        for server in self.servers:
            server.wait_idle()
        try:
            env.wait_until(lambda: self.seen() == want, "log lines", 30)
        except env.Timeout:
            raise AssertionError(f"the clients count {want}, the log "
                                 f"{self.seen()}") from None
        pages = [self.page(s) for s in self.servers]
        # R1 counts at both: the channel that left, the one that came.
        assert [sum(column) for column in zip(*pages)] == [
            2 * (want["in_r1"] + want["out_r1"]),
            want["in_r2"] + want["out_r2"]], (pages, want)


class TlsFront:
    """Takes plain connections and makes TLS of them: rpch-client speaks no
    TLS itself."""

    def __init__(self, to, context, name="proxy.example.test"):
        self.to, self.context, self.name = to, context, name
        self.host = "127.0.0.1"
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever,
                                       daemon=True)
        self.thread.start()
        self.server = self._call(asyncio.start_server(
            self._serve, self.host, 0))
        self.port = self.server.sockets[0].getsockname()[1]

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(
            coroutine, self.loop).result(20)

    async def _serve(self, reader, writer):
        try:
            far, near = await asyncio.open_connection(
                *self.to, ssl=self.context, server_hostname=self.name)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pump(reader, near),
                             self._pump(far, writer))

    @staticmethod
    async def _pump(reader, writer):
        """Until either side ends; the other one is closed then."""
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    def close(self):
        async def end():
            self.server.close()
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()
        self._call(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()
