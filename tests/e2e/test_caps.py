# SPDX-License-Identifier: MIT
"""Caps on one host: what is promised holds, and what may be sent is sent."""

import contextlib
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from datetime import datetime

import pytest

from harness import namespace
from harness.caps import (A1, A2, cap, sources, status, submit_many, submit_one_by_one, window,
                          with_caps)
from harness.grants import (Load, address_of, ask_one, fill, most_in_window, take,
                            wait_answered)
from harness.nsd import Nsd
from harness.socketmap import Socketmap
from harness.wait import wait_for


def test_fifty_of_five_hundred(make_host):
    """An address with 50 an hour sends exactly that, the rest leaves from the next."""
    host = make_host(with_caps(a1={"hour": 50}))
    ids = submit_many(host, 450)
    host.postfix.wait_queue_empty(180)

    def more():
        one = submit_one_by_one(host, 1)
        ids.extend(one)
        return sources(host, one)
    assert fill(host.run, sources(host, ids), more, A1, 50)[A1] == 50
    ids += submit_many(host, 50)
    host.postfix.wait_queue_empty(180)
    assert sources(host, ids) == {A1: 50, A2: len(ids) - 50}
    wait_answered(host.run)
    told = cap(host, "address/a1")
    assert told["caps"][0]["counted"] == 50
    assert told["state"] == "full"
    assert told["room_in_ms"] > 0


def decided(host):
    """(time, address) of each decision that there was room: that may be well before it arrives."""
    told = host.postpool("--json", "tail", "--once", "-n", "1000").stdout
    events = [json.loads(line) for line in told.splitlines()]
    return [(datetime.fromisoformat(event["time"]).timestamp(), event["address"])
            for event in events if event["kind"] == "decided" and "address" in event
            and "asked again" not in event.get("why", "")]


def test_a_full_pool_defers_until_its_window_turns(make_host):
    host = make_host(with_caps(a1=window("15s", 10), a2=window("15s", 5)))
    ids = submit_many(host, 30)
    host.postfix.wait_log(
        r"status=deferred \(postpool: no room under the caps, expected within a minute")
    host.postfix.wait_queue_empty(180)
    seen = Counter(d.id for d in host.sink.deliveries)
    assert [seen[i] for i in ids] == [1] * 30
    left = decided(host)
    assert Counter(address for _, address in left) == \
        {name: sources(host, ids)[ip] for name, ip in (("a1", A1), ("a2", A2))}
    for name, most in (("a1", 10), ("a2", 5)):
        assert most_in_window([(at, at) for at, address in left if address == name], 15) <= most


def test_exceed_sends_and_tells(make_host):
    def change(conf):
        with_caps(a1={"hour": 5}, a2={"hour": 5})(conf)
        conf["pools"]["fast"]["exhausted"] = "exceed"
    host = make_host(change)
    ids = submit_one_by_one(host, 10)
    assert sources(host, ids) == {A1: 5, A2: 5}
    assert cap(host, "address/a1")["exceeded"] == 0
    wait_answered(host.run)
    ids += submit_many(host, 20)
    host.postfix.wait_queue_empty(120)
    assert sources(host, ids) == {A1: 25, A2: 5}
    assert cap(host, "address/a1")["exceeded"] == 20
    assert "20 sent over it" in host.postpool("status").stdout


def entries(host):
    """How many the file has, of a copy: the daemon has it for itself."""
    for suffix in ("", "-wal"):
        shutil.copy(f"{host.run}/state.db{suffix}", f"{host.run}/copy.db{suffix}")
    with contextlib.closing(sqlite3.connect(host.run / "copy.db")) as db:
        return db.execute("SELECT count(*) FROM book").fetchone()[0]


def test_what_is_not_used_leaves_the_file(make_host):
    host = make_host(with_caps(a1=window("10s", 100), d1=window("10s", 100)), start=False)
    host.policyd.start()
    with Socketmap(host.run / "lookup") as postfix:
        # where the store is slow, there may be no lease at first
        wait_for(lambda: address_of(ask_one(postfix, sender_domain="site.test")[2]) == "d1",
                 what="room")
    assert entries(host) == 2
    wait_for(lambda: entries(host) == 0, 90, "an empty file")


