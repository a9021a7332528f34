# SPDX-License-Identifier: MIT
"""DNS lists that are asked for the addresses: a real nsd serves one."""

import ipaddress
import json
import re
import shutil
import socket
import time

import pytest

from conftest import need_world
from harness.host import ADDRESSES
from harness.libconf import dumps
from harness.nsd import Nsd
from harness.programs import postpool
from harness.socketmap import Socketmap
from harness.wait import wait_for
from test_protocol import assert_served, make_policyd

EVERY_S = 10
TEST_POINT = ["2.0.0.127 IN A 127.0.0.2"]


def entry(name, code="127.0.0.2", reason=None):
    """An address of the host, listed."""
    label = ".".join(reversed(ADDRESSES[name].split(".")))
    return [f"{label} IN A {code}"] + ([f'{label} IN TXT "{reason}"'] if reason else [])


ALL = [line for name in ADDRESSES for line in entry(name)]


class Policyd:
    """A policy daemon alone, that asks these lists of one server."""

    def __init__(self, root, server, lists, timeout="1s", caps=False, more=None):
        self.root = root

        def change(conf):
            conf["dns"] = {"servers": [server], "timeout": timeout}
            conf["lists"] = lists
            if caps:  # so that there is a store
                conf["addresses"]["a1"]["caps"] = {"hour": 1000}
            conf["addresses"].update(more or {})
            self.conf = conf

        self.daemon = make_policyd(root, change)

    def postpool(self, *args, status=0):
        return postpool("-c", self.root / "postpool.conf", *args, status=status).stdout

    def lists(self):
        return json.loads(self.postpool("lists", "--json"))["lists"]

    def wait_state(self, state, why=None, name="zen"):
        def there():
            (one,) = [one for one in self.lists() if one["name"] == name]
            return one["state"] == state and (why is None or why in one["why"]) and one
        return wait_for(there, what=lambda: f"{state}, {why}: {self.lists()}")

    def listed(self, name="zen"):
        (one,) = [one for one in self.lists() if one["name"] == name]
        return {address["name"] for address in one["addresses"] if address.get("believed")}

    def wait_listed(self, names, name="zen"):
        wait_for(lambda: self.listed(name) == set(names),
                 what=lambda: f"{names} at {name}: {self.lists()}", every=0.2)

    def suspended(self):
        """{address: why}"""
        return {one["address"]: one["why"]
                for one in json.loads(self.postpool("status", "--json"))["suspensions"]
                if one["state"] == "suspended"}

    def wait_suspended(self, names):
        return wait_for(lambda: set(self.suspended()) == set(names) and (self.suspended(),),
                        what=lambda: f"{names} suspended: {self.suspended()}", every=0.2)[0]

    def chosen(self):
        """What the mail of the pool of b1 and b2 leaves through."""
        with Socketmap(self.daemon.path) as client:
            return {client.pair(f"news{i}@lists.test", "them@one.test")[1] for i in range(40)}

    def reload(self):
        (self.root / "postpool.conf").write_text(dumps(self.conf))
        done = postpool("-c", self.root / "postpool.conf", "reload", status=1)  # there is no milter
        assert done.stdout.startswith("postpool-policyd: taken over"), done


def zen(**more):
    return {"name": "zen", "zone": "zen.test", "every": f"{EVERY_S}s", **more}


@pytest.fixture
def serve(directory_of):
    """A function that starts a name server with records of zen.test."""
    need_world()
    if not shutil.which("nsd"):
        pytest.skip("nsd is not installed")
    made = []

    def make_one(records):
        made.append(Nsd(directory_of("nsd"), records, zone="zen.test"))
        return made[-1]

    yield make_one
    for one in made:
        one.stop()


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


