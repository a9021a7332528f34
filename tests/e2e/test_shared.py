# SPDX-License-Identifier: MIT
"""Several hosts on one Redis: together they use all of a cap, never more, and ask seldom."""

import json
import re
import signal
import time

import pytest

from harness.grants import most_in_window
from harness.node import cap_of, enough, granted, hosts, take_all, wait_grants
from harness.programs import postpool
from harness.wait import LONG, wait_for

LENGTH, CAP = ("30s", 10000) if LONG else ("10s", 2000)
WINDOW_S = int(LENGTH[:-1])
WINDOWS = 3 if LONG else 2


def cost(nodes):
    """(asks, calls of all kinds) so far; the others are signs of life."""
    found = [node.status()["store"] for node in nodes]
    return tuple(sum(one[what] for one in found) for what in ("asks", "calls"))


def best_share(site):
    """The share of the cap that is used in so many windows, at best; 0 before they are over.

    It is the time that so many windows' grants must take by the time that they took, from the
    first grant to the first one behind them: so it does not matter where in a window one looks.
    """
    times = sorted(answered for _, answered, _ in granted(site))
    took = [end - begin for begin, end in zip(times[::CAP], times[WINDOWS * CAP::CAP])]
    return WINDOWS * WINDOW_S / min(took) if took else 0


def saturate(sites):
    """{count: (share of the cap that is used, asks, calls)}, the latter for 100 grants.

    What is lost where the machine stands still is not the store's: more windows are looked at then.
    """
    nodes = [node for site in sites.values() for node in site]
    before = {count: cost(site) for count, site in sites.items()}
    take_all(nodes)
    for site in sites.values():
        wait_for(lambda: best_share(site) >= 0.98 or len(granted(site)) > 3 * WINDOWS * CAP,
                 60 + 6 * WINDOWS * WINDOW_S, "the grants of all windows", every=1)
    after = {count: (*cost(site), len(granted(site))) for count, site in sites.items()}
    enough(nodes)
    found = {}
    for count, site in sites.items():
        *there, got = after[count]
        found[count] = (best_share(site),
                        *(100 * (b - a) / got for a, b in zip(before[count], there)))
    return found


# all at the same time where there is little of it
@pytest.mark.parametrize("counts", [(1,), (4,), (16,)] if LONG else [(1, 4, 16)])
def test_saturated(make_nodes, counts):
    redis, sites = None, {}
    for count in counts:
        redis, sites[count] = make_nodes(
            cap_of(LENGTH, CAP, prefix=f"n{count}", node_timeout="30s"), *hosts(count), redis=redis)
    for count, (used, asks, calls) in saturate(sites).items():
        most = most_in_window(granted(sites[count]), WINDOW_S)
        print(f"{count} nodes, {CAP} in {LENGTH}: at most {most}, {100 * used:.1f} % used, "
              f"{asks:.2f} asks and {calls:.2f} calls for 100 grants")
        assert most <= CAP
        assert used >= 0.98
        assert CAP < 10000 or asks <= 1


def test_redis_is_asked_seldom(make_nodes):
    _, nodes = make_nodes(cap_of("10s", 10000), *hosts(4))
    before, _ = cost(nodes)
    take_all(nodes)
    wait_for(lambda: len(granted(nodes)) >= 12000, 120, "more than one window's grants")
    grants = enough(nodes)
    assert most_in_window(grants, 10) <= 10000
    asks = cost(nodes)[0] - before
    print(f"{asks} asks for {len(grants)} grants")
    assert asks * 100 <= len(grants)
    assert all(node.load.grants for node in nodes)


LATE = "of the first leases did not come"


def first_in_time(make):
    """The first node that has its leases when it is ready, and has not said that they are late.

    They may be where the machine stands still for a second or two, but not time and again.
    """
    for number in range(1, 6):
        _, (node,) = make(number)
        if LATE not in node.daemon.log():
            return node
        node.stop()
    raise AssertionError(f"late five times: {node.daemon.log()}")


def test_ready_means_leases(make_nodes):
    """A Redis that is new gives none for a while; the daemon is not ready before it does."""
    node = first_in_time(lambda number: make_nodes(cap_of("10m", 400), (f"mta{number}", {})))
    take_all([node])
    wait_for(lambda: sum(node.load.answers.values()) >= 5, what="answers")
    enough([node])
    assert next(iter(node.load.answers)) == "d1"


def test_ready_beside_a_quiet_host(make_nodes):
    """It is to hear of a newcomer before that one gets a lease, and does so at once."""
    cap = cap_of("10m", 400, node_timeout="5m")
    redis, _ = make_nodes(cap, ("mta0", {}))
    new = first_in_time(lambda number: make_nodes(cap, (f"mta{number}", {}), redis=redis))
    assert new.status()["caps"][0]["held"] > 0


def test_ready_beside_a_host_that_stands_still(make_nodes):
    """The newcomer cannot have a lease, and says so."""
    cap = cap_of("10m", 400, node_timeout="5m")
    redis, (still,) = make_nodes(cap, ("mta0", {}))
    thaw = still.freeze()
    try:
        _, (new,) = make_nodes(cap, ("mta1", {}), redis=redis)
        assert LATE in new.daemon.log()
    finally:
        thaw()


