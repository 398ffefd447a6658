# SPDX-License-Identifier: Apache-2.0
"""docs/howto-front-two-httpd.md: on two machines that have its configurations
and nothing else its commands say what the page says. (That httpd takes the
configurations of all pages is tests/unit/test_examples.sh's.)"""

import os
import subprocess

import pytest

import clients
import env
from doc_blocks import FRONT, INNER, Machine, commands, fenced, programs

PAGE = "howto-front-two-httpd.md"
#: (inner block, front block): what belongs together.
PAIRS = {"clear": (0, 1), "tls": (2, 3), "checked": (0, 4)}


@pytest.fixture(scope="module")
def named(certs):
    """Certificates of the page's machines, of our authority."""
    for name in ("mail.example.com", "inner.example.com"):
        certs._sign(name, f"/CN={name}", f"subjectAltName=DNS:{name}")
    return certs


@pytest.fixture(scope="module")
def backend(scratch):
    server = env.Process(
        "rpch-server", [os.environ.get("RPCH_SERVER", "./rpch-server"),
                        "--http", "127.0.0.22:6001"],
        scratch.dir("doc-server") / "stdout")
    server.wait_ready(lambda: env.can_connect("127.0.0.22", 6001))
    yield server
    server.stop()


@pytest.fixture(scope="module", params=PAIRS)
def machines(request, scratch, named, backend):
    blocks = fenced(PAGE, "apache")
    at_inner, at_front = (blocks[i] for i in PAIRS[request.param])
    inner = Machine(scratch, named, at_inner,
                    {"http": 443 if "SSLEngine" in at_inner else 80}, INNER)
    front = Machine(scratch, named, at_front, {"https": 443}, FRONT)
    yield inner.start(), front.start()
    front.stop()
    inner.stop()


@pytest.mark.parametrize("command,want", commands(PAGE))
def test_command(machines, named, log, command, want):
    for machine in machines:
        log.watch(machine)
    log.allow(r"RPX0516: .*:593")
    environ = dict(os.environ, PATH=programs(), LANG="C",
                   CURL_CA_BUNDLE=str(named.ca))
    done = subprocess.run(["sh", "-c", command], env=environ, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60)
    said = done.stdout.splitlines()
    assert [line for line in said if line in want] == want, done.stdout


def test_calls(machines, log):
    """A whole connection, whose lines are in both logs as the page has
    them."""
    inner, front = machines
    marks = [machine.errors.mark() for machine in machines]
    got = clients.impacket(("echo",), "mbx.corp.example.com", 6001,
                           clients.Via("mail.example.com", 443, True),
                           user="alice", password="secret", domain="")
    assert "error" not in got, got

    def lines(machine, mark):
        return "\n".join(machine.errors.since(mark))
    env.wait_until(lambda: lines(front, marks[1]).count("RPX0542: ") == 2,
                   "the front's lines")
    text = lines(front, marks[1])
    assert text.count("RPX0540: ") == 2
    user = "user alice" if "unchecked" not in text else "unchecked user alice"
    assert f"of {user} to mbx.corp.example.com:6001 passes to inner" in text
    env.wait_until(lambda: "RPX0312: " in lines(inner, marks[0]),
                   "the inner proxy's line")
