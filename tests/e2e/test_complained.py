# SPDX-License-Identifier: MIT
"""Complaints and late bounces count against the stream, account and address of their mail."""

import json
import re
import time

import pytest

from harness import client
from harness.waking import waking
from harness.wait import wait_for

OUTSIDE = "127.0.5.5"  # none of milter.internal
COMPLAINTS, BOUNCES = "games@local.test", "backup+b@local.test"
NAMES = {"127.0.1.1": "a1", "127.0.1.2": "a2", "127.0.1.31": "d1"}


@pytest.fixture
def host(make_host):
    """All mail leaves from a1 and a2, that of accounts in attention from d1."""
    host = waking(make_host(start=False))
    attention = {"attention": "quarantine"}
    host.conf["pools"] = {"shared": {"addresses": ["a1", "a2"]}, "quarantine": {"addresses": ["d1"]}}
    host.conf["providers"] = {"large": {"domains": ["one.test"]}}
    host.conf["streams"] = [
        {"name": "bulk", "pool": "shared", "mark": True, "grades": attention,
         "match": [{"header": "X-Stream", "value": "bulk"}]},
        {"name": "default", "pool": "shared", "grades": attention, "match": []}]
    host.conf["standing"] = {"samples": 20}
    host.conf["warmup"] = {"hint": {"header": "X-Engagement", "match": []}}
    host.conf["complaints"] = {"addresses": [COMPLAINTS, "backup+*@local.test"]}
    host.write_conf()
    host.start()
    host.said = 0  # bytes of the milter's log that are in the log that is followed
    # the log that is begun now is followed from its end, until a place in it is kept
    wait_for(lambda: status(host)["figures"]["written_ms_ago"] >= 0, what="the first place")
    return host


def status(host):
    return json.loads(host.postpool("--json", "status").stdout)


def rows(host, by):
    told = json.loads(host.postpool("--json", "report", "--by", by).stdout)
    return {row[by]: (row["complaints"], row["returned"]) for row in told["rows"]
            if row["complaints"] or row["returned"]}


def account(host, name):
    return json.loads(host.postpool("--json", "accounts", name).stdout)["accounts"][0]


def wait_results(host, name, count):
    wait_for(lambda: account(host, name)["today"]["results"] == count, 60, f"{count} results")


def send(host, sender, count, stream="bulk"):
    """What the provider got: (mark, address), one for each message; every second has a hint."""
    ids = []
    with host.smtp() as smtp:
        for number in range(count):
            ids.append(client.new_id())
            smtp.send(f"news@{sender}", [f"r{number}@one.test"],
                      client.message(ids[-1], (f"X-Stream: {stream}", f"X-Engagement: {number}")
                                     [:1 + number % 2]))
    sent = [host.sink.wait(test_id, 1)[0] for test_id in ids]
    return [(delivery, NAMES[delivery.source]) for delivery in sent]


def mark_of(delivery):
    (mark,) = re.findall(rb"(?m)^X-Postpool-Mark: (\S+)\r?$", delivery.data)
    return mark.decode()


def complaint(delivery, source, extra=""):
    """As Yahoo writes it: the envelope is made unknown, all of the message comes back."""
    returned = delivery.data.decode().replace("\r\n", "\n")
    headers = ["MIME-Version: 1.0", "Content-Type: multipart/report; boundary=\"_=_x1\";\n"
               "\treport-type=feedback-report"]
    return headers, (
        "--_=_x1\nContent-Type: text/plain; charset=US-ASCII\n\nThis is an email abuse report.\n\n"
        "--_=_x1\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n"
        "User-Agent: Provider-Mail-Feedback/1.0\nVersion: 0.1\n"
        "Original-Mail-From: <unknown@provider.example>\nOriginal-Rcpt-To: reader@one.test\n"
        f"Received-Date: Thu, 5 Nov 2026 10:11:12 PST\nSource-IP: {source}\n{extra}\n"
        "--_=_x1\nContent-Type: message/rfc822\nContent-Disposition: inline\n\n"
        f"Received: from x (EHLO a1.mail.test) ({source})\n  by mta7.provider.example with SMTP\n"
        f"{returned}\n--_=_x1--\n")


def bounce(delivery):
    """Of a server that had taken the message: what is left of it is its header."""
    header = (f"Received: from a1.mail.test (a1.mail.test [{delivery.source}])\n"
              "\tby mx.one.test (Postfix) with ESMTP id 4ABC\n"
              + delivery.data.decode().replace("\r\n", "\n").split("\n\n")[0])
    return (["MIME-Version: 1.0", "Content-Type: multipart/report; report-type=delivery-status;\n"
             "\tboundary=b2"],
            "--b2\nContent-Type: text/plain\n\nIt could not be delivered.\n"
            "--b2\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.one.test\n\n"
            "Final-Recipient: rfc822; gone@one.test\nAction: failed\nStatus: 5.1.1\n"
            "Diagnostic-Code: smtp; 550 5.1.1 no such user\n"
            f"--b2\nContent-Type: text/rfc822-headers\n\n{header}\n--b2--\n")


def report(host, recipient, parts):
    """It comes in from outside; what the milter says of it stands in the log that is followed."""
    headers, body = parts
    with host.smtp(source=OUTSIDE) as smtp:
        smtp.send("", [recipient], client.message(client.new_id(), headers, body))


def log_it(host):
    """What syslogd does; only what is about reports, as it was said."""
    lines = [l for l in host.milter.log()[host.said:].splitlines()
             if ": complaint: " in l or ": bounce: " in l]
    host.said = len(host.milter.log())
    with open(host.postfix.maillog, "a", encoding="utf-8") as log:
        log.writelines(f"{time.strftime('%b %e %H:%M:%S')} mta1 {line}\n" for line in lines)
    return len(lines)


