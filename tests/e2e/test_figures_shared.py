# SPDX-License-Identifier: MIT
"""Hosts that share a Redis show each other what happened to mail: postpool report tells of all."""

import json
import re
import shutil
import signal
import sqlite3
from contextlib import ExitStack
from datetime import datetime

import pytest

from harness import maillog
from harness.node import Node
from harness.programs import postpool
from harness.redis import DURABLE, SERVER, Redis
from harness.redis_sites import Cluster
from harness.wait import wait_for

PREFIX = "pp"


@pytest.fixture
def redis(directory_of):
    if not shutil.which(SERVER):
        pytest.skip(f"{SERVER} is not installed")
    server = Redis(directory_of("redis"), *DURABLE).start()
    yield server
    server.stop()


@pytest.fixture
def make_node(directory_of):
    """Policy daemons that follow logs which the test writes."""
    to_end = ExitStack()

    def make(name, url, prefix=PREFIX, root=None):
        root = root or directory_of("figures")
        log = root / f"{name}.log"
        log.touch()

        def change(conf):
            conf["store"]["prefix"] = prefix
            conf["feedback"] = {"log": str(log)}
            conf["figures"] = {"path": f"{root}/{name}/figures.db"}
            conf["providers"] = {"one": {"domains": ["one.test"]}}

        node = Node(root, name, url, change)
        node.log_path, node.sent = log, 0
        node.when = datetime.now()  # of all its results, so that they are of one hour
        to_end.callback(node.stop)
        node.start()
        wait_for(lambda: node.status()["figures"]["written_ms_ago"] >= 0, what="the first place to be kept")
        return node

    with to_end:
        yield make


def report(node, *args):
    return json.loads(postpool("-c", node.conf, "--json", "report", *args).stdout)


def sent(node, *args):
    return {row["node"]: row["sent"] for row in report(node, "--by", "node", *args)["rows"]}


def deliver(node, count, service="pp-d1", sender="news@a.test"):
    with node.log_path.open("a") as log:
        for _ in range(count):
            node.sent += 1
            queue_id = f"{node.sent:X}A"
            log.write(maillog.line("qmgr", f"{queue_id}: from=<{sender}>, size=5, nrcpt=1 (queue active)", node.when)
                      + maillog.result(queue_id, "r@one.test", maillog.SENT, service, when=node.when)
                      + maillog.line("qmgr", f"{queue_id}: removed", node.when))


def wait_sent(node, wanted, *args, limit=60):
    wait_for(lambda: sent(node, *args) == wanted, limit,
             lambda: f"{wanted}: {sent(node, *args)}, {node.status()['figures']}")


def shared(node):
    return node.status()["figures"]["shared"]


@pytest.fixture
def two(redis, make_node):
    """Two hosts that have sent, and know of each other."""
    first, second = make_node("mta1", redis.url), make_node("mta2", redis.url)
    deliver(first, 2)
    deliver(second, 3, "pp-a1")
    for node in (first, second):
        wait_sent(node, {"mta1": 2, "mta2": 3})
    return redis, first, second


def test_both_in_one_report(two):
    """Either tells of both, or of the one that is named; what comes is added, and replaces."""
    _, first, second = two
    for node, me in (first, "mta1"), (second, "mta2"):
        told = report(node)
        assert {row["address"]: row["sent"] for row in told["rows"]} == {"d1": 2, "a1": 3}
        assert told["total"]["sent"] == 5
        assert told["nodes"] == [me, *sorted({"mta1", "mta2"} - {me})]
        assert told["others_current"] and told["others_as_of"] > 0
        assert sent(node, "--node", "mta1") == {"mta1": 2}
        assert report(node, "--node", "mta2")["nodes"] == ["mta2"]
        text = postpool("-c", node.conf, "report").stdout
        assert re.match(r"recipients on mta\d, mta\d from .*\nwhat other hosts counted is as of .* ago\n", text)
        assert re.search(r"^figures: shared with other hosts \(1 known\), theirs are as of \d+ s ago$",
                         postpool("-c", node.conf, "status").stdout, re.M)
    assert "there are no figures of mta9, but of mta1 mta2" in \
        postpool("-c", first.conf, "report", "--node", "mta9", status=1).stderr
    deliver(second, 4)
    wait_sent(first, {"mta1": 2, "mta2": 7})
    deliver(first, 1)
    wait_sent(second, {"mta1": 3, "mta2": 7})


def test_warnings_of_both(redis, make_node):
    """Neither host alone has so much mail of a kind from one address."""
    first, second = make_node("mta1", redis.url), make_node("mta2", redis.url)
    deliver(first, 150, "pp-b1", "news@lists.test")
    deliver(second, 150, "pp-b1", "me@a.test")
    for node in (first, second):
        wait_sent(node, {"mta1": 150, "mta2": 150})
        assert [w["what"] for w in report(node)["warnings"]] == ["mixed"]
        assert "address b1 sends different kinds of mail: 50 % " in report(node)["warnings"][0]["text"]


