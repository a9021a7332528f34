# SPDX-License-Identifier: MIT
"""A log of deliveries as Postfix writes it, of as many as wanted, and rotated at any time."""

import random
import shutil
import sqlite3
import threading
import time
from collections import Counter
from datetime import datetime

SENT = "sent (250 2.0.0 Ok: queued as X)"
GREYLISTED = "deferred (host mx.test[192.0.2.1] said: 450 4.2.0 Greylisted (in reply to RCPT TO command))"
UNKNOWN = "bounced (host mx.test[192.0.2.1] said: 550 5.1.1 User unknown (in reply to RCPT TO command))"


def line(ident, message, when=None):
    """A line of the log, with a time stamp that has no year."""
    when = when or datetime.now()
    return f"{when:%b} {when.day:2d} {when:%H:%M:%S} mta1 postfix/{ident}[{4711}]: {message}\n"


def result(queue_id, recipient, status, service="pp-d1", delay="1.2", when=None):
    dsn = {"s": "2.0.0", "d": "4.2.0", "b": "5.1.1"}[status[0]]
    return line(f"{service}/smtp",
                f"{queue_id}: to=<{recipient}>, relay=mx.test[192.0.2.1]:25, delay={delay}, "
                f"delays=0.1/0.1/0.5/0.5, dsn={dsn}, status={status}", when)


class Message:
    """What becomes of one message: lines, one after the other."""

    def __init__(self, number, chance):
        self.account = f"m{number}.test"
        # Postfix uses the short ids of messages that are gone again.
        self.id = f"{number % 5000:010X}"
        self.results = Counter()
        self.lines = self._lines(chance)

    def _lines(self, chance):
        yield line("cleanup", f"{self.id}: message-id=<x@{self.account}>")
        recipients = [f"r{i}@one.test" for i in range(chance.choice((1, 1, 1, 2, 3)))]
        while recipients:
            yield line("qmgr", f"{self.id}: from=<news@{self.account}>, size=500, "
                               f"nrcpt={len(recipients)} (queue active)")
            again = []
            for recipient in recipients:
                status = chance.choice((SENT, SENT, SENT, GREYLISTED, UNKNOWN))
                self.results[status.split()[0]] += 1
                if status is GREYLISTED:
                    again.append(recipient)
                yield result(self.id, recipient, status, chance.choice(("pp-d1", "pp-a1")))
            recipients = again
        yield line("qmgr", f"{self.id}: removed")


class Writer(threading.Thread):
    """Writes what becomes of messages until so many results are in the log.

    Many messages are under way at a time.  Every now and then the log is renamed, or copied and
    cut, in the midst of it.
    """

    UNDER_WAY = 300
    LINES_A_FILE = (500, 4000)

    def __init__(self, path, wanted, lines_per_s, seed, rotates=True):
        super().__init__()
        self.path, self.wanted, self.lines_per_s = path, wanted, lines_per_s
        self.rotates = rotates
        self.chance = random.Random(seed)
        self.messages = []
        self.written = 0
        self.rotations = Counter()
        self.error = None

    @property
    def results(self):
        return sum(sum(message.results.values()) for message in self.messages)

    def run(self):
        try:
            self._write()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def _write(self):
        log, left = self.path.open("a"), self.chance.randint(*self.LINES_A_FILE)
        under_way, begun = [], time.monotonic()
        results = 0
        while under_way or results < self.wanted:
            if results < self.wanted and len(under_way) < self.UNDER_WAY:
                message = Message(len(self.messages), self.chance)
                self.messages.append(message)
                under_way.append(message)
            at = self.chance.randrange(len(under_way))
            text = next(under_way[at].lines, None)
            if text is None:
                under_way.pop(at)
                continue
            results += "status=" in text
            self._put(log, text)
            left -= 1
            if left == 0 and self.rotates:
                log = self._rotate(log)
                left = self.chance.randint(*self.LINES_A_FILE)
            ahead = self.written / self.lines_per_s - (time.monotonic() - begun)
            if ahead > 0.05:
                time.sleep(ahead)
        log.close()

    def _put(self, log, text):
        """Sometimes in two pieces, as a reader may find it."""
        if self.chance.random() < 0.02:
            middle = self.chance.randrange(len(text))
            log.write(text[:middle])
            log.flush()
            text = text[middle:]
        log.write(text)
        log.flush()
        self.written += 1

    def _older(self, number):
        return self.path.with_name(f"{self.path.name}.{number}")

    def _rotate(self, log):
        """As logrotate(8) does, with numbers."""
        log.close()
        for number in range(20, 0, -1):
            if self._older(number).exists():
                self._older(number).rename(self._older(number + 1))
        if self.chance.random() < 0.5:
            self.path.rename(self._older(1))
            self.rotations["renamed"] += 1
        else:
            shutil.copyfile(self.path, self._older(1))
            self._older(1).chmod(0o644)
            with self.path.open("r+") as file:
                file.truncate(0)
            self.rotations["cut"] += 1
        self.path.touch()
        return self.path.open("a")


def counted(figures):
    """What a file of figures has of each account: {account: {"sent": 2, "deferred": 1}}."""
    accounts = {}
    with sqlite3.connect(f"file:{figures}?mode=ro", uri=True) as database:
        database.row_factory = sqlite3.Row
        for row in database.execute("SELECT * FROM accounts"):
            sums = accounts.setdefault(row["account"], Counter())
            for column in row.keys():
                for status in ("sent", "deferred", "bounced"):
                    if column == status or column.startswith(status + "_"):
                        sums[status] += row[column]
    return {account: +sums for account, sums in accounts.items()}
