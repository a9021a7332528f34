# SPDX-License-Identifier: MIT
"""What a suspension hits is tried again at once from another address, by postpool alone."""

import json
import os
import signal
import threading
import time
from pathlib import Path

from harness import client, provider_rules as rules
from harness.feeder import Feeder
from harness.wait import wait_for
from harness.waking import NEVER, status, waking

POOL = {"a1": "127.0.1.1", "a2": "127.0.1.2", "b1": "127.0.1.11"}
A1, A2, B1 = POOL.values()
BLOCKED = {"name": "blocked", "class": "address", "code": 550, "pattern": "has been blocked",
           "after": 3, "within": "1m", "suspend": "1h", "suspend_most": "1h",
           "samples": ["550 5.7.1 your IP has been blocked"]}
GREYLIST = {"name": "greylist", "class": "greylist", "pattern": "greylisted",
            "samples": ["450 4.2.0 greylisted, come again"]}


def pooled(make_host, simulator, addresses=tuple(POOL)):
    host = make_host(start=False, sink=simulator, main=NEVER)
    host.conf["addresses"] = {name: {"ip": POOL[name], "helo": f"{name}.mail.test"}
                              for name in addresses}
    host.conf["pools"] = {"all": {"addresses": list(addresses)}}
    host.conf["streams"] = [{"name": "default", "pool": "all", "match": []}]
    host.conf["replies"] = [BLOCKED, GREYLIST]
    waking(host)
    host.start()
    return host


def submit(host, recipients, sender="app@site.test"):
    with host.smtp() as smtp:
        for recipient in recipients:
            smtp.send(sender, [recipient], client.message(client.new_id()))


def recipients_of(deliveries):
    return {d.recipients[0] for d in list(deliveries)}


def taken(simulator):
    return {a.recipient for a in list(simulator.attempts) if a.taken}


def slowest(simulator, feeder, begin, end):
    """How long a message took at most that no server refused: so slow the machine is."""
    refused = {a.recipient for a in simulator.refusals()}
    return max((d.at - feeder.sent[d.id] for d in list(simulator.deliveries)
                if begin < d.at <= end and d.recipients[0] not in refused), default=0)


def wait_read(host, results):
    wait_for(lambda: json.loads(host.postpool("--json", "status").stdout)["feedback"]["results"]
             >= results, what=f"{results} results to be read")


def test_a_block_hits_nobody(make_host, simulator):
    """One of three addresses is blocked for good: nothing bounces, and all arrives soon."""
    host = pooled(make_host, simulator)
    feeder = Feeder(host.postfix.port, "app@site.test", 300)
    wait_for(lambda: {d.source for d in list(simulator.deliveries)} == {A1, A2, B1},
             what="all three to be used")
    simulator.block(A1)
    wait_for(lambda: len(simulator.refusals()) >= 3, what="some to be refused")
    hit = simulator.refusals()[0]
    wait_for(lambda: hit.recipient in taken(simulator), what="the first again")
    _, arrived = simulator.attempts_to(hit.recipient)
    assert arrived.taken and arrived.source in {A2, B1}
    assert arrived.at - hit.at < 5 + slowest(simulator, feeder, hit.at, arrived.at)
    time.sleep(5)
    sent = feeder.stop()
    wait_for(lambda: {d.id for d in list(simulator.deliveries)} >= set(sent), what="all of it")
    assert "status=bounced" not in host.postfix.log()
    assert not [a for a in simulator.attempts if a.source == A1 and a.at > arrived.at + 10]
    host.postfix.wait_queue_empty()


class BlockedLater(rules.Block):
    """Of the address that comes first; it says so when it may, and stands still until then."""

    def __init__(self):
        super().__init__()
        self.asked, self.may_speak = threading.Event(), threading.Event()

    def refuses(self, attempt):
        if not self.asked.is_set():
            self.blocked.add(attempt.source)
            self.asked.set()
            self.may_speak.wait(60)
        return super().refuses(attempt)


def test_the_log_is_quicker_than_the_queue_manager(make_host, simulator):
    """A message that is still active is not taken up, and nobody says so: it is woken again."""
    host = pooled(make_host, simulator)
    block = simulator.add(BlockedLater())
    submit(host, ["x@one.test"])
    assert block.asked.wait(60)
    submit(host, ["last@two.test"])  # Postfix' resolver keeps its last answer
    host.postfix.wait_log(r"(?s)qmgr.*queue active.*qmgr.*queue active")
    (qmgr,) = [pid for pid in host.postfix.processes()
               if Path(f"/proc/{pid}/comm").read_text() == "qmgr\n"]
    os.kill(qmgr, signal.SIGSTOP)
    try:
        block.may_speak.set()
        host.postfix.wait_log(r"to=<x@one.test>.*status=deferred")
        wait_for(lambda: status(host)["wake"]["woken"] > 0 and status(host)["wake"]["under_way"] == 0,
                 what="it to be woken")
        assert "x@one.test" not in taken(simulator)
    finally:
        os.kill(qmgr, signal.SIGCONT)
    wait_for(lambda: taken(simulator) == {"x@one.test", "last@two.test"}, 20,
             lambda: status(host)["wake"])


