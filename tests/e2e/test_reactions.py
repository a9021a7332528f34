# SPDX-License-Identifier: MIT
"""What postpool does about the replies of a mailbox provider, which is simulated."""

import json
import re
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

from harness import client, provider_rules as rules
from harness.feeder import Feeder
from harness.grants import wait_answered
from harness.wait import wait_for
from harness.waking import NEVER, waking

POOL = {"a1": "127.0.1.1", "a2": "127.0.1.2", "b1": "127.0.1.11"}
A1, A2, B1 = POOL.values()
DOCS = Path(__file__).parents[2] / "docs"
PROBES = 2
SUSPENDED = "a1 at .*: suspended for 3 s"

# As those that are installed, with times that a test can wait for.
BLOCKED = {"name": "blocked", "class": "address_provider", "code": 5, "pattern": "has been blocked",
           "after": 1, "within": "1m", "suspend": "3s", "suspend_most": "3s",
           "samples": ["550 5.7.1 Service refused: your IP address 192.0.2.11 has been blocked"]}
REPUTATION = {"name": "reputation", "class": "account", "pattern": "of the sending domain",
              "after": 20, "within": "1m", "suspend": "10s",
              "slow": 5, "slow_after": 2, "slow_for": "20s",
              "samples": ["421 4.7.0 Very low reputation of the sending domain example.com"]}
GREYLISTED = {"name": "greylisted", "class": "greylist", "code": 4, "pattern": "greylisted",
              "samples": ["450 4.2.0 <bob@example.net>: Recipient address rejected: Greylisted"]}


def reacting(make_host, simulator, *replies, **pool):
    """A host of one pool of three addresses that hears what becomes of its mail.

    By itself Postfix tries nothing again while a test runs.
    """
    host = waking(make_host(start=False, sink=simulator, main=NEVER))
    host.conf["suspension"] = {"probes": PROBES, "probe_every": "20s", "steps": ["25", "50"],
                               "step": "3s"}
    host.conf["addresses"] = {name: {"ip": ip, "helo": f"{name}.mail.test"}
                              for name, ip in POOL.items()}
    host.conf["pools"] = {"all": {"addresses": list(POOL)} | pool}
    host.conf["streams"] = [{"name": "default", "pool": "all", "match": []}]
    if replies:
        host.conf["replies"] = list(replies)
    host.write_conf()
    return host


def with_installed_rules(host):
    text = host.conf_path.read_text()
    for name in ("providers.conf", "replies.conf"):
        shutil.copy(DOCS / name, host.root)
        text += f'@include "{name}"\n'
    host.conf_path.write_text(text)


def suspensions(host):
    return json.loads(host.postpool("--json", "status").stdout)["suspensions"]


def is_idle(host):
    """Has all been read of what happened?"""
    return ", 0 bytes behind" in host.postpool("status").stdout


def submit(host, recipients, sender="app@site.test"):
    """{recipient: id}, a message for each."""
    ids = {recipient: client.new_id() for recipient in recipients}
    with host.smtp() as smtp:
        for recipient, test_id in ids.items():
            smtp.send(sender, [recipient], client.message(test_id))
    return ids


@pytest.mark.parametrize("at", ["rcpt", "mail"])
def test_a_blocked_address_hands_its_mail_to_the_others(make_host, simulator, at):
    """No message is lost; the address is only probed until it is well, and grows back in steps."""
    block = simulator.add(rules.Block(at))
    host = reacting(make_host, simulator, BLOCKED)
    host.start()
    feeder = Feeder(host.postfix.port, "app@site.test", 1200)
    wait_for(lambda: {d.source for d in list(simulator.deliveries)} == {A1, A2, B1},
             what="mail from all three")

    block.blocked.add(A1)
    first = wait_for(lambda: next(iter(simulator.refusals()), None), what="the first refusal")
    host.postfix.wait_log(rf"to=<{first.recipient}>.*status=deferred")
    told = time.time()  # from here on it is ours
    then = wait_for(lambda: [a for a in simulator.attempts_to(first.recipient) if a.taken],
                    what="that message from elsewhere")
    assert then[0].source in (A2, B1)
    assert then[0].at - told < 5

    # No more is chosen from here on, but for probes; what was chosen before is still to come.
    begin = host.policyd.wait_log(SUSPENDED).start()
    chosen = [m["queue_id"] for m in host.postfix.queue() if m["queue_name"] == "active"]
    for queue_id in chosen:
        host.postfix.wait_log(f"{queue_id}: removed")
    settled, settled_log = time.time(), len(host.policyd.log())
    wait_for(lambda: len(re.findall(SUSPENDED, host.policyd.log()[settled_log:])) >= 2,
             what="a1 to be refused again and again")
    block.blocked.discard(A1)
    well, well_log = time.time(), len(host.policyd.log())
    host.policyd.wait_log("a1 at .*: may use 25 %", well_log)
    assert [(s["address"], s["state"], s["share_percent"]) for s in suspensions(host)] in (
        [("a1", "recovering", 25)], [("a1", "recovering", 50)])
    host.policyd.wait_log("a1 at .*: is well again", well_log)
    back = time.time()
    wait_for(lambda: any(d.source == A1 and d.at > back for d in list(simulator.deliveries)),
             what="mail from a1 as before")
    ids = feeder.stop()
    host.postfix.wait_queue_empty()

    assert Counter(d.id for d in simulator.deliveries) == Counter(ids)
    assert "status=bounced" not in host.postfix.log()
    log = host.policyd.log()
    probes = [a for a in simulator.attempts_from(A1) if settled < a.at < well]
    times = log.count(f": its suspension is over, {PROBES} probes may go", begin, well_log)
    assert 1 <= len(probes) <= PROBES * times, probes
    recovery = re.findall("a1 at .*: (may use .*|is well again)", log[well_log:])
    assert recovery == ["may use 25 % of its caps", "may use 50 % of its caps", "is well again"]
    by_source = Counter(d.source for d in simulator.deliveries)
    assert min(by_source[A2], by_source[B1]) > by_source[A1] > 0


