# SPDX-License-Identifier: Apache-2.0
"""How channels of the reactor end: by the client or the server, whatever they
are doing just then; always with a line in the access log that says why, and
with everything given back."""

import os
import signal
import socket

import pytest

import env
import servers
from engine_rig import REQUEST, RESPONSE, connection_count, wait_stuck
from engine_rig import deaf_dns, full  # noqa: F401
from reactor_rig import (NARROW, PORTS, QUIET, Gate, open_narrow, wait_flat,
                         wait_lines, was_read, workers)

SECURE = pytest.mark.parametrize("secure", [False, True],
                                 ids=["http", "https"])


@pytest.fixture(scope="module")
def gates():
    """One that reads, one that does not."""
    made = {"gate": Gate(), "deaf": Gate(open_=False)}
    yield made
    for gate in made.values():
        gate.close()


#: What bounds the time of those that are not noticed at once.
LIMITS = ("RpcProxyConnectTimeout 1s", "RpcProxyHandshakeTimeout 2s",
          "RpcProxyStallTimeout 3s", "RpcProxyMaxPerUser 0")


@pytest.fixture(scope="module")
def fields(gates, full, rpch_server):
    return {"children": 2, "threads": 4,
            "ports": PORTS + ("silent:1;deaf:1",),
            "routes": (
                *(f"{name} protocol=ncacn_ip_tcp to=127.0.0.1:{g.port}"
                  for name, g in gates.items()),
                f"silent to=127.0.0.1:{gates['gate'].port}",
                f"full protocol=ncacn_ip_tcp to=127.0.0.1:{full}",
                f"tcp protocol=ncacn_ip_tcp to=127.0.0.1:"
                f"{rpch_server.tcp_port}",
                f"own to=127.0.0.1:{rpch_server.http_port}"),
            "location": (*QUIET, *LIMITS),
            "server": (*workers(2, 4), *NARROW)}


# ---- stages, each with the channels that it made ----------------------------

def head_alone(new, gates):
    client = new("gate:1")
    client.request_out()
    client.request_in()
    return [client.cout, client.cin]


def half_a_pdu(new, gates):
    client = new("gate:1")
    client.request_out()
    client.cout.send(client.a1()[:40])
    client.request_in()
    client.cin.send(client.b1()[:40])
    return [client.cout, client.cin]


def connecting(new, gates):
    client = new("full:1")
    client.start_out()
    client.start_in()
    return [client.cout, client.cin]


def resolving(new, gates):
    client = new("deaf.example.org:1")
    client.start_out()
    client.start_in()
    return [client.cout, client.cin]


def out_alone(new, gates):
    client = new("tcp:1")
    client.start_out()
    client.read_200()
    client.read_a3()
    return [client.cout]


def in_alone(new, gates):
    client = new("own:1")
    client.start_in()
    return [client.cin]


def silent_server(new, gates):
    """It speaks no ncacn_http, and says nothing."""
    client = new("silent:1")
    client.start_out()
    client.start_in()
    return [client.cout, client.cin]


def tcp(new, gates):
    client = new("tcp:1").open()
    assert client.calls().add_one(1) == 2
    return [client.cout, client.cin]


def native(new, gates):
    client = new("own:1").open()
    assert client.calls().add_one(1) == 2
    return [client.cout, client.cin]


def half_a_request(new, gates):
    client = new("gate:1").open()
    client.cin.send(REQUEST[:100])
    return [client.cout, client.cin]


def deaf_client(new, gates):
    number = len(gates["gate"].held) + 1
    client = open_narrow(new("gate:1", window=262144))
    gates["gate"].last(number).send(RESPONSE * 2000)
    wait_stuck(client.cout)
    return [client.cout, client.cin]


def deaf_server(new, gates):
    client = new("deaf:1").open()
    client.cin.sock.settimeout(0.3)
    try:
        while True:
            client.cin.send(REQUEST * 10)
    except OSError:                # nobody takes it, or the stall timer ran
        pass
    client.cin.sock.settimeout(30)
    return [client.cout, client.cin]


STAGES = [head_alone, half_a_pdu, connecting, resolving, out_alone, in_alone,
          silent_server, tcp, native, half_a_request, deaf_client,
          deaf_server]


def end(channel, how):
    if how == "reset":
        channel.reset()
    elif how == "half":
        socket.socket.shutdown(channel.sock, socket.SHUT_WR)
    else:
        channel.close()


def leave(sets, how):
    """Of the first set of channels all are gone, of the others one."""
    for n, channels in enumerate(sets):
        gone = (channels, channels[:1], channels[-1:])[n]
        for channel in gone:
            end(channel, how)


#: The slow stages by reset, in clear text, and the others in two ways; the
#: rest is of the full matrix.
SLOW = (head_alone, half_a_pdu, deaf_client, deaf_server, resolving)
ALL_ENDS = [(False, "close"), (False, "reset"), (False, "half"),
            (True, "close"), (True, "reset")]
ENDS = [pytest.param(
            stage, secure, how, id=f"{stage.__name__}-{secure}-{how}",
            marks=() if (secure, how) == (False, "reset")
            or (stage not in SLOW and (secure, how) == (True, "close"))
            else pytest.mark.full)
        for stage in STAGES for secure, how in ALL_ENDS]


