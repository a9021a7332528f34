# SPDX-License-Identifier: MIT
"""Redis of several servers: a master with replicas and Sentinels, and a Cluster."""

import random
import signal
import subprocess
import time
from pathlib import Path

from .redis import CLI, Redis
from .wait import wait_for

SENTINEL_CONF = """\
port {port}
bind 127.0.0.1
dir {home}
sentinel monitor mymaster 127.0.0.1 {master} 2
sentinel down-after-milliseconds mymaster 1000
sentinel failover-timeout mymaster 3000
"""


class Servers:
    """On ports from base on, each in a folder of its own."""

    def __init__(self, folder, base):
        self.folder = Path(folder)
        self.base = base
        self.servers = []

    def serve(self, *options):
        port = self.base + len(self.servers)
        self.servers.append(Redis(self.folder / str(port), *options, port=port).start())

    def stop(self):
        for one in self.servers:
            one.stop()


class Replicated(Servers):
    """A master, two replicas, three Sentinels."""

    url = ""

    def __init__(self, folder, base):
        super().__init__(folder, base)
        self._watchers = []
        self.serve()
        for _ in range(2):
            self.serve("--replicaof", "127.0.0.1", base)
        wait_for(lambda: "connected_slaves:2" in self.servers[0].cli("INFO", "replication"), 20,
                 "replicas")
        for port in range(base + 5, base + 8):
            self._watch(port)
        wait_for(lambda: all("num-other-sentinels\n2" in one.cli("SENTINEL", "MASTER", "mymaster")
                             and "num-slaves\n2" in one.cli("SENTINEL", "MASTER", "mymaster")
                             for one in self._watchers), 30, "the Sentinels know each other")

    def _watch(self, port):
        home = self.folder / f"sentinel-{port}"
        home.mkdir()
        conf = home / "conf"
        conf.write_text(SENTINEL_CONF.format(port=port, home=home, master=self.base))
        self._watchers.append(Redis(home, port=port, sentinel=conf).start())

    @property
    def sentinels(self):
        return [f"127.0.0.1:{one.port}" for one in self._watchers]

    def master(self):
        """Whom the Sentinels name."""
        _, port = self._watchers[0].cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster").split()
        return next(one for one in self.servers if one.port == int(port))

    def lose_master(self, meanwhile=lambda: None):
        """The replicas lag when it dies, so they have not the last leases; returns who died."""
        master = self.master()
        others = [one for one in self.servers if one is not master]
        for one in others:
            one.signal(signal.SIGSTOP)
        time.sleep(0.8)
        master.stop()
        meanwhile()
        for one in others:
            one.signal(signal.SIGCONT)
        return master

    def rejoin(self, lost):
        """It comes back as a replica of the next one."""
        wait_for(lambda: self.master() is not lost, 60, "another master")
        lost.start("--replicaof", "127.0.0.1", self.master().port)

    def stop(self):
        for one in self._watchers:
            one.stop()
        super().stop()


class Cluster(Servers):
    """Three masters."""

    def __init__(self, folder, base):
        super().__init__(folder, base)
        for _ in range(3):
            self.serve("--cluster-enabled", "yes", "--cluster-node-timeout", 2000)
        made = subprocess.run([CLI, "--cluster", "create", "--cluster-yes",
                               *(f"127.0.0.1:{one.port}" for one in self.servers)],
                              capture_output=True, text=True, timeout=60, check=False)
        assert made.returncode == 0, made.stdout
        wait_for(lambda: all("cluster_state:ok" in one.cli("CLUSTER", "INFO")
                             for one in self.servers), 30, "the Cluster is there")

    @property
    def url(self):
        return self.servers[0].url

    def stranger(self, prefix):
        """The URL of a server that has not the prefix' slot, so that it only redirects."""
        slot = int(self.servers[0].cli("CLUSTER", "KEYSLOT", f"{{{prefix}}}:nodes"))
        return self.servers[(slot * len(self.servers) // 16384 + 1) % len(self.servers)].url

    def move(self, prefix, meanwhile=lambda: None):
        """The slot of a prefix goes to another server, key by key; meanwhile() is in its midst."""
        slot = self.servers[0].cli("CLUSTER", "KEYSLOT", f"{{{prefix}}}:nodes")
        source = next(one for one in self.servers
                      if int(one.cli("CLUSTER", "COUNTKEYSINSLOT", slot)) > 0)
        target = random.choice([one for one in self.servers if one is not source])
        names = {one: one.cli("CLUSTER", "MYID") for one in self.servers}
        target.cli("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source])
        source.cli("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target])
        meanwhile()
        for _ in range(200):
            keys = source.cli("CLUSTER", "GETKEYSINSLOT", slot, 1).split()
            if not keys:
                break
            source.cli("MIGRATE", "127.0.0.1", target.port, keys[0], 0, 2000)
            time.sleep(0.05)
        for one in (target, source, *self.servers):
            one.cli("CLUSTER", "SETSLOT", slot, "NODE", names[target])
