# SPDX-License-Identifier: MIT
"""Each stream leaves from its own pool, and the wire shows nothing of how."""

import re
from collections import Counter

import pytest

from conftest import need_world
from harness import client
from harness.host import ALERTS, BULK, FAST, REST
from harness.postfix import Postfix

STREAM = "X-Postpool-Stream"


@pytest.fixture(scope="module")
def host(make_shared_host):
    return make_shared_host()


@pytest.fixture(scope="module")
def bare(host, directory_of):
    """The same Postfix without postpool: what the wire must look like."""
    need_world()
    postfix = Postfix(directory_of("bare"), host.sink.port)
    postfix.start()
    yield postfix
    postfix.stop()


def assert_clean(delivery):
    """Nothing of ours but the stream header is on the wire."""
    assert b"+pp=" not in delivery.mail + b"".join(delivery.rcpts) + delivery.data
    assert "pp=" not in delivery.helo


# Which pool


def test_streams_of_one_sender_leave_from_different_pools(host):
    (fast,) = host.deliver("me@site.test", "a@one.test", ["X-Stream: transactional"])
    (bulk,) = host.deliver("me@site.test", "a@one.test", ["X-Stream: bulk"])
    (rest,) = host.deliver("me@site.test", "a@one.test")
    assert fast.source in FAST and bulk.source in BULK and rest.source in REST
    names = [d.headers(STREAM) for d in (fast, bulk, rest)]
    assert names == [["transactional"], ["bulk"], ["default"]]
    assert rest.helo == "d1.mail.test"
    for delivery in (fast, bulk, rest):
        assert delivery.sender == "<me@site.test>"
        assert_clean(delivery)


def test_weights_of_three_to_one(host):
    """Over 2,000 messages within 3 percentage points; none lost, none twice."""
    ids = [client.new_id() for _ in range(2000)]
    with host.smtp() as smtp:
        smtp.pipeline([("news@lists.test", [f"r{n % 7}@one.test"], client.message(i))
                       for n, i in enumerate(ids)])
    host.postfix.wait_queue_empty(180)
    mine = set(ids)
    seen = Counter(d.id for d in host.sink.deliveries if d.id in mine)
    assert seen == Counter(ids)
    sources = Counter(d.source for d in host.sink.deliveries if d.id in mine)
    assert set(sources) == BULK
    assert 0.72 <= sources["127.0.1.11"] / 2000 <= 0.78, sources


def test_a_retry_leaves_from_the_same_address(host):
    recipients = [f"defer-once-{n}@one.test" for n in range(20)]
    sent = {r: host.submit("news@lists.test", [r]) for r in recipients}
    for recipient, test_id in sent.items():
        (delivery,) = host.sink.wait(test_id)
        (before,) = [r.source for r in host.sink.refused if r.recipients == [recipient]]
        assert delivery.source == before
        assert delivery.sender == "<news@lists.test>"
    assert {host.sink.of(i)[0].source for i in sent.values()} == BULK


def test_recipients_of_one_domain_leave_together(host):
    recipients = [f"r{n}@one.test" for n in range(30)]
    deliveries = host.deliver("news@lists.test", recipients)
    assert [len(d.rcpts) for d in deliveries] == [30]


def test_recipients_in_two_domains_make_two_deliveries_at_most(host):
    recipients = [f"r{n}@{domain}" for n in range(10) for domain in ("one.test", "Two.Test")]
    deliveries = host.deliver("news@lists.test", recipients)
    assert sorted(len(d.rcpts) for d in deliveries) == [10, 10]
    assert {d.source for d in deliveries} <= BULK


def test_login_decides(host):
    (delivery,) = host.deliver("me@site.test", "a@one.test", user="app-shop")
    assert delivery.source in FAST


