# SPDX-License-Identifier: MIT
"""The world that mail goes out to: one SMTP server that keeps all it is given."""

import asyncio
import re
import socket
import threading
from collections import Counter
from dataclasses import dataclass, field

from .wait import wait_for

ANY_ID = re.compile(rb"^X-Test-Id: *(\S+)\r?$", re.M)


@dataclass
class Delivery:
    """One mail transaction as it came over the wire."""

    source: str  # the client's address
    target: str  # the address of ours that it connected to
    session: int  # counts connections
    helo: str
    mail: bytes  # what followed "MAIL FROM:", parameters and all
    rcpts: list = field(default_factory=list)  # what followed "RCPT TO:"
    data: bytes = b""  # without dot-stuffing and the last dot

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


def refuse_by_name(sink, recipient):
    """The default rule: reject* is refused for good, defer-once* the first time."""
    local = recipient.partition("@")[0]
    if local.startswith("reject"):
        return b"550 5.1.1 no such user"
    if local.startswith("defer-once") and sink.tries[recipient] == 1:
        return b"450 4.2.0 greylisted, come again"
    if local.startswith("defer-always"):
        return b"450 4.2.0 not now"
    return None


class Sink:
    """Listens on one port of every address; its thread is a daemon.

    rule(sink, recipient) answers a RCPT line in our place when it returns
    bytes; tries counts how often each recipient was offered.
    """

    def __init__(self, port=0, rule=refuse_by_name):
        self.deliveries = []
        self.refused = []  # Delivery objects without data, one recipient each
        self.tries = Counter()
        self.rule = rule
        self.sessions = 0
        self.extensions = [b"PIPELINING", b"SIZE 50000000", b"8BITMIME", b"SMTPUTF8"]
        self._socket = socket.socket(socket.AF_INET6)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("::", port))
        self.port = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        started.wait()

    def stop(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._socket.close()

    def of(self, test_id):
        """The deliveries of the messages with that X-Test-Id."""
        return [d for d in list(self.deliveries) if d.id == test_id]

    def wait(self, test_id, count=1, limit=60):
        """Wait until count recipients of that message are delivered."""
        def recipients():
            return sum(len(d.rcpts) for d in self.of(test_id))
        wait_for(lambda: recipients() >= count, limit,
                 lambda: f"{count} recipients of {test_id} at the sink, has {recipients()}")
        return self.of(test_id)

    def wait_total(self, count, limit=120):
        """Wait until count transactions came in since the last clear()."""
        wait_for(lambda: len(self.deliveries) >= count, limit,
                 lambda: f"{count} deliveries at the sink, has {len(self.deliveries)}")
        return list(self.deliveries)

    def clear(self):
        self.deliveries = []
        self.refused = []
        self.tries = Counter()

    def _run(self, started):
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, sock=self._socket, limit=1 << 25, backlog=4000))
        started.set()
        self._loop.run_forever()
        self._server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader, writer):
        try:
            await self._session(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _session(self, reader, writer):
        def plain(address):
            return address[0][7:] if address[0].startswith("::ffff:") else address[0]

        self.sessions += 1
        session = self.sessions
        source = plain(writer.get_extra_info("peername"))
        target = plain(writer.get_extra_info("sockname"))
        helo, current = "", None
        writer.write(b"220 sink.test ESMTP\r\n")
        while line := await reader.readline():
            line = line.rstrip(b"\r\n")
            verb = line[:4].upper()
            if verb in (b"EHLO", b"HELO"):
                helo = line[5:].decode()
                lines = [b"sink.test"] + (self.extensions if verb == b"EHLO" else [])
                writer.write(b"".join(b"250-%s\r\n" % l for l in lines[:-1])
                             + b"250 %s\r\n" % lines[-1])
            elif verb == b"MAIL":
                current = Delivery(source, target, session, helo, line[10:])
                writer.write(b"250 2.1.0 Ok\r\n")
            elif verb == b"RCPT":
                recipient = line[8:].lstrip(b"<")
                recipient = recipient[:recipient.rindex(b">")].decode()
                self.tries[recipient] += 1
                refusal = self.rule(self, recipient)
                if refusal is None:
                    current.rcpts.append(line[8:])
                else:
                    self.refused.append(Delivery(source, target, session, helo,
                                                 current.mail, [line[8:]]))
                writer.write((refusal or b"250 2.1.5 Ok") + b"\r\n")
            elif verb == b"DATA":
                if not current or not current.rcpts:
                    writer.write(b"554 5.5.1 no valid recipients\r\n")
                    continue
                writer.write(b"354 go on\r\n")
                data = b"\r\n" + await reader.readuntil(b"\r\n.\r\n")
                current.data = data[2:-3].replace(b"\r\n..", b"\r\n.")
                self.deliveries.append(current)
                current = None
                writer.write(b"250 2.0.0 Ok\r\n")
            elif verb == b"RSET":
                current = None
                writer.write(b"250 2.0.0 Ok\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 2.0.0 Bye\r\n")
                await writer.drain()
                return
            else:
                writer.write(b"250 2.0.0 Ok\r\n" if verb == b"NOOP" else b"502 5.5.2 what?\r\n")
            await writer.drain()
