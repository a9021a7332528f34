# SPDX-License-Identifier: MIT
"""Several hosts on a Redis of several servers, where the master dies or slots move: no cap is passed.

With POSTPOOL_LONG=1 for two minutes each.  test_redis.py has the same for the store alone.
"""

import random
import time
from collections import Counter

import pytest

from harness.node import cap_of, check, granted, hosts, take_all, wait_grants
from harness.redis_sites import Cluster, Replicated
from harness.wait import LONG, wait_for

LONG_S = 120
CAP, WINDOW_S = 600, 10
PAUSE_S = 0.0125  # three clients ask for 240 in a second


def capped(**store):
    return cap_of(f"{WINDOW_S}s", CAP, node_timeout="2s", **store)


@pytest.fixture
def started(directory_of):
    """A function that starts such servers; they end with the test."""
    made = []

    def start(kind):
        made.append(kind(directory_of("redis"), 6410))
        return made[-1]
    yield start
    for one in made:
        one.stop()


def begin(nodes):
    """They take a cap's worth in a few seconds, which have just begun."""
    for node in nodes:
        node.load.pause = PAUSE_S
    take_all(nodes)
    wait_grants(nodes)


def begin_again(nodes):
    """The same, when nobody asked for a window: all of it is there."""
    for node in nodes:
        node.load.pause = WINDOW_S
    time.sleep(WINDOW_S - 1)
    for node in nodes:
        node.load.pause = PAUSE_S
    wait_grants(nodes)


def wait_window(nodes, count):
    """Until a cap's worth was given since there were count."""
    wait_grants(nodes)
    wait_for(lambda: len(granted(nodes)) >= count + CAP, 90, "a window's grants")


def turns(least):
    """So many, or as many as begin within the long form's time."""
    end = time.monotonic() + LONG_S
    turn = 0
    while turn < least or (LONG and time.monotonic() < end):
        yield turn
        turn += 1


def kill_one(nodes, done):
    random.choice(nodes).kill_worker()
    done["killed"] += 1


@pytest.mark.parametrize("killed", (False, True), ids=("alone", "and a node"))
def test_failover(started, make_nodes, killed):
    """What the lagging replicas have not got was not given out, or is put back by its node."""
    site = started(Replicated)
    _, nodes = make_nodes(capped(durable=True, sentinels=site.sentinels), *hosts(3), redis=site)
    begin(nodes)
    done = Counter()
    for turn in turns(1):
        if turn > 0:
            begin_again(nodes)
        count = len(granted(nodes))
        lost = site.lose_master(lambda: kill_one(nodes, done) if killed and turn % 3 != 2 else None)
        done["failover"] += 1
        wait_window(nodes, count)
        site.rejoin(lost)
    check(nodes, WINDOW_S, CAP, done)


def test_moved_slots(started, make_nodes):
    """The keys go to another server, and a node dies while they do."""
    cluster = started(Cluster)
    _, nodes = make_nodes(capped(), *hosts(3), redis=cluster)
    begin(nodes)
    done = Counter()
    for turn in turns(2):
        count = len(granted(nodes))
        cluster.move("postpool", lambda: kill_one(nodes, done) if turn % 2 else None)
        done["moved"] += 1
        wait_window(nodes, count)
    check(nodes, WINDOW_S, CAP, done)
