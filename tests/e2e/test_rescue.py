# SPDX-License-Identifier: MIT
"""A message whose address is refused goes on from another, and is returned when all refuse it."""

import json
import re
import threading
import time

import pytest

from conftest import need_world
from harness import client, provider_rules as rules
from harness.simulator import Simulator
from harness.wait import wait_for

THREE = {"127.0.1.1", "127.0.1.2", "127.0.1.41"}  # a1, a2, s1: the pool "fast"
REPLIES = [
    {"name": "blocked", "class": "address_provider", "pattern": "has been blocked",
     "samples": ["550 5.7.1 it has been blocked"]},
    {"name": "unknown", "class": "recipient", "enhanced": "?.1.1",
     "samples": ["550 5.1.1 User unknown"]},
    {"name": "greylisted", "class": "greylist", "pattern": "greylisted",
     "samples": ["450 4.2.0 Greylisted"]},
]
SENDER = "app@site.test"
# Deferred mail is taken up when a test says so.
NOT_BY_ITSELF = {"minimal_backoff_time": "1h", "maximal_backoff_time": "1h",
                 "queue_run_delay": "1h"}


@pytest.fixture
def simulator():
    need_world()
    simulator = Simulator()
    yield simulator
    simulator.stop()


@pytest.fixture
def make(make_host, simulator):
    """Hosts whose log is followed, with a pool of three."""
    def make(change=None, main=None):
        def all_changes(conf):
            conf["pools"]["fast"] = {"addresses": ["a1", "a2", "s1"]}
            conf["replies"] = REPLIES
            if change:
                change(conf)
        host = make_host(all_changes, main, sink=simulator, start=False)
        host.conf["feedback"] = {"log": str(host.postfix.maillog)}
        host.write_conf()
        host.start()
        return host
    return make


def submit(host, recipient, sender=SENDER):
    """One message of the pool of three; returns its queue id."""
    with host.smtp() as smtp:
        return smtp.send(sender, [recipient],
                         client.message(client.new_id(), ("X-Stream: transactional",)))


def results(host, queue_id):
    """What the log says of each try: sent, deferred or bounced, and the words."""
    return re.findall(rf"{queue_id}: to=.* status=(\w+) \((.*)\)", host.postfix.log())


def wait_results(host, queue_id, count):
    return wait_for(lambda: (r := results(host, queue_id)) and len(r) >= count and r,
                    what=lambda: f"{count} results, has {results(host, queue_id)}")


def test_an_address_that_is_refused_is_no_reason_to_bounce(make, simulator):
    host = make()
    simulator.add(rules.Unknown())
    unknown = submit(host, "unknown@one.test")
    assert [status for status, _ in wait_results(host, unknown, 1)] == ["bounced"]
    for source in THREE:
        simulator.block(source)
    blocked = submit(host, "x@one.test")
    (status, words), *_ = wait_results(host, blocked, 1)
    assert status == "deferred"
    assert re.fullmatch(r"host one.test\[[\d.]+\] said: 550 5.7.1 Service refused: your IP address "
                        r"[\d.]+ has been blocked \(in reply to RCPT TO command\)", words)
    assert re.search(rf"{blocked}: to=<x@one.test>.*dsn=4.7.1, status=deferred", host.postfix.log())


class HeldBlock(rules.Block):
    """Refuses all, but says so not before it may; until then the simulator stands still."""

    def __init__(self):
        super().__init__()
        self.asked, self.may_speak = threading.Event(), threading.Event()

    def refuses(self, attempt):
        self.asked.set()
        return self.may_speak.wait(20)


def test_without_policyd_the_result_stands(make, simulator):
    """It was asked for the address, and is gone when the server speaks."""
    host = make()
    block = simulator.add(HeldBlock())
    queue_id = submit(host, "x@one.test")
    assert block.asked.wait(60)
    host.policyd.stop()
    block.may_speak.set()
    assert [status for status, _ in wait_results(host, queue_id, 1)] == ["bounced"]
    host.policyd.start()


def told(host):
    """How many results policyd has read."""
    return json.loads(host.postpool("--json", "status").stdout)["feedback"]["results"]


