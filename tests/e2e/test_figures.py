# SPDX-License-Identifier: MIT
"""What happened to mail: each result is counted once, and postpool report tells."""

import json
import os
import random
import re
import shutil
import signal
import time
from collections import Counter
from datetime import datetime, timedelta

import pytest

from harness import client, maillog, namespace
from harness.feedback import Feeder
from harness.host import USER
from harness.journal import Journal
from harness.node import Node
from harness.programs import postpool
from harness.socketmap import Socketmap
from harness.wait import LONG, wait_for


@pytest.fixture
def make_node(directory_of):
    """A policy daemon without Postfix, that follows a log which the test writes."""
    nodes = []

    def make(start=True, root=None, source=None, **figures):
        root = root or directory_of("figures")
        log = root / "mail.log"
        log.touch()

        def change(conf):
            conf["store"] = {"path": f"{root}/mta1/state.db"}
            conf["feedback"] = {"log": source or str(log)}
            conf["figures"] = figures
            conf["providers"] = {"one": {"domains": ["one.test"]}}
            conf["replies"] = [
                {"name": "unknown", "class": "recipient", "code": 550,
                 "samples": ["550 5.1.1 User unknown"]},
                {"name": "grey", "class": "greylist", "code": 450, "samples": ["450 4.2.0 Grey"]}]

        node = Node(root, "mta1", None, change)
        node.log_path = log
        node.figures = node.run / "figures.db"
        nodes.append(node)
        if start:
            node.start()
        return node

    yield make
    for node in nodes:
        node.stop()


def report(node, *args):
    return json.loads(postpool("-c", node.conf, "--json", "report", *args).stdout)


def figures(node):
    return node.status()["figures"]


def append(node, *lines):
    with node.log_path.open("a") as log:
        log.write("".join(lines))


def deliver(node, queue_id, sender, status=maillog.SENT, recipient="r@one.test", **kwargs):
    append(node,
           maillog.line("qmgr", f"{queue_id}: from=<{sender}>, size=5, nrcpt=1 (queue active)"),
           maillog.result(queue_id, recipient, status, **kwargs),
           maillog.line("qmgr", f"{queue_id}: removed"))


def wait_total(node, **wanted):
    def is_there():
        total = report(node)["total"]
        return all(total[key] == value for key, value in wanted.items())
    wait_for(is_there, what=lambda: f"{wanted}: {report(node)['total']}")


def kill(node, chance):
    """The worker alone, which the guard replaces, or both, and a while without any."""
    if chance.random() < 0.5:
        node.kill_worker()
        return
    node.daemon.kill_all()
    time.sleep(chance.random() * 0.5)
    node.start()


def test_killed_at_random(make_node):
    """Whatever is killed, and when, and whatever becomes of the log: every result counts once."""
    results, kills = (50000, 100) if LONG else (5000, 10)
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    print("seed", seed)
    node = make_node(accounts=100000)
    # An empty file that is cut before it is read has nothing to be known by.
    wait_for(lambda: figures(node)["written_ms_ago"] >= 0, what="the first place to be kept")
    deliver(node, "A", "first@m-1.test")
    wait_for(lambda: figures(node)["counted"] == 1 and figures(node)["waiting"] == 0,
             what="the first result to be kept")
    writer = maillog.Writer(node.log_path, results, 400, seed)
    writer.start()
    for _ in range(kills):
        time.sleep(chance.random() * (2 * results / kills / 400))
        kill(node, chance)
    writer.join()
    assert writer.error is None
    expected = {message.account: message.results for message in writer.messages}
    expected["m-1.test"] = Counter(sent=1)
    wanted = sum(expected.values(), Counter())
    wait_for(lambda: Counter({key: report(node)["total"][key] for key in wanted}) == wanted, 60,
             lambda: f"{wanted}: {report(node)['total']}, {writer.rotations}\n{node.daemon.log()}")
    node.daemon.stop()
    print(len(writer.messages), "messages", dict(wanted), dict(writer.rotations))
    assert maillog.counted(node.figures) == expected


