# SPDX-License-Identifier: MIT
"""postpool simulate: what would become of mail that is only assumed."""

import copy
import json
import os
import pty
import re
import subprocess

import pytest

from harness import libconf
from harness.programs import BUILD, environment, postpool

CONF = {
    "node": "mta1", "tag_secret_file": "/nonexistent",
    "feedback": {"log": "/var/log/mail.log"},
    "warmup": {"time_zone": "UTC"},
    "addresses": {
        "a1": {"ip": "192.0.2.11", "helo": "a1.test", "caps": {"hour": 500, "day": 6000}},
        "b1": {"ip": "192.0.2.21", "helo": "b1.test", "caps": {"day": 20000}},
        "b2": {"ip": "192.0.2.22", "helo": "b2.test",
               "warmup": {"schedule": {"days": [100, 200, 400, 800], "hour": 30},
                          "started": "2026-11-20"}},
        "c1": {"ip": "192.0.2.31", "helo": "c1.test", "node": "mta2"},
        "d1": {"ip": "192.0.2.41", "helo": "d1.test"}},
    "pools": {"fast": {"addresses": ["a1"]},
              "bulk": {"addresses": ["b1", "b2"], "overflow": ["spare"]},
              "spare": {"addresses": ["c1"]},
              "rest": {"addresses": ["d1"]}},
    "providers": {"google": {"domains": ["gmail.com"], "mx": [".google.com"],
                             "caps": {"hour": 400}},
                  "yahoo": {"domains": ["yahoo.com"]}},
    "streams": [
        {"name": "transactional", "pool": "fast", "match": [{"header": "X-Transactional"}]},
        {"name": "bulk", "pool": "bulk", "match": [{"header": "List-Unsubscribe"}],
         "account_caps": {"hour": 50}},
        {"name": "office", "pool": "rest", "hours": "mon-fri 08:00-18:00", "time_zone": "UTC",
         "deadline": "20h", "match": [{"sender": "*@office.test"}]},
        {"name": "default", "pool": "fast", "match": []},
    ],
}


@pytest.fixture
def simulate(tmp_path):
    """Run it with a configuration; the answer as JSON, or what was printed."""
    def run(*options, conf=None, as_json=True, status=0):
        path = tmp_path / "postpool.conf"
        path.write_text(libconf.dumps(conf or CONF), encoding="utf-8")
        done = postpool("-c", path, "simulate", "--start", "2026-12-01", *options,
                        *(["--json"] if as_json and status == 0 else []), status=status)
        if status != 0:
            assert done.stdout == ""
            return done.stderr
        return json.loads(done.stdout) if as_json else done.stdout
    return run


def by(items, name, value):
    (item,) = [i for i in items if i[name] == value]
    return item


def sent_of(result, address):
    """What it sent, day by day."""
    return [sum(a["sent"] for a in day["addresses"] if a["address"] == address)
            for day in result["days"]]


def test_volume_by_day_and_address(simulate):
    result = simulate("--volume", "transactional=2400/day,bulk=9000/day", "--days", 5)
    assert (result["from"], result["to"]) == ("2026-12-01", "2026-12-05")
    assert [d["date"] for d in result["days"]] == [f"2026-12-0{i}" for i in range(1, 6)]
    for stream, count in (("transactional", 12000), ("bulk", 45000), ("default", 0)):
        its = by(result["streams"], "stream", stream)
        assert its["came_in"] == count
        assert its["came_in"] == its["sent"] + its["waiting"] + its["returned"] + its["late"]
        assert its["at_once"] + its["waited"] == count
        assert sum(w["sent"] for w in its["waits"]) == its["sent"]
        assert its["sent"] == sum(by(d["streams"], "stream", stream)["sent"]
                                  for d in result["days"])
    total = sum(by(result["streams"], "stream", s)["sent"] for s in ("transactional", "bulk"))
    assert sum(a["sent"] for d in result["days"] for a in d["addresses"]) == total
    assert sum(p["sent"] for d in result["days"] for p in d["providers"]) == total
    assert all(s == 2400 for s in sent_of(result, "a1"))
    assert sum(sent_of(result, "d1")) == 0
    assert "sent nothing: c1, d1" in by(result["warnings"], "what", "idle")["text"]


