# SPDX-License-Identifier: MIT
"""Quotas at SMTP time: the policy service alone, and behind a real Postfix."""

import contextlib
import json
import os
import re
import signal
import socket

import pytest

from conftest import need_world
from harness import client, namespace, programs
from harness.client import Refused
from harness.policy import Policy, request
from harness.wait import wait_for
from test_protocol import in_time, make_policyd

OVER = "DEFER_IF_PERMIT 4.7.1 hourly limit of 20 recipients for "


def with_policy(run, over_quota="defer", **caps):
    """A change of the configuration: the service, and caps of accounts by stream."""
    def change(conf):
        conf["listen"]["policy"] = f"unix:{run or conf['listen']['lookup'][5:-7]}/policy"
        conf["over_quota"] = over_quota
        for stream in conf["streams"]:
            if stream["name"] in caps:
                stream["account_caps"] = caps[stream["name"]]
    return change


def make_service(root, change=None):
    def both(conf):
        with_policy(root, transactional={"hour": 20}, default={"hour": 20})(conf)
        conf["store"] = {"path": f"{root}/state.db"}
        if change:
            change(conf)
    daemon = make_policyd(root, both)
    daemon.path = root / "policy"
    daemon.conf = root / "postpool.conf"
    return daemon


@pytest.fixture(scope="module")
def policyd(directory_of):
    need_world()
    daemon = make_service(directory_of("policy"))
    yield daemon
    daemon.stop()


@pytest.fixture
def policy(policyd):
    with Policy(policyd.path) as one:
        yield one


def assert_served(policyd):
    with Policy(policyd.path) as one:
        assert one.ask(client_address="192.0.2.1") == "DUNNO"


def status(daemon):
    done = programs.postpool("-c", daemon.conf, "--json", "status")
    return json.loads(done.stdout)


def first_known(attempt):
    """What attempt(account) gives, of the first account of which the store told all in time.

    It returns that, and how many were let in without knowing, as they are when the store is late
    by 250 ms.  A machine that stands still makes it so, but not each time.
    """
    for _ in range(5):
        found, unsure = attempt(f"app-{client.new_id()}")
        if unsure == 0:
            return found
    raise AssertionError("some were let in without knowing, each time")


def known(daemon, ask):
    """What ask(account) gives, likewise, of a daemon that goes on."""
    def attempt(account):
        before = status(daemon)["policy"]["unsure"]
        return ask(account), status(daemon)["policy"]["unsure"] - before
    return first_known(attempt)


# What is asked and answered


def test_a_quota_is_used_up_and_no_more(policyd, policy):
    account, actions = known(policyd, lambda account: (
        account, policy.message(account, [f"r{i}@one.test" for i in range(30)])))
    assert actions[:20] == ["DUNNO"] * 20
    assert all(a.startswith(f"{OVER}{account} reached, ") for a in actions[20:])
    assert policy.message("app-b", ["r@one.test"]) == ["DUNNO"]


def test_a_quota_is_shared_by_connections(policyd):
    clients = [Policy(policyd.path) for _ in range(8)]

    def ask(account):
        for number, one in enumerate(clients):
            one.write(b"".join(request(sasl_username=account, instance=f"{account}.{number}",
                                       recipient=f"r{i}@one.test") for i in range(10)))
        return [one.answer() for one in clients for _ in range(10)]

    assert known(policyd, ask).count("DUNNO") == 20
    for one in clients:
        one.close()


def test_what_other_checks_refused_is_given_back(policyd, policy):
    def ask(account):
        same = {"sasl_username": account, "instance": account}
        for i in range(20):
            assert policy.ask(recipient=f"r{i}@one.test", **same) == "DUNNO"
        assert policy.ask(protocol_state="END-OF-MESSAGE", recipient_count="5", **same) == "DUNNO"
        return policy.message(account, [f"s{i}@one.test" for i in range(16)])

    assert known(policyd, ask).count("DUNNO") == 15


def test_a_message_as_a_whole(policyd, policy):
    """Where only the end of messages asks."""
    def ask(account):
        return [policy.ask(protocol_state="END-OF-MESSAGE", sasl_username=account,
                           instance=f"{account}.{instance}", recipient="",
                           recipient_count=str(count))
                for instance, count in ((1, 21), (2, 15), (2, 15), (3, 6), (4, 5))]

    actions = known(policyd, ask)
    assert [action == "DUNNO" for action in actions] == [False, True, True, False, True]
    assert actions[0].startswith(OVER) and actions[3].startswith(OVER)


