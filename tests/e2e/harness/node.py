# SPDX-License-Identifier: MIT
"""Policy daemons without a Postfix, as of several hosts, that share a store."""

import json
import os
import shutil
import signal
from pathlib import Path

from . import libconf, programs
from .host import USER, configuration
from .programs import Daemon, postpool


class Node:
    """One policy daemon, of a host that has all the addresses of 127.0.0.0/8."""

    def __init__(self, root, name, url, change=None):
        self.run = Path(root) / name
        self.run.mkdir()
        shutil.chown(self.run, USER, "postfix")
        self.run.chmod(0o2755)
        self.name = name
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

    def status(self):
        return json.loads(postpool("-c", self.conf, "--json", "status").stdout)

    def stop(self):
        self.daemon.stop()