def test_asked_again_counts_once(make_host):
    host = make_host(with_caps(a1={"hour": 3}), start=False)
    host.policyd.start()
    with Socketmap(host.run / "lookup") as postfix:
        answers = set()
        for _ in range(10):
            postfix.ask("sender", "same@site.test")
            answers.add(postfix.ask("rcpt", "Same@one.test"))
        assert len(answers) == 1


def stream_of(host, name):
    return next(s for s in host.conf["streams"] if s["name"] == name)


def test_stream_and_account_caps(make_host):
    """A stream's cap counts over its addresses; an account's over that account alone."""
    def change(conf):
        for stream in conf["streams"]:
            if stream["name"] == "bulk":
                stream["caps"] = {"hour": 20}
            if stream["name"] == "default":
                stream["account_caps"] = {"hour": 4}
    host = make_host(change, start=False)
    host.policyd.start()
    bulk = take(host.run, 60, sender_domain="lists.test")
    assert bulk[None] == 40
    assert set(bulk) == {"b1", "b2", None}
    for domain in ("x.test", "y.test"):
        assert take(host.run, 60, sender_domain=domain) == {"d1": 4, None: 56}


def test_provider_caps(make_host, directory_of):
    """By real MX records: an address's cap at a provider counts its domains together."""
    nsd = Nsd(directory_of("nsd"), ["one MX 10 mx.big.test.", "two MX 10 a.mx.big.test.",
                                    "mixed MX 10 mx.big.test.", "mixed MX 20 mx.small.test."])

    def change(conf):
        with_caps()(conf)
        conf["streams"][-1]["pool"] = "fast"
        conf["dns"] = {"servers": [nsd.address]}
        conf["providers"] = {"big": {"domains": ["big.test"], "mx": [".big.test"],
                                     "caps": {"hour": 10}},
                             "other": {"caps": {"hour": 4}}}
    try:
        host = make_host(change, start=False)
        host.policyd.start()
        for domain in ("one", "two", "mixed"):
            wait_for(lambda d=domain: not host.postpool("provider", f"{d}.mail.test",
                                                        status=None).returncode, what=domain)
        assert take(host.run, 6, domain="one.mail.test") == {"a1": 6}
        both = take(host.run, 8, domain="two.mail.test") + take(host.run, 40, domain="big.test")
        assert both["a1"] == 4  # 10 in all at a1
        assert both["a2"] == 10
        assert take(host.run, 30, domain="mixed.mail.test") == {"a1": 4, "a2": 4, None: 22}
    finally:
        nsd.stop()


def test_a_domain_that_becomes_known(make_host, directory_of):
    """What was sent meanwhile counts as other, and is moved to its provider."""
    nsd = Nsd(directory_of("nsd"), ["one MX 10 mx.big.test."])

    def change(conf):
        with_caps()(conf)
        conf["streams"][-1]["pool"] = "fast"
        conf["dns"] = {"servers": [nsd.address]}
        conf["providers"] = {"big": {"mx": [".big.test"], "caps": {"hour": 50}},
                             "other": {"caps": {"hour": 1000}}}
        conf["grant_lifetime"] = "1h"
    try:
        host = make_host(change, start=False)
        host.policyd.start()
        nsd.process.send_signal(signal.SIGSTOP)
        with Socketmap(host.run / "lookup") as postfix:
            before = [(f"s{n}@x.test", f"r{n}@one.mail.test") for n in range(30)]
            # the first lease may come late: nothing leaves then, and Postfix asks again
            wait_for(lambda: address_of(postfix.pair(*before[0])[1]), what="the first lease")
            for one in before:
                wait_answered(host.run)
                assert address_of(postfix.pair(*one)[1]) == "a1"
        nsd.process.send_signal(signal.SIGCONT)
        wait_for(lambda: cap(host, "provider/a1/big")["caps"][0]["counted"] >= 30, what="the move")
        host.postpool("release", "provider/a1/other")
        wait_for(lambda: cap(host, "provider/a1/other")["caps"][0]["counted"] == 0,
                 what="everything to be given back at other")
        for one in before[:3]:  # these are settled at the provider
            host.postpool("settle", "returned", *one)
        after = Counter()

        def ask(count):
            after.update(take(host.run, count, domain="one.mail.test"))
            return after["a1"]
        ask(22)
        wait_for(lambda: ask(1) == 23, what="the last of those given back")  # a2 has the rest
        assert ask(10) == 23
    finally:
        nsd.process.send_signal(signal.SIGCONT)
        nsd.stop()