def test_mail_from_elsewhere_is_not_ours(policy):
    for i in range(40):
        assert policy.ask(client_address="192.0.2.1", instance=f"x{i}") == "DUNNO"


def test_figures(policyd, policy):
    def ask(account):
        before = status(policyd)["policy"]
        policy.message(account, [f"r{i}@one.test" for i in range(25)])
        return before, status(policyd)["policy"]

    before, after = known(policyd, ask)
    assert after["asked"] - before["asked"] == 26
    assert after["over"] - before["over"] == 5
    text = programs.postpool("-c", policyd.conf, "status").stdout
    assert re.search(r"\d+ policy requests, \d+ clients; of the site's own mail: \d+ asked, \d+ over",
                     text)


def test_counted_beyond_a_restart(directory_of):
    need_world()
    daemon = make_service(directory_of("restart"))
    daemon.stop()

    def lives(account):
        let_in, unsure = [], 0
        for end in (daemon.stop, daemon.kill_all, daemon.stop):
            daemon.start()
            with Policy(daemon.path) as one:
                actions = one.message(account, [f"r{i}@one.test" for i in range(12)])
            let_in.append(actions.count("DUNNO"))
            unsure += status(daemon)["policy"]["unsure"]
            end()
        return let_in, unsure

    assert first_known(lives) == [12, 8, 0]


def test_a_reload_in_the_middle_of_a_message(directory_of):
    need_world()
    daemon = make_service(directory_of("reload"))

    def ask(account):
        same, start = {"sasl_username": account, "instance": account}, len(daemon.log())
        for i in range(10):
            assert one.ask(recipient=f"r{i}@one.test", **same) == "DUNNO"
        programs.postpool("-c", daemon.conf, "reload", status=None)
        daemon.wait_log("reload: configuration taken over", start)
        assert one.ask(protocol_state="END-OF-MESSAGE", recipient_count="10", **same) == "DUNNO"
        return one.message(account, [f"s{i}@one.test" for i in range(11)])

    with Policy(daemon.path) as one:
        assert known(daemon, ask).count("DUNNO") == 10
    daemon.stop()


def test_reset_of_a_login_with_a_blank(policyd, policy):
    """It is that login's quota that is forgotten, and not that of its first word."""
    def ask(first):
        let_in = [policy.message(login, [f"r{i}@one.test" for i in range(21)]).count("DUNNO")
                  for login in (f"{first} z", first)]
        account = f"account/transactional/{first} z"
        programs.postpool("-c", policyd.conf, "reset", account)
        policyd.wait_log(f"reset: {account} by ")
        wait_for(lambda: policy.message(f"{first} z", ["s@one.test"]) == ["DUNNO"], what="room")
        return let_in, policy.message(first, ["s@one.test"])[0]

    let_in, action = known(policyd, ask)
    assert let_in == [20, 20] and action.startswith(OVER)
    programs.postpool("-c", policyd.conf, "reset", "account/default/", status=1)


def test_a_login_does_nothing_to_the_terminal(policyd, policy):
    assert policy.ask(sasl_username="app\x1b[31m\x7f", instance="esc") == "DUNNO"
    text = programs.postpool("-c", policyd.conf, "status").stdout
    assert "account/default/app?[31m?" in text
    assert "\x1b" not in text


# How it is written

ASKED = request(client_address="192.0.2.1")


def test_pipelined_requests(policy):
    policy.write(ASKED * 1000)
    assert [policy.answer() for _ in range(1000)] == ["DUNNO"] * 1000


def test_split_at_every_byte(policyd, policy):
    for cut in range(1, len(ASKED)):
        policy.write_and_wait(ASKED[:cut])
        policy.write(ASKED[cut:])
        assert policy.answer() == "DUNNO", cut
    assert_served(policyd)


def test_one_byte_at_a_time(policyd):
    def slowly(one):
        for byte in ASKED:
            one.write_and_wait(bytes([byte]))
        return one.answer()

    assert in_time(policyd, slowly, Policy) == "DUNNO"


