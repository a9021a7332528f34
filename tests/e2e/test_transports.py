# SPDX-License-Identifier: MIT
"""postpool transports: in and out of a Postfix, byte for byte."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.site import FILES, MASTER, POSTPOOL, Site, fake

TAG = "s1.abcdefgh2345.zyxwvu76"
DAY_TAG = "s1.abcdefgh2345klmn.zyxwvu76"  # its id tells a day

pytestmark = [
    pytest.mark.skipif(not shutil.which("postconf", path=os.environ["PATH"] + ":/usr/sbin"),
                       reason="no Postfix here"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix's tools want root"),
]


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

@pytest.mark.parametrize("name", ["dist", "debian"])
def test_stock_files(site, name):
    """As Postfix comes, and as Debian sets it up."""
    one = site()
    stock = Path("/usr/share/postfix")
    source = {"dist": ["main.cf.dist"], "debian": ["main.cf.debian", "main.cf.tls"]}[name]
    for file, parts in zip(FILES, (source, ["master.cf.dist"])):
        text = "".join((stock / part).read_text() for part in parts)
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
    (f"user+pp={DAY_TAG}@dom.test", "user@dom.test"),
    (f'"we ird+pp={DAY_TAG.upper()}"@dom.test', '"we ird"@dom.test'),
    (f"u+pp={DAY_TAG}+them=one.test@dom.test", "u+them=one.test@dom.test"),
    (f"u+pp={DAY_TAG.replace('klmn', 'klmno')}@dom.test", None),
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
        + last % (one.dir, "sender", s, "sender.last;tables"))
    assert maps["sender_dependent_relayhost_maps"] == (
        "inline:{joe@site.test=[127.0.0.8]}, " + last % (one.dir, "sender", s, "relay.last"))


POLICY = "unix:QUEUE/postpool/policy"
ASK_POLICY = ("check_policy_service { unix:postpool/policy, timeout=3s, try_limit=1, "
              "default_action=DUNNO }")


def test_policy_service(site):
    one = site(policy=POLICY)
    said = round_trip(one)
    assert "restrictions" not in said
    one.good("apply")
    for name in ("smtpd_recipient_restrictions", "smtpd_end_of_data_restrictions"):
        assert one.value(name) == ASK_POLICY
    # No longer wanted: it goes at the next apply.
    one.policy = None
    one.configure(("127.0.1.1", "127.0.1.2"))
    assert one.run("status").returncode == 1
    one.good("apply")
    for name in ("smtpd_recipient_restrictions", "smtpd_end_of_data_restrictions"):
        assert one.value(name) == ""
    one.good("remove")
    assert one.bytes() == one.before


def test_policy_service_beside_the_site_own(site):
    """In front: behind a permit it would not be asked."""
    one = site("mine = permit_mynetworks\n"
               "smtpd_recipient_restrictions = $mine,\n"
               "   check_policy_service { inet:127.0.0.1:10023, default_action=DUNNO }\n"
               "# and\n"
               "   reject_unauth_destination\n"
               "smtpd_end_of_data_restrictions=$smtpd_recipient_restrictions\n", policy=POLICY)
    said = round_trip(one)
    assert "smtpd_recipient_restrictions is $mine" in said
    one.good("apply")
    own = ("$mine, check_policy_service { inet:127.0.0.1:10023, default_action=DUNNO } "
           "reject_unauth_destination")
    assert one.value("smtpd_recipient_restrictions") == f"{ASK_POLICY}, {own}"
    assert one.value("smtpd_end_of_data_restrictions") == f"{ASK_POLICY}, {own}"


def test_policy_service_that_a_service_does_not_see(site):
    master = MASTER + (
        "587 inet n - n - - smtpd -o smtpd_recipient_restrictions= -o syslog_name=sub\n"
        "465 inet n - n - - smtpd\n  -o smtpd_end_of_data_restrictions=$smtpd_recipient_restrictions\n"
        "466 inet n - n - - smtpd\n"
        "  -o { smtpd_end_of_data_restrictions = check_policy_service unix:postpool/policy }\n"
        "25 inet n - y - - smtpd\n")
    one = site(master=master, policy=POLICY)
    said = round_trip(one)
    assert ("587 sets its own smtpd_recipient_restrictions in master.cf: put "
            f"'{ASK_POLICY}' in front there") in said
    assert "465 sets" not in said
    assert "466 sets" not in said
    assert "chrooted" not in said
    one = site(master=master, policy="unix:/run/elsewhere/policy")
    assert "25 is chrooted and cannot reach unix:/run/elsewhere/policy: put listen.policy under" \
        in one.good("apply")
    one = site("smtpd_recipient_restrictions = check_policy_service unix:postpool/policy\n",
               policy=POLICY)
    assert ("smtpd_recipient_restrictions asks our policy service already: what is asked twice "
            "counts once, but take it out there") in one.good("apply")


FEEDBACK = 'feedback: { log = "/var/log/mail.log"; };\n'
OWN_FILTER = "inline:{5.7.1=4.7.1}"


def test_what_is_refused(site):
    """policyd is asked about it, by the services of the addresses alone."""
    one = site(addresses=("127.0.1.1", "2001:db8::7"), extra=FEEDBACK)
    one.lookup = f"unix:{one.queue}/postpool/lookup"
    one.configure(("127.0.1.1", "2001:db8::7"))
    round_trip(one)
    one.good("apply")
    ask = f"pipemap:{{regexp:{one.dir}/postpool/refused,socketmap:unix:postpool/lookup:reply.%s}}"
    name = "smtp_delivery_status_filter"
    assert one.options("pp-a0/unix")[name] == ask % "a0"
    assert one.options("pp-a1/unix")[name] == f"regexp:{one.dir}/postpool/only-ipv6, {ask % 'a1'}"
    assert name not in one.options("smtp/unix")
    assert one.value(name) == "$default_delivery_status_filter"
    # No longer wanted: the table goes, too, at the next apply.
    for extra in ("", FEEDBACK + "rescue: { enabled = false; };\n"):
        one.extra = FEEDBACK
        one.configure(("127.0.1.1",))
        one.good("apply")
        assert name in one.options("pp-a0/unix")
        one.extra = extra
        one.configure(("127.0.1.1",))
        result = one.run("status")
        assert result.returncode == 1
        assert "service pp-a0 is out of date" in result.stdout
        one.good("apply")
        assert name not in one.options("pp-a0/unix")
        assert not (one.dir / "postpool" / "refused").exists()
    one.good("remove")
    assert one.bytes() == one.before


def test_what_is_refused_beside_the_site_own(site):
    """Ours stands first; where it knows nothing the site's own has its turn."""
    master = MASTER.replace("smtp      unix  -       -       n       -       -       smtp",
                            f"smtp unix - - y - - smtp -o smtp_delivery_status_filter={OWN_FILTER}")
    one = site(master=master, extra=FEEDBACK)
    said = round_trip(one)
    assert (f"smtp is chrooted, as the services of the addresses will be, and cannot reach "
            f"{one.lookup}: put listen.lookup under {one.queue}, else") in said
    one.good("apply")
    assert one.options("pp-a0/unix")["smtp_delivery_status_filter"] == (
        f"pipemap:{{regexp:{one.dir}/postpool/refused,socketmap:{one.lookup}:reply.a0}}, "
        f"{OWN_FILTER}")
    one = site(master=master)
    assert "chrooted" not in one.good("apply")
    assert one.options("pp-a0/unix")["smtp_delivery_status_filter"] == OWN_FILTER
    # In main.cf, by reference; a service for IPv6 alone has a filter in front, too.
    one = site(f"default_delivery_status_filter = {OWN_FILTER}\n",
               addresses=("127.0.1.1", "2001:db8::7"))
    one.good("apply")
    assert "smtp_delivery_status_filter" not in one.options("pp-a0/unix")
    assert one.options("pp-a1/unix")["smtp_delivery_status_filter"] == \
        f"regexp:{one.dir}/postpool/only-ipv6, $default_delivery_status_filter"