def test_settle_gives_back(make_host):
    """What never left makes room again, once."""
    host = make_host(with_caps(a1={"hour": 2}, a2={"hour": 1}), start=False)
    host.conf["grant_lifetime"] = "1h"
    host.conf["streams"][-1]["pool"] = "fast"
    host.write_conf()
    host.policyd.start()
    with Socketmap(host.run / "lookup") as postfix:
        asked = [(f"s{n}@x.test", f"r{n}@one.test") for n in range(4)]
        got = []
        for one in asked:
            wait_answered(host.run)
            got.append(address_of(postfix.pair(*one)[1]))
        assert got == ["a1", "a1", "a2", None]
        host.postpool("settle", "returned", *asked[0])
        host.postpool("settle", "returned", *asked[0], status=1)
        host.postpool("settle", "spent", *asked[1])
        host.postpool("settle", "returned", *asked[1], status=1)
    assert take(host.run, 50) == {"a1": 1, None: 49}


def test_release_and_reset(make_host):
    host = make_host(with_caps(a1={"hour": 40}, a2={"hour": 1}), start=False)
    host.conf["streams"][-1]["pool"] = "fast"
    host.write_conf()
    host.policyd.start()
    assert take(host.run, 50) == {"a1": 40, "a2": 1, None: 9}
    with Socketmap(host.run / "lookup") as postfix:
        host.postpool("reset", "address/a1")
        host.policyd.wait_log(r"reset: address/a1 by root \(uid 0\)")
        wait_for(lambda: address_of(ask_one(postfix, sender_domain="x.test")[2]) == "a1",
                 what="room after the reset")
        host.postpool("release", "address/a1")
        wait_for(lambda: cap(host, "address/a1")["held"] == 0, what="nothing held")
        host.policyd.wait_log(r"release: address/a1 by root")
    host.postpool("reset", "address/nosuch", status=1)
    host.postpool("reset", "", status=1)


def test_killed_in_a_loop(make_host):
    """No window is passed whatever is killed when; and no lookup finds room that is not there."""
    host = make_host(with_caps(a1=window("10s", 200), a2=window("20s", 100)), start=False)
    host.conf["streams"][-1]["pool"] = "fast"
    host.write_conf()
    host.policyd.start()
    loads = [Load(host.run / "lookup", pause=0.001, sender_domain=f"x{n}.test") for n in range(2)]
    for load in loads:
        load.start()
    begin = time.monotonic()
    kills = 0

    def from_each():
        return Counter(address for load in loads for _, _, address in list(load.grants))

    def killed_enough():
        nonlocal kills
        for worker in host.policyd.workers():
            try:
                host.policyd.signal_worker(worker, signal.SIGKILL)
                kills += 1
            except (ProcessLookupError, AssertionError):
                pass
        came = from_each()
        return (time.monotonic() - begin > 25 and kills > 5
                and came["a1"] > 100 and came["a2"] > 10)
    wait_for(killed_enough, 120, lambda: f"something to be sent all the same, was {from_each()}",
             every=0.4)
    for load in loads:
        load.stop()
    grants = [g for load in loads for g in load.grants]
    assert most_in_window([g for g in grants if g[2] == "a1"], 10) <= 200
    assert most_in_window([g for g in grants if g[2] == "a2"], 20) <= 100