def test_listed_and_not_any_more(serve, make):
    nsd = serve(TEST_POINT)
    policyd = make(nsd.address, [zen()])
    policyd.wait_state("good")
    assert policyd.listed() == set()
    nsd.change(TEST_POINT + entry("b1", "127.0.0.3", "see http://zen.test/b1"))
    policyd.wait_listed({"b1"})
    policyd.daemon.wait_log(r"address b1: 127\.0\.1\.11 is listed by zen \(127\.0\.0\.3\): "
                            r"see http://zen\.test/b1 -- reported only")
    nsd.change(TEST_POINT)
    policyd.wait_listed(set())
    policyd.daemon.wait_log(r"address b1: 127\.0\.1\.11 is not listed by zen any more")
    assert policyd.daemon.log().count("is listed by") == 1


def test_suspended_until_it_is_not(serve, make):
    nsd = serve(TEST_POINT)
    policyd = make(nsd.address, [zen(action="suspend")])
    policyd.wait_state("good")
    assert policyd.chosen() == {"OK pp-b1:", "OK pp-b2:"}
    nsd.change(TEST_POINT + entry("b1", reason="see http://zen.test/b1"))
    assert policyd.wait_suspended({"b1"}) == {
        "b1": "listed by zen (127.0.0.2): see http://zen.test/b1"}
    wait_for(lambda: policyd.lists()[0]["addresses"][0]["listed_for_ms"] > 4 * EVERY_S * 1000,
             what="a suspension longer than an answer counts", every=1)
    assert set(policyd.suspended()) == {"b1"}
    assert policyd.daemon.log().count("suspended for") == 1
    assert policyd.chosen() == {"OK pp-b2:"}
    nsd.change(TEST_POINT)
    policyd.wait_suspended(set())
    policyd.daemon.wait_log("b1: its suspension is over")


def test_listed_and_drained(serve, make):
    """An admin's words do not hide what the cause is: it ends, and the drain stays."""
    nsd = serve(TEST_POINT)
    policyd = make(nsd.address, [zen(action="suspend")])
    policyd.wait_state("good")
    nsd.change(TEST_POINT + entry("b1", reason="see"))
    policyd.wait_suspended({"b1"})
    policyd.postpool("drain", "b1", "--why", "going")
    (one,) = json.loads(policyd.postpool("suspensions", "--json"))["suspensions"]
    assert (one["state"], one["by_hand"], one["drained"]) == ("suspended", False, True)
    assert one["why"] == "listed by zen (127.0.0.2): see"
    nsd.change(TEST_POINT)
    policyd.wait_suspended(set())
    (one,) = json.loads(policyd.postpool("suspensions", "--json"))["suspensions"]
    assert (one["state"], one["drained"]) == ("probing", True)
    assert "; drained: going" in policyd.postpool("suspensions")


def test_six_and_public_ip(serve, make):
    """Nibbles, for a list that knows IPv6; behind NAT what others see is asked for."""
    six = {"six": {"ip": "2001:db8::a1", "helo": "six.test"},
           "nat": {"ip": "127.0.1.99", "public_ip": "192.0.2.99", "helo": "nat.test"}}

    def nibbles(ip):
        return ".".join(reversed(ipaddress.ip_address(ip).exploded.replace(":", "")))

    entries = [f"{nibbles('2001:db8::a1')} IN A 127.0.0.2", "99.2.0.192 IN A 127.0.0.2"]
    nsd = serve(TEST_POINT + entries)
    policyd = make(nsd.address, [zen()], more=six)
    policyd.wait_listed({"nat"})
    states = {one["name"]: one["state"] for one in policyd.lists()[0]["addresses"]}
    assert states["six"] == "not asked"
    nsd.change(TEST_POINT + entries + [f"{nibbles('::ffff:127.0.0.2')} IN A 127.0.0.2"])
    policyd.wait_listed({"nat", "six"})


def test_two_lists(serve, make):
    """It is out as long as one of them has it."""
    point = [line.replace(" IN", f".{name} IN") for name in ("one", "two") for line in TEST_POINT]
    one, two = ([line.replace(" IN", f".{name} IN") for line in entry("b1")]
                for name in ("one", "two"))
    nsd = serve(point + one + two)
    policyd = make(nsd.address, [zen(name="one", zone="one.zen.test", action="suspend"),
                                 zen(name="two", zone="two.zen.test", action="suspend")])
    for name in ("one", "two"):
        policyd.wait_listed({"b1"}, name)
    nsd.change(point + two)
    policyd.wait_listed(set(), "one")
    assert set(policyd.suspended()) == {"b1"}
    nsd.change(point)
    policyd.wait_listed(set(), "two")
    policyd.wait_suspended(set())


