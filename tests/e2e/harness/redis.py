# SPDX-License-Identifier: MIT
"""Private Redis servers.

POSTPOOL_REDIS_SERVER is the server's command, redis-server or such as
valkey-server; -sentinel and -cli of the same name are the others, if
POSTPOOL_REDIS_SENTINEL and POSTPOOL_REDIS_CLI do not say otherwise.
"""

import os
import shutil
import subprocess
from pathlib import Path

from .programs import BUILD
from .wait import wait_for

SERVER = os.environ.get("POSTPOOL_REDIS_SERVER", "redis-server")
SENTINEL = os.environ.get("POSTPOOL_REDIS_SENTINEL", SERVER.replace("-server", "-sentinel"))
CLI = os.environ.get("POSTPOOL_REDIS_CLI", SERVER.replace("-server", "-cli"))
STEPPED = BUILD / "tests/store/stepped.so"
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")  # what it answered is on the disk


class Redis:
    """A server on 127.0.0.1:port, or with port 0 on a unix socket; its data is in folder.

    It keeps over restart() what its options let it keep, unless it is told to lose it.
    """

    def __init__(self, folder, *options, port=0, sentinel=None, stepped=False):
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o755)
        self.port = port
        self.socket = self.folder / "redis.sock"
        self.options = [str(option) for option in options]
        self.sentinel = sentinel  # a configuration: it is no server but a Sentinel
        self.clock = self.folder / "clock" if stepped else None
        self.process = None

    def step(self, seconds):
        """Its clock is so much ahead from now on."""
        made = self.clock.with_suffix(".new")
        made.write_text(f"{seconds}\n")
        made.rename(self.clock)

    def environment(self):
        if not self.clock:
            return None
        self.step(0)
        return {**os.environ, "LD_PRELOAD": str(STEPPED), "STEPPED_CLOCK": str(self.clock)}

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}" if self.port else f"unix:{self.socket}"

    def start(self, *options):
        if self.sentinel:
            command = [SENTINEL, str(self.sentinel)]
        else:
            place = ["--bind", "127.0.0.1"] if self.port else ["--unixsocket", str(self.socket),
                                                               "--unixsocketperm", "777"]
            command = [SERVER, "--port", str(self.port), *place,
                       "--dir", str(self.folder), "--save", "", "--repl-diskless-sync-delay", "0",
                       *self.options, *map(str, options)]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.folder,
                                            env=self.environment())
        wait_for(lambda: self.cli("PING") == "PONG", what="an answer of Redis")
        return self

    def cli(self, *words):
        place = ["-p", str(self.port)] if self.port else ["-s", str(self.socket)]
        done = subprocess.run([CLI, *place, *map(str, words)], capture_output=True,
                              text=True, timeout=30, check=False)
        return done.stdout.strip()

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self, lose=False):
        self.stop()
        if lose:
            shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)
            for name in ("dump.rdb", "appendonly.aof"):  # the latter before Redis 7
                (self.folder / name).unlink(missing_ok=True)
        self.start()

    def calls(self):
        """How often the script was called, by all nodes."""
        for line in self.cli("INFO", "commandstats").splitlines():
            if line.startswith("cmdstat_evalsha:"):
                return int(line.partition("calls=")[2].partition(",")[0])
        return 0
