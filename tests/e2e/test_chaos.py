# SPDX-License-Identifier: MIT
"""Several hosts on one Redis, and something goes wrong all the time: no cap is passed.

With POSTPOOL_LONG=1 for two minutes each.
"""

import random
import signal
import time
from collections import Counter
from contextlib import ExitStack

import pytest

from harness.namespace import Network
from harness.node import cap_of, check, granted, hosts, take_all, wait_grants
from harness.redis import DURABLE, Redis
from harness.wait import LONG, wait_for

CHAOS_S = 120 if LONG else 9
NODE_TIMEOUT_S = 2


def capped(length, recipients):
    return cap_of(length, recipients, node_timeout=f"{NODE_TIMEOUT_S}s")


def chaos(acts, seed):
    """Do what acts say, in a random order that seed makes again: {act: how often}."""
    rng = random.Random(seed)
    done = Counter()
    end = time.monotonic() + CHAOS_S
    while time.monotonic() < end:
        name = rng.choice(list(acts))
        done[name] += 1
        acts[name](rng)
        time.sleep(rng.uniform(0.1, 1.5))
    return done


def troubles_of_redis(redis):
    def hang(rng):
        redis.signal(signal.SIGSTOP)
        time.sleep(rng.uniform(0.1, 1.5 * NODE_TIMEOUT_S))
        redis.signal(signal.SIGCONT)
    return {
        "restart": lambda rng: redis.restart(),
        "lose": lambda rng: redis.restart(lose=True),
        "flush": lambda rng: redis.cli("FLUSHALL"),
        "pause": lambda rng: redis.cli("CLIENT", "PAUSE", 700),
        "hang": hang,
    }


@pytest.mark.parametrize("length, limit", [("10s", 300), ("10s", 2), ("1h", 2)])
def test_kills(make_nodes, length, limit):
    redis, nodes = make_nodes(capped(length, limit), *hosts(4))
    take_all(nodes)
    if length == "1h":
        wait_for(lambda: granted(nodes), what="a grant")
    done = chaos({"worker": lambda rng: rng.choice(nodes).kill_worker(),
                  "another": lambda rng: rng.choice(nodes).kill_worker(),
                  **troubles_of_redis(redis)}, seed=limit)
    if length == "1h":
        check(nodes, 3600, limit, done)
        return
    begin = time.monotonic()
    wait_for(lambda: any(asked > begin for asked, *_ in granted(nodes)), 60, "grants after all that")
    check(nodes, 10, limit, done)


def test_frozen_nodes(make_nodes):
    """One stands still for longer than the others wait for it, and then goes on."""
    _, nodes = make_nodes(capped("10s", 600), *hosts(4))
    take_all(nodes)
    wait_grants(nodes)

    def freeze(rng):
        thaw = rng.choice(nodes).freeze()
        time.sleep(rng.uniform(0.2, 2.5) * NODE_TIMEOUT_S)
        thaw()
    done = chaos({"freeze": freeze}, seed=1)
    wait_grants(nodes)
    check(nodes, 10, 600, done)


@pytest.fixture
def apart(directory_of):
    """A Redis, and networks from which it is reached over a link each."""
    with ExitStack() as to_end:
        redis = Redis(directory_of("redis"), *DURABLE, "--bind", "0.0.0.0", "--protected-mode",
                      "no", port=6379).start()
        to_end.callback(redis.stop)
        made = []
        for number in range(1, 5):
            made.append(Network(number))
            to_end.callback(made[-1].stop)
        yield redis, made


def test_cut_off(apart, make_nodes):
    """One has no network: it goes on answering, and at last sends its share, but no more."""
    redis, networks = apart
    _, nodes = make_nodes(capped("10s", 600), *(
        (f"mta{i}", {"url": f"redis://{network.here}:{redis.port}", "network": network})
        for i, network in enumerate(networks)), redis=redis)
    take_all(nodes)
    wait_grants(nodes)
    alone = []

    def cut(rng, length):
        node = rng.choice(nodes)
        node.network.cut()
        begin, answers = time.monotonic(), sum(node.load.answers.values())
        time.sleep(length)
        assert sum(node.load.answers.values()) > answers + 10 * length, "answers without Redis"
        lapsed = begin + NODE_TIMEOUT_S + 1
        alone.append(sum(before > lapsed for before, *_ in node.load.grants))
        node.network.mend()
    done = chaos({"short": lambda rng: cut(rng, rng.uniform(0.2, 2) * NODE_TIMEOUT_S),
                  "long": lambda rng: cut(rng, 30)},  # two windows, and some of the third
                 seed=5)  # begins with a long one
    wait_grants(nodes)
    check(nodes, 10, 600, done)
    print(f"grants of those that were cut off, from their share: {alone}")
    assert any(alone)


def test_clocks_apart(make_nodes):
    """Ten minutes between the clocks of the hosts, and these die now and then."""
    redis, nodes = make_nodes(capped("10s", 600), *(
        (f"mta{i}", {"skew": skew}) for i, skew in enumerate((None, "+10m", "-10m", "+5m"))))
    take_all(nodes)
    wait_grants(nodes)
    done = chaos({"worker": lambda rng: rng.choice(nodes).kill_worker(),
                  "restart": lambda rng: redis.restart(),
                  "lose": lambda rng: redis.restart(lose=True)}, seed=1)
    wait_grants(nodes)
    check(nodes, 10, 600, done)
