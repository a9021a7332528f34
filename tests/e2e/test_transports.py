# SPDX-License-Identifier: MIT
"""postpool transports: in and out of a Postfix, byte for byte."""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
POSTPOOL = os.environ.get("POSTPOOL_BIN", str(TREE / "postpool"))
FILES = ("main.cf", "master.cf")
TAG = "s1.abcdefgh2345.zyxwvu76"

pytestmark = [
    pytest.mark.skipif(not shutil.which("postconf", path=os.environ["PATH"] + ":/usr/sbin"),
                       reason="no Postfix here"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix's tools want root"),
]

MASTER = """\
# service type  private unpriv  chroot  wakeup  maxproc command + args
pickup    unix  n       -       n       1       1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
lmtp      unix  -       -       n       -       -       lmtp
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""


class Site:
    """A configuration directory of its own, with a queue that is not the system's."""

    def __init__(self, main="", master=MASTER, addresses=("127.0.1.1", "127.0.1.2"), knobs="",
                 lookup=None, extra=""):
        self.root = Path(tempfile.mkdtemp(prefix="pp-transports-", dir="/tmp"))
        self.root.chmod(0o755)
        self.dir = self.root / "conf"
        self.queue = self.root / "queue"
        self.lookup = lookup or f"unix:{self.root}/lookup"
        for path in (self.dir, self.queue, self.root / "data"):
            path.mkdir()
        shutil.chown(self.root / "data", "postfix", "postfix")
        (self.dir / "main.cf").write_text(self.base() + main.replace("DIR", str(self.dir)))
        (self.dir / "master.cf").write_text(master)
        self.conf = self.root / "postpool.conf"
        self.knobs = knobs
        self.extra = extra
        self.configure(addresses)
        self.before = self.bytes()

    def base(self):
        return f"""\
compatibility_level = 3.6
queue_directory = {self.queue}
data_directory = {self.root}/data
meta_directory = /etc/postfix
maillog_file = {self.root}/maillog
maillog_file_prefixes = {self.root}
myhostname = mx.site.test
mydestination = local.test
inet_interfaces = loopback-only
alias_maps =
recipient_delimiter = +
smtp_dns_support_level = disabled
"""

    def configure(self, addresses):
        self.secret = self.root / "secret"
        self.secret.write_text("0123456789abcdef0123456789abcdef\n")
        self.secret.chmod(0o600)
        names = [f"a{i}" for i in range(len(addresses))]
        lines = "".join(f'  {name} = {{ ip = "{ip}"; helo = "{name}.site.test"; }};\n'
                        for name, ip in zip(names, addresses))
        members = ", ".join(f'"{name}"' for name in names)
        self.conf.write_text(f"""
tag_secret_file = "{self.secret}";
listen: {{ lookup = "{self.lookup}"; }};
milter: {{ socket = "unix:{self.queue}/postpool/milter"; }};
addresses: {{
{lines}}};
pools: {{ all = {{ addresses = ( {members} ); {self.knobs} }}; }};
streams: ( {{ name = "default"; pool = "all"; match = (); }} );
{self.extra}
""")

    def bytes(self):
        return {name: (self.dir / name).read_bytes() for name in FILES}

    def run(self, verb, *args, path=None):
        env = dict(os.environ)
        env["PATH"] = (f"{path}:" if path else "") + env["PATH"] + ":/usr/sbin"
        return subprocess.run([POSTPOOL, "-c", str(self.conf), "transports", verb,
                               "--config-dir", str(self.dir), *args],
                              env=env, capture_output=True, text=True, timeout=300)

    def good(self, verb, *args):
        result = self.run(verb, *args)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def postconf(self, *args):
        return subprocess.run(["postconf", "-c", str(self.dir), *args], check=True,
                              capture_output=True, text=True).stdout

    def value(self, name):
        return self.postconf("-h", name).strip()

    def options(self, service):
        found = {}
        for line in self.postconf("-P").splitlines():
            if line.startswith(service + "/"):
                name, _, value = line[len(service) + 1:].partition(" =")
                found[name] = value.strip()
        return found

    def untag(self, address):
        result = subprocess.run(["postmap", "-q", address, f"regexp:{self.dir}/postpool/untag"],
                                capture_output=True, text=True)
        return result.stdout.rstrip("\n") if result.returncode == 0 else None

    def start(self):
        subprocess.run(["postfix", "-c", str(self.dir), "start"], check=True, timeout=60,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        subprocess.run(["postfix", "-c", str(self.dir), "stop"], timeout=60,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def is_served(self, service):
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.queue / "private" / service)) == 0

    def reloads(self):
        log = self.root / "maillog"
        return log.read_text().count("reload -- version") if log.exists() else 0


@pytest.fixture
def site():
    made = []

    def make(*args, **kwargs):
        made.append(Site(*args, **kwargs))
        return made[-1]

    yield make
    for one in made:
        one.stop()
        shutil.rmtree(one.root)


@pytest.fixture(scope="module")
def applied():
    one = Site()
    one.good("apply")
    yield one
    shutil.rmtree(one.root)


def round_trip(one):
    """apply, apply again, remove; returns what the first apply said."""
    said = one.good("apply")
    applied = one.bytes()
    assert applied != one.before
    assert "nothing to change" in one.good("apply")
    assert one.bytes() == applied
    assert one.run("status").returncode == 0
    assert one.run("diff").returncode == 0
    one.good("remove")
    assert one.bytes() == one.before
    assert not (one.dir / "postpool").exists()
    assert one.run("status").returncode == 1
    return said


# Whole files of a distribution, and what people do to them.

@pytest.mark.parametrize("name", ["dist", "etc"])
def test_stock_files(site, name):
    one = site()
    source = {"dist": ["/usr/share/postfix/main.cf.dist", "/usr/share/postfix/master.cf.dist"],
              "etc": ["/etc/postfix/main.cf", "/etc/postfix/master.cf"]}[name]
    for path, file in zip(source, FILES):
        if not Path(path).exists():
            pytest.skip(f"no {path}")
        text = Path(path).read_text()
        if file == "main.cf":
            text = re.sub(r"(?m)^setgid_group =$|^.*__.*$", "", text)
            text += f"queue_directory = {one.queue}\n"
        (one.dir / file).write_text(text)
    one.before = one.bytes()
    round_trip(one)


def test_what_postfix_reads(site):
    one = site(knobs='concurrency = 5; rate_delay = "2s"; recipient_limit = 10; tls = "encrypt";',
               addresses=("127.0.1.1", "2001:db8::7"))
    one.good("apply")
    untag = f"regexp:{one.dir}/postpool/untag"
    milter = "{ unix:postpool/milter, default_action=tempfail }"
    assert one.value("smtpd_milters") == milter
    assert one.value("non_smtpd_milters") == milter
    for name in ("recipient_canonical_maps", "smtp_generic_maps", "lmtp_generic_maps"):
        assert one.value(name) == untag
    assert one.value("pp-a0_destination_concurrency_limit") == "5"
    assert one.value("pp-a0_destination_rate_delay") == "2s"
    assert one.value("pp-a1_destination_recipient_limit") == "10"
    first = one.options("pp-a0/unix")
    assert first == {"smtp_bind_address": "127.0.1.1", "inet_protocols": "ipv4",
                     "smtp_bind_address_enforce": "yes", "smtp_helo_name": "a0.site.test",
                     "syslog_name": "postfix/$service_name", "smtp_generic_maps": untag,
                     "smtp_tls_security_level": "encrypt"}
    assert one.options("pp-a1/unix")["smtp_bind_address6"] == "2001:db8::7"
    assert one.options("pp-a1/unix")["inet_protocols"] == "ipv6"
    assert one.options("qmgr/unix") == {"rewrite_service_name": "pp-rewrite",
                                        "qmgr_ipc_timeout": "150s"}
    assert one.options("pp-rewrite/unix") == {
        "syslog_name": "postfix/$service_name",
        "sender_dependent_default_transport_maps": f"socketmap:{one.lookup}:sender",
        "transport_maps": f"socketmap:{one.lookup}:rcpt;default=smtp%3A"}


@pytest.mark.parametrize("address, without", [
    (f"user+pp={TAG}@dom.test", "user@dom.test"),
    (f"User+Ext+PP={TAG.upper()}@Dom.TEST", "User+Ext@Dom.TEST"),
    (f'"we ird+pp={TAG}"@dom.test', '"we ird"@dom.test'),
    (f'"a@b+pp={TAG}"@dom.test', '"a@b"@dom.test'),
    (f"+pp={TAG}@dom.test", '""@dom.test'),
    (f'"+pp={TAG}"@dom.test', '""@dom.test'),
    (f"u+pp={TAG}+them=one.test@dom.test", "u+them=one.test@dom.test"),
    (f"u+pp={TAG}-them=one.test@dom.test", "u-them=one.test@dom.test"),
    (f"+pp={TAG}+them=one.test@dom.test", "+them=one.test@dom.test"),
    (f"u+pp={TAG}", "u"),
    (f"+pp={TAG}", '""'),
    (f"ünï+pp={TAG}@dom.test", "ünï@dom.test"),
    (f"u+pp={TAG}a@dom.test", None),
    (f"u+pp={TAG[:-1]}@dom.test", None),
    (f"u+pp={TAG.replace('.', '_')}@dom.test", None),
    ("u+pp@dom.test", None),
    ("u@dom.test", None),
])
def test_untag(applied, address, without):
    assert applied.untag(address) == without


OWN = """\
relayhost = [127.0.0.9]:2525
transport_maps = inline:{two.test=smtp:[127.0.0.7]}, regexp:DIR/more
sender_dependent_default_transport_maps = inline:{@old.test=relay:}
sender_dependent_relayhost_maps = inline:{joe@site.test=[127.0.0.8]}
# their filters
smtpd_milters = inet:127.0.0.1:8891,
# the old one
#  inet:127.0.0.1:8892

    inet:127.0.0.1:8893
non_smtpd_milters = $smtpd_milters
smtp_generic_maps = inline:{root@site.test=admin@site.test}
recipient_canonical_maps=inline:{x=y}
"""


def test_own_routes_and_milters(site):
    one = site(OWN)
    (one.dir / "more").write_text("/^nobody@/ discard:\n")
    said = round_trip(one)
    for word in ("relayhost is", "transport_maps is", "sender_dependent_relayhost_maps is",
                 "smtpd_milters is", "smtp_generic_maps is"):
        assert word in said
    one.good("apply")
    ours = "{ unix:postpool/milter, default_action=tempfail }"
    theirs = "inet:127.0.0.1:8891, inet:127.0.0.1:8893"
    assert one.value("smtpd_milters") == f"{ours}, {theirs}"
    # "$smtpd_milters" would bring ours a second time
    assert one.value("non_smtpd_milters") == f"{ours}, {theirs}"
    untag = f"regexp:{one.dir}/postpool/untag"
    assert one.value("recipient_canonical_maps") == f"{untag}, inline:{{x=y}}"
    assert one.options("pp-a0/unix")["smtp_generic_maps"] == \
        f"{untag}, inline:{{root@site.test=admin@site.test}}"
    maps = one.options("pp-rewrite/unix")
    s = f"socketmap:{one.lookup}"
    args = ";default=smtp%3A%5B127.0.0.9%5D%3A2525;nexthop=%5B127.0.0.9%5D%3A2525;relay"
    last = "pipemap:{unionmap:{inline:{-@-=-},regexp:%s/postpool/last-%s},%s:%s}"
    assert maps["transport_maps"] == (
        f"{s}:rcpt.note, inline:{{two.test=smtp:[127.0.0.7]}}, regexp:{one.dir}/more, "
        + last % (one.dir, "recipient", s, "rcpt.last" + args))
    assert maps["sender_dependent_default_transport_maps"] == (
        f"{s}:sender.note, inline:{{@old.test=relay:}}, "
        + last % (one.dir, "sender", s, "sender.last"))
    assert maps["sender_dependent_relayhost_maps"] == (
        "inline:{joe@site.test=[127.0.0.8]}, " + last % (one.dir, "sender", s, "relay.last"))


HAND_EDITED = """\
# by hand
smtp inet n - n - - smtpd
\t-o content_filter=scan:[127.0.0.1]:10024
# not this one
#   -o smtpd_tls_wrappermode=yes

\t-o smtpd_milters=inet:127.0.0.1:9
scan unix - - n - 2 lmtp
    -o lmtp_send_xforward_command=yes
qmgr\tfifo\tn - n 300 1
   # which one?
   oqmgr
\t-o { qmgr_message_active_limit = 10000 }

# last words

    -v
""" + "".join(line + "\n" for line in MASTER.splitlines() if not line.startswith("qmgr")) + """\
submission inet n - n - - smtpd -o smtpd_milters= -o syslog_name=postfix/sub"""


def test_hand_edited_master(site):
    one = site("lmtp_generic_maps = inline:{a=b}\nsmtp_generic_maps = $lmtp_generic_maps\n",
               master=HAND_EDITED.replace("smtp      unix  -       -       n       -       -   "
                                          "    smtp",
                                          "smtp unix - - n - - smtp -o smtp_helo_timeout=7 "
                                          "-o { smtp_generic_maps = inline:{c=d}, inline:{e=f} }"
                                          " -o inet_protocols=all -v"))
    said = round_trip(one)
    assert "smtp sets its own smtpd_milters in master.cf" in said
    assert "content_filter goes through scan" in said
    one.good("apply")
    assert one.options("scan/unix")["lmtp_generic_maps"] == "inline:{a=b}"
    assert one.options("qmgr/fifo") == {"qmgr_message_active_limit": "10000",
                                        "rewrite_service_name": "pp-rewrite",
                                        "qmgr_ipc_timeout": "150s"}
    first = one.options("pp-a0/unix")
    assert first["smtp_helo_timeout"] == "7"
    assert first["inet_protocols"] == "ipv4"
    assert first["smtp_generic_maps"].endswith("/postpool/untag, inline:{c=d}, inline:{e=f}")


def test_changes_elsewhere_survive(site):
    one = site("smtpd_milters = inet:127.0.0.1:1")  # no newline at the end
    one.good("apply")
    path = one.dir / "main.cf"
    path.write_text("# new head\n" + path.read_text() + "biff = no\n")
    assert one.run("apply").returncode == 0
    assert "nothing to change" in one.good("apply")
    one.good("remove")
    before = one.before["main.cf"].decode()
    assert path.read_text() == "# new head\n" + before + "\nbiff = no\n"


def test_later_setting_is_found(site):
    one = site()
    one.good("apply")
    with (one.dir / "main.cf").open("a") as file:
        file.write("smtpd_milters = inet:127.0.0.1:5\n")
    result = one.run("status")
    assert result.returncode == 1
    assert "smtpd_milters is set again behind our block" in result.stdout
    one.good("apply")
    assert one.value("smtpd_milters").endswith("}, inet:127.0.0.1:5")
    one.good("remove")
    assert one.bytes()["main.cf"] == one.before["main.cf"] + b"smtpd_milters = inet:127.0.0.1:5\n"


def test_block_edited_by_hand(site):
    one = site("smtpd_milters = inet:127.0.0.1:1\n")
    one.good("apply")
    path = one.dir / "master.cf"
    path.write_text(path.read_text().replace("qmgr_ipc_timeout=150s", "qmgr_ipc_timeout=15s"))
    result = one.run("status")
    assert result.returncode == 1
    assert "changed by hand" in result.stdout
    assert "the options for qmgr are out of date" in result.stdout
    assert "changed by hand" in one.good("apply")
    assert one.options("qmgr/unix")["qmgr_ipc_timeout"] == "150s"
    path.write_text(path.read_text().replace("qmgr_ipc_timeout=150s", "qmgr_ipc_timeout=15s"))
    one.good("remove")
    assert one.bytes() == one.before


def test_lost_end_mark(site):
    one = site()
    one.good("apply")
    path = one.dir / "main.cf"
    path.write_text(re.sub("(?m)^# postpool: end.*\n", "", path.read_text()))
    for verb in ("apply", "remove", "status"):
        result = one.run(verb)
        assert result.returncode == 1
        assert "has no '# postpool: end' line" in result.stderr


def test_addresses_come_and_go(site):
    one = site()
    one.good("apply")
    one.configure(("127.0.1.9", "127.0.1.2", "127.0.1.3"))
    result = one.run("status")
    assert result.returncode == 1
    assert "service pp-a0 is out of date" in result.stdout
    assert "service pp-a2 is missing" in result.stdout
    one.good("apply")
    assert one.options("pp-a0/unix")["smtp_bind_address"] == "127.0.1.9"
    assert one.options("pp-a2/unix")["smtp_bind_address"] == "127.0.1.3"
    one.configure(("127.0.1.9",))
    one.good("apply")
    assert one.options("pp-a1/unix") == {}
    one.good("remove")
    assert one.bytes() == one.before


def test_symlink_owner_and_mode_stay(site):
    one = site()
    real = one.root / "real.cf"
    (one.dir / "main.cf").rename(real)
    (one.dir / "main.cf").symlink_to(real)
    real.chmod(0o640)
    shutil.chown(real, "postfix", "postfix")
    stat = real.stat()
    one.good("apply")
    assert (one.dir / "main.cf").is_symlink()
    now = real.stat()
    assert (now.st_mode, now.st_uid, now.st_gid) == (stat.st_mode, stat.st_uid, stat.st_gid)
    one.good("remove")
    assert one.bytes() == one.before


def test_remove_works_without_configuration(site):
    one = site()
    one.good("apply")
    one.conf.unlink()
    assert one.run("apply").returncode == 2
    one.good("remove")
    assert one.bytes() == one.before


# Refusals.

@pytest.mark.parametrize("master, sentence", [
    (MASTER.replace("qmgr      unix", "#qmgr     unix"), "there is no qmgr service"),
    (MASTER.replace(" qmgr\n", " qmgr -o rewrite_service_name=mine\n"),
     "'-o rewrite_service_name=mine' already"),
    (MASTER + "pp-a1 unix - - n - - smtp\n", "a service pp-a1 of its own"),
])
def test_refused(site, master, sentence):
    one = site(master=master)
    for args in ((), ("--force",)):
        result = one.run("apply", *args)
        assert result.returncode == 1
        assert sentence in result.stderr
    assert one.bytes() == one.before


def test_star_is_refused(site):
    one = site("transport_maps = inline:{two.test=smtp:, *=smtp:[10.0.0.1]}\n")
    result = one.run("apply")
    assert result.returncode == 1
    assert "the entry for '*' in inline:{two.test=smtp:, *=smtp:[10.0.0.1]}" in result.stdout
    assert one.bytes() == one.before
    one.good("apply", "--force")
    one.good("remove")
    assert one.bytes() == one.before


def fake(one, name, script):
    folder = one.root / "bin"
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return folder


def test_old_postfix_is_refused(site):
    one = site()
    path = fake(one, "postconf", 'exec /usr/sbin/postconf "$@" | sed "s/^mail_version = .*/'
                'mail_version = 3.5.25/"\n')
    result = one.run("apply", path=path)
    assert result.returncode == 1
    assert "Postfix 3.5.25 does not know smtp_bind_address_enforce" in result.stdout
    assert one.bytes() == one.before
    assert one.run("apply", "--force", path=path).returncode == 0
    assert "smtp_bind_address_enforce" not in one.options("pp-a0/unix")


@pytest.mark.parametrize("script, sentence", [
    # Postfix does not accept what was written
    ('grep -q pp-rewrite "$2/master.cf" && { echo "postconf: fatal: no" >&2; exit 1; }\n',
     "Postfix does not accept master.cf: postconf: fatal: no"),
    # ... or reads something else than what was written
    ('[ "$3" = -P ] && exec /usr/sbin/postconf -P nosuch/unix\n', "as it was written"),
    ('[ "$3" = -M ] && { /usr/sbin/postconf "$@" | grep -v pp-a1; exit 0; }\n',
     "services there, not"),
    ('grep -q postpool/milter "$2/main.cf" && [ "$3" != -M -a "$3" != -P ] && exit 0\n',
     "main.cf: Postfix does not read"),
])
def test_failed_read_back_rolls_back(site, script, sentence):
    one = site(OWN.replace("transport_maps = inline:{two.test=smtp:[127.0.0.7]}, regexp:DIR/more",
                           ""))
    path = fake(one, "postconf", script + 'exec /usr/sbin/postconf "$@"\n')
    result = one.run("apply", path=path)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "all files are as they were" in result.stdout
    assert one.bytes() == one.before
    assert not (one.dir / "postpool").exists()


@pytest.mark.parametrize("args", [(), ("fly",), ("apply", "remove"), ("apply", "--no-such")])
def test_usage(args):
    result = subprocess.run([POSTPOOL, "transports", *args], capture_output=True, text=True)
    assert result.returncode == 2
    assert "usage: postpool transports" in result.stderr
    help_text = subprocess.run([POSTPOOL, "transports", "--help"], capture_output=True, text=True)
    assert help_text.returncode == 0
    assert "usage: postpool transports" in help_text.stdout


def test_no_such_directory(site):
    one = site()
    one.dir.rename(one.root / "elsewhere")
    assert one.run("apply").returncode == 2
    (one.root / "elsewhere").rename(one.dir)


def test_json(site):
    one = site()
    before = json.loads(one.run("status", "--json").stdout)
    assert before["state"] == "not applied"
    assert before["services_present"] == 0
    diff = json.loads(one.run("diff", "--json").stdout)
    assert diff["differs"]
    assert [Path(file["path"]).name for file in diff["files"]] == ["main.cf", "master.cf", "untag"]
    rendered = json.loads(one.good("render", "--json"))
    assert "pp-rewrite" in rendered["services"]
    assert one.bytes() == one.before
    one.good("apply")
    assert json.loads(one.good("status", "--json"))["state"] == "applied"


def test_render_without_postfix_files(site):
    one = site()
    for name in FILES:
        (one.dir / name).unlink()
    (one.dir / "master.cf").write_text(MASTER)
    out = one.good("render")
    assert "pp-a0 unix" in out
    assert "rewrite_service_name=pp-rewrite" in out
    (one.dir / "main.cf").write_text("")


def test_tagged_mail_in_a_stopped_queue(site):
    one = site()
    one.good("apply")
    folder = one.queue / "deferred" / "A"
    folder.mkdir(parents=True)
    (folder / "A1").write_bytes(b"C\x0f 1\0S\x30user+pp=" + TAG.encode() + b"@site.test" + b"M\0")
    result = one.run("remove")
    assert result.returncode == 1
    assert "1 messages in the queue have a tag" in result.stderr
    assert one.value("smtpd_milters") == ""
    assert one.options("qmgr/unix") == {}
    assert one.value("smtp_generic_maps") != ""
    assert one.untag(f"user+pp={TAG}@site.test") == "user@site.test"
    (folder / "A1").unlink()
    one.good("remove")
    assert one.bytes() == one.before


# A running Postfix.

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
    started = time.monotonic()
    assert "Postfix has read it" in one.good("apply")
    took = time.monotonic() - started
    assert took < 60, took
    assert one.reloads() == 2
    assert one.is_served("pp-rewrite")
    assert one.options("pp-a499/unix")["smtp_bind_address"] == addresses[499]
    assert "nothing to change" in one.good("apply")
    assert one.reloads() == 2
    # one address goes, one changes: once read, once more when the old one is idle
    one.configure(addresses[:498] + ["127.0.9.9"])
    one.good("apply")
    assert one.reloads() == 4
    assert not (one.queue / "private" / "pp-a499").exists()
    one.good("remove")
    assert one.reloads() == 6
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
    subprocess.run(queue + ["-f"], check=True)
    tarpit.settimeout(60)
    client, address = tarpit.accept()
    assert address[0] == "127.0.1.1"
    done = threading.Timer(12, client.close)
    started = time.monotonic()
    done.start()
    one.good("remove")
    assert time.monotonic() - started >= 12
    assert one.bytes() == one.before
    tarpit.close()
