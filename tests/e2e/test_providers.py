# SPDX-License-Identifier: MIT
"""Whose a recipient domain is, by real MX records: a real nsd, and servers that are none."""

import json
import os
import shutil
import signal
import socket
import struct
import threading
import time

import pytest

from conftest import need_world
from harness.libconf import dumps
from harness.nsd import Nsd
from harness.programs import postpool
from harness.wait import wait_for
from test_protocol import assert_served, make_policyd

SO_RCVBUFFORCE = 33
PROVIDERS = {
    "google": {"domains": ["gmail.com"], "mx": [".google.test"]},
    "microsoft": {"mx": [".outlook.test", ".mx.microsoft"]},
    "own": {"mx": [".own.mail.test"]},
}
CHANGING = ["changing 1 IN MX 10 mx.google.test."]
RECORDS = [
    "google IN MX 1 aspmx.l.google.test.",
    "google IN MX 5 ALT1.aspmx.L.google.TEST.",
    "microsoft IN MX 0 a.outlook.test.",
    "microsoft IN MX 0 b.c.mx.microsoft.",
    "mixed IN MX 1 aspmx.l.google.test.",
    "mixed IN MX 5 a.outlook.test.",
    "blended IN MX 1 aspmx.l.google.test.",
    "blended IN MX 5 mx",
    "nobody IN MX 5 mx.notgoogle.test.",
    "nothing IN A 127.0.0.1",
    "nothing.own IN A 127.0.0.1",
    "null IN MX 0 .",
    "alias IN CNAME google",
    *(f"large IN MX {i} very-long-host-name-{i}.google.test." for i in range(60)),
    *(f"flood IN MX {i} m{i}.google.test." for i in range(200)),
]
EXPECTED = {
    "google": "google", "GooGle": "google", "alias": "google", "microsoft": "microsoft",
    "mixed": "other", "blended": "other", "nobody": "other", "nothing": "other",
    "nothing.own": "own", "null": "other", "nowhere": "other", "nowhere.own": "other",
    "large": "google",  # does not fit a datagram, comes by TCP
    "flood": "other",
}


class Policyd:
    """A policy daemon alone, with these DNS servers."""

    def __init__(self, root, servers, timeout="5s", providers=None):
        self.root = root

        def change(conf):
            conf["dns"] = {"servers": servers, "timeout": timeout}
            conf["providers"] = providers or PROVIDERS
            conf["watchdog"] = "10s"
            self.conf = conf

        self.daemon = make_policyd(root, change)

    def postpool(self, *args, status=0):
        return postpool("-c", self.root / "postpool.conf", *args, status=status)

    def ask(self, domain):
        return json.loads(self.postpool("provider", domain, "--json", status=None).stdout)

    def provider(self, domain):
        """Ask until it is known."""
        return wait_for(lambda: self.ask(domain)["provider"], what=f"the provider of {domain}",
                        limit=120)

    def figures(self):
        return json.loads(self.postpool("status", "--json").stdout)["dns"]

    def reload(self):
        (self.root / "postpool.conf").write_text(dumps(self.conf))
        done = postpool("-c", self.root / "postpool.conf", "reload", status=1)  # there is no milter
        assert done.stdout.startswith("postpool-policyd: taken over"), done


@pytest.fixture(scope="module")
def nsd(directory_of):
    need_world()
    if not shutil.which("nsd"):
        pytest.skip("nsd is not installed")
    server = Nsd(directory_of("nsd"), RECORDS + CHANGING)
    yield server
    server.stop()


@pytest.fixture
def make(directory_of):
    need_world()
    made = []

    def make_one(*args, **kwargs):
        made.append(Policyd(directory_of("policyd"), *args, **kwargs))
        return made[-1]

    yield make_one
    for one in made:
        one.daemon.stop()


@pytest.fixture(scope="module")
def policyd(nsd, directory_of):
    policyd = Policyd(directory_of("policyd"), [nsd.address])
    # The last test waits until this answer is old.
    assert policyd.provider("changing.mail.test") == "google"
    policyd.known_at = time.monotonic()
    yield policyd
    policyd.daemon.stop()


class Server(threading.Thread):
    """A DNS server over UDP; respond(query) gives the datagrams to send back."""

    def __init__(self, respond):
        super().__init__(daemon=True)
        self.respond = respond
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)  # all that is asked
        self._socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            query, peer = self._socket.recvfrom(4096)
            if not query:
                return
            self.asked += 1
            for datagram in self.respond(query):
                try:
                    self._socket.sendto(datagram, peer)
                except OSError:
                    pass

    def stop(self):
        host, _, port = self.address.partition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.sendto(b"", (host, int(port)))
        self.join()
        self._socket.close()


@pytest.fixture
def serve():
    made = []

    def make_one(respond):
        made.append(Server(respond))
        return made[-1]

    yield make_one
    for one in made:
        one.stop()


