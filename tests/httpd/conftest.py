# SPDX-License-Identifier: Apache-2.0
"""The fixtures. Servers live as long as the run; httpds are shared by the
tests that ask for the same Conf."""

import os
import ssl

import pytest

import backends as backends_
import clients
import env
import front_inner
import front_rig
import logs
import rawclient
import servers
import strict_recycling
import strict_server
from httpd import Httpd, module_path
from httpd_conf import Conf

FULL = bool(os.environ.get("FULL"))
#: httpds that run at once; the least recently used is stopped for another.
RUNNING_MAX = 3


def pytest_collection_modifyitems(config, items):
    """The full matrix runs on demand only."""
    if FULL or "full" in (config.getoption("-m") or ""):
        return
    skip = [i for i in items if i.get_closest_marker("full")]
    items[:] = [i for i in items if not i.get_closest_marker("full")]
    config.hook.pytest_deselected(items=skip)


@pytest.fixture(scope="session")
def scratch(request):
    s = env.Scratch()
    yield s
    if request.session.testsfailed:
        print(f"\nlogs are in {s.root}")
    else:
        s.remove()


@pytest.fixture(scope="session")
def certs(scratch):
    return env.Certificates(scratch.dir("certs"))


@pytest.fixture(scope="session")
def samba_dc(scratch):
    dc = servers.SambaDC(scratch)
    yield dc
    dc.stop()


@pytest.fixture(scope="session")
def rpch_server(scratch):
    server = servers.RpchServer(scratch)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def kdc(scratch):
    k = servers.Kdc(scratch)
    yield k
    k.stop()


@pytest.fixture(scope="session")
def samba(scratch, certs):
    """Samba's client programs."""
    return clients.Samba(scratch.dir("samba-client"), certs.ca)


@pytest.fixture(scope="session")
def tls(certs):
    """The TLS of our raw client."""
    return ssl.create_default_context(cafile=str(certs.ca))


@pytest.fixture(scope="session")
def tls_cert(certs):
    """The same, with the client's certificate."""
    context = ssl.create_default_context(cafile=str(certs.ca))
    context.load_cert_chain(str(certs.client), str(certs.client_key))
    return context


@pytest.fixture(scope="session")
def tls_other(certs):
    """And with another client's."""
    context = ssl.create_default_context(cafile=str(certs.ca))
    context.load_cert_chain(str(certs.other), str(certs.other_key))
    return context


class Httpds:
    """The httpds of the run, by Conf."""

    def __init__(self, scratch, certs):
        self.scratch, self.certs = scratch, certs
        self.running = {}        # Conf -> Httpd, least recently used first

    def make(self, conf, kdc):
        return Httpd(self.scratch, self.certs, conf, kdc)

    def get(self, conf, kdc=None):
        httpd = self.running.pop(conf, None)
        if httpd is None:
            while len(self.running) >= RUNNING_MAX:
                self.stop(next(iter(self.running)))
            httpd = self.make(conf, kdc).start()
        self.running[conf] = httpd
        return httpd

    def stop(self, conf):
        self.running.pop(conf).stop()

    def stop_all(self):
        errors = []
        for conf in list(self.running):
            try:
                self.stop(conf)
            except AssertionError as e:
                errors.append(str(e))
        if errors:
            raise AssertionError("\n".join(errors))


@pytest.fixture(scope="session")
def httpds(scratch, certs):
    if not module_path().exists():
        pytest.fail(f"no module at {module_path()}: set MOD_RPCPROXY",
                    pytrace=False)
    all_of_them = Httpds(scratch, certs)
    yield all_of_them
    all_of_them.stop_all()


class Fronts(Httpds):
    """The fronts of the run, by FrontConf."""

    def make(self, conf, kdc):
        return front_rig.Front(self.scratch, self.certs, conf)


@pytest.fixture(scope="session")
def fronts(scratch, certs):
    if not front_rig.front_module().exists():
        pytest.fail(f"no module at {front_rig.front_module()}: set "
                    "MOD_PROXY_RPCH", pytrace=False)
    all_of_them = Fronts(scratch, certs)
    yield all_of_them
    all_of_them.stop_all()


