# SPDX-License-Identifier: MIT
"""Complaints and bounces that come in by mail are read, said in the log, and left as they are."""

import re

import pytest

from harness import client

OUTSIDE = "127.0.5.5"  # none of milter.internal
COMPLAINTS = "games@local.test"


@pytest.fixture(scope="module")
def host(make_shared_host):
    def change(conf):
        conf["complaints"] = {"addresses": [COMPLAINTS, "backup+*@local.test"]}
        bulk = next(s for s in conf["streams"] if s["name"] == "bulk")
        bulk.update(mark=True, feedback_id="{stream}:{account}::example")
    return make_shared_host(change, main={"message_size_limit": "30000000"})


def feedback(returned, fields="", text="This is a complaint.\n", kind="abuse"):
    """Header lines and body of a feedback report."""
    return (["MIME-Version: 1.0",
             "Content-Type: multipart/report; report-type=feedback-report;\n\tboundary=\"b=1\""],
            f"--b=1\nContent-Type: text/plain\n\n{text}"
            f"--b=1\nContent-Type: message/feedback-report\n\nFeedback-Type: {kind}\n"
            f"User-Agent: Provider/1.0\nVersion: 1\n{fields}"
            f"--b=1\nContent-Type: message/rfc822\n\n{returned}\n--b=1--\n")


def report(host, recipient, parts, source=OUTSIDE):
    """Send it from outside; returns what the milter says, and the message as it was delivered."""
    headers, body = parts
    test_id = client.new_id()
    start = len(host.milter.log())
    with host.smtp(source=source) as smtp:
        queue_id = smtp.send("", [recipient], client.message(test_id, headers, body))
    line = host.milter.wait_log(rf"\]: {queue_id}: (.*)\n", start).group(1)
    mail = host.postfix.wait_mailbox(re.split("[+@]", recipient)[0], test_id)
    assert mail.endswith(b"\n\n" + body.encode())
    assert all(h.encode() + b"\n" in mail for h in headers)
    return line


@pytest.fixture(scope="module")
def tag(host):
    """A genuine tag, as it stands in the sender: stream, id and mac."""
    host.deliver("news@lists.test", "a@one.test")
    return host.postfix.wait_log(r"from=<news\+pp=(bulk\.[^@]*)@lists\.test>").group(1)


def test_a_complaint_about_a_message_with_a_tag(host, tag):
    line = report(host, COMPLAINTS, feedback(
        f"Return-Path: <news+pp={tag}@lists.test>\nFeedback-ID: 42:acme\n\nBuy.\n",
        "Source-IP: 127.0.1.11\nOriginal-Rcpt-To: <a@one.test>\n"))
    stream, message_id, _ = tag.split(".")
    assert line == (f"complaint: type=abuse, incidents=1, stream={stream}, id={message_id}, "
                    'by=tag, address=b1, domain=one.test, from="news@lists.test", to="a@one.test", header="42:acme", '
                    f'reporter="Provider/1.0", came_to="{COMPLAINTS}"')


def header(delivery, name):
    return [value.decode().strip() for value in
            re.findall(rb"(?m)^" + name.encode() + rb": (.*)$", delivery.data)]


def test_a_complaint_about_a_message_with_a_mark(host):
    """What a provider leaves of a message may be no more than that."""
    (sent,) = host.deliver("news@Lists.test", "a@one.test")
    (mark,) = header(sent, "X-Postpool-Mark")
    assert header(sent, "Feedback-ID") == ["bulk:lists.test::example"]
    _, message_id, _ = mark.split(".", 2)
    line = report(host, COMPLAINTS, feedback(f"From: x@y.test\nX-Postpool-Mark: {mark}\n",
                                             "Source-IP: 127.0.1.11\n"))
    assert line == (f"complaint: type=abuse, incidents=1, stream=bulk, id={message_id}, by=mark, "
                    'account=lists.test, address=b1, reporter="Provider/1.0", '
                    f'came_to="{COMPLAINTS}"')
    forged = mark.replace("lists.test", "other.test")
    line = report(host, COMPLAINTS, feedback(f"X-Postpool-Mark: {forged}\n"))
    assert line == ('complaint: type=abuse, incidents=1, reporter="Provider/1.0", '
                    f'came_to="{COMPLAINTS}"')


def test_a_mark_is_the_milter_s_alone(host):
    """What comes in as one is taken out; a Feedback-ID of the application's stays."""
    (sent,) = host.deliver("news@lists.test", "a@one.test", headers=(
        "X-Postpool-Mark: 1", "Feedback-ID: 1:2:3:sender", "x-postpool-mark: 2"))
    (mark,) = header(sent, "X-Postpool-Mark")
    assert mark.startswith("bulk.")
    assert b"x-postpool-mark" not in sent.data
    assert header(sent, "Feedback-ID") == ["1:2:3:sender"]
    (sent,) = host.deliver("joe@corp.test", "a@one.test", headers=("X-Postpool-Mark: 1",))
    assert (header(sent, "X-Postpool-Mark"), header(sent, "Feedback-ID")) == ([], [])