def wait_told(host):
    """Until policyd has read all that there is."""
    def logged():
        return len(re.findall(r"/(?:smtp|error)\[\d+\]: \w+: to=<.* status=(?:sent|deferred|bounced) ",
                              host.postfix.log()))
    wait_for(lambda: told(host) >= logged(), what=lambda: f"{logged()} results, has {told(host)}")


def flush(host):
    """When all is told, and Postfix has forgotten what it was answered last, which it keeps for
    30 s: it asks for a local recipient in between."""
    wait_told(host)
    with host.smtp() as smtp:
        queue_id = smtp.send("news@local.test", ["news@local.test"],
                             client.message(client.new_id()))
    host.postfix.wait_log(f"{queue_id}: removed")
    host.postfix.flush()


def sources(simulator, recipient):
    return [a.source for a in simulator.attempts_to(recipient)]


def test_a_blocked_address_of_three(make, simulator):
    """All arrive, from the others; what it refused is tried there once."""
    host = make(main=NOT_BY_ITSELF)
    simulator.block("127.0.1.1")
    queue_ids = {f"r{n}@one.test": submit(host, f"r{n}@one.test") for n in range(30)}
    for queue_id in queue_ids.values():
        wait_results(host, queue_id, 1)
    refused = [r for r in queue_ids if "127.0.1.1" in sources(simulator, r)]
    assert refused and len(refused) < 30
    flush(host)
    host.postfix.wait_queue_empty()
    for recipient, queue_id in queue_ids.items():
        assert results(host, queue_id)[-1][0] == "sent"
        assert len(sources(simulator, recipient)) == (2 if recipient in refused else 1)
    assert "status=bounced" not in host.postfix.log()


OWN_ROUTES = {"transport_maps": "inline:{two.test=smtp:[127.0.0.7]}",
              "sender_dependent_relayhost_maps": "inline:{@two.test=[127.0.0.7]}"}


@pytest.mark.parametrize("addresses, main", [(None, {}), (2, {}), (None, OWN_ROUTES)],
                         ids=["three", "two", "own-routes"])
def test_refused_by_all(make, simulator, addresses, main):
    """Its sender reads what the last of them was told."""
    change = addresses and (lambda conf: conf.update(rescue={"addresses": addresses}))
    host = make(change, NOT_BY_ITSELF | main)
    for source in THREE:
        simulator.block(source)
    queue_id = submit(host, "x@one.test", "games@local.test")
    for tries in range(1, (addresses or 3) + 1):
        assert wait_results(host, queue_id, tries)[-1][0] == "deferred"
        flush(host)
    tried = sources(simulator, "x@one.test")
    status, words = wait_results(host, queue_id, tries + 1)[-1]
    assert status == "bounced"
    assert words == (f"host one.test[127.0.9.1] said: 550 5.7.1 Service refused: your IP address "
                     f"{tried[-1]} has been blocked (in reply to RCPT TO command)")
    assert len(tried) == len(set(tried)) == tries
    bounce = host.postfix.wait_mailbox("games", "has been blocked").decode()
    assert "Status: 5.7.1" in bounce
    assert f"550 5.7.1 Service refused: your IP\n    address {tried[-1]} has been blocked" in bounce
    host.postfix.wait_queue_empty()


def test_fewer_addresses_than_may_refuse(make, simulator):
    """Of two addresses both refused it: there is nothing to wait for."""
    host = make(lambda conf: conf["pools"].update(fast={"addresses": ["a1", "a2"]}), NOT_BY_ITSELF)
    for source in THREE:
        simulator.block(source)
    queue_id = submit(host, "x@one.test")
    for tries in (1, 2):
        assert wait_results(host, queue_id, tries)[-1][0] == "deferred"
        flush(host)
    assert wait_results(host, queue_id, 3)[-1][0] == "bounced"
    assert len(set(sources(simulator, "x@one.test"))) == 2


def test_refused_in_the_greeting(make, simulator):
    """Postfix tries such mail again by itself, and goes on to: it leaves from another address,
    and it is not returned."""
    host = make(main=NOT_BY_ITSELF)
    rule = simulator.add(rules.Rule("554 5.7.1 {source} has been blocked", at="connect"))
    queue_id = submit(host, "x@one.test")
    for tries in (1, 2, 3, 4):
        assert wait_results(host, queue_id, tries)[-1][0] == "deferred"
        if tries == 4:
            simulator.remove(rule)
        flush(host)
    assert wait_results(host, queue_id, 5)[-1][0] == "sent"
    tried = [a.source for a in simulator.attempts if a.stage == "connect"]
    assert set(tried[:3]) == THREE


