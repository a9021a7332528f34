# SPDX-License-Identifier: MIT
"""Several nodes on one Redis, whatever happens to it: no cap is passed, and each is used.

With POSTPOOL_LONG=1 each part that goes wrong goes wrong for two minutes.
"""

import random
import re
import select
import shutil
import signal
import socket
import threading
import time

import pytest

from conftest import need_world
from harness.driver import Driver, Grants, monotonic_us
from harness.redis import CLI, SENTINEL, SERVER, Redis
from harness.redis_sites import Cluster, Replicated
from harness.wait import LONG, wait_for

WINDOW_MS = 4000
CAP = 10000
KEY = "k"
CAPPED = f"{KEY}:{CAP}/{WINDOW_MS}"
SECONDS = 120 if LONG else 12


@pytest.fixture
def folder(directory_of):
    """In memory: what is asked here is nothing of the disk's."""
    need_world()
    for command in (SERVER, SENTINEL, CLI):
        if not shutil.which(command):
            pytest.skip(f"{command} is not installed")
    return directory_of("stores")


@pytest.fixture
def running():
    """What is to be ended, last first."""
    things = []
    yield things
    for thing in reversed(things):
        if not isinstance(thing, Driver):
            thing.stop()
        elif thing.process is not None and thing.process.poll() is None:
            thing.kill()


def server(running, folder, port, *options, **kwargs):
    running.append(Redis(folder / str(port), *options, port=port, **kwargs))
    return running[-1].start()


def nodes(running, folder, count, store, prefix="pp", keys=(CAPPED,), skews=(None,),
          timeout="2s", names=None):
    text = f'prefix = "{prefix}"; node_timeout = "{timeout}"; {store}'
    found = [Driver(folder, names[i] if names else f"{prefix}-{i}", text, *keys,
                    skew=skews[i % len(skews)])
             for i in range(count)]
    running.extend(found)
    return [driver.start() for driver in found]


def end(drivers):
    for driver in drivers:
        driver.stop()


def check(drivers, key=KEY, cap=CAP, window_ms=WINDOW_MS, least=0):
    grants = Grants(drivers, key)
    most = grants.most(window_ms)
    print(f"{key}: {grants.total()} grants, at most {most} of {cap} in a window")
    assert most <= cap
    assert grants.total() >= least
    return grants


def wait_up(drivers):
    for driver in drivers:
        wait_for(lambda: driver.said("grant"), what=f"{driver.name} takes grants")


def asks(drivers):
    return sum(driver.status()["asks"] for driver in drivers)