def test_a_warm_up_goes_by_its_schedule(simulate):
    result = simulate("--volume", "bulk=9000/day", "--days", 8)
    calendar = [by(d["addresses"], "address", "b2") for d in result["days"]]
    assert [c["allowance"] for c in calendar[:5]] == [100, 200, 400, 800, None]
    assert [c["stage"] for c in calendar[:5]] == [1, 2, 3, 4, 5]
    assert [c["result"] for c in calendar[:4]] == ["advanced"] * 4
    for day in calendar[:4]:
        assert 0.9 * day["allowance"] <= day["sent"] <= day["allowance"]
    assert by(result["warmups"], "address", "b2") == {
        "address": "b2", "schedule": calendar and result["warmups"][0]["schedule"], "stages": 4,
        "stage": 5, "full": "2026-12-05"}


def test_with_too_little_mail_it_is_held_and_that_is_said(simulate):
    result = simulate("--volume", "bulk=300/day", "--days", 10)
    assert by(result["warmups"], "address", "b2")["full"] is None
    assert "too little was sent" in by(result["warnings"], "what", "cold")["text"]


def test_a_block_puts_it_back(simulate):
    result = simulate("--volume", "bulk=9000/day", "--days", 5, "--block", "b2=2026-12-03")
    calendar = [by(d["addresses"], "address", "b2") for d in result["days"]]
    assert calendar[2]["events"] == ["suspended", "blocked"]
    assert calendar[2]["result"] == "back, it was blocked"
    assert calendar[3]["allowance"] == 200


def test_refused_mail_holds_it(simulate):
    result = simulate("--volume", "bulk=9000/day", "--days", 4, "--refused", "20")
    calendar = [by(d["addresses"], "address", "b2") for d in result["days"]]
    assert all(c["allowance"] == 100 for c in calendar)
    assert calendar[0]["result"] == "held, too little was accepted"


def test_what_has_no_room_waits_and_is_returned(simulate):
    options = ("--volume", "transactional=9000/day", "--days", 10, "--lifetime", "1d")
    result = simulate(*options)
    its = by(result["streams"], "stream", "transactional")
    assert all(s <= 6000 for s in sent_of(result, "a1"))
    assert min(sent_of(result, "a1")[1:]) > 5700
    assert its["returned"] > 0 and 0 < its["waited_most_s"] < 24 * 3600
    assert its["waiting"] > 0 and its["waited"] > 0
    assert "were returned to their senders" in by(result["warnings"], "what", "returned")["text"]
    text = simulate(*options, as_json=False)
    assert re.search(r"^transactional +90,000 +[\d,]+ ", text, re.M)
    assert re.search(r"^sent within +1 min .*later$", text, re.M)
    assert re.search(r"^2026-12-10 +[\d,]+ ", text, re.M)


def test_how_many_addresses_a_pool_needs(simulate):
    result = simulate("--volume", "transactional=23000/day", "--curve", "even", "--days", 2,
                      "--providers", "yahoo=100")
    pool = by(result["pools"], "pool", "fast")
    assert (pool["addresses"], pool["needed"], pool["cap"]) == (1, 4, "day")
    assert pool["most_in_day"] == 23000 and 958 <= pool["most_in_hour"] <= 959
    assert "needs 4" in by(result["warnings"], "what", "few")["text"]
    result = simulate("--volume", "office=8000/day", "--curve", "even", "--days", 2, "--providers",
                      "google=100")
    pool = by(result["pools"], "pool", "rest")
    assert (pool["provider"], pool["cap"], pool["needed"]) == ("google", "hour", 3)


def test_with_as_many_as_it_needs_nothing_waits(simulate):
    def result(count):
        conf = {key: CONF[key] for key in ("node", "tag_secret_file", "feedback", "warmup")}
        conf["addresses"] = {f"a{i}": {"ip": f"192.0.2.{i + 1}", "helo": f"a{i}.test",
                                       "caps": {"hour": 400}} for i in range(count)}
        conf["pools"] = {"p": {"addresses": list(conf["addresses"])}}
        conf["streams"] = [{"name": "all", "pool": "p", "match": []}]
        said = simulate("--volume", "all=23000/day", "--days", 3, conf=conf)
        return said["pools"][0]["needed"], said["streams"][0]["waited"]

    needed, waited = result(3)
    assert needed > 4 and waited > 0
    assert result(needed) == (needed, 0)
    assert result(needed - 1)[1] > 0


