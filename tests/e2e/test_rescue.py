# SPDX-License-Identifier: MIT
"""A message whose address is refused goes on from another, and is returned when all refuse it."""

import re

import pytest

from conftest import need_world
from harness import client, provider_rules as rules
from harness.simulator import Simulator
from harness.wait import wait_for

THREE = {"127.0.1.1", "127.0.1.2", "127.0.1.41"}  # a1, a2, s1: the pool "fast"
REPLIES = [
    {"name": "blocked", "class": "address_provider", "pattern": "has been blocked",
     "samples": ["550 5.7.1 it has been blocked"]},
    {"name": "unknown", "class": "recipient", "enhanced": "?.1.1",
     "samples": ["550 5.1.1 User unknown"]},
    {"name": "greylisted", "class": "greylist", "pattern": "greylisted",
     "samples": ["450 4.2.0 Greylisted"]},
]
SENDER = "app@site.test"


@pytest.fixture
def simulator():
    need_world()
    simulator = Simulator()
    yield simulator
    simulator.stop()


@pytest.fixture
def make(make_host, simulator):
    """Hosts whose log is followed, with a pool of three."""
    def make(change=None, main=None):
        def all_changes(conf):
            conf["pools"]["fast"] = {"addresses": ["a1", "a2", "s1"]}
            conf["replies"] = REPLIES
            if change:
                change(conf)
        host = make_host(all_changes, main, sink=simulator, start=False)
        host.conf["feedback"] = {"log": str(host.postfix.maillog)}
        host.write_conf()
        host.start()
        return host
    return make


def submit(host, recipient, sender=SENDER):
    """One message of the pool of three; returns its queue id."""
    with host.smtp() as smtp:
        return smtp.send(sender, [recipient],
                         client.message(client.new_id(), ("X-Stream: transactional",)))


def results(host, queue_id):
    """What the log says of each try: sent, deferred or bounced, and the words."""
    return re.findall(rf"{queue_id}: to=.* status=(\w+) \((.*)\)", host.postfix.log())


def wait_results(host, queue_id, count):
    return wait_for(lambda: (r := results(host, queue_id)) and len(r) >= count and r,
                    what=lambda: f"{count} results, has {results(host, queue_id)}")


def test_an_address_that_is_refused_is_no_reason_to_bounce(make, simulator):
    host = make()
    simulator.add(rules.Unknown())
    unknown = submit(host, "unknown@one.test")
    assert [status for status, _ in wait_results(host, unknown, 1)] == ["bounced"]
    for source in THREE:
        simulator.block(source)
    blocked = submit(host, "x@one.test")
    (status, words), *_ = wait_results(host, blocked, 1)
    assert status == "deferred"
    assert re.fullmatch(r"host one.test\[[\d.]+\] said: 550 5.7.1 Service refused: your IP address "
                        r"[\d.]+ has been blocked \(in reply to RCPT TO command\)", words)
    assert re.search(rf"{blocked}: to=<x@one.test>.*dsn=4.7.1, status=deferred", host.postfix.log())


def test_without_policyd_the_result_stands(make, simulator):
    """It was asked for the address, and is gone when the server speaks."""
    host = make()
    for source in THREE:
        simulator.block(source)
    slow = simulator.add(rules.Slow(1))
    queue_id = submit(host, "x@one.test")
    wait_for(lambda: simulator.sessions, what="a connection")
    host.policyd.stop()
    simulator.remove(slow)
    assert [status for status, _ in wait_results(host, queue_id, 1)] == ["bounced"]
    host.policyd.start()


@pytest.mark.parametrize("change", [
    lambda conf: conf.update(rescue={"enabled": False}),
    lambda conf: conf["pools"].update(fast={"addresses": ["a1"]}),
])
def test_what_is_not_rescued(make, simulator, change):
    host = make(change)
    for source in THREE:
        simulator.block(source)
    queue_id = submit(host, "x@one.test")
    assert [status for status, _ in wait_results(host, queue_id, 1)] == ["bounced"]
