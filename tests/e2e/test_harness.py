# SPDX-License-Identifier: MIT
"""The harness itself, without postpool: a private Postfix and the sink."""

import pytest

from conftest import need_world
from harness import client, namespace
from harness.dkim_signer import DkimSigner
from harness.postfix import Postfix


@pytest.fixture(scope="module")
def postfix(directory_of, sink):
    need_world(needs_programs=False)
    postfix = Postfix(directory_of("postfix"), sink.port)
    postfix.start()
    yield postfix
    postfix.stop()


def test_a_message_reaches_the_sink_as_it_was(postfix, sink):
    test_id = client.new_id()
    data = client.message(test_id, body="one\n.two\n..three\n")
    with client.Smtp(postfix.port) as smtp:
        smtp.send("Some.One+x@site.test", ["a@one.test", "b@one.test"], data)
    (delivery,) = sink.wait(test_id, 2)
    assert delivery.mail.startswith(b"<Some.One+x@site.test> SIZE=")
    assert delivery.rcpts == [b"<a@one.test>", b"<b@one.test>"]
    assert delivery.target == "127.0.9.1"
    assert delivery.helo == "mta1.test"
    assert delivery.data.endswith(data)
    postfix.wait_queue_empty()


def test_pipelined_messages(postfix, sink):
    ids = [client.new_id() for _ in range(3)]
    with client.Smtp(postfix.port) as smtp:
        smtp.pipeline([("a@site.test", ["x@one.test", "y@two.test"], client.message(i))
                       for i in ids])
    for test_id in ids:
        assert {d.target for d in sink.wait(test_id, 2)} == {"127.0.9.1", "127.0.9.2"}


def test_deferred_mail_is_tried_again(postfix, sink):
    test_id = client.new_id()
    with client.Smtp(postfix.port) as smtp:
        smtp.send("a@site.test", ["defer-once-h@one.test"], client.message(test_id))
    sink.wait(test_id)
    assert sink.tries["defer-once-h@one.test"] == 2


def test_login_and_local_delivery(postfix):
    test_id = client.new_id()
    with client.Smtp(postfix.port) as smtp:
        smtp.login("somebody")
        smtp.send("a@site.test", ["games@local.test"], client.message(test_id))
    assert b"\nX-Test-Id" in postfix.wait_mailbox("games", test_id)
    with client.Smtp(postfix.port) as smtp:
        with pytest.raises(client.Refused, match="^535"):
            smtp.login("somebody", "wrong")


def test_sendmail(postfix, sink):
    test_id = client.new_id()
    postfix.sendmail("me@site.test", ["a@two.test"], client.message(test_id))
    (delivery,) = sink.wait(test_id)
    assert delivery.sender == "<me@site.test>"


def test_ipv6_and_smtputf8(postfix, sink):
    test_id = client.new_id()
    with client.Smtp(postfix.port) as smtp:
        smtp.send("jürgen@site.test", ["a@six.test"], client.message(test_id), " SMTPUTF8")
    (delivery,) = sink.wait(test_id)
    assert delivery.target == "fd77::9:6"
    assert delivery.mail.startswith("<jürgen@site.test> ".encode())


def test_two_thousand_messages(postfix, sink):
    ids = [client.new_id() for _ in range(2000)]
    with client.Smtp(postfix.port) as smtp:
        smtp.pipeline([("a@site.test", ["x@one.test"], client.message(i)) for i in ids])
    sink.wait(ids[-1])
    postfix.wait_queue_empty()
    assert all(len(sink.of(i)) == 1 for i in ids[:20])


def test_a_signing_milter(directory_of, sink):
    """opendkim's signature verifies at the sink, and would not if a byte were changed."""
    need_world(needs_programs=False)
    signer = DkimSigner(directory_of("dkim"))
    signer.start()
    postfix = Postfix(directory_of("signing"), sink.port,
                      {"smtpd_milters": f"unix:{signer.socket}"})
    postfix.start()
    try:
        test_id = client.new_id()
        with client.Smtp(postfix.port) as smtp:
            smtp.send("me@site.test", ["a@one.test"], client.message(test_id))
        (delivery,) = sink.wait(test_id)
        assert signer.verifies(delivery.data)
        assert not signer.verifies(delivery.data.replace(b"Hello", b"Hallo"))
    finally:
        postfix.stop()
        signer.stop()


def test_chroot_and_an_address_of_the_namespace(directory_of, sink):
    namespace.ip("addr", "add", "10.76.0.1/32", "dev", "lo")
    postfix = Postfix(directory_of("chroot"), sink.port, {"smtp_bind_address": "10.76.0.1"},
                      chroot=True)
    postfix.start()
    try:
        test_id = client.new_id()
        with client.Smtp(postfix.port) as smtp:
            smtp.send("me@site.test", ["a@one.test"], client.message(test_id))
        (delivery,) = sink.wait(test_id)
        assert delivery.source == "10.76.0.1"
    finally:
        postfix.stop()
        namespace.ip("addr", "del", "10.76.0.1/32", "dev", "lo")
