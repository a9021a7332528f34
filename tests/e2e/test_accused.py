# SPDX-License-Identifier: MIT
"""What follows from the log's replies: a policy daemon alone, and a log that the test writes."""

import copy
import json
import re
from datetime import datetime, timedelta

import pytest

from harness import libconf, maillog
from harness.node import Node
from harness.programs import postpool
from harness.wait import wait_for

REPLIES = [
    {"name": "refused", "class": "address_provider", "code": 554, "after": 3, "suspend": "1h",
     "samples": ["554 5.7.1 refused"]},
    {"name": "burnt", "class": "address", "code": 553, "suspend": "1h",
     "samples": ["553 5.7.1 burnt"]},
]


class Accused:
    """A node whose log is followed."""

    def __init__(self, root):
        self.log = root / "mail.log"
        self.log.touch()
        self.told = 0

        def change(conf):
            conf["store"] = {"path": f"{root}/mta1/state.db"}
            conf["feedback"] = {"log": str(self.log)}
            conf["providers"] = {"one": {"domains": ["one.test"]}}
            conf["replies"] = REPLIES

            self.conf = conf

        self.node = Node(root, "mta1", None, change)

    def start(self):
        self.node.start()
        wait_for(lambda: self.node.status()["figures"]["written_ms_ago"] >= 0,
                 what="the first place to be kept")

    def run(self, *args, status=0):
        return postpool("-c", self.node.conf, *args, status=status)

    def reload(self, conf):
        self.node.conf.write_text(libconf.dumps(conf))
        done = self.run("reload", status=1)  # there is no milter
        assert done.stdout.startswith("postpool-policyd: taken over"), done

    def refuse(self, code, *recipients, address="b1", when=None):
        """The replies of a server, read by the daemon when this returns."""
        lines = []
        for recipient in recipients:
            self.told += 1
            queue_id = f"{self.told:06X}"
            lines += [
                maillog.line("qmgr", f"{queue_id}: from=<n@lists.test>, size=5, nrcpt=1 "
                                     "(queue active)", when),
                maillog.line(f"pp-{address}/smtp",
                             f"{queue_id}: to=<{recipient}>, relay=mx.test[192.0.2.1]:25, delay=1, "
                             "delays=0/0/0/1, dsn=5.7.1, status=bounced (host mx.test[192.0.2.1] "
                             f"said: {code} 5.7.1 no (in reply to RCPT TO command))", when)]
        with self.log.open("a") as log:
            log.write("".join(lines))
        wait_for(lambda: self.node.status()["feedback"]["results"] >= self.told, 120, "all read")

    def held(self):
        """{what: its entry}"""
        found = json.loads(self.run("suspensions", "--json").stdout)["suspensions"]
        return {" ".join(one[key] for key in ("address", "provider", "domain", "account")
                         if key in one): one for one in found}


@pytest.fixture
def accused(directory_of):
    accused = Accused(directory_of("accused"))
    accused.start()
    yield accused
    accused.node.stop()


def test_by_hand_over_replies(accused):
    """A short suspension by hand ends, what replies brought about goes on."""
    accused.refuse(553, "r@one.test")
    assert accused.held()["b1"]["repetitions"] == 1
    accused.run("suspend", "b1", "--for", "2s", "--why", "a moment")
    accused.node.daemon.wait_log("b1: suspended by root .*: a moment")
    accused.run("suspend", "a1", "--for", "3s", "--why", "longer")
    wait_for(lambda: "a1" not in accused.held(), what="a later one to be over")
    b1 = accused.held()["b1"]
    assert (b1["state"], b1["repetitions"], b1["by_hand"]) == ("suspended", 1, False)
    assert b1["seconds_left"] > 3000
    assert b1["why"].startswith("burnt: 553")


def test_by_hand_longer_than_replies(accused):
    accused.refuse(553, "r@one.test")
    accused.run("suspend", "b1", "--why", "for good")
    b1 = accused.held()["b1"]
    assert (b1["by_hand"], b1["why"], "seconds_left" in b1) == (True, "for good", False)
    accused.run("resume", "b1")
    assert accused.held() == {}


