# SPDX-License-Identifier: MIT
"""Hours of a stream, its deadline, and how much of its mail is delivered in time."""

import json
import re
import signal
import time

from harness.caps import submit_many, window, with_caps
from harness.wait import wait_for
from harness.waking import NEVER, arrivals, of_stream, status, wait_all, waking

BULK = ("X-Stream: bulk",)
CLOSED = "postpool: outside the hours of its stream, they begin within an hour"


def clock_before(seconds, what=12 * 3600):
    """The rule of a time zone whose clocks show that time of day in so many seconds."""
    east = int(what - (time.time() + seconds) % 86400)
    sign, east = ("-" if east >= 0 else ""), abs(east)
    return f"TST{sign}{east // 3600}:{east // 60 % 60:02}:{east % 60:02}"


def stream_of(conf, name):
    return next(s for s in conf["streams"] if s["name"] == name)


def opens_in(seconds, name="bulk"):
    def change(conf):
        stream_of(conf, name).update(hours="12:00-13:00", time_zone=clock_before(seconds))
    return change


def results(host, test_id):
    """Status and words of each try."""
    found = re.search(rf"(\w+): message-id=<{test_id}", host.postfix.log())
    if not found:
        return []
    return re.findall(rf"{found[1]}: to=.* status=(\w+) \((.*)\)", host.postfix.log())


def wait_states(host, test_id, *states):
    """Its results are these; the log tells of mail later than it comes."""
    wait_for(lambda: len(results(host, test_id)) >= len(states), what="all of its results")
    assert tuple(state for state, _ in results(host, test_id)) == states


def test_outside_its_hours_mail_waits_and_then_leaves_by_priority(make_host):
    """Nothing of it is in the active queue, that of others leaves; and then all of it does."""
    def both_open_in(seconds, conf):
        for name in ("bulk", "default"):
            opens_in(seconds, name)(conf)

    def change(conf):
        with_caps()(conf)
        both_open_in(3600, conf)
        for name in ("bulk", "default"):
            stream_of(conf, name)["pool"] = "bulk"
        conf["pools"]["bulk"] = {"addresses": ["b1"]}
        conf["addresses"]["b1"]["caps"] = window("10s", 30)
        stream_of(conf, "bulk")["priority"] = 5

    host = make_host(change, NEVER, start=False)
    waking(host)
    host.start()
    low = submit_many(host, 30, headers=())
    high = submit_many(host, 30, headers=BULK)
    wait_for(lambda: status(host)["wake"]["waiting"] == 60, what="all to wait")
    # The resolver keeps its last answer, which must be none of theirs.
    host.deliver("x@site.test", "x@one.test", ("X-Stream: transactional",))
    wait_for(lambda: {entry["queue_name"] for entry in host.postfix.queue()} == {"deferred"},
             what="an active queue that is empty")
    assert host.postfix.log().count(f"status=deferred ({CLOSED})") == 60
    told = status(host)
    assert told["outside_hours"] == 60
    assert 0 < of_stream(host, "bulk")["opens_in_ms"] <= 3600000
    assert of_stream(host, "transactional")["opens_in_ms"] == 0
    text = host.postpool("status").stdout
    assert "\nstream bulk is outside its hours until " in text and " 12:00\n" in text
    assert "60 outside its hours; 0 were past its deadline" in text
    explained = host.postpool("explain", "--sender", "x@site.test", "--recipient", "x@one.test",
                              "--header", BULK[0]).stdout
    assert re.search(r"(?m)^hours      outside its hours, until \d{4}-\d\d-\d\d 12:00$", explained)
    wait_for(lambda: status(host)["figures"]["waiting"] == 0, what="that to be kept")
    host.policyd.stop()
    opens_at = time.time() + 20
    both_open_in(20, host.conf)
    host.write_conf()
    host.policyd.start()
    wait_all(host, low + high)
    seen = arrivals(host, low + high)
    assert seen[0][0] >= opens_at - 1
    assert all(place >= 30 for _, place in seen[:30])  # and 30 of the other in the next 10 s
    assert seen[30][0] > opens_at + 8
    host.postfix.wait_queue_empty()
    assert "hours      within them\n" in host.postpool(
        "explain", "--sender", "x@site.test", "--recipient", "x@one.test", status=None).stdout


def test_hours_hold_over_a_restart_and_a_reload_ends_them(make_host):
    host = make_host(opens_in(3600), NEVER, start=False)
    waking(host)
    host.start()
    ids = submit_many(host, 5, headers=BULK)
    wait_for(lambda: of_stream(host, "bulk")["waiting"] == 5, what="five to wait")
    wait_for(lambda: status(host)["figures"]["waiting"] == 0, what="that to be kept")
    for worker in host.policyd.workers():
        host.policyd.signal_worker(worker, signal.SIGKILL)
    wait_for(lambda: host.policyd.workers() and host.postpool("status", status=None).returncode == 0
             and of_stream(host, "bulk")["waiting"] == 5, what="five to wait, as before")
    assert not arrivals(host, ids)
    conf = host.changed()
    stream_of(conf, "bulk").pop("hours")
    stream_of(conf, "bulk").pop("time_zone")
    host.reload_conf(conf)
    wait_all(host, ids)  # within the minute that such a lane sleeps


