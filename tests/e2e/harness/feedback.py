# SPDX-License-Identifier: MIT
"""postpool feedback -, as an admin's log daemon starts it."""

import subprocess
from pathlib import Path

from . import programs


class Feeder:
    """postpool feedback -, its standard input a pipe."""

    def __init__(self, conf, folder):
        self.stderr_path = Path(folder) / "feeder.err"
        self._stderr = open(self.stderr_path, "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [programs.BUILD / "postpool", "-c", conf, "feedback", "-"],
            stdin=subprocess.PIPE, stderr=self._stderr, env=programs.environment(), bufsize=0)
        self._copied = 0

    def write(self, text):
        self.process.stdin.write(text.encode())

    def copy(self, log):
        """What came to a log file since the last call."""
        end = log.rfind("\n") + 1
        self.write(log[self._copied:end])
        self._copied = end

    def stderr(self):
        return self.stderr_path.read_text()

    def end(self, status=0):
        self.process.stdin.close()
        assert self.process.wait(60) == status, self.stderr()
        self._stderr.close()
        assert not programs.SANITIZER.search(self.stderr()), self.stderr()