@pytest.mark.parametrize("words, asked", [
    ("5.7.1 host mx.one.test[192.0.2.9] said: 550 5.7.1 $1 blocked (in reply to RCPT TO command)",
     True),
    ("5.0.0 host mx.one.test[192.0.2.9] said: 554-blocked \"{\xe9}\" (in reply to MAIL FROM)", True),
    ("4.7.1 host mx.one.test[192.0.2.9] said: 450 4.7.1 later (in reply to RCPT TO command)", False),
    ("2.0.0 250 2.0.0 Ok: queued", False),
    ("5.4.4 Host or domain name not found. Name service error for name=one.test type=MX", False),
    ("5.7.1 host mx.one.test[192.0.2.9] refused to talk to me: 554 5.7.1 blocked", False),
])
def test_what_postfix_asks_about(site, words, asked):
    one = site(extra=FEEDBACK)
    one.good("apply")
    result = subprocess.run(["postmap", "-c", str(one.dir), "-q", words,
                             f"regexp:{one.dir}/postpool/refused"], capture_output=True, text=True)
    assert result.stdout == (f"{words}\n" if asked else "")


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


def test_a_route_changed_after_apply_is_told(site):
    """It takes effect with the next apply, and stays when postpool goes."""
    one = site()
    one.good("apply")
    path = one.dir / "main.cf"
    text, changes = path.read_text(), ""
    for line, service in [
            ("relayhost = [127.0.0.9]", "pp-rewrite"),
            ("default_transport = smtp:[127.0.0.9]", "pp-rewrite"),
            ("transport_maps = inline:{two.test=smtp:}", "pp-rewrite"),
            ("sender_dependent_relayhost_maps = inline:{@a.test=[127.0.0.8]}", "pp-rewrite"),
            ("sender_dependent_default_transport_maps = inline:{@a.test=smtp:}", "pp-rewrite"),
            ("smtp_generic_maps = inline:{a@b.test=c@d.test}", "pp-a0")]:
        path.write_text(f"{text}{line}\n")
        result = one.run("status")
        assert result.returncode == 1, line
        assert f"service {service} is out of date" in result.stdout, line
        changes += f"{line}\n"
    path.write_text(text + changes)
    one.good("apply")
    one.good("status")
    one.good("remove")
    assert one.bytes() == one.before | {"main.cf": one.before["main.cf"] + changes.encode()}


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
    ('[ "$3" = -P ] && exec /usr/sbin/postconf -c "$2" -P nosuch/unix\n', "as it was written"),
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