def test_too_many_addresses_are_said(simulate):
    conf = copy.deepcopy(CONF)
    conf["pools"]["fast"]["addresses"] = ["a1", "d1", "c1"]
    result = simulate("--volume", "transactional=90/day", "--days", 30, conf=conf)
    assert "gets no reputation there" in by(result["warnings"], "what", "thin")["text"]


def test_providers_and_curve(simulate):
    result = simulate("--volume", "office=1000/week", "--days", 7, "--providers",
                      "google=50.5,yahoo=20")
    assert by(result["streams"], "stream", "office")["came_in"] == 1000
    assert [by(d["streams"], "stream", "office")["came_in"] for d in result["days"]] == [
        200, 200, 200, 200, 0, 0, 200]  # the first is a Tuesday
    sent = {}
    for day in result["days"]:
        for provider in day["providers"]:
            sent[provider["provider"]] = sent.get(provider["provider"], 0) + provider["sent"]
    assert sum(sent.values()) == 1000
    for provider, count in (("google", 505), ("yahoo", 200), ("other", 295)):
        assert abs(sent[provider] - count) <= 1
    hours = ",".join(["0"] * 9 + ["1"] + ["0"] * 14)
    result = simulate("--volume", "transactional=60/hour,office=600/day", "--days", 1, "--curve",
                      hours)
    assert by(result["pools"], "pool", "rest")["hour"] == "2026-12-01 09:00"
    assert by(result["pools"], "pool", "rest")["most_in_hour"] == 600
    assert by(result["streams"], "stream", "transactional")["came_in"] == 1440


def test_when_mail_comes_in_and_when_it_leaves(simulate):
    result = simulate("--volume", "office=1000/day", "--days", 2, "--when", "office=20:00-21:00")
    its = by(result["streams"], "stream", "office")
    assert (its["came_in"], its["at_once"], its["waiting"]) == (2000, 0, 1000)
    assert 11 * 3600 <= its["waited_most_s"] <= 13 * 3600
    conf = copy.deepcopy(CONF)
    conf["streams"][2]["deadline"] = "1h"
    result = simulate("--volume", "office=1000/day", "--days", 2, "--when", "office=20:00-21:00",
                      conf=conf)
    assert by(result["streams"], "stream", "office")["late"] == 2000


def test_what_waits_for_its_hours_is_a_peak_as_they_begin(simulate):
    conf = copy.deepcopy(CONF)
    conf["addresses"]["d1"]["caps"] = {"hour": 100}
    result = simulate("--volume", "office=1000/day", "--days", 2, "--when", "office=20:00-21:00",
                      conf=conf)
    pool = by(result["pools"], "pool", "rest")
    assert (pool["needed"], pool["peak"], pool["hour"]) == (11, 1000, "2026-12-02 08:00")
    assert "! pool rest has 1 address, and at its peak, 1,000 recipients" in simulate(
        "--volume", "office=1000/day", "--days", 2, "--when", "office=20:00-21:00", conf=conf,
        as_json=False)


def test_accounts(simulate):
    """50 an hour each."""
    few = simulate("--volume", "bulk=9000/day", "--days", 2, "--accounts", "bulk=2")
    assert by(few["streams"], "stream", "bulk")["sent"] <= 2 * 50 * 49
    many = simulate("--volume", "bulk=9000/day", "--days", 2, "--accounts", "bulk=1000")
    assert by(many["streams"], "stream", "bulk")["at_once"] == 18000
    text = simulate("--volume", "bulk=9000/day", "--days", 1, as_json=False)
    assert "Caps of accounts of bulk are not counted: --accounts bulk=NUMBER" in text


