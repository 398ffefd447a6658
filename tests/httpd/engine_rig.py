# SPDX-License-Identifier: Apache-2.0
"""What the tests of the engine need: servers that answer nothing, httpds of
one test alone, and a look at the children: who holds a channel, and how much
of a processor they use."""

import array
import fcntl
import os
import socket
import tempfile
import termios
import time
from collections import namedtuple
from pathlib import Path

import pytest

import env
import rpc
import rts

#: A request and a response of any interface, as long as a fragment may be.
REQUEST = rts.header(rpc.REQUEST, 4280) + bytes(4264)
RESPONSE = rts.header(rpc.RESPONSE, 4280) + bytes(4264)
SMALL_RESPONSE = rts.header(rpc.RESPONSE, 280) + bytes(264)

TICKS = os.sysconf("SC_CLK_TCK")
#: The share of a processor that a child may use that has nothing to do. A
#: busy loop takes all that it can get.
IDLE_SHARE = 0.25
#: States in /proc/net/tcp.
ESTABLISHED, LISTEN = "01", "0A"


@pytest.fixture(scope="module")
def full():
    """A server that does not answer a SYN: its backlog is full."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fill = [socket.socket() for _ in range(3)]
    for s in fill:
        s.setblocking(False)
        s.connect_ex(listener.getsockname())
    yield listener.getsockname()[1]
    for s in (*fill, listener):
        s.close()


@pytest.fixture
def deaf_dns():
    """A name server that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.99", 53))
        yield


class Backend:
    """An ncacn_ip_tcp server that is no RPC server. "idle" reads nothing,
    "sink" reads everything, "flood" sends responses for ever, "both" reads
    everything and sends small ones."""

    def __init__(self, mode):
        self.mode = mode
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.connections = []
        env.accept_each(self.listener, self._take)

    def route(self, name):
        return f"{name} protocol=ncacn_ip_tcp to=127.0.0.1:{self.port}"

    def _take(self, sock, _):
        self.connections.append(sock)
        for work in WORK[self.mode]:
            env.in_thread(work, sock)

    def hang_up(self, how=socket.SHUT_RDWR):
        """Ends the connection that came last."""
        self.connections[-1].shutdown(how)

    def close(self):
        env.close_listener(self.listener)
        for sock in self.connections:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()


def flood(sock, data=RESPONSE):
    """Sends data until the peer is gone; returns how often."""
    n = 0
    try:
        while True:
            sock.sendall(data)
            n += 1
    except OSError:
        return n


def trickle(sock):
    """Sends small responses without a pause: a channel's lifetime of bytes
    lasts for long."""
    return flood(sock, SMALL_RESPONSE)


def drain(sock):
    """Reads until the peer is gone."""
    buffer = bytearray(1 << 22)
    try:
        while sock.recv_into(buffer):
            pass
    except OSError:
        pass


WORK = {"idle": (), "sink": (drain,), "flood": (flood,),
        "both": (drain, trickle)}


def open_slow(client):
    """Opens client's connection; hardly anything fits between httpd and the
    client then."""
    client.start_out()
    client.cout.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.read_200()
    client.read_a3()
    client.start_in()
    client.read_c2()
    return client


def wait_stuck(channel):
    """Waits until bytes lie at channel that nobody reads, and no more
    come."""
    seen = []

    def stuck():
        waiting = array.array("i", [0])
        fcntl.ioctl(channel.sock, termios.FIONREAD, waiting)
        seen.append(waiting[0])
        return seen[-1] > 0 and len(set(seen[-10:])) == 1 and len(seen) > 10
    env.wait_until(stuck, "the channel to be full", 20, 0.05)


def send_until_full(channel, data=REQUEST * 10, most=1 << 30):
    """Sends until nobody takes any more, and says how much it was."""
    channel.sock.settimeout(1)
    sent = 0
    try:
        while sent < most:
            channel.send(data)
            sent += len(data)
    except TimeoutError:
        pass
    return sent