def test_suspended_by_hand(make_host, simulator):
    """What the address deferred before that, for whatever reason, leaves from the others."""
    host = pooled(make_host, simulator)
    simulator.add(rules.Rule("451 4.3.0 not now", source=A1))
    wanted = [f"r{n}@one.test" for n in range(30)]
    submit(host, wanted)
    wait_read(host, 30)
    late = {a.recipient for a in simulator.refusals()}
    assert late and late | recipients_of(simulator.deliveries) == set(wanted)
    submit(host, ["last@two.test"])  # Postfix' resolver keeps its last answer
    wait_read(host, 31)
    host.postpool("suspend", "a1", "--why", "test")
    submit(host, ["new@three.test"])
    wait_for(lambda: taken(simulator) >= late | {"new@three.test"}, what="what was late")
    first = min(a.at for a in simulator.attempts if a.taken and a.recipient in late)
    (new,) = simulator.attempts_to("new@three.test")
    assert first - new.at < 5
    assert all(len(simulator.attempts_to(recipient)) == 2 for recipient in late)
    assert {a.source for a in simulator.attempts if a.taken and a.recipient in late} <= {A2, B1}
    assert status(host)["wake"]["hit"] >= len(late)


def test_what_is_greylisted_is_left_alone(make_host, simulator):
    """It must come from the same address, and not before its time."""
    host = pooled(make_host, simulator)
    greylist = simulator.add(rules.Greylist(3600, source=A1, local="g*"))
    slow = simulator.add(rules.Rule("451 4.3.0 not now", source=A1, local="s*"))
    submit(host, [f"{kind}{n}@one.test" for n in range(30) for kind in "gs"])
    wait_read(host, 60)
    submit(host, ["last@two.test"])
    wait_read(host, 61)
    grey = {a.recipient for a in simulator.refusals() if a.recipient[0] == "g"}
    late = {a.recipient for a in simulator.refusals() if a.recipient[0] == "s"}
    assert grey and late
    host.postpool("suspend", "a1", "--why", "test")
    wait_for(lambda: recipients_of(simulator.deliveries) >= late, what="what was late")
    wait_for(lambda: status(host)["wake"]["waiting"] == 0, what="nothing to wait")
    assert all(len(simulator.attempts_to(recipient)) == 1 for recipient in grey)
    simulator.remove(greylist)
    simulator.remove(slow)
    host.postpool("resume", "a1")
    host.postfix.flush()
    wait_for(lambda: recipients_of(simulator.deliveries) >= grey, what="the others, in their time")


def test_nothing_is_woken_in_vain(make_host, simulator):
    """No other address may send it: it waits, and goes when the one may again."""
    host = pooled(make_host, simulator, ("a1",))
    host.postpool("suspend", "a1", "--why", "test")
    submit(host, [f"r{n}@one.test" for n in range(20)])
    wait_for(lambda: status(host)["wake"]["waiting"] == 20, what="twenty to wait")
    tries = host.postfix.log().count("status=deferred")
    time.sleep(3)
    assert status(host)["wake"]["woken"] == 0
    assert host.postfix.log().count("status=deferred") == tries == 20
    host.postpool("resume", "a1")
    wait_for(lambda: len(simulator.deliveries) == 20, what="all of them")


def test_a_drained_address_still_sends_what_is_greylisted(make_host, simulator):
    """It takes nothing new; what a server knows it for leaves from it."""
    host = pooled(make_host, simulator)
    greylist = simulator.add(rules.Greylist(3600, source=A1, local="g*"))
    submit(host, [f"g{n}@one.test" for n in range(30)])
    wait_read(host, 30)
    grey = {a.recipient for a in simulator.refusals()}
    assert grey and len(grey) < 30
    host.postpool("drain", "a1", "--why", "test")
    new = {f"new{n}@one.test" for n in range(30)}
    submit(host, sorted(new))
    wait_for(lambda: recipients_of(simulator.deliveries) >= new, what="what is new")
    simulator.remove(greylist)
    host.postfix.flush()
    wait_for(lambda: recipients_of(simulator.deliveries) >= grey, what="what was greylisted")
    assert {a.source for a in simulator.attempts if a.recipient in grey} == {A1}
    assert {a.source for a in simulator.attempts if a.recipient in new} == {A2, B1}


def test_suspended_at_one_provider(make_host, simulator):
    """Its mail leaves from the others; the mail of all other domains as before."""
    host = pooled(make_host, simulator)
    conf = host.changed()
    conf["providers"] = {"one": {"domains": ["one.test"]}, "two": {"domains": ["two.test"]}}
    host.reload_conf(conf)
    host.postpool("suspend", "a1", "--provider", "one", "--why", "test")
    submit(host, [f"r{n}@{name}.test" for n in range(40) for name in ("one", "two", "three")])
    wait_for(lambda: len(simulator.deliveries) == 120, what="all mail")
    sources = {name: {d.source for d in simulator.deliveries
                      if d.recipients[0].endswith(f"@{name}.test")}
               for name in ("one", "two", "three")}
    assert sources == {"one": {A2, B1}, "two": {A1, A2, B1}, "three": {A1, A2, B1}}
    host.postpool("resume", "a1", "--provider", "one")
    submit(host, [f"again{n}@one.test" for n in range(40)])
    wait_for(lambda: len(simulator.deliveries) == 160, what="the rest")
    assert A1 in {d.source for d in simulator.deliveries if d.recipients[0].startswith("again")}
