# SPDX-License-Identifier: Apache-2.0
"""What a benchmark stands on: a network and process namespace of its own, a
scratch directory, a certificate, and programs that are started and ended.

Inside the namespace ports are nobody else's, the range of ephemeral ports can
be widened, and whatever the run started ends with it, even when it is killed.
"""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

INSIDE = "RPCH_BENCH_INSIDE"


class Failed(Exception):
    """Something that the user should read, not a traceback."""


def enter_namespace():
    """Runs the program again inside namespaces and ends as it ends; returns
    only there."""
    if os.environ.get(INSIDE):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(
            "1024 65535\n")
        raise_descriptor_limit()
        return
    if os.geteuid() != 0:
        raise Failed("needs root: httpd gives its children to another user, "
                     "and the run makes a network namespace of its own")
    need_program("unshare", "util-linux")
    need_program("ip", "iproute2")
    where = tempfile.mkdtemp(prefix="rpch-bench.")
    child = subprocess.Popen(
        ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child",
         "--mount-proc", sys.executable, *sys.argv],
        env={**os.environ, INSIDE: where})
    # unshare itself does not let itself be ended; all inside ends with it.
    signal.signal(signal.SIGTERM, lambda *_: child.kill())
    try:
        code = child.wait()
    except KeyboardInterrupt:
        child.kill()
        code = child.wait()
    if "--keep" in sys.argv:
        print(f"kept: {where}")
    else:
        shutil.rmtree(where, ignore_errors=True)
    sys.exit(code if code >= 0 else 128 - code)


def set_nice(nice):
    """The niceness of this process and of all that it starts."""
    os.nice(nice)
    Process.nice = nice
    if nice:
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(f"{nice}\n")


def raise_descriptor_limit():
    """The soft limit of open files becomes the hard one."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def need_program(name, package):
    """The path of a program, or what must be installed."""
    path = shutil.which(name, path=os.environ.get("PATH", "")
                        + ":/usr/sbin:/usr/local/sbin")
    if not path:
        raise Failed(f"{name} is missing; Debian and Ubuntu: "
                     f"apt-get install {package}")
    return path


def wait_until(check, what, timeout=30.0, interval=0.02):
    """Calls check until it returns something true, and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"waited {timeout:.0f} s in vain for {what}")
        time.sleep(interval)


class Ports:
    """Ports of the namespace's loopback interface, below those that the
    kernel gives to clients once the range is narrowed."""

    #: Above them all clients' ports; 64,000 are left.
    FIRST, LAST = 1100, 1500

    def __init__(self):
        self.next = self.FIRST
        Path("/proc/sys/net/ipv4/ip_local_reserved_ports").write_text(
            f"{self.FIRST}-{self.LAST}\n")

    def new(self):
        if self.next > self.LAST:
            raise Failed("no port is left")
        self.next += 1
        return self.next - 1


def can_connect(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def tail(path, size=2000):
    """The end of a file, for an error message."""
    try:
        return Path(path).read_text(errors="replace")[-size:]
    except OSError:
        return ""


class Process:
    """A program that the run started; ended with its whole session."""

    nice = 0     # of all that are started from now on

    def __init__(self, name, argv, output, env=None):
        self.name, self.output = name, Path(output)
        with open(self.output, "ab") as out:
            self.popen = subprocess.Popen(
                [str(a) for a in argv], stdout=out, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, env=env, start_new_session=True)
        self.pid = self.popen.pid
        if Process.nice:
            # Of the session: where the kernel groups tasks by session, a
            # process's own niceness counts only within its session.
            with contextlib.suppress(OSError):
                Path(f"/proc/{self.pid}/autogroup").write_text(
                    f"{Process.nice}\n")

    def alive(self):
        return self.popen.poll() is None

    def wait_ready(self, check, timeout=30):
        def ready():
            if not self.alive():
                raise Failed(f"{self.name} ended with "
                             f"{self.popen.returncode}:\n{tail(self.output)}")
            return check()
        return wait_until(ready, f"{self.name} to be ready", timeout)

    def wait(self, timeout):
        """The exit status; a program that does not end is ended."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.stop(signal.SIGKILL)
            raise Failed(f"{self.name} did not end within {timeout:.0f} s:\n"
                         + tail(self.output)) from None

    def stop(self, sig=signal.SIGTERM, timeout=15):
        if self.alive():
            os.kill(self.pid, sig)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(timeout)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait(5)
        return self.popen.returncode


class Rig:
    """The run's scratch directory, a certificate, and what was started; a
    context manager that ends all of it."""

    def __init__(self):
        self.dir = Path(os.environ[INSIDE])
        self.dir.chmod(0o755)
        self.ports = Ports()
        self.processes = []
        self.files, self.lock = 0, threading.Lock()
        self.cert, self.key = self.dir / "cert.pem", self.dir / "key.pem"
        self._make_certificate()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for process in reversed(self.processes):
            process.stop()

    def _make_certificate(self):
        done = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext",
             "basicConstraints=critical,CA:FALSE", "-keyout",
             str(self.key), "-out", str(self.cert)], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise Failed(f"openssl made no certificate:\n{done.stdout}")
        pem = self.dir / "both.pem"         # as HAProxy wants it
        pem.write_text(self.cert.read_text() + self.key.read_text())

    def file(self, name):
        """A new path of the scratch directory."""
        with self.lock:
            self.files += 1
            return self.dir / f"{self.files:03d}-{name}"

    def start(self, name, argv, env=None):
        process = Process(name, argv, self.file(name + ".out"), env)
        self.processes.append(process)
        return process

    def stop(self, process, sig=signal.SIGTERM, timeout=15):
        self.processes.remove(process)
        return process.stop(sig, timeout)