def test_messages_without_a_sender(make, simulator):
    """They have no tag; what is known of them is by their recipient."""
    host = make(lambda conf: conf["streams"].insert(0, {
        "name": "bounces", "pool": "fast", "match": [{"sender": "<>"}]}), NOT_BY_ITSELF)
    simulator.block("127.0.1.1")
    simulator.block("127.0.1.2")
    recipients = [f"r{n}@one.test" for n in range(6)]
    queue_ids = [submit(host, recipient, "") for recipient in recipients]
    for tries in range(1, 4):
        for queue_id in queue_ids:
            wait_results(host, queue_id, 1)
        left = sum(results(host, q)[-1][0] != "sent" for q in queue_ids)
        if not left:
            break
        flush(host)
        for queue_id in queue_ids:
            if results(host, queue_id)[-1][0] != "sent":
                wait_results(host, queue_id, tries + 1)
    for recipient, queue_id in zip(recipients, queue_ids):
        assert results(host, queue_id)[-1][0] == "sent"
        tried = sources(simulator, recipient)
        assert tried[-1] == "127.0.1.41" and len(tried) == len(set(tried))


def test_greylisted_mail_keeps_its_address(make, simulator):
    """Although at the retry there is room again where it would have gone first."""
    def change(conf):
        conf["pools"]["fast"] = {"addresses": [{"name": "a1", "weight": 1000}, "a2"]}
        conf["addresses"]["a1"]["caps"] = {"hour": 1}
    host = make(change, NOT_BY_ITSELF)
    assert wait_results(host, submit(host, "first@one.test"), 1)[-1][0] == "sent"
    simulator.add(rules.Greylist(1))
    queue_ids = {f"r{n}@one.test": submit(host, f"r{n}@one.test") for n in range(6)}
    for queue_id in queue_ids.values():
        assert wait_results(host, queue_id, 1)[-1][0] == "deferred"
    wait_told(host)
    del host.conf["addresses"]["a1"]["caps"]
    host.reload_conf(host.conf)
    new = submit(host, "new@one.test")
    wait_results(host, new, 1)

    def pushed():
        host.postfix.flush()
        return not host.postfix.queue()
    wait_for(pushed, every=1, what="an empty queue")
    for recipient in queue_ids:
        assert set(sources(simulator, recipient)) == {"127.0.1.2"}
    assert set(sources(simulator, "new@one.test")) == {"127.0.1.1"}


@pytest.mark.parametrize("change", [
    lambda conf: conf.update(rescue={"enabled": False}),
    lambda conf: conf["pools"].update(fast={"addresses": ["a1"]}),
])
def test_what_is_not_rescued(make, simulator, change):
    host = make(change)
    for source in THREE:
        simulator.block(source)
    queue_id = submit(host, "x@one.test")
    assert [status for status, _ in wait_results(host, queue_id, 1)] == ["bounced"]


def test_words_that_the_log_cannot_be_trusted_with(make, simulator):
    """A refusal that looks like a result of another message is returned, not tried without end."""
    host = make(main=NOT_BY_ITSELF)
    simulator.add(rules.Rule("550 5.7.1 {source} has been blocked <x>, relay=none, ok"))
    queue_id = submit(host, "x@one.test")
    assert [status for status, _ in wait_results(host, queue_id, 1)] == ["bounced"]


def test_blocked_behind_the_end_of_the_line(make, simulator):
    """What the log has no room for is not read from it; so it is no reason to try again."""
    host = make(main=NOT_BY_ITSELF)
    lines = ["and so on " * 45] * 5 + ["it has been blocked"]
    simulator.add(rules.Rule("550-5.7.1 " + "\r\n550-5.7.1 ".join(lines) + "\r\n550 5.7.1 end"))
    queue_id = submit(host, "x@one.test")
    status = wait_for(lambda: re.findall(rf"{queue_id}: to=.* status=(\w+) \(", host.postfix.log()),
                      what="a result")
    assert status == ["bounced"]


