# SPDX-License-Identifier: MIT
"""Nothing is lost, nothing comes twice and nothing leaves from elsewhere, whatever breaks."""

import re
import signal
import socket
import struct
import threading
import time
from collections import Counter

import pytest

from conftest import need_world
from harness import client, namespace
from harness.host import ALERTS, BULK, REST
from harness.wait import wait_for
from test_protocol import make_policyd


class Load(threading.Thread):
    """Submits messages over one connection until it is told to stop or count is reached."""

    def __init__(self, host, count=None, sender="news@lists.test"):
        super().__init__()
        self.host, self.count, self.sender = host, count, sender
        self.ids = []
        self.error = None
        self._enough = threading.Event()

    def run(self):
        try:
            with self.host.smtp() as smtp:
                while not self._enough.is_set() and len(self.ids) != self.count:
                    test_id = client.new_id()
                    smtp.send(self.sender, [f"r{len(self.ids) % 10}@one.test"],
                              client.message(test_id))
                    self.ids.append(test_id)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def stop(self):
        self._enough.set()
        self.join()
        assert self.error is None

    def finish(self):
        """Stop, and see that each message came to the sink once."""
        self.stop()
        assert_once(self.host, self.ids)


def assert_once(host, ids):
    host.postfix.wait_queue_empty(120)
    wanted = set(ids)
    assert Counter(d.id for d in host.sink.deliveries if d.id in wanted) == Counter(ids)


def wait_deferred(host, count):
    """Wait until all that is in the queue are so many messages, each of them tried in vain."""
    def are_there():
        ids = {m["queue_id"] for m in host.postfix.queue()}
        tried = set(re.findall(r" (\w+): to=<.* status=deferred ", host.postfix.log()))
        return len(ids) == count and ids <= tried
    wait_for(are_there, what=lambda: f"{count} deferred messages: {host.postfix.queue()}", every=0.2)


def assert_nothing_deferred(host):
    deferred = [line for line in host.postfix.log().splitlines() if "status=deferred" in line]
    assert deferred == []


@pytest.fixture(scope="module")
def host(make_shared_host):
    return make_shared_host(lambda conf: conf.update(watchdog="2s"))


def test_policyd_killed(host):
    """Mail is taken, waits, and is delivered when the daemon is back: local mail too."""
    before = host.submit("news@lists.test", ["a@one.test"])
    host.sink.wait(before)
    host.policyd.kill_all()
    ids = [host.submit("news@lists.test", [f"r{n}@one.test"]) for n in range(20)]
    local = host.submit("me@site.test", ["games@local.test"])
    wait_deferred(host, 21)
    host.policyd.start()
    assert_once(host, [before, *ids])
    assert {d.source for i in ids for d in host.sink.of(i)} <= BULK
    host.postfix.wait_mailbox("games", local)


def test_the_worker_killed(host):
    """The guard holds the sockets and has a new worker: the mail does not notice."""
    logged = len(host.postfix.log())
    load = Load(host)
    load.start()
    for _ in range(5):
        (worker,) = wait_for(host.policyd.workers, what="the worker")
        seen = len(host.sink.deliveries)
        wait_for(lambda n=seen: len(host.sink.deliveries) > n + 20, what="20 more deliveries")
        host.policyd.signal_worker(worker, signal.SIGKILL)
        wait_for(lambda w=worker: host.policyd.workers() not in ([], [w]), what="a new worker")
    load.finish()
    mine = set(load.ids)
    assert not re.search("status=deferred", host.postfix.log()[logged:])
    assert {d.source for d in host.sink.deliveries if d.id in mine} <= BULK


def replace_worker(host):
    (worker,) = wait_for(host.policyd.workers, what="the worker")
    host.policyd.signal_worker(worker, signal.SIGKILL)
    wait_for(lambda: host.policyd.workers() not in ([], [worker]), what="a new worker")


