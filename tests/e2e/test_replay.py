# SPDX-License-Identifier: MIT
"""postpool replay: what would have been, by the log of a Postfix without postpool."""

import gzip
import json
import os
import subprocess
import time
from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest

from conftest import need_world
from harness import client, libconf
from harness.journal import Journal
from harness.postfix import Postfix
from harness.programs import postpool

BEGIN = datetime(2026, 11, 2, 10, tzinfo=timezone.utc)
SENT = "dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as X)"
GREYLISTED = ("dsn=4.2.0, status=deferred (host mx.test[192.0.2.9] said: 450 4.2.0 Greylisted "
              "(in reply to RCPT TO command))")
BLOCKED = ("dsn=5.7.1, status=bounced (host mx.test[192.0.2.9] said: 550 5.7.1 You are blocked "
           "(in reply to RCPT TO command))")

CONF = {
    "node": "mta1", "tag_secret_file": "/nonexistent",
    "feedback": {"log": "/var/log/mail.log"},
    "warmup": {"time_zone": "UTC"},
    "milter": {"internal": ["10.0.0.0/8", "127.0.0.0/8"]},
    "addresses": {"a1": {"ip": "192.0.2.1", "helo": "a1.test"},
                  "b1": {"ip": "192.0.2.2", "helo": "b1.test"},
                  "b2": {"ip": "192.0.2.3", "helo": "b2.test"}},
    "pools": {"fast": {"addresses": ["a1"]}, "bulk": {"addresses": ["b1", "b2"]}},
    "providers": {"big": {"domains": ["big.test", "one.test"], "mx": [".mx.test"]}},
    "streams": [
        {"name": "bulk", "pool": "bulk",
         "match": [{"header": "List-Unsubscribe"}, {"sender": "*@bulk.test"}]},
        {"name": "default", "pool": "fast", "match": []},
    ],
    "replies": [{"name": "blocked", "class": "address_provider", "pattern": "you are blocked",
                 "after": 2, "within": "1h", "suspend": "2h",
                 "samples": ["550 5.7.1 You are blocked"]}],
}


class Log:
    """Lines of Postfix, in the order of their times whatever order they are made in."""

    def __init__(self):
        self.lines = []
        self.count = 0

    def add(self, when, ident, message):
        self.lines.append((when, len(self.lines), f"postfix/{ident}[77]: {message}"))

    def message(self, when, sender, *tries, client_="app[10.0.0.7]"):
        """tries: (recipient, status, seconds later)"""
        self.count += 1
        number = f"4Zk{self.count:06d}"
        self.add(when, "smtpd", f"{number}: client={client_}")
        self.add(when, "cleanup", f"{number}: message-id=<{number}@x>")
        self.add(when, "qmgr", f"{number}: from=<{sender}>, size=9, nrcpt=1 (queue active)")
        last = when
        for recipient, status, later in tries:
            last = when + timedelta(seconds=later)
            self.add(last, "smtp", f"{number}: to=<{recipient}>, relay=mx.test[192.0.2.9]:25, "
                                   f"delay={later}, delays=0/0/0/1, {status}")
        self.add(last, "qmgr", f"{number}: removed")

    def text(self, year=True):
        out = []
        for when, _, rest in sorted(self.lines):
            stamp = (when.isoformat(timespec="microseconds") if year
                     else f"{when:%b} {when.day:2d} {when:%H:%M:%S}")
            out.append(f"{stamp} mx {rest}\n")
        return "".join(out)


@pytest.fixture
def site(tmp_path):
    """A function that writes a configuration, changed by another, and returns its file."""
    need_world()

    def write(change=lambda conf: None):
        conf = json.loads(json.dumps(CONF))
        change(conf)
        path = tmp_path / "postpool.conf"
        path.write_text(libconf.dumps(conf))
        return path
    return write


def replay(conf, *args, **kwargs):
    done = postpool("-c", conf, "--json", "replay", *args, **kwargs)
    assert done.stderr == ""
    return json.loads(done.stdout)