def test_a_tag_that_is_not_genuine_names_no_stream(host, tag):
    forged = "transactional" + tag[tag.index("."):]
    line = report(host, COMPLAINTS, feedback(
        f"Return-Path: <news+pp={forged}@lists.test>\n", "Source-IP: 198.51.100.1\n"))
    assert line == ('complaint: type=abuse, incidents=1, source=198.51.100.1, '
                    f'from="news@lists.test", reporter="Provider/1.0", came_to="{COMPLAINTS}"')


def test_text_of_strangers_forges_nothing(host, tag):
    line = report(host, COMPLAINTS, feedback(
        'Feedback-ID: x", stream=bulk, id=abcdefghij23, a="\n\n'
        f"Return-Path: <news+pp={tag}@lists.test>\n",
        text="Feedback-Type: fraud\nSource-IP: 127.0.1.11\n", kind="not-spam"))
    assert line == ('feedback: type=not-spam, incidents=1, '
                    r'header="x\", stream=bulk, id=abcdefghij23, a=\"", '
                    f'reporter="Provider/1.0", came_to="{COMPLAINTS}"')


def test_a_bounce_of_the_site_s_own(host, tag):
    body = ("--b\nContent-Type: text/plain\n\nSorry.\n"
            "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.one.test\n"
            f"X-Postfix-Sender: rfc822; news+pp={tag}@lists.test\n\n"
            "Final-Recipient: rfc822; a@one.test\nAction: failed\nStatus: 5.1.1\n"
            "Diagnostic-Code: smtp; 550 5.1.1 who?\n--b--\n")
    line = report(host, "backup+verp=a@local.test", (
        ["Content-Type: multipart/report; report-type=delivery-status; boundary=b"], body))
    assert line == (f"bounce: recipients=1, status=5.1.1, stream=bulk, id={tag.split('.')[1]}, "
                    'by=tag, domain=one.test, from="news@lists.test", to="a@one.test", '
                    'reason="550 5.1.1 who?", reporter="mx.one.test", came_to="backup+verp=a@local.test"')


def test_by_way_of_a_relay_of_the_site_s_own(host):
    line = report(host, COMPLAINTS, feedback("Feedback-ID: 7\n"), source="127.0.0.1")
    assert line.startswith("complaint: type=abuse, ")


def test_a_large_report(host):
    """What comes back may be large; the report may stand behind it, or be hostile."""
    headers, body = feedback("X: y\n\n" + "Much to say.\n" * 500_000)
    text, told, returned = body.removesuffix("--b=1--\n").split("--b=1\n")[1:]
    large = "".join(f"--b=1\n{part}" for part in (text, returned, told))
    line = report(host, COMPLAINTS, (headers, large))
    assert line.startswith("complaint: type=abuse, ")
    hostile = "--b=1\n" * 100_000 + "X: y\n" * 500_000 + "-" * 900 + "\n"
    line = report(host, COMPLAINTS, (headers, hostile))
    assert line == f'no report: recipients=0, came_to="{COMPLAINTS}"'


def test_other_mail_is_not_read(host):
    """Not even what looks like a report; and large mail passes as it is."""
    headers, body = feedback("Feedback-ID: 7\n\n" + "Much to say.\n" * 50_000)
    test_id = client.new_id()
    with host.smtp(source=OUTSIDE) as smtp:
        other = smtp.send("", ["backup@local.test"], client.message(test_id, headers, body))
        # on the same connection, so behind it
        smtp.send("", [COMPLAINTS], client.message(client.new_id(), *feedback("X: y\n")))
    assert host.postfix.wait_mailbox("backup", test_id).endswith(b"\n\n" + body.encode())
    assert f" {other}: " not in host.milter.log()
    (delivery,) = host.deliver("news@lists.test", "a@one.test", body="Hello.\n" * 20_000)
    assert delivery.data.endswith(b"Hello.\r\n" * 20_000)


def bytes_read(host):
    with open(f"/proc/{host.milter.pid}/io", encoding="ascii") as file:
        return int(re.search(r"rchar: (\d+)", file.read()).group(1))


def test_of_other_mail_only_the_beginning_is_told(host):
    before = bytes_read(host)
    host.submit("you@other.test", ["backup@local.test"], source=OUTSIDE, body="Hello.\n" * 200_000)
    assert 50_000 < bytes_read(host) - before < 200_000


def test_a_reload_brings_addresses(host):
    conf = host.changed()
    conf["complaints"] = {"addresses": ["news@local.test"], "header": "X-Ours"}
    host.reload_conf(conf)
    host.milter.wait_log("reload: configuration taken over")
    line = report(host, "news@local.test", feedback("Feedback-ID: 7\nX-Ours: 8\n"))
    assert 'header="8"' in line
