# SPDX-License-Identifier: MIT
"""Fixtures: a scratch directory, a sink, and mail hosts that are checked at their end."""

import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import namespace, programs  # noqa: E402
from harness.host import Host  # noqa: E402
from harness.node import Node  # noqa: E402
from harness.redis import DURABLE, SERVER, Redis  # noqa: E402
from harness.simulator import Simulator  # noqa: E402
from harness.sink import Sink  # noqa: E402
from harness.site import Site  # noqa: E402

_hosts = []


def pytest_configure(config):
    config.addinivalue_line("markers", "postpool: needs postpool's programs, built")
    config.world = namespace.enter() if os.geteuid() == 0 else False
    if os.geteuid() != 0:
        namespace.why_not = "these tests must run as root"


def need_world(needs_programs=True):
    """Skip, naming what is missing."""
    if not namespace.entered:
        pytest.skip(namespace.why_not)
    for command in ("postfix", "opendkim", "ip"):
        if not shutil.which(command):
            pytest.skip(f"{command} is not installed")
    if needs_programs and not programs.built():
        what = f"no postpool-policyd in {programs.BUILD}"
        if "POSTPOOL_BUILD" in os.environ:
            pytest.fail(what)
        pytest.skip(f"{what} (set POSTPOOL_BUILD)")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the logs of the hosts that were up."""
    report = (yield).get_result()
    if report.failed:
        for host in _hosts:
            report.sections.append((f"logs of {host.root}", host.logs()))


@pytest.fixture(scope="session")
def scratch():
    """A directory in memory that Postfix's users can pass, gone at the end."""
    need_world(needs_programs=False)
    top = Path(tempfile.mkdtemp(prefix="postpool-e2e-"))
    keep = os.environ.get("POSTPOOL_KEEP")
    if not keep:
        namespace.tmpfs(top)
    top.chmod(0o755)
    yield top
    if not keep:
        namespace.umount(top)
        top.rmdir()
    left = namespace.processes()
    assert not left, f"processes left over: {left}"


@pytest.fixture(scope="session")
def directory_of(scratch):
    """A function that makes a new directory, named after its argument."""
    def make(name):
        path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=scratch))
        path.chmod(0o755)
        return path
    return make


@pytest.fixture(scope="module")
def sink():
    need_world(needs_programs=False)
    sink = Sink()
    yield sink
    sink.stop()


@pytest.fixture
def simulator():
    need_world(needs_programs=False)
    simulator = Simulator()
    yield simulator
    simulator.stop()


def _maker(directory_of, start):
    """A function that makes hosts, and the function that closes them all."""
    made = []

    def make(*args, **kwargs):
        begin = kwargs.pop("start", start)
        host = Host(directory_of("host"), *args, **kwargs)
        made.append(host)
        _hosts.append(host)
        if begin:
            host.start()
        return host

    def close():
        wrong = []
        for host in reversed(made):
            try:
                host.close()
            except Exception as error:  # pylint: disable=broad-except
                wrong.append(error)
            _hosts.remove(host)
        if wrong:
            raise wrong[0]

    return make, close


@pytest.fixture(scope="module")
def make_shared_host(directory_of):
    """For module fixtures: make hosts that live as long as the module."""
    need_world()
    make, close = _maker(directory_of, True)
    yield make
    close()


@pytest.fixture
def make_host(directory_of):
    """Make hosts for one test."""
    need_world()
    make, close = _maker(directory_of, True)
    yield make
    close()


@pytest.fixture
def make_nodes(directory_of):
    """Start policy daemons on one Redis, each (name, keywords of its Node), at the same time."""
    need_world()
    if not shutil.which(SERVER):
        pytest.skip(f"{SERVER} is not installed")
    with ExitStack() as to_end:
        def make(change, *wanted, redis=None):
            if redis is None:
                redis = Redis(directory_of("redis"), *DURABLE).start()
                to_end.callback(redis.stop)
            root = directory_of("nodes")
            nodes = [Node(root, name, **{"url": redis.url, "change": change, **kwargs})
                     for name, kwargs in wanted]
            for node in nodes:
                to_end.callback(node.stop)
            with ThreadPoolExecutor() as pool:
                list(pool.map(Node.start, nodes))
            return redis, nodes

        yield make


@pytest.fixture
def site():
    made = []

    def make(*args, **kwargs):
        made.append(Site(*args, **kwargs))
        return made[-1]

    yield make
    for one in made:
        one.stop()
        shutil.rmtree(one.root)
