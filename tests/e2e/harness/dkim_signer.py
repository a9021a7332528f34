# SPDX-License-Identifier: MIT
"""opendkim as a signing milter with a key of its own, and the check of what it signed."""

import re
import subprocess
from pathlib import Path

import dkim

from .programs import connects
from .wait import wait_for

SIGNED = "From,To,Subject,Date,Message-ID,X-Test-Id,X-Postpool-Stream"


class DkimSigner:
    def __init__(self, directory, domain="site.test", selector="test"):
        self.directory = Path(directory)
        self.domain, self.selector = domain, selector
        self.socket = self.directory / "opendkim"
        key = self.directory / f"{selector}.private"
        subprocess.run(["opendkim-genkey", "-b", "1024", "-D", directory, "-d", domain,
                        "-s", selector], check=True, capture_output=True)
        (self.directory / "keys").write_text(f"k {domain}:{selector}:{key}\n")
        (self.directory / "signing").write_text(f"*@{domain} k\n")
        (self.directory / "opendkim.conf").write_text(
            f"Mode s\nSocket local:{self.socket}\nUMask 000\nUserID root\nRequireSafeKeys no\n"
            f"KeyTable file:{self.directory}/keys\nSigningTable refile:{self.directory}/signing\n"
            f"InternalHosts 127.0.0.1\nCanonicalization simple/simple\nSignHeaders {SIGNED}\n"
            f"OversignHeaders From,X-Postpool-Stream\nSyslog no\n")
        self._process = None

    def start(self):
        with open(self.directory / "opendkim.log", "wb") as log:
            self._process = subprocess.Popen(
                ["opendkim", "-f", "-x", self.directory / "opendkim.conf"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: connects(self.socket), what="opendkim")

    def stop(self):
        if self._process:
            self._process.kill()  # its orderly end takes seconds
            self._process.wait(60)

    def verifies(self, data):
        """Is there a signature over data, and is it good?"""
        record = (self.directory / f"{self.selector}.txt").read_text()
        key = "".join(re.findall(r'"([^"]*)"', record)).encode()

        def dns(name, timeout=5):
            return key if name == f"{self.selector}._domainkey.{self.domain}.".encode() else None
        return dkim.verify(data, dnsfunc=dns)