# What DNS says


@pytest.mark.parametrize("name, provider", EXPECTED.items(), ids=EXPECTED)
def test_by_mx(policyd, name, provider):
    assert policyd.provider(f"{name}.mail.test") == provider


def test_at_once(policyd):
    """Known without asking: named, an address literal, UTF-8, no domain."""
    before = policyd.figures()["lookups"]
    for domain, provider in (("gmail.com", "google"), ("GMAIL.com.", "google"),
                             ("[127.0.0.1]", "other"), ("gr\u00fcn.test", "other"),
                             ("a..b", "other")):
        assert policyd.ask(domain)["provider"] == provider
    assert policyd.figures()["lookups"] == before


def test_not_known_yet(policyd):
    first = policyd.postpool("provider", "first.mail.test", status=1)
    assert first.stdout == "not known yet, asked\n"
    assert policyd.provider("first.mail.test") == "other"
    again = policyd.postpool("provider", "first.mail.test")
    assert again.stdout == "other\n  there is no such domain\n"


def test_provider_says_why(policyd):
    policyd.provider("google.mail.test")
    lines = policyd.postpool("provider", "google.mail.test").stdout.splitlines()
    assert lines[:2] == ["google", "  its MX hosts say so"]
    assert sorted(lines[2:]) == ["  mx alt1.aspmx.l.google.test", "  mx aspmx.l.google.test"]


@pytest.mark.parametrize("args", [(), ("a.test", "b.test"), ("a@b.test",), ("a b",), ("",),
                                  ("x" * 600,)])
def test_usage(policyd, args):
    assert policyd.postpool("provider", *args, status=2).stdout == ""


def test_status(policyd):
    policyd.provider("google.mail.test")
    figures = policyd.figures()
    assert set(figures) == {"lookups", "failures", "dropped", "in_flight", "queued", "cached"}
    assert figures["lookups"] >= figures["cached"] > 0
    (line,) = [line for line in policyd.postpool("status").stdout.splitlines()
               if line.startswith("DNS: ")]
    assert line.startswith(f"DNS: {figures['lookups']} lookups, ")


# Reload


def test_reload(nsd, make):
    """Providers are matched anew without asking DNS, and other servers are asked from then on."""
    policyd = make([nsd.address])
    assert policyd.provider("google.mail.test") == "google"
    lookups = policyd.figures()["lookups"]
    policyd.conf["providers"] = {"alpha": {"domains": ["nothing.mail.test"]},
                                 "beta": {"mx": [".l.google.test"]}}
    policyd.reload()
    assert policyd.ask("google.mail.test")["provider"] == "beta"
    assert policyd.ask("nothing.mail.test")["provider"] == "alpha"
    assert policyd.figures()["lookups"] == lookups
    policyd.conf["dns"]["servers"] = ["127.0.0.1:1"]
    policyd.reload()
    assert policyd.provider("microsoft.mail.test") == "other"
    assert policyd.figures()["failures"] == 1


# A worker that is killed begins anew


def test_a_new_worker_asks_anew(nsd, make):
    policyd = make([nsd.address])
    assert policyd.provider("google.mail.test") == "google"
    (worker,) = policyd.daemon.workers()
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: policyd.daemon.workers() not in ([], [worker]), what="the next worker")
    assert policyd.provider("google.mail.test") == "google"


# Servers that are silent, lie or flood


def is_believed(policyd, server):
    """Once it answers well; where the machine stands still, a question or two are given up."""
    server.respond = lambda query: [answer(query) + record(b"\0\x0a" + HOST)]
    return "google" in (policyd.provider(f"good{i}.mail.test") for i in range(5))


def test_silent_server(serve, make):
    """Lookups go on, what is open is bounded, and in the end the domains are "other"."""
    server = serve(lambda query: [])
    policyd = make([server.address], timeout="300ms")
    for i in range(300):
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(policyd.root / "control"))
            control.sendall(b"mx d%d.mail.test\n" % i)
            assert control.recv(1000).startswith(b"not known yet")
    most = policyd.figures()["in_flight"]
    assert_served(policyd.daemon)
    wait_for(lambda: policyd.figures()["failures"] == 300, what="the end of all lookups")
    policyd.daemon.wait_log("DNS: 11 failures in a row, the last: Timeout")
    assert policyd.daemon.log().count("failures in a row") == 1
    assert most <= 200
    assert policyd.ask("d7.mail.test")["provider"] == "other"
    assert "failed" in policyd.postpool("provider", "d7.mail.test").stdout
    wait_for(lambda: server.asked >= 600, what="the last questions to be read")
    assert server.asked == 600  # each is asked for twice
    assert policyd.figures()["in_flight"] == policyd.figures()["queued"] == 0
    assert is_believed(policyd, server)
    policyd.daemon.wait_log(rf"DNS is back after \d+ s, {policyd.figures()['failures']} failures")


