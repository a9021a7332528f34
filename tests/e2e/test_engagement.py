# SPDX-License-Identifier: MIT
"""Recipients that were active of late are the first that a new address takes."""

import gzip
import hashlib
import json
import os
import socket
import subprocess
import time
from collections import Counter

import pytest

from harness import client
from harness.grants import fill
from harness.programs import BUILD, environment
from harness.wait import wait_for
from harness.waking import waking
from test_warmup import NEW, OLD, state, warming

DAY = 86400


def date(days):
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() - days * DAY))


def with_file(host_conf):
    """The file in the folder of the store."""
    host_conf["warmup"]["engaged"] = ["30d", "60d"]


def listed(host, text, *options, status=0):
    path = host.run / "recipients"
    path.write_text(text)
    return host.postpool("engagement", "import", *options, path, status=status)


def look(host):
    """What policyd says of the file, when it has looked at it anew."""
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(host.run / "control"))
        control.sendall(b"engagement\n")
        return b"".join(iter(lambda: control.recv(4096), b"")).decode()


def send_to(host, simulator, recipients):
    """From where mail to each of them arrived."""
    before = len(simulator.deliveries)
    with host.smtp() as smtp:
        for recipient in recipients:
            smtp.send("app@site.test", [recipient], client.message(client.new_id()))
    wait_for(lambda: len(simulator.deliveries) == before + len(recipients), 120, "all mail")
    return {d.recipients[0]: d.source for d in list(simulator.deliveries)[before:]}


@pytest.fixture
def host(make_host, simulator):
    host = waking(make_host(warming(with_file), start=False, sink=simulator))
    host.start()
    return host


def test_the_active_first(host, simulator):
    """The day's allowance leaves to active recipients alone, whoever comes first."""
    old = [f"old{i}@one.test" for i in range(15)]
    new = [f"new{i}@one.test" for i in range(15)]
    said = listed(host, "".join(f"{r} 45\n" for r in old) +
                  "".join(f"{r},{date(3)}\n" for r in new))
    assert f"30 recipients\npostpool-policyd has taken them up: 30 recipients\n" in said.stdout
    assert host.postpool("engagement", "test", "New3@ONE.test").stdout == \
        f"active on {date(3)}, 3 days ago: addresses in warm-up take it from stage 1 on\n"
    assert "wait" not in said.stderr + host.postpool("engagement", "show").stderr
    assert "engagement: 30 recipients" in host.postpool("status").stdout
    came = send_to(host, simulator, old + ["stranger@one.test"])
    assert set(came.values()) == {OLD}

    def sources(recipients):
        return Counter(send_to(host, simulator, recipients).values())
    came = fill(host.run, sources(new), lambda: sources(new[:1]), NEW, 10)
    assert came[NEW] == 10
    assert sources(new) == {OLD: 15}
    wait_for(lambda: state(host)["used"] == 10, what="the results")


