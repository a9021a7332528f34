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
from test_protocol import make_policyd

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


# What is asked and answered


def test_a_quota_is_used_up_and_no_more(policy):
    actions = policy.message("app-a", [f"r{i}@one.test" for i in range(30)])
    assert actions[:20] == ["DUNNO"] * 20
    assert all(a.startswith(OVER + "app-a reached, ") for a in actions[20:])
    assert policy.message("app-b", ["r@one.test"]) == ["DUNNO"]


def test_a_quota_is_shared_by_connections(policyd):
    clients = [Policy(policyd.path) for _ in range(8)]
    for number, one in enumerate(clients):
        one.write(b"".join(request(sasl_username="app-c", instance=f"c{number}",
                                   recipient=f"r{i}@one.test") for i in range(10)))
    actions = [one.answer() for one in clients for _ in range(10)]
    assert actions.count("DUNNO") == 20
    for one in clients:
        one.close()


def test_what_other_checks_refused_is_given_back(policy):
    known = {"sasl_username": "app-d", "instance": "d1"}
    for i in range(20):
        assert policy.ask(recipient=f"r{i}@one.test", **known) == "DUNNO"
    assert policy.ask(protocol_state="END-OF-MESSAGE", recipient_count="5", **known) == "DUNNO"
    assert policy.message("app-d", [f"s{i}@one.test" for i in range(16)]).count("DUNNO") == 15


def test_a_message_as_a_whole(policy):
    """Where only the end of messages asks."""
    def whole(instance, count):
        return policy.ask(protocol_state="END-OF-MESSAGE", sasl_username="app-e",
                          instance=instance, recipient="", recipient_count=str(count))
    assert whole("e1", 21).startswith(OVER)
    assert whole("e2", 15) == "DUNNO"
    assert whole("e2", 15) == "DUNNO"
    assert whole("e3", 6).startswith(OVER)
    assert whole("e4", 5) == "DUNNO"


def test_mail_from_elsewhere_is_not_ours(policy):
    for i in range(40):
        assert policy.ask(client_address="192.0.2.1", instance=f"x{i}") == "DUNNO"


def test_figures(policyd, policy):
    before = status(policyd)["policy"]
    policy.message("app-f", [f"r{i}@one.test" for i in range(25)])
    after = status(policyd)["policy"]
    assert after["asked"] - before["asked"] == 26
    assert after["over"] - before["over"] == 5
    assert after["unsure"] == before["unsure"] == 0
    text = programs.postpool("-c", policyd.conf, "status").stdout
    assert re.search(r"\d+ policy requests, \d+ clients; of the site's own mail: \d+ asked, \d+ over",
                     text)


def test_counted_beyond_a_restart(directory_of):
    need_world()
    daemon = make_service(directory_of("restart"))
    with Policy(daemon.path) as one:
        assert one.message("app-g", [f"r{i}@one.test" for i in range(12)]) == ["DUNNO"] * 12
    daemon.stop()
    daemon.start()
    with Policy(daemon.path) as one:
        actions = one.message("app-g", [f"s{i}@one.test" for i in range(12)])
        assert actions.count("DUNNO") == 8
    daemon.kill_all()
    daemon.start()
    with Policy(daemon.path) as one:
        assert one.message("app-g", ["t@one.test"])[0].startswith(OVER)
    daemon.stop()


def test_a_reload_in_the_middle_of_a_message(directory_of):
    need_world()
    daemon = make_service(directory_of("reload"))
    known = {"sasl_username": "app-h", "instance": "h1"}
    with Policy(daemon.path) as one:
        for i in range(10):
            assert one.ask(recipient=f"r{i}@one.test", **known) == "DUNNO"
        programs.postpool("-c", daemon.conf, "reload", status=None)
        daemon.wait_log("reload: configuration taken over")
        assert one.ask(protocol_state="END-OF-MESSAGE", recipient_count="10", **known) == "DUNNO"
        assert one.message("app-h", [f"s{i}@one.test" for i in range(11)]).count("DUNNO") == 10
    daemon.stop()


def test_reset_of_a_login_with_a_blank(policyd, policy):
    """It is that login's quota that is forgotten, and not that of its first word."""
    for login in ("app z", "app"):
        assert policy.message(login, [f"r{i}@one.test" for i in range(21)]).count("DUNNO") == 20
    programs.postpool("-c", policyd.conf, "reset", "account/default/app z")
    policyd.wait_log(r"reset: account/default/app z by ")
    wait_for(lambda: policy.message("app z", ["s@one.test"]) == ["DUNNO"], what="room")
    assert policy.message("app", ["s@one.test"])[0].startswith(OVER)
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


def test_one_byte_at_a_time(policy):
    for byte in ASKED:
        policy.write_and_wait(bytes([byte]))
    assert policy.answer() == "DUNNO"


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


def test_a_reply_names_a_user_harmlessly(policy):
    user = "app-\udcff\x1b[31m" + "x" * 300
    actions = policy.message(user, [f"r{i}@one.test" for i in range(21)])
    assert actions[20].startswith(OVER + "app-??[31m" + "x" * 54 + "... reached, ")


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
    with Policy(policyd.path) as silent:
        silent.write(ASKED[:10])
        for _ in range(100):
            assert_served(policyd)
        silent.write(ASKED[10:])
        assert silent.answer() == "DUNNO"


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
    test_id, refused = send(host, "app-news", recipients(15))
    assert refused == []
    host.sink.wait(test_id, 15)
    test_id, refused = send(host, "app-news", recipients(15))
    assert len(refused) == 10
    for reply in refused:
        assert re.match(r"450 4\.7\.1 <\S+@one\.test>: Recipient address rejected: hourly limit of "
                        r"20 recipients for app-news reached, (room again in|no room for another) "
                        r"\d+ min$", reply)
    host.sink.wait(test_id, 5)
    test_id, refused = send(host, "app-other", recipients(3))
    assert refused == []
    host.sink.wait(test_id, 3)
    # Recipients that Postfix itself refuses do not count.
    with host.smtp() as smtp:
        smtp.login("app-third")
        smtp.cmd("MAIL FROM:<me@site.test>", "2")
        for i in range(5):
            smtp.cmd(f"RCPT TO:<nobody{i}@local.test>")
        for recipient in recipients(2):
            smtp.cmd(f"RCPT TO:<{recipient}>", "2")
        smtp.cmd("DATA", "3")
        smtp.data(client.message(client.new_id()))
    refused = send(host, "app-third", recipients(20))[1]
    assert len(refused) == 2
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