def test_all_of_a_cap_is_used(make_host):
    host = make_host(with_caps(a1=window("10s", 1000)), start=False)
    host.conf["streams"][-1]["pool"] = "fast"
    host.write_conf()
    host.policyd.start()
    load = Load(host.run / "lookup", sender_domain="x.test")
    load.start()
    wait_for(lambda: load.grants and load.grants[-1][1] - load.grants[0][0] > 31,
             what="three windows and more")
    load.stop()
    a1 = [g for g in load.grants if g[2] == "a1"]
    begin = a1[0][0]
    assert most_in_window(a1, 10) <= 1000
    assert sum(g[1] < begin + 30 for g in a1) >= 0.98 * 3000


def test_a_full_disk(make_host, directory_of):
    """No lease that is not written down is given out; and it goes on when there is room."""
    disk = directory_of("disk")
    namespace.tmpfs_of(disk, "8m")
    host = make_host(with_caps(a1={"hour": 10000}, a2={"hour": 1}), start=False)
    host.conf["streams"][-1]["pool"] = "fast"
    host.conf["store"]["path"] = f"{disk}/state.db"
    disk.chmod(0o777)
    host.write_conf()
    host.policyd.start()
    with Socketmap(host.run / "lookup") as postfix:
        assert address_of(ask_one(postfix, sender_domain="x.test")[2]) == "a1"
        with open(disk / "ballast", "wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(b"x" * 4096)
            except OSError:
                pass

        def refused():
            return address_of(ask_one(postfix, sender_domain="x.test")[2]) is None
        wait_for(refused, 120, "the end of what is held", every=0)
        host.policyd.wait_log(r"no more is given out under caps until it works again")
        assert status(host)["store"]["up"] is False
        (disk / "ballast").unlink()
        host.policyd.wait_log(r"is back -- counting goes on")
        wait_for(lambda: address_of(ask_one(postfix, sender_domain="x.test")[2]) == "a1",
                 what="room again")
    host.policyd.stop()
    namespace.umount(disk)


def test_a_damaged_file(make_host):
    """Refused with a reason, not touched, and put aside by the admin alone."""
    host = make_host(with_caps(a1={"hour": 10}), start=False)
    path = host.run / "state.db"
    path.write_bytes(b"this is no database" * 1000)
    path.chmod(0o666)
    before = path.read_bytes()
    done = subprocess.run([*host.policyd.argv], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 1
    assert "it is left as it is" in done.stderr
    assert "postpool store set-aside" in done.stderr
    assert path.read_bytes() == before
    assert "a new one is begun" in host.postpool("store", "set-aside").stdout
    host.policyd.start()
    host.postpool("store", "set-aside", status=1)  # it runs
    with Socketmap(host.run / "lookup") as postfix:
        assert address_of(postfix.pair("a@lists.test", "b@one.test")[1]) in ("b1", "b2")


def test_pinned_to_another_node(make_host):
    """Not chosen here, though the host has the IP; and without a service of its own."""
    def change(conf):
        with_caps()(conf)
        conf["addresses"]["a1"]["node"] = "mta2"
        conf["addresses"]["a2"]["node"] = "mta1"
    host = make_host(change)
    (delivery,) = host.deliver("me@site.test", "a@one.test", ["X-Stream: transactional"])
    assert delivery.source == A2
    services = host.postfix.postconf("-M")
    assert "pp-a2 " in services
    assert "pp-a1 " not in services
    told = host.postpool("explain", "--sender", "me@site.test", "--recipient", "a@one.test",
                         "--header", "X-Stream: transactional").stdout
    assert re.search(r"fast +a1 .*pinned to another node", told)


def test_explain_names_the_cap(make_host):
    host = make_host(with_caps(a1={"hour": 3}, a2={"day": 1}), start=False)
    host.conf["streams"][-1]["pool"] = "fast"
    host.write_conf()
    host.policyd.start()
    asked = ("--sender", "me@x.test", "--recipient", "you@one.test")
    assert "address    a1, 127.0.1.1" in host.postpool("explain", *asked).stdout
    take(host.run, 20)
    done = host.postpool("explain", *asked, status=1).stdout
    assert re.search(r"address +none: the recipient is deferred \(4.7.1\) for want of room, "
                     r"expected in \d+ min", done)
    assert re.search(r"fast +a1 .*no room under a cap: address/a1 \(3 per hour\), expected in "
                     r"\d+ min", done)
    assert re.search(r"spare +a2 .*address/a2 \(1 per day\), expected in \d+ h", done)
    told = json.loads(host.postpool("--json", "explain", *asked, status=1).stdout)
    assert [c["cap"] for c in told["candidates"]] == ["address/a1", "address/a2"]
    assert told["full"] and told["caps_known"]
    host.policyd.stop()
    done = host.postpool("explain", *asked)  # by the configuration alone
    assert "so nothing is known of caps, suspensions and grades" in done.stderr


def test_a_damaged_entry(make_host):
    """It alone has no room, until it is forgotten."""
    host = make_host(with_caps(a1={"hour": 10}, a2={"hour": 5}), start=False)
    host.conf["streams"][-1]["pool"] = "fast"
    host.write_conf()
    host.policyd.start()
    host.policyd.stop()
    with sqlite3.connect(host.run / "state.db") as database:
        database.execute("UPDATE book SET data = x'00' WHERE key = 'address/a1'")
    database.close()
    host.policyd.start()
    host.policyd.wait_log(r"the entry of address/a1 is damaged; forget it with: postpool reset")
    with Socketmap(host.run / "lookup") as postfix:
        def ask():
            return address_of(ask_one(postfix, sender_domain="x.test")[2])
        got = Counter()

        def used():  # where the disk is slow, some find no room before the first lease is there
            got[ask()] += 1
            return got["a2"] == 5
        wait_for(used, what=lambda: got)
        assert Counter(ask() for _ in range(10)) == {None: 10}
        assert got["a1"] == 0
        host.postpool("reset", "address/a1")
        wait_for(lambda: address_of(ask_one(postfix, sender_domain="x.test")[2]) == "a1",
                 what="room after the reset")


def test_restart_keeps_what_was_counted(make_host):
    host = make_host(with_caps(a1={"day": 20}, a2={"day": 1}), start=False)
    host.conf["streams"][-1]["pool"] = "fast"
    host.write_conf()
    host.policyd.start()
    assert take(host.run, 15) == {"a1": 15}
    wait_answered(host.run)
    host.restart_policyd()
    # What was held came back at the end.
    assert take(host.run, 15) == {"a1": 5, "a2": 1, None: 9}


def test_reload_brings_caps_and_takes_them(make_host):
    host = make_host(start=False)
    host.conf["streams"][-1]["pool"] = "fast"
    host.conf["pools"]["fast"] = {"addresses": ["a1"]}
    host.write_conf()
    host.policyd.start()
    host.milter.start()
    assert take(host.run, 20) == {"a1": 20}
    conf = host.changed()
    conf["addresses"]["a1"]["caps"] = {"hour": 7}
    host.reload_conf(conf)
    assert take(host.run, 20) == {"a1": 7, None: 13}
    conf = host.changed()
    del conf["addresses"]["a1"]["caps"]
    host.reload_conf(conf)
    assert take(host.run, 20) == {"a1": 20}


@pytest.mark.parametrize("caps, said", [
    ({"hour": 0}, "addresses.a1.caps.hour: 0 is outside 1 to 1000000000"),
    ({"hours": 5}, 'addresses.a1.caps.hours: unknown key, did you mean "hour"?'),
    ({"windows": [{"length": "1h", "recipients": 5}], "hour": 6},
     "there is a cap for hour already, every window may stand once"),
    ({"windows": [{"length": "1s", "recipients": 5}]}, "outside"),
])
def test_mistakes(make_host, caps, said):
    host = make_host(start=False)
    host.conf["addresses"]["a1"]["caps"] = caps
    host.write_conf()
    done = host.postpool("check", status=2)
    assert said in done.stdout + done.stderr