def test_refusals_ask_nothing(make_nodes):
    """A cap that is used up is known to be so."""
    _, nodes = make_nodes(cap_of("1h", 100), *hosts(2))
    take_all(nodes)

    def refused():
        return sum(sum(node.load.answers.values()) for node in nodes) - len(granted(nodes))

    def wait_refusals(count):
        there = refused()
        wait_for(lambda: refused() >= there + count, what="refusals")
        return cost(nodes)[0]

    wait_for(lambda: len(granted(nodes)) == 100, what="the cap to be used")
    wait_for(lambda: wait_refusals(200) == wait_refusals(400), what="the last reports")
    before = wait_refusals(1)
    assert wait_refusals(3000) == before
    assert len(enough(nodes)) == 100


def test_two_in_an_hour(make_nodes):
    """A tiny cap over four nodes."""
    _, nodes = make_nodes(cap_of("1h", 2), *hosts(4))
    take_all(nodes)
    wait_for(lambda: len(granted(nodes)) >= 2, what="two grants")
    time.sleep(3)  # more must not come, and this is when they would
    assert len(enough(nodes)) == 2


def test_nodes(make_nodes):
    _, nodes = make_nodes(cap_of("10s", 100), *hosts(2))

    def told():
        text = postpool("-c", nodes[0].conf, "--json", "nodes").stdout
        return {node["name"] for node in json.loads(text)["nodes"]}
    wait_for(lambda: told() == {"mta0", "mta1"}, what="both nodes")
    assert "mta1" in postpool("-c", nodes[1].conf, "nodes").stdout
    postpool("-c", nodes[0].conf, "nodes", "forget", "mta1", status=1)  # it is there


def stop_redis(redis, nodes):
    """It stands still, and all of them know of each other."""
    for node in nodes:
        wait_for(lambda: node.status()["store"]["node_count"] == len(nodes), what="the other hosts")
    redis.signal(signal.SIGSTOP)


def test_status_says_that_it_is_alone(make_nodes):
    """What it gives then is its share, and nothing that it holds."""
    redis, nodes = make_nodes(cap_of("10s", 50, node_timeout="2s"), *hosts(2))
    stop_redis(redis, nodes)
    conf = nodes[0].conf
    wait_for(lambda: json.loads(postpool("-c", conf, "--json", "status").stdout)["alone"],
             what="the end of what is held")
    said = postpool("-c", conf, "status").stdout
    assert "ALONE: this host gives 1/2 of each cap" in said
    assert "largest possible error: 0" in said
    assert json.loads(postpool("-c", conf, "--json", "status").stdout)["caps"][0]["held"] == 1
    assert postpool("-c", conf, "release", "all").stdout == "0 grants go back\n"
    redis.signal(signal.SIGCONT)
    wait_for(lambda: "ALONE" not in postpool("-c", conf, "status").stdout, what="Redis")


def test_caps_go_and_come(make_nodes):
    """With two reloads; there are still two hosts that share them, and what is asked fits."""
    redis, nodes = make_nodes(cap_of("10s", 200, node_timeout="2s"), *hosts(2))
    node = nodes[0]
    take_all([node])
    wait_grants([node])
    with_caps = node.conf.read_text()
    for text in (re.sub(r"caps *[=:].*?};", "", with_caps, flags=re.DOTALL), with_caps):
        node.conf.write_text(text)
        postpool("-c", node.conf, "reload", status=None)  # there is no milter
    wait_grants([node])
    enough([node])
    stop_redis(redis, nodes)
    wait_for(lambda: node.status()["alone"], what="the end of what is held")
    assert "this host gives 1/2 of each cap" in postpool("-c", node.conf, "status").stdout
    redis.signal(signal.SIGCONT)
    assert "does not fit" not in node.daemon.log()


def test_a_share_at_once(make_nodes):
    """A day's cap, and Redis goes away: the host sends on, and says what may come of it."""
    redis, nodes = make_nodes(cap_of("24h", 1000, node_timeout="2s", share_at_once=True), *hosts(2))
    stop_redis(redis, nodes)
    node = nodes[0]
    wait_for(lambda: json.loads(postpool("-c", node.conf, "--json", "status").stdout)["alone"],
             what="the end of what is held")
    said = postpool("-c", node.conf, "status").stdout
    assert "1/2 of each cap; largest possible error: that for each host that is alone" in said
    node.load.start()
    wait_for(lambda: node.load.grants, what="a grant of the share")
    redis.signal(signal.SIGCONT)
    wait_for(lambda: "ALONE" not in postpool("-c", node.conf, "status").stdout, what="Redis")
    enough([node])


def test_a_paused_redis_is_not_felt(make_nodes):
    """Lookups go on from what is held, and none waits longer than its deadline."""
    redis, (node,) = make_nodes(cap_of("1h", 1000000, node_timeout="60s"), *hosts(1))
    load = node.load
    load.pause = 0.001
    take_all([node])
    wait_for(lambda: len(load.grants) > 300, what="grants")
    for _ in range(5):  # where the machine itself stands still, again
        wait_for(lambda: node.status()["store"]["up"], what="Redis")
        redis.signal(signal.SIGSTOP)
        at, before = len(load.grants), load.answers.copy()
        wait_for(lambda: len(load.grants) > at + 300, what="grants without Redis")
        answers = +(load.answers - before)
        redis.signal(signal.SIGCONT)
        assert set(answers) == {"d1"}
        longest = max(after - asked for asked, after, _ in load.grants[at:at + 300])
        if longest < 1:
            break
    enough([node])
    assert longest < 1
