# SPDX-License-Identifier: MIT
"""postpool's own programs, run from the build directory."""

import fcntl
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

from .wait import wait_for

BUILD = Path(os.environ.get("POSTPOOL_BUILD") or Path(__file__).resolve().parents[3])
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|LeakSanitizer")
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
}


def environment():
    return {**ENVIRONMENT, **os.environ}


def fake_clock(skew):
    """What to add to environment() for a program whose clocks are off by "+10m"."""
    library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
    assert Path(library).exists()
    options = environment()["ASAN_OPTIONS"] + ":verify_asan_link_order=0:detect_leaks=0"
    return {"LD_PRELOAD": library, "FAKETIME": skew, "ASAN_OPTIONS": options}


def built():
    return (BUILD / "postpool-policyd").exists()


def children(pid):
    """The child processes of pid that are no zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def connects(path):
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(10)
        probe.connect(str(path))
        return True


class Daemon:
    """A daemon in the foreground, its stderr in a file.

    ready() is asked until it gives something true.
    """

    def __init__(self, name, conf, directory, ready):
        self.name = name
        self.argv = [str(BUILD / name), "-c", str(conf), "-f"]
        self.stderr = Path(directory) / f"{name}.log"
        self.ready = ready
        self.environment = {}  # beside the common one
        self.process = None
        self._terminated = False
        self._logged = 0  # how long the log was before the start

    def start(self, sockets=None):
        """sockets: {name: listening socket} to hand over as systemd would."""
        argv, keep, env = list(self.argv), [], environment() | self.environment
        self._logged = len(self.log())
        if sockets:
            # Copies above the numbers that they will get in the program.
            keep = [fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 50) for s in sockets.values()]
            moves = " ".join(f"{3 + i}<&{fd} {fd}<&-" for i, fd in enumerate(keep))
            argv = ["/bin/bash", "-c", f'exec {moves}; export LISTEN_PID=$$; exec "$@"',
                    "bash", *argv]
            env |= {"LISTEN_FDS": str(len(keep)), "LISTEN_FDNAMES": ":".join(sockets)}
        with open(self.stderr, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=env, pass_fds=keep)
        for fd in keep:
            os.close(fd)
        self._terminated = False
        wait_for(self._is_up, what=lambda: f"{self.name}: {self.log()[-2000:]}")

    def _is_up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended at its start, status "
                                 f"{self.process.returncode}: {self.log()[-4000:]}")
        # Who listens need not be who serves, nor hear signals yet.
        return "ready: " in self.log()[self._logged:] and self.ready()

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def workers(self):
        return children(self.pid)

    def log(self):
        try:
            return self.stderr.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def wait_log(self, pattern, start=0, limit=60):
        """Wait until pattern is in the log after its first start characters."""
        return wait_for(lambda: re.search(pattern, self.log()[start:]), limit,
                        lambda: f"{pattern!r} in the log of {self.name}: {self.log()[start:]}")

    def signal(self, number):
        os.kill(self.pid, number)

    def signal_worker(self, worker, number):
        assert worker in self.workers()
        os.kill(worker, number)

    def terminate(self):
        """SIGTERM, once."""
        if self.running and not self._terminated:
            self._terminated = True
            self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """SIGTERM must end it with status 0, and no sanitizer may have spoken."""
        if self.process is not None:
            self.terminate()
            status = self.process.wait(60)
            self.process = None
            assert status == 0, f"{self.name}: status {status}: {self.log()[-4000:]}"
        self.check_log()

    def check_log(self):
        found = SANITIZER.search(self.log())
        assert not found, f"{self.name}: {self.log()[found.start():][:6000]}"

    def kill_all(self):
        """SIGKILL to it and to its children, the parent first."""
        pids = [self.pid, *self.workers()]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.process = None
        wait_for(lambda: not any(Path(f"/proc/{p}").exists() for p in pids),
                 what="the end of killed processes")


def postpool(*args, status=0, **kwargs):
    """Run postpool(1); status is the one exit code that is right, None any."""
    done = subprocess.run([str(BUILD / "postpool"), *map(str, args)], capture_output=True,
                          text=True, env=environment(), timeout=120, check=False, **kwargs)
    text = f"postpool {args}: status {done.returncode}\n{done.stdout}{done.stderr}"
    assert not SANITIZER.search(done.stderr), text
    assert status is None or done.returncode == status, text
    return done