def by(items, key, value):
    (found,) = [item for item in items if item[key] == value]
    return found


def campaign(count, seconds=1, sender="news@bulk.test", begin=BEGIN):
    """One message after the other."""
    log = Log()
    for i in range(count):
        log.message(begin + timedelta(seconds=i * seconds), sender, (f"r{i}@big.test", SENT, 1))
    return log


# Of a real Postfix

@pytest.fixture(scope="module")
def postfix(directory_of, sink):
    need_world()
    postfix = Postfix(directory_of("postfix"), sink.port)
    postfix.start()
    yield postfix
    postfix.stop()


def test_what_postfix_writes(postfix, sink, site):
    """Clients with and without login, sendmail, several recipients, local ones, retries, bounces."""
    ids = [client.new_id() for _ in range(6)]
    with client.Smtp(postfix.port) as smtp:
        smtp.send("news@bulk.test", ["a@one.test", "b@one.test", "c@two.test", "games@local.test"],
                  client.message(ids[0]))
        smtp.send("a@site.test", ["defer-once-r@one.test"], client.message(ids[1]))
        smtp.send("a@site.test", ["reject-r@two.test", "x@three.test"], client.message(ids[2]))
        smtp.send("a@site.test", ["x@internal.test"], client.message(ids[3]))
    with client.Smtp(postfix.port) as smtp:
        smtp.login("somebody")
        smtp.send("b@site.test", ["x@two.test"], client.message(ids[4]))
    postfix.sendmail("me@site.test", ["a@two.test"], client.message(ids[5]))
    sink.wait(ids[0], 3)
    for test_id in ids[1:]:
        sink.wait(test_id)
    postfix.wait_queue_empty()

    def change(conf):
        conf["bypass"] = ["internal.test"]
    found = replay(site(change), "--stream", "bulk=login:somebody", postfix.maillog)
    log = found["log"]
    # the bounce of ids[2] is local, or to site.test, where nobody is known
    bounce = 1 if "to=<a@site.test>" in postfix.log() else 0
    assert log["recipients"] == 3 + 1 + 2 + 1 + 1 + bounce
    assert log["messages"] == 5 + bounce
    assert log["sent"] == 3 + 0 + 1 + 1 + 1 + bounce
    assert log["deferred"] == 1
    assert log["bounced"] == 1
    assert log["tries"] == log["recipients"] + 1
    assert log["tries_bypass"] == 1
    assert log["tries_unknown"] == log["odd"] == log["foreign"] == 0
    assert by(found["told"], "stream", "bulk") == {
        "stream": "bulk", "messages": 2, "recipients": 4, "perhaps": {}}
    # ids[1], ids[2] and sendmail's: a log has no List-Unsubscribe
    assert by(found["told"], "stream", "default")["perhaps"] == {"bulk": 4}
    assert by(found["streams"], "stream", "bulk")["sent"] == 4
    # by its domain, and what it is not told by: none of the sink's hosts is of ".mx.test"
    to_big = sum(peak["day"]["most"] for peak in found["peaks"] if peak["provider"] == "big")
    assert to_big == 3


def test_what_happened_is_what_would_have(make_host):
    """With the log of a host that has postpool each message leaves from where it did."""
    host = make_host()
    ids = [host.submit(f"{'news@lists' if i % 3 else 'a@site'}.test",
                       [f"x{i}@one.test", f"defer-once-{i}@two.test"],
                       ["X-Stream: transactional"] if i % 3 == 2 else [])
           for i in range(40)]
    ids += [host.submit("a@site.test", ["x@internal.test", "games@local.test"])]
    host.postfix.wait_queue_empty()
    for test_id in ids[:-1]:
        host.sink.wait(test_id, 2)
    happened = Counter()
    for test_id in ids[:-1]:
        for delivery in host.sink.of(test_id):
            happened[delivery.source] += len(delivery.rcpts)
    found = replay(host.conf_path, host.postfix.maillog)
    would = Counter()
    for day in found["days"]:
        for its in day["addresses"]:
            if its["sent"] > 0:
                would[host.conf["addresses"][its["address"]]["ip"]] += its["sent"]
    assert would == happened and sum(happened.values()) == 80
    assert found["log"]["unsure"] == 0
    assert {told["stream"]: told["messages"] for told in found["told"] if told["messages"]} == {
        "transactional": 13, "bulk": 13, "default": 14}


