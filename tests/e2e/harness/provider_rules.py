# SPDX-License-Identifier: MIT
"""What mailbox providers do to those who send to them: rules for a Simulator.

Each rule is for all, or for those that where names: source (an address, as it connects), target
(an address of the provider), domain (of the recipient), local (a glob for its local part),
sender_domain.  At which command it speaks is its at: "connect", "mail", "rcpt" or "data" (the
message's end).  All of a rule happens in the simulator's thread, save for what its switches set.
"""

import fnmatch
from collections import defaultdict, deque

from .smtp_session import HANG_UP, SILENT

WHERE = ("source", "target", "domain", "local", "sender_domain")


class Rule:
    """Always the same reply, with {source}, {sender_domain} and {recipient} in it."""

    def __init__(self, reply, at="rcpt", **where):
        unknown = set(where) - set(WHERE)
        if unknown:
            raise TypeError(f"no such condition: {', '.join(unknown)}")
        self.reply = reply
        self.at = at
        self.where = where

    def fits(self, attempt):
        for name, wanted in self.where.items():
            value = getattr(attempt, name)
            if not (fnmatch.fnmatchcase(value, wanted) if name == "local" else value == wanted):
                return False
        return True

    def refuses(self, attempt):
        """Does it, of one that fits?"""
        return True

    def passed(self, attempt):
        """Nobody refused it at this command."""

    def words(self, attempt):
        if self.reply in (SILENT, HANG_UP):
            return self.reply
        return self.reply.format(source=attempt.source, sender_domain=attempt.sender_domain,
                                 recipient=attempt.recipient).encode()


class RateLimit(Rule):
    """At most count in any time of that many seconds, of each source by itself.

    At "mail" messages are counted, at "rcpt" recipients; what is refused is not.
    """

    def __init__(self, count, seconds=60, at="mail", **where):
        super().__init__("421 4.7.0 [{source}] Too many messages from your host, "
                         "rate limit exceeded, come again later", at, **where)
        self.count = count
        self.seconds = seconds
        self._taken = defaultdict(deque)  # by source: when

    def refuses(self, attempt):
        taken = self._taken[attempt.source]
        while taken and taken[0] <= attempt.at - self.seconds:
            taken.popleft()
        return len(taken) >= self.count

    def passed(self, attempt):
        if self.fits(attempt):
            self._taken[attempt.source].append(attempt.at)


class Block(Rule):
    """Those addresses that it was told of: block(ip), unblock(ip)."""

    def __init__(self, at="rcpt", **where):
        super().__init__("550 5.7.1 Service refused: your IP address {source} has been blocked",
                         at, **where)
        self.blocked = set()

    def refuses(self, attempt):
        return attempt.source in self.blocked


class Greylist(Rule):
    """Not before so many seconds after the first try from this source, of this sender to this
    recipient."""

    def __init__(self, seconds, code="450 4.2.0", **where):
        super().__init__(code + " <{recipient}>: Recipient address rejected: Greylisted, "
                         "please come back later", "rcpt", **where)
        self.seconds = seconds
        self._first = {}

    def refuses(self, attempt):
        key = attempt.source, attempt.sender, attempt.recipient
        return attempt.at < self._first.setdefault(key, attempt.at) + self.seconds


class Unknown(Rule):
    """Local parts that nobody has."""

    def __init__(self, local="unknown*", **where):
        super().__init__("550 5.1.1 <{recipient}>: Recipient address rejected: User unknown",
                         "rcpt", local=local, **where)


class OverQuota(Rule):
    """Mailboxes that are full: for now, or, with for_good, 552."""

    def __init__(self, local="full*", for_good=False, **where):
        super().__init__("552 5.2.2 <{recipient}>: User is over quota" if for_good else
                         "452 4.2.2 <{recipient}>: The recipient's mailbox is full",
                         "rcpt", local=local, **where)


class FailsFirst(Rule):
    """Ill for the first so many tries of each recipient, then well."""

    def __init__(self, times=1, at="rcpt", **where):
        super().__init__("451 4.3.0 Temporary lookup failure", at, **where)
        self.times = times
        self._tries = defaultdict(int)

    def refuses(self, attempt):
        key = attempt.sender, attempt.recipient
        self._tries[key] += 1
        return self._tries[key] <= self.times


class DomainReputation(Rule):
    """It is the sender's domain that is not wanted, wherever it sends from."""

    def __init__(self, sender_domain, at="mail", **where):
        super().__init__("421 4.7.0 Our system has found very low reputation of the sending domain "
                         "{sender_domain}, try again later", at, sender_domain=sender_domain,
                         **where)


class Dead(Rule):
    """Takes the connection and says nothing, or, with hang_up, ends it.

    Whose connections are not even taken: Sink.shut().
    """

    def __init__(self, hang_up=False, **where):
        super().__init__(HANG_UP if hang_up else SILENT, "connect", **where)


class Slow(Rule):
    """Each reply takes so many seconds more.  By source and target alone."""

    def __init__(self, seconds, **where):
        super().__init__("", "never", **where)
        self.seconds = seconds
