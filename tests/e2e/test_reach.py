# SPDX-License-Identifier: MIT
"""Addresses that are here but reach nobody: they are suspended, and their mail leaves from others."""

import json
import re
import subprocess

import pytest

from harness import client, namespace
from harness.host import ADDRESSES
from harness.wait import wait_for
from harness.waking import NEVER

A1, A2 = ADDRESSES["a1"], ADDRESSES["a2"]
DOMAINS = ("one.test", "two.test", "three.test", "four.test")


@pytest.fixture
def rules():
    """A function that adds a policy rule; it comes before the local table, and ends with the test."""
    made = []

    def rule(verb, *words):
        namespace.ip("rule", verb, "pref", "10", *words)
        (made.append if verb == "add" else made.remove)(words)

    def all_gone():
        namespace.ip_batch(["rule del pref 10 " + " ".join(words) for words in made])
        made.clear()
    rule.all_gone = all_gone

    namespace.ip("rule", "add", "pref", "100", "lookup", "local")
    namespace.ip("rule", "del", "pref", "0")
    yield rule
    for words in list(made):
        rule("del", *words)
    namespace.ip("rule", "add", "pref", "0", "lookup", "local")
    namespace.ip("rule", "del", "pref", "100")


def begin(make_host, main=None):
    def change(conf):
        conf["feedback"] = {"log": "LOG"}
        conf["suspension"] = {"probe_every": "2s"}

    host = make_host(change, main=main, start=False)
    host.conf["feedback"]["log"] = str(host.postfix.maillog)
    host.write_conf()
    host.start()
    return host


@pytest.fixture
def host(make_host):
    return begin(make_host)


def submit(host, count=4):
    """So many messages of the pool of a1 and a2 to each domain; returns their ids."""
    ids = []
    with host.smtp() as smtp:
        for number in range(count):
            for domain in DOMAINS:
                ids.append(client.new_id())
                smtp.send("app@site.test", [f"r{number}@{domain}"],
                          client.message(ids[-1], ("X-Stream: transactional",)))
    return ids


def sources(host, ids):
    """Whence each of them arrived."""
    return {host.sink.wait(one, 1)[0].source for one in ids}


def wait_read(host):
    wait_for(lambda: json.loads(host.postpool("--json", "status").stdout)
             ["feedback"]["lag_bytes"] == 0, what="the log to be read")


def suspensions(host):
    return {one["address"]: one for one
            in json.loads(host.postpool("--json", "status").stdout)["suspensions"]}


def wait_suspended(host, name, more=lambda: None):
    """Wait until it is; more() is done meanwhile."""
    def suspended():
        more()
        found = suspensions(host).get(name)
        return found and found["state"] == "suspended" and found
    return wait_for(suspended, what=lambda: f"{name}: {suspensions(host)}", every=0.5)


@pytest.mark.parametrize("kind, words", [
    ("unreachable", "Network is unreachable"), ("prohibit", "Permission denied"),
    ("blackhole", "Invalid argument")])
def test_no_route_from_one(host, rules, kind, words):
    """All arrives, from the other; when there is a route again both send."""
    rules("add", "from", A1, kind)
    ids = submit(host)
    assert wait_suspended(host, "a1")["why"].endswith(words)
    assert sources(host, ids) == {A2}
    assert sources(host, submit(host)) == {A2}
    assert host.postfix.log().count("status=bounced") == 0
    rules("del", "from", A1, kind)
    wait_for(lambda: "a1" not in suspensions(host), what="its end")
    assert sources(host, submit(host)) == {A1, A2}


def test_no_route_from_any(make_host, rules):
    """That is no address's fault; when the network is back, both send at once."""
    host = begin(make_host, NEVER)
    for address in (A1, A2, ADDRESSES["s1"]):
        rules("add", "from", address, "unreachable")
    others = [ip for name, ip in ADDRESSES.items() if name not in ("a1", "a2", "s1")]
    for address in others:
        rules("add", "from", address, "unreachable")
    ids = submit(host)
    wait_for(lambda: host.postfix.log().count("status=deferred") == len(ids)
             and {m["queue_name"] for m in host.postfix.queue()} == {"deferred"},
             what="all to have been tried")
    for name in ("a1", "a2"):
        assert re.search(rf"postfix/pp-{name}/.*Network is unreachable", host.postfix.log())
    wait_read(host)
    assert suspensions(host) == {}
    rules.all_gone()  # nobody tries, or hears of a try, while some are back and others are not
    host.postfix.flush()
    sources(host, ids)
    assert suspensions(host) == {}


def test_behind_the_first_link(host, rules):
    """The kernel would send, and yet no connection comes about: a guess, after several hosts."""
    rules("add", "from", A1, "ipproto", "tcp", "unreachable")
    ids = []
    found = wait_suspended(host, "a1", lambda: ids.extend(submit(host, 1)))
    assert found["why"] == "network: Network is unreachable"
    assert sources(host, ids) == {A2}


def test_cannot_be_bound(host):
    """Postfix cannot bind it, whatever the reason."""
    subprocess.run(["postconf", "-c", str(host.postfix.config), "-P",
                    "pp-a1/unix/smtp_bind_address=10.9.9.9"], check=True)
    host.postfix.reload()
    ids = submit(host)
    assert wait_suspended(host, "a1")["why"] == "network: Postfix cannot bind it"
    assert sources(host, ids) == {A2}
    assert "10.9.9.9" in host.postfix.log()


def test_off(host, rules):
    conf = host.changed()
    conf["suspension"]["network"] = False
    host.reload_conf(conf)
    rules("add", "from", A1, "unreachable")
    submit(host)
    wait_for(lambda: host.postfix.log().count("Network is unreachable") >= 8, what="errors")
    wait_read(host)
    assert suspensions(host) == {}
