# SPDX-License-Identifier: MIT
"""A real nsd(8) on loopback: one zone, which may be changed while it runs."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from .wait import wait_for

CONFIGURATION = """\
server:
  server-count: 1
  ip-address: 127.0.0.1@{port}
  username: ""
  chroot: ""
  database: ""
  zonesdir: "{root}"
  pidfile: "{root}/nsd.pid"
  xfrdfile: "{root}/xfrd.state"
  zonelistfile: "{root}/zone.list"
  logfile: "{root}/nsd.log"
  rrl-ratelimit: 0
  zonefiles-check: yes
remote-control:
  control-enable: no
zone:
  name: {zone}
  zonefile: zone
"""


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nsd:
    """records: lines of a zone file, names without the zone's."""

    def __init__(self, root, records, zone="mail.test"):
        self.root, self.zone = Path(root), zone
        self.port = free_port()
        self._serial = 0
        self._write(records)
        conf = self.root / "nsd.conf"
        conf.write_text(CONFIGURATION.format(port=self.port, root=self.root, zone=zone))
        self.process = subprocess.Popen(["/usr/sbin/nsd", "-d", "-c", str(conf)],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait_served()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def _write(self, records):
        self._serial += 1
        head = [f"$ORIGIN {self.zone}.", "$TTL 3600",
                f"@ IN SOA ns hostmaster {self._serial} 3600 600 86400 60", "@ IN NS ns",
                "ns IN A 127.0.0.1"]
        (self.root / "zone").write_text("\n".join([*head, *records]) + "\n")

    def _wait_served(self):
        def served():
            assert self.process.poll() is None, (self.root / "nsd.log").read_text()
            query = dns.message.make_query(self.zone, "SOA")
            try:
                answer = dns.query.udp(query, "127.0.0.1", 1, self.port)
            except dns.exception.Timeout:
                return False
            return answer.answer and answer.answer[0][0].serial == self._serial
        wait_for(served, what=f"serial {self._serial} from nsd")

    def change(self, records):
        """Serve other records, and wait until it does."""
        self._write(records)
        os.kill(self.process.pid, signal.SIGHUP)
        self._wait_served()

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