def test_complaints_bring_attention(host):
    sent = send(host, "lists.test", 30)
    others = send(host, "other.test", 30)
    wait_results(host, "lists.test", 30)
    wait_results(host, "other.test", 30)
    assert {address for _, address in sent} <= {"a1", "a2"}
    for delivery, _ in sent[:4]:
        report(host, COMPLAINTS, complaint(delivery, delivery.source))
    for delivery, _ in sent[:4]:  # by another way, again
        report(host, BOUNCES, complaint(delivery, delivery.source, "Incidents: 900\n"))
    report(host, COMPLAINTS, complaint(others[0][0], others[0][0].source))
    assert log_it(host) == 9
    wait_for(lambda: rows(host, "stream") == {"bulk": (5, 0)}, 60, lambda: rows(host, "stream"))
    addresses = [address for _, address in sent[:4]] + [others[0][1]]
    assert rows(host, "account") == {"lists.test": (4, 0), "other.test": (1, 0)}
    assert rows(host, "address") == {name: (addresses.count(name), 0) for name in set(addresses)}
    assert rows(host, "provider") == {"large": (5, 0)}
    assert rows(host, "pool") == {"shared": (5, 0)}
    assert status(host)["feedback"]["reports_repeated"] == 4
    assert next(s for s in status(host)["streams"] if s["name"] == "bulk")["complaints"] == 5
    assert "bulk: 5 complaints, 0 bounces that came late\n" in host.postpool("status").stdout
    wait_for(lambda: account(host, "lists.test")["today"]["complaints"] == 4, 60, "the standing")
    assert account(host, "lists.test")["grade"] == "new"  # that is chance yet
    report(host, COMPLAINTS, complaint(sent[4][0], sent[4][0].source))
    log_it(host)
    wait_for(lambda: account(host, "lists.test")["grade"] == "attention", 60, "attention")
    assert account(host, "lists.test")["why"].startswith("complaints: 5 of 30 results ")
    assert account(host, "other.test")["grade"] == "new"
    assert {address for _, address in send(host, "lists.test", 3)} == {"d1"}
    assert {address for _, address in send(host, "other.test", 3)} <= {"a1", "a2"}


def test_bounces_that_come_late(host):
    """They count beside the results, once over a restart."""
    sent = send(host, "lists.test", 30)
    wait_results(host, "lists.test", 30)
    for delivery, _ in sent[:6]:
        report(host, BOUNCES, bounce(delivery))
    log_it(host)
    wait_for(lambda: rows(host, "account") == {"lists.test": (0, 6)}, 60,
             lambda: rows(host, "account"))
    assert rows(host, "stream") == {"bulk": (0, 6)}
    addresses = [address for _, address in sent[:6]]  # by the way that the message went
    assert rows(host, "address") == {name: (0, addresses.count(name)) for name in set(addresses)}
    assert rows(host, "provider") == {"large": (0, 6)}
    assert "sent, and bounced later: 6\n" in host.postpool("report").stdout
    wait_for(lambda: account(host, "lists.test")["today"]["bounces"] == 6, 60, "the standing")
    assert account(host, "lists.test")["today"]["results"] == 30
    wait_for(lambda: account(host, "lists.test")["grade"] == "attention", 60, "attention")
    host.restart_policyd()
    report(host, BOUNCES, bounce(sent[6][0]))
    log_it(host)
    wait_for(lambda: rows(host, "account") == {"lists.test": (0, 7)}, 60,
             lambda: rows(host, "account"))


def test_what_does_not_count(host):
    """Nobody's word is enough, and what the host's own log tells is not told again."""
    (unmarked, _), = send(host, "lists.test", 1, "default")
    (delivery, address), = send(host, "lists.test", 1)
    mark = mark_of(delivery)
    tag = host.postfix.wait_log(r"from=<news\+pp=(bulk\.[^@]*)@lists\.test>").group(1)
    assert b"X-Postpool-Mark" not in unmarked.data
    forged = delivery.data
    for old, new in ((b"lists.test", b"other.test"), (b"bulk.", b"bulk2."), (b":", b".")):
        forged = delivery.data.replace(mark.encode(), mark.encode().replace(old, new, 1))
        report(host, COMPLAINTS, complaint(type("D", (), {"data": forged}), delivery.source))
    report(host, COMPLAINTS, complaint(unmarked, unmarked.source))
    headers, body = bounce(delivery)  # of this host: it had seen the tag
    report(host, BOUNCES, (headers, body.replace(
        "mx.one.test\n\n", f"mx.one.test\nX-Postfix-Sender: rfc822; news+pp={tag}@lists.test\n\n")))
    report(host, COMPLAINTS, complaint(delivery, "198.51.100.7"))  # from where, nobody knows
    assert log_it(host) == 6
    # Who can write a line into the log by what he sends, is no milter.
    with open(host.postfix.maillog, "a", encoding="utf-8") as log:
        log.write(f"{time.strftime('%b %e %H:%M:%S')} mta1 postfix/milter[7]: 4A: complaint: "
                  "type=abuse, incidents=1, stream=bulk, id=abcdefghij23, by=mark\n")
    wait_for(lambda: rows(host, "account") == {"lists.test": (1, 0)}, 60,
             lambda: rows(host, "account"))
    assert rows(host, "address") == {"": (1, 0)}
    feedback = status(host)["feedback"]
    assert (feedback["reports"], feedback["reports_repeated"]) == (1, 0)
    assert feedback["reports_foreign"] == 4
    assert ("feedback: 1 complaints and late bounces, 0 more of messages that had one, "
            "4 that name no mail of ours\n") in host.postpool("status").stdout