def test_a_host_that_is_gone(two, make_node):
    """It is still in the reports, also of a host that came later, and of a Redis that lost all."""
    redis, first, second = two
    second.daemon.stop()
    third = make_node("mta3", redis.url)
    wait_sent(third, {"mta1": 2, "mta2": 3})
    second.daemon.stop()
    redis.cli("FLUSHALL")
    deliver(first, 1)
    wait_sent(third, {"mta1": 3, "mta2": 3})
    assert sent(first) == {"mta1": 3, "mta2": 3}


def pages(redis):
    return sorted(key for key in redis.cli("KEYS", f"{{{PREFIX}}}:hours:*").split()
                  if key.count(":") == 3)


def test_redis_loses_all(two, make_node):
    """All hours are shown again, from the files."""
    redis, first, second = two
    second.daemon.stop()
    with sqlite3.connect(second.run / "figures.db") as db:  # as if it had sent for some days
        columns = [row[1] for row in db.execute("PRAGMA table_info(mail)")][1:]
        for back in range(1, 50):
            db.execute(f"INSERT INTO mail SELECT hour - {back}, {', '.join(columns)} FROM mail "
                       "WHERE hour = (SELECT max(hour) FROM mail)")
        db.execute("DELETE FROM changes")
    db.close()
    second.start()
    wait_sent(first, {"mta1": 2, "mta2": 150})
    assert len(pages(redis)) == 51
    before = pages(redis)
    redis.cli("FLUSHALL")
    deliver(second, 1)  # it has something to show at once, and must not forget the others for it
    wait_for(lambda: pages(redis) == before, 60, lambda: f"{len(pages(redis))}, {shared(second)}")
    wait_sent(first, {"mta1": 2, "mta2": 151})
    third = make_node("mta3", redis.url)
    wait_sent(third, {"mta1": 2, "mta2": 151})
    top = f"{{{PREFIX}}}:hours"
    for key in (top, *redis.cli("KEYS", f"{top}:*").split()):
        assert 0 < int(redis.cli("PTTL", key)) <= (90 * 24 + 1) * 3600 * 1000
    redis.restart(lose=True)
    wait_for(lambda: pages(redis) == before, 90, lambda: f"{len(pages(redis))}, {shared(second)}")


def test_redis_is_away(two):
    """The report answers, and says what is missing; what was counted meanwhile is shown later."""
    redis, first, second = two
    redis.stop()
    deliver(first, 1)
    deliver(second, 1)
    wait_for(lambda: not report(first)["others_current"], what="the loss to be told")
    wait_sent(first, {"mta1": 3, "mta2": 3})
    text = postpool("-c", first.conf, "report").stdout
    assert re.search(r"as of .* ago, what they counted since then is MISSING: the store is away\n", text)
    first.daemon.stop()
    first.start()
    wait_sent(first, {"mta1": 3, "mta2": 3})
    assert "it was not to be had from the store since the start: the store is away\n" in \
        postpool("-c", first.conf, "report").stdout
    wait_for(lambda: "NOT SHARED now" in postpool("-c", first.conf, "status").stdout, what="the reason")
    redis.start()
    for node in (first, second):
        wait_sent(node, {"mta1": 3, "mta2": 4})
        wait_for(lambda: report(node)["others_current"], what="all to be well")  # pylint: disable=cell-var-from-loop


def test_redis_hangs(two):
    """Reports go on without it."""
    redis, first, _ = two
    redis.signal(signal.SIGSTOP)
    try:
        deliver(first, 1)
        wait_sent(first, {"mta1": 3, "mta2": 3})
        wait_for(lambda: not report(first)["others_current"], what="the loss to be told")
    finally:
        redis.signal(signal.SIGCONT)
    wait_for(lambda: report(first)["others_current"], what="Redis")


def test_another_name(two, make_node):
    """A host that goes by another name counts once; one that lost its file is told of it by others."""
    redis, first, second = two
    second.daemon.stop()
    second.conf.write_text(second.conf.read_text().replace('"mta2"', '"new2"'))
    second.start()
    deliver(second, 1)
    wait_sent(first, {"mta1": 2, "new2": 4})
    second.daemon.stop()
    for path in second.run.glob("figures.db*"):
        path.unlink()
    second.start()
    # Without a place that is kept the log is read from its end, wherever that is then.
    wait_for(lambda: second.status()["figures"]["written_ms_ago"] >= 0, what="its place in the log")
    deliver(second, 1)
    for node in (first, second):
        wait_sent(node, {"mta1": 2, "new2": 5})
    assert shared(second)["others"] == 2


