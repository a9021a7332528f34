# SPDX-License-Identifier: MIT
"""Several hosts on one Redis: no cap is passed by them together, whatever is killed."""

import json
import os
import random
import signal
import time
from collections import Counter

import pytest

from conftest import need_world
from harness.grants import Load, most_in_window
from harness.programs import postpool
from harness.shared import Node, Redis
from harness.wait import wait_for

CHAOS_S = 120 if os.environ.get("POSTPOOL_LONG") else 20


def cap_of(length, recipients, smooth=False):
    def change(conf):
        conf["addresses"]["d1"]["caps"] = {
            "windows": [{"length": length, "recipients": recipients, "smooth": smooth}]}
    return change


@pytest.fixture
def cluster(directory_of):
    """A function that makes a Redis and so many nodes on it."""
    need_world()
    made = []

    def make(count, change, **kwargs):
        root = directory_of("shared")
        redis = Redis(directory_of("redis"))
        nodes = [Node(root, f"mta{n}", f"unix:{redis.socket}", change, **kwargs)
                 for n in range(count)]
        made.append((redis, nodes))
        for node in nodes:
            node.start()
        return redis, nodes

    yield make
    for redis, nodes in made:
        for node in nodes:
            if node.daemon.running:
                node.stop()
        redis.stop()


def loads(nodes, pause=0.002):
    """One client at each node, asking for d1 alone."""
    made = [Load(node.lookup, pause=pause, sender_domain=f"{node.name}.test") for node in nodes]
    for load in made:
        load.start()
    return made


def finish(made):
    for load in made:
        load.stop()
    return [grant for load in made for grant in load.grants]


def test_a_cap_is_shared(cluster):
    """All of it is used, none of it twice, and Redis is asked seldom."""
    def change(conf):
        cap_of("10s", 10000)(conf)
        conf["store"]["node_timeout"] = "60s"  # signs of life are calls, too
    _, nodes = cluster(4, change)
    before = sum(node.status()["asks"] for node in nodes)  # signs of life are beside
    made = loads(nodes, pause=0)
    wait_for(lambda: time.monotonic() and sum(len(load.grants) for load in made) >= 12000,
             120, "more than one window's grants")
    grants = finish(made)
    assert most_in_window(grants, 10) <= 10000
    asks = sum(node.status()["asks"] for node in nodes) - before
    assert asks * 100 <= len(grants)
    assert {load.answers["d1"] > 0 for load in made} == {True}


def test_ready_means_leases(cluster):
    """A Redis that is new gives none for a while; the daemon is not ready before it does."""
    _, nodes = cluster(1, cap_of("10m", 400))
    made = loads(nodes)
    wait_for(lambda: sum(made[0].answers.values()) >= 5, what="answers")
    finish(made)
    assert set(made[0].answers) == {"d1"}


@pytest.mark.parametrize("count", [1, 4])
def test_saturated(cluster, count):
    _, nodes = cluster(count, cap_of("10s", 400))
    made = loads(nodes)
    begin = wait_for(lambda: next((load.grants[0][0] for load in made if load.grants), None))
    wait_for(lambda: time.monotonic() > begin + 33, what="three windows and more")
    grants = finish(made)
    assert most_in_window(grants, 10) <= 400
    assert sum(after < begin + 30.5 for _, after, _ in grants) >= 0.98 * 3 * 400


def test_two_in_an_hour(cluster):
    """A tiny cap over four nodes."""
    _, nodes = cluster(4, lambda conf: conf["addresses"]["d1"].update(caps={"hour": 2}))
    made = loads(nodes)
    wait_for(lambda: sum(len(load.grants) for load in made) >= 2, what="two grants")
    time.sleep(3)  # more must not come, and this is when they would
    assert len(finish(made)) == 2


def test_nodes(cluster):
    _, nodes = cluster(2, cap_of("10s", 100))

    def told():
        text = postpool("-c", nodes[0].conf, "--json", "nodes").stdout
        return {node["name"] for node in json.loads(text)["nodes"]}
    wait_for(lambda: told() == {"mta0", "mta1"}, what="both nodes")
    assert "mta1" in postpool("-c", nodes[1].conf, "nodes").stdout
    postpool("-c", nodes[0].conf, "nodes", "forget", "mta1", status=1)  # it is there


def chaos(redis, nodes, seed):
    """Kill what there is, in a random order that seed makes again."""
    rng = random.Random(seed)
    done = Counter()
    end = time.monotonic() + CHAOS_S
    while time.monotonic() < end:
        what = rng.choice(["worker", "worker", "keep", "lose", "flush", "pause", "stop"])
        done[what] += 1
        if what == "worker":
            rng.choice(nodes).kill_worker()
        elif what in ("keep", "lose"):
            redis.restart(lose=what == "lose")
        elif what == "flush":
            redis.cli("FLUSHALL")
        elif what == "pause":
            redis.cli("CLIENT", "PAUSE", "700")
        else:
            redis.signal(signal.SIGSTOP)
            time.sleep(rng.uniform(0.1, 3))
            redis.signal(signal.SIGCONT)
        time.sleep(rng.uniform(0.1, 1.5))
    return done


@pytest.mark.parametrize("limit", [300, 2])
def test_chaos(cluster, limit):
    redis, nodes = cluster(4, cap_of("10s", limit))
    made = loads(nodes)
    done = chaos(redis, nodes, seed=limit)
    begin = time.monotonic()
    wait_for(lambda: any(after > begin + 1 for load in made for _, after, _ in load.grants[-1:]),
             60, "grants after all that")
    grants = finish(made)
    assert most_in_window(grants, 10) <= limit, done


def test_a_paused_redis_is_not_felt(cluster):
    """Lookups go on from what is held, and none waits longer than its deadline."""
    redis, nodes = cluster(1, cap_of("1h", 1000000))
    (load,) = loads(nodes, pause=0.001)
    wait_for(lambda: len(load.grants) > 300, what="grants")
    redis.signal(signal.SIGSTOP)
    at, before = len(load.grants), load.answers.copy()
    wait_for(lambda: len(load.grants) > at + 300, what="grants without Redis")
    refused = +(load.answers - before)
    redis.signal(signal.SIGCONT)
    finish([load])
    assert set(refused) == {"d1"}
    assert max(after - asked for asked, after, _ in load.grants[at:at + 300]) < 1
