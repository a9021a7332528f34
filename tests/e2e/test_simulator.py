# SPDX-License-Identifier: MIT
"""The provider simulator itself: each rule, what is written down, how much it carries."""

import json
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from harness import client, provider_rules as rules
from harness.client import Refused, Smtp
from harness.postfix import Postfix
from harness.simulator import Attempt
from harness.wait import wait_for

A1, A2, A3 = "127.0.1.1", "127.0.1.2", "127.0.1.3"


def send(simulator, source=A1, recipient="r@one.test", sender="a@site.test"):
    """One message; returns its id."""
    test_id = client.new_id()
    with Smtp(simulator.port, source, "127.0.9.1") as smtp:
        smtp.send(sender, [recipient], client.message(test_id))
    return test_id


def refusal(simulator, *args, **kwargs):
    with pytest.raises(Refused) as refused:
        send(simulator, *args, **kwargs)
    return str(refused.value)


def test_what_is_written_down(simulator):
    simulator.add(rules.Unknown())
    begin = time.time()
    test_id = client.new_id()
    with Smtp(simulator.port, A1, "127.0.9.2") as smtp:
        smtp.cmd("MAIL FROM:<a@site.test> SIZE=10", "250")
        smtp.cmd("RCPT TO:<x@two.test>", "250")
        smtp.cmd("RCPT TO:<unknown1@two.test>", "550 5.1.1 ")
        smtp.cmd("RCPT TO:<y@two.test>", "250")
        smtp.cmd("DATA", "354")
        smtp.write(client.message(test_id) + b"..dots\r\n.\r\n")
        smtp.reply("250")
    assert [(a.recipient, a.stage, a.reply[:3], a.id, a.taken) for a in simulator.attempts] == [
        ("unknown1@two.test", "rcpt", "550", "", False),
        ("x@two.test", "data", "250", test_id, True),
        ("y@two.test", "data", "250", test_id, True)]
    assert {(a.source, a.target, a.sender, a.session) for a in simulator.attempts} == \
        {(A1, "127.0.9.2", "a@site.test", 1)}
    (delivery,) = simulator.of(test_id)
    assert delivery.recipients == ["x@two.test", "y@two.test"]
    assert delivery.data.endswith(b"\r\n.dots\r\n") and begin <= delivery.at <= time.time()
    assert simulator.refusals() == simulator.attempts_to("unknown1@two.test")


def test_a_rate_limit_of_each_source(simulator):
    limit = simulator.add(rules.RateLimit(3, seconds=3600))
    begin = time.time()
    for _ in range(3):
        send(simulator)
    assert refusal(simulator) == ("421 4.7.0 [127.0.1.1] Too many messages from your host, "
                                  "rate limit exceeded, come again later")
    send(simulator, A2)
    limit.seconds = 2
    wait_for(lambda: not_refused(simulator), what="room in the window")
    taken = [a.at for a in simulator.attempts_from(A1) if a.taken]
    assert len(taken) == 4 and taken[3] - begin >= 2


def not_refused(simulator):
    try:
        return send(simulator)
    except Refused:
        return None


def test_a_rate_limit_of_recipients(simulator):
    simulator.add(rules.RateLimit(2, seconds=600, at="rcpt", target="127.0.9.1"))
    with Smtp(simulator.port, A1, "127.0.9.1") as smtp:
        smtp.cmd("MAIL FROM:<a@site.test>", "250")
        for n in range(2):
            smtp.cmd(f"RCPT TO:<r{n}@one.test>", "250")
        smtp.cmd("RCPT TO:<r2@one.test>", "421")
        with pytest.raises(Refused):  # and the connection is over
            smtp.cmd("NOOP")
    with Smtp(simulator.port, A1, "127.0.9.2") as smtp:
        smtp.cmd("MAIL FROM:<a@site.test>", "250")
        for n in range(3):
            smtp.cmd(f"RCPT TO:<r{n}@two.test>", "250")


def test_a_421_to_pipelined_commands(simulator):
    """All recipients that came with the sender count as tried."""
    simulator.add(rules.RateLimit(0))
    with Smtp(simulator.port, A1, "127.0.9.1") as smtp:
        smtp.write(b"MAIL FROM:<a@site.test>\r\nRCPT TO:<x@one.test>\r\nRCPT TO:<y@one.test>\r\n"
                   b"DATA\r\n")
        smtp.reply("421")
        with pytest.raises(Refused, match="closed"):
            smtp.reply()
    assert [(a.recipient, a.stage) for a in simulator.attempts] == [("x@one.test", "mail"),
                                                                   ("y@one.test", "mail")]


def test_a_block(simulator):
    send(simulator)
    simulator.block(A1)
    assert refusal(simulator).startswith("550 5.7.1 ")
    assert A1 in refusal(simulator)
    send(simulator, A2)
    simulator.unblock(A1)
    send(simulator)


def test_blocked_at_other_commands(simulator):
    for at, reply in (("connect", "554"), ("mail", "550"), ("data", "554")):
        rule = simulator.add(rules.Rule(reply + " 5.7.1 {source} is blocked", at=at))
        assert refusal(simulator) == f"{reply} 5.7.1 {A1} is blocked"
        simulator.remove(rule)
        assert simulator.attempts[-1].stage == at
    send(simulator)


@pytest.mark.parametrize("code", ["450 4.2.0", "451 4.7.1"])
def test_greylisting(simulator, code):
    """By source, sender and recipient, each with a time of its own."""
    greylist = simulator.add(rules.Greylist(3600, code))
    assert refusal(simulator).startswith(code)
    assert refusal(simulator).startswith(code)
    greylist.seconds = 1
    wait_for(lambda: not_refused(simulator), what="the end of the greylisting")
    send(simulator)
    assert refusal(simulator, A2).startswith(code)
    assert refusal(simulator, sender="b@site.test").startswith(code)
    assert refusal(simulator, recipient="s@one.test").startswith(code)


