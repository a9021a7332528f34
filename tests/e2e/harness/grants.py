# SPDX-License-Identifier: MIT
"""Asking for grants as Postfix does, and holding them against their caps."""

import itertools
import json
import socket
import threading
import time
from collections import Counter

from .socketmap import Socketmap
from .wait import wait_for

_numbers = itertools.count(1)


def ask_one(connection, domain="one.test", sender_domain="lists.test"):
    """One lookup for a message of its own: (before, after, answer) by the monotonic clock."""
    number = next(_numbers)
    before = time.monotonic()
    connection.ask("sender", f"m{number}@{sender_domain}")
    answer = connection.ask("rcpt", f"r{number}@{domain}")
    return before, time.monotonic(), answer


def address_of(answer):
    """ "b1" for "OK pp-b1:", None for anything else."""
    if answer and answer.startswith("OK pp-"):
        return answer[6:].partition(":")[0]
    return None


def _calls(run):
    """How often the store was asked, and how often it has answered."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(60)
        control.connect(str(run / "control"))
        control.sendall(b"status json\n")
        told = json.loads(b"".join(iter(lambda: control.recv(65536), b"")))
    return told["asks"], told["answers"]


def wait_answered(run):
    """Wait until the store has answered all that it was asked; returns how often it was.

    A lookup hardly waits for it, but goes on to the next address, so that where it is slow some
    mail passes one by that has room.  But leases are asked for before the last one is used: who
    comes when nothing is owed finds them, however slow it is.
    """
    def answered():
        asks, answers = _calls(run)
        return asks == answers and (asks,)
    return wait_for(answered, what="the store to answer")[0]


def take_one(run, postfix, domain="one.test", sender_domain="x.test"):
    """The address of a new message, on any store; None: there is no room.

    Of what nobody asked for before there is no lease: what is put off for that comes again.
    """
    for _ in range(10):
        before = wait_answered(run)
        address = address_of(ask_one(postfix, domain, sender_domain)[2])
        if address or wait_answered(run) == before:
            break
    return address


def take(run, count, **kwargs):
    """From which addresses so many messages leave, one by one; see take_one()."""
    with Socketmap(run / "lookup") as postfix:
        return Counter(take_one(run, postfix, **kwargs) for _ in range(count))


def fill(run, came, more, source, most):
    """Send on until most left from source, as often as it may take on any store: a Counter.

    came: where a burst of them left from.  more() sends some, and tells the same of those.
    """
    for _ in range(most):  # each time one at least finds a lease
        if came[source] >= most:
            break
        wait_answered(run)
        came = came + more()
    return came


class Load(threading.Thread):
    """Asks over one connection, which it makes anew when it breaks, until it is told to stop.

    It waits for pause seconds after each answer, and for patience after one without an address.
    """

    def __init__(self, path, pause=0.0, patience=0.0, **kwargs):
        super().__init__(daemon=True)
        self.path, self.pause, self.patience, self.kwargs = path, pause, patience, kwargs
        self.grants = []  # (before, after, address)
        self.answers = Counter()
        self.broken = 0
        self._enough = threading.Event()

    def run(self):
        connection = None
        while not self._enough.is_set():
            try:
                connection = connection or Socketmap(self.path)
                before, after, answer = ask_one(connection, **self.kwargs)
                if answer is None:
                    raise OSError("closed")
            except OSError:
                self.broken += 1
                connection = None
                time.sleep(0.01)
                continue
            address = address_of(answer)
            self.answers[address or answer] += 1
            if address:
                self.grants.append((before, after, address))
            time.sleep(self.pause if address else self.pause + self.patience)

    def stop(self):
        self._enough.set()
        self.join()


def most_in_window(grants, window):
    """The most grants that certainly lie in one window: asked and answered within it."""
    ordered = sorted(grants)
    ends = sorted(after for _, after, *_ in ordered)
    most = 0
    first = 0
    for end in ends:
        while first < len(ordered) and ordered[first][0] < end - window:
            first += 1
        # those that were asked in the window; of these, answered by its end
        most = max(most, sum(1 for _, after, *_ in ordered[first:] if after <= end)
                   if len(ordered) < 3000 else _count(ordered, first, end))
    return most


def _count(ordered, first, end):
    """The same without looking at each: answers come nearly in the order of questions."""
    last = first
    low, high = first, len(ordered)
    while low < high:
        middle = (low + high) // 2
        if ordered[middle][0] <= end:
            low = middle + 1
        else:
            high = middle
    last = low
    return last - first - sum(1 for _, after, *_ in ordered[max(first, last - 200):last]
                              if after > end)