def test_imports_at_once(make_host):
    """What another import brings while one still reads is merged, not lost."""
    host = make_host(warming(with_file))
    listed(host, "joe@one.test 7\n")
    slow = subprocess.Popen([BUILD / "postpool", "-c", host.conf_path, "engagement", "import",
                             "--merge", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True, env=environment())
    slow.stdin.write("".join(f"{i}@one.test 1\n" for i in range(100_000)))
    listed(host, "ann@one.test 7\n", "--merge")
    said = slow.communicate("eve@one.test 7\n", timeout=120)[0]
    assert (slow.returncode, "100003 recipients" in said) == (0, True), said
    for who in ("joe", "ann", "eve", "99999"):
        host.postpool("engagement", "test", f"{who}@one.test")
    listed(host, f"joe@one.test {date(-1)}\n")  # where the site's clock is ahead of UTC
    assert ", 0 days ago: " in host.postpool("engagement", "test", "joe@one.test").stdout


def explained(host, recipient):
    answer = json.loads(host.postpool("--json", "explain", "--sender", "app@site.test",
                                      "--recipient", recipient).stdout)
    return answer["address"], {c["address"]: c["why"] for c in answer["candidates"]}


def test_explained_and_reloaded(make_host):
    """What there is not is not asked for; a file takes the place of another, or is refused."""
    host = make_host(warming(with_file))
    assert explained(host, "joe@one.test")[0] == "a1"  # there is no file
    assert "there is no such file" in look(host)
    listed(host, hashlib.sha256(b"ann@one.test").hexdigest() + " 7\n")
    assert explained(host, "Ann@one.test")[0] == "a1"
    address, why = explained(host, "joe@one.test")
    assert (address, why["a1"]) == \
        ("a2", "warming up: it takes recipients that were active of late")
    text = host.postpool("explain", "--sender", "app@site.test", "--recipient",
                         "joe@one.test").stdout
    assert "active of late, within 30 days; of this one nothing is known" in text
    listed(host, f"joe@one.test {date(29)}\n", "--merge")
    assert explained(host, "ann@one.test")[0] == explained(host, "joe@one.test")[0] == "a1"
    listed(host, f"joe@one.test {date(29)}\n")
    assert explained(host, "ann@one.test")[0] == "a2"

    path = host.conf["store"]["path"].rsplit("/", 1)[0] + "/engagement"
    good = open(path, "rb").read()
    assert b"joe" not in good
    damaged = bytearray(good)
    damaged[-1] ^= 1
    for bytes_, said in ((damaged, "is damaged: its checksum is another"),
                         (good[:-3], "is damaged: it has not the length that it should have"),
                         (b"joe@one.test 7\n", "is none that postpool engagement import has made")):
        with open(path + ".new", "wb") as file:
            file.write(bytes_)
        os.rename(path + ".new", path)
        assert said in look(host)
        assert said in host.postpool("engagement", "show", status=1).stderr
        assert said in host.postpool("status").stdout
        assert explained(host, "joe@one.test")[0] == "a1"  # the one before
        assert explained(host, "ann@one.test")[0] == "a2"
    os.unlink(path)
    assert host.postpool("engagement", "show", status=1).stderr.endswith(
        "/engagement: No such file or directory -- nothing was imported yet\n")
    host.reload_conf(host.conf)
    wait_for(lambda: explained(host, "ann@one.test")[0] == "a1", what="it to be gone")


def test_taken_up_without_a_word(make_host):
    """A file that another program put there is taken up by itself, and at the start."""
    host = make_host(warming(with_file))
    listed(host, "joe@one.test 1\n")
    path = host.conf["store"]["path"].rsplit("/", 1)[0] + "/engagement"
    before = open(path, "rb").read()
    listed(host, "ann@one.test 1\n")
    assert explained(host, "joe@one.test")[0] == "a2"
    with open(path + ".new", "wb") as file:
        file.write(before)
    os.rename(path + ".new", path)
    wait_for(lambda: explained(host, "joe@one.test")[0] == "a1", 120, "the other file")
    host.restart_policyd()
    assert explained(host, "ann@one.test")[0] == "a2"


def test_what_import_says(make_host):
    host = make_host(warming(with_file))
    said = listed(host, "email,date\n\n# none\njoe@one.test 2126-01-01\nann@one.test\n"
                        "ann@one.test 4\nann@one.test 2\n"
                        f"joe@one.test {'7' * 1012}\njoe@one.test 7{' ' * 300000}\n"
                        "joe@one.test 7\0\n", status=1)
    assert said.stdout.startswith(host.conf["store"]["path"].rsplit("/", 1)[0] +
                                  "/engagement: 1 recipients\n")
    lines = said.stderr.splitlines()
    assert [line.split("/recipients")[1] for line in lines] == [
        ":1: begins neither with an address nor with 64 hexadecimal digits of SHA-256",
        ":4: has a date that is yet to come",
        ":5: has no date such as 2026-11-27 and no number of days behind the recipient",
        ":8: is too long: more than 1024 bytes",
        ":9: is too long: more than 1024 bytes",
        ":10: has a NUL byte in it",
        ": 6 of 10 lines were passed over"]
    assert "active on " + date(2) in host.postpool("engagement", "test", "ann@one.test").stdout
    assert "not known" in host.postpool("engagement", "test", "joe@one.test", status=1).stdout
    packed = host.run / "packed"
    packed.write_bytes(gzip.compress(b"bob@one.test 3\r\n"))
    assert ": 1 recipients\n" in host.postpool("engagement", "import", packed).stdout
    said = listed(host, "nothing\n", status=1)
    assert "no line has a recipient and when it was active -- nothing is changed" in said.stderr
    shown = json.loads(host.postpool("--json", "engagement", "show").stdout)
    assert shown["recipients"] == 1
    assert shown["stages"] == [
        {"from": 1, "to": 7, "within_days": 30, "recipients": 1},
        {"from": 8, "to": 14, "within_days": 60, "recipients": 1}]


def test_none_but_new_ones(make_host, simulator):
    """Where all addresses are new, others wait until one is warm enough."""
    def alone(conf):
        with_file(conf)
        conf["addresses"].pop("a2")
        conf["pools"]["all"]["addresses"] = ["a1"]

    host = waking(make_host(warming(alone), start=False, sink=simulator))
    host.start()
    warning = ("postpool: stream default: all addresses of pool all warm up, and its overflow has "
               "no other -- recipients that were not active of late wait\n")
    assert listed(host, "ann@one.test 7\n").stderr == warning
    assert host.postpool("engagement", "show").stderr == warning
    with host.smtp() as smtp:
        smtp.send("app@site.test", ["joe@one.test"], client.message(client.new_id()))
    wait_for(lambda: "postpool: waits for an address that is warm" in host.postfix.log(), 60,
             "the deferral")
    assert set(send_to(host, simulator, ["ann@one.test"]).values()) == {NEW}
    listed(host, "joe@one.test 7\n")
    wait_for(lambda: len(simulator.deliveries) == 2, 120, "what waited")
