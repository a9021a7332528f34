# SPDX-License-Identifier: MIT
"""Parts of a new address's day: what may go to one provider, and in one hour."""

import json
from collections import Counter

from harness.grants import address_of, ask_one
from harness.socketmap import Socketmap
from harness.wait import wait_for
from test_warmup import warming


def small(**table):
    """a1 may send 100 a day, by that table."""
    def change(conf):
        conf["warmup"]["schedules"]["small"] = {"days": [100, 200], **table}
        conf["providers"] = {"yahoo": {"domains": ["yahoo.test"]}}
    return warming(change)


def taken(host, domain, most):
    """How much leaves from it: as much as may, in so many tries as a slow store needs at most."""
    came = Counter()
    with Socketmap(host.run / "lookup") as postfix:
        for _ in range(20 * most):
            came[address_of(ask_one(postfix, domain, "x.test")[2])] += 1
            if came["a1"] == most:
                break
        for _ in range(40):
            came[address_of(ask_one(postfix, domain, "x.test")[2])] += 1
    assert set(came) <= {"a1", "a2"}
    return came["a1"]


def why(host, domain):
    told = host.postpool("--json", "explain", "--sender", "x@site.test", "--recipient",
                         f"x@{domain}")
    return json.loads(told.stdout)["candidates"][0].get("warmup")


def test_a_provider_has_its_share(make_host):
    host = make_host(small(hour=100, shares={"yahoo": 10}))
    assert taken(host, "yahoo.test", 10) == 10
    wait_for(lambda: why(host, "yahoo.test") == {"stage": 1, "stages": 2, "recipients": 10,
                                                 "window": "day"}, what="it to be known")
    assert taken(host, "one.test", 90) == 90
    host.postpool("warmup", "advance", "a1", "--why", "to its last stage")
    assert taken(host, "yahoo.test", 100) == 100  # it has grown to all of the allowance
    assert taken(host, "one.test", 10) == 0


def test_an_hour_is_spread(make_host):
    """It has some room at once, and by far not all of the day's."""
    host = make_host(small(hour=20))
    assert 1 <= taken(host, "one.test", 21) <= 20
    wait_for(lambda: why(host, "one.test") == {"stage": 1, "stages": 2, "recipients": 20,
                                               "window": "hour"}, what="it to be known")
    assert "\"hour_allowance\":20" in host.postpool("--json", "warmup").stdout.replace(" ", "")
