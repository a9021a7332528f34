# SPDX-License-Identifier: MIT
"""A systemd journal in a folder, with Postfix's lines in it, where no systemd runs."""

import re
import subprocess
import time
from pathlib import Path

from .wait import wait_for

REMOTE = "/lib/systemd/systemd-journal-remote"
LINE = re.compile(r"\w+ +\d+ [\d:]+ \S+ ([^\[ ]+)\[(\d+)\]: (.*)")


class Journal:
    """Ends with stop(); entries are there some milliseconds after add()."""

    def __init__(self, folder, mode=0o644):
        self.folder = Path(folder)
        self.file = self.folder / "remote.journal"
        self._copied = 0
        self._process = subprocess.Popen([REMOTE, "-o", str(self.file), "-"],
                                         stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL, bufsize=0)
        self.add("systemd", "started", facility=3)
        wait_for(self.file.exists, what="the journal's file")
        self.file.chmod(mode)

    def add(self, identifier, message, uid=0, facility=2, pid=1):
        now = time.time_ns() // 1000
        self._process.stdin.write(
            f"__REALTIME_TIMESTAMP={now}\n__MONOTONIC_TIMESTAMP={now % 10 ** 12}\n"
            f"_BOOT_ID={1:032x}\n_HOSTNAME=mta1\nSYSLOG_IDENTIFIER={identifier}\n"
            f"SYSLOG_FACILITY={facility}\nSYSLOG_PID={pid}\n_UID={uid}\nMESSAGE={message}\n\n".encode())

    def copy(self, log):
        """What came to a log file since the last call."""
        lines = log.splitlines()
        for line in lines[self._copied:]:
            found = LINE.match(line)
            if found:
                self.add(found[1], found[3], pid=found[2])
        self._copied = len(lines)

    def stop(self):
        self._process.stdin.close()
        assert self._process.wait(60) == 0