def test_a_stream_with_header_and_login_needs_both(host):
    """Otherwise any client could claim it by the header alone."""
    alerts = ["X-Stream: alerts"]
    (both,) = host.deliver("me@site.test", "a@one.test", alerts, user="ops")
    (header,) = host.deliver("me@site.test", "a@one.test", alerts)
    (other,) = host.deliver("me@site.test", "a@one.test", alerts, user="somebody")
    (login,) = host.deliver("me@site.test", "a@one.test", user="ops")
    assert both.source in ALERTS
    assert {header.source, other.source, login.source} == REST
    assert both.headers(STREAM) == ["alerts"] and header.headers(STREAM) == ["default"]


@pytest.mark.parametrize("header, pool", [
    ("x-STREAM:bulk", BULK), ("X-Stream:\n  bulk", BULK), ("X-Stream:\t bulk \t", BULK),
    ("X-Stream: BULK", None), ("X-Stream: bulkier", REST), ("X-Streams: bulk", REST),
    ("X-Stream:", REST), ("X-Stream: =?utf-8?q?bulk?=", REST)])
def test_forms_of_the_selecting_header(host, header, pool):
    """Folded and padded values compare as RFC 5322 reads them."""
    (delivery,) = host.deliver("me@site.test", "a@one.test", [header])
    assert delivery.source in (pool or BULK | REST)
    assert delivery.headers("X-Stream") == []


def test_submission_by_sendmail(host):
    test_id = client.new_id()
    host.postfix.sendmail("me@site.test", ["a@one.test", "b@two.test"],
                          client.message(test_id, ["X-Stream: bulk"]))
    for delivery in host.sink.wait(test_id, 2):
        assert delivery.source in BULK
        assert delivery.sender == "<me@site.test>"
        assert delivery.headers(STREAM) == ["bulk"] and delivery.headers("X-Stream") == []
        assert_clean(delivery)


def test_null_sender(host):
    (delivery,) = host.deliver("", "a@one.test", ["X-Stream: bulk"])
    assert delivery.mail.startswith(b"<> ")
    assert delivery.source in BULK | REST  # without a tag only the sender decides
    assert_clean(delivery)


# The sender on the wire


SENDERS = [
    ("me@site.test", ""), ("Me.Too@Site.TEST", ""), ("me+ext@site.test", ""),
    ("me+a+b@site.test", ""), ("me+@site.test", ""), ("+me@site.test", ""),
    ('"we ird"@site.test', ""), ('"we ird+x"@site.test', ""), ('"a\\"b"@site.test', ""),
    ('"a\\\\"@site.test', ""), ('""@site.test', ""), ('"me"@site.test', ""),
    ('"x@y"@site.test', ""), ("!#$%&'*+/=?^_`{|}~-@site.test", ""),
    ("pp=x.y.z@site.test", ""), ("me+pp=@site.test", ""), ("me+pp=bulk@site.test", ""),
    ("me+px=bulk.abcdefghijkl.abcdefgh@site.test", ""),
    ("jürgen@site.test", " SMTPUTF8"), ("jürgen+größe@sité.test", " SMTPUTF8"),
    ('"jür gen"@site.test', " SMTPUTF8"),
    ("me@[127.0.0.1]", ""), ("owner-list+them=one.test@site.test", ""),
    ("a" * 64 + "@site.test", ""), ("me@" + "d" * 60 + ".test", ""),
    ("a(b)@site.test", ""), ("[a]@site.test", ""), ("prvs=1234567890=me@site.test", ""), ("SRS0=HHH=TT=other.test=user@site.test", ""),
    ("me@site.test", " BODY=8BITMIME"), ("list@site.test", " XVERP"),
    ("list+x@site.test", " XVERP=-="), ("list@site.test", " RET=HDRS ENVID=a+2Bb"),
    ("", ""),
]


def envelope(delivery):
    """MAIL FROM without its SIZE, which our header changes, and the recipients."""
    return re.sub(rb" SIZE=\d+", b"", delivery.mail), sorted(delivery.rcpts)


