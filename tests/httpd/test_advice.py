# SPDX-License-Identifier: Apache-2.0
"""What configtest and the start of httpd advise: what hurts and nothing else,
once, and nothing at all where nobody can be reached or a configuration of
docs/scaling.md is in force."""

import re
import resource

import pytest

import env
from httpd import Httpd
from httpd_conf import Conf

PORTS = ("127.0.0.1:9",)
#: Room for a few connections, so that the MPM needs no advice.
SMALL = "RpcProxyMaxConnections 20"
MODULES = ("http2", "request", "buffer", "dumpio", "ext_filter")


@pytest.fixture
def advice(scratch, certs):
    """advice(...): the tags of what configtest says, each with its line."""
    def run(**fields):
        fields.setdefault("ports", PORTS)
        return told(Httpd(scratch, certs, Conf(**fields)).configtest())
    return run


def told(answer):
    code, text = answer
    assert code == 0 and "Syntax OK" in text, text
    found = {}
    for line in text.splitlines():
        tag = re.search(r"\[rpcproxy:(\w+)\].* (RPX04\d\d): (.*)", line)
        if tag:
            assert tag[2] not in found, text
            found[tag[2]] = f"{tag[1]}: {tag[3]}"
        else:
            assert line in ("", "Syntax OK"), text
    return found


# ---- the MPM ----------------------------------------------------------------

@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
def test_small(advice, mpm):
    assert advice(mpm=mpm, server=(SMALL,)) == {}


@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
def test_nobody_can_be_reached(advice, mpm):
    """The shipped configuration alone, and None."""
    hurts = ("RpcProxyMaxConnections 100000", "LimitRequestBody 1000")
    assert advice(mpm=mpm, ports=(), server=hurts) == {}
    assert advice(mpm=mpm, ports=(), location=("RpcProxyValidPorts None",),
                  server=hurts) == {}


@pytest.mark.parametrize("sized", [False, True])
@pytest.mark.parametrize("mpm,tag,says", [
    ("event", "RPX0402", "AsyncRequestWorkerFactor 2 httpd accepts 450"),
    ("worker", "RPX0401", "worker gives each channel a worker, so that 150"),
    ("prefork", "RPX0401", "prefork gives each channel a worker, so that 150"),
])
def test_more_than_there_is_room_for(advice, mpm, tag, says, sized):
    """A warning when somebody asked for it; the default is told only."""
    found = advice(mpm=mpm, server=("RpcProxyMaxConnections 16384",)
                   if sized else ())
    assert says in found[tag] and "32768 channels" in found[tag]
    assert found[tag].startswith("warn: " if sized else "notice: ")


def test_async_off(advice):
    found = advice(server=("RpcProxyMaxConnections 100", "RpcProxyAsync Off"))
    assert list(found) == ["RPX0401"]
    assert "set RpcProxyAsync Auto" in found["RPX0401"]


def test_the_factor_is_found(advice):
    """Also inside of IfModule and an included file, where the last counts."""
    many = "RpcProxyMaxConnections 2000"
    assert "Factor 2 " in advice(server=(many,))["RPX0402"]
    assert "Factor 8 " in advice(server=(
        many, "<IfModule mpm_event_module>", "AsyncRequestWorkerFactor 8.9",
        "</IfModule>"))["RPX0402"]
    assert advice(server=(many, "AsyncRequestWorkerFactor 8",
                          "AsyncRequestWorkerFactor 80")) == {}


@pytest.mark.parametrize("lines,tag,says", [
    (("MaxSpareThreads 100",), "RPX0405", "set MaxSpareThreads 150"),
    (("MaxConnectionsPerChild 10",), "RPX0406",
     "set MaxConnectionsPerChild 0"),
    (("RpcProxyMaxChannelsPerChild 1",), "RPX0407",
     "set RpcProxyMaxChannelsPerChild"),
    (("ServerLimit 7",), "RPX0404", "set ServerLimit 18,"),
    (("RpcProxyDrainTimeout 168h",), "RPX0404", "set ServerLimit 54,"),
])
def test_each_limit(advice, lines, tag, says):
    found = advice(server=(SMALL, *lines))
    assert list(found) == [tag]
    assert says in found[tag] and found[tag].startswith("warn: ")


def test_descriptors(scratch, certs):
    """The limit is that of the process."""
    server = Httpd(scratch, certs, Conf(ports=PORTS, server=(
        "RpcProxyMaxConnections 5000", "AsyncRequestWorkerFactor 80")))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        found = told(server.configtest())
        assert list(found) == ["RPX0403"]
        assert "is 1024" in found["RPX0403"]
        cure = int(re.search(r"LimitNOFILE=(\d+)", found["RPX0403"])[1])
        resource.setrlimit(resource.RLIMIT_NOFILE, (cure, hard))
        assert told(server.configtest()) == {}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# ---- the places -------------------------------------------------------------

