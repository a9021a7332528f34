# SPDX-License-Identifier: MIT
"""What is suspended is not chosen, and lookups and explain say so."""

import itertools
import json
import re
from datetime import datetime, timezone

import pytest

from harness.grants import address_of, ask_one
from harness.socketmap import Socketmap
from harness.wait import wait_for

REPLIES = [
    {"name": "blocked", "class": "address", "pattern": "blocked", "suspend": "1h",
     "samples": ["550 5.7.1 blocked"]},
    {"name": "phish", "class": "account", "pattern": "phishing", "suspend": "10m",
     "samples": ["550 5.7.1 phishing"]},
    {"name": "slower", "class": "account", "pattern": "slower", "slow": 1,
     "samples": ["450 4.7.1 slower"]},
]
SUSPENDED = "OK retry:4.7.1 postpool: all addresses of the pool are suspended"
HELD = "OK retry:4.7.1 postpool: mail of this sender is held back"


def looked_up(postfix, sender="other.test"):
    """The answer for a message of its own."""
    return ask_one(postfix, sender_domain=sender)[2]


class Told:
    """A log that this test writes, and the daemon that believes it."""

    def __init__(self, make_host, caps=None):
        self.host = make_host(start=False)
        self.log = self.host.root / "told.log"
        self.log.write_text("")
        self.host.conf["feedback"] = {"log": str(self.log)}
        self.host.conf["replies"] = REPLIES
        self.host.conf["pools"]["fast"] = {"addresses": ["a1", "a2"], "exhausted": "exceed"}
        self.host.conf["streams"][-1]["pool"] = "fast"
        if caps:
            for name in ("a1", "a2"):
                self.host.conf["addresses"][name]["caps"] = caps
        self.host.write_conf()
        self.host.policyd.start()
        self._numbers = itertools.count(1)

    def refused(self, address, words, sender="x@client.test"):
        """A line of what a server said to this address."""
        time = datetime.now(timezone.utc).isoformat()
        queue_id = f"4ABCdE{next(self._numbers)}z"
        result = (f"to=<r@one.test>, relay=mx.one.test[127.0.0.2]:25, delay=1, delays=0/0/0/1, "
                  f"dsn=5.7.1, status=bounced (host mx.one.test[127.0.0.2] said: {words} "
                  f"(in reply to RCPT TO command))")
        with self.log.open("a") as log:
            for program, text in (("cleanup", "message-id=<1@client.test>"),
                                  ("qmgr", f"from=<{sender}>, size=300, nrcpt=1 (queue active)"),
                                  (f"pp-{address}/smtp", result), ("qmgr", "removed")):
                log.write(f"{time} mx postfix/{program}[7]: {queue_id}: {text}\n")

    def suspensions(self):
        return json.loads(self.host.postpool("--json", "status").stdout)["suspensions"]

    def wait_suspended(self, count):
        wait_for(lambda: len(self.suspensions()) == count, what=f"{count} to be held back")

    def explain(self, *options, status=0, sender="joe@other.test"):
        return self.host.postpool(*options, "explain", "--sender", sender, "--recipient",
                                  "r@one.test", status=status).stdout


@pytest.mark.parametrize("caps", [None, {"hour": 1000}])
def test_suspended_addresses(make_host, caps):
    told = Told(make_host, caps)
    with Socketmap(told.host.run / "lookup") as postfix:
        answers = [looked_up(postfix) for _ in range(40)]
        assert {address_of(a) for a in answers} == {"a1", "a2"}
        told.refused("a1", "550 5.7.1 blocked")
        told.wait_suspended(1)
        answers = [looked_up(postfix) for _ in range(40)]
        assert {address_of(a) for a in answers} == {"a2"}
        told.refused("a2", "550 5.7.1 blocked")
        told.wait_suspended(2)
        assert looked_up(postfix) == f"{SUSPENDED}, better within an hour"
        assert postfix.ask("sender", "joe@other.test").startswith("OK retry:4.")
        told.host.postpool("reload", status=1)  # there is no milter
        assert looked_up(postfix) == f"{SUSPENDED}, better within an hour"
    text = told.explain(status=1)
    assert re.search(r"address +none: the recipient is deferred \(4.7.1\), all addresses are "
                     r"suspended, better in (60|59) min", text)
    assert re.search(r"fast +a1 .* suspended, better in (60|59) min: blocked: 550 blocked", text)
    explained = json.loads(told.explain("--json", status=1))
    assert explained["suspended"] and not explained["full"]
    assert [c["scope"] for c in explained["candidates"]] == ["address", "address"]
    assert all(3500000 < c["better_in_ms"] <= 3600000 for c in explained["candidates"])
    assert all(c["cause"].startswith("blocked: 550") for c in explained["candidates"])


def test_suspended_account(make_host):
    """Mail of that sender waits, whatever its stream and address; other mail does not."""
    told = Told(make_host)
    told.refused("a1", "550 5.7.1 phishing", "x@Client.test")
    told.wait_suspended(1)
    with Socketmap(told.host.run / "lookup") as postfix:
        assert looked_up(postfix, "client.test") == f"{HELD}, better within 15 minutes"
        assert address_of(looked_up(postfix))
    assert "mail of this sender is held back" in told.explain(status=1, sender="a@client.test")
    assert "phish: 550" in told.explain(status=1, sender="a@client.test")
    assert "address    a" in told.explain()


def test_slowed_account(make_host):
    """Without caps of its own, one message in a hundred passes in a minute."""
    told = Told(make_host)
    told.refused("a1", "450 4.7.1 slower", "x@client.test")
    told.wait_suspended(1)
    with Socketmap(told.host.run / "lookup") as postfix:
        answers = [looked_up(postfix, "client.test") for _ in range(1000)]
    passed = sum(address_of(a) is not None for a in answers)
    assert 0 < passed < 50
    assert {a for a in answers if not address_of(a)} == {f"{HELD}, better within a minute"}
