# SPDX-License-Identifier: MIT
"""Deferred mail is taken up again by postpool, when it can leave and not before."""

import re
import signal
import time

from harness.caps import A1, submit_many, window, with_caps
from harness.grants import take
from harness.wait import wait_for
from harness.waking import NEVER, arrivals, of_stream, status, wait_all, waking

BULK = ("X-Stream: bulk",)


def test_a_cap_is_used(make_host):
    """Four times as much as fits, and nobody but postpool takes it up: the cap is used."""
    host = make_host(with_caps(a1=window("20s", 40), a2=window("20s", 20)), NEVER, start=False)
    waking(host)
    host.start()
    ids = submit_many(host, 240)
    wait_for(lambda: len(arrivals(host, ids)) >= 60, what="what has room at once")
    wait_all(host, ids, 160)  # 60 s on a machine that does nothing else; bench/pools has the share
    for source, most in ((A1, 40), ("127.0.1.2", 20)):
        times = sorted(d.at for d in host.sink.deliveries if d.source == source)
        # Deliveries are not grants: those may arrive seconds later where the machine is slow.
        assert max(sum(at <= t < at + 15 for t in times) for at in times) <= most
    wait_for(lambda: status(host)["wake"]["waiting"] == 0, what="the last results")
    deferred = set(re.findall(r" (\w+): to=.* status=deferred", host.postfix.log()))
    assert status(host)["wake"]["woken"] <= len(deferred) * 1.1  # none was taken up in vain
    host.postfix.wait_queue_empty()


def shared_pool(conf):
    """Two streams leave by one address with room for 6 in 20 s."""
    with_caps(a1=window("20s", 6))(conf)
    conf["pools"]["fast"].pop("overflow")
    for stream in conf["streams"][:2]:
        stream["pool"] = "fast"
        if stream["name"] == "transactional":
            stream["priority"] = 10


def test_the_oldest_first_and_priority_before(make_host):
    host = make_host(shared_pool, NEVER, start=False)
    waking(host)
    host.start()
    # They gather in their own time, and what has room is there before them.
    host.postpool("suspend", "a1", "--domain", "one.test", "--why", "until all wait")
    older = submit_many(host, 6, headers=BULK)
    wait_for(lambda: of_stream(host, "bulk")["waiting"] == 6, what="six to wait")
    time.sleep(3)  # Postfix tells how old a message is in seconds
    younger = submit_many(host, 6, headers=BULK)
    urgent = submit_many(host, 6)
    wait_for(lambda: of_stream(host, "bulk")["waiting"] == 12, what="twelve to wait")
    wait_for(lambda: of_stream(host, "transactional")["waiting"] == 6, what="six in a hurry")
    # Postfix' resolver keeps its last answer, which must be none of theirs.
    host.deliver("x@site.test", "last@one.test")
    assert of_stream(host, "bulk")["oldest_waiting_ms"] > 2000
    assert re.search(r"(?m)^bulk +fast +\d+ +0 +12 +\d", host.postpool("status").stdout)
    assert take(host.run, 6, domain="two.test", sender_domain="lists.test") == {"a1": 6}
    host.postpool("resume", "a1", "--domain", "one.test")
    ids = urgent + older + younger
    wait_all(host, ids)
    order = [ids[place] for _, place in arrivals(host, ids)]
    assert set(order[:6]) == set(urgent)
    assert set(order[12:]) == set(younger)


def test_what_waits_is_known_after_a_restart(make_host):
    host = make_host(shared_pool, NEVER, start=False)
    waking(host)
    host.start()
    ids = submit_many(host, 18, headers=BULK)
    wait_for(lambda: of_stream(host, "bulk")["waiting"] == 12, what="twelve to wait")
    wait_for(lambda: status(host)["figures"]["waiting"] == 0, what="that to be kept")
    for worker in host.policyd.workers():
        host.policyd.signal_worker(worker, signal.SIGKILL)
    wait_all(host, ids)
    assert status(host)["wake"]["woken"] >= 11  # the count began anew with the worker
    host.postfix.wait_queue_empty()


def test_many_recipients(make_host):
    """A message with more of them than there is room for comes a few times, not for each."""
    host = make_host(with_caps(a1=window("10s", 10), a2=window("10s", 5)), NEVER, start=False)
    waking(host)
    host.start()
    wanted = [f"r{n}@one.test" for n in range(60)]
    test_id = host.submit("app@site.test", wanted, ("X-Stream: transactional",))
    deliveries = host.sink.wait(test_id, 60, 180)
    assert sorted(r for d in deliveries for r in d.recipients) == sorted(wanted)
    host.postfix.wait_queue_empty()
    # At best 45, 30 and 15 of them are deferred again; and some while the store takes its time.
    log = host.postfix.log()
    assert log.count("status=deferred (postpool: no room under the caps, expected") < 4 * 60
    assert log.count("(queue active)") < 60 / 2


def test_the_last_answer_of_the_resolver(make_host):
    """Alone in the queue it would get the answer again that it had: it waits for half a minute."""
    host = make_host(with_caps(a1={"hour": 100}, a2={"hour": 100}), NEVER, start=False)
    waking(host)
    host.start()
    for name in ("a1", "a2"):
        host.postpool("suspend", name, "--why", "until it waits")
    ids = submit_many(host, 1)
    wait_for(lambda: status(host)["wake"]["waiting"] == 1, what="it to wait")
    for name in ("a1", "a2"):
        host.postpool("resume", name)
    wait_all(host, ids)
    assert status(host)["wake"]["woken"] == 1
    assert host.postfix.log().count("status=deferred") == 1


def test_so_many_of_a_stream_are_under_way(make_host):
    """No caps: what is one too many is deferred, and taken up as others are done."""
    def change(conf):
        next(s for s in conf["streams"] if s["name"] == "bulk")["active"] = 3
    host = make_host(change, NEVER, start=False)
    waking(host)
    host.start()
    # A log that says nothing is not counted on: let there be a line.
    host.deliver("app@site.test", "first@one.test")
    host.postfix.wait_log("status=sent")
    wait_for(lambda: of_stream(host, "default")["under_way"] == 0, what="the log to be read")
    ids = submit_many(host, 40, headers=BULK)
    fast = submit_many(host, 5)
    wait_all(host, ids)
    wait_for(lambda: len(arrivals(host, fast)) == 5, what="the others")
    assert "(chosen when it was woken)" in host.postpool("tail", "--once", "-n", "1000").stdout
    assert "status=deferred (postpool: enough mail of its stream is under way)" in \
        host.postfix.log()
    assert status(host)["busy"] > 0
    wait_for(lambda: of_stream(host, "bulk")["under_way"] == 0, what="all results")


def test_nothing_is_woken_where_that_is_not_wanted(make_host):
    host = make_host(with_caps(a1=window("10s", 5), a2=window("10s", 5)), start=False)
    waking(host, rate=0)
    host.start()
    ids = submit_many(host, 12)
    wait_for(lambda: len(arrivals(host, ids)) == 12, 120, what="all of them, by Postfix alone")
    assert "wake" not in status(host)
    host.conf["wake"]["rate"] = 100
    host.reload_conf(host.conf)
    assert status(host)["wake"]["per_second"] == 100