def test_an_address_that_a_reload_removes(accused):
    """It is told of by its name, can be resumed, and is as it was when it comes back."""
    accused.run("suspend", "b1", "--why", "its network is given back")
    accused.run("suspend", "b1", "--provider", "one", "--for", "1h", "--why", "x")
    accused.run("drain", "b2", "--why", "likewise")
    without = copy.deepcopy(accused.conf)
    for name in ("b1", "b2"):
        del without["addresses"][name]
    without["pools"]["bulk"]["addresses"] = ["a1"]
    accused.reload(without)
    assert "b1 (not in the configuration): suspended until it is resumed: its network is given back" \
        in accused.run("suspensions").stdout
    held = accused.held()
    assert set(held) == {"b1", "b1 one", "b2"}
    assert not any(one["configured"] for one in held.values())
    assert "no address of that name" in accused.run("suspend", "b1", "--why", "x", status=1).stderr
    accused.run("resume", "b2")
    assert set(accused.held()) == {"b1", "b1 one"}
    accused.run("resume", "b2", status=1)
    accused.node.daemon.stop()
    accused.node.start()
    assert set(accused.held()) == {"b1", "b1 one"}
    accused.reload(accused.conf)
    held = accused.held()
    assert set(held) == {"b1", "b1 one"} and all(one["configured"] for one in held.values())
    accused.run("resume", "b1")
    accused.run("resume", "b1", "--provider", "one")
    assert accused.held() == {}


def test_ten_thousand_domains(accused):
    """Single replies of as many domains as there is room for do not switch suspension off."""
    accused.refuse(554, *(f"r@d{n}.test" for n in range(10050)))
    assert accused.held() == {}
    accused.refuse(554, *["r@one.test", "r@two.test"] * 3)
    accused.refuse(553, "r@three.test", address="a1")
    accused.run("suspend", "b1", "--why", "by hand")
    accused.run("suspend", "--account", "bad.test", "--why", "by hand")
    assert set(accused.held()) == {"b1 one", "b1 two.test", "a1", "b1", "bad.test"}
    assert accused.node.daemon.log().count("more than 10000 things have been accused -- those that "
                                           "were only counted longest ago are forgotten") == 1
    assert re.search(r"^suspension: too many things were accused: .* \d+ that were only counted "
                     r"were forgotten, 0 not held back$", accused.run("status").stdout, re.M)
    status = accused.node.status()
    assert status["accused_forgotten"] >= 52 and status["accused_refused"] == 0


def ago(**kwargs):
    return datetime.now() - timedelta(**kwargs)


def test_late(accused):
    """What is told of late is history: nothing follows."""
    accused.refuse(553, "r@one.test", address="a1", when=ago(minutes=11))
    accused.refuse(553, "r@one.test", address="a2", when=ago(minutes=8))
    accused.refuse(554, *["r@one.test"] * 3, when=ago(hours=3))
    accused.refuse(554, *["r@one.test"] * 2)
    assert set(accused.held()) == {"a2"}


@pytest.mark.parametrize("hours, words", [
    (9, "9 h behind: another time zone? -- nothing is suspended for what it tells"),
    (-9, "9 h ahead: another time zone? -- figures stand in wrong hours")])
def test_the_log_has_another_time_zone(accused, hours, words):
    """That is said once, as long as it is so, and not for what was written before the start."""
    log = accused.node.daemon.log

    def refuse(hours, count):
        for _ in range(count):
            accused.refuse(553, "r@one.test", when=ago(hours=hours))

    def is_told():
        return "feedback: its times are 9 h" in accused.run("status").stdout
    refuse(hours, 2)
    refuse(0, 1)
    refuse(hours, 2)
    assert "the times in" not in log() and not is_told()
    wait_for(lambda: refuse(hours, 1) or "the times in" in log(), what="a warning")
    assert is_told()
    off_ms = accused.node.status()["feedback"]["off_ms"]
    assert abs(off_ms - hours * 3600_000) < 300_000
    refuse(hours, 3)
    assert log().count(f"warning: feedback: the times in {accused.log} are {words}") == 1
    wait_for(lambda: refuse(0, 1) or "are right again" in log(), what="its end")
    assert not is_told() and accused.node.status()["feedback"]["off_ms"] == 0