def test_ended_while_a_worker_starts(directory_of):
    """Who ends the daemon before its new worker can hear of it has ended it well."""
    def change(conf):  # to read them takes it a while
        conf["addresses"] |= {f"n{n}": {"ip": f"10.79.{n // 250}.{n % 250}", "helo": "n.mail.test"}
                              for n in range(5000)}

    need_world()
    policyd = make_policyd(directory_of("starting"), change)
    for _ in range(3):
        (worker,) = policyd.workers()
        policyd.signal_worker(worker, signal.SIGKILL)
        wait_for(lambda w=worker: policyd.workers() not in ([], [w]), what="a new worker")
        policyd.stop()
        policyd.start()
    policyd.stop()


def test_a_new_worker_has_what_reloads_brought(host):
    """And what the guard began with when the file is bad by then."""
    first, changed = host.changed(), host.changed()
    changed["pools"]["bulk"]["addresses"] = ["c1"]
    host.reload_conf(changed)
    try:
        replace_worker(host)
        (delivery,) = host.deliver("news@lists.test", "a@one.test")
        assert delivery.source in ALERTS
        logged = len(host.policyd.log())
        host.conf_path.write_text("nodes = 1;\n")
        replace_worker(host)
        host.policyd.wait_log("the configuration of the first start is used again", logged)
        (delivery,) = host.deliver("news@lists.test", "a@two.test")
        assert delivery.source in BULK
    finally:
        host.reload_conf(first)


def test_the_worker_stopped(host):
    """A daemon that stands still is ended by the watchdog, and mail goes on."""
    host.deliver("news@lists.test", "a@one.test")
    (worker,) = host.policyd.workers()
    host.policyd.signal_worker(worker, signal.SIGSTOP)
    ids = [host.submit("news@lists.test", [f"r{n}@one.test"]) for n in range(5)]
    wait_for(lambda: worker not in host.policyd.workers(), what="the end of the stopped worker")
    assert_once(host, ids)
    assert host.policyd.running


def test_the_milter_killed(host):
    """Postfix asks the client to come again; nothing is taken without its stream."""
    host.milter.kill_all()
    with host.smtp() as smtp:
        try:
            reply = smtp.cmd("MAIL FROM:<me@site.test>")
        except client.Refused as refused:
            reply = str(refused)
    assert reply.startswith("451")
    host.milter.start()
    (delivery,) = host.deliver("me@site.test", "a@one.test", ["X-Stream: bulk"])
    assert delivery.source in BULK


def milter_packet(command, data=b""):
    return struct.pack(">I", len(data) + 1) + command + data


OPTNEG = milter_packet(b"O", struct.pack(">III", 6, 0x1FF, 0x1FFFFF))
CONNECT = milter_packet(b"C", b"x\0" + b"4" + struct.pack(">H", 25) + b"127.0.0.1\0")
UNKNOWN, MAIL, RCPT, EOM, QUIT_NC = (
    milter_packet(b"U", b"x\0"), milter_packet(b"M", b"<a@b.test>\0"),
    milter_packet(b"R", b"<a@one.test>\0"), milter_packet(b"E"), milter_packet(b"K"))


