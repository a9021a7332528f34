# SPDX-License-Identifier: MIT
"""Policy daemons without a Postfix, as of several hosts, that share a store."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

from . import libconf, programs
from .grants import Load, most_in_window
from .host import USER, configuration
from .programs import Daemon, postpool
from .wait import wait_for


def cap_of(length, recipients, **store):
    """A change of the configuration: a cap on d1, and what is else to be said of the store."""
    def change(conf):
        conf["addresses"]["d1"]["caps"] = {
            "windows": [{"length": length, "recipients": recipients, "smooth": False}]}
        conf["store"].update(store)
    return change


def hosts(count, **kwargs):
    """What make_nodes wants, for so many alike."""
    return [(f"mta{i}", kwargs) for i in range(count)]


class Node:
    """One policy daemon, of a host that has all the addresses of 127.0.0.0/8.

    skew: its clocks are off by that.  network: a namespace.Network that it is in.
    """

    def __init__(self, root, name, url, change=None, skew=None, network=None):
        self.run = Path(root) / name
        self.run.mkdir()
        shutil.chown(self.run, USER, "postfix")
        self.run.chmod(0o2755)
        self.name = name
        self.network = network
        (self.run / "tag.secret").write_bytes(b"0123456789abcdef" * 2)
        (self.run / "tag.secret").chmod(0o640)
        shutil.chown(self.run / "tag.secret", USER)
        conf = configuration(self.run)
        conf["node"] = name
        conf["grant_lifetime"] = "1s"
        conf["store"] = {"type": "redis", "url": url, "path": f"{self.run}/state.db",
                         "node_timeout": "5s"}
        conf["pools"]["rest"] = {"addresses": ["d1"]}
        if change:
            change(conf)
        self.conf = self.run / "postpool.conf"
        self.conf.write_text(libconf.dumps(conf))
        self.daemon = Daemon("postpool-policyd", self.conf, self.run,
                             lambda: programs.connects(self.run / "lookup"))
        if network:
            self.daemon.argv = network.enter + self.daemon.argv
        if skew:
            self.daemon.environment = programs.fake_clock(skew)
        self.load = Load(self.lookup, patience=0.005, sender_domain=f"{name}.test")

    @property
    def lookup(self):
        return self.run / "lookup"

    def start(self):
        self.daemon.start()

    def kill_worker(self):
        for worker in self.daemon.workers():
            try:
                os.kill(worker, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def freeze(self):
        """Guard and worker stand still until thaw()."""
        pids = [self.daemon.pid, *self.daemon.workers()]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

        def thaw():
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        return thaw

    def status(self):
        return json.loads(postpool("-c", self.conf, "--json", "status").stdout)

    def stop(self):
        if self.load.is_alive():
            self.load.stop()
        if self.network:
            self.network.mend()
        self.daemon.stop()


def take_all(nodes):
    """A client at each node begins to ask for all that there is."""
    for node in nodes:
        node.load.start()


def enough(nodes):
    """They end; returns all grants."""
    for node in nodes:
        node.load.stop()
    return granted(nodes)


def granted(nodes):
    return [grant for node in nodes for grant in list(node.load.grants)]


def check(nodes, window_s, limit, done):
    """The clients end; no window of theirs holds more.  done: what went wrong meanwhile."""
    grants = enough(nodes)
    most = most_in_window(grants, window_s)
    print(f"{limit} in {window_s} s: {len(grants)} grants, at most {most}; {dict(done)}")
    assert most <= limit, done


def wait_grants(nodes, limit=60):
    """Wait until each node got one that was asked for from now on."""
    begin = time.monotonic()
    for node in nodes:
        wait_for(lambda: any(before > begin for before, *_ in node.load.grants[-1:]), limit,
                 f"grants of {node.name}")
