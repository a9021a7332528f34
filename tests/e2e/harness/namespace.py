# SPDX-License-Identifier: MIT
"""A private network and a private /etc/hosts for this process and its children.

Nothing outside sees it: 127.0.0.0/8, every port and every address put on "lo"
belong to the one test run, so that two runs never meet.
"""

import ctypes
import os
import subprocess
import tempfile
from pathlib import Path

from .wait import wait_for

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_RDONLY = 0x1
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

# Recipient domains and relay hosts.  The sink listens on all of them.
HOSTS = {
    "one.test": ["127.0.9.1"],
    "two.test": ["127.0.9.2"],
    "three.test": ["127.0.9.3"],
    "four.test": ["127.0.9.4"],
    "internal.test": ["127.0.9.50"],
    "site.test": ["127.0.9.60"],
    "relay1.test": ["127.0.9.101"],
    "relay2.test": ["127.0.9.102"],
    "six.test": ["fd77::9:6"],
    "both.test": ["127.0.9.7", "fd77::9:7"],
}

entered = False
why_not = "not entered"
_libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *args):
    if getattr(_libc, name)(*args) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def _mount(source, target, kind, flags, data=None):
    _call("mount", source.encode(), target.encode(),
          kind.encode() if kind else None, ctypes.c_ulong(flags),
          data.encode() if data else None)


def enter():
    """Move this process, which must have one thread yet, into the private world.

    Returns False where that is not permitted; why_not then says the reason.
    """
    global entered, why_not
    if entered:
        return True
    try:
        _call("unshare", CLONE_NEWNS | CLONE_NEWNET)
        _mount("none", "/", None, MS_REC | MS_PRIVATE)
        bind_hosts("".join(f"{ip} {name}\n" for name, ips in HOSTS.items()
                           for ip in ips))
        # postlogd(8) logs to its own socket: with the usual 10 places there a reload under load
        # can leave it, and with it all of Postfix, waiting for itself.
        Path("/proc/sys/net/unix/max_dgram_qlen").write_text("10000\n")
        ip("link", "set", "lo", "up")
        for ips in HOSTS.values():
            for address in ips:
                if ":" in address:
                    ip("-6", "addr", "add", f"{address}/128", "dev", "lo")
    except (OSError, subprocess.CalledProcessError) as error:
        why_not = f"no private namespaces ({error})"
        return False
    entered = True
    return True


def bind_hosts(text):
    """Put the lines of text, and localhost, in the place of /etc/hosts."""
    fd, path = tempfile.mkstemp()
    os.write(fd, ("127.0.0.1 localhost mta1.test\n::1 localhost\n" + text).encode())
    os.fchmod(fd, 0o644)
    os.close(fd)
    bind(path, "/etc/hosts")
    os.unlink(path)


def bind(source, target):
    """Put a file in the place of another; umount() takes it away again."""
    _mount(source, target, None, MS_BIND)


def tmpfs(directory):
    """A file system in memory: no fsync() waits for a disk."""
    _mount("tmpfs", str(directory), "tmpfs", 0, "mode=0755")


def tmpfs_of(directory, size):
    """A small disk."""
    _mount("tmpfs", str(directory), "tmpfs", 0, f"mode=0777,size={size}")


def remount(directory, read_only):
    """A disk of tmpfs_of(), on which nothing is open for writing."""
    _mount("tmpfs", str(directory), "tmpfs", MS_REMOUNT | (MS_RDONLY if read_only else 0))


def umount(directory):
    _call("umount2", str(directory).encode(), 2)  # MNT_DETACH


def ip(*args):
    """ip(8): an address comes or goes in the private network only."""
    subprocess.run(["ip", *args], check=True, capture_output=True, text=True)


def ip_batch(lines):
    """The same, several in one go."""
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", check=True,
                   capture_output=True, text=True)


class Network:
    """A network of its own for some process, at a link of the private one that can be cut.

    The private one is at .here there; number tells links apart, from 1 to 250.
    """

    def __init__(self, number):
        self.link = f"cut{number}"
        self.here = f"10.77.{number}.1"
        self._holder = subprocess.Popen(["unshare", "--net", "sleep", "3600"])
        own = os.readlink("/proc/self/ns/net")
        wait_for(lambda: os.readlink(f"/proc/{self._holder.pid}/ns/net") != own,
                 what="a network of its own")
        self.enter = ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net"]  # what is run behind it
        ip("link", "add", self.link, "type", "veth", "peer", "name", "away",
           "netns", str(self._holder.pid))
        ip("addr", "add", f"{self.here}/30", "dev", self.link)
        self._run("ip", "addr", "add", f"10.77.{number}.2/30", "dev", "away")
        for device in ("lo", "away"):
            self._run("ip", "link", "set", device, "up")
        self.mend()

    def _run(self, *argv):
        subprocess.run([*self.enter, *argv], check=True, capture_output=True)

    def cut(self):
        ip("link", "set", self.link, "down")

    def mend(self):
        ip("link", "set", self.link, "up")

    def stop(self):
        self._holder.kill()
        self._holder.wait()


def processes():
    """Who lives in the private network, without this process: {pid: command}."""
    if not entered:
        return {}
    own = os.readlink("/proc/self/ns/net")
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if os.readlink(entry / "ns/net") != own:
                continue
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            found[int(entry.name)] = command.decode(errors="replace").strip()
    return found
