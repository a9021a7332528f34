# SPDX-License-Identifier: MIT
"""What postpool does about the replies of a mailbox provider, which is simulated."""

import json
import shutil
from pathlib import Path

from harness import client, provider_rules as rules
from harness.wait import wait_for

POOL = {"a1": "127.0.1.1", "a2": "127.0.1.2", "b1": "127.0.1.11"}
A1, A2, B1 = POOL.values()
DOCS = Path(__file__).parents[2] / "docs"
PROBES = 2


def reacting(make_host, simulator, *replies, main=None, **pool):
    """A host of one pool of three addresses that hears what becomes of its mail."""
    host = make_host(start=False, sink=simulator, main=main)
    host.conf["feedback"] = {"log": str(host.postfix.maillog)}
    host.conf["suspension"] = {"probes": PROBES, "probe_every": "1s", "steps": ["25", "50"],
                               "step": "3s"}
    host.conf["addresses"] = {name: {"ip": ip, "helo": f"{name}.mail.test"}
                              for name, ip in POOL.items()}
    host.conf["pools"] = {"all": {"addresses": list(POOL)} | pool}
    host.conf["streams"] = [{"name": "default", "pool": "all", "match": []}]
    if replies:
        host.conf["replies"] = list(replies)
    host.write_conf()
    return host


def with_installed_rules(host):
    text = host.conf_path.read_text()
    for name in ("providers.conf", "replies.conf"):
        shutil.copy(DOCS / name, host.root)
        text += f'@include "{name}"\n'
    host.conf_path.write_text(text)


def suspensions(host):
    return json.loads(host.postpool("--json", "status").stdout)["suspensions"]


def is_idle(host):
    """Has all been read of what happened?"""
    return ", 0 bytes behind" in host.postpool("status").stdout


def submit(host, recipients, sender="app@site.test"):
    """{recipient: id}, a message for each."""
    ids = {recipient: client.new_id() for recipient in recipients}
    with host.smtp() as smtp:
        for recipient, test_id in ids.items():
            smtp.send(sender, [recipient], client.message(test_id))
    return ids


def test_trouble_of_recipients_suspends_nothing(make_host, simulator):
    """With the rules that are installed: unknown, full for now, full for good."""
    for rule in (rules.Unknown(), rules.OverQuota(), rules.OverQuota("over*", for_good=True)):
        simulator.add(rule)
    host = reacting(make_host, simulator)
    with_installed_rules(host)
    host.start()
    wrong = [f"{local}{n}@one.test" for n in range(30) for local in ("unknown", "full", "over")]
    submit(host, wrong, "games@local.test")
    tried = {recipient for recipient in wrong if not recipient.startswith("full")}
    wait_for(lambda: tried | {f"full{n}@one.test" for n in range(30)}
             <= {a.recipient for a in simulator.refusals()}, what="all to be refused")
    wait_for(lambda: host.postfix.log().count("status=bounced") == 60, what="60 bounces")
    wait_for(lambda: is_idle(host), what="all to be read")
    assert suspensions(host) == []
    assert all(len(simulator.attempts_to(r)) == 1 for r in tried)
    assert {a.source for a in simulator.refusals()} == {A1, A2, B1}
    good = submit(host, [f"r{n}@one.test" for n in range(60)])
    wait_for(lambda: len(simulator.deliveries) == 60, what="all other mail")
    assert {d.id for d in simulator.deliveries} == set(good.values())
    assert {d.source for d in simulator.deliveries} == {A1, A2, B1}
