# SPDX-License-Identifier: MIT
"""A mailbox provider: a sink that has rules for who sends to it, and writes down every try."""

import re
import time
from typing import NamedTuple

from .provider_rules import Block, Slow
from .sink import Sink
from .smtp_session import HANG_UP, SILENT, path

TEST_ID = re.compile(rb"(?im)^X-Test-Id: *(\S+)")
MESSAGE_ID = re.compile(rb"(?im)^Message-ID: *<([^\s>]+)>")
HEADERS_MAX = 16384


class Attempt(NamedTuple):
    """One try of one recipient."""

    at: float  # time.time()
    source: str
    target: str
    sender: str  # without brackets
    recipient: str  # "" where it did not come so far
    stage: str  # "connect", "mail", "rcpt", "data": what reply answers
    id: str  # X-Test-Id, else Message-ID: known only at "data"
    reply: str  # "" when nothing was said
    session: int

    @property
    def taken(self):
        return self.stage == "data" and self.reply.startswith("2")

    @property
    def sender_domain(self):
        return self.sender.rpartition("@")[2].lower()

    @property
    def domain(self):
        return self.recipient.rpartition("@")[2].lower()

    @property
    def local(self):
        return self.recipient.rpartition("@")[0]


class Simulator(Sink):
    """Of the rules (harness.provider_rules) that fit, the first that refuses answers.

    Rules may come and go while it runs.  keep_data: else of each message only the beginning
    stays, for long runs.
    """

    def __init__(self, *rules, port=0, keep_data=True):
        self.attempts = []
        self.keep_data = keep_data
        self._block = Block()
        self._rules = (self._block, *rules)
        super().__init__(port)

    def add(self, rule):
        self._rules += (rule,)
        return rule

    def remove(self, rule):
        self._rules = tuple(r for r in self._rules if r is not rule)

    def block(self, source):
        """550 5.7.1 to every recipient from there, until unblock()."""
        self._block.blocked.add(source)

    def unblock(self, source):
        self._block.blocked.discard(source)

    def clear(self):
        super().clear()
        self.attempts = []

    def attempts_from(self, source):
        return [a for a in list(self.attempts) if a.source == source]

    def attempts_to(self, recipient):
        """All tries of a recipient, in their order: of one message, if it is the only one."""
        return [a for a in list(self.attempts) if a.recipient == recipient]

    def refusals(self):
        return [a for a in list(self.attempts) if not a.taken]

    def on_connect(self, session):
        attempt = self._attempt(session, "", "", "connect")
        reply = self._ask(attempt)
        if reply is not None:
            self._note(attempt, reply)
        return reply

    def on_mail(self, session, delivery):
        sender = path(delivery.mail)
        attempt = self._attempt(session, sender, "", "mail")
        reply = self._ask(attempt)
        if reply is not None:
            for recipient in session.pipelined_recipients() or [""]:
                self._note(attempt._replace(recipient=recipient), reply)
        return reply

    def on_rcpt(self, session, delivery, recipient):
        attempt = self._attempt(session, path(delivery.mail), recipient, "rcpt")
        reply = self._ask(attempt) or super().on_rcpt(session, delivery, recipient)
        if reply is not None:
            self._note(attempt, reply)
        return reply

    def on_data(self, session, delivery):
        found = (TEST_ID.search(delivery.data, 0, HEADERS_MAX)
                 or MESSAGE_ID.search(delivery.data, 0, HEADERS_MAX))
        message_id = found.group(1).decode(errors="replace") if found else ""
        attempts = [self._attempt(session, path(delivery.mail), path(r), "data", message_id)
                    for r in delivery.rcpts]
        reply = next(filter(None, map(self._ask, attempts)), None)
        if reply is None:
            if not self.keep_data:
                delivery.data = delivery.data[:HEADERS_MAX].partition(b"\r\n\r\n")[0]
            reply = super().on_data(session, delivery)
        for attempt in attempts:
            self._note(attempt, reply)
        return reply

    def delay(self, session):
        rules = [rule for rule in self._rules if isinstance(rule, Slow)]
        if not rules:
            return 0
        attempt = self._attempt(session, "", "", "")
        return sum(rule.seconds for rule in rules if rule.fits(attempt))

    @staticmethod
    def _attempt(session, sender, recipient, stage, message_id=""):
        return Attempt(time.time(), session.source, session.target, sender, recipient, stage,
                       message_id, "", session.number)

    def _ask(self, attempt):
        """The reply of the first rule that refuses, or None."""
        rules = [rule for rule in self._rules if rule.at == attempt.stage]
        for rule in rules:
            if rule.fits(attempt) and rule.refuses(attempt):
                return rule.words(attempt)
        for rule in rules:
            rule.passed(attempt)
        return None

    def _note(self, attempt, reply):
        said = "" if reply in (SILENT, HANG_UP) else reply.decode()
        self.attempts.append(attempt._replace(reply=said))