# Files

def test_rotated_files_in_any_order(site, tmp_path):
    """A message that is in two of them counts once; one is compressed, and one is empty."""
    conf, log = site(), campaign(300, seconds=600)
    log.message(BEGIN, "news@bulk.test", ("late@big.test", GREYLISTED, 1),
                ("late@big.test", GREYLISTED, 100000), ("late@big.test", SENT, 150000))
    lines = log.text().splitlines(keepends=True)
    parts = ["".join(lines[i * 500:(i + 1) * 500]) for i in range(4)]
    assert "".join(parts) == log.text() and parts[3]
    with gzip.open(tmp_path / "mail.log.3.gz", "wt") as file:
        file.write(parts[0])
    for name, text in (("mail.log.2", parts[1]), ("mail.log.1", parts[2]), ("mail.log", parts[3]),
                       ("mail.log.0", "")):
        (tmp_path / name).write_text(text)
    whole = replay(conf, "-", input=log.text())
    assert whole["log"]["recipients"] == 301
    assert whole["log"]["tries"] == 303
    split = replay(conf, *sorted(tmp_path.glob("mail.log*")))
    assert split == whole
    assert replay(conf, *sorted(tmp_path.glob("mail.log*"), reverse=True)) == whole


def test_times_without_a_year(site, tmp_path):
    """They are those before the file was written, in this host's zone."""
    conf = site()
    log = campaign(10, begin=datetime(2024, 12, 31, 23, 59, 55, tzinfo=timezone.utc))
    path = tmp_path / "mail.log"
    path.write_text(log.text(year=False))
    when = datetime(2025, 3, 1, tzinfo=timezone.utc).timestamp()
    os.utime(path, (when, when))
    found = replay_in("UTC", conf, path)
    assert found["log"]["first_s"] == log.lines[0][0].timestamp()
    assert [day["date"] for day in found["days"]][:2] == ["2024-12-31", "2025-01-01"]
    found = replay_in("UTC-2", conf, path)
    assert found["log"]["first_s"] == log.lines[0][0].timestamp() - 7200


def replay_in(zone, *args):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", zone)
        return replay(*args)


@pytest.mark.parametrize("form", ["short", "short-iso", "short-iso-precise"])
def test_the_journal(site, directory_of, form):
    """As journalctl prints it, where there is no file."""
    journal = Journal(directory_of("journal"))
    for _, _, rest in campaign(20).lines:
        identifier, _, message = rest.partition("[77]: ")
        journal.add(identifier, message, pid=77)
    journal.stop()
    shown = subprocess.run(["journalctl", f"--file={journal.file}", "-o", form, "SYSLOG_FACILITY=2"],
                           check=True, capture_output=True, text=True).stdout
    log = replay(site(), "-", input=shown)["log"]
    assert (log["recipients"], log["sent"], log["odd"]) == (20, 20, 0)
    assert time.time() - 600 < log["first_s"] <= log["last_s"] < time.time() + 1


