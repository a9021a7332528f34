# SPDX-License-Identifier: MIT
"""What becomes of an address and of an account, day by day, with the clocks of the whole host."""

import time
from collections import Counter

import pytest

from harness import client, provider_rules as rules
from harness.grants import wait_answered
from harness.programs import fake_clock
from harness.wait import wait_for
from test_engagement import listed
from test_standing import account, graded, pool_of, send
from test_warmup import BLOCKED, NEW, OLD, state, used, warming

PER_MESSAGE = 20  # recipients, of which 15 were active of late
ACTIVE, QUIET = "active", "quiet"
CLOCK = ("LD_PRELOAD", "FAKETIME", "NO_FAKE_STAT")
IMPORT = "MAIL_CONFIG MAIL_LOGTAG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME " + " ".join(CLOCK)


class Mail:
    """What is sent on a day, and where it arrived from."""

    def __init__(self, host, simulator):
        self.host, self.simulator = host, simulator
        self.number = 0
        self.begin()

    def begin(self):
        self.before = len(self.simulator.deliveries)
        self.sent = 0

    def came(self):
        """Of each address the recipients, by what they are."""
        return Counter((delivery.source, recipient[:len(ACTIVE)].rstrip("0123456789"))
                       for delivery in list(self.simulator.deliveries)[self.before:]
                       for recipient in delivery.recipients)

    def send(self, messages):
        with self.host.smtp() as smtp:
            for _ in range(messages):
                self.number += 1
                smtp.send("app@site.test",
                          [f"{ACTIVE if i % 4 else QUIET}{i}-{self.number}@one.test"
                           for i in range(PER_MESSAGE)], client.message(client.new_id()))
        self.sent += messages * PER_MESSAGE
        wait_for(lambda: sum(self.came().values()) == self.sent, 120, "all recipients")

    def day(self, allowance):
        """Send until it is used, as a slow store lets some pass the new address by; then on."""
        self.begin()
        self.send(allowance // 15)
        for _ in range(allowance):
            if self.came()[NEW, ACTIVE] >= allowance:
                break
            wait_answered(self.host.run)
            self.send(1)
        self.send(5)
        came = self.came()
        rest = self.sent - allowance
        assert came == {(NEW, ACTIVE): allowance, (OLD, QUIET): self.sent // 4,
                        (OLD, ACTIVE): rest - self.sent // 4}
        wait_for(lambda: used(self.host) == (allowance, allowance, 0), what="the results")


def set_clocks(host, days):
    """Those of Postfix and of both daemons: so many days later, and far from midnight (UTC)."""
    clock = fake_clock(f"+{25 * days + host.to_morning}h")
    # The queue manager sets times of files, and reads them.
    host.postfix.environment = {"NO_FAKE_STAT": "1", **clock}
    host.policyd.environment = host.milter.environment = clock


def days_later(host, days):
    """The clocks go on."""
    host.postfix.stop()
    host.milter.stop()
    host.policyd.stop()
    set_clocks(host, days)
    host.policyd.start()
    host.milter.start()
    host.postfix.start()


@pytest.fixture
def make(make_host, simulator):
    """Make a host with clocks that can be set, and start it."""
    def make_one(change):
        host = make_host(change, main={"import_environment": IMPORT}, start=False, sink=simulator)
        host.conf["feedback"] = {"log": str(host.postfix.maillog)}
        host.write_conf()
        host.to_morning = (10 - time.gmtime().tm_hour) % 24
        set_clocks(host, 0)
        host.start()
        return host
    return make_one


def test_an_address(make, simulator):
    """300 on its first day, all to active recipients; 390 on the next; a block, and 390 again.

    When nothing was sent for a month it begins anew.
    """
    def change(conf):
        conf["addresses"]["a1"]["warmup"]["schedule"] = {"days": [300, 390, 510], "hour": 100}
        conf["warmup"].update(engaged=["30d"], time_zone="UTC")
        conf["replies"] = [BLOCKED]
        conf["suspension"] = {"probes": 1, "probe_every": "1s", "steps": ["50"], "step": "1s"}

    host = make(warming(change))
    listed(host, "".join(f"{ACTIVE}{i}-{number}@one.test 3\n"
                         for number in range(1, 300) for i in range(PER_MESSAGE) if i % 4) +
           "".join(f"{QUIET}{i}-{number}@one.test 45\n"
                   for number in range(1, 300) for i in range(PER_MESSAGE) if not i % 4))
    mail = Mail(host, simulator)
    mail.day(300)

    days_later(host, 1)
    wait_for(lambda: state(host)["stage"] == 2, what="the next stage")
    host.reload_conf(host.conf)
    mail.day(390)

    days_later(host, 2)
    wait_for(lambda: state(host)["stage"] == 3, what="the stage after")
    block = simulator.add(rules.Block())
    block.blocked.add(NEW)
    mail.begin()
    mail.send(2)
    assert mail.came() == {(OLD, ACTIVE): 30, (OLD, QUIET): 10}
    wait_for(lambda: state(host)["blocked"], what="the block to be known")
    block.blocked.discard(NEW)

    def is_back():
        mail.send(1)
        return mail.came()[NEW, ACTIVE] > 0
    wait_for(is_back, 60, "the new address to come back")

    days_later(host, 3)
    wait_for(lambda: state(host)["stage"] == 2, what="the stage before")
    mail.day(390)
    told = [(day["result"], day["day_allowance"], day["accepted"])
            for day in state(host)["history"] if day["used"]]
    assert told[:2] == [("advanced", 300, 300), ("advanced", 390, 390)]
    assert told[2][:2] == ("back, it was blocked", 510)

    days_later(host, 45)
    wait_for(lambda: state(host)["stage"] == 1, what="the first stage")
    results = [day["result"] for day in state(host)["history"]]
    assert "advanced" in results[-5:] and "back, nothing was sent for too long" in results[-2:]
    assert "status=bounced" not in host.postfix.log()


def test_an_account(make, simulator):
    """New, trusted after two days of good mail, in attention at once, and new after a good day."""
    def change(conf):
        graded(conf)
        conf["standing"] = {"volume": 20, "days": 2, "day_volume": 10, "samples": 10,
                            "good_days": 1}

    def results(count):
        wait_for(lambda: account(host.conf_path, "one.test")["today"]["results"] == count,
                 what=lambda: f"all results: {account(host.conf_path, 'one.test')}")

    def becomes(grade, pool):
        wait_for(lambda: account(host.conf_path, "one.test")["grade"] == grade, 400, grade)
        wait_for(lambda: pool_of(host.run / "lookup", "one.test") == pool, what=pool)

    host = make(change)
    good = [f"r{n}@one.test" for n in range(12)]
    simulator.add(rules.Unknown("u*"))
    for day in range(2):
        send(host, "one.test", good)
        results(12)
        assert account(host.conf_path, "one.test")["grade"] == "new"
        assert pool_of(host.run / "lookup", "one.test") == "sandbox"
        days_later(host, day + 1)
    becomes("trusted", "shared")
    send(host, "one.test", good[:4] + [f"u{n}@one.test" for n in range(8)])
    becomes("attention", "quarantine")
    host.reload_conf(host.conf)
    becomes("attention", "quarantine")
    days_later(host, 3)
    send(host, "one.test", good)
    results(12)
    assert account(host.conf_path, "one.test")["grade"] == "attention"
    days_later(host, 4)
    becomes("new", "sandbox")
