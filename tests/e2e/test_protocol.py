# SPDX-License-Identifier: MIT
"""The lookup socket of postpool-policyd alone, without Postfix: good and bad clients."""

import contextlib
import re
import shutil
import signal
import socket
import time

import pytest

from conftest import need_world
from harness import programs
from harness.host import USER, configuration
from harness.libconf import dumps
from harness.postfix import Postfix
from harness.programs import Daemon
from harness.socketmap import Socketmap, netstring

POOL = re.compile(r"OK pp-[a-z0-9]+:$")
REST = "OK pp-d1:"  # the answer for what no stream but the last matches
SECRET = bytes(range(32))


def make_policyd(root, change=None):
    conf = configuration(root)
    if change:
        change(conf)
    (root / "tag.secret").write_bytes(SECRET)
    shutil.chown(root / "tag.secret", USER)
    (root / "tag.secret").chmod(0o640)
    shutil.chown(root, USER, "postfix")
    path = root / "postpool.conf"
    path.write_text(dumps(conf))
    daemon = Daemon("postpool-policyd", path, root,
                    lambda: programs.connects(root / "lookup"))
    daemon.path = root / "lookup"
    daemon.start()
    return daemon


@pytest.fixture(scope="module")
def policyd(directory_of):
    need_world()
    daemon = make_policyd(directory_of("policyd"))
    yield daemon
    daemon.stop()


@pytest.fixture
def lookup(policyd):
    with Socketmap(policyd.path) as client:
        yield client


def assert_served(policyd):
    with Socketmap(policyd.path) as client:
        assert client.pair("me@site.test", "them@one.test") == (REST, REST)


def in_time(policyd, play, kind=Socketmap):
    """What play(client) gives, of the first client that was done in time.

    A request that is not whole after ten seconds ends its connection; on a machine that is busy
    many small steps may take as long.
    """
    for _ in range(5):
        begun, found = time.monotonic(), None
        with kind(policyd.path) as client, contextlib.suppress(BrokenPipeError):
            found = play(client)
        if time.monotonic() < begun + 9:
            return found
    raise AssertionError("it took ten seconds, each time")


# What is asked and answered


def test_sender_then_rcpt(lookup):
    assert lookup.pair("me@site.test", "them@one.test") == (REST, REST)


def test_the_sender_alone_is_a_usable_answer(lookup):
    assert POOL.match(lookup.ask("sender", "me@lists.test"))


def test_rcpt_without_sender(lookup):
    assert lookup.ask("rcpt", "them@one.test") == "NOTFOUND "


def test_the_wildcard_key_is_not_found_and_changes_nothing(lookup):
    assert lookup.ask("rcpt", "*") == "NOTFOUND "
    assert lookup.ask("sender", "me@site.test") == REST
    assert lookup.ask("rcpt", "*") == "NOTFOUND "
    assert lookup.ask("rcpt", "them@one.test") == REST
    assert lookup.ask("rcpt", "*") == "NOTFOUND "


@pytest.mark.parametrize("null", ['"<>"', "<>"])
def test_null_sender(lookup, null):
    assert lookup.pair(null, "them@one.test") == (REST, REST)


def test_a_sender_is_consumed_once(lookup):
    assert lookup.pair("me@site.test", "a@one.test") == (REST, REST)
    assert lookup.ask("rcpt", "b@one.test") == "NOTFOUND "
    assert lookup.ask("rcpt", "a@one.test") == "NOTFOUND "
    assert lookup.pair("me@site.test", "a@one.test") == (REST, REST)


def test_the_last_sender_counts(lookup):
    lookup.ask("sender", "me@lists.test")
    assert lookup.ask("sender", "me@site.test") == REST
    assert lookup.ask("rcpt", "a@one.test") == REST


def test_state_belongs_to_one_connection(policyd, lookup):
    with Socketmap(policyd.path) as other:
        assert lookup.ask("sender", "me@site.test") == REST
        assert other.ask("rcpt", "a@one.test") == "NOTFOUND "
        assert lookup.ask("rcpt", "a@one.test") == REST


def test_a_forged_tag_is_no_tag(lookup):
    forged = "me+pp=bulk.aaaaaaaaaaaa.aaaaaaaa@site.test"
    assert lookup.pair(forged, "a@one.test") == (REST, REST)
    assert lookup.pair("me+pp=bulk@site.test", "a@one.test") == (REST, REST)


