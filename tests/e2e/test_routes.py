# SPDX-License-Identifier: MIT
"""What a site has set up for its routes stays as it is; other milters keep their work."""

import re

import pytest

from harness import client, namespace
from harness.dkim_signer import DkimSigner
from harness.host import BULK, FAST, REST

POOLS = BULK | FAST | REST


# A host with a relayhost, own maps, a relay domain and a signer


@pytest.fixture(scope="module")
def signer(directory_of):
    signer = DkimSigner(directory_of("dkim"))
    signer.start()
    yield signer
    signer.stop()


def with_caps(conf):
    """Large ones: the routes must be the same."""
    for address in conf["addresses"].values():
        address["caps"] = {"hour": 100000}


@pytest.fixture(scope="module", params=[None, with_caps], ids=["no caps", "caps"])
def site(request, make_shared_host, directory_of, signer):
    maps = directory_of("maps")
    (maps / "transport").write_text("two.test smtp:[relay2.test]\n"
                                    "three.test :[relay2.test]\n"
                                    "user@four.test discard:\n")
    (maps / "relayhost").write_text("@other.test [relay2.test]\n")
    return make_shared_host(request.param, main={
        "relayhost": "[relay1.test]",
        "transport_maps": f"texthash:{maps}/transport",
        "sender_dependent_relayhost_maps": f"texthash:{maps}/relayhost",
        "relay_domains": "site.test",
        "smtpd_milters": f"unix:{signer.socket}",
        "non_smtpd_milters": f"unix:{signer.socket}",
    })


def target(name):
    return namespace.HOSTS[name][0]


def test_relayhost_is_kept(site):
    """From the pool's address, through the relayhost."""
    (delivery,) = site.deliver("me@site.test", "a@one.test", ["X-Stream: bulk"])
    assert delivery.target == target("relay1.test")
    assert delivery.source in BULK


def test_sender_dependent_relayhost_is_kept(site):
    (delivery,) = site.deliver("me@other.test", "a@one.test", ["X-Stream: bulk"])
    assert delivery.target == target("relay2.test")
    assert delivery.source in BULK


def test_transport_map_is_kept(site):
    """An entry of the site's own wins."""
    (delivery,) = site.deliver("me@site.test", "a@two.test", ["X-Stream: bulk"])
    assert delivery.target == target("relay2.test")
    assert delivery.sender == "<me@site.test>"


def test_transport_map_with_a_next_hop_only(site):
    """It leaves the transport alone, so that the pool decides that."""
    (delivery,) = site.deliver("me@site.test", "a@three.test", ["X-Stream: bulk"])
    assert delivery.target == target("relay2.test")
    assert delivery.source in BULK


def test_transport_map_to_another_mailer(site):
    with site.smtp() as smtp:
        queue_id = smtp.send("me@site.test", ["user@four.test"], client.message(client.new_id()))
    site.postfix.wait_log(rf"{queue_id}: to=<user@four.test>, relay=none,.*status=sent \(four.test\)")
    (delivery,) = site.deliver("me@site.test", "other@four.test")
    assert delivery.target == target("relay1.test") and delivery.source in REST


def test_bypass_with_relayhost(site):
    """Neither pool nor tag; the relayhost as without postpool."""
    (delivery,) = site.deliver("me@site.test", "a@internal.test", ["X-Stream: bulk"])
    assert delivery.target == target("relay1.test")
    assert delivery.source not in POOLS
    assert delivery.sender == "<me@site.test>"


def test_relay_domains_are_kept(site):
    (delivery,) = site.deliver("me@one.test", "a@site.test", ["X-Stream: bulk"])
    assert delivery.source not in POOLS
    assert delivery.sender == "<me@one.test>"


def test_null_sender_through_the_relayhost(site):
    (delivery,) = site.deliver("", "a@one.test")
    assert delivery.target == target("relay1.test") and delivery.source in REST


@pytest.mark.parametrize("how", ["smtp", "sendmail"])
def test_a_signature_made_after_us_verifies(site, signer, how):
    """Over our header too; a tag, a stripped header and forged ones do not spoil it."""
    test_id = client.new_id()
    data = client.message(test_id, ["X-Stream: bulk", "X-Postpool-Stream: forged",
                                    "X-Folded: a\n\tb"], body="one\n.two\n\n\n")
    if how == "smtp":
        with site.smtp() as smtp:
            smtp.send("me@site.test", ["a@one.test"], data)
    else:
        site.postfix.sendmail("me@site.test", ["a@one.test"], data)
    (delivery,) = site.sink.wait(test_id)
    (signature,) = delivery.headers("DKIM-Signature")
    assert "X-Postpool-Stream" in re.search(r";\s*h=([^;]*)", signature).group(1)
    assert delivery.headers("X-Postpool-Stream") == ["bulk"]
    assert signer.verifies(delivery.data)
    assert not signer.verifies(delivery.data.replace(b"Stream: bulk", b"Stream: buld"))


def test_mailq_of_the_site_is_empty(site):
    site.postfix.wait_queue_empty()


# Debian as it comes, chrooted, without maps


@pytest.fixture(scope="module")
def debian(make_shared_host):
    return make_shared_host(chroot=True)


def test_chrooted_postfix(debian):
    """The sockets are where Debian's chrooted services reach them."""
    for headers, pool in ((["X-Stream: bulk"], BULK), ([], REST)):
        (delivery,) = debian.deliver("me@site.test", "a@one.test", headers)
        assert delivery.source in pool and delivery.sender == "<me@site.test>"
        test_id = client.new_id()
        debian.postfix.sendmail("me@site.test", ["a@one.test"], client.message(test_id, headers))
        assert debian.sink.wait(test_id)[0].source in pool


def test_bypass(debian):
    (delivery,) = debian.deliver("me@site.test", "a@internal.test", ["X-Stream: bulk"])
    assert delivery.target == target("internal.test")
    assert delivery.source not in POOLS
    assert delivery.sender == "<me@site.test>"


def test_bypass_is_by_recipient(debian):
    deliveries = debian.deliver("me@site.test", ["a@internal.test", "a@one.test"], ["X-Stream: bulk"])
    source = {d.target: d.source for d in deliveries}
    assert source[target("internal.test")] not in POOLS
    assert source[target("one.test")] in BULK
