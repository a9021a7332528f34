# SPDX-License-Identifier: MIT
"""Addresses of IPv4 and IPv6: each speaks its own, and what it cannot reach waits."""

import re

import pytest

from harness import client, namespace
from harness.dns import NameServer
from harness.host import REST
from harness.wait import wait_for

SIX = "fd77::1:1"
ZONE = {
    "mx4.test": {"A": ["127.0.9.1"]},
    "mx6.test": {"AAAA": ["fd77::9:6"]},
    "mx46.test": {"A": ["127.0.9.7"], "AAAA": ["fd77::9:7"]},
    "four.test": {"MX": ["10 mx4.test."]},
    "six.test": {"MX": ["10 mx6.test."]},
    "both.test": {"MX": ["10 mx4.test.", "20 mx46.test."]},
    "a-only.test": {"A": ["127.0.9.1"]},
    "aaaa-only.test": {"AAAA": ["fd77::9:6"]},
    "empty.test": {"TXT": ["nothing"]},
}
DNS = {"smtp_dns_support_level": "enabled", "smtp_host_lookup": "dns"}


def change(conf):
    """"Six" takes bulk, an IPv4 address the rest."""
    conf["addresses"]["six"] = {"ip": SIX, "helo": "six.mail.test"}
    conf["pools"]["bulk"]["addresses"] = ["six"]


@pytest.fixture(scope="module")
def six():
    namespace.ip("-6", "addr", "add", f"{SIX}/128", "dev", "lo", "nodad")
    yield
    namespace.ip("-6", "addr", "del", f"{SIX}/128", "dev", "lo")


@pytest.fixture(scope="module")
def names():
    server = NameServer(ZONE)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def hosts(six, names, make_shared_host):
    """By the way in which names are looked up."""
    return {"native": make_shared_host(change), "dns": make_shared_host(change, DNS)}


@pytest.fixture(params=["native", "dns"])
def host(request, hosts):
    return hosts[request.param]


def result_of(host, sender, recipient):
    """The status that Postfix logs of the first try."""
    with host.smtp() as smtp:
        queue_id = smtp.send(sender, [recipient], client.message(client.new_id()))
    found = wait_for(lambda: re.search(rf"{queue_id}: to=<.*, status=(\w+)",
                                       host.postfix.log()), what=f"a result of {queue_id}")
    return found.group(1)


def test_each_service_speaks_its_own_family(host):
    for domain in ("six.test", "both.test"):
        (delivery,) = host.deliver("news@lists.test", f"a@{domain}")
        assert (delivery.source, delivery.helo) == (SIX, "six.mail.test")
    (delivery,) = host.deliver("me@site.test", "a@both.test")
    assert delivery.source in REST


def test_a_domain_without_ipv6_waits(hosts):
    """It is good, only this address cannot reach it: a bounce would lose the mail."""
    for recipient in ("a@four.test", "a@a-only.test", "a@[127.0.9.1]"):
        assert result_of(hosts["dns"], "news@lists.test", recipient) == "deferred"
    assert result_of(hosts["native"], "news@lists.test", "a@four.test") == "deferred"


def test_a_domain_that_is_not_there_bounces(host):
    for sender in ("news@lists.test", "me@site.test"):
        assert result_of(host, sender, "a@nowhere.test") == "bounced"