@pytest.mark.parametrize("sender", [
    "Me@LISTS.Test", '"we ird"@lists.test', "jürgen@lists.test", "a+b+c@lists.test",
    "me+pp=x.y.z@lists.test", "owner-list+them=one.test@lists.test"])
def test_forms_of_senders(lookup, sender):
    answer = lookup.pair(sender, "them@one.test")
    assert answer[0] in ("OK pp-b1:", "OK pp-b2:") and answer[1] in ("OK pp-b1:", "OK pp-b2:")


@pytest.mark.parametrize("recipient", [
    '"we ird"@one.test', "jürgen@one.test", "THEM@ONE.TEST", "them@[127.0.0.9]", "them", "a@b@c"])
def test_forms_of_recipients(lookup, recipient):
    assert lookup.pair("me@site.test", recipient) == (REST, REST)


def test_the_same_pair_gets_the_same_answer(policyd):
    answers = set()
    for _ in range(20):
        with Socketmap(policyd.path) as client:
            answers.add(client.pair("me@lists.test", "them@one.test")[1])
    assert len(answers) == 1


def test_the_case_of_an_address_decides_nothing(lookup):
    low = [lookup.pair(f"m{i}@lists.test", "them@one.test") for i in range(20)]
    high = [lookup.pair(f"M{i}@Lists.Test", "them@One.Test") for i in range(20)]
    assert low == high
    assert len(set(low)) > 1


def test_a_bypassed_domain_is_not_answered_with_a_pool(lookup):
    assert lookup.ask("sender", "me@site.test") == REST
    assert "pp-" not in lookup.ask("rcpt", "them@internal.test")
    assert lookup.pair("me@site.test", "them@one.test") == (REST, REST)


@pytest.mark.parametrize("name", ["transport", "senders", "SENDER", "sender."])
def test_unknown_map(lookup, name):
    assert re.match("PERM |TEMP ", lookup.ask(name, "me@site.test"))
    assert lookup.pair("me@site.test", "them@one.test") == (REST, REST)


# Maps for sites that have their own


def test_noted_sender(lookup):
    assert lookup.ask("sender.note", "me@site.test") == "NOTFOUND "
    assert lookup.ask("sender.last", "go") == REST
    assert lookup.ask("rcpt.note", "them@one.test") == "NOTFOUND "
    assert lookup.ask("rcpt.last", "go") == REST


def test_rcpt_with_the_route_of_the_site(lookup):
    route = "rcpt;default=smtp%3A;nexthop=%5B10.0.0.1%5D%3A25"
    assert lookup.ask("sender", "me@site.test") == REST
    assert lookup.ask(route, "them@one.test") == REST + "[10.0.0.1]:25"
    assert lookup.ask(route, "them@one.test") == "NOTFOUND "


def test_the_route_of_a_bypassed_domain(lookup):
    lookup.ask("sender", "me@site.test")
    assert lookup.ask("rcpt;default=smtp%3A%5B10.0.0.2%5D", "t@internal.test") == "OK smtp:[10.0.0.2]"


# How it is written


REQUESTS = netstring("sender me@site.test") + netstring("rcpt them@one.test")


def test_pipelined_requests(lookup):
    lookup.write(REQUESTS * 1000 + netstring("rcpt lone@one.test"))
    assert [lookup.answer() for _ in range(2000)] == [REST] * 2000
    assert lookup.answer() == "NOTFOUND "


def test_split_at_every_byte(policyd, lookup):
    for cut in range(1, len(REQUESTS)):
        lookup.write_and_wait(REQUESTS[:cut])
        lookup.write(REQUESTS[cut:])
        assert (lookup.answer(), lookup.answer()) == (REST, REST), cut
    assert_served(policyd)


def test_one_byte_at_a_time(policyd):
    def slowly(client):
        for byte in REQUESTS:
            client.write_and_wait(bytes([byte]))
        return client.answer(), client.answer()

    assert in_time(policyd, slowly) == (REST, REST)