def test_wrong_files(site, tmp_path):
    conf, good = site(), tmp_path / "good.log"
    good.write_text(campaign(3).text())

    def refused(*args, **kwargs):
        done = postpool("-c", conf, "replay", *args, status=2, **kwargs)
        assert done.stdout == ""
        return done.stderr.replace(f"{tmp_path}/", "")

    def write(name, data):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    assert refused() == "postpool: replay: a log is needed; see postpool replay --help\n"
    assert refused("-", input="") == "postpool: replay: the log is empty\n"
    assert refused(write("empty", b""), write("empty2", b"")) == (
        "postpool: replay: the log is empty\n")
    assert refused(tmp_path / "none") == (
        "postpool: replay: none: No such file or directory\n")
    assert refused(good, tmp_path) == f"postpool: replay: {tmp_path}: Is a directory\n"
    assert refused("-", good, input="") == (
        "postpool: replay: standard input is read alone, without files\n")
    assert refused(write("other", os.urandom(100000))).startswith(
        "postpool: replay: Postfix tells of no message in ")
    assert refused(good, write("other", b"<html>\n" * 20000)) == (
        "postpool: replay: other: it is no log of Postfix: none of its lines begins as one\n")
    local = Log()
    local.add(BEGIN, "qmgr", "4Zk1: from=<a@b.test>, size=9, nrcpt=1 (queue active)")
    assert refused(write("local", local.text().encode())) == (
        "postpool: replay: no mail left for another host in 1 lines, 1 of them of Postfix\n")
    newest_first = "".join(reversed(campaign(3).text().splitlines(keepends=True)))
    assert refused("-", input=newest_first) == (
        f"postpool: replay: 3 tries are told of in {newest_first.count(chr(10))} lines, none behind "
        "the beginning of its message: are the newest lines first?\n")
    assert refused(write("cut.gz", gzip.compress(campaign(500).text().encode())[:2000])) == (
        "postpool: replay: cut.gz: it is compressed, and damaged or cut\n")
    assert refused("--stream", "bulks=*", good) == (
        'postpool: replay: --stream: there is no stream "bulks", did you mean "bulk"?\n')
    assert refused("--lifetime", "5", good).startswith("postpool: replay: --lifetime: ")
    assert "100d" in refused("--lifetime", "106751991167d", good)


def test_lines_that_are_not_understood(site):
    lines = campaign(3).text().splitlines(keepends=True)
    result = next(line for line in lines if "to=<" in line)
    lines[5:5] = ["<script>\n", "\n", "x" * 600000 + "\n", result.replace("to=<", "to=<a b"),
                  result.replace("2026-11-02", "2026-11-72"),
                  "Nov  2 10:00:00 mx dovecot: imap-login: x\n", "Nov  2 10:00:00 mx sshd[1]: x\n",
                  "Nov  2 10:00:00 mx postfix/smtpd[1]: connect from x\n"]
    text = "".join(lines) + lines[0][:100]
    log = replay(site(), "-", input=text)["log"]
    assert log["recipients"] == 3
    assert log["lines"] == len(lines) + 1
    assert (log["foreign"], log["odd"]) == (3, 2)
    shown = postpool("-c", site(), "replay", "-", input=text).stdout
    assert ("\nnot understood: 2 lines of Postfix that are in doubt, 3 lines that are of no log\n"
            in shown)


# What would have been

def test_caps(site):
    """What has no room waits, and leaves when there is some."""
    def change(conf):
        conf["providers"]["big"]["caps"] = {"hour": 30}
    found = replay(site(change), "-", input=campaign(150, seconds=10).text())
    bulk = by(found["streams"], "stream", "bulk")
    assert (bulk["came_in"], bulk["sent"], bulk["returned"]) == (150, 150, 0)
    assert bulk["at_once"] == 60 and bulk["waited"] == 90
    # 60 in each hour, of 150 in the first 25 minutes
    assert 3600 < bulk["waited_most_s"] <= 3 * 3600
    told = by(found["told"], "stream", "bulk")
    assert 0 < told["waited_p50_s"] <= told["waited_p95_s"] <= bulk["waited_most_s"]
    peak = by(found["peaks"], "provider", "big")
    assert peak["pool"] == "bulk"
    assert peak["hour"] == {"most": 150, "room": 60}
    assert peak["minute"] == {"most": 6, "room": 60}
    assert peak["day"] == {"most": 150, "room": 1440}
    assert by(found["pools"], "pool", "bulk")["needed"] >= 5
    shown = postpool("-c", site(change), "replay", "-", input=campaign(150, seconds=10).text())
    assert "150 of 60 !" in shown.stdout and "6 of 60" in shown.stdout


