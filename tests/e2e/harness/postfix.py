# SPDX-License-Identifier: MIT
"""A private Postfix in one directory, made from Debian's own master.cf."""

import json
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

from .sasl import SaslServer
from .wait import wait_for

MASTER = "/usr/share/postfix/master.cf.dist"
LOCAL_USERS = ("games", "news", "backup")  # have an account on every Debian


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Postfix:
    """Not started by new; main and master_lines add to what is there.

    root must exist, owned by root and passable for everybody.
    """

    def __init__(self, root, sink_port, main=None, master_lines=(), chroot=False):
        self.root = Path(root)
        self.config = self.root / "etc"
        self.queue_directory = self.root / "queue"
        self.spool = self.root / "mail"
        self.aliases = self.root / "aliases"
        self.forward = self.root / "forward"
        self.maillog = self.root / "mail.log"
        self.port = free_port()
        self.running = False
        self.environment = {}  # of all its programs, where import_environment names it
        self._sasl = None
        for directory in (self.config, self.queue_directory, self.spool, self.forward):
            directory.mkdir()
            directory.chmod(0o755)
        self.spool.chmod(0o1777)
        data = self.root / "data"
        data.mkdir()
        shutil.chown(data, "postfix")
        self._write_master(master_lines, chroot)
        self._write_main(sink_port, main or {})
        self.write_aliases({})
        if chroot:
            self._furnish_chroot()

    def _write_master(self, lines, chroot):
        text = Path(MASTER).read_text()
        text = re.sub(r"(?m)^smtp( +)inet", rf"127.0.0.1:{self.port}\1inet", text, count=1)
        if not chroot:
            text = re.sub(r"(?m)^(\S+ +\S+ +\S+ +\S+ +)y ", r"\1n ", text)
        # What a reload found under way waits for the next wake-up, if the queue manager
        # that was on its way out took the one that the reload itself brings.
        text = re.sub(r"(?m)^(qmgr .* )300( +1 +qmgr)$", r"\g<1>5  \2", text)
        assert re.search(r"(?m)^qmgr .* 5 +1 +qmgr$", text)
        (self.config / "master.cf").write_text(text + "".join(f"{l}\n" for l in lines))

    def _write_main(self, sink_port, extra):
        main = {
            "compatibility_level": "3.7",
            "queue_directory": self.queue_directory,
            "data_directory": self.root / "data",
            "meta_directory": "/etc/postfix",
            "command_directory": "/usr/sbin",
            "daemon_directory": "/usr/lib/postfix/sbin",
            "maillog_file": self.maillog,
            "maillog_file_prefixes": self.root,
            "inet_interfaces": "127.0.0.1",
            "myhostname": "mta1.test",
            "mydestination": "local.test, $myhostname, localhost",
            "mynetworks": "127.0.0.0/8 [::1]/128",
            "alias_maps": f"hash:{self.aliases}",
            "alias_database": f"hash:{self.aliases}",
            "mail_spool_directory": f"{self.spool}/",
            "forward_path": f"{self.forward}/${{user}}",
            "recipient_delimiter": "+",
            "biff": "no",
            "smtp_dns_support_level": "disabled",
            "smtp_host_lookup": "native",
            "smtp_tcp_port": sink_port,
            "smtpd_peername_lookup": "no",
            "smtpd_authorized_verp_clients": "$mynetworks",
            "smtpd_client_connection_count_limit": "0",
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": "sasl",  # in the queue directory, for a chroot
            "smtpd_relay_restrictions":
                "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination",
            "minimal_backoff_time": "2s",
            "maximal_backoff_time": "4s",
            "queue_run_delay": "2s",
            "transport_retry_time": "2s",
        }
        main.update(extra)
        (self.config / "main.cf").write_text(
            "".join(f"{key} = {value}\n" for key, value in main.items()))

    def _furnish_chroot(self):
        etc = self.queue_directory / "etc"
        etc.mkdir()
        for name in ("hosts", "services", "nsswitch.conf", "resolv.conf"):
            if Path("/etc", name).exists():
                shutil.copy(Path("/etc", name), etc / name)

    def write_aliases(self, aliases):
        self.aliases.write_text("".join(f"{k}: {v}\n" for k, v in aliases.items()))
        self.command("postalias", f"hash:{self.aliases}")

    def command(self, *args, check=True, **kwargs):
        """One of Postfix's commands, told of this instance by its environment."""
        return subprocess.run(args, check=check, capture_output=True, text=True,
                              env=dict(os.environ, MAIL_CONFIG=str(self.config)),
                              **{"timeout": 120, **kwargs})

    def postfix(self, verb):
        """postfix(1); its output goes to a file: daemons inherit it."""
        out = self.root / "postfix.out"
        with open(out, "a", encoding="utf-8") as file:
            done = subprocess.run(["postfix", "-c", str(self.config), verb],
                                  stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False,
                                  timeout=120, env=os.environ | self.environment)
        if done.returncode != 0:
            raise AssertionError(f"postfix {verb}: status {done.returncode}: {out.read_text()}"
                                 + self.log()[-2000:])

    def start(self):
        if self._sasl is None:
            self._sasl = SaslServer(self.queue_directory / "sasl")
        self.postfix("start")
        self.running = True
        try:
            wait_for(self._answers, what=lambda: f"Postfix's smtpd: {self.log()[-3000:]}")
        except AssertionError:
            self.stop()
            raise

    def _answers(self):
        with socket.create_connection(("127.0.0.1", self.port), 10) as probe:
            return probe.recv(4).startswith(b"220")

    def stop(self):
        """Stop it, and see that none of its processes is left."""
        if self.running:
            self.postfix("stop")
            self.running = False
        if self._sasl is not None:
            self._sasl.stop()
            self._sasl = None
        wait_for(lambda: not self.processes(), what="the end of Postfix's processes")

    def reload(self):
        before = self.log().count("reload -- version")
        self.postfix("reload")
        wait_for(lambda: self.log().count("reload -- version") > before, what="Postfix's reload")

    def processes(self):
        mark = f"MAIL_CONFIG={self.config}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if (entry.name.isdigit() and int(entry.name) != os.getpid()
                        and mark in (entry / "environ").read_bytes().split(b"\0")):
                    found.append(int(entry.name))
            except OSError:
                pass
        return found

    def postconf(self, *edits):
        return self.command("postconf", *edits).stdout

    def log(self):
        try:
            return self.maillog.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def log_of(self, queue_id):
        return [line for line in self.log().splitlines() if f" {queue_id}: " in line]

    def queue(self):
        """What mailq shows, as a list of dictionaries."""
        lines = self.command("postqueue", "-j").stdout.splitlines()
        return [json.loads(line) for line in lines]

    def results(self):
        """How many results of deliveries the log has."""
        return self.log().count(" status=")

    def flush(self, limit=60):
        """Have all that is deferred tried again: also what has a result, but is still active."""
        wait_for(lambda: all(m["queue_name"] in ("deferred", "hold") for m in self.queue()), limit,
                 lambda: f"nothing to be under way, has {self.queue()}", every=0.1)
        self.command("postqueue", "-f")

    def wait_queue_empty(self, limit=60):
        """A listing misses what becomes active meanwhile, so that two in a row have to be empty."""
        wait_for(lambda: not self.queue() and not self.queue(), limit,
                 lambda: f"an empty queue, has {self.queue()}", every=0.2)

    def wait_log(self, pattern, limit=60):
        return wait_for(lambda: re.search(pattern, self.log()), limit,
                        f"{pattern!r} in the mail log")

    def sendmail(self, sender, recipients, data, *options):
        """Hand a message to sendmail(1)."""
        subprocess.run(["/usr/sbin/sendmail", "-i", "-f", sender, *options, "--", *recipients],
                       check=True, input=data.replace(b"\r\n", b"\n"), capture_output=True,
                       env=dict(os.environ, MAIL_CONFIG=str(self.config)))

    def mailbox(self, user):
        """The messages that local(8) delivered to user, as bytes."""
        new = self.spool / user / "new"
        return [path.read_bytes() for path in sorted(new.iterdir())] if new.exists() else []

    def wait_mailbox(self, user, mark, limit=60):
        """The first message of user's that has the text mark in it."""
        mark = mark.encode()
        return wait_for(lambda: next((m for m in self.mailbox(user) if mark in m), None),
                        limit, f"{mark!r} in the mailbox of {user}", every=0.05)
