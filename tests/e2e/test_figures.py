# SPDX-License-Identifier: MIT
"""What happened to mail: each result is counted once, and postpool report tells."""

import json
import random
import time
from collections import Counter

import pytest

from harness import maillog
from harness.node import Node
from harness.programs import postpool
from harness.wait import LONG, wait_for


@pytest.fixture
def make_node(directory_of):
    """A policy daemon without Postfix, that follows a log which the test writes."""
    nodes = []

    def make(start=True, root=None, **figures):
        root = root or directory_of("figures")
        log = root / "mail.log"
        log.touch()

        def change(conf):
            conf["store"] = {"path": f"{root}/mta1/state.db"}
            conf["feedback"] = {"log": str(log)}
            conf["figures"] = figures
            conf["providers"] = {"one": {"domains": ["one.test"]}}
            conf["replies"] = [
                {"name": "unknown", "class": "recipient", "code": 550,
                 "samples": ["550 5.1.1 User unknown"]},
                {"name": "grey", "class": "greylist", "code": 450, "samples": ["450 4.2.0 Grey"]}]

        node = Node(root, "mta1", None, change)
        node.log_path = log
        node.figures = node.run / "figures.db"
        nodes.append(node)
        if start:
            node.start()
        return node

    yield make
    for node in nodes:
        node.stop()


def report(node, *args):
    return json.loads(postpool("-c", node.conf, "--json", "report", *args).stdout)


def figures(node):
    return node.status()["figures"]


def append(node, *lines):
    with node.log_path.open("a") as log:
        log.write("".join(lines))


def deliver(node, queue_id, sender, status=maillog.SENT, recipient="r@one.test", **kwargs):
    append(node,
           maillog.line("qmgr", f"{queue_id}: from=<{sender}>, size=5, nrcpt=1 (queue active)"),
           maillog.result(queue_id, recipient, status, **kwargs),
           maillog.line("qmgr", f"{queue_id}: removed"))


def wait_total(node, **wanted):
    def is_there():
        total = report(node)["total"]
        return all(total[key] == value for key, value in wanted.items())
    wait_for(is_there, what=lambda: f"{wanted}: {report(node)['total']}")


def kill(node, chance):
    """The worker alone, which the guard replaces, or both, and a while without any."""
    if chance.random() < 0.5:
        node.kill_worker()
        return
    node.daemon.kill_all()
    time.sleep(chance.random() * 0.5)
    node.start()


def test_killed_at_random(make_node):
    """Whatever is killed, and when, and whatever becomes of the log: every result counts once."""
    results, kills = (50000, 100) if LONG else (5000, 10)
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    print("seed", seed)
    node = make_node(accounts=100000)
    # An empty file that is cut before it is read has nothing to be known by.
    wait_for(lambda: figures(node)["written_ms_ago"] >= 0, what="the first place to be kept")
    deliver(node, "A", "first@m-1.test")
    wait_for(lambda: figures(node)["counted"] == 1 and figures(node)["waiting"] == 0,
             what="the first result to be kept")
    writer = maillog.Writer(node.log_path, results, 400, seed)
    writer.start()
    for _ in range(kills):
        time.sleep(chance.random() * (2 * results / kills / 400))
        kill(node, chance)
    writer.join()
    assert writer.error is None
    expected = {message.account: message.results for message in writer.messages}
    expected["m-1.test"] = Counter(sent=1)
    wanted = sum(expected.values(), Counter())
    wait_for(lambda: Counter({key: report(node)["total"][key] for key in wanted}) == wanted, 60,
             lambda: f"{wanted}: {report(node)['total']}, {writer.rotations}\n{node.daemon.log()}")
    node.daemon.stop()
    print(len(writer.messages), "messages", dict(wanted), dict(writer.rotations))
    assert maillog.counted(node.figures) == expected