def test_nonsense_in_redis(two):
    """What is no page is not counted, and harms nothing."""
    redis, first, second = two
    top, strange = f"{{{PREFIX}}}:hours", "0123456789abcdef"
    hour = pages(redis)[0].rpartition(":")[2]
    redis.cli("HSET", f"{top}:{strange}:{hour}", "page", "postpool-hour 1 mta9\nm4:bulk")
    redis.cli("EVAL", "redis.call('HSET', KEYS[1], 'page', 'postpool-hour 1 mta9\\n\\0' .. string.rep('x', 9999))",
              1, f"{top}:{strange}:{int(hour) - 1}")
    redis.cli("HSET", f"{top}:{strange}", hour, "1", int(hour) - 1, "1", "x", "2", "99999999", "3")
    redis.cli("HSET", top, strange, "1", "moon", "1", "fedcba9876543210", "x")
    wait_for(lambda: report(first) and shared(first)["odd"] == 2, 60, lambda: shared(first))
    deliver(second, 1)
    wait_sent(first, {"mta1": 2, "mta2": 4})
    assert report(first)["nodes"] == ["mta1", "mta2"]


def test_an_error_of_redis(two):
    """What it does not take is shown later; caps and lookups do not notice."""
    redis, first, second = two
    top = f"{{{PREFIX}}}:hours"
    redis.cli("DEL", top)
    redis.cli("SET", top, "something else")
    deliver(second, 1)
    second.daemon.wait_log("figures: not shared: WRONGTYPE .* -- what was counted here is shown")
    wait_sent(second, {"mta1": 2, "mta2": 4})
    assert "NOT SHARED now: WRONGTYPE" in postpool("-c", second.conf, "status").stdout
    assert second.status()["store"]["up"] and second.status()["store"]["errors"] == 0
    redis.cli("DEL", top)
    wait_sent(first, {"mta1": 2, "mta2": 4})
    second.daemon.wait_log("figures: shared again")


def test_too_much_for_a_page(two):
    """The accounts with most mail are told by name, the sum is right, and the status tells of it."""
    _, first, second = two
    for number in range(700):
        deliver(second, 2 if number < 400 else 1, sender=f"x@b{number}.test")
    wait_sent(first, {"mta1": 2, "mta2": 1103}, limit=90)
    rows = {row["account"]: row["sent"] for row in report(first, "--by", "account")["rows"]}
    assert sum(rows.values()) == 1105
    assert rows["*"] == 701 - 500 and rows["b1.test"] == 2 and len(rows) == 501
    assert shared(second)["merged"] == 201
    assert "201 rows of the last page were too many" in postpool("-c", second.conf, "status").stdout


def test_cluster(directory_of, make_node):
    """All keys of a prefix are in one slot, which moves."""
    cluster = Cluster(directory_of("cluster"), 6640)
    try:
        first = make_node("mta1", cluster.stranger(PREFIX))
        second = make_node("mta2", cluster.url)
        deliver(first, 1)
        deliver(second, 2)
        wait_sent(first, {"mta1": 1, "mta2": 2})
        cluster.move(PREFIX, lambda: deliver(second, 1))
        deliver(first, 1)
        for node in (first, second):
            wait_sent(node, {"mta1": 2, "mta2": 3})
    finally:
        cluster.stop()


def test_rights(directory_of, make_node):
    """What postpool.conf(5) says that a user of Redis' own needs is enough."""
    server = Redis(directory_of("redis"), port=6660).start()
    try:
        server.cli("ACL", "SETUSER", "pp", "on", ">secret", f"~{{{PREFIX}}}:*",
                   *"+evalsha +script|load +wait +info +role +select +time +hgetall +hget +hset +hdel "
                   "+hlen +pexpire +pttl".split())
        first, second = (make_node(name, "redis://pp:secret@127.0.0.1:6660") for name in ("mta1", "mta2"))
        deliver(first, 1)
        wait_sent(second, {"mta1": 1})
        assert server.cli("ACL", "LOG") == ""
    finally:
        server.stop()


def test_without_sharing(make_node, directory_of):
    """A store of one host has nothing to share."""
    root = directory_of("single")
    node = make_node("mta1", "unix:/nowhere", root=root)
    node.daemon.stop()
    text = node.conf.read_text()
    node.conf.write_text(re.sub(r'type *[=:] *"redis";', 'type = "sqlite";', re.sub(r'url *[=:] *"[^"]*";', "", text)))
    node.start()
    deliver(node, 1)
    wait_sent(node, {"mta1": 1})
    assert "shared" not in node.status()["figures"] and "others_current" not in report(node)
    assert "other hosts" not in postpool("-c", node.conf, "report").stdout
