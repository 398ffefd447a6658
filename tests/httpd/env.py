# SPDX-License-Identifier: Apache-2.0
"""The run's scratch directory, its processes, its certificates.

Every process is started in a session of its own and ended by its pid; what
a process writes goes to a file of the scratch directory. Nothing sleeps for
readiness: wait_until() polls with a deadline.
"""

import collections
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent

#: The one user of all tests. The same credentials go to HTTP and to the
#: RPC bind in Samba's client, so the domain has this user too.
USER = "Administrator"
PASSWORD = "Rpc-Passw0rd"
DOMAIN = "RIG"
#: A second user, known to httpd only.
OTHER_USER = "mallory"
OTHER_PASSWORD = "M-Passw0rd"


class Timeout(AssertionError):
    """What was waited for did not come before the deadline."""


def wait_until(check, what, timeout=20.0, interval=0.02):
    """Calls check until it returns something true, and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout(f"waited {timeout} s in vain for {what}")
        time.sleep(interval)


def accept_each(listener, take):
    """Calls take(socket, address) for each connection that comes, one after the
    other in a thread of its own, until the listener is closed."""
    def accept():
        while True:
            try:
                sock, peer = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            take(sock, peer)
    threading.Thread(target=accept, daemon=True).start()


def close_listener(listener):
    """Ends accept_each as well: close() alone leaves its thread in accept(),
    and with it a socket that listens and takes one more connection."""
    try:
        listener.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    listener.close()


def in_thread(run, *args):
    """run(*args) in a thread that nobody waits for."""
    threading.Thread(target=run, args=args, daemon=True).start()


def free_port(given=collections.deque(maxlen=64)):
    """A port that the kernel says is free at every address, and none of those
    given last: they may not be bound yet. The namespace is ours alone, so that
    nobody takes it before it is used."""
    while True:
        with socket.socket(socket.AF_INET6) as s:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            s.bind(("::", 0))
            port = s.getsockname()[1]
        if port not in given:
            given.append(port)
            return port


def can_connect(host, port):
    """True when a TCP connection to host:port is accepted."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


class Process:
    """A program that the run started."""

    def __init__(self, name, argv, log, env=None, cwd=None, stdin=None):
        self.name = name
        self.log = Path(log)
        out = open(self.log, "ab")
        try:
            self.popen = subprocess.Popen(
                [str(a) for a in argv], stdout=out, stderr=out, cwd=cwd,
                stdin=stdin or subprocess.DEVNULL, env=env,
                start_new_session=True)
        finally:
            out.close()
        self.pid = self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def wait_ready(self, check, timeout=30):
        """Polls check; a program that ended before is an error."""
        def ready():
            if not self.alive():
                raise AssertionError(
                    f"{self.name} ended with {self.popen.returncode}: "
                    + self.log.read_text(errors="replace")[-2000:])
            return check()
        return wait_until(ready, f"{self.name} to be ready", timeout)

    def stop(self, sig=signal.SIGTERM, timeout=20):
        """Asks the program to end, then ends its whole session."""
        if self.alive():
            os.kill(self.pid, sig)
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait(5)
        return self.popen.returncode


def run(argv, timeout=60, env=None, check=True, **kw):
    """Runs a program to its end; its output is in the error."""
    done = subprocess.run([str(a) for a in argv], timeout=timeout, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", **kw)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, argv))} ended with "
                             f"{done.returncode}:\n{done.stdout[-3000:]}")
    return done


class Scratch:
    """The run's directory. Readable by httpd's user, removed at the end of
    a run that passed."""

    def __init__(self):
        self.root = Path(tempfile.mkdtemp(prefix="rpch-httpd."))
        self.root.chmod(0o755)
        self._n = 0

    def dir(self, name):
        """A new directory: name, or name-2 and so on when it is taken."""
        self._n += 1
        path = self.root / name
        if path.exists():
            path = self.root / f"{name}-{self._n}"
        path.mkdir(parents=True)
        return path

    def remove(self):
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.root, ignore_errors=True)


class Certificates:
    """A certificate authority, a server's certificate, two clients'."""

    def __init__(self, where):
        self.dir = where
        self.ca = where / "ca.pem"
        self.server = where / "server.pem"
        self.server_key = where / "server.key"
        self.client = where / "client.pem"
        self.client_key = where / "client.key"
        self.other = where / "other.pem"
        self.other_key = where / "other.key"
        self._make_ca()
        self._sign("server", "/CN=proxy.example.test",
                   "subjectAltName=DNS:proxy.example.test,DNS:localhost,"
                   "IP:127.0.0.1")
        self._sign("client", "/O=Example/CN=alice",
                   "extendedKeyUsage=clientAuth")
        self._sign("other", "/O=Example/CN=bob",
                   "extendedKeyUsage=clientAuth")

    def _openssl(self, *argv, **kw):
        run(["openssl", *argv], cwd=self.dir, **kw)

    def _make_ca(self):
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes",
                      "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
                      "-subj", "/CN=Test CA")

    def _sign(self, name, subject, extension):
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout",
                      f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        (self.dir / f"{name}.ext").write_text(extension + "\n")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem",
                      "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                      "-out", f"{name}.pem", "-extfile", f"{name}.ext")