def test_what_is_told(serve, make):
    nsd = serve(TEST_POINT + entry("a1", reason="spam") + entry("b2", code="127.0.0.10"))
    policyd = make(nsd.address, [zen(codes=["127.0.0.2"])])
    policyd.wait_listed({"a1"})  # b2 is there under a code that was not asked for
    lines = policyd.postpool("lists").splitlines()
    assert lines[0] == "list zen: good; of 7 addresses 1 are listed: a1"
    assert lines[2].split() == ["address", "ip", "list", "state", "answered"]
    first = lines[3].split()
    assert first[:4] + first[-3:] == ["a1", "127.0.1.1", "zen", "LISTED", "ago", "127.0.0.2", "spam"]
    assert [line.split()[3] for line in lines[4:]] == ["clear"] * 6
    assert lines[0] in policyd.postpool("status").splitlines()
    (status,) = json.loads(policyd.postpool("status", "--json"))["lists"]
    assert (status["state"], status["listed"], status["clear"]) == ("good", 1, 6)
    (one,) = policyd.lists()
    address = one["addresses"][0]
    assert (address["name"], address["code"], address["reason"]) == ("a1", "127.0.0.2", "spam")
    assert 0 <= address["answered_ms_ago"] <= 60000


def test_no_lists(make):
    policyd = make("127.0.0.1:1", [])
    assert policyd.postpool("lists") == "no list is asked: the configuration names none\n"
    assert policyd.lists() == []
    assert "lists" not in json.loads(policyd.postpool("status", "--json"))


# Lists that are not believed, and servers that do not answer


BAD = {
    "public": (["* IN A 127.255.255.254"], "refused", "it does not serve public resolvers"),
    "overused": (["* IN A 127.255.255.255"], "refused", "too many questions"),
    "everything": (["* IN A 127.0.0.2"], "not believed", "it lists 127.0.0.1"),
    "nothing": ([], "not believed", "it does not list 127.0.0.2"),
    "parked": (["* IN A 203.0.113.80"], "not believed", "it answers 203.0.113.80"),
    "all-ours": (TEST_POINT + ALL, "not believed", "it lists all 7 of our addresses"),
}


def bad_lists(serve, make):
    """A daemon with a list of each kind, and a function that makes them good or bad."""
    def records(good):
        return [line.replace(" IN", f".{kind} IN") for kind, (bad, _, _) in BAD.items()
                for line in (TEST_POINT + entry("c1") if good else bad)]

    nsd = serve(records(False))
    policyd = make(nsd.address, [zen(name=kind, zone=f"{kind}.zen.test", action="suspend")
                                 for kind in BAD])
    return policyd, lambda good: nsd.change(records(good))


def warnings(policyd, kind):
    return len(re.findall(f"list {kind}: .*{BAD[kind][2]}", policyd.daemon.log()))


def test_not_believed(serve, make):
    """From the beginning, and when a list becomes so; then it is one again."""
    policyd, change = bad_lists(serve, make)
    for kind, (_, state, why) in BAD.items():
        policyd.wait_state(state, why, name=kind)
        assert policyd.listed(kind) == set()
    change(True)
    for kind in BAD:
        policyd.wait_state("good", name=kind)
        policyd.wait_listed({"c1"}, kind)
        policyd.daemon.wait_log(f"list {kind}: it answers as a list does again")
    change(False)
    for kind, (_, state, why) in BAD.items():
        policyd.wait_state(state, why, name=kind)
    # What they said counts for three rounds: the two that refuse have c1.
    assert set(policyd.suspended()) == {"c1"}
    for kind, (_, state, _) in BAD.items():
        # What it said is void; a refusal says nothing.
        assert policyd.listed(kind) == (set() if state == "not believed" else {"c1"})
    for kind in BAD:
        wait_for(lambda: warnings(policyd, kind) == 2, what=f"a warning of {kind}")
    time.sleep(EVERY_S)
    for kind in BAD:  # once, not each round
        assert warnings(policyd, kind) == 2
        assert policyd.daemon.log().count(f"is listed by {kind}") == 1