def at_random(seconds, step):
    """Call step() now and then for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(random.uniform(0.2, 1.5))
        step()


def test_all_is_used(running, folder):
    redis = server(running, folder, 6401)
    window_ms = 8000
    sites = {count: nodes(running, folder, count, f'url = "redis://127.0.0.1:{redis.port}";',
                          prefix=f"n{count}", keys=(f"{KEY}:{CAP}/{window_ms}",), timeout="30s")
             for count in (1, 4, 16)}
    wait_up([driver for drivers in sites.values() for driver in drivers])
    time.sleep(window_ms / 2000)
    since = monotonic_us()
    before = {count: asks(drivers) for count, drivers in sites.items()}
    used = dict.fromkeys(sites, 0)
    for windows in range(1, 10):  # the machine may stand still in some of them
        time.sleep(window_ms / 1000)
        until = monotonic_us()
        for count, drivers in sites.items():
            if windows >= 3:
                rate = Grants(drivers, KEY).rate(window_ms, 3, until)
                used[count] = max(used[count], rate / CAP)
        if min(used.values()) >= 0.98:
            break
    after = {count: asks(drivers) for count, drivers in sites.items()}
    for count, drivers in sites.items():
        end(drivers)
        grants = check(drivers, window_ms=window_ms)
        cost = 100 * (after[count] - before[count]) / grants.between(since, until)
        print(f"{count} nodes: {100 * used[count]:.1f} % used, {cost:.2f} asks for 100 grants")
        assert used[count] >= 0.98
        assert cost <= 1.05  # the heartbeats of a node do not depend on what it sends


def test_killed_nodes_and_other_clocks(running, folder):
    """Who is back takes over from himself, and does not wait until he was away for long."""
    redis = server(running, folder, 6402)
    drivers = nodes(running, folder, 4, f'url = "redis://127.0.0.1:{redis.port}";',
                    skews=(None, "+10m", "-10m", None), timeout="60s")
    wait_up(drivers)
    began = []

    def kill_one():
        driver = random.choice(drivers)
        driver.kill()
        before = len(driver.said("up"))
        driver.start()
        start = time.monotonic()
        wait_for(lambda: len(driver.said("up")) > before, 90, f"{driver.name} is back")
        began.append(time.monotonic() - start)

    at_random(SECONDS, kill_one)
    time.sleep(2 * WINDOW_MS / 1000)
    end(drivers)
    check(drivers, least=CAP)
    print(f"{len(began)} kills, the slowest came back in {max(began):.1f} s")
    assert max(began) < 30


def test_redis_loses_its_data(running, folder):
    redis = server(running, folder, 6403)
    drivers = nodes(running, folder, 4, f'url = "redis://127.0.0.1:{redis.port}";')
    wait_up(drivers)
    losses = []

    def lose():
        losses.append(random.choice(("flush", "empty", "old", "scripts", "hang")))
        if losses[-1] == "flush":
            redis.cli("FLUSHALL")
        elif losses[-1] == "scripts":
            redis.cli("SCRIPT", "FLUSH")
        elif losses[-1] == "hang":
            redis.cli("CLIENT", "PAUSE", 2500)
            time.sleep(2.5)
        else:
            if losses[-1] == "old":
                redis.cli("SAVE")
                time.sleep(random.uniform(0.1, 1))
            redis.restart(lose=losses[-1] == "empty")
        time.sleep(random.uniform(1, 4))

    at_random(SECONDS, lose)
    before = Grants(drivers, KEY).total()
    wait_for(lambda: Grants(drivers, KEY).total() > before + CAP, 30, "grants again")
    end(drivers)
    check(drivers)
    print(", ".join(losses))


def test_redis_stands_still(running, folder):
    """For longer than a call may take, again and again: what the nodes count is no older by it."""
    redis = server(running, folder, 6441)
    drivers = nodes(running, folder, 4, f'url = "redis://127.0.0.1:{redis.port}";', timeout="30s")
    wait_up(drivers)
    until = time.monotonic() + 2 * SECONDS
    while time.monotonic() < until:
        redis.process.send_signal(signal.SIGSTOP)
        time.sleep(random.uniform(0.3, 1.5))
        redis.process.send_signal(signal.SIGCONT)
        time.sleep(random.uniform(0.05, 0.8))
    before = Grants(drivers, KEY).total()
    wait_for(lambda: Grants(drivers, KEY).total() > before + CAP, 30, "grants go on")
    end(drivers)
    check(drivers, least=2 * CAP)


def test_clock_is_put_forward(running, folder):
    """The clock of Redis jumps: windows that are not over stay full, and it goes on."""
    redis = server(running, folder, 6407, stepped=True)
    drivers = nodes(running, folder, 3, f'url = "redis://127.0.0.1:{redis.port}";')
    wait_up(drivers)
    time.sleep(WINDOW_MS / 1000)
    for ahead in (2, 3602):
        before = Grants(drivers, KEY).total()
        if ahead == 3602:  # Redis forgets what it kept for a minute, and nobody else knows
            for driver in drivers[1:]:
                driver.kill()
        redis.step(ahead)
        wait_for(lambda: Grants(drivers, KEY).total() > before + CAP, 30, "grants go on")
    for driver in drivers[1:]:
        driver.start()
        wait_for(lambda: len(driver.said("up")) > 1, 30, "it is back")
    end(drivers)
    check(drivers)
    assert any("it was put forward" in driver.log.read_text() for driver in drivers)


@pytest.mark.parametrize("comes_back", (True, False))
def test_data_lost_while_a_node_is_gone(running, folder, comes_back):
    """What it used is only in its own file: nobody may take that room meanwhile."""
    redis = server(running, folder, 6407)
    window_ms = 8000
    drivers = nodes(running, folder, 3, f'url = "redis://127.0.0.1:{redis.port}";',
                    keys=(f"{KEY}:{CAP}/{window_ms}",))
    wait_up(drivers)
    time.sleep(window_ms / 1000) # they share it by now
    wait_for(lambda: Grants(drivers, KEY).total() >= 0.9 * CAP, 20, "the cap is used")
    gone = drivers[0]
    used = Grants([gone], KEY).total()
    assert used > CAP / 20
    gone.kill()
    redis.cli("FLUSHALL")
    time.sleep(3)
    if comes_back:
        gone.start()
    before = Grants(drivers, KEY).total()
    wait_for(lambda: Grants(drivers, KEY).total() > before + CAP / 2, 30, "grants again")
    end(drivers[0 if comes_back else 1:])
    check(drivers, window_ms=window_ms)


def test_away(running, folder):
    """Without Redis what is held is let go of; back, it goes on, and says so."""
    redis = server(running, folder, 6404)
    drivers = nodes(running, folder, 2, f'url = "redis://127.0.0.1:{redis.port}";')
    wait_up(drivers)
    begin = [len(driver.log.read_text()) for driver in drivers]
    lapses = [len(driver.said("lapse")) for driver in drivers]
    redis.stop()
    for driver, there in zip(drivers, lapses):
        wait_for(lambda: driver.said("lapse")[there:], 10, "what is held is let go of")
    ups = [len(driver.said("up")) for driver in drivers]
    redis.start()
    for driver, there in zip(drivers, ups):
        wait_for(lambda: driver.said("up")[there:], 15, "the store is back")
    logs = [driver.log.read_text()[at:] for driver, at in zip(drivers, begin)]
    before = Grants(drivers, KEY).total()
    wait_for(lambda: Grants(drivers, KEY).total() > before, 15, "grants again")
    end(drivers)
    check(drivers)
    for log in logs:  # a machine that stands still has outages of its own, at other times
        assert log.count("each node spends what it holds, for at most 2 s") == 1
        assert log.count("is back after") == 1


def test_started_without_redis(running, folder):
    """Who crashed has a share, which the others keep back; who said goodbye has none."""
    redis = server(running, folder, 6409)
    drivers = nodes(running, folder, 3, f'url = "redis://127.0.0.1:{redis.port}";')
    wait_up(drivers)
    crashed, _, gone = drivers
    gone.stop()
    wait_for(lambda: crashed.said("nodes")[-1][1] == "2", 10, "the goodbye")
    redis.stop()
    gone.start()
    crashed.kill()
    crashed.start()
    before = Grants([crashed], KEY).total()
    wait_for(lambda: crashed.said("lapse"), 10, "what was shared before is known")
    assert not gone.said("lapse")
    wait_for(lambda: Grants([crashed], KEY).total() > before + CAP / 4, 30, "grants of the share")
    redis.start()
    wait_for(lambda: crashed.said("up")[1:], 15, "the store is back")
    before = Grants(drivers, KEY).total()
    wait_for(lambda: Grants(drivers, KEY).total() > before + CAP / 4, 30, "grants again")
    end(drivers)
    check(drivers)


def goes_deaf(port, call):
    """Between a node and Redis: (listener, event that call was made, which is kept back)."""
    listener, deaf = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def carry():
        node, _ = listener.accept()
        with node, socket.create_connection(("127.0.0.1", port)) as redis:
            other = {node: redis, redis: node}
            while True:
                for one in select.select(list(other), [], [])[0]:
                    data = one.recv(65536)
                    if not data:
                        return
                    if one is node and b"\r\n%s\r\n" % call in data:
                        deaf.set()
                    if not deaf.is_set():
                        other[one].sendall(data)
    threading.Thread(target=carry, daemon=True).start()
    return listener, deaf


def test_stopped_while_rows_are_put_back(running, folder):
    """Nothing is left behind, as sanitizers see it."""
    redis = server(running, folder, 6432)
    listener, deaf = goes_deaf(redis.port, b"confirm")
    with listener:
        port = listener.getsockname()[1]
        drivers = nodes(running, folder, 1, f'url = "redis://127.0.0.1:{port}";')
        assert deaf.wait(20)
        end(drivers)


class OneWay:
    """Between a node and Redis; once cut, what Redis answers does not come through any more."""

    def __init__(self, port):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}"
        self.cut = threading.Event()
        self.sent_us = 0  # the last call was sent after that ...
        self.called_us = self.answered_us = 0  # ... and before that
        threading.Thread(target=self._carry, args=(port,), daemon=True).start()

    def _carry(self, port):
        node, _ = self.listener.accept()
        with node, socket.create_connection(("127.0.0.1", port)) as redis:
            other, idle_us = {node: redis, redis: node}, 0
            while True:
                looked_us = monotonic_us()
                ready = select.select(list(other), [], [], 0.01)[0]
                idle_us = idle_us if ready else looked_us
                for one in ready:
                    data = one.recv(65536)
                    if not data:
                        return
                    if one is node and b"EVALSHA" in data:
                        self.sent_us, self.called_us = idle_us, monotonic_us()
                    if one is redis:
                        self.answered_us = monotonic_us()
                    if one is node or not self.cut.is_set():
                        other[one].sendall(data)


def test_calls_whose_answers_are_lost(running, folder):
    """Redis believes in the node since the last that came: it is alone no sooner than given up on.

    A call may come three seconds late, and the node is given up on two seconds behind it.
    """
    redis = server(running, folder, 6433)
    way = OneWay(redis.port)
    with way.listener:
        lone, = nodes(running, folder, 1, f'url = "{way.url}";')
        other, = nodes(running, folder, 1, f'url = "redis://127.0.0.1:{redis.port}";',
                       names=("other",))
        wait_up([lone, other])
        way.cut.set()
        at_us = monotonic_us()
        wait_for(lambda: lone.said("lapse"), 20, "what is held is let go of")
        lapse_us, late_ms = map(int, lone.said("lapse")[0][1].split())
        assert way.called_us > at_us  # it was carried out, and no answer came
        alone_us = lapse_us + late_ms * 1000
        assert alone_us >= way.answered_us + 2_000_000  # it was carried out by then
        assert alone_us >= way.sent_us + 3_000_000 + 2_000_000 - 1000  # it counts milliseconds
        before = Grants([lone], KEY).total()
        wait_for(lambda: Grants([lone], KEY).total() > before, 30, "grants of the share")
        time.sleep(WINDOW_MS / 1000)
        end([lone, other])
        check([lone, other])


def test_name_is_taken(running, folder):
    redis = server(running, folder, 6405)
    store = f'prefix = "pp"; node_timeout = "2s"; url = "redis://127.0.0.1:{redis.port}";'
    other = folder / "other"
    other.mkdir()
    first, second = Driver(folder, "same", store, CAPPED), Driver(other, "same", store, CAPPED)
    running.extend((first, second))
    first.start()
    wait_up([first])
    second.start()
    wait_for(lambda: "another process goes by the name" in second.log.read_text(), 10, "refusal")
    assert not second.said("grant")
    first.kill()
    wait_for(lambda: second.said("grant"), 10, "the name is free")
    end([second])
    check([first, second])


def test_login_and_refusals(running, folder):
    redis = server(running, folder, 6406, "--bind", "127.0.0.1", "127.0.9.7")
    redis.cli("ACL", "SETUSER", "pp", "on", ">a:b@c/%", "~{pp}:*", "+evalsha", "+script|load",
              "+wait", "+info", "+role", "+select", "+hgetall", "+hset", "+hdel", "+hget", "+hlen", "+time",
              "+pexpire", "+pttl")
    redis.cli("ACL", "SETUSER", "default", "off")
    good = nodes(running, folder, 1, 'url = "redis://pp:a%3Ab%40c%2F%25@both.test:6406";')
    bad = nodes(running, folder, 1, 'url = "redis://pp:wrongpass@127.0.0.1:6406";', prefix="bad")
    wait_up(good)
    wait_for(lambda: "WRONGPASS" in bad[0].log.read_text(), 10, "refusal")
    end(good + bad)
    for driver in good + bad:
        log = driver.log.read_text()
        assert "wrongpass@" not in log and "a:b@c" not in log and "a%3Ab" not in log
        assert "wrongpass" not in driver.out.read_text()
    check(good)


def test_unix_socket(running, folder):
    """With a user and a database."""
    redis = server(running, folder, 6408, "--unixsocket", folder / "redis.sock")
    redis.cli("ACL", "SETUSER", "pp", "on", ">a:b@c/%", "~{pp}:*", "+@all")
    drivers = nodes(running, folder, 1, f'url = "unix:pp:a%3Ab%40c%2F%25@{folder}/redis.sock?db=5";')
    wait_up(drivers)
    end(drivers)
    check(drivers)
    assert int(redis.cli("-n", 5, "DBSIZE")) > 0 and redis.cli("-n", 0, "DBSIZE") == "0"


@pytest.mark.parametrize("durable", (False, True))
def test_failover(running, folder, durable):
    """The replica lags when the master dies, so it has not the last leases."""
    site = Replicated(folder, 6420 if durable else 6410)
    running.append(site)
    listed = ", ".join(f'"{one}"' for one in site.sentinels)
    drivers = nodes(running, folder, 3, f'sentinels = ( {listed} ); durable = {str(durable).lower()};')
    wait_up(drivers)
    turns = 4 if LONG else 1
    for _ in range(turns):
        time.sleep(WINDOW_MS / 1000)
        lost = site.lose_master()
        before = Grants(drivers, KEY).total()
        wait_for(lambda: Grants(drivers, KEY).total() > before + CAP, 60, "grants again")
        site.rejoin(lost)
        time.sleep(2)
    end(drivers)
    check(drivers)


def test_no_replica(running, folder):
    """durable: what no replica has is not used."""
    redis = server(running, folder, 6430)
    drivers = nodes(running, folder, 2, 'url = "redis://127.0.0.1:6430"; durable = true;')
    wait_for(lambda: all("no replica" in driver.log.read_text() for driver in drivers), 15, "it says so")
    assert not any(driver.said("grant") for driver in drivers)
    replica = server(running, folder, 6431, "--replicaof", "127.0.0.1", redis.port)
    wait_up(drivers)
    replica.stop()
    time.sleep(2 * WINDOW_MS / 1000)
    server(running, folder, 6431, "--replicaof", "127.0.0.1", redis.port)
    before = Grants(drivers, KEY).total()
    wait_for(lambda: Grants(drivers, KEY).total() > before + CAP, 30, "grants again")
    end(drivers)
    check(drivers)


def test_cluster(running, folder):
    cluster = Cluster(folder, 6440)
    running.append(cluster)
    other = cluster.stranger("pp")  # it has other slots
    drivers = nodes(running, folder, 3, f'url = "{other}";')
    wait_up(drivers)
    for driver in drivers:  # to be sent elsewhere is no outage; that nobody answers would be one
        log = driver.log.read_text()
        assert not re.search("(MOVED|ASK|has our keys) .* -- each node spends", log)
    for _ in range(6 if LONG else 2):
        cluster.move("pp")
        before = Grants(drivers, KEY).total()
        wait_for(lambda: Grants(drivers, KEY).total() > before + CAP, 30, "grants again")
    end(drivers)
    check(drivers)