#: What a place must not have -> tag, where it is allowed
PLACES = [
    ("LimitRequestBody 1000000", "RPX0408", ("location",)),
    ("KeptBodySize 100", "RPX0409", ("location",)),
    ("SetInputFilter BUFFER", "RPX0411", ("location", "vhost", "server")),
    ("DumpIOInput On", "RPX0412", ("server",)),
    ("Protocols h2 http/1.1", "RPX0413", ("vhost", "server")),
]


@pytest.mark.parametrize("line,tag,where", [
    (line, tag, place) for line, tag, places in PLACES for place in places])
def test_place(advice, line, tag, where):
    """A section with the handler is looked at with all that is around it,
    one without for what it says itself."""
    fields = {"server": (SMALL,), "modules": MODULES}
    fields[where] = fields.get(where, ()) + (line,)
    if where == "vhost":
        fields["location"] = ("SetHandler rpcproxy",)
    found = advice(**fields)
    assert list(found) == [tag]
    place = ("httpd.conf" if "Protocols" in line or where != "server"
             else "rpcproxy.conf")
    assert re.match(rf"(warn|notice): \S*/{place}:\d+( and \d more)?: ",
                    found[tag])


@pytest.mark.parametrize("lines", [
    # what the section says counts
    ("LimitRequestBody 1000",),
    # none of the module's
    ("<Location /other>", "LimitRequestBody 1000", "KeptBodySize 10",
     "SetInputFilter BUFFER", "</Location>"),
    ("LimitRequestBody 1073741824",), ("SetInputFilter None",),
    ("Protocols http/1.1",)])
def test_places_that_are_well(advice, lines):
    assert advice(server=(SMALL, *lines), modules=MODULES) == {}


def test_an_inner_section_knows_better(advice):
    """The shipped section, outside of hosts, holds for none of them alone."""
    assert advice(server=(SMALL, "SetInputFilter BUFFER"),
                  location=("SetInputFilter None",), modules=MODULES) == {}


HOST = ("<VirtualHost *:1>", "Protocols h2", "</VirtualHost>")


def test_another_host_may_have_http2(advice):
    """Where nobody reaches anything by it."""
    assert advice(server=(SMALL, *HOST), modules=MODULES) == {}
    outside = ('RpcProxyValidPorts "127.0.0.1:9"',)
    found = advice(server=(SMALL, *outside, *HOST), modules=MODULES)
    assert list(found) == ["RPX0413"] and "more" not in found["RPX0413"]


# ---- the start --------------------------------------------------------------

def test_told_once(httpd, log):
    """And not by each child; a restart reads the configuration again."""
    server = httpd(ports=PORTS, server=(SMALL, "MaxSpareThreads 75"))
    log.expect("RPX0405: .*set MaxSpareThreads 150")

    def lines():
        return [line for line in log.lines() if "RPX04" in line.text]
    assert len(lines()) == 1 and len(server.children()) >= 3
    server.graceful()
    assert len(lines()) == 2
    assert {line.pid for line in lines()} == {server.process.pid}


# ---- docs/scaling.md --------------------------------------------------------

def worked():
    """channels -> (lines of httpd, limit of open files) of each worked
    configuration: a block of apache, with the limit in the text before."""
    text = SCALING.read_text()
    found = {}
    for title, body in re.findall(r"^### ([\d,]+) channels$(.*?)(?=^#)", text,
                                  re.M | re.S):
        block = re.search(r"^```apache\n(.*?)^```", body, re.M | re.S)[1]
        files = re.search(r"LimitNOFILE=(\d+)", body)[1]
        found[int(title.replace(",", ""))] = (block, int(files))
    return found


SCALING = env.HERE.parent.parent / "docs" / "scaling.md"


def test_worked_are_all_there():
    assert sorted(worked()) == [2000, 10000, 25000]


@pytest.mark.parametrize("channels", [2000, 10000, 25000])
def test_worked(scratch, certs, channels):
    """httpd takes it, it is for that number of channels, and leads to no
    advice; half of its descriptors do."""
    block, files = worked()[channels]
    assert f"RpcProxyMaxConnections {channels // 2}\n" in block
    # The MPM's lines replace those of the tests.
    server = Httpd(scratch, certs, Conf(ports=PORTS,
                                        server=tuple(block.splitlines())))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < files:
        pytest.skip(f"{hard} descriptors at most")
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
        assert told(server.configtest()) == {}
        resource.setrlimit(resource.RLIMIT_NOFILE, (files // 2, hard))
        assert "RPX0403" in told(server.configtest())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
