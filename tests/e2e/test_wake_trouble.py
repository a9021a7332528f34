# SPDX-License-Identifier: MIT
"""Waking where postqueue(1) does not do it, or the mail is gone."""

import re

import pytest

from harness.caps import submit_many, window, with_caps
from harness.wait import wait_for
from harness.waking import AS_SYSTEMD, NEVER, status, wait_all, waking


@pytest.mark.parametrize("how", ["-d", "-h"])
def test_what_an_admin_takes_away_holds_nobody_up(make_host, how):
    """Deleted, or put on hold: the room is for those that are left."""
    host = make_host(with_caps(a1=window("10s", 10), a2=window("10s", 5)), NEVER, start=False)
    waking(host)
    host.start()
    for name in ("a1", "a2"):
        host.postpool("suspend", name, "--why", "until all wait")
    submit_many(host, 100)
    wait_for(lambda: status(host)["wake"]["waiting"] == 100, what="all to wait")
    for name in ("a1", "a2"):
        host.postpool("resume", name)
    host.postfix.command("postsuper", how, "ALL")
    wait_for(lambda: status(host)["wake"]["waiting"] == 0, what="none of them to wait")
    ids = submit_many(host, 30)
    wait_all(host, ids)


OUTAGES = [
    ({"postqueue": "/usr/sbin/no-such-command"}, AS_SYSTEMD,
     r"/usr/sbin/no-such-command: No such file or directory"),
    ({}, ["nogroup" if word == "postdrop" else word for word in AS_SYSTEMD],
     r"postqueue: fatal: Cannot flush mail queue - mail system is down"),
    ({"postqueue": "/bin/false"}, AS_SYSTEMD, r"/bin/false: status 1"),
]


@pytest.mark.parametrize("wake, rights, why", OUTAGES, ids=["missing", "not-let-in", "fails"])
def test_a_command_that_fails_is_said_once(make_host, wake, rights, why):
    """Then mail comes at Postfix' own pace, here after seconds."""
    host = make_host(with_caps(a1=window("10s", 5), a2=window("10s", 5)), start=False)
    plain = host.policyd.argv
    waking(host, **wake)
    host.policyd.argv = rights + plain
    host.start()
    ids = submit_many(host, 25)
    wait_all(host, ids)
    said = re.findall(r"wake: postqueue: \d+ failures in a row, the last: (.*) -- deferred mail "
                      r"comes at Postfix' own pace until it works", host.policyd.log())
    assert len(said) == 1
    assert re.fullmatch(why, said[0])
    assert status(host)["wake"]["fails"]
    host.postfix.wait_queue_empty()


def test_it_works_again(make_host):
    """A command that comes to be is noticed, and its outage said to be over."""
    host = make_host(with_caps(a1=window("10s", 5), a2=window("10s", 5)), NEVER, start=False)
    command = host.root / "postqueue"
    waking(host, postqueue=str(command))
    host.start()
    ids = submit_many(host, 25)
    host.policyd.wait_log(r"wake: postqueue: 1 failures in a row")
    command.write_text('#!/bin/sh\nexec /usr/sbin/postqueue "$@"\n')
    command.chmod(0o755)
    host.policyd.wait_log(r"wake: postqueue is back after \d+ s")
    wait_all(host, ids)


def test_one_that_hangs_is_killed(make_host):
    host = make_host(with_caps(a1=window("10s", 5), a2=window("10s", 5)), start=False)
    command = host.root / "postqueue"
    command.write_text("#!/bin/sh\nexec sleep 1000\n")
    command.chmod(0o755)
    waking(host, postqueue=str(command), timeout="1s")
    host.start()
    submit_many(host, 12)
    host.policyd.wait_log(rf"the last: {command} did not end within 1000 ms")
    host.policyd.stop()
    host.policyd.start()
    host.postfix.wait_queue_empty()