def check_totals(node, writer):
    expected = {message.account: message.results for message in writer.messages}
    wanted = sum(expected.values(), Counter())
    wait_for(lambda: Counter({key: report(node)["total"][key] for key in wanted}) == wanted, 60,
             lambda: f"{wanted}: {report(node)['total']}\n{node.daemon.log()}")
    node.daemon.stop()
    assert maillog.counted(node.figures) == expected


def kill_while(node, writer, hand_on, kills, seed):
    """What the writer writes is handed on from its file, while the daemon is killed."""
    chance = random.Random(seed)
    due = [chance.random() * 0.9 * writer.wanted for _ in range(kills)]
    writer.start()
    # A machine that is slow has some left when all is written.
    while writer.is_alive() or (due and writer.error is None):
        if due and writer.results > min(due):
            due.remove(min(due))
            kill(node, chance)
        hand_on(writer.path.read_text())
        time.sleep(0.05)
    assert writer.error is None
    hand_on(writer.path.read_text())


def test_reports_count_once(make_node):
    """Complaints and late bounces, each of another message, while the daemon is killed."""
    reports, kills = (5000, 50) if LONG else (600, 6)
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    print("seed", seed)
    node = make_node()
    wait_for(lambda: figures(node)["written_ms_ago"] >= 0, what="the first place to be kept")
    digits = "abcdefghijklmnopqrstuvwxyz234567"
    wanted = Counter()
    for number in range(reports):
        what = chance.choice(("complaint: type=abuse, incidents=1", "bounce: recipients=1"))
        key = digits[number // 1024] + digits[number // 32 % 32] + digits[number % 32]
        told = maillog.line("x", f"4A: {what}, stream=bulk, id=abcdefghi{key}, by=mark, "
                                 "account=a.test, address=b1, domain=one.test, to=\"x\"")
        append(node, told.replace("postfix/x[", "postpool/milter["))
        wanted["complaints" if what[0] == "c" else "returned"] += 1
        if number % (reports // kills) == reports // kills // 2:
            kill(node, chance)
    wait_total(node, **wanted)
    for by, name in (("address", "b1"), ("stream", "bulk"), ("account", "a.test"),
                     ("provider", "one")):
        (row,) = report(node, "--by", by)["rows"]
        assert row[by] == name and {key: row[key] for key in wanted} == wanted


SOURCES = (20000, 40) if LONG else (1500, 6)  # results, kills


def test_killed_at_random_with_the_journal(make_node, directory_of):
    journal = Journal(directory_of("journal"))
    seed = random.randrange(1 << 30)
    node = make_node(source=f"journal:{journal.folder}", accounts=100000)
    wait_for(lambda: figures(node)["written_ms_ago"] >= 0, what="the first place to be kept")
    writer = maillog.Writer(node.log_path, SOURCES[0], 400, seed, rotates=False)
    print("seed", seed)
    try:
        kill_while(node, writer, journal.copy, SOURCES[1], seed)
        check_totals(node, writer)
    finally:
        journal.stop()


def test_killed_at_random_with_a_pipe(make_node):
    seed = random.randrange(1 << 30)
    node = make_node(source="pipe", accounts=100000)
    feeder = Feeder(node.conf, node.run)
    feeder.write(maillog.line("qmgr", "A: from=<a@a.test>, size=5, nrcpt=1 (queue active)"))
    wait_for(lambda: figures(node)["written_ms_ago"] >= 0, what="the first place to be kept")
    writer = maillog.Writer(node.log_path, SOURCES[0], 400, seed, rotates=False)
    print("seed", seed)
    try:
        kill_while(node, writer, feeder.copy, SOURCES[1], seed)
        check_totals(node, writer)
    finally:
        feeder.process.kill()
        feeder.process.wait()


def test_report(make_node):
    """What each question adds up to, to read and as JSON."""
    node = make_node()
    wait_for(lambda: figures(node)["written_ms_ago"] >= 0, what="the first place to be kept")
    deliver(node, "A", "news@a.test", delay="0.05")
    deliver(node, "B", "news@a.test", maillog.GREYLISTED, service="pp-a1")
    deliver(node, "C", "news@lists.test", maillog.UNKNOWN, service="pp-b1")
    deliver(node, "D", "news@lists.test", recipient="r@else.test", service="pp-b1")
    wait_total(node, sent=2, deferred=1, bounced=1)

    def rows(by, **kwargs):
        told = report(node, "--by", by, *kwargs.pop("more", ()))
        return {row[by]: (row["sent"], row["deferred"], row["bounced"]) for row in told["rows"]}
    assert rows("address") == {"d1": (1, 0, 0), "a1": (0, 1, 0), "b1": (1, 0, 1)}
    assert rows("stream") == {"default": (1, 1, 0), "bulk": (1, 0, 1)}
    assert rows("provider") == {"one": (1, 1, 1), "other": (1, 0, 0)}
    assert rows("account") == {"a.test": (1, 1, 0), "lists.test": (1, 0, 1)}
    # a1 is in no pool of the stream "default": its own is told
    assert rows("pool") == {"rest": (1, 0, 0), "fast": (0, 1, 0), "bulk": (1, 0, 1)}
    assert sum(row[0] for row in rows("hour").values()) == 2
    told = report(node)
    assert told["total"]["bounced_by"] == {"recipient": 1}
    assert told["total"]["deferred_by"] == {"greylist": 1}
    assert told["total"]["bounce_share"] == pytest.approx(1 / 3)
    assert told["total"]["delay_p99_ms"] > 800 > told["total"]["delay_p50_ms"]
    text = postpool("-c", node.conf, "report").stdout
    assert re.search(r"^b1 +1 +0 +1 +50\.00 % +0 +- ", text, re.M)
    assert re.search(r"^total +2 +1 +1 +33\.33 % ", text, re.M)
    assert "bounced by what replies accuse: recipient 1\n" in text
    for wrong in (("--by", "moon"), ("--since", "7"), ("--by",), ("x",)):
        done = postpool("-c", node.conf, "report", *wrong, status=None)
        assert done.returncode in (1, 2) and done.stderr, wrong
    assert "a table" not in text and "usage: postpool report" in \
        postpool("-c", node.conf, "report", "--help").stdout


def test_since(make_node):
    """Hours by the time that the lines have."""
    node = make_node()
    wait_for(lambda: figures(node)["written_ms_ago"] >= 0, what="the first place to be kept")
    for hours in (0, 30, 24 * 40):
        when = datetime.now() - timedelta(hours=hours)
        append(node, maillog.line("qmgr", f"A{hours}: from=<a@a.test>, size=5, nrcpt=1 (queue active)"),
               maillog.result(f"A{hours}", "r@one.test", maillog.SENT, when=when))
    wait_for(lambda: figures(node)["counted"] == 3, what="three results")
    assert [report(node, "--since", since)["total"]["sent"] for since in ("1h", "2d", "60d")] == [1, 2, 3]
    assert len(report(node, "--by", "hour", "--since", "60d")["rows"]) == 3


def test_what_is_not_ours(make_node):
    """Mail that another transport delivers is not counted, unless the milter took it in."""
    node = make_node()
    wait_for(lambda: figures(node)["written_ms_ago"] >= 0, what="the first place to be kept")
    append(node,
           maillog.line("qmgr", "A: from=<a@a.test>, size=5, nrcpt=1 (queue active)"),
           maillog.line("lmtp", "A: to=<r@here.test>, relay=x[x]:24, delay=1, delays=0/0/0/1, "
                                "dsn=2.0.0, status=sent (250 2.0.0 Saved)"),
           maillog.line("error", "A: to=<r@one.test>, relay=none, delay=1, delays=0/0/0/1, "
                                 "dsn=4.7.1, status=deferred (postpool: no room under the caps, "
                                 "expected within a minute)"))
    wait_total(node, deferred=1, no_room=1, sent=0)
    assert node.status()["feedback"]["results"] == 2
    assert [row["address"] for row in report(node)["rows"]] == [""]
    assert "(none)" in postpool("-c", node.conf, "report").stdout


def fill(disk):
    """No byte is left on it."""
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


@pytest.fixture
def small_disk(directory_of):
    """A disk that can be full."""
    disk = directory_of("disk")
    namespace.tmpfs_of(disk, "40m")
    yield disk
    namespace.umount(disk)


def test_disk_full(make_node, small_disk):
    """What cannot be written is counted in memory, the status tells, lookups go on."""
    node = make_node(path=str(small_disk / "figures.db"))
    wait_for(lambda: figures(node)["written_ms_ago"] >= 0, what="the first place to be kept")
    deliver(node, "A", "news@a.test")
    wait_total(node, sent=1)
    fill(small_disk)
    for number in range(2000):
        deliver(node, f"B{number}", f"news@b{number}.test")
    wait_for(lambda: figures(node)["trouble"], what="the trouble to be told")
    wait_for(lambda: figures(node)["waiting"] == 2000, what="all to be counted")
    assert figures(node)["state"] == "counting"
    text = postpool("-c", node.conf, "status").stdout
    assert re.search(r"figures: NOT WRITTEN: .*full; the last time \d+ s ago", text), text
    with Socketmap(node.lookup) as lookup:
        assert lookup.ask("sender", "a@a.test").startswith("OK ")
    assert report(node)["total"]["sent"] in (1, 2)  # as far as it is written
    (small_disk / "filler").unlink()
    wait_total(node, sent=2001)
    assert figures(node)["waiting"] == 0 and figures(node)["trouble"] is None
    assert figures(node)["gone_back"] == 0
    node.daemon.wait_log("figures: .* can be written")


@pytest.fixture
def large_disk(directory_of):
    disk = directory_of("disk")
    namespace.tmpfs_of(disk, "400m")
    yield disk
    namespace.umount(disk)


def test_more_than_memory_has_room_for(make_node, large_disk):
    """What cannot be written nor kept in memory is read from the log again, and counted once."""
    node = make_node(path=str(large_disk / "figures.db"), accounts=100000)
    wait_for(lambda: figures(node)["written_ms_ago"] >= 0, what="the first place to be kept")
    deliver(node, "A", "news@a.test")
    wait_total(node, sent=1)
    fill(large_disk)
    senders = 50000  # 15,000 are handed over to be written, 30,000 more are kept
    append(node, *(line for number in range(senders) for line in (
        maillog.line("qmgr", f"B{number}: from=<n@b{number}.test>, size=5, nrcpt=1 (queue active)"),
        maillog.result(f"B{number}", "r@one.test", maillog.SENT),
        maillog.line("qmgr", f"B{number}: removed"))))
    wait_for(lambda: figures(node)["state"] == "behind", 120, lambda: node.status())
    assert "what comes is read again from the log" in postpool("-c", node.conf, "status").stdout
    node.daemon.wait_log("read from the log again when the file can be written")
    with Socketmap(node.lookup) as lookup:
        assert lookup.ask("sender", "a@a.test").startswith("OK ")
    (large_disk / "filler").unlink()
    wait_for(lambda: report(node)["total"]["sent"] == senders + 1, 120, lambda: node.status())
    told = node.status()
    assert told["figures"]["state"] == "counting" and told["figures"]["gone_back"] >= 1
    assert told["figures"]["trouble"] is None
    assert told["feedback"]["results"] == senders + 1  # nobody else heard of them twice
    wait_for(lambda: figures(node)["waiting"] == 0, what="all to be written")
    node.daemon.stop()
    assert maillog.counted(large_disk / "figures.db") == {
        "a.test": Counter(sent=1), **{f"b{n}.test": Counter(sent=1) for n in range(senders)}}


def test_damaged_file(make_node):
    """It is left alone, and all but the figures goes on; without it they begin anew."""
    node = make_node(start=False)
    node.figures.write_text("this is no database\n" * 100)
    shutil.chown(node.figures, USER)
    node.start()
    node.daemon.wait_log("figures.db: is damaged .* not counted until it can be used")
    deliver(node, "A", "news@a.test")
    wait_for(lambda: node.status()["feedback"]["results"] == 1, what="the result")
    assert figures(node)["state"] == "opening"
    assert "is damaged" in postpool("-c", node.conf, "report", status=1).stderr
    assert node.figures.read_text().startswith("this is no database\n")
    node.daemon.stop()
    node.figures.unlink()
    node.start()
    wait_for(lambda: figures(node)["written_ms_ago"] >= 0, what="the first place to be kept")
    deliver(node, "B", "news@a.test")
    wait_total(node, sent=1)


def test_without(make_node):
    node = make_node(path="none")
    assert "figures" not in node.status()
    assert "nothing is counted" in postpool("-c", node.conf, "report", status=1).stderr
    deliver(node, "A", "news@a.test")
    wait_for(lambda: node.status()["feedback"]["results"] == 1, what="the result")


def test_warnings(make_node):
    """Two kinds of mail from one address: in the report, in the status, and as JSON."""
    node = make_node()
    wait_for(lambda: figures(node)["written_ms_ago"] >= 0, what="the first place to be kept")
    for number in range(150):
        deliver(node, f"A{number}", "news@lists.test", service="pp-b1")
        deliver(node, f"B{number}", "me@a.test", service="pp-b1")
    wait_total(node, sent=300)
    said = "warning: address b1 sends different kinds of mail: 50 % bulk, 50 % default of 300 in 1 days"
    assert said in postpool("-c", node.conf, "report").stdout
    assert [w["what"] for w in report(node)["warnings"]] == ["mixed"]
    node.daemon.stop()
    node.start()  # the status looks for them at the start, then from time to time
    wait_for(lambda: said in postpool("-c", node.conf, "status").stdout, what="the warning")
    assert node.status()["warnings"][0]["of"] == "b1"


def test_suspended_time(make_node):
    """How long an address was suspended, as a whole and at a provider."""
    node = make_node()
    wait_for(lambda: figures(node)["written_ms_ago"] >= 0, what="the first place to be kept")
    postpool("-c", node.conf, "suspend", "a1", "--why", "a test")
    postpool("-c", node.conf, "suspend", "a2", "--provider", "one", "--why", "a test")

    def suspended(by):
        return {row[by]: row["suspended_ms"] for row in report(node, "--by", by)["rows"]}
    wait_for(lambda: suspended("address").get("a1", 0) > 2000
             and suspended("provider").get("one", 0) > 1000
             and sum(suspended("hour").values()) > 3000, what="time to pass")
    assert list(suspended("address")) == ["a1"]
    for what in (("a1",), ("a2", "--provider", "one")):
        postpool("-c", node.conf, "resume", *what)
    assert re.search(r"^a1 .* \d+ s +-", postpool("-c", node.conf, "report").stdout, re.M)


def test_restart_with_mail_in_the_queue(make_node):
    """Results of messages that the log told of before the restart are theirs; others' are not."""
    node = make_node()
    wait_for(lambda: figures(node)["written_ms_ago"] >= 0, what="the first place to be kept")
    append(node, *(maillog.line("qmgr", f"{i}: from=<a@{i}.test>, size=5, nrcpt=2 (queue active)")
                   for i in ("A", "B", "C")),
           maillog.result("A", "r@one.test", maillog.GREYLISTED),
           maillog.line("qmgr", "C: removed"))
    wait_total(node, deferred=1)
    node.daemon.kill_all()
    append(node, maillog.result("A", "r@one.test", maillog.SENT),
           maillog.result("B", "r@one.test", maillog.SENT),
           maillog.result("C", "r@one.test", maillog.SENT))
    node.start()
    wait_total(node, deferred=1, sent=2)
    feedback = node.status()["feedback"]
    assert (feedback["results"], feedback["unknown"]) == (3, 1)


def test_reload(make_node):
    """Another log is followed from its end; none, and the same again: from where it was."""
    node = make_node()
    wait_for(lambda: figures(node)["written_ms_ago"] >= 0, what="the first place to be kept")
    deliver(node, "A", "news@a.test")
    wait_total(node, sent=1)
    conf = node.conf.read_text()
    other = node.log_path.with_name("other.log")
    other.write_text(maillog.line("qmgr", "B: from=<b@b.test>, size=5, nrcpt=1 (queue active)"))
    node.conf.write_text(conf.replace(str(node.log_path), str(other)))
    postpool("-c", node.conf, "reload", status=None)  # there is no milter
    wait_for(lambda: node.status()["feedback"]["log"] == str(other), what="the other log")
    deliver(node, "C", "news@a.test")  # nobody reads it
    with other.open("a") as file:
        file.write(maillog.line("qmgr", "D: from=<d@d.test>, size=5, nrcpt=1 (queue active)") +
                   maillog.result("D", "r@one.test", maillog.SENT))
    wait_total(node, sent=2)
    node.daemon.kill_all()
    node.start()
    with other.open("a") as file:
        file.write(maillog.result("D", "r@one.test", maillog.SENT))
    wait_total(node, sent=3)


def test_real_postfix(make_host):
    """Each delivery of a real Postfix counts once, though the daemon is killed meanwhile."""
    host = make_host(start=False)
    host.conf["feedback"] = {"log": str(host.postfix.maillog)}
    host.write_conf()
    host.start()
    # the log that is begun now is followed from its end, until a place in it is kept
    wait_for(lambda: json.loads(host.postpool("--json", "status").stdout)
             ["figures"]["written_ms_ago"] >= 0, what="the first place to be kept")
    count, chance = (2000, random.Random(7)) if LONG else (200, random.Random(7))
    with host.smtp() as smtp:
        for number in range(count):
            local = "reject" if number % 10 == 0 else "r"
            smtp.send("news@one.test", [f"{local}{number}@one.test"],
                      client.message(client.new_id(), ("X-Stream: bulk",)))
            if number % 40 == 20:
                for worker in host.policyd.workers():
                    os.kill(worker, signal.SIGKILL)
                time.sleep(chance.random())

    def total():
        told = json.loads(host.postpool("--json", "report", "--by", "stream").stdout)
        return {row["stream"]: row["sent"] + row["bounced"] for row in told["rows"]}

    def is_read():
        told = json.loads(host.postpool("--json", "status").stdout)
        return told["feedback"]["lag_bytes"] == 0 and told["figures"]["waiting"] == 0
    wait_for(lambda: total().get("bulk") == count, 120, lambda: f"{count} results: {total()}")
    gone = count + count // 10  # what is refused brings a bounce, that is mail, too
    wait_for(lambda: host.postfix.log().count(": removed\n") == gone, what="the end of all mail")
    wait_for(is_read, what="all of the log to be counted")
    lines = host.postfix.log().splitlines()
    told = json.loads(host.postpool("--json", "report").stdout)["total"]
    for status, key in (("sent", "sent"), ("deferred", "deferred"), ("bounced", "bounced")):
        assert told[key] == sum(f"status={status}" in line and "/smtp[" in line for line in lines), key
