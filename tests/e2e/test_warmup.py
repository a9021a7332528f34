# SPDX-License-Identifier: MIT
"""New addresses: what they may send, day by day."""

import json
import re
import time
from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from harness import client, provider_rules as rules
from harness.grants import address_of, ask_one, fill, take
from harness.node import hosts
from harness.programs import fake_clock, postpool
from harness.socketmap import Socketmap
from harness.wait import wait_for
from harness.waking import AS_SYSTEMD, waking

NEW, OLD = "127.0.1.1", "127.0.1.2"
DAYS = [10, 20, 40]
BLOCKED = {"name": "blocked", "class": "address", "code": 5, "pattern": "has been blocked",
           "after": 1, "within": "1m", "suspend": "2s", "suspend_most": "2s",
           "samples": ["550 5.7.1 Service refused: your IP address 192.0.2.11 has been blocked"]}


def zones():
    """Two time zones: it is no time near midnight there, and in the second the day after."""
    for hours in range(10, 15):
        local = (time.time() + hours * 3600) % 86400
        if 1800 < local < 84600:
            return f"-{24 - hours}:00", f"+{hours}:00"
    raise AssertionError("no such zone")


TODAY, TOMORROW = zones()


def warming(change=None, warmup=None):
    """a1 is new, and first in its pool; a2 takes what is more."""
    def change_conf(conf):
        conf["addresses"] = {"a1": {"ip": NEW, "helo": "a1.mail.test",
                                    "warmup": {"schedule": "small", "started": "2026-11-20"}},
                             "a2": {"ip": OLD, "helo": "a2.mail.test"}}
        conf["pools"] = {"all": {"addresses": [{"name": "a1", "weight": 100000},
                                               {"name": "a2", "weight": 1}]}}
        conf["streams"] = [{"name": "default", "pool": "all", "match": []}]
        conf["warmup"] = {"time_zone": TODAY, "schedules": {"small": {"days": DAYS, "hour": 100}},
                          **(warmup or {})}
        conf["feedback"] = {"log": "pipe"}
        if change:
            change(conf)
    return change_conf


def state(host):
    return json.loads(host.postpool("--json", "warmup").stdout)["warmups"][0]


def used(host):
    now = state(host)
    return now["used"], now["accepted"], now["refused"]


def next_day(host):
    host.conf["warmup"]["time_zone"] = TOMORROW
    host.reload_conf(host.conf)


def send(host, simulator, count):
    """Where so many new messages arrived from."""
    before = len(simulator.deliveries)
    with host.smtp() as smtp:
        for number in range(count):
            smtp.send("app@site.test", [f"r{number}@one.test"],
                      client.message(client.new_id()))
    wait_for(lambda: len(simulator.deliveries) == before + count, 120, "all mail")
    return Counter(d.source for d in list(simulator.deliveries)[before:])