@pytest.mark.parametrize("stage,secure,how", ENDS)
def test_client_is_gone(httpd, fields, gates, raw, tls, log, deaf_dns, secure,
                        stage, how):
    """Both channels, or one of them; by FIN, by RST, or it says that it sends
    no more and waits."""
    if stage is deaf_client and how == "half":
        pytest.skip("see test_client_that_never_reads")
    server = httpd(**fields)
    log.allow("RPX0330", "RPX0331", "RPX0340")

    def new(target, **options):
        return raw(server, target, tls if secure else None, **options)
    before = None
    for _ in range(2):
        mark = server.accesses.mark()
        sets = [stage(new, gates)
                for _ in range(1 if stage is deaf_client else 3)]
        made = [c for channels in sets for c in channels]
        if stage is not deaf_server:
            env.wait_until(lambda: all(was_read(server, c) for c in made),
                           "httpd to read all that was sent")
        leave(sets, how)
        found = wait_lines(server, mark, len(made))
        ins = sum(a.channel == "in" for a in found)
        assert ins == len(sets) * {out_alone: 0}.get(stage, 1)
        for channel in made:
            channel.close()
        server.wait_idle()
        env.wait_until(lambda: connection_count(server) == 0, "no others")
        before = before or server.resources()
    wait_flat(server, before, stage.__name__)


@pytest.mark.parametrize("secure", [
    False, pytest.param(True, marks=(pytest.mark.full, pytest.mark.slow))],
    ids=["http", "https"])
def test_client_that_never_reads(httpd, fields, gates, raw, tls, log, secure):
    """Its channel ends by the stall timer. In clear text the connection ends
    soon after; the end of TLS waits half a minute for room."""
    server = httpd(**fields)
    before = server.resources()
    mark = server.accesses.mark()
    out, in_ = deaf_client(
        lambda *a, **k: raw(server, *a, tls if secure else None, **k), gates)
    log.expect("RPX0311: OUT .*RpcProxyStallTimeout")
    env.wait_until(lambda: len(server.accesses.since(mark)) >= 2, "both lines",
                   60)
    [line] = [a for a in wait_lines(server, mark, 2) if a.channel == "out"]
    assert "RpcProxyStallTimeout" in line.end
    env.wait_until(lambda: connection_count(server) == 0, "the connection",
                   60)
    wait_flat(server, before)


# ---- the server -------------------------------------------------------------

def server_end(held, how):
    if how == "reset":
        held.reset()
    elif how == "half":
        held.sock.shutdown(socket.SHUT_WR)
    else:
        held.sock.shutdown(socket.SHUT_RDWR)


@SECURE
@pytest.mark.parametrize("how", ["close", "reset", "half"])
@pytest.mark.parametrize("state", ["open", "half-a-pdu", "deaf-server"])
def test_server_is_gone(httpd, fields, gates, raw, tls, secure, how, state):
    server = httpd(**fields)
    mark = server.accesses.mark()
    gate = gates["deaf" if state == "deaf-server" else "gate"]
    name = "deaf:1" if state == "deaf-server" else "gate:1"
    clients = []
    for _ in range(4):
        number = len(gate.held) + 1
        client = raw(server, name, tls if secure else None).open()
        held = gate.last(number)
        clients.append(client)
        if state == "half-a-pdu":
            client.cin.send(REQUEST[:500])
            held.sock.sendall(RESPONSE[:500])
        elif state == "deaf-server":
            client.cin.send(REQUEST * 12)
        server_end(held, how)
    for client in clients:
        client.cout.rest()
    found = wait_lines(server, mark, 8)
    assert len({a.connection for a in found}) == 4
    env.wait_until(lambda: connection_count(server) == 0, "no others")


@SECURE
def test_server_is_killed(httpd, scratch, fields, raw, tls, secure):
    """Of twenty connections of both kinds nothing is left."""
    program = servers.RpchServer(scratch)
    kinds = ("kt protocol=ncacn_ip_tcp to=127.0.0.1:"
             f"{program.tcp_port}", f"kn to=127.0.0.1:{program.http_port}")
    server = httpd(**{**fields, "ports": ("kt:1;kn:1",), "routes": kinds})
    mark = server.accesses.mark()
    clients = [raw(server, f"{('kt', 'kn')[n % 2]}:1",
                   tls if secure else None).open() for n in range(20)]
    for n, client in enumerate(clients):
        assert client.calls().add_one(n) == n + 1
    os.kill(program.process.pid, signal.SIGKILL)
    for client in clients:
        client.cout.rest()
        client.cin.rest()
    wait_lines(server, mark, 40)
    program.stop()


def test_server_closes_and_client_sends(httpd, fields, gates, raw):
    """The client floods a connection that is over: it is closed all the
    same, with everything that it sends unread."""
    server = httpd(**fields)
    mark = server.accesses.mark()
    number = len(gates["gate"].held) + 1
    client = raw(server, "gate:1").open()
    gates["gate"].last(number).sock.shutdown(socket.SHUT_RDWR)
    with pytest.raises(OSError):
        while True:                # for as long as httpd lingers
            client.cin.send(REQUEST)
    wait_lines(server, mark, 2)
    env.wait_until(lambda: connection_count(server) == 0, "no others")
