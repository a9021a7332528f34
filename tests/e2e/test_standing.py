# SPDX-License-Identifier: MIT
"""Accounts: what they earn, and which pool their mail leaves from."""

import json
from collections import Counter

import pytest

from harness import client, maillog, provider_rules as rules
from harness.grants import address_of, ask_one
from harness.node import hosts
from harness.programs import postpool
from harness.socketmap import Socketmap
from harness.wait import wait_for
from harness.waking import waking

SHARED, SANDBOX, QUARANTINE = "127.0.1.1", "127.0.1.2", "127.0.1.31"


def graded(conf, **grades):
    """All mail leaves from a1; that of new accounts from a2, of those in attention from d1."""
    conf["pools"] = {"shared": {"addresses": ["a1"]}, "sandbox": {"addresses": ["a2"]},
                     "quarantine": {"addresses": ["d1"]}}
    conf["streams"] = [{"name": "default", "pool": "shared", "match": [],
                        "grades": grades or {"new": "sandbox", "attention": "quarantine"}}]
    conf["standing"] = {"samples": 20}


def run(conf, *args, status=0):
    return postpool("-c", conf, *args, status=status).stdout


def account(conf, name):
    return json.loads(run(conf, "--json", "accounts", name))["accounts"][0]


def pool_of(lookup, sender_domain):
    with Socketmap(lookup) as postfix:
        return {"a1": "shared", "a2": "sandbox", "d1": "quarantine"}[
            address_of(ask_one(postfix, sender_domain=sender_domain)[2])]


@pytest.fixture
def host(make_host, simulator):
    """new is no grade of its own here: its mail leaves from the shared pool."""
    host = waking(make_host(start=False, sink=simulator))
    graded(host.conf, attention="quarantine")
    host.write_conf()
    host.start()
    simulator.add(rules.Unknown("u*"))
    return host


def send(host, sender, recipients):
    with host.smtp() as smtp:
        for recipient in recipients:
            smtp.send(f"news@{sender}", [recipient], client.message(client.new_id()))


def tried(simulator, sender):
    """From which addresses messages of the sender were tried."""
    return Counter(attempt.source for attempt in list(simulator.attempts)
                   if attempt.sender_domain == sender and attempt.stage in ("rcpt", "data")
                   and attempt.recipient)


def results(host, name):
    return account(host.conf_path, name)["today"]["results"]


def test_bounces_bring_attention(host, simulator):
    """Who turns bad leaves the shared pool at once; others stay, and a restart changes nothing."""
    send(host, "good.test", [f"r{n}@one.test" for n in range(30)])
    for number in range(20):
        send(host, "bad.test", [f"{'u' if number % 3 == 0 else 'r'}{number}@one.test"])
    wait_for(lambda: results(host, "bad.test") == 20, 60, "all results")
    found = account(host.conf_path, "bad.test")
    assert (found["grade"], found["today"]["bounces"]) == ("attention", 7)
    assert found["why"] == "bounces: 7 of 20 results in stream default, 1.0 allowed"
    assert set(tried(simulator, "bad.test")) == {SHARED}
    send(host, "bad.test", [f"later{n}@one.test" for n in range(10)])
    send(host, "good.test", [f"later{n}@one.test" for n in range(10)])
    wait_for(lambda: tried(simulator, "bad.test")[QUARANTINE] == 10, 60, "mail from there")
    wait_for(lambda: tried(simulator, "good.test")[SHARED] == 40, 60, "the others' mail")
    assert "account bad.test: attention, it was new: bounces: 7 of 20" in host.policyd.log()
    host.restart_policyd()
    assert account(host.conf_path, "bad.test")["grade"] == "attention"
    wait_for(lambda: results(host, "bad.test") == 30, 60, "what was counted")
    wait_for(lambda: results(host, "good.test") == 40, 60, "what was counted")
    assert account(host.conf_path, "good.test")["grade"] == "new"
    assert pool_of(host.run / "lookup", "bad.test") == "quarantine"
    assert "1 need attention" in host.postpool("status").stdout


