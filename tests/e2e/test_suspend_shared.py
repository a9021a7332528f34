# SPDX-License-Identifier: MIT
"""Suspensions that several hosts share through one Redis."""

import json
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from harness.grants import address_of, ask_one
from harness.node import hosts
from harness.programs import postpool
from harness.socketmap import Socketmap
from harness.wait import wait_for


def two_addresses(conf):
    conf["addresses"]["d1"]["caps"] = {"day": 100000}
    conf["pools"]["rest"] = {"addresses": ["d1", "s1"]}


def taken(node, count=40):
    with Socketmap(node.lookup) as postfix:
        return Counter(address_of(ask_one(postfix, "one.test", "x.test")[2]) for _ in range(count))


def run(node, *args, status=0):
    return postpool("-c", node.conf, *args, status=status).stdout


def held(node):
    """{what: state}"""
    found = json.loads(run(node, "suspensions", "--json"))["suspensions"]
    return {one.get("address") or one["account"]: one["state"] for one in found}


def restart(node):
    node.daemon.stop()
    node.start()


def test_all_hosts_follow(make_nodes):
    """Suspended on one, resumed on the other; a host that starts later knows, too."""
    _, (one, two) = make_nodes(two_addresses, *hosts(2))
    run(one, "suspend", "d1", "--why", "x")
    wait_for(lambda: held(two) == {"d1": "suspended"}, 10, "the other host to know")
    assert set(taken(two)) == {"s1"}
    restart(two)
    assert set(taken(two)) == {"s1"}
    run(two, "resume", "d1")
    wait_for(lambda: held(one) == {}, 10, "the first host to know")
    assert set(taken(one)) == {"d1", "s1"}
    restart(one)
    assert held(one) == {}


def test_at_the_same_time(make_nodes):
    """Each host suspends something, and both the same thing: all of it holds on both."""
    _, nodes = make_nodes(two_addresses, *hosts(2))

    def suspend(node):
        for number in range(20):
            run(node, "suspend", "--account", f"{node.name}-{number}.test", "--why", "x")
            run(node, "suspend", "--account", f"both-{number}.test", "--why", node.name)
    with ThreadPoolExecutor() as pool:
        list(pool.map(suspend, nodes))
    names = {f"{who}-{number}.test" for who in ("mta0", "mta1", "both") for number in range(20)}
    for node in nodes:
        wait_for(lambda: set(held(node)) == names, 20, "all of it")

    def whys(node):
        return {one["account"]: one["why"] for one in
                json.loads(run(node, "suspensions", "--json"))["suspensions"]}
    wait_for(lambda: whys(nodes[0]) == whys(nodes[1]), 20, "both to say the same")


def test_redis_loses_all(make_nodes):
    """The hosts put back what they know; what was resumed does not come back."""
    redis, (one, two) = make_nodes(two_addresses, *hosts(2))
    run(one, "suspend", "d1", "--why", "x")
    run(one, "suspend", "--account", "gone.test", "--why", "x")
    wait_for(lambda: len(held(two)) == 2, 10, "the other host to know")
    run(two, "resume", "--account", "gone.test")
    wait_for(lambda: held(one) == {"d1": "suspended"}, 10, "the first host to know")
    redis.restart(lose=True)
    wait_for(lambda: "breaker/address/d1" in redis.cli("HGETALL", "{postpool}:records"), 30,
             "the record to be put back")
    restart(one)
    assert held(one) == held(two) == {"d1": "suspended"}
    run(one, "resume", "d1")
    wait_for(lambda: held(two) == {}, 10, "the other host to know")


def test_redis_is_away(make_nodes):
    """What is suspended meanwhile holds here, and is told when Redis is back."""
    redis, (one, two) = make_nodes(two_addresses, *hosts(2))
    redis.signal(signal.SIGSTOP)
    try:
        run(one, "suspend", "d1", "--why", "x")
        assert set(taken(one)) <= {"s1", None}
        run(two, "suspend", "s1", "--why", "y")
    finally:
        redis.signal(signal.SIGCONT)
    for node in (one, two):
        wait_for(lambda: held(node) == {"d1": "suspended", "s1": "suspended"}, 30, "both to know")


def test_orders_just_before_the_end(make_nodes):
    """They are kept, one after another of the same thing, though the store is slow to answer."""
    redis, (node,) = make_nodes(two_addresses, *hosts(1))
    run(node, "suspend", "s1", "--why", "x")
    redis.cli("CLIENT", "PAUSE", "1500")
    run(node, "resume", "s1")
    run(node, "drain", "d1", "--why", "x")
    run(node, "suspend", "s1", "--why", "y")
    run(node, "resume", "d1")
    run(node, "resume", "s1")
    run(node, "grade", "a.test", "trusted", "--for", "1h", "--why", "x")
    run(node, "grade", "a.test", "attention", "--for", "1h", "--why", "y")
    restart(node)
    assert held(node) == {}
    accounts = json.loads(run(node, "accounts", "--json"))["accounts"]
    assert [(one["account"], one["grade"]) for one in accounts] == [("a.test", "attention")]


def test_another_host_is_first_just_before_the_end(make_nodes):
    """What it wrote is heard of at the end, and what this host ordered is put behind it."""
    redis, (one, two) = make_nodes(two_addresses, *hosts(2))
    redis.cli("CLIENT", "PAUSE", "1500")
    run(two, "suspend", "d1", "--why", "y")
    run(one, "drain", "d1", "--why", "x")
    restart(one)
    wait_for(lambda: held(two) == {"d1": "suspended"}, 10, "the other host to know")
    for node in (one, two):
        wait_for(lambda: "y; drained: x" in run(node, "suspensions"), 10, "both orders")


def test_many_that_come_and_go(make_nodes):
    """Nothing is left of what is over, whatever a host missed meanwhile."""
    redis, (one, two) = make_nodes(two_addresses, *hosts(2))
    run(one, "suspend", "--account", "stays.test", "--why", "x")
    wait_for(lambda: "stays.test" in held(two), 10, "the other host to know")
    two.daemon.stop()
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda n: run(one, "suspend", "--account", f"n{n}.test", "--why", "x"),
                      range(40)))
        list(pool.map(lambda n: run(one, "resume", "--account", f"n{n}.test"), range(40)))
    two.start()
    assert held(two) == {"stays.test": "suspended"}
    assert held(one) == {"stays.test": "suspended"}
    fields = redis.cli("HGETALL", "{postpool}:records")
    assert "stays.test" in str(fields)