def test_accounts_earn_their_grades(simulate):
    conf = copy.deepcopy(CONF)
    conf["streams"][1]["grades"] = {"new": "rest", "attention": "spare"}
    conf["standing"] = {"volume": 200, "days": 3, "day_volume": 10}
    del conf["streams"][1]["account_caps"]
    result = simulate("--volume", "bulk=1000/day", "--accounts", "bulk=5", "--days", 6, conf=conf)
    assert [(a["new"], a["trusted"], a["attention"])
            for a in (d["accounts"] for d in result["days"])] == [(5, 0, 0)] * 3 + [(0, 5, 0)] * 3
    assert sent_of(result, "d1")[:3] == [1000] * 3 and sent_of(result, "d1")[4:] == [0] * 2
    options = ("--volume", "bulk=1000/day", "--accounts", "bulk=5", "--days", 6, "--bounced", "30")
    result = simulate(*options, conf=conf)
    assert result["days"][5]["accounts"] == {"new": 0, "trusted": 0, "attention": 5}
    assert sent_of(result, "c1")[2:] == [1000] * 4
    said = [w["text"] for w in result["warnings"] if w["what"] == "attention"]
    assert len(said) == 5 and said[0].startswith("account account1.example gets attention: bounces")
    text = simulate(*options, conf=conf, as_json=False)
    assert re.search(r"^accounts on +new +trusted +attention$", text, re.M)
    assert re.search(r"^2026-12-06 +0 +0 +5$", text, re.M)
    text = simulate("--volume", "bulk=1000/day", "--days", 2, conf=conf, as_json=False)
    assert "Mail of bulk is taken for that of trusted accounts: --accounts bulk=NUMBER" in text


def test_many_addresses_with_long_names_are_readable(simulate):
    conf = {key: CONF[key] for key in ("node", "tag_secret_file", "feedback", "warmup")}
    warm = {"warmup": {"schedule": "conservative", "started": "2026-11-20"}}
    conf["addresses"] = {f"mail-out-of-frankfurt-{i:02}": {
        "ip": f"192.0.2.{i + 1}", "helo": f"a{i}.test", **warm} for i in range(20)}
    conf["pools"] = {"p": {"addresses": list(conf["addresses"])}}
    conf["streams"] = [{"name": "all", "pool": "p", "match": []}]
    text = simulate("--volume", "all=9000/day", "--days", 4, conf=conf, as_json=False)
    table = text[text.index("\nsent on "):].splitlines()[1:6]
    assert len(table[0].split("mail-out-of-frankfurt-")) == 4 and table[0].endswith("others")
    assert len({len(line) for line in table}) == 1
    assert re.search(r"^mail-out-of-frankfurt-\d\d, .* and \d+ more: conservative, stage \d of 21 "
                     r"at the end$", text, re.M)
    assert "! and 15 more like that; --json has all" in text
    assert len([line for line in text.splitlines() if "does not reach" in line]) == 5


def test_tables_fit_a_terminal(simulate):
    """Also with millions; of the addresses as many as fit."""
    conf = {key: CONF[key] for key in ("node", "tag_secret_file", "feedback", "providers")}
    conf["addresses"] = {f"b{i}": {"ip": f"192.0.2.{i + 1}", "helo": f"b{i}.test",
                                   "caps": {"hour": 20000}} for i in range(20)}
    conf["pools"] = {"bulk": {"addresses": list(conf["addresses"])}}
    conf["streams"] = [{"name": "transactional", "pool": "bulk", "match": []}]
    text = simulate("--volume", "transactional=4000000/day", "--days", 2, conf=conf, as_json=False)
    tables = [line for line in text.splitlines()
              if re.match(r"(stream|transactional|sent on|sent within|20..-|pool|bulk)", line)]
    assert len(tables) == 9 and max(map(len, tables)) <= 80, tables
    assert re.search(r"^sent on +in all +waits( +b\d+){4,6} +others$", text, re.M)
    assert re.search(r'^pool +addresses +needs +an hour +a day +because of\nbulk +20 .* in one '
                     r'"hour", [\d,]+ each$', text, re.M)


def test_the_same_again_is_the_same(simulate):
    options = ("--volume", "bulk=9000/day,transactional=3000/day", "--days", 6, "--refused", "9")
    first = simulate(*options)
    assert first == simulate(*options)
    assert first != simulate(*options, "--seed", 2)


def test_no_window_of_a_day_holds_more(simulate):
    """Whatever the time of day at which mail comes."""
    result = simulate("--volume", "bulk=90000/day", "--days", 12, "--when",
                      "bulk=mon-fri 09:00-10:00, sat 22:00-24:00, sun 00:00-01:00")
    for day, sent in zip(result["days"], sent_of(result, "b2")):
        allowance = by(day["addresses"], "address", "b2")["allowance"]
        assert allowance is None or sent <= allowance
    assert all(sent <= 20000 for sent in sent_of(result, "b1"))


