# SPDX-License-Identifier: MIT
"""Caps on a host with a real Postfix: by real MX records, among streams, and without a disk."""

import re
import signal
import subprocess

import pytest

from harness import namespace
from harness.caps import A1, A2, cap, sources, submit_many, submit_one_by_one, with_caps
from harness.host import BULK, USER
from harness.nsd import Nsd
from harness.wait import wait_for
from harness.waking import NEVER


def test_provider_by_real_mx_records(make_host, directory_of):
    """Domains whose MX hosts are one provider's share its cap at each address; others do not."""
    nsd = Nsd(directory_of("nsd"), ["one MX 10 mx1.big.example.", "two MX 10 mx2.big.example.",
                                    "two MX 20 mx3.big.example.", "three MX 10 mx.small.example."],
              zone="test")

    def change(conf):
        with_caps()(conf)
        conf["dns"] = {"servers": [nsd.address]}
        conf["providers"] = {"big": {"mx": [".big.example"], "caps": {"hour": 20}}}
    try:
        host = make_host(change)
        for domain, provider in (("one", "big"), ("two", "big"), ("three", "other")):
            wait_for(lambda d=domain: not host.postpool("provider", f"{d}.test",
                                                        status=None).returncode, what=domain)
            assert host.postpool("provider", f"{domain}.test").stdout.startswith(provider)
        big = submit_many(host, 15, domain="one.test") + submit_many(host, 15, domain="two.test")
        small = submit_many(host, 15, domain="three.test")
        host.postfix.wait_queue_empty(120)
        while sources(host, big)[A1] < 20 and len(big) < 50:
            # The store was slow: a lookup goes to the next address rather than wait for a lease.
            big += submit_many(host, 1, domain="one.test")
            host.postfix.wait_queue_empty(120)
        big += submit_many(host, 3, domain="two.test")
        host.postfix.wait_queue_empty(120)
        assert sources(host, big) == {A1: 20, A2: len(big) - 20}
        assert sources(host, small) == {A1: 15}
        assert cap(host, "provider/a1/big")["caps"][0]["counted"] == 20
    finally:
        nsd.stop()


@pytest.mark.parametrize("full", ["stream", "addresses"])
def test_transactional_mail_does_not_wait_for_bulk(make_host, full):
    """Bulk mail has no room and is in the queue; other mail to the same domain passes it."""
    def change(conf):
        bulk = next(stream for stream in conf["streams"] if stream["name"] == "bulk")
        if full == "stream":
            bulk["caps"] = {"hour": 4}
        else:
            conf["addresses"]["b1"]["caps"] = {"hour": 3}
            conf["addresses"]["b2"]["caps"] = {"hour": 1}
    host = make_host(change, NEVER)
    bulk = submit_many(host, 30, sender="news@lists.test", headers=("X-Stream: bulk",))

    def left():
        return sum(sources(host, bulk).values())

    def waiting():
        return {m["queue_id"] for m in host.postfix.queue() if m["queue_name"] == "deferred"}
    results = 30
    wait_for(lambda: host.postfix.results() == results, what="a result of each")
    while left() < 4:  # where the store is slow, some find no lease at first
        assert results < 300
        results += 30 - left()
        host.postfix.flush()
        wait_for(lambda: host.postfix.results() == results, what="a result of each that waits")
    wait_for(lambda: len(waiting()) == 26, what="26 deferred")
    ids = submit_many(host, 5)
    wait_for(lambda: sum(sources(host, ids).values()) == 5, what="the transactional mail")
    assert set(sources(host, ids)) <= {A1, A2}
    assert left() == 4 and set(sources(host, bulk)) <= BULK
    assert len(waiting()) == 26
    deferred = re.findall(r"status=deferred.*", host.postfix.log())
    assert all("no room under the caps" in line for line in deferred)
    tried = set(re.findall(r"(\w+): to=<\S+>, relay=none.*status=deferred", host.postfix.log()))
    assert len(tried) >= 26

    def others():
        return set(re.findall(r"(\w+): from=<app\+pp=transactional", host.postfix.log()))
    wait_for(lambda: len(others()) == 5, what="the log to tell of each")
    assert not others() & tried


def take_away(host, disk, what):
    """The daemon's user can write no more; returns the function that gives it back."""
    def is_read_only():
        try:
            namespace.remount(disk, read_only=True)
        except OSError:  # what was killed has its files open for a moment longer
            return False
        return True

    if what == "disk":
        wait_for(is_read_only, what="the disk to be read-only")
        return lambda: namespace.remount(disk, read_only=False)
    subprocess.run(f"chown root {disk}/* && chmod 444 {disk}/* && chmod 555 {disk}", shell=True,
                   check=True)
    return lambda: subprocess.run(f"chown {USER} {disk} {disk}/* && chmod 700 {disk} && "
                                  f"chmod 600 {disk}/*", shell=True, check=True)


@pytest.mark.parametrize("what, why", [("disk", "Read-only file system"),
                                       ("file", "Permission denied")])
def test_a_store_that_is_read_only(make_host, directory_of, what, why):
    """The daemon says so and does not come up; mail waits, and goes on by what was counted."""
    disk = directory_of("disk")
    namespace.tmpfs_of(disk, "8m")
    host = make_host(lambda conf: (with_caps(a1={"hour": 5})(conf),
                                   conf["store"].update(path=f"{disk}/state.db")))
    first = submit_one_by_one(host, 3)
    assert sources(host, first) == {A1: 3}
    guard, (worker,) = host.policyd.pid, host.policyd.workers()
    host.policyd.signal(signal.SIGSTOP)  # no new one while the old one has the file open
    host.policyd.signal_worker(worker, signal.SIGKILL)
    wait_for(lambda: not host.policyd.workers(), what="the worker's end")
    give_back = take_away(host, disk, what)
    host.policyd.signal(signal.SIGCONT)
    host.policyd.wait_log(rf"{disk}/state.db: cannot be written: {why}")
    then = submit_many(host, 4)
    host.policyd.wait_log(r"ended with status 1 -- a new one is started")
    assert not sources(host, then)
    give_back()
    host.postfix.wait_queue_empty(180)
    got = sources(host, first + then)
    assert sum(got.values()) == 7 and set(got) == {A1, A2}
    assert 3 <= got[A1] <= 5  # what the killed worker held is lost
    assert host.policyd.pid == guard
    host.policyd.stop()

    give_back = take_away(host, disk, what)
    done = subprocess.run(host.policyd.argv, capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 1 and f"{disk}/state.db: cannot be written: {why}" in done.stderr
    give_back()
    host.policyd.start()
    host.policyd.stop()
    namespace.umount(disk)
