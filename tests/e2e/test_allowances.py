# SPDX-License-Identifier: MIT
"""Parts of a new address's day: what may go to one provider, and in one hour."""

import json

from harness.grants import take
from harness.wait import wait_for
from test_warmup import warming


def small(**table):
    """a1 may send 100 a day, by that table."""
    def change(conf):
        conf["warmup"]["schedules"]["small"] = {"days": [100, 200], **table}
        conf["providers"] = {"yahoo": {"domains": ["yahoo.test"]}}
    return warming(change)


def why(host, domain):
    told = host.postpool("--json", "explain", "--sender", "x@site.test", "--recipient",
                         f"x@{domain}")
    return json.loads(told.stdout)["candidates"][0].get("warmup")


def test_a_provider_has_its_share(make_host):
    host = make_host(small(hour=100, shares={"yahoo": 10}))
    assert take(host.run, 20, domain="yahoo.test") == {"a1": 10, "a2": 10}
    wait_for(lambda: why(host, "yahoo.test") == {"stage": 1, "stages": 2, "recipients": 10,
                                                 "window": "day"}, what="it to be known")
    assert take(host.run, 100) == {"a1": 90, "a2": 10}
    host.postpool("warmup", "advance", "a1", "--why", "to its last stage")
    # Of 200 in any 24 hours 100 are used; the share has grown to all of the allowance.
    assert take(host.run, 110, domain="yahoo.test") == {"a1": 100, "a2": 10}
    assert take(host.run, 10) == {"a2": 10}


def test_an_hour_is_spread(make_host):
    """It has some room at once, and by far not all of the day's."""
    host = make_host(small(hour=20))
    assert 1 <= take(host.run, 40)["a1"] <= 20
    wait_for(lambda: why(host, "one.test") == {"stage": 1, "stages": 2, "recipients": 20,
                                               "window": "hour"}, what="it to be known")
    assert "\"hour_allowance\":20" in host.postpool("--json", "warmup").stdout.replace(" ", "")