def test_limits_of_a_stream(make_host, simulator):
    """Of two streams one takes less: what is right in the other brings attention in that."""
    host = waking(make_host(start=False, sink=simulator))
    graded(host.conf, attention="quarantine")
    host.conf["streams"].insert(0, {
        "name": "again", "pool": "shared", "grades": {"attention": "quarantine"},
        "limits": {"bounces": 0.5}, "match": [{"header": "X-Stream", "value": "again"}]})
    host.write_conf()
    host.start()
    simulator.add(rules.Unknown("u*"))
    wanted = [f"{'u' if n % 20 == 0 else 'r'}{n}@one.test" for n in range(200)]
    send(host, "one.test", wanted)
    with host.smtp() as smtp:
        for recipient in wanted:
            smtp.send("news@two.test", [recipient],
                      client.message(client.new_id(), ("X-Stream: again",)))
    wait_for(lambda: results(host, "one.test") == results(host, "two.test") == 200, 120,
             "all results")
    assert account(host.conf_path, "one.test")["grade"] == "new"
    assert account(host.conf_path, "two.test")["grade"] == "attention"


def test_under_way(make_host, simulator):
    """However much there is at once: little of it is on its way before it is known how it fares."""
    host = waking(make_host(start=False, sink=simulator))
    graded(host.conf, attention="quarantine")
    host.conf["standing"]["under_way"] = 20
    host.write_conf()
    host.start()
    send(host, "good.test", ["first@one.test"])
    wait_for(lambda: results(host, "good.test") == 1, 60, "the log to be read")
    simulator.add(rules.Slow(1))
    simulator.add(rules.Unknown("u*"))
    send(host, "bad.test", [f"{'u' if n % 2 else 'r'}{n}@one.test" for n in range(150)])
    wait_for(lambda: sum(tried(simulator, "bad.test").values()) == 150, 180, "all mail")
    assert 20 <= tried(simulator, "bad.test")[SHARED] <= 60


def test_by_hand(make_host):
    host = make_host(graded)
    lookup = host.run / "lookup"
    assert pool_of(lookup, "one.test") == "sandbox"
    explained = host.postpool("explain", "--sender", "x@one.test", "--recipient", "y@two.test")
    assert "grade      new (0 of 7 days, 0 of 1000 results)\npool       sandbox\n" \
        in explained.stdout
    said = host.postpool("grade", "One.test", "trusted", "--for", "1h", "--why", "a friend")
    assert said.stdout.startswith("one.test: trusted by hand until ")
    assert pool_of(lookup, "one.test") == "shared"
    assert pool_of(lookup, "ONE.test") == "shared"
    assert pool_of(lookup, "two.test") == "sandbox"
    host.postpool("grade", "two.test", "attention", "--why", "no friend")
    assert pool_of(lookup, "two.test") == "quarantine"
    assert "account two.test: attention by root (uid 0): no friend" in host.policyd.log()
    host.restart_policyd()
    assert pool_of(lookup, "one.test") == "shared"
    assert account(host.conf_path, "one.test")["by_hand"]["why"] == "a friend"
    explained = json.loads(host.postpool("explain", "--sender", "x@one.test", "--recipient",
                                         "y@two.test", "--json").stdout)
    assert (explained["grade"], explained["pool"], explained["address"]) == \
        ("trusted", "shared", "a1")
    assert host.postpool("accounts", "--grade", "attention").stdout.startswith(
        "two.test: attention by hand, root (uid 0): no friend; earned: new")
    host.postpool("grade", "two.test", "earned", "--why", "it was another")
    assert pool_of(lookup, "two.test") == "sandbox"
    wait_for(lambda: "two.test" not in host.postpool("accounts").stdout, what="it to be forgotten")
    host.postpool("grade", "one.test", "trusted", "--for", "1s", "--why", "for a moment")
    wait_for(lambda: pool_of(lookup, "one.test") == "sandbox", what="its time to be over")
    asked = len("grade two.test attention - ")
    host.postpool("grade", "two.test", "attention", "--why", "x" * (1024 - asked))
    assert host.postpool("grade", "two.test", "new", "--why", "x" * 2000, status=1).stderr == \
        "postpool: what is asked has 2021 bytes, postpool-policyd takes 1024\n"
    assert "there are new, trusted, attention and earned" in \
        host.postpool("grade", "x.test", "good", "--why", "x", status=2).stderr