MALFORMED = {
    "letters": b"abc:sender x@y,",
    "a letter in the length": b"1a:sender x@y,",
    "a space first": b" 10:sender x@y,",
    "no length": b":sender x@y,",
    "leading zero": b"010:sender x@y,",
    "two zeros": b"00:,",
    "no colon": b"10sender x@y,",
    "missing comma": b"10:sender x@y;" + REQUESTS,
    "shorter than it says": b"12:sender x@y," + REQUESTS,
    "longer than it says": b"9:sender x@y," + REQUESTS,
    "negative": b"-1:,",
    "plus sign": b"+10:sender x@y,",
    "length of 10,001": b"10001:" + b"sender " + b"a" * 9994 + b",",
    "length of a million": b"1000000:",
    "length past 32 bits": b"4294967306:sender x@y,",
    "length past 64 bits": b"18446744073709551626:sender x@y,",
    "digits without end": b"1" * 100000,
    "line feed": b"\n",
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "zero byte": b"\0",
    "high bytes": b"\xff\xfe\xfd",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_client_is_closed(policyd, lookup, data):
    with Socketmap(policyd.path) as other:
        assert other.ask("sender", "me@site.test") == REST
        try:
            lookup.write(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert lookup.answer() is None
        assert other.ask("rcpt", "them@one.test") == REST
    assert_served(policyd)


def test_a_malformed_client_is_named_in_the_log(directory_of):
    """The first one at once; a flood of them makes no flood of lines."""
    need_world()
    daemon = make_policyd(directory_of("named"))
    try:
        for _ in range(300):
            with Socketmap(daemon.path) as client:
                client.write(b"abc:")
                assert client.answer() is None
        daemon.wait_log("warn.*lookup client: .*closed")
        assert len(re.findall("lookup client", daemon.log())) < 100
        assert_served(daemon)
    finally:
        daemon.stop()


def test_good_requests_before_a_malformed_one_are_answered(policyd, lookup):
    lookup.write(REQUESTS + b"x")
    assert (lookup.answer(), lookup.answer(), lookup.answer()) == (REST, REST, None)
    assert_served(policyd)


ODD = {
    "empty": b"0:,",
    "no key": netstring("sender"),
    "empty key": netstring("sender "),
    "empty name": netstring(" me@site.test"),
    "only a space": netstring(" "),
    "NUL in the key": netstring(b"sender a\0b@site.test"),
    "NUL in the name": netstring(b"sen\0der a@site.test"),
    "not UTF-8": netstring(b"sender a\xff@site.test"),
    "line feed": netstring(b"sender a\n@site.test"),
    "no local part": netstring("sender @site.test"),
    "only an at sign": netstring("sender @"),
    "open quote": netstring('sender "a@site.test'),
    "long key": netstring("sender " + "a" * 9900 + "@site.test"),
    "bad escape": netstring("rcpt;default=%zz x@one.test"),
    "cut escape": netstring("rcpt;default=% x@one.test"),
    "escaped NUL": netstring("rcpt;default=%00 x@one.test"),
    "unknown argument": netstring("rcpt;color=red x@one.test"),
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD.keys())
def test_odd_but_well_formed(policyd, lookup, data):
    """A netstring with a strange content: one well-formed answer, or the end."""
    lookup.write(data)
    answer = lookup.answer()
    assert answer is None or re.match("(OK|NOTFOUND|PERM|TEMP) [^\0\r\n]*$", answer)
    assert_served(policyd)


def test_ten_thousand_bytes_are_still_served(lookup):
    key = "a" * (10000 - len("sender ") - len("@lists.test")) + "@lists.test"
    assert POOL.match(lookup.ask("sender", key))


# Slow, silent and many


def test_half_close_still_gets_its_answers(lookup):
    lookup.write(REQUESTS)
    lookup.half_close()
    assert (lookup.answer(), lookup.answer(), lookup.answer()) == (REST, REST, None)


def test_end_in_the_middle_of_a_request(policyd, lookup):
    lookup.write(REQUESTS + REQUESTS[:7])
    lookup.half_close()
    assert (lookup.answer(), lookup.answer(), lookup.answer()) == (REST, REST, None)
    assert_served(policyd)


def test_a_client_that_goes_without_reading(policyd):
    for _ in range(50):
        with Socketmap(policyd.path) as client:
            client.write(REQUESTS * 100)
    assert_served(policyd)


def test_a_client_that_does_not_read_is_no_longer_read(policyd, lookup):
    """Its requests must not pile up in the daemon; when it reads again, all are answered."""
    limit = 32 << 20
    written = lookup.write_until_full(REQUESTS, limit)
    assert written < limit
    assert_served(policyd)
    for _ in range(written // len(REQUESTS) * 2):
        assert lookup.answer() == REST


def test_a_silent_client_costs_only_itself(policyd):
    def be_silent(silent):
        silent.write(REQUESTS[:10])
        for _ in range(100):
            assert_served(policyd)
        silent.write(REQUESTS[10:])
        return silent.answer(), silent.answer()

    assert in_time(policyd, be_silent) == (REST, REST)


def test_a_thousand_idle_clients(policyd):
    idle = [Socketmap(policyd.path) for _ in range(1000)]
    try:
        for _ in range(100):
            assert_served(policyd)
        for client in idle:
            assert client.pair("me@site.test", "them@one.test") == (REST, REST)
    finally:
        for client in idle:
            client.close()
    assert_served(policyd)


def test_a_thousand_connections_wait_for_a_daemon_that_is_busy(directory_of):
    """Postfix takes a full backlog for a failure, and defers at once."""
    need_world()
    daemon = make_policyd(directory_of("busy"), lambda conf: conf.update(watchdog="600s"))
    (worker,) = daemon.workers()
    waiting = []
    daemon.signal_worker(worker, signal.SIGSTOP)
    try:
        for _ in range(1024):
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].setblocking(False)
            waiting[-1].connect(str(daemon.path))
    finally:
        daemon.signal_worker(worker, signal.SIGCONT)
        for peer in waiting:
            peer.close()
    assert_served(daemon)
    daemon.stop()


def test_more_connections_than_allowed(directory_of):
    """A flood of idle clients puts out the idle ones, never one that is at work."""
    need_world()
    daemon = make_policyd(directory_of("flood"), lambda conf: conf["listen"].update(clients=20))
    flood = []
    try:
        with Socketmap(daemon.path) as busy:
            for _ in range(200):
                flood.append(Socketmap(daemon.path))
                assert busy.pair("me@site.test", "them@one.test") == (REST, REST)
        assert_served(daemon)
        for client in flood[:100]:
            assert client.answer() is None
    finally:
        for client in flood:
            client.close()
        daemon.stop()


# Postfix's own client


def test_postmap_asks(policyd, directory_of):
    postfix = Postfix(directory_of("postmap"), 25)
    out = postfix.command("postmap", "-q", "user@lists.test", f"socketmap:unix:{policyd.path}:sender")
    assert re.match(r"pp-b[12]:\n$", out.stdout)
    out = postfix.command("postmap", "-q", "user@one.test", f"socketmap:unix:{policyd.path}:rcpt",
                          check=False)
    assert (out.returncode, out.stdout, out.stderr) == (1, "", "")


def test_the_sockets_have_the_mode_that_is_configured(policyd):
    stat = policyd.path.stat()
    assert oct(stat.st_mode & 0o777) == "0o660"
    assert policyd.path.group() == "postfix"


@pytest.mark.parametrize("name, section, socket_name", [
    ("postpool-policyd", "listen", "lookup"), ("postpool-milter", "milter", "milter")])
def test_owner_group_and_mode_of_a_socket(directory_of, name, section, socket_name):
    need_world()
    root = directory_of("owner")
    conf = configuration(root)
    conf[section] |= {"owner": "games", "group": "news", "mode": "0620"}
    (root / "tag.secret").write_bytes(SECRET)
    shutil.chown(root / "tag.secret", USER)
    shutil.chown(root, USER, "postfix")
    (root / "postpool.conf").write_text(dumps(conf))
    daemon = Daemon(name, root / "postpool.conf", root,
                    lambda: programs.connects(root / socket_name))
    daemon.start()
    try:
        path = root / socket_name
        assert (path.owner(), path.group()) == ("games", "news")
        assert oct(path.stat().st_mode & 0o777) == "0o620"
    finally:
        daemon.stop()


def test_tcp(directory_of):
    need_world()

    def change(conf):
        conf["listen"]["lookup"] = "inet:127.0.0.1:10025"
    root = directory_of("tcp")
    conf = configuration(root)
    change(conf)
    (root / "tag.secret").write_bytes(SECRET)
    shutil.chown(root / "tag.secret", USER)
    shutil.chown(root, USER, "postfix")
    (root / "postpool.conf").write_text(dumps(conf))

    def ready():
        socket.create_connection(("127.0.0.1", 10025), 10).close()
        return True
    daemon = Daemon("postpool-policyd", root / "postpool.conf", root, ready)
    daemon.start()
    try:
        postfix = Postfix(directory_of("postmap"), 25)
        out = postfix.command("postmap", "-q", "user@site.test",
                              "socketmap:inet:127.0.0.1:10025:sender")
        assert out.stdout == "pp-d1:\n"
    finally:
        daemon.stop()
