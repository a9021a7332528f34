# SPDX-License-Identifier: MIT
"""Nodes without mail, which take from a store all that they can get."""

import bisect
import json
import signal
import subprocess
import time
from pathlib import Path

from .programs import BUILD, SANITIZER, environment, fake_clock

DRIVER = BUILD / "tests/store/driver"


class Driver:
    """One node, see tests/store/driver.c."""

    def __init__(self, folder, name, store, *keys, skew=None):
        self.folder = Path(folder)
        self.name = name
        self.keys = keys
        self.skew = skew
        self.process = None
        self.file = self.folder / f"{name}.conf"
        self.out = self.folder / f"{name}.out"
        self.log = self.folder / f"{name}.log"
        self.file.write_text(f"""
node = "{name}";
addresses: {{ a1 = {{ ip = "127.0.1.1"; helo = "a1.test"; }}; }};
pools: {{ p = {{ addresses = ( "a1" ); }}; }};
streams: ( {{ name = "default"; pool = "p"; match = (); }} );
store: {{ type = "redis"; path = "{self.folder}/{name}.db"; {store} }};
""")

    def start(self):
        env = environment()
        if self.skew:
            env |= fake_clock(self.skew)
        with open(self.out, "ab") as out, open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(DRIVER), str(self.file), *self.keys],
                                            stdout=out, stderr=log, env=env)
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """In good order; that is where sanitizers report."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=60)
        text = self.log.read_text(errors="replace")
        assert status == 0 and not SANITIZER.search(text), f"{self.name}: status {status}\n{text[-4000:]}"

    def lines(self):
        for line in self.out.read_text().split("\n")[:-1]:
            yield line.split(" ", 1)

    def said(self, word):
        return [rest for rest in self.lines() if rest[0] == word]

    def status(self):
        """What it said of the store last."""
        found = self.said("status")
        return json.loads(found[-1][1]) if found else {}

    def grants(self, key):
        found = []
        for kind, *rest in self.lines():
            if kind == "grant":
                us, _, name, count = rest[0].split()
                if name == key:
                    found.append((int(us), int(count)))
        return found


class Grants:
    """What all drivers took under a key, in order of time."""

    def __init__(self, drivers, key):
        found = sorted(grant for driver in drivers for grant in driver.grants(key))
        self.times = [us for us, _ in found]
        self.sums = [0]
        for _, count in found:
            self.sums.append(self.sums[-1] + count)

    def between(self, from_us, to_us):
        """After from_us, up to and with to_us."""
        return (self.sums[bisect.bisect_right(self.times, to_us)]
                - self.sums[bisect.bisect_right(self.times, from_us)])

    def total(self):
        return self.sums[-1]

    def most(self, window_ms):
        """The most in any window of that length."""
        return max((self.between(us - window_ms * 1000, us) for us in self.times), default=0)

    def rate(self, window_ms, windows, end_us):
        """How many there were in a window, on average of the last so many before end_us."""
        return self.between(end_us - windows * window_ms * 1000, end_us) / windows


def monotonic_us():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
