# SPDX-License-Identifier: MIT
"""The side that hands mail in: an SMTP client that can also misbehave."""

import base64
import itertools
import re
import socket
import uuid

_numbers = itertools.count(1)
_run = uuid.uuid4().hex[:8]


def new_id():
    return f"{_run}-{next(_numbers)}"


def message(test_id, headers=(), body="Hello.\n", sender="author@site.test", to="them@one.test"):
    """The bytes of a message; headers are (name, value) or whole lines."""
    lines = [f"From: {sender}", f"To: {to}", "Subject: a test",
             f"Message-ID: <{test_id}@client.test>", "Date: Thu, 01 Jan 2026 00:00:00 +0000",
             f"X-Test-Id: {test_id}"]
    lines += [h if isinstance(h, str) else f"{h[0]}: {h[1]}" for h in headers]
    text = "\n".join(lines) + "\n\n" + body
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode(errors="surrogateescape")


class Refused(Exception):
    """A reply of another class than the one waited for."""


class Smtp:
    """One connection.  All methods wait for the replies they cause."""

    def __init__(self, port, source="127.0.0.1", host="127.0.0.1", helo="client.test", timeout=120):
        self._socket = socket.create_connection((host, port), timeout, (source, 0))
        self._file = self._socket.makefile("rb")
        self.reply("2")
        self.features = self.cmd(f"EHLO {helo}", "2")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Say QUIT when the server still listens."""
        try:
            self._socket.sendall(b"QUIT\r\n")
            self._file.readline()
        except OSError:
            pass
        self._file.close()
        self._socket.close()

    def drop(self):
        """Hang up without a word."""
        self._file.close()
        self._socket.close()

    def write(self, data):
        self._socket.sendall(data)

    def reply(self, expect=None):
        text = ""
        while True:
            line = self._file.readline().decode(errors="surrogateescape")
            if not line:
                raise Refused(f"connection closed after {text!r}")
            text += line
            if line[3:4] != "-":
                break
        if expect and not text.startswith(expect):
            raise Refused(text.strip())
        return text

    def cmd(self, line, expect=None):
        self.write((line if isinstance(line, bytes) else line.encode()) + b"\r\n")
        return self.reply(expect)

    def login(self, user, password="secret"):
        token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.cmd(f"AUTH PLAIN {token}", "2")

    def send(self, sender, recipients, data, parameters=""):
        """One message, command by command; returns its queue id."""
        self.cmd(f"MAIL FROM:<{sender}>{parameters}", "2")
        for recipient in recipients:
            self.cmd(f"RCPT TO:<{recipient}>", "2")
        self.cmd("DATA", "3")
        return self.data(data)

    def data(self, data):
        self.write(re.sub(rb"(?m)^\.", b"..", data) + b".\r\n")
        return queue_id(self.reply("2"))

    def pipeline(self, envelopes):
        """[(sender, recipients, data)]: one write for all that may be in one."""
        ids = []
        first = True
        for sender, recipients, data in envelopes:
            head = b"" if first else b"RSET\r\n"
            head += f"MAIL FROM:<{sender}>\r\n".encode()
            head += b"".join(f"RCPT TO:<{r}>\r\n".encode() for r in recipients) + b"DATA\r\n"
            self.write(head)
            for _ in range(len(recipients) + (1 if first else 2)):
                self.reply("2")
            self.reply("3")
            ids.append(self.data(data))
            first = False
        return ids


def queue_id(reply):
    return re.search(r"queued as (\S+)", reply).group(1)
