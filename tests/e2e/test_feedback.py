# SPDX-License-Identifier: MIT
"""What Postfix' log says of deliveries: grants are settled by it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from harness import client
from harness.wait import wait_for
from harness.waking import NEVER


def followed(host):
    """A change of the configuration that lets the host's log be read; grants are Postfix' alone."""
    host.conf["feedback"] = {"log": str(host.postfix.maillog)}
    host.conf["wake"] = {"rate": 0}
    host.conf["grant_lifetime"] = "1h"
    host.conf["addresses"]["a1"]["caps"] = {"hour": 5}
    host.conf["pools"]["fast"] = {"addresses": ["a1"]}
    host.write_conf()


def status(host):
    return json.loads(host.postpool("--json", "status").stdout)


def counted(host):
    return next(c for c in status(host)["caps"] if c["key"] == "address/a1")["caps"][0]["counted"]


def told_of(host, results):
    """What status says when so many results were read, and no more."""
    def told():
        feedback = status(host)["feedback"]
        return feedback["results"] == results and feedback
    return wait_for(told, what=f"{results} results")


def submit(host, local, count):
    with host.smtp() as smtp:
        for number in range(count):
            smtp.send("app@site.test", [f"{local}{number}@one.test"],
                      client.message(client.new_id(), ("X-Stream: transactional",)))


def test_what_never_left_is_given_back(make_host):
    """Nobody listens at the other side: twice as many tries as the cap has take nothing of it."""
    host = make_host(start=False, main=NEVER)
    followed(host)
    host.sink.stop()
    host._own_sink = False  # it is gone
    host.start()
    submit(host, "r", 5)
    tries = 5
    while told_of(host, tries)["given_back"] < 10:  # Postfix does not ask anew for each
        assert tries < 100
        host.postfix.flush()
        tries += 5
    assert told_of(host, tries)["spent"] == 0
    host.postpool("release", "address/a1")
    wait_for(lambda: counted(host) == 0, what="nothing to be counted")


def test_what_the_other_side_heard_is_spent(make_host):
    """Taken or refused, the provider has counted it."""
    host = make_host(start=False)
    followed(host)
    host.start()
    submit(host, "r", 3)
    submit(host, "defer-always", 2)
    wait_for(lambda: status(host)["feedback"]["spent"] == 5, what="five results")
    assert status(host)["feedback"]["given_back"] == 0
    wait_for(lambda: counted(host) == 5, what="five to be counted")
    submit(host, "more", 1)
    host.postfix.wait_log(r"status=deferred \(postpool: no room under the caps")
    wait_for(lambda: ", 0 bytes behind;" in host.postpool("status").stdout, what="all to be read")


def test_bounces_are_settled_too(make_host):
    """They have no sender and no tag to tell them apart."""
    host = make_host(start=False)
    followed(host)
    host.start()
    with host.smtp() as smtp:
        smtp.send("", ["Author@one.test"], client.message(client.new_id()))
    wait_for(lambda: status(host)["feedback"]["results"] == 1, what="the result")
    assert status(host)["feedback"]["spent"] == 1


@pytest.mark.parametrize("command, settled", [("RCPT TO", "spent"), ("MAIL FROM", "given_back")])
def test_the_first_of_two_servers_heard_of_it(make_host, command, settled):
    """The first says to come again, the second is not there: the result tells of that one."""
    host = make_host(start=False)
    followed(host)
    told = host.root / "told.log"
    told.write_text("")
    host.conf["feedback"]["log"] = str(told)
    host.write_conf()
    host.start()
    submit(host, "r", 1)
    host.postfix.wait_log(r"status=sent")
    lines = host.postfix.maillog.read_text().splitlines()
    active = next(line for line in lines if "queue active" in line)
    result = next(line for line in lines if "status=sent" in line)
    said = result.partition("to=<")[0] + \
        f"host mx.one.test[127.0.0.1] said: 450 4.2.0 wait (in reply to {command} command)"
    result = result.partition("status=")[0] + \
        "status=deferred (connect to mx2.one.test[127.0.0.2]:25: Connection refused)"
    with told.open("a") as file:
        file.write("\n".join((active, said, result, "")))
    wait_for(lambda: status(host)["feedback"]["results"] == 1, what="the result")
    assert status(host)["feedback"][settled] == 1


def test_our_own_deferrals_settle_nothing(make_host):
    """They had no grant; the one that is open is of another try, which is under way."""
    host = make_host(start=False)
    followed(host)
    told = host.root / "told.log"
    told.write_text("")
    host.conf["feedback"]["log"] = str(told)
    host.write_conf()
    host.start()
    submit(host, "r", 1)
    host.postfix.wait_log(r"status=sent")
    lines = host.postfix.maillog.read_text().splitlines()
    active = next(line for line in lines if "queue active" in line)
    result = next(line for line in lines if "status=sent" in line)
    own = result.partition("postfix/")[0] + "postfix/error[7]" + \
        re.search(r": [0-9A-F]+: to=<[^>]*>, ", result).group() + \
        "relay=none, delay=1, delays=1/0/0/0, dsn=4.7.1, " \
        "status=deferred (postpool: no room under the caps, expected within a minute)"
    with told.open("a") as file:
        file.write("\n".join((active, own, "")))
    wait_for(lambda: status(host)["feedback"]["results"] == 1, what="our own")
    assert status(host)["feedback"]["given_back"] == status(host)["feedback"]["spent"] == 0
    with told.open("a") as file:
        file.write(result + "\n")
    wait_for(lambda: status(host)["feedback"]["spent"] == 1, what="the result")


def test_a_reload_takes_another_log(make_host):
    host = make_host(start=False)
    followed(host)
    other = host.root / "other.log"
    other.write_text("")
    host.conf["feedback"]["log"] = str(other)
    host.write_conf()
    host.start()
    submit(host, "r", 1)
    host.postfix.wait_log(r"status=sent")
    assert status(host)["feedback"]["results"] == 0
    host.conf["feedback"]["log"] = str(host.postfix.maillog)
    host.reload_conf(host.conf)
    submit(host, "s", 1)
    wait_for(lambda: status(host)["feedback"]["spent"] == 1, what="a result of the other log")
    host.conf["feedback"]["log"] = "none"
    host.reload_conf(host.conf)
    assert "feedback" not in status(host)


def test_replies(make_host):
    """Which rule does a reply fall under?  With the rules that are installed."""
    host = make_host(start=False)
    text = host.conf_path.read_text()
    for name in ("providers.conf", "replies.conf"):
        shutil.copy(Path(__file__).parents[2] / "docs" / name, host.root)
        text += f'@include "{name}"\n'
    host.conf_path.write_text(text)

    def test(*args, status=0):
        return host.postpool("replies", "test", *args, status=status).stdout
    assert test("--provider", "yahoo", "421 4.7.0 [TSS04] Messages deferred") == \
        "yahoo-ts04: address_provider, 2 in 60 min: suspended for 2 h, at most 16 h\n"
    assert test("host mx[192.0.2.1] said: 550 5.1.1 no such user (in reply to RCPT TO command)") == \
        "recipient-unknown: recipient, counted\n"
    assert test("250 2.0.0 Ok", status=1) == "no rule fits\n"
    assert 'there is no provider "gogle" in the configuration, did you mean "google"?' in \
        host.postpool("replies", "test", "--provider", "gogle", "550 x", status=2).stderr
    assert json.loads(test("550 5.1.1 no such user", "--json"))["class"] == "recipient"
    rules = json.loads(host.postpool("replies", "--json").stdout)
    listed = host.postpool("replies").stdout.splitlines()
    assert len(rules) == len(listed) - 1 > 40
    table = host.postpool("replies", "--table").stdout.splitlines()
    assert len(table) >= len(rules) + 2 and all(line.count("|") >= 6 for line in table)
    for usage in (("replies", "x"), ("replies", "test"), ("replies", "--table", "x")):
        host.postpool(*usage, status=2)
    check_replies_of_lines(host, test)


def check_replies_of_lines(host, test):
    """Of a line of the log the reply, what it is of, and the host that said it."""
    said = "host mx.test[192.0.2.1] said: 550 5.1.1 no such user (in reply to RCPT TO command)"
    line = f"4CQ1: to=<x@y.test>, relay=mx.test[192.0.2.1]:25, delay=1, dsn=5.1.1, " \
           f"status=bounced ({said})"
    rule = "recipient-unknown: recipient, counted\n"
    for begin in ("Nov  5 10:11:12 mail postfix/pp-a1/smtp[77]: ", "",
                  "2026-11-05T10:11:12.345678+01:00 mail postfix/smtp[77]: "):
        assert test(begin + line) == f"from this line of the log, provider other: {said}\n{rule}"
    begin = "Nov  5 10:11:12 mail postfix/smtp[77]: "
    assert test(f"{begin}4CQ1: {said}") == \
        f"from this line of the log, provider other: {said}\n{rule}"
    assert json.loads(test(begin + line, "--json"))["name"] == "recipient-unknown"
    lost = f"{begin}4CQ1: lost connection with mx.test[192.0.2.1] while sending RCPT TO"
    assert "provider other: lost connection" in host.postpool("replies", "test", lost,
                                                              status=None).stdout

    # Whose words they are decides: by the recipient, the host, or as the command line says.
    said = "host mta5.am0.yahoodns.net[192.0.2.1] said: 421 4.7.0 [TSS04] Messages deferred"
    line = f"{begin}4CQ1: to=<x@y.test>, relay=mx.test[192.0.2.1]:25, delay=1, dsn=4.7.0, " \
           f"status=deferred ({said})"
    for changed in (line.replace("y.test", "yahoo.com"),
                    line.replace("relay=mx.test", "relay=mta5.am0.yahoodns.net"),
                    f"{begin}4CQ1: {said}"):
        assert test(changed).startswith("from this line of the log, provider yahoo: ")
        assert test(changed).splitlines()[1].startswith("yahoo-ts04: ")
    assert test("--provider", "yahoo", line).splitlines()[1].startswith("yahoo-ts04: ")
    assert "yahoo-ts04" not in test(line)

    for other, why in ((line.replace("deferred (", "sent ("), "of mail that was sent"),
                       (f"{begin}4CQ1: removed", "has no reply"),
                       ("Nov  5 10:11:12 mail dovecot[77]: imap-login: x", "has no reply")):
        assert why in host.postpool("replies", "test", other, status=2).stderr
