# SPDX-License-Identifier: MIT
"""The site's own application tells, in a header, who was active: an address in warm-up takes those
first.

A decision that the store is too slow for passes to the warm address, so new ones are sent here until
the new address has had its allowance; what is asserted is who was among them, and who never is.
"""

import json
import re
import time
from collections import Counter

import pytest

from harness import client, libconf
from harness.programs import postpool
from harness.wait import wait_for
from harness.waking import waking
from test_engagement import date, listed
from test_warmup import DAYS, NEW, OLD, state, warming

HINT = "X-Engagement"


def hinting(conf):
    conf["warmup"]["engaged"] = ["30d", "60d"]
    conf["warmup"]["hint"] = {"header": HINT,
                              "values": {"high": "3d", "medium": "45d", "low": "never"},
                              "match": [{"sasl_user": "app-*"}]}


@pytest.fixture
def host(make_host, simulator):
    host = waking(make_host(warming(hinting), start=False, sink=simulator))
    host.start()
    return host


class Sender:
    """Sends one message after the other, and knows what came of each."""

    def __init__(self, host, simulator):
        self.host, self.simulator = host, simulator

    def __call__(self, recipients, hint=None, user="app-shop", source="127.0.0.1", name=HINT):
        headers = [f"{name}: {hint}"] if hint else []
        before = len(self.simulator.deliveries)
        with self.host.smtp(source=source) as smtp:
            if user:
                smtp.login(user)
            for recipient in recipients:
                smtp.send("app@site.test", [recipient], client.message(client.new_id(), headers))
        wait_for(lambda: len(self.simulator.deliveries) == before + len(recipients), 120, "all mail")
        return list(self.simulator.deliveries)[before:]

    def sources(self, *args, **kwargs):
        return {d.source for d in self(*args, **kwargs)}

    def until_new(self, *args, **kwargs):
        """Sends the same until one arrives from the new address."""
        deadline = time.monotonic() + 120
        while NEW not in self.sources(*args, **kwargs):
            assert time.monotonic() < deadline, "none arrives from the new address"


@pytest.fixture
def send(host, simulator):
    return Sender(host, simulator)


def test_the_hinted_first(host, send, simulator):
    """The allowance of a day goes to those alone whose hint lets them pass."""
    others = [{"hint": None}, {"hint": "low"}, {"hint": "medium"}, {"hint": "31"},
              {"hint": date(31)}, {"hint": "often"}, {"hint": "high", "user": None},
              {"hint": "high", "user": "somebody"}, {"hint": "high", "source": "127.0.0.9",
                                                     "user": None}]
    for number, other in enumerate(others):
        assert send.sources([f"other{number}@one.test"], **other) == {OLD}, other
    for number, hint in enumerate(("high", "HIGH", "30", "30d", date(30), f"{date(1)} 10:11")):
        send.until_new([f"new{number}@one.test"], hint=hint)
    count = 0
    while state(host)["used"] < DAYS[0]:
        assert count < 200, "the new address does not get its allowance"
        send([f"more{count}@one.test"], hint="high")
        count += 1
    came = Counter(d.source for d in send([f"late{i}@one.test" for i in range(3)], hint="high"))
    assert came == {OLD: 3}
    at_new = {d.recipients[0] for d in simulator.deliveries if d.source == NEW}
    assert len(at_new) == DAYS[0] and not any(r.startswith("other") for r in at_new)


def test_the_header_stays_here(host, send):
    """Of the site's own mail it goes, whoever gave it and however often; others' mail stays as it is."""
    for user, name in (("app-shop", HINT), ("somebody", HINT), (None, HINT.upper())):
        (delivery,) = send(["joe@one.test"], "high", user=user, name=name)
        assert delivery.headers(HINT) == [] and b"ngagement" not in delivery.data
        assert delivery.sender == "<app@site.test>"
    (delivery,) = send(["joe@one.test"], f"high\n{HINT}: low\n{HINT}:\n low")
    assert delivery.headers(HINT) == []
    (delivery,) = send(["joe@one.test"], "high", user=None, source="127.0.0.9")
    assert delivery.headers(HINT) == ["high"]


