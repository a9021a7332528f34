# SPDX-License-Identifier: MIT
"""A name server for the private network: answers from a table, and says so of everything else."""

import os
import socket
import tempfile
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from . import namespace

ADDRESS = "127.0.0.53"


class NameServer(threading.Thread):
    """zone: {name: {type: [text, ...]}}; a name that is not there does not exist.

    From its start on /etc/resolv.conf of the private world names it.
    """

    def __init__(self, zone):
        super().__init__(daemon=True)
        self.zone = zone
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((ADDRESS, 53))
        fd, path = tempfile.mkstemp()
        with os.fdopen(fd, "w") as file:
            file.write(f"nameserver {ADDRESS}\noptions timeout:2 attempts:2\n")
        os.chmod(path, 0o644)
        namespace.bind(path, "/etc/resolv.conf")
        os.unlink(path)
        self.start()

    def run(self):
        while True:
            query, peer = self._socket.recvfrom(4096)
            if not query:
                return
            self._socket.sendto(self._answer(dns.message.from_wire(query)).to_wire(), peer)

    def _answer(self, query):
        (question,) = query.question
        answer = dns.message.make_response(query, recursion_available=True)
        records = self.zone.get(question.name.to_text(omit_final_dot=True))
        if records is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            texts = records.get(dns.rdatatype.to_text(question.rdtype), [])
            if texts:
                answer.answer.append(dns.rrset.from_text(question.name, 1, "IN", question.rdtype,
                                                         *texts))
        return answer

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.sendto(b"", (ADDRESS, 53))
        self.join()
        self._socket.close()
        namespace.umount("/etc/resolv.conf")