@pytest.mark.parametrize("lines", [1, 4], ids=["fits", "cut"])
def test_a_long_reply_to_the_recipient_spends_the_grant(make, simulator, lines):
    """The other side counts the recipient, also where the log has lost that it was told of it."""
    def capped(conf):
        for name in ("a1", "a2", "s1"):
            conf["addresses"][name]["caps"] = {"day": 1000}
    host = make(capped, NOT_BY_ITSELF)
    simulator.add(rules.Rule("452-4.2.2 " + "\r\n452-4.2.2 ".join(["and so on " * 50] * lines)
                             + "\r\n452 4.2.2 the end"))
    queue_id = submit(host, "x@one.test")
    line = wait_for(lambda: re.search(rf".*{queue_id}: to=.*", host.postfix.log()),
                    what="a result").group(0)
    assert line.endswith("(in reply to RCPT TO command))") == (lines == 1)
    feedback = wait_for(lambda: (f := json.loads(host.postpool("--json", "status").stdout)[
        "feedback"])["results"] and f, what="the result to be read")
    assert (feedback["spent"], feedback["given_back"]) == (1, 0)


def test_soft_bounce(make, simulator):
    """Deferred by Postfix' soft_bounce: counted, under the rule that the reply falls under."""
    host = make(main=NOT_BY_ITSELF | {"soft_bounce": "yes"})
    simulator.add(rules.Unknown())
    queue_id = submit(host, "unknown@one.test")
    wait_for(lambda: re.search(rf"{queue_id}: to=.* status=SOFTBOUNCE ", host.postfix.log()),
             what="a result")
    wait_for(lambda: told(host) == 1, what="the result to be read")
    assert re.search(r"deferred +unknown@one\.test from \w+ after [\d.]+ s, rule unknown: 550 5\.1\.1",
                     host.postpool("explain", queue_id).stdout)
    total = json.loads(host.postpool("--json", "report").stdout)["total"]
    assert (total["deferred"], total["bounced"]) == (1, 0)


def report(host, by="address"):
    """What the report has of each, by name."""
    return {row[by]: row for row in
            json.loads(host.postpool("--json", "report", "--by", by).stdout)["rows"]}


def test_what_is_returned_counts_where_it_was_refused_last(make, simulator):
    host = make(main=NOT_BY_ITSELF)
    for source in THREE:
        simulator.block(source)
    queue_id = submit(host, "x@one.test")
    for tries in (1, 2, 3):
        wait_results(host, queue_id, tries)
        flush(host)
    assert wait_results(host, queue_id, 4)[-1][0] == "bounced"
    wait_told(host)
    last = sources(simulator, "x@one.test")[-1]
    rows = report(host)
    bounced = {name for name, row in rows.items() if row["bounced"]}
    assert bounced == {name for name in ("a1", "a2", "s1")
                       if host.conf["addresses"][name]["ip"] == last}, rows


def test_expired_mail_is_counted(make, simulator):
    """Two of three recipients are still open when Postfix gives the message up."""
    host = make(main=NOT_BY_ITSELF | {"maximal_queue_lifetime": "1s", "bounce_queue_lifetime": "1s"})
    simulator.add(rules.Rule("451 4.3.0 not now", local="wait*"))
    with host.smtp() as smtp:
        queue_id = smtp.send("games@local.test", ["wait1@one.test", "wait2@one.test", "x@one.test"],
                             client.message(client.new_id(), ("X-Stream: transactional",)))
    wait_results(host, queue_id, 3)
    time.sleep(1.5)  # its lifetime
    host.postfix.flush()
    host.postfix.wait_log(f"{queue_id}: from=.*status=expired")
    host.postfix.wait_log(f"{queue_id}: removed")
    wait_told(host)
    total = wait_for(lambda: (t := json.loads(host.postpool("--json", "report").stdout)["total"])[
        "bounced"] and t, what="what was returned to be counted")
    assert (total["sent"] >= 1, total["bounced"]) == (True, 2)
    story = host.postpool("explain", queue_id).stdout.splitlines()
    assert len([line for line in story if "  expired  wait" in line]) == 2
    assert "451 4.3.0 not now" in story[-1]