def test_past_its_deadline_mail_is_returned(make_host):
    """What waits for its hours or for room is, of its own accord; what comes in time is not."""
    def change(conf):
        opens_in(3600)(conf)
        with_caps(a1=window("1h", 1), a2=window("1h", 1))(conf)
        for name in ("bulk", "transactional"):
            stream_of(conf, name)["deadline"] = "15s"

    host = make_host(change, NEVER, start=False)
    waking(host)
    host.start()
    begin = time.time()
    closed = host.submit("games@local.test", ["x@one.test"], BULK)
    full = [host.submit("app@site.test", [f"r{n}@one.test"], ("X-Stream: transactional",))
            for n in range(4)]
    wait_for(lambda: len(arrivals(host, full)) == 2, what="two that have room")
    bounce = host.postfix.wait_mailbox("games", closed).decode()
    assert time.time() >= begin + 15
    assert "Status: 5.4.7" in bounce
    words = " ".join(bounce.split())
    assert ("postpool: it could not be delivered in time, and is not sent later than 15s after it "
            "came in") in words
    wait_states(host, closed, "deferred", "bounced")
    wait_for(lambda: host.postfix.log().count("status=bounced") == 3, what="three to be returned")
    sent = [d for d in list(host.sink.deliveries) if d.sender != "<>"]
    assert len(sent) == 2 and {d.id for d in sent} < set(full)
    assert status(host)["expired"] == 3
    wait_for(lambda: status(host)["wake"]["waiting"] == 0, what="none to wait")
    # Nobody is accused of it.
    wait_for(lambda: "bounced by what replies accuse: none 3\n" in host.postpool("report").stdout,
             what="the figures")
    assert all(item["present"] for item in status(host)["addresses"])
    assert "suspended" not in host.policyd.log()
    host.postfix.wait_queue_empty()


def test_a_message_whose_time_is_over_is_not_tried(make_host):
    """Greylisted, and tried again too late; the age is known without a log."""
    host = make_host(lambda conf: stream_of(conf, "transactional").update(deadline="10s"),
                     {"minimal_backoff_time": "15s", "maximal_backoff_time": "15s",
                      "queue_run_delay": "2s"})
    test_id = host.submit("games@local.test", ["defer-once-x@one.test"],
                          ("X-Stream: transactional",))
    wait_for(lambda: results(host, test_id), what="the first try")
    # Postfix' resolver keeps its last answer, which must not be that message's.
    host.deliver("x@site.test", "x@one.test")
    bounce = host.postfix.wait_mailbox("games", test_id).decode()
    assert "Status: 5.4.7" in bounce
    wait_states(host, test_id, "deferred", "bounced")
    assert not arrivals(host, [test_id])
    tagged = re.search(r"from=<(games\+pp=transactional\.[^>]*)>", host.postfix.log())[1]
    told = host.postpool("explain", "--sender", tagged, "--recipient", "x@one.test").stdout
    assert "\ndeadline   10s after it came in, which is over: it is returned\n" in told


def test_what_is_delivered_in_time_is_told(make_host):
    """Three at once and two after 15 s, where three of four are to be within 10 s."""
    host = make_host(lambda conf: stream_of(conf, "transactional").update(slo="10s", slo_share=75),
                     {"minimal_backoff_time": "15s", "maximal_backoff_time": "15s",
                      "queue_run_delay": "1s"}, start=False)
    waking(host)
    host.start()

    def told():
        return of_stream(host, "transactional")["slo"]

    assert told() == {"ms": 10000, "percent": 75, "sent": 0, "within": 0, "breached": False}
    submit_many(host, 2)
    wait_for(lambda: told()["sent"] == 2, what="two results")
    assert told()["within"] == 2 and not told()["breached"]
    submit_many(host, 1)
    host.submit("app@site.test", ["defer-once-y@one.test"], ("X-Stream: transactional",))
    host.submit("app@site.test", ["defer-once-z@one.test"], ("X-Stream: transactional",))
    wait_for(lambda: told()["sent"] == 5, what="all results")
    assert told()["within"] == 3 and told()["breached"]
    text = host.postpool("status").stdout
    assert ("\nstream transactional: 3 of 5 within 10s in the last hour, 75 % are to be: BREACHED"
            "\n") in text
    assert "slo" not in of_stream(host, "bulk")
    report = json.loads(host.postpool("--json", "report", "--by", "stream").stdout)
    row = next(row for row in report["rows"] if row["stream"] == "transactional")
    assert row["slo"]["share"] == 0.6 and row["slo"]["breached"]
    assert ("stream transactional: about 60.0 % within 10s, 75 % are to be: BREACHED"
            in host.postpool("report", "--by", "stream").stdout)
    wait_for(lambda: "-- its slo is breached" in host.policyd.log(), what="the breach to be told")
    wait_for(lambda: submit_many(host, 6) and "its slo holds again after" in host.policyd.log(),
             what="it to be over", every=1)
    lines = [line for line in host.policyd.log().splitlines() if " its slo " in line]
    assert "stream transactional: 3 of 5 within" in lines[0] and "holds again" in lines[1]
