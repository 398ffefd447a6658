# SPDX-License-Identifier: Apache-2.0
"""What the Pragma header says (MS-RPCH 2.1.2.1.1): ResourceTypeUuid and
SessionId are kept for logs, MinConnTimeout makes pings more frequent."""

import pytest

import env
import logs
from version1 import Version1

RESOURCE = "44e265dd-7daf-42cd-8560-3cdb6e7a2729"
SESSION = "fbd9c34f-397d-471d-a109-1b08cc554624"
LOG = ('CustomLog pragma.log "%{RPC_CHANNEL}e %{RPC_RESOURCE}e '
       '%{RPC_SESSION}e" env=RPC_CHANNEL')


@pytest.fixture
def server(httpd, backends):
    return httpd(mpm="event", **backends.fields(
        location=("RpcProxyVersion1 On",),
        server=(LOG, "LogLevel rpcproxy:debug")))


def logged(server, act):
    """The lines that act() adds to the log of pragmas."""
    log = logs.File(server.dir / "pragma.log")
    mark = log.mark()
    act()
    server.wait_idle()
    return lambda: sorted(log.since(mark))


@pytest.mark.parametrize("headers,want", [
    # FreeRDP: one line
    ([f"Pragma: ResourceTypeUuid={RESOURCE}, SessionId={SESSION}"],
     f"{RESOURCE} {SESSION}"),
    # MS-RPCH 2.1.2.1.1: a line each
    ([f"Pragma: ResourceTypeUuid={RESOURCE.upper()}",
      f"Pragma: SessionId={SESSION}"], f"{RESOURCE} {SESSION}"),
    ([f"Pragma: SessionId={SESSION}"], f"- {SESSION}"),
    ([f"Pragma: MinConnTimeout=120,ResourceTypeUuid={RESOURCE}"],
     f"{RESOURCE} -"),
    (["Pragma: SessionId=x\ty, ResourceTypeUuid={" + RESOURCE + "}"], "- -"),
    ([], "- -")])
def test_kept_for_logs(server, raw, log, headers, want):
    def connect():
        client = raw(server, "echo.tcp:1", headers=headers).open()
        assert client.calls().add_one(1) == 2
        client.close()
    lines = logged(server, connect)
    env.wait_until(lambda: lines() == [f"in {want}", f"out {want}"],
                   "both channels in the log")
    said = [line.text for line in log.lines()
            if "ResourceTypeUuid" in line.text]
    assert len(said) == (0 if want == "- -" else 2)
    # what a client puts into SessionId may be a secret
    assert not any(SESSION in text for text in said)


def test_version_1(server):
    def connect():
        client = Version1(server.address(), "echo.tcp:1", headers=[
            f"Pragma: ResourceTypeUuid={RESOURCE}"]).open()
        assert client.calls().add_one(1) == 2
        client.close()
    lines = logged(server, connect)
    env.wait_until(lambda: lines() == [f"v1 {RESOURCE} -"], "the log")