#: unsent, unread: bytes in its queues.
TcpSocket = namedtuple("TcpSocket", "peer state inode unsent unread")


def tcp_sockets(server):
    """Each socket on server's ports that the kernel lists and a process of
    httpd holds."""
    for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        field = line.split()
        port, peer = (int(a.split(":")[1], 16) for a in field[1:3])
        if port in server.ports.values() and field[9] != "0":
            unsent, unread = (int(n, 16) for n in field[4].split(":"))
            yield TcpSocket(peer, field[3], field[9], unsent, unread)


def connections(server):
    """port of the client -> inode of httpd's socket, of each connection that
    a process of httpd holds."""
    return {s.peer: s.inode for s in tcp_sockets(server) if s.peer}


def unlisted(server):
    """Sockets of children that the kernel lists nowhere: of a connection in
    TIME-WAIT, which is a worker's until that has closed it. With mod_http2
    each child has one that is never bound, and they cannot be told apart."""
    if "http2" in server.conf.modules:
        return []
    listed = set()
    for table in ("tcp", "tcp6", "udp", "udp6", "unix", "netlink"):
        listed.update(Path(f"/proc/self/net/{table}").read_text().split())
    held = set()
    for pid in server.children():
        try:
            held.update(os.readlink(f)
                        for f in Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            held.add(f"socket:[of {pid}, which changes]")
    return [name for name in held if name.startswith("socket:[")
            and name[len("socket:["):-1] not in listed]


def closing(server):
    """True while a process of httpd has a connection that one side has
    closed."""
    return bool(unlisted(server)
                or any(s.state not in (ESTABLISHED, LISTEN)
                       for s in tcp_sockets(server)))


def wait_closed(server):
    """Before a hard stop: httpd closes the sockets of its workers under them,
    and a worker that is just closing its connection, such as the status
    page's, logs an error (AH03092, AH00468) or crashes. Channels may linger
    for longer than that takes, and are no workers' with the reactor."""
    try:
        env.wait_until(lambda: not closing(server), "workers to close", 3)
    except env.Timeout:
        pass


def connection_count(server):
    """How many connections processes of httpd hold."""
    return len(connections(server)) + len(unlisted(server))


def holder(server, channel):
    """The pid of the child that serves channel."""
    mine = channel.sock.getsockname()[1]

    def find():
        inode = f"socket:[{connections(server).get(mine)}]"
        for pid in server.children():
            try:
                if any(os.readlink(f) == inode
                       for f in Path(f"/proc/{pid}/fd").iterdir()):
                    return pid
            except OSError:
                continue
        return None
    return env.wait_until(find, "a child to serve the channel")


def processor_seconds(pid):
    """What pid used of the processors so far; None when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    field = stat.rpartition(")")[2].split()
    return (int(field[11]) + int(field[12])) / TICKS


def shares(pids, seconds=0.4):
    """pid -> the share of a processor that it uses, now."""
    before = {pid: processor_seconds(pid) for pid in pids}
    start = time.monotonic()
    time.sleep(seconds)
    after = {pid: processor_seconds(pid) for pid in pids}
    wall = time.monotonic() - start
    return {pid: (after[pid] - before[pid]) / wall for pid in pids
            if before[pid] is not None and after[pid] is not None}


def wait_still(pids, what):
    """Waits until none of pids uses a processor; a busy loop never does."""
    last = {}

    def still():
        last.clear()
        last.update(shares(pids))
        return all(share < IDLE_SHARE for share in last.values())
    try:
        # Less than any of the timers that would end a busy loop.
        env.wait_until(still, what, 20)
    except env.Timeout:
        raise AssertionError(f"{what}: busy: {last}") from None


def sockets_of(server, pid):
    """The paths of the Unix sockets of a child: in httpd's runtime
    directory, or in the system's where that one's path is too long."""
    return [path for where in (server.dir / "run",
                               Path(tempfile.gettempdir()))
            for path in where.glob(f"rpcproxy.*/{pid}-*")]
