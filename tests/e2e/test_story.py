# SPDX-License-Identifier: MIT
"""postpool tail, and the story of one message."""

import json
import re
import subprocess

from harness import client
from harness.caps import A1, A2
from harness.grants import wait_answered
from harness.programs import BUILD, environment
from harness.socketmap import Socketmap
from harness.wait import wait_for


def submit(host, recipient):
    with host.smtp() as smtp:
        smtp.send("app@site.test", [recipient],
                  client.message(client.new_id(), ("X-Stream: transactional",)))


def followed(make_host):
    host = make_host(start=False)
    host.conf["feedback"] = {"log": str(host.postfix.maillog)}
    host.write_conf()
    host.start()
    return host


def tail(host, *args):
    return host.postpool("tail", "--once", *args).stdout


def queue_id(host, recipient):
    return re.search(rf"smtp\[\d+\]: (\w+): to=<{recipient}>", host.postfix.maillog.read_text())[1]


def test_the_story_of_a_message(make_host):
    """What was decided, what became of it, and again when it is tried once more."""
    host = followed(make_host)
    submit(host, "defer-once@one.test")
    host.postfix.wait_log(r"status=deferred")
    host.postfix.wait_queue_empty()
    wait_for(lambda: " sent " in tail(host), what="the result")
    name = queue_id(host, "defer-once@one.test")
    story = host.postpool("explain", name).stdout.splitlines()
    assert re.fullmatch(r"message [a-z2-7]{12}, stream transactional", story[0])
    if len(story) == 4:  # the resolver of the queue manager has the last answer for 30 s
        story.insert(3, story[1])
    kinds = [re.match(r"[\d-]+ [\d:.]+ +transactional  [a-z2-7]{12}\S*  (\w+)", line)[1]
             for line in story[1:]]
    assert kinds == ["decided", "deferred", "decided", "sent"]
    assert re.match(r"[\d-]+ \d\d:\d\d:\d\d\.\d{3}  tr", story[1])
    assert re.match(r"[\d-]+ \d\d:\d\d:\d\d      tr", story[2])  # as the log has it
    assert " of pool fast" in story[1]
    assert f"/{name}  deferred defer-once@one.test from a" in story[2]
    events = [json.loads(line) for line in
              host.postpool("--json", "explain", name).stdout.splitlines()]
    assert [event["kind"] for event in events if event["kind"] != "decided"] == ["result"] * 2
    assert len({event["address"] for event in events}) == 1
    assert events[-1]["result"] == "sent" and events[-1]["queue_id"] == name
    assert host.postpool("explain", events[0]["message"]).stdout == \
        host.postpool("explain", name).stdout


def test_nothing_is_known(make_host):
    host = followed(make_host)
    assert "nothing is known of 4ABC" in host.postpool("explain", "4ABC", status=1).stderr
    host.postpool("explain", "4ABC", "x", status=2)
    host.postpool("explain", "4A BC", status=2)
    assert '"" is no queue id' in host.postpool("explain", "", status=2).stderr
    assert tail(host) == ""


def test_tail(make_host):
    """The last ones, and those of one stream or address."""
    host = followed(make_host)
    for number in range(6):
        submit(host, f"r{number}@one.test")
    wait_for(lambda: len(tail(host, "-n", "100").splitlines()) == 12, what="all of it")
    assert len(tail(host).splitlines()) == 10
    assert tail(host, "-n", "0") == ""
    assert len(tail(host, "-n", "100", "--stream", "transactional").splitlines()) == 12
    assert tail(host, "-n", "100", "--stream", "bulk") == ""
    for name, source in (("a1", A1), ("a2", A2)):
        left = [d for d in host.sink.deliveries if d.source == source]
        events = [json.loads(line) for line in
                  tail(host, "-n", "100", "--address", name, "--json").splitlines()]
        assert [event["address"] for event in events] == 2 * len(left) * [name]
    for wrong in (("-n", "x"), ("-n", "1001"), ("x",)):
        host.postpool("tail", *wrong, status=2)
    assert 'there is no stream "nobody"; there are: transactional, bulk, alerts, default\n' in \
        host.postpool("tail", "--stream", "nobody", status=2).stderr
    assert 'there is no address "aa1", did you mean "a1"?\n' in \
        host.postpool("tail", "--address", "aa1", status=2).stderr


def test_asked_again(make_host):
    """Before there is a result, the same answer: told so, and counted once."""
    host = followed(make_host)
    with Socketmap(host.run / "lookup") as postfix:
        answers = {postfix.pair("app@site.test", "twice@one.test") for _ in range(3)}
    assert len(answers) == 1
    first, *others = tail(host).splitlines()
    assert "decided  twice@one.test: " in first and "asked again" not in first
    assert len(others) == 2
    assert all(line.endswith(" (asked again, counted once)") for line in others)


def test_tail_goes_on(make_host):
    """It shows what comes, also from a daemon that was started anew."""
    host = followed(make_host)
    process = subprocess.Popen([BUILD / "postpool", "-c", host.conf_path, "tail"],
                               stdout=subprocess.PIPE, text=True, env=environment())
    try:
        submit(host, "first@one.test")
        assert "decided  first@one.test" in process.stdout.readline()
        assert "sent     first@one.test" in process.stdout.readline()
    finally:
        process.terminate()
        process.wait()


def test_why_nothing_left(make_host):
    """The story tells which addresses had no room."""
    host = make_host(start=False)
    host.conf["feedback"] = {"log": str(host.postfix.maillog)}
    host.conf["addresses"]["a1"]["caps"] = {"hour": 1}
    host.conf["pools"]["fast"] = {"addresses": ["a1"]}
    host.write_conf()
    host.start()
    submit(host, "first@one.test")
    host.postfix.wait_log(r"status=sent")
    wait_answered(host.run)
    submit(host, "second@one.test")
    host.postfix.wait_log(r"status=deferred \(postpool: no room")
    line = next(line for line in tail(host).splitlines() if "refused  second@one.test" in line)
    assert "retry:4.7.1 postpool: no room under the caps" in line
    assert "(a1: no room under a cap)" in line or "(pool fast: no room under a cap)" in line


def test_strangers_words_are_no_orders(make_host):
    """A reply with control characters, of one byte and in UTF-8, is shown as text."""
    host = followed(make_host)
    wait_for(lambda: '"read":true' in host.postpool("--json", "status").stdout.replace(" ", ""),
             what="the log")
    with host.postfix.maillog.open("a") as log:
        log.write("Nov  5 10:11:12 mx postfix/qmgr[1]: 4ABCDE: from=<app@site.test>, size=1, "
                  "nrcpt=1 (queue active)\n"
                  "Nov  5 10:11:12 mx postfix/pp-a1/smtp[1]: 4ABCDE: to=<x@one.test>, "
                  "relay=one.test[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=4.0.0, "
                  "status=deferred (host one.test[192.0.2.9] said: 450 a\u009b31mb\x1b[31mc "
                  "(in reply to RCPT TO command))\n")
    wait_for(lambda: "x@one.test" in tail(host), what="the result")
    assert "a??31mb [31mc" in tail(host)
    told = host.postpool("--json", "tail", "--once").stdout
    assert "a\\u009b31mb [31mc" in told
    assert json.loads(told.splitlines()[-1])["text"] == "450 4.0.0 a\u009b31mb [31mc"
