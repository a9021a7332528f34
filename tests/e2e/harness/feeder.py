# SPDX-License-Identifier: MIT
"""Mail that is handed in at an even rate while a test or a measurement goes on."""

import threading
import time

from . import client


class Feeder(threading.Thread):
    """One message after the other on one connection, each to a recipient of its own.

    sent: when each was handed in, time.time() by X-Test-Id.  Its recipient is to(id).
    """

    def __init__(self, port, sender, per_minute, headers=(), domain="one.test", lines=10):
        super().__init__(daemon=True)
        self.sent = {}
        self._port, self._sender, self._headers, self._domain = port, sender, headers, domain
        self._every = 60 / per_minute
        self._body = "Hello.\n" * lines
        self._over = threading.Event()
        self._wrong = None
        self.start()

    def to(self, test_id):
        return f"r{test_id}@{self._domain}"

    def run(self):
        try:
            self._feed()
        except Exception as error:  # pylint: disable=broad-except
            self._wrong = error

    def _feed(self):
        with client.Smtp(self._port) as smtp:
            due = time.time()
            while not self._over.wait(max(0, due - time.time())):
                test_id = client.new_id()
                self.sent[test_id] = time.time()
                smtp.send(self._sender, [self.to(test_id)],
                          client.message(test_id, self._headers, self._body, self._sender))
                due += self._every

    def stop(self):
        """No more comes.  Returns the ids of all that was handed in."""
        self._over.set()
        self.join(120)
        if self._wrong:
            raise self._wrong
        return list(self.sent)
