# SPDX-License-Identifier: MIT
"""A private redis-server on a unix socket, and policy daemons that share it."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from . import libconf, programs
from .host import USER, configuration
from .programs import Daemon, postpool
from .redis import CLI, SERVER
from .wait import wait_for


class Redis:
    """Keeps what it has over restart(), unless it is told to lose it."""

    def __init__(self, root, *options):
        self.root = Path(root)
        self.root.chmod(0o755)
        self.socket = self.root / "redis.sock"
        self.options = options
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [SERVER, "--port", "0", "--unixsocket", str(self.socket),
             "--unixsocketperm", "777", "--dir", str(self.root), "--appendonly", "yes",
             "--appendfsync", "always", "--save", "", *self.options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for(lambda: self.cli("PING") == "PONG", what="redis-server")

    def cli(self, *args):
        done = subprocess.run([CLI, "-s", str(self.socket), *args], capture_output=True,
                              text=True, timeout=30, check=False)
        return done.stdout.strip()

    def kill(self, lose=False):
        self.process.kill()
        self.process.wait()
        if lose:
            shutil.rmtree(self.root / "appendonlydir", ignore_errors=True)
            (self.root / "appendonly.aof").unlink(missing_ok=True)  # before Redis 7

    def restart(self, lose=False):
        self.kill(lose)
        self.start()

    def signal(self, number):
        self.process.send_signal(number)

    def calls(self):
        """How often the script was called."""
        for line in self.cli("INFO", "commandstats").splitlines():
            if line.startswith("cmdstat_evalsha:"):
                return int(line.partition("calls=")[2].partition(",")[0])
        return 0

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(30)


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