def test_recipients_that_have_trouble_of_their_own(simulator):
    for rule in (rules.Unknown(), rules.OverQuota(), rules.OverQuota("over*", for_good=True),
                 rules.FailsFirst(2, local="ill*")):
        simulator.add(rule)
    assert refusal(simulator, recipient="unknown9@one.test").startswith("550 5.1.1 ")
    assert refusal(simulator, recipient="full9@one.test").startswith("452 4.2.2 ")
    assert refusal(simulator, recipient="over9@one.test").startswith("552 5.2.2 ")
    for _ in range(2):
        assert refusal(simulator, recipient="ill@one.test").startswith("451 4.3.0 ")
    send(simulator, recipient="ill@one.test")
    send(simulator)


def test_a_domain_without_reputation(simulator):
    simulator.add(rules.DomainReputation("bad.test"))
    said = refusal(simulator, sender="a@Bad.Test")
    assert said.startswith("421 4.7.0 ") and "sending domain bad.test" in said
    send(simulator, sender="a@good.test")


def test_slow(simulator):
    rule = simulator.add(rules.Slow(0.1, source=A1))
    begin = time.monotonic()
    send(simulator)  # the greeting, EHLO, MAIL, RCPT, DATA, the message
    assert time.monotonic() - begin >= 0.6
    simulator.remove(rule)
    assert not simulator.refusals()


def test_dead(simulator):
    rule = simulator.add(rules.Dead(hang_up=True, source=A1))
    assert refusal(simulator) == "connection closed after ''"
    send(simulator, A2)
    simulator.remove(rule)
    rule = simulator.add(rules.Dead())
    with pytest.raises(TimeoutError):
        Smtp(simulator.port, A1, "127.0.9.1", timeout=0.5)
    simulator.remove(rule)
    assert [(a.stage, a.reply) for a in simulator.refusals()] == [("connect", "")] * 2
    simulator.shut()
    with pytest.raises(ConnectionRefusedError):
        Smtp(simulator.port, A1, "127.0.9.1")
    simulator.listen()
    send(simulator)


def test_the_rules_that_are_installed_know_its_replies(make_host):
    """What it says is what providers say: each reply accuses whom it should."""
    host = make_host(start=False)
    text = host.conf_path.read_text()
    for name in ("providers.conf", "replies.conf"):
        shutil.copy(Path(__file__).parents[2] / "docs" / name, host.root)
        text += f'@include "{name}"\n'
    host.conf_path.write_text(text)
    attempt = Attempt(0, A1, "127.0.9.1", "a@bad.test", "r@one.test", "rcpt", "", "", 1)
    for provider, rule, accused in (
            ("other", rules.RateLimit(1), "address_provider"),
            ("other", rules.Block(), "address_provider"),
            ("other", rules.Greylist(1), "greylist"),
            ("other", rules.Greylist(1, "451 4.7.1"), "greylist"),
            ("other", rules.Unknown(), "recipient"),
            ("other", rules.OverQuota(), "recipient"),
            ("other", rules.OverQuota(for_good=True), "recipient"),
            ("other", rules.FailsFirst(), "provider"),
            ("google", rules.DomainReputation("bad.test"), "account")):
        said = host.postpool("replies", "test", "--provider", provider, "--json",
                             rule.words(attempt).decode()).stdout
        assert json.loads(said)["class"] == accused, said


def test_an_unknown_condition_is_a_mistake():
    with pytest.raises(TypeError, match="no such condition: ip"):
        rules.Unknown(ip=A1)


def replies(simulator):
    return Counter(a.reply[:3] for a in list(simulator.attempts))


def test_it_takes_all_that_postfix_has(simulator, directory_of):
    """Through a real Postfix: its own idea of each reply, and nothing is lost."""
    limit = simulator.add(rules.RateLimit(100, seconds=3600))
    simulator.add(rules.Unknown())
    postfix = Postfix(directory_of("postfix"), simulator.port)
    postfix.start()
    try:
        with Smtp(postfix.port) as smtp:
            for n in range(150):
                local = f"unknown{n}" if n < 5 else f"r{n}"
                smtp.send("games@local.test", [f"{local}@one.test"], client.message(client.new_id()))
        wait_for(lambda: len(simulator.deliveries) >= 95 and "421" in replies(simulator),
                 what="all that it takes at once, and more than that")
        assert len(simulator.deliveries) <= 100
        simulator.remove(limit)
        wait_for(lambda: sum(replies(simulator)[r] for r in ("250", "550")) == 150, what="all of it")
        assert replies(simulator)["550"] == 5 and len(simulator.deliveries) == 145
        assert all(a.recipient for a in simulator.attempts)
        postfix.wait_log(r"status=deferred \(host one.test\[127.0.9.1\] .*421 4.7.0")
    finally:
        postfix.stop()


def test_much_mail(simulator):
    """No figure is asserted here: bench/README.md has what it carries."""
    simulator.keep_data = False
    simulator.add(rules.RateLimit(100000))
    begin = time.monotonic()
    subprocess.run(["smtp-source", "-d", "-N", "-s", "10", "-m", "5000", "-l", "2000",
                    "-f", "a@site.test", "-t", "r@one.test", f"inet:127.0.9.1:{simulator.port}"],
                   check=True)
    print(f"{5000 / (time.monotonic() - begin):.0f} messages a second")
    assert len(simulator.deliveries) == len(simulator.attempts) == 5000
    assert sum(len(d.data) for d in simulator.deliveries) < 5000 * 1000