@pytest.mark.parametrize("sender, parameters", SENDERS, ids=[f"{s}{p}" for s, p in SENDERS])
def test_the_envelope_is_that_of_an_untouched_postfix(host, bare, sender, parameters):
    """Byte by byte, what a Postfix without postpool sends."""
    recipients = ["Them@one.test", "o'hara@one.test"]
    sent = []
    for postfix in (bare, host.postfix):
        test_id = client.new_id()
        with client.Smtp(postfix.port) as smtp:
            smtp.send(sender, recipients, client.message(test_id, ["X-Stream: bulk"]), parameters)
        sent.append(host.sink.wait(test_id, 2))
    plain, ours = (sorted(envelope(d) for d in deliveries) for deliveries in sent)
    assert ours == plain
    for delivery in sent[1]:
        assert delivery.source in BULK or sender == ""
        assert_clean(delivery) if "pp=" not in sender else None


def test_the_message_is_that_of_an_untouched_postfix(host, bare):
    """But for the header added and the one stripped; Received names the host."""
    headers = ["X-Stream: bulk", "List-Unsubscribe: <mailto:x@site.test>", "X-Folded: a\n\tb",
               "X-Raw: caf\u00e9"]
    body = "one\n\n.two\n..three\n" + "x" * 980 + "\nlast\n"
    sent = []
    for postfix in (bare, host.postfix):
        test_id = client.new_id()
        with client.Smtp(postfix.port) as smtp:
            smtp.send("me@site.test", ["a@one.test"],
                      client.message(test_id, headers, body=body), " BODY=8BITMIME")
        (delivery,) = host.sink.wait(test_id)
        data = delivery.data.replace(test_id.encode(), b"ID")
        sent.append(re.sub(rb"(?m)\AReceived:.*\r\n(?:[ \t].*\r\n)*", b"", data))
    plain, ours = sent
    assert ours.replace(b"X-Postpool-Stream: bulk\r\n", b"") == plain.replace(b"X-Stream: bulk\r\n", b"")


# Clients that try


def test_a_forged_tag_has_no_effect(host):
    """Neither one of the right shape nor one that was genuine for another message."""
    for tag in ("+pp=transactional.abcdefghijkl.abcdefgh", "+PP=Transactional.ABCDEFGHIJKL.ABCDEFGH",
                "+pp=transactional.abcdefghijkl.abcdefgh+pp=bulk.abcdefghijkl.abcdefgh"):
        (delivery,) = host.deliver(f"me{tag}@site.test", "a@one.test")
        assert delivery.source in REST
        assert_clean(delivery)
    (delivery,) = host.deliver('"me x+pp=transactional.abcdefghijkl.abcdefgh"@site.test', "a@one.test")
    assert delivery.source in REST


def test_a_tag_seen_in_the_log_cannot_be_used_again(host):
    host.deliver("me@site.test", "a@one.test", ["X-Stream: transactional"])
    tags = re.findall(r"from=<me(\+pp=transactional\.[^@>]+)@site\.test>", host.postfix.log())
    assert tags
    (delivery,) = host.deliver(f"me{tags[-1]}@site.test", "a@one.test")
    assert delivery.source in REST
    assert_clean(delivery)


FORGED = [
    [f"{STREAM}: transactional"],
    [f"{STREAM}: transactional"] * 5,
    ["x-postpool-stream: transactional", "X-POSTPOOL-STREAM:transactional"],
    [f"{STREAM}:\n transactional", f"{STREAM}: trans\n actional"],
    [f"{STREAM}: transactional", "X-Other: 1", f"{STREAM}: bulk", "X-Other: 2", f"{STREAM}:"],
    [f"{STREAM} : transactional"],
]