def test_no_server(make):
    policyd = make("127.0.0.1:1", [zen(action="suspend")])
    policyd.wait_state("silent")
    assert_served(policyd.daemon)


def test_server_that_dies(serve, make):
    """What it said counts for a while, but not for ever."""
    nsd = serve(TEST_POINT + entry("b1"))
    policyd = make(nsd.address, [zen(action="suspend")], timeout="100ms")
    policyd.wait_listed({"b1"})
    nsd.stop()
    policyd.wait_state("silent")
    assert policyd.listed() == {"b1"}
    policyd.wait_listed(set())
    policyd.wait_suspended(set())
    policyd.daemon.wait_log("counts as not listed by zen: nothing was heard for too long")


def test_silent_server_slows_nothing(make):
    """It takes questions and says nothing; the number of open ones is bounded."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        lists = [{"zone": f"l{i}.test", "every": "10s", "action": "suspend"} for i in range(32)]
        policyd = make("127.0.0.1:%d" % silent.getsockname()[1], lists, timeout="30s")
        wait_for(lambda: sum(one["questions"] for one in policyd.lists()) >= 32,
                 what="questions")
        for _ in range(20):
            assert_served(policyd.daemon)
        assert sum(one["questions"] for one in policyd.lists()) == 32


def test_reload(serve, make):
    """What is known stays known; a list that is gone, or reports only, suspends nothing."""
    nsd = serve(TEST_POINT + entry("b1"))
    policyd = make(nsd.address, [zen(action="suspend")])
    policyd.wait_listed({"b1"})
    policyd.conf["lists"] = [zen(name="other", action="suspend"),
                             {"zone": "zen2.test", "every": "10s"}]
    policyd.reload()
    assert policyd.listed("other") == {"b1"}
    assert set(policyd.suspended()) == {"b1"}
    policyd.wait_state("silent", name="zen2.test")  # refused by nsd: not its zone
    assert policyd.daemon.log().count("is listed by") == 1
    policyd.conf["lists"] = [zen()]
    policyd.reload()
    assert policyd.listed() == {"b1"}
    assert policyd.suspended() == {}
    policyd.conf["lists"] = [zen(action="suspend")]
    policyd.reload()
    policyd.wait_suspended({"b1"})
    policyd.conf["lists"] = []
    policyd.reload()
    assert policyd.lists() == []
    assert policyd.suspended() == {}


def test_an_admin_is_not_overruled(serve, make):
    """What is suspended by hand stays so when it is not listed any more."""
    nsd = serve(TEST_POINT + entry("b1"))
    policyd = make(nsd.address, [zen(action="suspend")])
    policyd.wait_suspended({"b1"})
    policyd.postpool("suspend", "b1", "--why", "moving")
    nsd.change(TEST_POINT)
    policyd.wait_listed(set())
    assert policyd.suspended() == {"b1": "moving"}
    policyd.postpool("resume", "b1")
    nsd.change(TEST_POINT + entry("b1"))
    policyd.wait_suspended({"b1"})
    policyd.postpool("resume", "b1")  # until the list is asked again
    policyd.wait_suspended({"b1"})


def test_restart(serve, make):
    """What was suspended before it ends when the list has it no more."""
    nsd = serve(TEST_POINT + entry("b1"))
    policyd = make(nsd.address, [zen(action="suspend", every="1h")], caps=True)
    policyd.wait_suspended({"b1"})
    policyd.daemon.stop()
    policyd.daemon.start()
    policyd.wait_suspended({"b1"})
    policyd.daemon.stop()
    nsd.change(TEST_POINT)
    policyd.daemon.start()
    policyd.wait_state("good")
    policyd.wait_suspended(set())
    policyd.daemon.wait_log("b1: its suspension is over")