def test_a_greylisted_message_keeps_its_address(make_host, simulator):
    """Also when another one comes first again that had no room at the first try."""
    simulator.add(rules.Greylist(0.001))
    host = reacting(make_host, simulator, GREYLISTED,
                    addresses=[{"name": "a1", "weight": 1000}, {"name": "a2", "weight": 1},
                               {"name": "b1", "weight": 1}])
    host.conf["addresses"]["a1"]["caps"] = {"hour": 10}
    host.write_conf()
    host.start()

    def first_sources(*recipients):
        submit(host, recipients)
        wait_for(lambda: all(simulator.attempts_to(r) for r in recipients), what="the first tries")
        return [simulator.attempts_to(r)[0].source for r in recipients]
    first, came = [], []
    while came.count(A1) < 10:  # where the store is slow, some find no lease at first
        assert len(first) < 40
        wait_answered(host.run)
        first.append(f"r{len(first)}@one.test")
        came += first_sources(first[-1])
    others = [f"other{n}@one.test" for n in range(15)]
    assert set(first_sources(*others)) == {A2, B1}
    conf = host.changed()
    del conf["addresses"]["a1"]["caps"]
    host.reload_conf(conf)
    new = [f"new{n}@one.test" for n in range(5)]
    assert A1 in first_sources(*new)

    recipients = first + others + new
    wait_for(lambda: host.postfix.results() == len(recipients), what="all results")
    wait_for(lambda: is_idle(host), what="all to be read")
    host.postfix.flush()
    wait_for(lambda: len(simulator.deliveries) == len(recipients), what="all mail")
    sources = {r: [a.source for a in simulator.attempts_to(r)] for r in recipients}
    assert not {r: tries for r, tries in sources.items() if len(set(tries)) > 1}
    assert all(len(tries) == 2 for tries in sources.values())


@pytest.mark.parametrize("reply", [
    "452 4.5.3 Too many recipients", "450 4.7.1 Recipient rate limit exceeded",
    "550 5.7.1 Sender is blocked by the recipient's block list",
    "550 5.1.8 <{sender_domain}>: Sender address rejected: Domain not found"])
def test_what_no_address_can_help_suspends_nothing(make_host, simulator, reply):
    """With the rules that are installed, however often it is said."""
    host = reacting(make_host, simulator)
    host.conf["rescue"] = {"enabled": False}
    host.write_conf()
    with_installed_rules(host)
    host.start()
    simulator.add(rules.Rule(reply))
    submit(host, [f"r{n}@one.test" for n in range(12)], "games@local.test")
    wait_for(lambda: len(simulator.refusals()) >= 12, what="12 refusals")
    wait_for(lambda: json.loads(host.postpool("--json", "status").stdout)["feedback"]["results"]
             >= 12, what="all to be read")
    assert suspensions(host) == []


def test_a_pattern_that_takes_too_long_is_told_of(make_host, simulator):
    """Once, with its rule."""
    slow = {"name": "slow", "class": "none", "pattern": "(a+)+(b|c)+(a+)+$",
            "samples": ["550 aba"]}
    host = reacting(make_host, simulator, slow, dict(BLOCKED, code=4, samples=["450 has been blocked"]))
    host.start()
    simulator.add(rules.Rule("550 5.7.1 " + "a" * 300))
    submit(host, ["r1@one.test", "r2@one.test"], "games@local.test")
    wait_for(lambda: json.loads(host.postpool("--json", "status").stdout)["feedback"]["results"]
             >= 2, what="both to be read")
    assert host.policyd.log().count("the pattern of rule slow was given up") == 1


