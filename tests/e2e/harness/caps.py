# SPDX-License-Identifier: MIT
"""A host's caps: how they are set in the tests, and what is seen of them."""

import json
from collections import Counter

from . import client
from .grants import wait_answered
from .wait import wait_for

A1, A2 = "127.0.1.1", "127.0.1.2"


def window(length, recipients, smooth=False):
    return {"windows": [{"length": length, "recipients": recipients, "smooth": smooth}]}


def with_caps(**addresses):
    """A change of the configuration: caps by address; fast is a1, then a2 by its ladder."""
    def change(conf):
        conf["pools"]["fast"] = {"addresses": ["a1"], "overflow": ["spare"]}
        conf["pools"]["spare"] = {"addresses": ["a2"]}
        conf["addresses"].pop("s1")
        conf["grant_lifetime"] = "4m"
        for name, caps in addresses.items():
            conf["addresses"][name]["caps"] = caps
    return change


def submit_many(host, count, sender="app@site.test", headers=("X-Stream: transactional",),
                domain="one.test"):
    ids = [client.new_id() for _ in range(count)]
    with host.smtp() as smtp:
        for number, test_id in enumerate(ids):
            smtp.send(sender, [f"r{number}@{domain}"], client.message(test_id, headers))
    return ids


def submit_one_by_one(host, count, **kwargs):
    """The same, each when the one before has left: whatever room there is, it finds it."""
    ids = []
    for _ in range(count):
        wait_answered(host.run)
        ids += submit_many(host, 1, **kwargs)
        wait_for(lambda: sum(sources(host, ids).values()) == len(ids), what="it to leave")
    return ids


def sources(host, ids):
    wanted = set(ids)
    return Counter(d.source for d in host.sink.deliveries if d.id in wanted)


def status(host):
    return json.loads(host.postpool("--json", "status").stdout)


def cap(host, key):
    """What status says of a cap; nothing counted when it is not in use yet."""
    unused = {"caps": [{"counted": 0}]}
    return next((c for c in status(host)["caps"] if c["key"] == key), unused)
