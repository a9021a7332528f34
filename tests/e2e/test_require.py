# SPDX-License-Identifier: MIT
"""What a stream requires of its messages: warned of, deferred, refused."""

import json
import time

import pytest

from harness import client
from harness.host import BULK, REST
from harness.wait import wait_for

LEAVE = "List-Unsubscribe: <mailto:leave@site.test>, <https://site.test/leave?id=1>"
ONE_CLICK = "List-Unsubscribe-Post: List-Unsubscribe=One-Click"
ALL = ["list_unsubscribe", "one_click", "aligned_from", "one_from"]


def stream(name, require, unmet):
    return {"name": name, "pool": "bulk", "require": require, "unmet": unmet,
            "match": [{"header": "X-Stream", "value": name}]}


def with_requirements(conf):
    conf["streams"][:0] = [stream("news", ALL, "warn"), stream("later", ALL, "tempfail"),
                           stream("strict", ALL, "reject"),
                           stream("half", ["one_click", "one_from"], "reject")]


@pytest.fixture(scope="module")
def host(make_shared_host):
    return make_shared_host(with_requirements)


def send(host, headers, sender="author@site.test", author="author@site.test"):
    """One message over SMTP; returns its X-Test-Id."""
    test_id = client.new_id()
    with host.smtp() as smtp:
        smtp.send(sender, ["a@one.test"], client.message(test_id, headers, sender=author))
    return test_id


def deliver(host, *args, **kwargs):
    (delivery,) = host.sink.wait(send(host, *args, **kwargs))
    return delivery


def refusal(host, *args, **kwargs):
    with pytest.raises(client.Refused) as refused:
        send(host, *args, **kwargs)
    return str(refused.value)


def said(host, mark):
    """The milter's lines on what was not met, that have mark in them."""
    return [l for l in host.milter.log().splitlines() if ": require: " in l and mark in l]


def test_warn(host):
    """It goes out as ever, and a line tells message, stream and what was missed."""
    test_id = client.new_id()
    with host.smtp() as smtp:
        queue_id = smtp.send("warned@other.test", ["a@one.test"],
                             client.message(test_id, ["X-Stream: news"]))
    (delivery,) = host.sink.wait(test_id)
    assert delivery.source in BULK and delivery.headers("X-Postpool-Stream") == ["news"]
    (line,) = said(host, queue_id)
    assert line.endswith(f"{queue_id}: require: stream=news, unmet=list_unsubscribe one_click "
                         "aligned_from, then=warn, from=<warned@other.test>")


@pytest.mark.parametrize("name", ["news", "later", "strict", "half"])
def test_what_has_all_goes_out(host, name):
    before = len(said(host, f"stream={name},"))
    delivery = deliver(host, [f"X-Stream: {name}", LEAVE, ONE_CLICK],
                       sender="bounces@mail.site.test", author="a@news.site.test")
    assert delivery.source in BULK
    assert delivery.headers("List-Unsubscribe") and delivery.headers("List-Unsubscribe-Post")
    assert len(said(host, f"stream={name},")) == before


def test_reject(host):
    host.postfix.wait_queue_empty()
    text = refusal(host, ["X-Stream: strict"])
    assert text == ("550 5.7.1 list_unsubscribe: bulk mail needs one List-Unsubscribe header with "
                    "a URI in <> (RFC 2369)")
    text = refusal(host, ["X-Stream: strict", LEAVE])
    assert text.startswith("550 5.7.1 one_click: ")
    assert text.endswith("List-Unsubscribe-Post: List-Unsubscribe=One-Click (RFC 8058)")
    assert said(host, "stream=strict, unmet=one_click, then=reject,")
    assert not host.postfix.queue()


def test_tempfail(host):
    assert refusal(host, ["X-Stream: later"]).startswith("451 4.7.1 list_unsubscribe: ")
    assert said(host, "stream=later, unmet=list_unsubscribe one_click, then=tempfail,")


def test_only_what_is_required(host):
    assert refusal(host, ["X-Stream: half"]).startswith("550 5.7.1 one_click: ")
    assert deliver(host, ["X-Stream: half", LEAVE, ONE_CLICK], "author@other.test").source in BULK


def test_two_from_fields(host):
    """Postfix hands both on."""
    text = refusal(host, ["X-Stream: half", LEAVE, ONE_CLICK, "From: boss@site.test"])
    assert text.startswith("550 5.7.1 one_from: mail needs exactly one From header")


@pytest.mark.parametrize("authors, good", [
    ('"Shop, the" <shop@site.test>', True), ("shop@site.test (the shop)", True),
    ("Sh\u00f6p <shop@site.test>", True), ("shop@site.test, boss@site.test", False),
    ("Shop: shop@site.test, boss@site.test;", False)])
def test_authors(host, authors, good):
    headers = ["X-Stream: strict", LEAVE, ONE_CLICK]
    if good:
        deliver(host, headers, author=authors)
    else:
        assert refusal(host, headers, author=authors).startswith("550 5.7.1 aligned_from: ")


def test_alignment(host):
    """By the envelope sender, or by a signature that is there already."""
    headers = ["X-Stream: strict", LEAVE, ONE_CLICK]
    assert refusal(host, headers, "author@site.co.uk").startswith("550 5.7.1 aligned_from: ")
    deliver(host, headers + ["DKIM-Signature: v=1; a=rsa-sha256; d=mail.site.test;\n\ts=x; b=abc"],
            "b@esp.test")
    assert refusal(host, headers + ["DKIM-Signature: v=1; d=esp.test; s=x"], "b@esp.test")
    assert refusal(host, headers, "").startswith("550 5.7.1 aligned_from: ")