def recipients(host, simulator, count):
    """The same of so many recipients, twenty to a message."""
    before = len(simulator.deliveries)
    arrived = Counter()

    def all_there():
        arrived.clear()
        for delivery in list(simulator.deliveries)[before:]:
            arrived[delivery.source] += len(delivery.recipients)
        return sum(arrived.values()) == count

    with host.smtp() as smtp:
        for number in range(count // 20):
            smtp.send("app@site.test", [f"r{number}-{i}@one.test" for i in range(20)],
                      client.message(client.new_id()))
    wait_for(all_there, 120, "all recipients")
    return arrived


@pytest.fixture
def host(make_host, simulator):
    host = waking(make_host(warming(lambda conf: conf.update(
        replies=[BLOCKED], suspension={"probes": 1, "probe_every": "1s", "steps": ["50"],
                                       "step": "1s"})), start=False, sink=simulator))
    host.start()
    return host


def all_of_it(host, simulator, allowance, send_some, burst, few):
    """The allowance leaves from a1, to the last, and what comes then from a2."""
    came = fill(host.run, send_some(host, simulator, burst),
                lambda: send_some(host, simulator, few), NEW, allowance)
    assert came[NEW] == allowance
    assert send_some(host, simulator, few) == {OLD: few}


def test_a_day_and_the_next(host, simulator):
    """Its allowance leaves from it, to the last and not one more; the next day more."""
    all_of_it(host, simulator, 10, send, 60, 1)
    wait_for(lambda: used(host) == (10, 10, 0), what="the results")
    host.restart_policyd()
    wait_for(lambda: used(host) == (10, 10, 0), what="what was kept")
    assert send(host, simulator, 20) == {OLD: 20}
    next_day(host)
    wait_for(lambda: state(host)["stage"] == 2, what="the next stage")
    day = state(host)["history"][-1]
    assert (day["used"], day["accepted"], day["day_allowance"], day["result"]) == \
        (10, 10, 10, "advanced")
    # Of 20 in any 24 hours 10 are used.
    all_of_it(host, simulator, 10, send, 60, 1)
    assert "address a1: warm-up: stage 2 of 3, 20 recipients a day" in host.policyd.log()


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Honolulu"])
def test_a_day_of_its_time_zone(make_host, zone):
    """A name, whose day it is."""
    host = make_host(warming(warmup={"time_zone": zone}))
    wait_for(lambda: state(host)["day"] == str(datetime.now(ZoneInfo(zone)).date()),
             what="the day there")


def test_300_and_390(make_host, simulator):
    """The clock goes on by a day: all of the next allowance, and exactly that.  Its own table."""
    table = {"days": [300, 390], "hour": 100}
    host = waking(make_host(
        warming(lambda conf: conf["addresses"]["a1"]["warmup"].update(schedule=table)),
        start=False, sink=simulator))
    host.start()
    all_of_it(host, simulator, 300, recipients, 400, 20)
    wait_for(lambda: used(host) == (300, 300, 0), what="the results")
    # libfaketime wants to be loaded by root.
    host.policyd.argv = host.policyd.argv[len(AS_SYSTEMD):]
    host.policyd.environment = fake_clock("+25h")
    host.restart_policyd()
    wait_for(lambda: state(host)["stage"] == 2, what="the next stage")
    all_of_it(host, simulator, 390, recipients, 500, 20)


def test_a_block_puts_it_back(host, simulator):
    host.postpool("warmup", "advance", "a1", "--why", "it was known elsewhere")
    assert state(host)["stage"] == 2
    block = simulator.add(rules.Block())
    block.blocked.add(NEW)

    def refused_there():
        assert send(host, simulator, 1) == {OLD: 1}
        return state(host)["blocked"]
    wait_for(refused_there, what="the block to be known")
    block.blocked.discard(NEW)
    wait_for(lambda: send(host, simulator, 5)[NEW] > 0, 60, "a1 to come back")
    next_day(host)
    wait_for(lambda: state(host)["stage"] == 1, what="the stage before")
    assert state(host)["history"][-1]["result"] == "back, it was blocked"
    assert "status=bounced" not in host.postfix.log()


def test_by_hand(make_host):
    host = make_host(warming())
    assert take(host.run, 30) == {"a1": 10, "a2": 20}
    shown = host.postpool("warmup").stdout
    assert shown.startswith("a1: small, stage 1 of 3: 0 of 10 recipients today")
    assert "full volume on " in shown
    assert [day["day_allowance"] for day in state(host)["forecast"]] == DAYS
    assert "too little mail for its stages" in host.postpool("warmup", "--volume", "20").stdout
    host.postpool("warmup", "advance", "a1", "--why", "a friend")
    assert take(host.run, 30) == {"a1": 10, "a2": 20}
    host.postpool("warmup", "pause", "a1", "--why", "holidays")
    assert "address a1: warm-up: advance by root (uid 0): a friend" in host.policyd.log()
    assert "address a1: warm-up: pause by root (uid 0): holidays" in host.policyd.log()
    assert "stage 2 of 3 (paused)" in host.postpool("status").stdout
    assert "it is paused already" in host.postpool("warmup", "pause", "a1", "--why", "x",
                                                   status=1).stderr
    wait_for(lambda: [o["order"] for o in state(host)["orders"]] == ["advance", "pause"],
             what="the orders")
    host.restart_policyd()
    wait_for(lambda: state(host)["phase"] == "paused", what="what was kept")
    assert state(host)["orders"][0] == {"day": state(host)["day"], "order": "advance",
                                        "who": "root (uid 0)", "why": "a friend"}
    host.postpool("suspend", "a1", "--for", "1s", "--why", "a moment")
    wait_for(lambda: state(host)["suspended"], what="it to be known")
    assert take(host.run, 10) == {"a2": 10}
    host.postpool("resume", "a1", status=None)
    host.postpool("warmup", "start", "a1", "--why", "back")
    for _ in range(2):
        host.postpool("warmup", "advance", "a1", "--why", "enough")
    assert state(host)["phase"] == "full"
    host.restart_policyd()
    wait_for(lambda: state(host)["phase"] == "full", what="what was kept")
    assert take(host.run, 50) == {"a1": 50}
    assert "did not come" not in host.policyd.log()
    host.postpool("warmup", "back", "a1", "--why", "too much")
    assert state(host)["stage"] == 3
    # At full volume nothing was counted; of 40 those are used that left before.
    assert take(host.run, 30) == {"a1": 20, "a2": 10}
    assert "no address a2 that warms up" in host.postpool("warmup", "pause", "a2", "--why", "x",
                                                          status=1).stderr


def test_a_simulation_goes_on_from_there(make_host):
    host = make_host(warming())
    host.postpool("warmup", "advance", "a1", "--why", "a friend")

    def stages(*options):
        said = host.postpool("simulate", "--volume", "default=500/day", "--days", "3", "--json",
                             *options)
        return [day["addresses"][0]["stage"] for day in json.loads(said.stdout)["days"]]

    assert stages() == [1, 2, 3]
    # Today nothing was sent, which holds it.
    assert stages("--now") == [2, 3, 4]
    host.postpool("warmup", "pause", "a1", "--why", "holidays")
    assert stages("--now") == [2, 2, 2]
    host.policyd.stop()
    assert "does not answer" in host.postpool("simulate", "--volume", "default=500/day", "--now",
                                              status=1).stderr


def test_a_reload_ends_and_begins_one(make_host):
    host = make_host(warming())
    assert take(host.run, 20) == {"a1": 10, "a2": 10}
    warm = host.changed()
    new = warm["addresses"]["a1"].pop("warmup")
    host.reload_conf(warm)
    assert take(host.run, 20) == {"a1": 20}
    assert host.postpool("warmup").stdout == "no address warms up\n"
    warm["addresses"]["a1"]["warmup"] = new
    host.reload_conf(warm)
    assert state(host)["stage"] == 1


def test_it_is_told_that_it_warms_up(make_host):
    """Why an address had no room: its allowance, not a cap that somebody wrote."""
    used_up = "warming up: stage 1 of 3, 10 recipients a day are used"
    host = make_host(warming(lambda conf: conf["pools"].update(
        all={"addresses": ["a1"], "overflow": ["rest"]}, rest={"addresses": ["a2"]})))
    assert take(host.run, 10) == {"a1": 10}
    asked = ("explain", "--sender", "x@site.test", "--recipient", "x@one.test")
    wait_for(lambda: used_up in host.postpool(*asked).stdout, what="it to be known")
    shown = host.postpool(*asked).stdout
    assert re.search(rf"all +a1 .*{used_up}, expected in 2[45] h", shown)
    candidate = json.loads(host.postpool(*asked, "--json").stdout)["candidates"][0]
    assert candidate["warmup"] == {"stage": 1, "stages": 3, "recipients": 10, "window": "day"}
    assert candidate["why"] == "no room under a cap" and candidate["cap"] == "address/a1"
    assert take(host.run, 1) == {"a2": 1}
    event = json.loads(host.postpool("tail", "--once", "--json").stdout.splitlines()[-1])
    assert event["address"] == "a2"
    for command in (("tail", "--once"), ("explain", event["message"])):
        line = host.postpool(*command).stdout.splitlines()[-1]
        assert re.search(rf"(a1|pool all): .*{used_up}", line)


def shared(conf):
    """d1 warms up on two hosts, s1 takes what is more."""
    conf["addresses"]["d1"]["warmup"] = {"schedule": "small", "started": "2026-11-20"}
    conf["pools"]["rest"] = {"addresses": [{"name": "d1", "weight": 100000}, "s1"]}
    conf["warmup"] = {"schedules": {"small": {"days": DAYS, "hour": 100}}}
    conf["feedback"] = {"log": "pipe"}


def test_two_hosts_have_one_allowance(make_nodes):
    """Together no more than it; what is done by hand on one holds on both."""
    _, nodes = make_nodes(shared, *hosts(2))

    def ask(node, *args):
        return postpool("-c", node.conf, *args).stdout

    def stage(node):
        return json.loads(ask(node, "--json", "warmup"))["warmups"][0]["stage"]

    def from_it(count):
        total = 0
        for node in nodes:
            with Socketmap(node.lookup) as postfix:
                total += sum(address_of(ask_one(postfix, "one.test", "x.test")[2]) == "d1"
                             for _ in range(count))
        return total

    assert 1 <= from_it(30) <= 10
    ask(nodes[0], "warmup", "advance", "d1", "--why", "x")
    wait_for(lambda: stage(nodes[1]) == 2, 10, "the other host to know")
    ask(nodes[1], "warmup", "advance", "d1", "--why", "y")
    wait_for(lambda: stage(nodes[0]) == 3, 10, "the first host to know")
    shown = ask(nodes[0], "warmup")
    assert "advance by root (uid 0): x" in shown and "advance by root (uid 0): y" in shown