@pytest.mark.parametrize("packets", [
    [OPTNEG, CONNECT, UNKNOWN, RCPT, EOM], [UNKNOWN, RCPT], [OPTNEG, QUIT_NC, UNKNOWN, RCPT],
    [OPTNEG, CONNECT, EOM], [OPTNEG, CONNECT, MAIL, RCPT, EOM, QUIT_NC, CONNECT, MAIL, RCPT, EOM],
])
def test_a_client_of_the_milter_in_disorder(host, packets):
    """Only its own connection suffers."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(host.run / "milter"))
        peer.settimeout(60)
        peer.sendall(b"".join(packets))
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(65536):
            pass
    assert host.milter.running
    (delivery,) = host.deliver("me@site.test", "a@one.test", ["X-Stream: bulk"])
    assert delivery.source in BULK


def test_a_worker_that_dies_at_once_is_not_replaced_at_once(host):
    """Five in a row: there are pauses, which grow."""
    begin = time.monotonic()
    for _ in range(5):
        (worker,) = wait_for(host.policyd.workers, what="a worker")
        host.policyd.signal_worker(worker, signal.SIGKILL)
        wait_for(lambda w=worker: w not in host.policyd.workers(), what="its end")
    wait_for(host.policyd.workers, what="a worker")
    assert time.monotonic() - begin > 0.7  # 0, 0.1, 0.2, 0.4 s and more at least
    (delivery,) = host.deliver("me@site.test", "a@one.test", ["X-Stream: bulk"])
    assert delivery.source in BULK


def test_postfix_reloaded_under_load(host):
    load = Load(host)
    load.start()
    for _ in range(3):
        host.postfix.reload()
    load.finish()


def test_configuration_reloaded_under_load(host):
    """Weights and streams change ten times; nothing is lost, refused or twice."""
    load = Load(host)
    load.start()
    for n in range(10):
        conf = host.changed()
        conf["pools"]["bulk"]["addresses"] = [{"name": "b1", "weight": 1 + n},
                                              {"name": "b2", "weight": 10 - n}]
        conf["streams"].insert(0, {"name": f"extra-{n}", "pool": "alerts",
                                   "match": [{"sender": f"nobody{n}@site.test"}]})
        if n:
            del conf["streams"][1]
        host.reload_conf(conf)
        seen = len(host.sink.deliveries)
        wait_for(lambda s=seen: len(host.sink.deliveries) > s + 10, what="10 more deliveries")
    load.finish()
    mine = set(load.ids)
    assert {d.source for d in host.sink.deliveries if d.id in mine} <= BULK


# Sockets that somebody else holds


@pytest.fixture
def activated(make_host):
    """policyd gets its sockets from us, as from systemd."""
    host = make_host(start=False)
    sockets = {}
    for name in ("lookup", "control"):
        path = host.run / name
        sockets[name] = socket.socket(socket.AF_UNIX)
        sockets[name].bind(str(path))
        path.chmod(0o666)
        sockets[name].listen(1024)
    host.sockets = sockets
    host.policyd.start(sockets)
    host.milter.start()
    host.apply()
    host.postfix.start()
    yield host
    for listener in sockets.values():
        listener.close()


def test_two_sockets_for_one_thing_are_refused(make_host):
    """The second would take connections and never answer."""
    host = make_host(start=False)
    with socket.socket(socket.AF_UNIX) as named, socket.socket(socket.AF_UNIX) as placed:
        for listener, path in ((named, host.root / "named"), (placed, host.run / "lookup")):
            listener.bind(str(path))
            listener.listen()
        with pytest.raises(AssertionError, match="both for listen.lookup"):
            host.policyd.start({"lookup": named, "other": placed})
    assert host.policyd.process.wait() == 1
    host.policyd.process = None


def test_killed_behind_sockets_of_systemd(activated):
    """kill -9 does not even defer a message."""
    load = Load(activated)
    load.start()
    for _ in range(10):
        seen = len(activated.sink.deliveries)
        wait_for(lambda s=seen: len(activated.sink.deliveries) > s + 20,
                 what="20 more deliveries")
        activated.policyd.kill_all()
        activated.policyd.start(activated.sockets)
    load.finish()
    assert_nothing_deferred(activated)


def test_stopped_and_started_behind_sockets_of_systemd(activated):
    """An orderly restart is not seen either, and leaves the socket files alone."""
    load = Load(activated)
    load.start()
    for _ in range(3):
        seen = len(activated.sink.deliveries)
        wait_for(lambda s=seen: len(activated.sink.deliveries) > s + 20,
                 what="20 more deliveries")
        activated.policyd.stop()
        assert (activated.run / "lookup").exists()
        activated.policyd.start(activated.sockets)
    load.finish()
    assert_nothing_deferred(activated)


# Addresses that come and go


@pytest.fixture
def moving(make_host):
    """The pool "bulk" is 10.77.0.1 and 10.77.0.2, which this host has or has not."""
    addresses = ["10.77.0.1", "10.77.0.2"]
    for address in addresses:
        namespace.ip("addr", "add", f"{address}/32", "dev", "lo")

    def change(conf):
        conf["addresses"]["m1"] = {"ip": addresses[0], "helo": "m1.mail.test"}
        conf["addresses"]["m2"] = {"ip": addresses[1], "helo": "m2.mail.test"}
        conf["pools"]["bulk"] = {"addresses": ["m1", "m2"]}
    # A session whose own address is gone hears nothing any more.
    timeouts = {f"smtp_{step}_timeout": "5s" for step in
                ("helo", "mail", "rcpt", "data_init", "data_xfer", "data_done", "rset", "quit")}
    host = make_host(change, main=timeouts)
    yield host
    for address in addresses:
        try:
            namespace.ip("addr", "del", f"{address}/32", "dev", "lo")
        except Exception:  # pylint: disable=broad-except
            pass  # the test took it away


def test_a_removed_address_is_no_longer_chosen(moving):
    both = {"10.77.0.1", "10.77.0.2"}
    load = Load(moving)
    load.start()
    wait_for(lambda: {d.source for d in moving.sink.deliveries} == both, what="both addresses")
    namespace.ip("addr", "del", "10.77.0.1/32", "dev", "lo")
    count = len(load.ids)
    wait_for(lambda: len(load.ids) > count + 50, what="50 more messages")
    load.stop()
    # What was under way on the lost connections may have been taken twice, by SMTP's own rules.
    moving.postfix.wait_queue_empty(120)
    assert {d.id for d in moving.sink.deliveries} == set(load.ids)
    assert {d.source for d in moving.sink.deliveries} == both

    moving.sink.clear()
    ids = [moving.submit("news@lists.test", [f"r{n}@two.test"]) for n in range(40)]
    assert_once(moving, ids)
    assert {d.source for d in moving.sink.deliveries} == {"10.77.0.2"}

    # The last one gone: mail waits, for nothing may leave from elsewhere.
    moving.sink.clear()
    namespace.ip("addr", "del", "10.77.0.2/32", "dev", "lo")
    ids = [moving.submit("news@lists.test", [f"r{n}@three.test"]) for n in range(10)]
    wait_deferred(moving, 10)
    (other,) = moving.deliver("me@site.test", "a@three.test")
    assert other.source in REST
    namespace.ip("addr", "add", "10.77.0.1/32", "dev", "lo")
    assert_once(moving, ids)
    assert {d.source for d in moving.sink.deliveries} == {"10.77.0.1"} | REST


def test_overflow_takes_what_the_pool_cannot(make_host):
    """An address of another network that this host never had is no candidate."""
    def change(conf):
        for n, name in enumerate(("a1", "a2")):
            conf["addresses"][name]["ip"] = f"10.78.0.{n + 1}"
    host = make_host(change)
    (delivery,) = host.deliver("me@site.test", "a@one.test", ["X-Stream: transactional"])
    assert delivery.source == "127.0.1.41"


# Many addresses


def test_five_hundred_addresses(make_host):
    """One Postfix with all of them: apply, start, deliver from all over."""
    def change(conf):
        names = [f"n{n}" for n in range(500)]
        conf["addresses"] |= {name: {"ip": f"127.0.{2 + n // 250}.{1 + n % 250}",
                                     "helo": f"{name}.mail.test", "maxproc": 2}
                              for n, name in enumerate(names)}
        conf["pools"]["bulk"] = {"addresses": names}
    host = make_host(change)
    ids = [client.new_id() for _ in range(1500)]
    with host.smtp() as smtp:
        smtp.pipeline([("news@lists.test", ["a@one.test"], client.message(i)) for i in ids])
    assert_once(host, ids)
    sources = {d.source for d in host.sink.deliveries}
    assert sources <= {f"127.0.{2 + n // 250}.{1 + n % 250}" for n in range(500)}
    assert len(sources) > 400
    assert_nothing_deferred(host)
