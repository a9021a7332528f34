# SPDX-License-Identifier: MIT
"""What bench/delivery and bench/milter share: Postfix in memory, load, tables."""

import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests" / "e2e"))
sys.dont_write_bytecode = True

from harness import namespace, programs  # noqa: E402
from harness.wait import wait_for  # noqa: E402


def need(*commands):
    """Enter the private world, or end with what is missing."""
    name = Path(sys.argv[0]).name
    if os.geteuid() != 0:
        raise SystemExit(f"bench/{name}: must run as root: it starts a private Postfix")
    for command in ("postfix", "smtp-source", *commands):
        if not shutil.which(command):
            raise SystemExit(f"bench/{name}: {command} is not installed")
    if not programs.built():
        raise SystemExit(f"bench/{name}: no postpool-policyd in {programs.BUILD} "
                         "(set POSTPOOL_BUILD)")
    if not namespace.enter():
        raise SystemExit(f"bench/{name}: {namespace.why_not}")


@contextlib.contextmanager
def scratch():
    """A directory in memory that Postfix's users can pass."""
    top = Path(tempfile.mkdtemp(prefix="postpool-bench-"))
    namespace.tmpfs(top)
    top.chmod(0o755)
    try:
        yield top
    finally:
        namespace.umount(top)
        top.rmdir()


def progress(text):
    """One line on the terminal that the next one replaces; "" takes it away."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


class Load:
    """Messages from several smtp-source processes at a time, each with a sender of its own.

    -N always: without it every recipient is the same and Postfix's caches
    answer in the place of what is measured.
    """

    def __init__(self, port, messages, senders, recipients=1, keep=True):
        self.port, self.messages, self.senders = port, messages, senders
        self.recipients, self.keep = recipients, keep

    def _argv(self, sender, count):
        return (["smtp-source", "-N"] + (["-d"] if self.keep else [])
                + ["-m", str(count), "-l", "2000", "-r", str(self.recipients), "-f", sender,
                   "-t", "user@one.test", f"inet:127.0.0.1:{self.port}"])

    def inject(self, parallel=8):
        """All messages; returns the seconds that it took."""
        share, extra = divmod(self.messages, len(self.senders))
        waiting = [self._argv(s, share + (i < extra))
                   for i, s in enumerate(self.senders) if share + (i < extra) > 0]
        running = []
        begin = time.monotonic()
        while waiting or running:
            while waiting and len(running) < parallel:
                running.append(subprocess.Popen(waiting.pop(), stdin=subprocess.DEVNULL))
            process = running.pop(0)
            if process.wait() != 0:
                raise SystemExit(f"smtp-source: status {process.returncode}")
        return time.monotonic() - begin


def queue_files(postfix, *queues):
    """Is there a file in one of the queues?"""
    for queue in queues:
        for _, _, files in os.walk(postfix.queue_directory / queue):
            if files:
                return True
    return False


def hold_count(postfix):
    return sum(len(files) for _, _, files in os.walk(postfix.queue_directory / "hold"))


def directory(top, name):
    """A new one that Postfix's users can pass."""
    path = top / name
    path.mkdir()
    path.chmod(0o755)
    return path


def pool_services(postfix, names):
    """The lines of master.cf for the addresses of those names, one text each."""
    master = postfix.config / "master.cf"
    found = [re.findall(rf"(?m)^pp-{name} .*\n(?:[ \t].*\n)*", master.read_text())
             for name in names]
    if any(len(services) != 1 for services in found):
        raise SystemExit(f"no services for the addresses in {master}:\n{master.read_text()}")
    return [services[0] for services in found]


def randmap(names):
    """What lets a Postfix with such services pick one of them by itself."""
    transports = ", ".join(f"pp-{name}:" for name in names)
    return {"sender_dependent_default_transport_maps": f"randmap:{{{transports}}}"}


def median(values):
    return statistics.median(values)


__all__ = ["Load", "TOP", "directory", "hold_count", "median", "namespace", "need",
           "pool_services", "programs", "progress", "queue_files", "randmap", "scratch",
           "wait_for"]