def test_trouble_of_recipients_suspends_nothing(make_host, simulator):
    """With the rules that are installed: unknown, full for now, full for good."""
    for rule in (rules.Unknown(), rules.OverQuota(), rules.OverQuota("over*", for_good=True)):
        simulator.add(rule)
    host = reacting(make_host, simulator)
    with_installed_rules(host)
    host.start()
    wrong = [f"{local}{n}@one.test" for n in range(30) for local in ("unknown", "full", "over")]
    submit(host, wrong, "games@local.test")
    tried = {recipient for recipient in wrong if not recipient.startswith("full")}
    wait_for(lambda: tried | {f"full{n}@one.test" for n in range(30)}
             <= {a.recipient for a in simulator.refusals()}, what="all to be refused")
    wait_for(lambda: host.postfix.log().count("status=bounced") == 60, what="60 bounces")
    wait_for(lambda: is_idle(host), what="all to be read")
    assert suspensions(host) == []
    assert all(len(simulator.attempts_to(r)) == 1 for r in tried)
    assert {a.source for a in simulator.refusals()} == {A1, A2, B1}
    good = submit(host, [f"r{n}@one.test" for n in range(60)])
    wait_for(lambda: len(simulator.deliveries) == 60, what="all other mail")
    assert {d.id for d in simulator.deliveries} == set(good.values())
    assert {d.source for d in simulator.deliveries} == {A1, A2, B1}


def test_a_domain_without_reputation_slows_its_account(make_host, simulator):
    """Others' mail goes on from the same addresses; the account's own waits, and goes later."""
    reputation = simulator.add(rules.DomainReputation("bad.test"))
    host = reacting(make_host, simulator, REPUTATION)
    host.start()
    submit(host, [f"first{n}@one.test" for n in range(4)], "app@bad.test")
    slowed = wait_for(lambda: suspensions(host), what="something to be held back")
    assert [(s["account"], s["state"], s["share_percent"]) for s in slowed] == \
        [("bad.test", "slowed", 5)]
    end = time.time() + suspensions(host)[0]["seconds_left"] - 1
    before = len(simulator.attempts)
    bad = submit(host, [f"bad{n}@one.test" for n in range(100)], "app@bad.test")
    good = submit(host, [f"good{n}@one.test" for n in range(100)], "app@good.test")
    wait_for(lambda: len(simulator.deliveries) == 100, what="the other account's mail")
    assert {d.id for d in simulator.deliveries} == set(good.values())
    assert {d.source for d in simulator.deliveries} == {A1, A2, B1}
    tried = {a.recipient for a in simulator.attempts[before:]
             if a.sender == "app@bad.test" and a.at < end}
    assert len(tried & set(bad)) <= 40
    assert not [s for s in suspensions(host) if "address" in s]
    simulator.remove(reputation)
    refused = {a.recipient for a in simulator.refusals()}
    arrived = {r: test_id for r, test_id in bad.items() if r not in refused}
    wait_for(lambda: set(arrived.values()) <= {d.id for d in list(simulator.deliveries)}, 120,
             "what was held back")
    host.postfix.flush()  # what was refused is Postfix' to try again
    wait_for(lambda: len(simulator.deliveries) == 204, 120, "the account's mail")


def test_a_slowed_address_sends_one_after_the_other(make_host, simulator):
    """What waits leaves at that share of the pace that the caps of the address are."""
    too_fast = {"name": "too-fast", "class": "address_provider", "code": 4, "pattern": "rate limit",
                "slow": 50, "slow_after": 2, "slow_for": "10m",
                "samples": ["421 4.7.0 Too many messages, rate limit exceeded"]}
    limit = simulator.add(rules.RateLimit(0))
    host = reacting(make_host, simulator, too_fast, addresses=["a1"])
    host.conf["addresses"]["a1"]["caps"] = {"windows": [{"length": "30s", "recipients": 60}]}
    host.write_conf()
    host.start()
    first = submit(host, ["first1@one.test", "first2@one.test"])
    wait_for(lambda: suspensions(host), what="a1 to be slowed down")
    assert host.policyd.log().count("slowed to 50 % for 10 min") == 1
    simulator.remove(limit)
    begin = time.time()
    ids = submit(host, [f"r{n}@one.test" for n in range(20)])
    wait_for(lambda: len(simulator.deliveries) == 20, 120, "all mail that was not refused")
    # 60 in 30 s, and half of that; whoever comes a little late makes up for it
    assert max(d.at for d in simulator.deliveries) - begin > 19 - 0.3
    assert {d.id for d in simulator.deliveries} == set(ids.values())
    assert "slowed down" in host.postfix.log()
    host.postpool("resume", "a1", "--domain", "one.test")
    host.postfix.flush()
    wait_for(lambda: {d.id for d in simulator.deliveries} == set(ids.values()) | set(first.values()),
             120, "what was refused")