MISTAKES = [
    ([], "--volume is needed, such as --volume bulk=500000/day"),
    (["--volume", "blk=5/day"],
     '--volume: there is no stream "blk", did you mean "bulk"?'),
    (["--volume", "newsletters=1/day"],
     '--volume: there is no stream "newsletters"; there are: transactional, bulk, office, default'),
    (["--volume", "bulk=5"], '--volume: bulk: "5" is no volume, such as 500000/day, 2000/hour or'),
    (["--volume", "bulk=1000000000/day"],
     '--volume: bulk: "1000000000/day" is no volume, such as 500000/day, 2000/hour or 100000/week '
     "(at most 100000000)"),
    (["--volume", "bulk"], "--volume: STREAM=NUMBER/day is needed, or /hour or /week"),
    (["--volume", "bulk=1/day,bulk=2/day"], '--volume: stream "bulk" is there twice'),
    (["--volume", "bulk=1/day", "--days", "0"], '--days: "0" is no number from 1 to 3660'),
    (["--volume", "bulk=1/day", "--start", "tomorrow"], '--start: "tomorrow" is no date'),
    (["--volume", "bulk=1/day", "--start", "9999-12-31"],
     "--start: 9999-12-31 is before 1971 or after 2970"),
    (["--volume", "bulk=1/day", "--providers", "gogle=9"],
     '--providers: there is no provider "gogle", did you mean "google"?'),
    (["--volume", "bulk=1/day", "--providers", "google=70,yahoo=31"],
     "--providers: the shares of providers are more than 100 %"),
    (["--volume", "bulk=1/day", "--providers", "google=7,other=31"],
     "--providers: the shares of providers are less than 100 %"),
    (["--volume", "bulk=1/day", "--curve", "1,2"], '--curve: "1,2" is no curve: '),
    (["--volume", "bulk=1/day", "--when", "office=mon"],
     '--when: stream "office" has no volume'),
    (["--volume", "bulk=1/day", "--when", "bulk=25:00-26:00"], '--when: bulk: "25:00-26:00": '),
    (["--volume", "bulk=1/day", "--accounts", "bulk=0"],
     '--accounts: bulk: "0" is no number from 1 to 100000'),
    (["--volume", "bulk=1/day", "--block", "x=2026-12-01"],
     '--block: there is no address "x"; there are: '),
    (["--volume", "bulk=1/day", "--block", "b2=2026-11-30"],
     "--block: 2026-11-30 is none of the days that are simulated, 2026-12-01 to 2027-01-29"),
    (["--volume", "bulk=1/day", "--block", "b2=2026-12-03", "--days", "2"],
     "--block: 2026-12-03 is none of the days that are simulated, 2026-12-01 to 2026-12-02"),
    (["--volume", "bulk=1/day", "--lifetime", "5"], "--lifetime: "),
    (["--volume", "bulk=1/day", "--lifetime", "101d"], "--lifetime: 101d is longer than Postfix"),
    (["--volume", "bulk=1/day", "--refused", "101"], '--refused: "101" is no percentage'),
    (["--volume", "bulk=1/day", "--refused", "60", "--bounced", "60"],
     "--bounced and --refused are more than 100 %"),
    (["--volume", "bulk=1/day", "more"], "one argument too many"),
]


@pytest.mark.parametrize("options, said", MISTAKES, ids=[" ".join(m[0]) for m in MISTAKES])
def test_mistakes_are_told(simulate, options, said):
    assert simulate(*options, status=2).startswith(f"postpool: simulate: {said}")


def test_progress_is_shown_on_a_terminal_alone(simulate, tmp_path):
    simulate("--volume", "bulk=10/day", "--days", 1)  # writes the configuration
    master, slave = pty.openpty()
    command = [str(BUILD / "postpool"), "-c", str(tmp_path / "postpool.conf"), "simulate",
               "--volume", "bulk=20000/day", "--days", "60", "--accounts", "bulk=500"]
    with subprocess.Popen(command, stderr=slave, stdout=subprocess.PIPE, env=environment()) as done:
        os.close(slave)
        out = done.stdout.read()
        said = b""
        try:
            while chunk := os.read(master, 4096):
                said += chunk
        except OSError:  # the other side is closed
            pass
    os.close(master)
    assert done.returncode == 0
    assert b"bulk" in out and b"\r" not in out
    assert said == b"" or re.fullmatch(rb"(\rsimulate: day \d+ of 60)*\r\x1b\[K", said)
    quiet = subprocess.run(command, capture_output=True, env=environment(), check=True)
    assert quiet.stderr == b"" and quiet.stdout == out