def test_mail_of_other_streams_is_left_alone(host):
    before = len(said(host, ""))
    assert deliver(host, ["From: second@site.test"], "me@other.test").source in REST
    assert deliver(host, ["X-Stream: bulk"], "me@other.test").source in BULK
    assert len(said(host, "")) == before


def test_mail_of_others_and_local_mail_is_left_alone(host):
    before = len(said(host, ""))
    test_id = host.submit("you@far.test", ["a@one.test"], ["X-Stream: strict"], source="127.0.0.9")
    host.sink.wait(test_id)
    host.submit("me@site.test", ["root@local.test"], ["X-Stream: strict"])
    assert len(said(host, "")) == before


def test_a_message_leaves_nothing_for_the_next(host):
    with host.smtp() as smtp:
        for _ in range(2):
            smtp.send("me@site.test", ["a@one.test"],
                      client.message(client.new_id(), ["X-Stream: strict", LEAVE, ONE_CLICK]))
            with pytest.raises(client.Refused, match="^550 5.7.1 list_unsubscribe: "):
                smtp.send("me@site.test", ["a@one.test"],
                          client.message(client.new_id(), ["X-Stream: strict"]))


def test_sendmail_gets_it_back(host):
    """sendmail(1) is gone when the milter speaks: the message is returned with its words."""
    test_id = client.new_id()
    host.postfix.write_aliases({"author": "author"})
    host.postfix.sendmail("root@local.test", ["a@one.test"],
                          client.message(test_id, ["X-Stream: strict"], sender="a@local.test"))
    returned = host.postfix.wait_mailbox("root", test_id)
    assert b"bulk mail needs one List-Unsubscribe header" in returned


def test_counts(make_host):
    """By stream and requirement, what the milter's lines in the log tell: since the start in
    status, and in the report of any time."""
    host = make_host(with_requirements, start=False)
    host.conf["feedback"] = {"log": str(host.postfix.maillog)}
    host.write_conf()
    host.start()
    wait_for(lambda: ", 0 bytes behind;" in host.postpool("status").stdout, what="the log's end")
    send(host, ["X-Stream: news"])
    send(host, ["X-Stream: news", LEAVE])
    refusal(host, ["X-Stream: half", LEAVE])
    with open(host.postfix.maillog, "a", encoding="utf-8") as log:  # what syslogd does
        now = time.strftime("%b %e %H:%M:%S")
        log.writelines(f"{now} mta1 {line}\n" for line in said(host, ""))

    def unmet():
        streams = json.loads(host.postpool("--json", "status").stdout)["streams"]
        return {s["name"]: s.get("unmet") for s in streams}

    wait_for(lambda: unmet()["half"] == {"one_click": 1, "one_from": 0}, what="what was counted")
    assert unmet()["news"] == {"list_unsubscribe": 1, "one_click": 2, "aligned_from": 0,
                               "one_from": 0}
    assert unmet()["strict"] == dict.fromkeys(ALL, 0) and unmet()["default"] is None
    assert ("news: messages without what it requires: list_unsubscribe 1, one_click 2, "
            "aligned_from 0, one_from 0\n") in host.postpool("status").stdout
    conf = host.changed()  # counts stay, and follow their stream
    conf["streams"].insert(0, conf["streams"].pop(3))
    host.reload_conf(conf)
    assert unmet()["half"] == {"one_click": 1, "one_from": 0} and unmet()["news"]["one_click"] == 2

    def reported():
        report = json.loads(host.postpool("--json", "report", "--by", "stream").stdout)["unmet"]
        return {s.pop("stream"): s for s in report}

    told = {"half": {"one_click": 1}, "news": {"list_unsubscribe": 1, "one_click": 2}}
    wait_for(lambda: reported() == told, what="the figures")
    host.restart_policyd()
    assert unmet()["news"]["one_click"] == 0 and reported() == told
    assert ("stream news: messages without what it requires: list_unsubscribe 1, one_click 2\n"
            in host.postpool("report", "--by", "stream").stdout)


def test_reload(make_host):
    host = make_host(with_requirements)
    text = host.postpool("status").stdout
    assert "what streams require: the milter's log tells" in text  # no log is followed here
    deliver(host, ["X-Stream: news"])
    conf = host.changed()
    conf["streams"][0]["unmet"] = "reject"
    conf["streams"][2]["require"] = []
    host.reload_conf(conf)
    host.milter.wait_log(r"~ streams\.news\.unmet = \"reject\" \(was \"warn\"\)")
    host.milter.wait_log("reload: configuration taken over")
    assert refusal(host, ["X-Stream: news"]).startswith("550 5.7.1 ")
    deliver(host, ["X-Stream: strict"])
    bad = host.changed()
    bad["streams"][0]["require"] = ["one_clik"]
    host.write_conf(bad)
    check = host.postpool("check", status=2)
    assert ("streams.1.require.1: \"one_clik\" is nothing that can be required; there are "
            "\"list_unsubscribe\", \"one_click\", \"aligned_from\" and \"one_from\", did you mean "
            "\"one_click\"?") in check.stdout + check.stderr