@pytest.mark.parametrize("headers", FORGED, ids=range(len(FORGED)))
def test_our_own_header_from_a_client_is_removed(host, headers):
    (delivery,) = host.deliver("me@site.test", "a@one.test", headers)
    assert delivery.headers(STREAM) == ["default"]
    assert delivery.source in REST
    others = [h for h in headers if h.startswith("X-Other")]
    assert len(delivery.headers("X-Other")) == len(others)


def test_all_copies_of_a_stripped_header_go(host):
    headers = ["X-Stream: bulk", "x-stream: transactional", "X-Keep: 1", "X-STREAM:\n bulk"]
    (delivery,) = host.deliver("me@site.test", "a@one.test", headers)
    assert delivery.headers("X-Stream") == []
    assert delivery.headers("X-Keep") == ["1"]


def test_a_header_in_the_body_is_body(host):
    (delivery,) = host.deliver("me@site.test", "a@one.test",
                               body="X-Stream: bulk\nX-Postpool-Stream: bulk\n")
    assert delivery.source in REST
    assert delivery.body == b"X-Stream: bulk\r\nX-Postpool-Stream: bulk\r\n"


def test_mail_of_others_passes_untouched(host):
    """A client outside "internal" without login: no tag, no header of ours, none removed."""
    test_id = host.submit("you@far.test", ["a@one.test"],
                          ["X-Stream: transactional", f"{STREAM}: transactional"],
                          source="127.0.0.9")
    (delivery,) = host.sink.wait(test_id)
    assert delivery.source in REST
    assert delivery.headers("X-Stream") == ["transactional"]
    assert delivery.headers(STREAM) == ["transactional"]
    assert delivery.sender == "<you@far.test>"


def test_mail_of_others_with_login_is_ours(host):
    test_id = host.submit("me@site.test", ["a@one.test"], ["X-Stream: bulk"],
                          user="somebody", source="127.0.0.9")
    (delivery,) = host.sink.wait(test_id)
    assert delivery.source in BULK


# Connections


def test_many_messages_in_one_connection(host):
    """Nothing of one message is left for the next."""
    kinds = [("bulk", BULK), ("transactional", FAST), (None, REST)] * 10
    sent = []
    with host.smtp() as smtp:
        for n, (stream, pool) in enumerate(kinds):
            test_id = client.new_id()
            headers = [f"X-Stream: {stream}"] if stream else []
            if n % 3 == 1:  # a message that is given up half way
                smtp.cmd("MAIL FROM:<news@lists.test>", "2")
                smtp.cmd("RCPT TO:<a@one.test>", "2")
                smtp.cmd("RSET", "2")
            smtp.send("me@site.test", ["a@one.test"], client.message(test_id, headers))
            sent.append((test_id, pool))
    for test_id, pool in sent:
        (delivery,) = host.sink.wait(test_id)
        assert delivery.source in pool


def test_pipelined_messages(host):
    kinds = [("bulk", BULK), ("transactional", FAST), ("none", REST)] * 5
    ids = [client.new_id() for _ in kinds]
    with host.smtp() as smtp:
        smtp.pipeline([("me@site.test", ["a@one.test", "b@two.test"],
                        client.message(i, [f"X-Stream: {k[0]}"])) for i, k in zip(ids, kinds)])
    for test_id, (_, pool) in zip(ids, kinds):
        for delivery in host.sink.wait(test_id, 2):
            assert delivery.source in pool


def test_a_client_that_vanishes_in_the_middle(host):
    smtp = host.smtp()
    smtp.cmd("MAIL FROM:<me@site.test>", "2")
    smtp.cmd("RCPT TO:<a@one.test>", "2")
    smtp.cmd("DATA", "3")
    smtp.write(b"X-Stream: bulk\r\n")
    smtp.drop()
    (delivery,) = host.deliver("me@site.test", "a@one.test")
    assert delivery.source in REST


def test_the_queue_is_empty_at_the_end(host):
    host.postfix.wait_queue_empty()
    assert "warning: problem talking to service" not in host.postfix.log()
    assert "milter-reject" not in host.postfix.log()