def test_no_server(make):
    policyd = make(["127.0.0.1:1", "[::1]:1"])
    assert policyd.provider("google.mail.test") == "other"
    assert_served(policyd.daemon)


def answer(query, records=1, flags=0x8180):
    """The head of an answer to query, with the question."""
    question = query[12:query.index(b"\0", 12) + 5]
    return query[:2] + struct.pack(">5H", flags, 1, records, 0, 0) + question


def record(rdata, length=None, ttl=300):
    size = len(rdata) if length is None else length
    return b"\xc0\x0c" + struct.pack(">2HIH", 15, 1, ttl, size) + rdata


HOST = b"\x05aspmx\x06google\x04test\x00"
MALFORMED = {
    "nothing behind the head": lambda q: answer(q),
    "fewer records than said": lambda q: answer(q, 9) + record(b"\0\x0a" + HOST),
    "a record that is cut": lambda q: answer(q) + record(b"\0\x0a" + HOST)[:-5],
    "a length beyond the end": lambda q: answer(q) + record(b"\0\x0a" + HOST, 5000),
    "a length before the name's end": lambda q: answer(q) + record(b"\0\x0a" + HOST, 5),
    "a pointer to itself": lambda q: answer(q) + record(
        b"\0\x0a" + struct.pack(">H", 0xc000 | len(answer(q)) + 14)),
    "a label too long": lambda q: answer(q) + record(b"\0\x0a\x7f" + b"a" * 127 + b"\0"),
    "a name too long": lambda q: answer(q) + record(b"\0\x0a" + (b"\x3f" + b"a" * 63) * 5 + b"\0"),
    "the question sent back": lambda q: q,
    "an error that is rare": lambda q: answer(q, flags=0x8186) + record(b"\0\x0a" + HOST),
    "refused": lambda q: answer(q, 0, flags=0x8185),
    "another question": lambda q: answer(q).replace(b"\x04mail\x04test", b"\x04liam\x04test")
    + record(b"\0\x0a" + HOST),
    "another id": lambda q: bytes([q[0] ^ 255]) + answer(q)[1:] + record(b"\0\x0a" + HOST),
    "two bytes": lambda q: q[:2],
    "a head alone": lambda q: answer(q)[:12],
    "noise": lambda q: q[:2] + bytes(range(256)) * 2,
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_answer(serve, make, kind):
    server = serve(lambda query: [MALFORMED[kind](query)])
    policyd = make([server.address], timeout="300ms")
    assert policyd.provider("bad.mail.test") == "other"
    assert policyd.figures()["failures"] == 1
    assert is_believed(policyd, server)
    assert_served(policyd.daemon)


def test_a_lie_for_another_name_is_not_believed(serve, make):
    """Dots inside of a label, and bytes that no host has."""
    lies = {"dot": b"\x0dx.google.test\x00", "blank": b"\x03a b\x06google\x04test\x00",
            "case": b"\x05ASPMX\x06GOOGLE\x04TEST\x00"}
    server = serve(lambda q: [answer(q) + record(b"\0\x0a" + lies[q[13:13 + q[12]].decode()])])
    policyd = make([server.address])
    assert policyd.provider("dot.mail.test") == "other"
    assert policyd.provider("blank.mail.test") == "other"
    assert policyd.provider("case.mail.test") == "google"


def test_flood(serve, make):
    """A server that sends without end takes turns with the lookups."""
    begun, enough = threading.Event(), threading.Event()

    def flood(query):
        wrong = bytes([query[0] ^ 255]) + answer(query, 0)[1:]
        begun.set()
        while not enough.is_set():
            yield wrong
        yield answer(query) + record(b"\0\x0a" + HOST)

    policyd = make([serve(flood).address], timeout="60s")
    try:
        assert policyd.ask("google.mail.test")["provider"] is None
        assert begun.wait(60)
        for _ in range(50):
            assert_served(policyd.daemon)
        assert policyd.ask("google.mail.test")["provider"] is None
    finally:
        enough.set()
    assert policyd.provider("google.mail.test") == "google"


# A TTL of a second is taken for a minute; the old answer counts until there is a new one


def test_a_changed_record_is_seen(nsd, policyd):
    nsd.change(RECORDS + ["changing 1 IN MX 10 a.outlook.test."])
    left = policyd.known_at + 50 - time.monotonic()
    if left > 0:
        assert policyd.ask("changing.mail.test")["provider"] == "google"
        time.sleep(left)
    wait_for(lambda: policyd.ask("changing.mail.test")["provider"] == "microsoft", limit=120,
             what="the new record", every=1)
    assert time.monotonic() - policyd.known_at > 59