def test_a_short_life(site):
    def change(conf):
        conf["providers"]["big"]["caps"] = {"day": 10}
    found = replay(site(change), "--lifetime", "2h", "-", input=campaign(100).text())
    bulk = by(found["streams"], "stream", "bulk")
    assert (bulk["sent"], bulk["returned"], bulk["waiting"]) == (20, 80, 0)


def test_a_month_is_made_of_the_days_of_the_log(site):
    """Not of those after it, in which what waits leaves."""
    log = Log()
    for day in range(8):
        for i in range(100):
            log.message(BEGIN + timedelta(days=day, minutes=i), "news@bulk.test",
                        (f"r{i}@big.test", SENT, 1))

    def change(conf):
        conf["providers"]["big"]["caps"] = {"day": 35}
    found = replay(site(change), "-", input=log.text())
    assert len(found["days"]) > 9
    assert by(found["streams"], "stream", "bulk")["sent"] == 800
    assert "2 addresses for 3000 messages a month to big" in by(
        found["warnings"], "what", "thin")["text"]


def test_a_warmup_begins_with_the_log(site):
    def change(conf):
        conf["addresses"]["b2"]["warmup"] = {"schedule": {"days": [100, 200, 400]}, "started": "2020-01-01"}
    log = campaign(1000, seconds=20)
    for i in range(1000):
        log.message(BEGIN + timedelta(days=1, seconds=20 * i), "news@bulk.test",
                    (f"x{i}@big.test", SENT, 1))
    found = replay(site(change), "-", input=log.text())
    sent = [by(day["addresses"], "address", "b2")["sent"] for day in found["days"][:2]]
    assert 0 < sent[0] <= 100 < sent[1] <= 200


def test_replies_that_would_have_suspended(site):
    """The rules act on the replies of the log, on the address that would have been chosen."""
    log = campaign(100, seconds=10)
    for i in range(2):
        log.message(BEGIN + timedelta(seconds=200 + i), "news@bulk.test",
                    ("r@one.test", BLOCKED, 1))
    for i in range(3):
        log.message(BEGIN + timedelta(seconds=i), "a@site.test", ("r@one.test", GREYLISTED, 1),
                    ("r@one.test", SENT, 300))

    def change(conf):
        conf["pools"]["bulk"]["addresses"] = ["b1"]
        conf["pools"]["bulk"]["overflow"] = ["fast"]
    found = replay(site(change), "-", input=log.text())
    assert found["replies"] == [
        {"rule": "blocked", "accused": "address_provider", "tries": 2}]
    assert found["replies_without_rule"] == 3
    (suspension,) = found["suspensions"]
    at = BEGIN.timestamp() + 201
    assert suspension == {"at_s": at, "until_s": at + 7200, "what": "suspended",
                          "rule": "blocked", "address": "b1", "provider": "big"}
    # the 21 before that, and those two
    day = found["days"][0]
    assert by(day["addresses"], "address", "b1")["sent"] == 23
    shown = postpool("-c", site(change), "replay", "-", input=log.text()).stdout
    assert "  would have suspended b1 at big (1), first on 2026-11-02 10:03 for 2 h\n" in shown


