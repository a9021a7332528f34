# SPDX-License-Identifier: MIT
"""Mail that stays on the host, comes back to it, or is sent on by it."""

import email
import re

import pytest

from harness import client
from harness.host import BULK, FAST, REST
from harness.wait import wait_for

STREAM = "X-Postpool-Stream"


@pytest.fixture(scope="module")
def host(make_shared_host, directory_of):
    """news@ is an alias to far away, backup has a .forward, two@site.test is virtual."""
    virtual = directory_of("virtual") / "virtual"
    virtual.write_text("two@virtual.test a@two.test\n"
                       "both@virtual.test games@local.test, a@one.test\n")
    host = make_shared_host(main={
        "virtual_alias_maps": f"texthash:{virtual}", "virtual_alias_domains": "virtual.test"})
    host.postfix.write_aliases({"team": "alias@two.test", "mixed": "games, alias@one.test"})
    forward = host.postfix.forward / "backup"
    forward.write_text("forward@three.test\n")
    yield host
    host.postfix.wait_queue_empty()


def assert_clean(delivery):
    assert b"+pp=" not in delivery.mail + b"".join(delivery.rcpts)


def test_local_mail_is_untouched(host):
    test_id = host.submit("me@site.test", ["games@local.test"], ["X-Stream: bulk"])
    mail = host.postfix.wait_mailbox("games", test_id)
    assert b"Return-Path: <me@site.test>\n" in mail
    assert b"X-Stream: bulk\n" in mail
    assert STREAM.encode() not in mail and b"pp=" not in mail
    host.postfix.wait_log(r"status=sent \(delivered to maildir\)")


def test_local_mail_by_sendmail_is_untouched(host):
    test_id = client.new_id()
    host.postfix.sendmail("me@site.test", ["games@local.test"],
                          client.message(test_id, ["X-Stream: bulk"]))
    mail = host.postfix.wait_mailbox("games", test_id)
    assert b"Return-Path: <me@site.test>\n" in mail
    assert STREAM.encode() not in mail and b"pp=" not in mail


def test_a_forged_stream_header_is_removed_from_local_mail(host):
    """From the site's own; mail of others keeps every header, so that signatures stay good."""
    forged = [f"{STREAM}: bulk", f"{STREAM.lower()}: x", "X-Stream: bulk"]
    test_id = host.submit("me@site.test", ["games@local.test"], forged)
    mail = host.postfix.wait_mailbox("games", test_id)
    assert STREAM.lower().encode() not in mail.lower()
    assert b"X-Stream: bulk\n" in mail
    test_id = host.submit("you@other.test", ["games@local.test"], forged, source="127.0.5.5")
    mail = host.postfix.wait_mailbox("games", test_id)
    assert mail.lower().count(STREAM.lower().encode()) == 2


def test_local_and_remote_recipients_in_one_message(host):
    """The remote copy leaves from its pool, the local one is delivered here."""
    test_id = host.submit("me@site.test", ["news@local.test", "a@one.test"], ["X-Stream: bulk"])
    (delivery,) = host.sink.wait(test_id)
    assert delivery.source in BULK
    assert delivery.sender == "<me@site.test>"
    assert b"X-Test-Id: " in host.postfix.wait_mailbox("news", test_id)


@pytest.mark.parametrize("recipient, target", [
    ("two@virtual.test", "a@two.test"), ("team@local.test", "alias@two.test"),
    ("backup@local.test", "forward@three.test")])
def test_an_alias_to_far_away_leaves_from_a_pool(host, recipient, target):
    (own,) = host.deliver("news@lists.test", recipient)
    assert own.recipients == [target]
    assert own.source in BULK
    assert own.sender == "<news@lists.test>"
    assert_clean(own)


@pytest.mark.parametrize("recipient, target", [
    ("two@virtual.test", "a@two.test"), ("team@local.test", "alias@two.test"),
    ("backup@local.test", "forward@three.test")])
def test_an_alias_for_mail_of_others_leaves_by_its_sender(host, recipient, target):
    """The milter does not touch the mail; the sender alone gives the stream."""
    (lists,) = host.deliver("news@lists.test", recipient, source="127.0.0.9")
    (other,) = host.deliver("you@far.test", recipient, ["X-Stream: bulk"], source="127.0.0.9")
    assert lists.recipients == other.recipients == [target]
    assert lists.source in BULK and other.source in REST
    assert lists.sender == "<news@lists.test>" and other.sender == "<you@far.test>"


def test_an_alias_to_here_and_to_far_away(host):
    for recipient in ("both@virtual.test", "mixed@local.test"):
        test_id = host.submit("me@site.test", [recipient])
        (delivery,) = host.sink.wait(test_id)
        assert delivery.source in REST
        assert_clean(delivery)
        host.postfix.wait_mailbox("games", test_id)


def test_a_bounce_reaches_a_local_sender(host):
    test_id = host.submit("games@local.test", ["reject-1@one.test"], ["X-Stream: bulk"])
    bounce = host.postfix.wait_mailbox("games", test_id)
    assert b"Undelivered Mail Returned to Sender" in bounce
    parsed = email.message_from_bytes(bounce)
    assert parsed["Return-Path"] == "<>"
    assert "pp=" not in parsed["To"]


@pytest.mark.parametrize("sender", ["jane@two.test", "Jane.Doe+ext@two.test", '"j ane"@two.test'])
def test_a_bounce_reaches_a_sender_far_away(host, sender):
    """The bounce itself leaves from a pool too, to the address as it was."""
    test_id = host.submit(sender, ["reject-2@one.test"], ["X-Stream: transactional"])

    def is_ours(delivery):
        return delivery.sender == "<>" and test_id.encode() in delivery.data
    bounce = wait_for(lambda: next(filter(is_ours, host.sink.deliveries), None), what="the bounce")
    assert bounce.rcpts == [f"<{sender}>".encode()]
    assert bounce.source in REST | FAST
    assert "pp=" not in bounce.headers("To")[0]


def test_a_reply_to_a_tagged_address_reaches_the_sender(host):
    """As a remote delivery notice or an old reply would come."""
    host.deliver("games@local.test", "a@one.test", ["X-Stream: bulk"])
    (tagged,) = set(re.findall(r"from=<(games\+pp=bulk\.[^>]+)>", host.postfix.log())[-1:])
    test_id = host.submit("", [tagged], source="127.0.0.9")
    mail = host.postfix.wait_mailbox("games", test_id)
    assert b"X-Original-To: games+pp=" in mail or b"pp=" not in mail
    assert b"Delivered-To: games@local.test" in mail


def test_mailq_is_empty(host):
    host.postfix.wait_queue_empty()
