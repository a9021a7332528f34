# SPDX-License-Identifier: MIT
"""A whole mail host: Postfix with postpool installed into it, and a sink beside."""

import copy
import os
import shutil
import signal
from pathlib import Path

from . import client, libconf, programs
from .postfix import Postfix
from .programs import Daemon, postpool
from .sink import Sink

USER = "nobody"  # whom the daemons become

# By address what the sink must see: fast a1 a2, bulk b1 b2 (3:1), rest d1.
ADDRESSES = {
    "a1": "127.0.1.1", "a2": "127.0.1.2", "b1": "127.0.1.11", "b2": "127.0.1.12",
    "c1": "127.0.1.21", "d1": "127.0.1.31", "s1": "127.0.1.41",
}
FAST, BULK, ALERTS, REST = ({"127.0.1.1", "127.0.1.2"}, {"127.0.1.11", "127.0.1.12"},
                            {"127.0.1.21"}, {"127.0.1.31"})


def configuration(run):
    """The configuration of the tests, to be changed at will; sockets are in run."""
    return {
        "node": "mta1",
        "watchdog": "30s",  # a busy machine may stand still for longer than the default
        "user": USER,
        "tag_secret_file": f"{run}/tag.secret",
        "listen": {"lookup": f"unix:{run}/lookup", "control": f"unix:{run}/control",
                   "group": "postfix", "mode": "0660"},
        "store": {"path": f"{run}/state.db"},
        "milter": {"socket": f"unix:{run}/milter", "pid_file": f"{run}/milter.pid", "group": "postfix", "mode": "0660",
                   "strip": ["X-Stream"], "internal": ["127.0.0.1", "::1"],
                   "local_domains": ["local.test"]},
        "addresses": {name: {"ip": ip, "helo": f"{name}.mail.test"}
                      for name, ip in ADDRESSES.items()},
        "pools": {
            "fast": {"addresses": ["a1", "a2"], "overflow": ["spare"]},
            "bulk": {"addresses": [{"name": "b1", "weight": 3}, {"name": "b2", "weight": 1}]},
            "alerts": {"addresses": ["c1"]},
            "rest": {"addresses": ["d1"]},
            "spare": {"addresses": ["s1"]},
        },
        "streams": [
            {"name": "transactional", "pool": "fast",
             "match": [{"header": "X-Stream", "value": "transactional"},
                       {"sasl_user": "app-*"}]},
            {"name": "bulk", "pool": "bulk",
             "match": [{"header": "X-Stream", "value": "bulk"},
                       {"sender": "*@lists.test"}]},
            {"name": "alerts", "pool": "alerts",
             "match": [{"header": "X-Stream", "value": "alerts", "sasl_user": "ops"}]},
            {"name": "default", "pool": "rest", "match": []},
        ],
        "bypass": ["internal.test"],
    }


class Host:
    """Parts are made by new; start() brings them up, close() takes them down.

    change(conf) may alter the configuration before it is written.
    """

    def __init__(self, root, change=None, main=None, master_lines=(), chroot=False, sink=None):
        self.root = Path(root)
        self.sink = sink or Sink()
        self._own_sink = sink is None
        self.postfix = Postfix(self.root, self.sink.port, main, master_lines, chroot)
        # Where Debian has it: a chrooted Postfix reaches no other place.
        self.run = self.postfix.queue_directory / "postpool"
        self.run.mkdir()
        shutil.chown(self.run, USER, "postfix")
        self.run.chmod(0o2755)
        (self.run / "tag.secret").write_bytes(os.urandom(32))
        (self.run / "tag.secret").chmod(0o640)
        shutil.chown(self.run / "tag.secret", USER)
        self.conf = configuration(self.run)
        if change:
            change(self.conf)
        self.conf_path = self.root / "postpool.conf"
        self.write_conf()
        self.policyd = Daemon("postpool-policyd", self.conf_path, self.root,
                              lambda: programs.connects(self.run / "lookup")
                              and programs.connects(self.run / "control"))
        self.milter = Daemon("postpool-milter", self.conf_path, self.root,
                             lambda: programs.connects(self.run / "milter"))

    def write_conf(self, conf=None):
        """Replace the file as an editor does."""
        new = self.conf_path.with_suffix(".new")
        new.write_text(libconf.dumps(conf or self.conf), encoding="utf-8")
        new.rename(self.conf_path)

    def changed(self):
        """A deep copy of the configuration to play with."""
        return copy.deepcopy(self.conf)

    def start(self):
        self.policyd.start()
        self.milter.start()
        self.apply()
        self.postfix.start()

    def apply(self):
        return self.postpool("transports", "apply", "--config-dir", self.postfix.config)

    def postpool(self, *args, status=0):
        return postpool("-c", self.conf_path, *args, status=status)

    def close(self):
        """Take everything down; what went wrong on the way is raised at the end."""
        wrong = []
        self.milter.terminate()  # libmilter needs some seconds
        for stop in (self.postfix.stop, self.policyd.stop, self.milter.stop):
            try:
                stop()
            except Exception as error:  # pylint: disable=broad-except
                wrong.append(error)
        if self._own_sink:
            self.sink.stop()
        for daemon in (self.milter, self.policyd):
            if daemon.running:
                daemon.process.kill()
        for pid in self.postfix.processes():
            os.kill(pid, signal.SIGKILL)
        if wrong:
            raise wrong[0]

    def smtp(self, **kwargs):
        return client.Smtp(self.postfix.port, **kwargs)

    def submit(self, sender, recipients, headers=(), user=None, source="127.0.0.1", **kwargs):
        """One message over SMTP; returns its X-Test-Id."""
        test_id = client.new_id()
        with self.smtp(source=source) as smtp:
            if user:
                smtp.login(user)
            smtp.send(sender, recipients, client.message(test_id, headers, **kwargs))
        return test_id

    def deliver(self, sender, recipients, headers=(), **kwargs):
        """Submit a message and wait for all recipients at the sink."""
        recipients = [recipients] if isinstance(recipients, str) else recipients
        test_id = self.submit(sender, recipients, headers, **kwargs)
        return self.sink.wait(test_id, len(recipients))

    def restart_policyd(self):
        self.policyd.stop()
        self.policyd.start()

    def reload_conf(self, conf):
        """Take conf into use in both daemons, and wait until it is."""
        self.conf = conf
        self.write_conf()
        milter_log = len(self.milter.log())
        self.postpool("reload")
        self.milter.wait_log("reload: configuration taken over", milter_log)

    def logs(self):
        """The ends of all logs, for a failed test's report."""
        parts = [("mail.log", self.postfix.log()), ("policyd", self.policyd.log()),
                 ("milter", self.milter.log())]
        return "".join(f"==== {name}\n{text[-4000:]}\n" for name, text in parts)