def test_without_grades(make_host):
    host = make_host()
    assert host.postpool("accounts").stdout == \
        "no stream has grades, so that accounts are not graded\n"


def test_hosts_agree(make_nodes, scratch):
    """What one host sees, and what both see together, both know."""
    def change(conf):
        graded(conf)
        log = scratch / f"{conf['node']}.log"
        log.write_text("")
        log.chmod(0o644)
        conf["feedback"] = {"log": str(log)}
    _, nodes = make_nodes(change, *hosts(2))
    one, two = nodes

    def write(node, sender, count, bounces):
        with (scratch / f"{node.name}.log").open("a") as log:
            for number in range(count):
                queue_id = f"{number + 1:010X}"
                log.write(maillog.line("qmgr", f"{queue_id}: from=<news@{sender}>, size=500, "
                                               f"nrcpt=1 (queue active)"))
                log.write(maillog.result(queue_id, f"r{number}@one.test", maillog.UNKNOWN
                                         if number < bounces else maillog.SENT))
                log.write(maillog.line("qmgr", f"{queue_id}: removed"))

    def complain(node, sender, ids):
        """What a milter says of reports."""
        with (scratch / f"{node.name}.log").open("a") as log:
            for message in ids:
                log.write(maillog.line("milter", f"4A: complaint: type=abuse, incidents=1, "
                                       f"stream=default, id={message}, by=mark, account={sender}"
                                       ).replace("postfix/", "postpool/"))

    def known(name):
        return [account(node.conf, name) for node in nodes]
    write(one, "bad.test", 20, 10)
    wait_for(lambda: {a["grade"] for a in known("bad.test")} == {"attention"}, 60, "both to know")
    assert known("bad.test")[0]["why"] == known("bad.test")[1]["why"]
    assert pool_of(two.lookup, "bad.test") == "quarantine"
    # Neither has the samples by itself.
    write(one, "both.test", 15, 4)
    write(two, "both.test", 15, 4)
    wait_for(lambda: {a["grade"] for a in known("both.test")} == {"attention"}, 60, "both to know")
    assert [a["today"]["results"] for a in known("both.test")] == [30, 30]
    # Complaints come to either, of mail that left from one; of each message one counts.
    write(one, "told.test", 20, 0)
    complain(one, "told.test", ["aaaaaaaaaaa2"] * 9)
    complain(two, "told.test", [f"aaaaaaaaaaa{n}" for n in range(3, 6)])
    wait_for(lambda: [a["today"]["complaints"] for a in known("told.test")] == [4, 4], 60,
             lambda: f"both to know: {known('told.test')}")
    assert {a["grade"] for a in known("told.test")} == {"new"}
    complain(two, "told.test", ["aaaaaaaaaaa6"])
    wait_for(lambda: {a["grade"] for a in known("told.test")} == {"attention"}, 60, "both to know")
    assert pool_of(one.lookup, "told.test") == pool_of(two.lookup, "told.test") == "quarantine"
    run(two.conf, "grade", "both.test", "trusted", "--why", "x")
    wait_for(lambda: pool_of(one.lookup, "both.test") == "shared", 20, "the other host to know")
    one.kill_worker()
    wait_for(lambda: one.daemon.workers() and "both.test" in run(one.conf, "accounts"), 30,
             "another worker")
    assert pool_of(one.lookup, "both.test") == "shared"
    assert known("bad.test")[0]["today"] == known("bad.test")[1]["today"]