def hints(host):
    """What the milter said of each message in turn."""
    said = re.findall(r"stream=default, id=(\w+), from=<app@site.test>(?:, hint=(\S+))?",
                      host.postfix.log() + host.milter.log())
    return [(len(id_), hint) for id_, hint in said]


def test_what_is_logged(host, send):
    for hint, user in (("high", "app-1"), ("low", "app-1"), ("maybe", "app-1"), ("high", "joe"),
                       (None, "app-1")):
        send(["joe@one.test"], hint, user=user)
    assert hints(host) == [(16, date(3)), (16, "never"), (12, "odd"), (12, "refused"), (12, "")]


def test_a_hint_is_newer_than_the_file(host, send):
    """It counts in the place of what the file knows, both ways; without one the file counts."""
    listed(host, f"ann@one.test {date(1)}\nbob@one.test {date(50)}\n")
    send.until_new(["ann@one.test"])
    send.until_new(["bob@one.test"], hint="high")
    for _ in range(3):
        assert send.sources(["bob@one.test"]) == {OLD}
        assert send.sources(["ann@one.test"], hint="low") == {OLD}
        assert send.sources(["stranger@one.test"]) == {OLD}


def explained(host, *args, **kwargs):
    answer = json.loads(host.postpool("--json", "explain", "--recipient", "joe@one.test", *args,
                                      **kwargs).stdout)
    return answer["address"], answer.get("hint")


def test_explained(host, send):
    own = ("--sender", "app@site.test", "--sasl-user", "app-shop", "--header")
    wait_for(lambda: explained(host, *own, f"{HINT}: high") == ("a1", date(3)),
             what="the new address")
    assert explained(host, *own, f"{HINT}: low") == ("a2", "never")
    assert explained(host, *own, f"{HINT}: 31") == ("a2", date(31))
    assert explained(host, *own, f"{HINT}: soon") == ("a2", "odd")
    assert explained(host, *own, "X-Other: high") == ("a2", None)
    assert explained(host, "--sender", "app@site.test", "--header", f"{HINT}: high") == \
        ("a2", "refused")
    text = host.postpool("explain", "--recipient", "joe@one.test", *own, f"{HINT}: 45").stdout
    assert f"hint       the recipient was active on {date(45)}, 45 days ago\n" in text
    assert "within 30 days; of this one the last was 45 days ago" in text
    send(["joe@one.test"], hint="high")
    tagged = host.postfix.wait_log(
        r"from=<(app\+pp=default\.\w{16}\.\w{8}@site\.test)>").group(1)
    assert explained(host, "--sender", tagged)[1] == date(3)
    altered = re.sub(r"\.(\w{15})(\w)\.", lambda m: f".{m[1]}{'a' if m[2] != 'a' else 'b'}.", tagged)
    assert explained(host, "--sender", altered) == ("a2", None)


def test_one_hint_for_all_recipients(host, send):
    """A message has one: it counts for each of its recipients."""
    def together(hint):
        with host.smtp() as smtp:
            smtp.login("app-shop")
            smtp.send("app@site.test", ["a@one.test", "b@one.test"],
                      client.message(client.new_id(), [f"{HINT}: {hint}"]))

    before = len(send.simulator.deliveries)
    together("low")
    wait_for(lambda: len(send.simulator.deliveries) > before, 120, "the mail")
    (delivery,) = list(send.simulator.deliveries)[before:]
    assert delivery.source == OLD and len(delivery.recipients) == 2


def test_mistakes_of_the_map(host, tmp_path):
    """They are told with file and line."""
    conf = host.changed()
    conf["warmup"]["hint"]["values"]["medium"] = "soon"
    path = tmp_path / "postpool.conf"
    path.write_text(libconf.dumps(conf))
    (line,) = [n for n, text in enumerate(path.read_text().splitlines(), 1) if '"soon"' in text]
    done = postpool("-c", path, "check", status=2)
    assert (f'{path}:{line}: warmup.hint.values.medium: "soon" is no time, write whole days up to '
            '"3660d", such as "7d", or "never"\n') in done.stdout + done.stderr