def test_accounts_earn_their_grades(site):
    """By the results of the log: a good one, and one whose recipients do not exist."""
    unknown = ("dsn=5.1.1, status=bounced (host mx.test[192.0.2.9] said: 550 5.1.1 User unknown "
               "(in reply to RCPT TO command))")
    nowhere = ("dsn=5.4.4, status=bounced (Host or domain name not found. Name service error for "
               "name=big.test type=A: Host not found)")
    log = Log()
    for day in range(6):
        for i in range(100):
            when = BEGIN + timedelta(days=day, minutes=i)
            log.message(when, "news@good.bulk.test", (f"r{i}@big.test", SENT, 1))
            log.message(when, "news@bad.bulk.test",
                        (f"r{i}@big.test", (unknown, nowhere, SENT)[i % 3], 1))

    def change(conf):
        conf["addresses"]["n1"] = {"ip": "192.0.2.4", "helo": "n1.test"}
        conf["addresses"]["q1"] = {"ip": "192.0.2.5", "helo": "q1.test"}
        conf["pools"] |= {"new": {"addresses": ["n1"]}, "quarantine": {"addresses": ["q1"]}}
        conf["streams"][0]["match"].append({"sender": "*@*.bulk.test"})
        conf["streams"][0]["grades"] = {"new": "new", "attention": "quarantine"}
        conf["standing"] = {"volume": 200, "days": 3, "day_volume": 10}
    found = replay(site(change), "-", input=log.text())
    assert found["days"][-1]["accounts"] == {"new": 0, "trusted": 1, "attention": 1}
    (said,) = [w["text"] for w in found["warnings"] if w["what"] == "attention"]
    assert said.startswith("account bad.bulk.test gets attention: bounces")

    def sent(day):
        return {its["address"]: its["sent"] for its in found["days"][day]["addresses"]}
    # without what was for nowhere, which gives its grants back
    assert set(sent(0)) <= {"n1", "q1"} and sum(sent(0).values()) == 167
    assert set(sent(5)) == {"b1", "b2", "q1"} and sent(5)["q1"] == 67


def test_streams_that_a_log_does_not_tell(site):
    log = Log()
    for i in range(10):
        log.message(BEGIN, f"news@s{i % 2}.test", (f"r{i}@big.test", SENT, 1))
    text = log.text()
    shown = postpool("-c", site(), "replay", "-", input=text).stdout
    assert "100.0 % of bulk" in shown
    assert "! a log has no headers: the streams of 100.0 % cannot be told" in shown
    shown = postpool("-c", site(), "replay", "--stream", "bulk=*@s0.test", "--stream",
                     "default=*", "-", input=text).stdout
    assert "a log has no headers" not in shown
    found = replay(site(), "--stream", "bulk=*@s0.test", "-", input=text)
    assert by(found["told"], "stream", "bulk")["recipients"] == 5
    assert by(found["told"], "stream", "default")["perhaps"] == {"bulk": 5}
    assert found["log"]["unsure"] == 5


def test_a_log_that_begins_in_the_midst(site):
    """Half of the messages were there before: of some nothing is known, of others the sender."""
    log = campaign(20)
    lines = log.text().splitlines(keepends=True)
    text = "".join(line for line in lines if not any(
        f"{i:06d}: " in line and ("cleanup" in line or "smtpd" in line or i < 5) and "smtp[" not in line
        for i in range(1, 11)))
    shown = postpool("-c", site(), "replay", "-", input=text).stdout
    assert "16 recipients of 16 messages left for other hosts, in 16 tries" in shown
    assert "\n6 recipients are of messages whose beginning the log does not have\n" in shown
    assert "left out, tries: 4 of messages that came before the log\n" in shown


def test_a_relayhost(site):
    """It takes all the mail, so that it tells of no provider."""
    text = campaign(200).text().replace("@big.test", "@other.test")
    relayed = text.replace("relay=mx.test[", "relay=relay.site.test[")
    assert replay(site(), "-", input=relayed)["log"]["relay_host"] == "relay.site.test"
    shown = postpool("-c", site(), "replay", "-", input=relayed).stdout
    assert "! 100 % of all tries were at relay.site.test: if that is a relayhost" in shown
    mixed = relayed.replace("relay.site.test[", "mx.c.test[", 50)
    for other in (mixed, text):  # several hosts, and one of a provider
        assert "relayhost" not in postpool("-c", site(), "replay", "-", input=other).stdout


def test_no_recipient_is_told(site):
    """Addresses of people are nobody's business in such a report."""
    def change(conf):
        conf["providers"]["big"]["caps"] = {"hour": 5}
    text = campaign(50).text()
    for form in ((), ("--json",)):
        assert "@" not in postpool("-c", site(change), *form, "replay", "-", input=text).stdout
