# SPDX-License-Identifier: MIT
"""postpool transports beside a Postfix that runs."""

import os
import shutil
import socket
import subprocess
import threading
import time

import pytest

from harness.site import MASTER, fake
from harness.wait import wait_for

TAG = "s1.abcdefgh2345.zyxwvu76"

pytestmark = [
    pytest.mark.skipif(not shutil.which("postconf", path=os.environ["PATH"] + ":/usr/sbin"),
                       reason="no Postfix here"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix's tools want root"),
]


class Lookup:
    """A socketmap server that writes down what it is asked."""

    def __init__(self, path, answers):
        self.asked = []
        self.answers = answers
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        os.chmod(path, 0o777)
        self.socket.listen(50)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, client.makefile("rb") as file:
            while True:
                length = b""
                while (byte := file.read(1)) not in (b":", b""):
                    length += byte
                if not byte:
                    return
                name, _, key = file.read(int(length) + 1)[:-1].decode().partition(" ")
                self.asked.append((name.partition(";")[0], key))
                answer = self.answers.get(name.partition(";")[0])
                reply = (f"OK {answer}" if answer else "NOTFOUND ").encode()
                client.sendall(b"%d:%s," % (len(reply), reply))

    def take(self):
        asked, self.asked = [item for item in self.asked if item[1] != "*"], []
        return asked


def resolve(one, sender, recipient):
    """Ask the resolver that qmgr asks, in trivial-rewrite's own protocol."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(one.queue / "private" / "pp-rewrite"))
        query = {"request": "resolve", "sender": sender, "address": recipient}
        client.sendall(b"".join(f"{k}\0{v}\0".encode() for k, v in query.items()) + b"\0")
        data = b""
        while b"\0flags\0" not in data or not data.endswith(b"\0\0"):
            chunk = client.recv(65536)
            assert chunk, data
            data += chunk
    words = data[data.index(b"transport\0"):].decode().split("\0")
    found = dict(zip(words[::2], words[1::2]))
    return found["transport"], found["nexthop"]


SITE_TABLES = """\
relayhost = [127.0.0.9]
relay_domains = relay.test
transport_maps = inline:{joe@six.test=whole:, two.test=domain:, .three.test=parent:, .example=top:,
    lone=single:, [127.0.0.5]=literal:}
sender_dependent_default_transport_maps = inline:{@old.test=old:, ann@site.test=ann:, <>=null:}
sender_dependent_relayhost_maps = inline:{bob@site.test=[127.0.0.8], @rel.test=[127.0.0.7]}
"""


@pytest.mark.parametrize("parents", [False, True])
def test_site_tables_come_first(site, parents):
    one = site(SITE_TABLES + ("parent_domain_matches_subdomains = transport_maps\n"
                              if parents else ""))
    lookup = Lookup(one.root / "lookup", {"sender.last": "pp-a0:", "rcpt.last": "pp-a1:late"})
    one.good("apply")
    one.start()
    last, passed = ("pp-a1", "late"), {}
    for sender, recipient, expected in [
            # the site's entries, of every kind
            ("me@site.test", "joe@six.test", "whole"),
            ("me@site.test", "joe+ext@six.test", "whole"),
            ("me@site.test", "any@two.test", "domain"),
            ("me@site.test", "any@lone", "single"),
            ("me@site.test", "any@[127.0.0.5]", "literal"),
            ("me@site.test", "any@sub.three.test", last if parents else "parent"),
            ("me@site.test", "any@a.b.three.test", last if parents else "parent"),
            ("me@site.test", "any@deep.example", last if parents else "top"),
            ("me@site.test", "any@sub.two.test", "domain" if parents else last),
            # and what is ours
            ("me@site.test", "any@three.test", last),
            ("me@site.test", "any@six.test", last),
            ("me@site.test", "any@other", last),
            ("me@site.test", '"a b"@other.test', last),
            ("me@site.test", "any@[127.0.0.6]", last),
            ("me@site.test", "any@[IPv6:fd00::1]", last),
            ("me@site.test", "any@relay.test", last),
            ("me@site.test", "x@x", last),
            ("", "any@other.test", last)]:
        lookup.take()
        found = resolve(one, sender, recipient)
        asked = lookup.take()
        if expected is last:
            assert found == last, (recipient, asked)
            assert [key for name, key in asked if name == "rcpt.last"] == ["go"], asked
        else:
            assert found[0] == expected, (recipient, found, asked)
            assert "rcpt.last" not in dict(asked), (recipient, asked)
        passed[recipient] = asked
        assert asked[[name for name, _ in asked].index("rcpt.note")][1].rpartition("@")[2] == \
            recipient.rpartition("@")[2]
    # senders: the transport map keeps silent, so that theirs is seen
    lookup.answers.pop("rcpt.last")
    for sender, expected in [
            ("any@old.test", ("old", "[127.0.0.9]")),
            ("ann@site.test", ("ann", "[127.0.0.9]")),
            (f"ann+pp={TAG}@site.test", ("ann", "[127.0.0.9]")),
            ("", ("null", "[127.0.0.9]")),
            ("bob@site.test", ("pp-a0", "[127.0.0.8]")),
            ("x@rel.test", ("pp-a0", "[127.0.0.7]")),
            ("postmaster@local.test", ("pp-a0", "[127.0.0.9]")),
            ("x@local.test", ("pp-a0", "[127.0.0.9]")),
            ("me@site.test", ("pp-a0", "[127.0.0.9]"))]:
        lookup.take()
        assert resolve(one, sender, "any@other.test") == expected, (sender, lookup.asked)
        asked = lookup.take()
        assert [name for name, _ in asked].count("sender.last") == (expected[0] == "pp-a0")
        assert asked[0] == ("sender.note", sender or '"<>"')
        # the tables are asked up to the recipient's last key, whoever sends
        assert ("rcpt.last", "go") in asked
    assert ("relay.last", "go") in asked


def test_five_hundred_addresses_while_running(site):
    addresses = [f"127.0.{2 + i // 250}.{1 + i % 250}" for i in range(500)]
    one = site(addresses=addresses, knobs="concurrency = 5;")
    one.start()
    assert "Postfix has read it" in one.good("apply")
    wait_for(lambda: one.reloads() == 2, what='reload number 2')
    assert one.is_served("pp-rewrite")
    assert one.options("pp-a499/unix")["smtp_bind_address"] == addresses[499]
    assert "nothing to change" in one.good("apply")
    wait_for(lambda: one.reloads() == 2, what='reload number 2')
    # one address goes, one changes: once read, once more when the old one is idle
    one.configure(addresses[:498] + ["127.0.9.9"])
    one.good("apply")
    wait_for(lambda: one.reloads() == 4, what='reload number 4')
    assert not (one.queue / "private" / "pp-a499").exists()
    one.good("remove")
    wait_for(lambda: one.reloads() == 6, what='reload number 6')
    assert one.bytes() == one.before
    assert not (one.queue / "private" / "pp-rewrite").exists()
    log = (one.root / "maillog").read_text()
    assert "fatal" not in log and "panic" not in log, log


def test_queue_with_tagged_mail_keeps_the_untag_table(site):
    one = site()
    one.start()
    # The milter that is not there keeps new mail out; this one was there before.
    subprocess.run(["sendmail", "-C", str(one.dir), "-f", f"user+pp={TAG}@site.test",
                    "them@nowhere.invalid"], input="Subject: x\n\nHello\n", text=True, check=True)
    deadline = time.monotonic() + 60
    while '"deferred"' not in (queue := subprocess.run(
            ["postqueue", "-c", str(one.dir), "-j"], capture_output=True, text=True).stdout):
        assert time.monotonic() < deadline, queue
        time.sleep(0.2)
    one.good("apply")
    result = one.run("remove")
    assert result.returncode == 1
    assert "1 messages in the queue have a tag" in result.stderr
    assert "no new mail is tagged" in result.stdout
    assert one.value("smtpd_milters") == ""
    assert one.untag(f"user+pp={TAG}@site.test") == "user@site.test"
    assert "tag" in one.good("remove", "--force")
    assert one.bytes() == one.before


@pytest.mark.parametrize("when", ["pp-rewrite", "rewrite_service_name"])
def test_roll_back_while_running(site, when):
    one = site()
    one.start()
    path = fake(one, "postconf", f'[ "$3" = -M ] && cat "$2"/*.cf | grep -q {when} && '
                '{ echo "postconf: fatal: no" >&2; exit 1; }\nexec /usr/sbin/postconf "$@"\n')
    result = one.run("apply", path=path)
    assert result.returncode == 1
    assert "all files are as they were" in result.stdout
    assert one.bytes() == one.before
    assert not (one.dir / "postpool").exists()
    # master leaves the socket, but nobody listens there
    deadline = time.monotonic() + 30
    while one.is_served("pp-rewrite"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_roll_back_when_reload_fails(site):
    one = site()
    one.start()
    # the second reload, which brings the switch and the milters
    path = fake(one, "postfix", '[ "$3" = reload ] && grep -q postpool/milter "$2/main.cf" && '
                '{ echo "postfix: fatal: not now" >&2; exit 1; }\nexec /usr/sbin/postfix "$@"\n')
    result = one.run("apply", path=path)
    assert result.returncode == 1
    assert "postfix reload: postfix: fatal: not now" in result.stderr
    assert one.bytes() == one.before


def test_remove_waits_for_old_sessions(site):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    one = site(master=MASTER + f"127.0.0.1:{port} inet n - n - - smtpd\n")
    one.start()
    one.good("apply")
    client = socket.create_connection(("127.0.0.1", port), timeout=60)
    client.recv(1000)
    done = threading.Timer(12, client.close)
    started = time.monotonic()
    done.start()
    one.good("remove")
    # an smtpd from before the change would have set tags after the table was gone
    assert time.monotonic() - started >= 12
    assert one.bytes() == one.before


def test_remove_waits_for_deliveries(site):
    one = site()
    one.start()
    tarpit = socket.create_server(("127.0.0.1", 0))
    subprocess.run(["sendmail", "-C", str(one.dir), "-f", "user@site.test", "them@nowhere.invalid"],
                   input="Subject: x\n\nHello\n", text=True, check=True)
    queue = ["postqueue", "-c", str(one.dir)]
    deadline = time.monotonic() + 60
    while b'"deferred"' not in subprocess.run(queue + ["-j"], capture_output=True).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    answer = f"pp-a0:[127.0.0.1]:{tarpit.getsockname()[1]}"
    Lookup(one.root / "lookup", {"sender": answer, "rcpt": answer})
    one.good("apply")
    tarpit.settimeout(2)

    def accept():
        """The queue manager that is on its way out may take the flush, and do nothing."""
        subprocess.run(queue + ["-f"], check=True)
        return tarpit.accept()

    client, address = wait_for(accept, what="a delivery")
    assert address[0] == "127.0.1.1"
    done = threading.Timer(12, client.close)
    started = time.monotonic()
    done.start()
    one.good("remove")
    assert time.monotonic() - started >= 12
    assert one.bytes() == one.before
    tarpit.close()
