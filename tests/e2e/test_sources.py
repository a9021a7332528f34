# SPDX-License-Identifier: MIT
"""Where results come from: a file that is rotated, the journal, a pipe."""

import contextlib
import gzip
import json
import os
import pwd
import signal
import socket
import struct
import subprocess

import pytest

from harness import client, programs
from harness.feedback import Feeder
from harness.journal import Journal
from harness.wait import wait_for


def followed(make_host, log=None):
    """A host whose grants live until their results come from log; not started."""
    host = make_host(start=False)
    host.conf["feedback"] = {"log": str(log or host.postfix.maillog)}
    host.conf["grant_lifetime"] = "1h"
    host.conf["addresses"]["a1"]["caps"] = {"hour": 100}
    host.conf["pools"]["fast"] = {"addresses": ["a1"]}
    host.write_conf()
    return host


def feedback(host):
    def status():
        return json.loads(host.postpool("--json", "status").stdout).get("feedback")
    return wait_for(status, what="the daemon to be ready")


def submit(host, local, count):
    with host.smtp() as smtp:
        for number in range(count):
            smtp.send("app@site.test", [f"{local}{number}@one.test"],
                      client.message(client.new_id(), ("X-Stream: transactional",)))


def sent(host):
    return host.postfix.log().count("status=sent")


# -------------------------------------------------------------------- a file

