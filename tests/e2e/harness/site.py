# SPDX-License-Identifier: MIT
"""A Postfix configuration to put postpool into, and to take it out again."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

TREE = Path(__file__).resolve().parents[3]
POSTPOOL = os.environ.get("POSTPOOL_BIN", str(TREE / "postpool"))
FILES = ("main.cf", "master.cf")

MASTER = """\
# service type  private unpriv  chroot  wakeup  maxproc command + args
pickup    unix  n       -       n       1       1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
lmtp      unix  -       -       n       -       -       lmtp
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""


class Site:
    """A configuration directory of its own, with a queue that is not the system's."""

    def __init__(self, main="", master=MASTER, addresses=("127.0.1.1", "127.0.1.2"), knobs="",
                 lookup=None, extra="", policy=None):
        self.root = Path(tempfile.mkdtemp(prefix="pp-transports-", dir="/tmp"))
        self.root.chmod(0o755)
        self.dir = self.root / "conf"
        self.queue = self.root / "queue"
        self.lookup = lookup or f"unix:{self.root}/lookup"
        self.policy = policy.replace("QUEUE", str(self.queue)) if policy else None
        for path in (self.dir, self.queue, self.root / "data"):
            path.mkdir()
        shutil.chown(self.root / "data", "postfix", "postfix")
        (self.dir / "main.cf").write_text(self.base() + main.replace("DIR", str(self.dir)))
        (self.dir / "master.cf").write_text(master)
        self.conf = self.root / "postpool.conf"
        self.knobs = knobs
        self.extra = extra
        self.configure(addresses)
        self.before = self.bytes()

    def base(self):
        return f"""\
compatibility_level = 3.6
queue_directory = {self.queue}
data_directory = {self.root}/data
meta_directory = /etc/postfix
maillog_file = {self.root}/maillog
maillog_file_prefixes = {self.root}
myhostname = mx.site.test
mydestination = local.test
inet_interfaces = loopback-only
alias_maps =
recipient_delimiter = +
smtp_dns_support_level = disabled
"""

    def configure(self, addresses):
        self.secret = self.root / "secret"
        self.secret.write_text("0123456789abcdef0123456789abcdef\n")
        self.secret.chmod(0o600)
        names = [f"a{i}" for i in range(len(addresses))]
        lines = "".join(f'  {name} = {{ ip = "{ip}"; helo = "{name}.site.test"; }};\n'
                        for name, ip in zip(names, addresses))
        members = ", ".join(f'"{name}"' for name in names)
        policy = f'policy = "{self.policy}";' if self.policy else ""
        self.conf.write_text(f"""
tag_secret_file = "{self.secret}";
listen: {{ lookup = "{self.lookup}"; {policy} }};
milter: {{ socket = "unix:{self.queue}/postpool/milter"; }};
addresses: {{
{lines}}};
pools: {{ all = {{ addresses = ( {members} ); {self.knobs} }}; }};
streams: ( {{ name = "default"; pool = "all"; match = (); }} );
{self.extra}
""")

    def bytes(self):
        return {name: (self.dir / name).read_bytes() for name in FILES}

    def run(self, verb, *args, path=None):
        env = dict(os.environ)
        env["PATH"] = (f"{path}:" if path else "") + env["PATH"] + ":/usr/sbin"
        return subprocess.run([POSTPOOL, "-c", str(self.conf), "transports", verb,
                               "--config-dir", str(self.dir), *args],
                              env=env, capture_output=True, text=True, timeout=300)

    def good(self, verb, *args):
        result = self.run(verb, *args)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def postconf(self, *args):
        return subprocess.run(["postconf", "-c", str(self.dir), *args], check=True,
                              capture_output=True, text=True).stdout

    def value(self, name):
        return self.postconf("-h", name).strip()

    def options(self, service):
        found = {}
        for line in self.postconf("-P").splitlines():
            if line.startswith(service + "/"):
                name, _, value = line[len(service) + 1:].partition(" =")
                found[name] = value.strip()
        return found

    def untag(self, address):
        result = subprocess.run(["postmap", "-c", str(self.dir), "-q", address,
                                 f"regexp:{self.dir}/postpool/untag"],
                                capture_output=True, text=True)
        return result.stdout.rstrip("\n") if result.returncode == 0 else None

    def start(self):
        subprocess.run(["postfix", "-c", str(self.dir), "start"], check=True, timeout=60,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        subprocess.run(["postfix", "-c", str(self.dir), "stop"], timeout=60,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def is_served(self, service):
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.queue / "private" / service)) == 0

    def reloads(self):
        log = self.root / "maillog"
        return log.read_text().count("reload -- version") if log.exists() else 0


def fake(one, name, script):
    folder = one.root / "bin"
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return folder
