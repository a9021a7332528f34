# SPDX-License-Identifier: MIT
"""The world that mail goes out to: one SMTP server that keeps all it is given."""

import asyncio
import socket
import threading
import time
from collections import Counter

from .delivery import Delivery
from .smtp_session import SmtpSession
from .wait import wait_for

LIMIT_S = 30  # for the sink's thread to do what it is asked


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
        self.sessions_open = set()
        self.extensions = [b"PIPELINING", b"SIZE 50000000", b"8BITMIME", b"SMTPUTF8"]
        self.port = port
        self._server = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.listen()

    def listen(self):
        """Take connections, as it does from the beginning."""
        self._do(self._listen())

    def shut(self):
        """Take no more connections, as a server that is down; those that are there go on."""
        self._do(self._shut())

    def stop(self):
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT_S)
        self._loop.close()

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

    # What a session asks, in the sink's thread.  None is yes, but to on_data().

    def on_connect(self, _session):
        return None

    def on_mail(self, _session, _delivery):
        return None

    def on_rcpt(self, _session, delivery, recipient):
        self.tries[recipient] += 1
        reply = self.rule(self, recipient)
        if reply is not None:
            self.refused.append(Delivery(delivery.source, delivery.target, delivery.session,
                                         delivery.helo, delivery.mail,
                                         [f"<{recipient}>".encode()], at=time.time()))
        return reply

    def on_data(self, _session, delivery):
        delivery.at = time.time()
        self.deliveries.append(delivery)
        return b"250 2.0.0 Ok: queued as %d" % len(self.deliveries)

    def delay(self, _session):
        """Seconds until the reply that is to be sent next is."""
        return 0

    # The thread.

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(LIMIT_S)

    def _session(self):
        self.sessions += 1
        return SmtpSession(self, self.sessions)

    async def _listen(self):
        own = socket.socket(socket.AF_INET6)
        own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind(("::", self.port))
        self.port = own.getsockname()[1]
        self._server = await self._loop.create_server(self._session, sock=own, backlog=4000)

    async def _shut(self):
        if self._server:
            self._server.close()
            self._server = None

    async def _stop(self):
        await self._shut()
        for session in list(self.sessions_open):
            session.drop()
        while self.sessions_open:
            await asyncio.sleep(0)