def default_acl(user):
    """As setfacl -d -m u:USER:rX sets it: acl(5), linux/posix_acl_xattr.h."""
    uid, none = pwd.getpwnam(user).pw_uid, 0xffffffff
    entries = [(1, 7, none), (2, 5, uid), (4, 5, none), (16, 5, none), (32, 5, none)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def told(host, text):
    """The lines with text, of the log and of what it was packed into."""
    lines = host.postfix.log().splitlines()
    for path in host.root.glob("mail.log.*gz"):
        lines += gzip.decompress(path.read_bytes()).decode().splitlines()
    return [line for line in lines if text in line]


def test_postfix_logrotate(make_host):
    """Postfix renames its log and packs it: every result once.

    Up to 3.8 it makes the new one for root alone, unless the folder has a default
    ACL, which postpool.conf(5) says to give it.
    """
    host = followed(make_host)
    os.setxattr(host.root, "system.posix_acl_default", default_acl("nobody"))
    host.start()
    for number in range(3):
        before = len(told(host, "status="))
        submit(host, f"r{number}", 20)
        wait_for(lambda count=before: feedback(host)["results"] > count,
                 what="the new log to be read")
        if number < 2:
            host.postfix.postfix("logrotate")
            assert len(list(host.root.glob("mail.log.*gz"))) == number + 1
        wait_for(lambda count=20 * (number + 1): len(told(host, "status=sent")) == count,
                 what="all deliveries")
        wait_for(lambda: feedback(host)["results"] == len(told(host, "status=")),
                 what="every result")
    assert feedback(host)["spent"] == 60
    assert feedback(host)["unknown"] == 0


def test_queue_ids_come_again(make_host):
    """Short ids are used again as soon as a message is gone, or was never heard of again."""
    host = followed(make_host)
    told = host.root / "told.log"
    told.write_text("")
    host.conf["feedback"]["log"] = str(told)
    host.write_conf()
    host.start()
    submit(host, "r", 3)
    wait_for(lambda: host.postfix.log().count(": removed") == 3, what="the end of three messages")
    lines = host.postfix.log().splitlines()

    def of(number, text):
        """The line of that message, under another id."""
        result = next(line for line in lines if f"to=<r{number}@" in line)
        queue_id = result.split(": ")[1]
        line = next(line for line in lines if f" {queue_id}: " in line and text in line)
        return line.replace(f" {queue_id}: ", " 4A1B2C: ")

    away = "status=deferred (connect to mx.one.test[127.0.0.2]:25: Connection refused)"
    story = [
        of(0, "message-id="), of(0, "queue active"), of(0, "status=sent"), of(0, "removed"),
        of(1, "message-id="), of(1, "queue active"),
        of(1, "status=sent").partition("status=")[0] + away,  # and nothing more of it
        of(2, "message-id="), of(2, "queue active"), of(2, "status=sent"), of(2, "removed"),
    ]
    told.write_text("\n".join([*story, ""]))
    wait_for(lambda: feedback(host)["results"] == 3, what="three results")
    found = feedback(host)
    assert (found["spent"], found["given_back"], found["unknown"]) == (2, 1, 0)


EXIM = '''2026-11-26 23:22:06 {id} <= news@d.test U=root P=local S=304
2026-11-26 23:22:06 {id} => r@one.test F=<news@d.test> R=r T=pp-a1 H=mx [192.0.2.9] C="250 OK" QT=1s DT=0s
2026-11-26 23:22:07 {id} ** x@one.test F=<news@d.test> R=r T=pp-a2 H=mx [192.0.2.9]: SMTP error from \
remote mail server after RCPT TO:<x@one.test>: 550 5.1.1 User unknown
2026-11-26 23:22:07 {id} == y@one.test R=r T=pp-a1 defer (-44) H=mx [192.0.2.9]: SMTP error from remote \
mail server after RCPT TO:<y@one.test>: 450 4.2.0 Grey
2026-11-26 23:22:07 {id} Completed
'''


def test_exims_main_log(make_host):
    """Results of another MTA: the same figures, the same reports."""
    host = followed(make_host)
    log = host.root / "mainlog"
    log.write_text("")
    host.conf["feedback"]["log"] = str(log)
    host.write_conf()
    host.policyd.start()
    wait_for(lambda: json.loads(host.postpool("--json", "status").stdout)["figures"]["written_ms_ago"] >= 0,
             what="the first place to be kept")
    with log.open("a") as file:
        for number in range(3):
            file.write(EXIM.format(id=f"1xWin{number}-0001SB-1F"))
    wait_for(lambda: feedback(host)["results"] == 9, what=lambda: feedback(host))
    assert feedback(host)["unknown"] == 0 and feedback(host)["odd"] == 0

    def rows():
        told = json.loads(host.postpool("--json", "report", "--by", "address", "--since", "90d").stdout)
        return {row["address"]: (row["sent"], row["deferred"], row["bounced"]) for row in told["rows"]}
    wait_for(lambda: rows() == {"a1": (3, 3, 0), "a2": (0, 0, 3)}, what=rows)


# --------------------------------------------------------------- the journal

@pytest.fixture
def journal(directory_of):
    journal = Journal(directory_of("journal"))
    yield journal
    journal.stop()


def test_journal(make_host, journal):
    host = followed(make_host, f"journal:{journal.folder}")
    host.start()
    journal.copy(host.postfix.log())
    submit(host, "r", 3)
    wait_for(lambda: sent(host) == 3, what="three deliveries")
    forged = host.postfix.log_of(host.postfix.log().partition(": to=<r0@")[0].split()[-1])
    for line in forged:  # by somebody who has an account here
        journal.add("postfix/smtp", line.partition("]: ")[2], uid=1000)
    journal.copy(host.postfix.log())
    wait_for(lambda: feedback(host)["results"] == 3, what="three results")
    found = feedback(host)
    assert (found["spent"], found["unknown"], found["log"]) == (3, 0, f"journal:{journal.folder}")
    wait_for(lambda: feedback(host)["lag_ms"] == 0, what="all to be read")
    assert f"feedback: journal:{journal.folder}, 0 s behind; " in host.postpool("status").stdout


def test_journal_that_may_not_be_read(make_host, directory_of):
    journal = Journal(directory_of("journal"), mode=0o600)
    host = followed(make_host, f"journal:{journal.folder}")
    host.policyd.start()
    host.policyd.wait_log("there is no entry, or none may be read -- no results are seen")
    assert not feedback(host)["read"]
    assert f"feedback: journal:{journal.folder} cannot be read\n" in host.postpool("status").stdout
    journal.file.chmod(0o644)
    host.policyd.wait_log("can be read again")
    journal.stop()


# -------------------------------------------------------------------- a pipe

def test_pipe(make_host):
    host = followed(make_host, "pipe")
    host.start()
    assert "feedback: pipe, nobody hands lines in\n" in host.postpool("status").stdout
    feeder = Feeder(host.conf_path, host.root)
    wait_for(lambda: feedback(host)["feeders"] == 1, what="the feeder to be heard of")
    submit(host, "r", 3)
    wait_for(lambda: sent(host) == 3, what="three deliveries")
    feeder.copy(host.postfix.log())
    wait_for(lambda: feedback(host)["results"] == 3, what="three results")
    assert feedback(host)["spent"] == 3
    assert "feedback: pipe, handed in by 1; " in host.postpool("status").stdout
    feeder.end()
    assert feeder.stderr() == ""


def test_pipe_while_policyd_is_away(make_host):
    """Lines wait for it, and all are taken."""
    host = followed(make_host, "pipe")
    host.policyd.start()
    feeder = Feeder(host.conf_path, host.root)
    feeder.write("one\ntwo\n")
    wait_for(lambda: feedback(host)["lines"] == 2, what="two lines")
    host.policyd.stop()
    feeder.write("".join(f"line {number} {'x' * 100}\n" for number in range(300)))
    wait_for(lambda: "lines wait until it takes them" in feeder.stderr(), what="the feeder to wait")
    host.policyd.start()
    wait_for(lambda: feedback(host)["lines"] == 300, what="the other lines")
    feeder.write("the last one has no end")
    feeder.end()
    assert feedback(host)["lines"] == 301
    assert feeder.stderr().splitlines()[1:] == ["postpool: postpool-policyd takes lines again"]


def test_pipe_that_is_ended(make_host):
    """A signal: what could not be handed over is counted, and the status says so."""
    host = followed(make_host, "pipe")
    feeder = Feeder(host.conf_path, host.root)
    feeder.write("one\ntwo\nthree\n")
    wait_for(lambda: "lines wait until it takes them" in feeder.stderr(), what="the feeder to wait")
    feeder.process.send_signal(signal.SIGTERM)
    feeder.end(status=1)
    assert "ended with 3 lines that policyd did not take" in feeder.stderr()
    host.policyd.start()
    feeder = Feeder(host.conf_path, host.root)
    feeder.write("one\n")
    wait_for(lambda: feedback(host)["lines"] == 1, what="a line")
    feeder.process.send_signal(signal.SIGINT)
    feeder.end()
    assert feeder.stderr() == ""


def test_many_lines_through_a_pipe(make_host):
    """Each once, also the long ones; what is no line of a log is left out, and that is said."""
    host = followed(make_host, "pipe")
    host.policyd.start()
    feeder = Feeder(host.conf_path, host.root)
    feeder.write("x" * 100000 + "\n")
    feeder.write("".join(f"{number} {'x' * (number % 5000)}\n" for number in range(5000)))
    feeder.end()
    assert feedback(host)["lines"] == 5000
    assert feeder.stderr() == "postpool: 1 lines were too long for any log and are left out\n"


def test_stopped_while_lines_wait(make_host):
    """Who hands lines in and is not answered yet is no trouble for the end."""
    host = followed(make_host, "pipe")
    host.policyd.start()
    lines = b"x\n" * 16000
    with contextlib.ExitStack() as stack:
        for number in range(1, 50):
            peer = stack.enter_context(socket.socket(socket.AF_UNIX))
            peer.connect(str(host.run / "control"))
            peer.sendall(b"feed %d 1 1 %d\n" % (number, len(lines)) + lines)
        wait_for(lambda: feedback(host)["lines"] > 0, what="the first lines")
        host.policyd.stop()


def test_progress_on_a_terminal(make_host):
    host = followed(make_host, "pipe")
    host.policyd.start()
    ours, theirs = os.openpty()
    with subprocess.Popen([programs.BUILD / "postpool", "-c", host.conf_path, "feedback", "-"],
                          stdin=subprocess.PIPE, stderr=theirs,
                          env=programs.environment()) as feeder:
        os.close(theirs)
        feeder.communicate(b"one\ntwo\nthree\n", 60)
    assert feeder.returncode == 0
    shown = os.read(ours, 10000).decode()
    os.close(ours)
    assert shown.startswith("\r0 lines handed over\r")
    assert shown.endswith("\r3 lines handed over\r\n")


def test_wrong_use(make_host):
    host = followed(make_host)
    for usage in (("feedback",), ("feedback", "x"), ("feedback", "-", "-")):
        assert "usage: postpool feedback -" in host.postpool(*usage, status=2).stderr
    assert "feedback.log is not \"pipe\"" in host.postpool("feedback", "-", status=2).stderr
    host.policyd.start()
    host.conf["feedback"]["log"] = "pipe"  # the daemon has not heard of that yet
    host.write_conf()
    feeder = Feeder(host.conf_path, host.root)
    feeder.write("one\n")
    wait_for(lambda: "error: feedback.log is not \"pipe\" -- lines wait" in feeder.stderr(),
             what="the feeder to wait")
    host.postpool("reload", status=None)
    wait_for(lambda: feedback(host).get("feeders") and feedback(host)["lines"] == 1,
             what="the line to be taken")
    feeder.end()


def test_a_fifo_is_refused(make_host):
    host = followed(make_host)
    os.mkfifo(host.root / "fifo")
    host.conf["feedback"]["log"] = str(host.root / "fifo")
    host.write_conf()
    assert "is no file, a file is needed" in host.postpool("check", status=2).stdout