@pytest.fixture(autouse=True)
def log(request):
    """What the test expects of the error log; see logs.Guard."""
    guard = logs.Guard()
    yield guard
    if request.node.stash.get(_FAILED, False):
        return
    for httpd in list(guard.marks):
        if httpd.process.alive():
            httpd.wait_idle()
    guard.verify()


_FAILED = pytest.StashKey()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call" and outcome.get_result().failed:
        item.stash[_FAILED] = True


@pytest.fixture
def httpd(httpds, log, request):
    """httpd(Conf(...)) or httpd(mpm=..., ...): a running httpd."""
    def get(conf=None, **fields):
        conf = conf or Conf(**fields)
        known = conf in httpds.running
        kdc = (request.getfixturevalue("kdc") if conf.auth == "negotiate"
               else None)
        server = httpds.get(conf, kdc)
        if server not in log.marks:
            server.started_before_test = known
            log.watch(server)
        return server
    return get


@pytest.fixture
def front(fronts, log):
    """front(lines=..., mpm=..., ...): a running front, see FrontConf."""
    def get(*lines, **fields):
        conf = front_rig.FrontConf(lines=lines, **fields)
        known = conf in fronts.running
        server = fronts.get(conf)
        if server not in log.marks:
            server.started_before_test = known
            log.watch(server)
        return server
    return get


@pytest.fixture(scope="module")
def _shared_inner():
    double = front_inner.Inner()
    yield double
    double.close()


@pytest.fixture
def double(_shared_inner):
    """An inner proxy by hand; a front before it can be shared by the tests
    of a file."""
    yield _shared_inner.fresh()
    _shared_inner.fresh()


@pytest.fixture
def inner():
    """inner(handler=None, tls=None): an inner proxy of this test alone."""
    made = []

    def get(*args, **options):
        made.append(front_inner.Inner(*args, **options))
        return made[-1]
    yield get
    for double in made:
        double.close()
    assert not [e for double in made for e in double.errors]


@pytest.fixture(scope="session")
def _strict_servers():
    """Strict servers that tests share, by (host, port) behind them."""
    shared = {}
    yield shared
    for server in shared.values():
        server.close()


@pytest.fixture(scope="session")
def backends(_strict_servers, samba_dc, rpch_server):
    """Every real server, by both kinds."""
    def strict_of(host, port):
        server = strict_server.StrictServer((host, port))
        _strict_servers[host, port] = server
        return server
    return backends_.Backends(samba_dc, rpch_server, strict_of)


@pytest.fixture(scope="session")
def recycling_server(_strict_servers, rpch_server):
    """A strict server that recycles, before rpch-server."""
    server = strict_recycling.RecyclingServer(
        (rpch_server.host, rpch_server.tcp_port))
    _strict_servers["recycling"] = server
    return server


@pytest.fixture(autouse=True)
def strict_peace(_strict_servers):
    """A test fails when a proxy broke the protocol towards a shared strict
    server."""
    yield
    try:
        for server in _strict_servers.values():
            server.check()
    finally:
        for server in _strict_servers.values():
            server.violations.clear()


@pytest.fixture
def strict():
    """strict(target, plan=...): a strict server of this test alone."""
    own = []

    def get(target=None, **options):
        own.append(strict_server.StrictServer(target, **options))
        return own[-1]
    yield get
    try:
        for server in own:
            server.check()
    finally:
        for server in own:
            server.close()


@pytest.fixture
def raw():
    """raw(httpd, target, ...): a RawClient that is closed at the end."""
    made = []

    def get(server, target, tls=None, cert=None, **options):
        client = rawclient.RawClient(
            server.address(tls is not None, cert is not None), target,
            tls=cert or tls, **options)
        made.append(client)
        return client
    yield get
    for client in made:
        client.close()


@pytest.fixture
def kept():
    """kept(connection): it is closed at the end."""
    made = []

    def get(connection):
        made.append(connection)
        return connection
    yield get
    for connection in made:
        connection.close()


@pytest.fixture
def opened(kept):
    """opened(front, tls=None): a connection, closed at the end."""
    return lambda *args: kept(front_rig.channel(*args))
