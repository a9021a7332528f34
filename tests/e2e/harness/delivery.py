# SPDX-License-Identifier: MIT
"""One mail transaction as it came over the wire."""

import re
from dataclasses import dataclass, field

ANY_ID = re.compile(rb"^X-Test-Id: *(\S+)\r?$", re.M)


@dataclass
class Delivery:
    source: str  # the client's address
    target: str  # the address of ours that it connected to
    session: int  # counts connections
    helo: str
    mail: bytes  # what followed "MAIL FROM:", parameters and all
    rcpts: list = field(default_factory=list)  # what followed "RCPT TO:"
    data: bytes = b""  # without dot-stuffing and the last dot
    at: float = 0  # time.time() at its end

    @property
    def sender(self):
        return self.mail[:self.mail.rindex(b">") + 1].decode()

    @property
    def recipients(self):
        return [r[:r.rindex(b">")].lstrip(b"<").decode() for r in self.rcpts]

    @property
    def id(self):
        found = ANY_ID.search(self.data)
        return found.group(1).decode() if found else None

    def headers(self, name):
        """The values of all headers of that name, unfolded."""
        head = self.data.split(b"\r\n\r\n", 1)[0] + b"\r\n"
        head = re.sub(rb"\r\n(?=[ \t])", b"", head)
        found = re.findall(rb"(?im)^" + re.escape(name.encode()) + rb"[ \t]*:(.*)\r$", head)
        return [value.strip().decode(errors="surrogateescape") for value in found]

    @property
    def body(self):
        return self.data.split(b"\r\n\r\n", 1)[1]