MALFORMED = {
    "an empty line": b"\n",
    "no request": b"sender=me@site.test\n\n",
    "another request": b"request=junk\n\n",
    "a line without a value": b"request=smtpd_access_policy\nsender\n\n",
    "a line without a name": b"request=smtpd_access_policy\n=x\n\n",
    "NUL": b"request=smtpd_access_policy\nsender=a\0b\n\n",
    "an HTTP request": b"GET / HTTP/1.1\nHost: localhost\n\n",
    "a netstring": b"20:sender me@site.test,\n\n",
    "a long line": b"request=smtpd_access_policy\nsender=" + b"a" * 40000,
    "many lines": b"request=smtpd_access_policy\n" + b"a=b\n" * 10000,
    "nothing but letters": b"a" * 1000000,
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_client_is_closed_without_an_answer(policyd, policy, data):
    with Policy(policyd.path) as other:
        other.write(ASKED[:20])
        try:
            policy.write(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert policy.answer() is None
        other.write(ASKED[20:])
        assert other.answer() == "DUNNO"
    policyd.wait_log("policy client: .* -- connection closed, no answer")
    assert_served(policyd)


def test_good_requests_before_a_malformed_one_are_answered(policyd, policy):
    policy.write(ASKED + ASKED + b"x\n\n" + ASKED)
    assert [policy.answer() for _ in range(3)] == ["DUNNO", "DUNNO", None]
    assert_served(policyd)


ODD = {
    "nothing but what it is": b"request=smtpd_access_policy\n\n",
    "all twice": request()[:-1] + request(),
    "unknown attributes": request(color="red", **{"x y": "z"}),
    "bytes": request(sender="a\udcff\x01\x7f@site.test", sasl_username="\udcfe\t"),
    "a value with =": request(sender="a=b@site.test"),
    "a long value": request(sender="a" * 20000 + "@site.test"),
    "a long user": request(sasl_username="u" * 5000, instance="9" * 500),
    "no such state": request(protocol_state="CONNECT", sasl_username="joe"),
    "a count that is none": request(protocol_state="DATA", recipient_count="-1"),
    "a null sender": request(sender=""),
    "an address that is none": request(client_address="unknown"),
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD.keys())
def test_odd_but_well_formed(policyd, policy, data):
    policy.write(data)
    assert re.match("(DUNNO|DEFER_IF_PERMIT [ -~]+)$", policy.answer())
    assert_served(policyd)


def test_a_reply_names_a_user_harmlessly(policyd, policy):
    def ask(account):
        user = account + "\udcff\x1b[31m" + "x" * 300
        return account, policy.message(user, [f"r{i}@one.test" for i in range(21)])

    account, actions = known(policyd, ask)
    shown = (account + "??[31m" + "x" * 300)[:64]
    assert actions[20].startswith(f"{OVER}{shown}... reached, ")


# Slow, silent and many


def test_half_close_still_gets_its_answers(policy):
    policy.write(ASKED * 3)
    policy.half_close()
    assert [policy.answer() for _ in range(4)] == ["DUNNO"] * 3 + [None]


def test_end_in_the_middle_of_a_request(policyd, policy):
    policy.write(ASKED + ASKED[:50])
    policy.half_close()
    assert [policy.answer(), policy.answer()] == ["DUNNO", None]
    assert_served(policyd)


def test_a_client_that_does_not_read_is_no_longer_read(policyd, policy):
    limit = 64 << 20
    written = policy.write_until_full(ASKED, limit)
    assert written < limit
    assert_served(policyd)
    for _ in range(written // len(ASKED)):
        assert policy.answer() == "DUNNO"


def test_a_silent_client_costs_only_itself(policyd):
    def be_silent(silent):
        silent.write(ASKED[:10])
        for _ in range(100):
            assert_served(policyd)
        silent.write(ASKED[10:])
        return silent.answer()

    assert in_time(policyd, be_silent, Policy) == "DUNNO"


def test_a_thousand_idle_clients(policyd):
    idle = [Policy(policyd.path) for _ in range(1000)]
    try:
        for _ in range(100):
            assert_served(policyd)
        for one in idle:
            assert one.ask(client_address="192.0.2.1") == "DUNNO"
    finally:
        for one in idle:
            one.close()
    assert_served(policyd)


def test_more_connections_than_allowed(directory_of):
    """A flood of idle clients puts out the idle ones, never one that is at work."""
    need_world()
    daemon = make_service(directory_of("flood"), lambda conf: conf["listen"].update(clients=20))
    flood = []
    with Policy(daemon.path) as busy:
        for _ in range(200):
            flood.append(Policy(daemon.path))
            assert busy.ask(client_address="192.0.2.1") == "DUNNO"
    assert_served(daemon)
    for one in flood[:100]:
        assert one.answer() is None
    for one in flood:
        one.close()
    daemon.stop()


# The store


def test_a_store_away_blocks_no_mail(directory_of):
    """Its disk is full: each answer is there in time, and what it let in counts afterwards."""
    need_world()
    disk = directory_of("disk")
    namespace.tmpfs_of(disk, "8m")
    daemon = make_service(directory_of("full"),
                          lambda conf: conf["store"].update(path=f"{disk}/state.db"))
    with Policy(daemon.path) as one:
        assert one.message("app-i", ["r@one.test"]) == ["DUNNO"]
        with open(disk / "ballast", "wb", buffering=0) as ballast:
            with contextlib.suppress(OSError):
                while True:
                    ballast.write(b"x" * 4096)
        wait_for(lambda: one.message(client.new_id(), ["r@one.test"]) == ["DUNNO"]
                 and not status(daemon)["store"]["up"], what="the end of the store", every=0)
        before = status(daemon)["policy"]["unsure"]
        assert one.message("app-i", [f"r{i}@one.test" for i in range(40)]) == ["DUNNO"] * 40
        assert status(daemon)["policy"]["unsure"] >= before + 20
        (disk / "ballast").unlink()
        daemon.wait_log("is back -- counting goes on")
        wait_for(lambda: one.message("app-i", [client.new_id()])[0].startswith(OVER),
                 what="the count of what was let in")
        assert one.message("app-j", ["r@one.test"]) == ["DUNNO"]
    daemon.stop()
    namespace.umount(disk)


def test_a_domain_is_looked_up_when_its_recipient_comes_in(directory_of):
    need_world()

    def change(conf):
        conf["providers"] = {"google": {"mx": [".google.test"], "caps": {"minute": 300}}}
        conf["dns"] = {"servers": ["127.0.0.1:9"]}
    daemon = make_service(directory_of("domains"), change)
    with Policy(daemon.path) as one:
        one.ask(client_address="192.0.2.1", recipient="x@theirs.test")
        assert status(daemon)["dns"]["lookups"] == 0
        one.ask(recipient="x@ours.test")
        assert status(daemon)["dns"]["lookups"] == 1
    daemon.stop()


# Sockets


def test_the_socket_has_the_mode_that_is_configured(policyd):
    stat = policyd.path.stat()
    assert oct(stat.st_mode & 0o777) == "0o660"
    assert policyd.path.group() == "postfix"


def test_from_systemd(directory_of):
    need_world()
    root = directory_of("systemd")
    daemon = make_service(root)
    daemon.stop()
    sockets = {}
    for name in ("lookup", "policy"):
        (root / name).unlink(missing_ok=True)
        sockets[name] = socket.socket(socket.AF_UNIX)
        sockets[name].bind(str(root / name))
        sockets[name].listen(100)
    daemon.start(sockets)
    assert_served(daemon)
    inode = (root / "policy").stat().st_ino
    worker = daemon.workers()[0]
    daemon.signal_worker(worker, signal.SIGKILL)
    assert_served(daemon)
    assert (root / "policy").stat().st_ino == inode
    daemon.stop()


# Through Postfix


def send(host, user, recipients):
    """One message; returns (test id, replies that refused a recipient)."""
    test_id, refused = client.new_id(), []
    with host.smtp() as smtp:
        smtp.login(user)
        smtp.cmd("MAIL FROM:<me@site.test>", "2")
        for recipient in recipients:
            reply = smtp.cmd(f"RCPT TO:<{recipient}>")
            if not reply.startswith("2"):
                refused.append(reply.strip())
        if len(refused) < len(recipients):
            smtp.cmd("DATA", "3")
            smtp.data(client.message(test_id, ["X-Stream: transactional"]))
    return test_id, refused


def recipients(count):
    return [f"{client.new_id()}@one.test" for _ in range(count)]


def test_a_sender_over_quota_hears_it(make_host):
    host = make_host(with_policy("", transactional={"hour": 20}))
    host.policyd.conf = host.conf_path
    account, first, second = known(host.policyd, lambda account: (
        account, *(send(host, account, recipients(15)) for _ in range(2))))
    test_id, refused = first
    assert refused == []
    host.sink.wait(test_id, 15)
    test_id, refused = second
    assert len(refused) == 10
    for reply in refused:
        assert re.match(r"450 4\.7\.1 <\S+@one\.test>: Recipient address rejected: hourly limit of "
                        rf"20 recipients for {account} reached, (room again in|no room for another)"
                        r" \d+ min$", reply)
    host.sink.wait(test_id, 5)
    test_id, refused = send(host, "app-other", recipients(3))
    assert refused == []
    host.sink.wait(test_id, 3)

    def refused_by_postfix(account):
        with host.smtp() as smtp:
            smtp.login(account)
            smtp.cmd("MAIL FROM:<me@site.test>", "2")
            for i in range(5):
                smtp.cmd(f"RCPT TO:<nobody{i}@local.test>")
            for recipient in recipients(2):
                smtp.cmd(f"RCPT TO:<{recipient}>", "2")
            smtp.cmd("DATA", "3")
            smtp.data(client.message(client.new_id()))
        return send(host, account, recipients(20))[1]

    # Such recipients do not count.
    assert len(known(host.policyd, refused_by_postfix)) == 2
    assert "warning" not in "".join(l for l in host.postfix.log().splitlines() if "smtpd" in l)


def test_reject(make_host):
    host = make_host(with_policy("", "reject", transactional={"hour": 2}))
    refused = send(host, "app-news", recipients(3))[1]
    assert len(refused) == 1
    assert re.match(r"554 5\.7\.1 <\S+>: Recipient address rejected: hourly limit of 2 recipients "
                    "for app-news reached", refused[0])


def test_hold(make_host):
    host = make_host(with_policy("", "hold", transactional={"hour": 2}))
    assert send(host, "app-news", recipients(2))[1] == []
    test_id, refused = send(host, "app-news", recipients(2))
    assert refused == []
    wait_for(lambda: [m["queue_name"] for m in host.postfix.queue()] == ["hold"],
             what="the message in the hold queue")
    host.postfix.wait_log("hold: RCPT .* hourly limit of 2 recipients for app-news reached")
    host.postfix.command("postsuper", "-d", "ALL")
    assert host.sink.of(test_id) == []


def test_tag(make_host):
    host = make_host(with_policy("", "tag", transactional={"hour": 2}))
    test_id, _ = send(host, "app-news", recipients(2))
    for delivery in host.sink.wait(test_id, 2):
        assert delivery.headers("X-Postpool-Over-Quota") == []
    test_id, refused = send(host, "app-news", recipients(3))
    assert refused == []
    for delivery in host.sink.wait(test_id, 3):
        assert delivery.headers("X-Postpool-Over-Quota") == ["yes"]


def test_only_the_end_of_messages_is_wired(make_host):
    host = make_host(with_policy("", transactional={"hour": 4}))
    main = host.postfix.config / "main.cf"
    main.write_text(main.read_text() + "\nsmtpd_recipient_restrictions =\n")
    host.postfix.reload()
    assert send(host, "app-news", recipients(4))[1] == []
    with pytest.raises(Refused, match="450 4.7.1 .*hourly limit of 4 recipients for app-news"):
        send(host, "app-news", recipients(1))


def test_policyd_away_blocks_no_mail(make_host):
    host = make_host(with_policy("", transactional={"hour": 2}))
    host.policyd.stop()
    test_id, refused = send(host, "app-news", recipients(3))
    assert refused == []
    host.policyd.start()
    host.postfix.wait_queue_empty(120)
    assert sum(len(d.rcpts) for d in host.sink.of(test_id)) == 3


def test_policyd_hangs(make_host):
    """Postfix waits its 3 s for a server that stands still, and takes the mail."""
    def change(conf):
        with_policy("", transactional={"hour": 2})(conf)
        conf["watchdog"] = "600s"
    host = make_host(change)
    worker = host.policyd.workers()[0]
    os.kill(worker, signal.SIGSTOP)
    try:
        assert send(host, "app-news", recipients(1))[1] == []
    finally:
        os.kill(worker, signal.SIGCONT)
    host.postfix.wait_queue_empty(120)
