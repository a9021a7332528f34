# SPDX-License-Identifier: MIT
"""What an admin suspends, drains and resumes by hand."""

import json
import re
from collections import Counter
from datetime import datetime, timedelta

import pytest

from harness.grants import address_of, ask_one
from harness.socketmap import Socketmap
from harness.wait import wait_for


@pytest.fixture
def host(make_host):
    """a1 and a2 share the mail of the pool; there are caps, so that there is a store."""
    def change(conf):
        conf["pools"]["rest"] = {"addresses": ["a1", "a2"]}
        conf["addresses"]["a1"]["caps"] = {"day": 100000}
    return make_host(change)


def taken(host, count=40, sender="x.test"):
    """Which addresses so many new messages leave from."""
    with Socketmap(host.run / "lookup") as postfix:
        return Counter(address_of(ask_one(postfix, "one.test", sender)[2]) for _ in range(count))


def suspensions(host):
    return json.loads(host.postpool("suspensions", "--json").stdout)["suspensions"]


def test_suspend_and_resume(host):
    assert set(taken(host)) == {"a1", "a2"}
    assert host.postpool("suspensions").stdout == "nothing is suspended, slowed or drained\n"
    host.postpool("suspend", "a1", "--why", "its provider asked us to")
    assert set(taken(host)) == {"a2"}
    assert host.postpool("suspensions").stdout == \
        "a1: suspended until it is resumed: its provider asked us to\n"
    assert "a1: suspended until it is resumed" in host.postpool("status").stdout
    assert suspensions(host) == [
        {"address": "a1", "configured": True, "state": "suspended", "by_hand": True, "drained": False,
         "share_percent": 0, "repetitions": 0, "why": "its provider asked us to"}]
    assert "a1: suspended by root (uid 0): its provider asked us to" in host.policyd.log()
    host.restart_policyd()
    assert set(taken(host)) == {"a2"}
    host.postpool("resume", "a1")
    assert set(taken(host)) == {"a1", "a2"}
    assert "a1 is not held back" in host.postpool("resume", "a1", status=1).stderr
    host.restart_policyd()
    assert set(taken(host)) == {"a1", "a2"}


def test_for_a_time(host):
    host.postpool("suspend", "a1", "--for", "2h", "--why", "a while")
    now = datetime.now()
    told = re.fullmatch(r"a1: suspended until (\d\d:\d\d:\d\d) \(2 h\): a while\n",
                        host.postpool("suspensions").stdout)
    until = datetime.strptime(told[1], "%H:%M:%S").replace(now.year, now.month, now.day)
    assert timedelta(minutes=110) < (until - now) % timedelta(days=1) < timedelta(minutes=130)
    host.postpool("suspend", "a1", "--for", "7d", "--why", "a week")
    assert re.fullmatch(r"a1: suspended until \d{4}-\d\d-\d\d \d\d:\d\d \(7 d\): a week\n",
                        host.postpool("suspensions").stdout)
    assert set(taken(host)) == {"a2"}
    host.postpool("suspend", "a1", "--for", "1s", "--why", "a moment")
    wait_for(lambda: "a1" in taken(host), what="a1 to come back")
    assert suspensions(host) == []


def test_drain(host):
    """New messages go elsewhere."""
    host.postpool("drain", "a2", "--why", "it will be given back")
    assert set(taken(host)) == {"a1"}
    assert host.postpool("suspensions").stdout == \
        "a2: drained until it is resumed: it will be given back\n"
    host.postpool("resume", "a2")
    assert set(taken(host)) == {"a1", "a2"}


def test_a_drain_outlasts_a_suspension(host):
    host.postpool("drain", "a2", "--why", "it will be given back")
    host.postpool("suspend", "a2", "--for", "2h", "--why", "a while")
    (a2,) = suspensions(host)
    assert (a2["state"], a2["drained"], a2["why"]) == ("suspended", True, "a while")
    assert "a while; drained: it will be given back" in host.postpool("suspensions").stdout
    host.postpool("suspend", "a2", "--for", "1s", "--why", "a moment")
    wait_for(lambda: suspensions(host)[0]["state"] == "drained", what="the suspension to be over")
    host.policyd.wait_log("a2: its suspension by hand is over")
    assert set(taken(host)) == {"a1"}
    assert host.postpool("suspensions").stdout == \
        "a2: drained until it is resumed: it will be given back\n"
    host.postpool("resume", "a2")
    assert set(taken(host)) == {"a1", "a2"}


def test_all_of_a_pool(host):
    for name in ("a1", "a2"):
        host.postpool("suspend", name, "--why", "x")
    with Socketmap(host.run / "lookup") as postfix:
        assert ask_one(postfix, "one.test", "x.test")[2].startswith("OK retry:4.")


def test_an_account(host):
    """Mail of one sender waits, that of others does not."""
    host.postpool("suspend", "--account", "Bad.test", "--for", "2h", "--why", "it was cracked")
    assert taken(host, 3, "bad.test") == {None: 3}
    assert set(taken(host)) == {"a1", "a2"}
    assert suspensions(host)[0]["account"] == "bad.test"
    host.postpool("resume", "--account", "bad.test")
    assert set(taken(host, 40, "bad.test")) == {"a1", "a2"}


def test_one_domain(host):
    """An address at a domain that is no provider's."""
    host.postpool("suspend", "a1", "--domain", "one.test", "--why", "blocked there")
    assert set(taken(host)) == {"a2"}
    with Socketmap(host.run / "lookup") as postfix:
        others = {address_of(ask_one(postfix, "two.test", "x.test")[2]) for _ in range(40)}
    assert others == {"a1", "a2"}


WRONG = (
    ("suspend", "a1"), ("suspend", "--why", "x"), ("suspend", "a1", "--why", ""),
    ("suspend", "a1", "--why", "x", "--for", "2"), ("resume", "a1", "--why", "x"),
    ("resume", "a1", "a2"), ("drain", "--account", "x.test", "--why", "x"),
    ("suspend", "--account", "app-news", "--why", "x"),
    ("suspend", "--account", "me@site.test", "--why", "x"),
    ("drain", "a1", "--for", "2h", "--why", "x"), ("suspend", "a1", "--why", "two\nlines"),
    ("suspend", "a1", "--provider", "p", "--domain", "d", "--why", "x"), ("suspensions", "x"),
    ("suspend", "a/1", "--why", "x"))


def test_wrong_usage(host):
    for wrong in WRONG:
        host.postpool(*wrong, status=2)
    assert suspensions(host) == []


def test_unknown_names(host):
    assert "has no address of that name; there are: a1, " in \
        host.postpool("suspend", "zz", "--why", "x", status=1).stderr
    assert "has no provider of that name; there " in \
        host.postpool("suspend", "a1", "--provider", "zz", "--why", "x", status=1).stderr
