# SPDX-License-Identifier: MIT
"""What the admin does: check, status, explain, reload, and who the daemons run as."""

import json
import os
import pwd
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from conftest import need_world
from harness import client, programs
from harness.host import ALERTS, BULK, FAST, REST, USER, configuration
from harness.libconf import dumps
from harness.programs import BUILD, environment, postpool
from harness.wait import wait_for


@pytest.fixture(scope="module")
def host(make_shared_host):
    return make_shared_host()


@pytest.fixture
def first_conf(host):
    """Put the configuration back after the test."""
    kept = host.changed()
    yield kept
    host.reload_conf(kept)


# Reload


def test_reload_takes_a_new_file_over(host, first_conf):
    (delivery,) = host.deliver("you@other.test", "a@one.test")
    assert delivery.source in REST
    conf = host.changed()
    conf["streams"].insert(0, {"name": "other", "pool": "alerts",
                               "match": [{"sender": "*@other.test"}]})
    host.reload_conf(conf)
    (delivery,) = host.deliver("you@other.test", "a@one.test")
    assert delivery.source in ALERTS
    assert delivery.headers("X-Postpool-Stream") == ["other"]


def test_reload_says_what_changed(host, first_conf):
    conf = host.changed()
    conf["pools"]["bulk"]["addresses"][0]["weight"] = 7
    policyd, milter = len(host.policyd.log()), len(host.milter.log())
    host.reload_conf(conf)
    host.policyd.wait_log(r"pools\.bulk.*weight.*7", policyd)
    host.milter.wait_log(r"pools\.bulk.*weight.*7", milter)


def test_reload_says_much_in_few_lines(host, first_conf):
    conf = host.changed()
    conf["pools"]["bulk"]["addresses"][0]["weight"] = 7
    conf["replies"] = [{"name": f"r{i}", "class": "none", "pattern": f"word{i}!",
                        "samples": [f"550 word{i}!"]} for i in range(30)]
    logged = {daemon: len(daemon.log()) for daemon in (host.policyd, host.milter)}
    host.write_conf(conf)
    told = host.postpool("reload").stdout.splitlines()
    much = "+ replies: 30 members, 121 settings"
    assert told[0] == "postpool-policyd: taken over"
    assert [line for line in told if line[0] in "+-~"] == [
        "~ pools.bulk.addresses.b1.weight = 7 (was 3)", much]
    for daemon, since in logged.items():
        daemon.wait_log(r"reload: configuration taken over changes=122", since)
        assert f"reload: {much}" in daemon.log()[since:]
        assert daemon.log()[since:].count("reload: ") == 3
    host.write_conf(first_conf)
    milter = len(host.milter.log())
    changes = json.loads(host.postpool("reload", "--json").stdout)["policyd"]["changes"]
    assert len(changes) == 122
    host.milter.wait_log("reload: configuration taken over", milter)


BAD = [
    ("pool = \"fast\"", "pool = \"fats\"", r"postpool\.conf:\d+: .*fats"),
    ("ip = \"127.0.1.1\"", "ip = \"127.0.1.777\"", r"postpool\.conf:\d+: .*127\.0\.1\.777"),
    ("strip = ", "stripp = ", r"postpool\.conf:\d+: .*stripp.*\bstrip\b"),
    ("node = ", "node : ; = ", r"postpool\.conf:\d+: "),
]


@pytest.mark.parametrize("old, new, reason", BAD, ids=[b[1] for b in BAD])
def test_a_bad_file_is_refused_and_the_running_one_stays(host, first_conf, old, new, reason):
    text = dumps(first_conf)
    assert old in text
    host.conf_path.write_text(text.replace(old, new, 1), encoding="utf-8")
    check = host.postpool("check", status=2)
    assert re.search(reason, check.stdout + check.stderr)
    reload = host.postpool("reload", status=None)
    assert reload.returncode in (1, 2)
    assert re.search(reason, reload.stdout + reload.stderr)
    for headers, pool in ((["X-Stream: bulk"], BULK), (["X-Stream: transactional"], FAST)):
        (delivery,) = host.deliver("me@site.test", "a@one.test", headers)
        assert delivery.source in pool
    # Signals do as the command does, and say the reason in the log.
    for daemon, number in ((host.policyd, signal.SIGHUP), (host.milter, signal.SIGUSR1)):
        logged = len(daemon.log())
        daemon.signal(number)
        daemon.wait_log(reason, logged)
        assert daemon.running
    (delivery,) = host.deliver("me@site.test", "a@one.test", ["X-Stream: bulk"])
    assert delivery.source in BULK


def test_a_reload_without_the_secret_is_refused(host, first_conf):
    """Without it no tag would be genuine, and all mail leave by its sender alone."""
    secret = host.run / "tag.secret"
    secret.rename(host.run / "elsewhere")
    milter = len(host.milter.log())
    try:
        reload = host.postpool("reload", status=1)
        assert "refused" in reload.stdout and "tag.secret" in reload.stdout
        host.milter.wait_log("configuration refused -- the running one stays", milter)
        (delivery,) = host.deliver("me@site.test", "a@one.test", ["X-Stream: bulk"])
        assert delivery.source in BULK
    finally:
        (host.run / "elsewhere").rename(secret)


def test_every_mistake_is_named(host):
    conf = host.changed()
    conf["pools"]["fast"]["addresses"] = ["a9"]
    conf["addresses"]["b1"]["ip"] = "127.0.1.12"
    conf["pools"]["alerts"]["overflow"] = ["spare"]
    conf["pools"]["spare"]["overflow"] = ["alerts"]
    conf["streams"].pop()
    conf["streams"][1]["name"] = "Bulk_Mail"
    conf["pools"]["bulk"]["addresses"][1]["weight"] = 0
    bad = host.root / "bad.conf"
    bad.write_text(dumps(conf))
    done = postpool("check", bad, status=2)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "bad.conf:" in line]
    for word in ("a9", r"127\.0\.1\.12", "overflow", "stream", "Bulk_Mail", "weight"):
        assert any(re.search(rf"bad\.conf:\d+: .*{word}", line) for line in lines), (word, lines)


def test_milter_reload_keeps_open_connections(host, first_conf):
    """A message that began before the reload ends well; the next one has the new streams."""
    first, second = client.new_id(), client.new_id()
    conf = host.changed()
    conf["streams"].insert(0, {"name": "other", "pool": "alerts",
                               "match": [{"sender": "*@other.test"}]})
    with host.smtp() as smtp:
        smtp.cmd("MAIL FROM:<you@other.test>", "2")
        smtp.cmd("RCPT TO:<a@one.test>", "2")
        host.write_conf(conf)
        logged = len(host.milter.log())
        host.milter.signal(signal.SIGUSR1)
        host.milter.wait_log("reload: configuration taken over", logged)
        host.policyd.signal(signal.SIGHUP)
        smtp.cmd("DATA", "3")
        smtp.data(client.message(first))
        smtp.send("you@other.test", ["a@one.test"], client.message(second))
    assert len(host.sink.wait(first)) == 1
    (delivery,) = host.sink.wait(second)
    assert delivery.headers("X-Postpool-Stream") == ["other"]


def test_reloads_at_the_same_time(host, first_conf):
    """Each is told what became of a reload that began after it asked."""
    argv = [programs.BUILD / "postpool", "-c", host.conf_path, "reload", "--json"]
    running = [subprocess.Popen(argv, env=programs.environment(), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(8)]
    for process in running:
        out, said = process.communicate(timeout=120)
        answer = json.loads(out)
        assert answer["milter_error"] is None
        assert process.returncode == 0, said
        assert answer["policyd"]["taken"] is True


def test_milter_reload_names_what_needs_a_restart(host, first_conf):
    conf = host.changed()
    conf["milter"]["mode"] = "0600"
    logged = len(host.milter.log())
    host.reload_conf(conf)
    host.milter.wait_log("warning: .*mode.* take effect at the next restart", logged)


def test_reload_signals_nobody_else(host):
    """The number in a milter's old file belongs to another process by now."""
    pid_file = host.run / "milter.pid"
    kept = pid_file.read_text()
    with subprocess.Popen(["sleep", "600"]) as other:
        pid_file.write_text(f"{other.pid}\n")
        done = host.postpool("reload", status=1)
        pid_file.write_text(kept)
        assert "is no postpool-milter" in done.stderr
        assert other.poll() is None
        other.kill()


def test_reload_with_daemons_away(make_host):
    host = make_host(start=False)
    done = host.postpool("reload", status=None)
    assert done.returncode == 1
    assert done.stderr


@pytest.mark.parametrize("question", ["reloadnot", "statusx", "status  json", ""])
def test_a_question_that_is_none(host, question):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(host.run / "control"))
        peer.settimeout(60)
        peer.sendall(f"{question}\n".encode())
        assert peer.makefile().read().startswith("error: ")


# Asking


def test_check(host, directory_of):
    assert host.postpool("check").returncode == 0
    assert postpool("check", host.conf_path).returncode == 0
    missing = postpool("check", directory_of("none") / "no.conf", status=2)
    assert "no.conf" in missing.stdout + missing.stderr


def test_daemons_check_the_file_too(host):
    for name in DAEMONS:
        argv = [programs.BUILD / name, "-t", "-c"]
        good = subprocess.run([*argv, host.conf_path], env=programs.environment(),
                              capture_output=True, text=True, check=False)
        assert good.returncode == 0, good
        bad = host.root / "bad-for-daemons.conf"
        bad.write_text("nodes = 1;\n")
        done = subprocess.run([*argv, bad], env=programs.environment(),
                              capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert re.search(r"bad-for-daemons\.conf:1: .*nodes", done.stdout + done.stderr)


def run(name, *args, **kwargs):
    return subprocess.run([programs.BUILD / name, *args], env=programs.environment(), text=True,
                          timeout=60, check=False, **kwargs)


DAEMONS = ["postpool-policyd", "postpool-milter"]


def free_conf(root):
    """A configuration whose sockets nobody uses, and a secret for it."""
    (root / "tag.secret").write_bytes(os.urandom(32))
    (root / "tag.secret").chmod(0o640)
    conf = configuration(root / "run")
    conf["tag_secret_file"] = str(root / "tag.secret")
    (root / "postpool.conf").write_text(dumps(conf))
    return root / "postpool.conf"


@pytest.mark.parametrize("name", DAEMONS)
def test_without_its_secret_no_daemon_passes_its_own_check(directory_of, name):
    need_world()
    conf = free_conf(directory_of("secret"))
    assert run(name, "-t", "-c", conf).returncode == 0
    (conf.parent / "tag.secret").unlink()
    done = run(name, "-t", "-c", conf, capture_output=True)
    assert done.returncode == 2 and "tag.secret" in done.stderr


@pytest.mark.parametrize("name, socket_name", zip(DAEMONS, ("lookup", "milter")))
def test_in_the_background(directory_of, name, socket_name):
    """Who starts it learns whether it runs; the folders for its sockets are made."""
    need_world()
    root = directory_of("background")
    conf = free_conf(root)
    # Not a pipe: the daemon would hold its end when it did not let go of it.
    with open(root / "out", "w", encoding="utf-8") as out:
        bad = run(name, "-c", conf, "-P", root / "no" / "such" / "pid", stdout=out, stderr=out)
    assert bad.returncode == 1
    assert "such" in (root / "out").read_text()
    (root / "run" / socket_name).unlink()
    good = run(name, "-c", conf, "-P", root / "pids" / "pid", capture_output=True)
    assert (good.returncode, good.stdout) == (0, ""), good
    pid = int((root / "pids" / "pid").read_text())
    assert programs.connects(root / "run" / socket_name)
    assert os.getsid(pid) == pid
    assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)} == {"/dev/null"}
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), what=f"the end of {name}")
    assert not (root / "pids" / "pid").exists()


@pytest.mark.parametrize("name", DAEMONS)
def test_lines_for_the_journal_have_levels(directory_of, name):
    need_world()
    root = directory_of("journal")
    free_conf(root)
    bad = root / "bad.conf"
    bad.write_text("nodes = 1;\n")
    with open(root / "journal", "w+", encoding="utf-8") as journal:
        stat = os.fstat(journal.fileno())
        argv = [programs.BUILD / name, "-t", "-c", bad]
        env = programs.environment() | {"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"}
        subprocess.run(argv, env=env, stderr=journal, check=False)
        other = subprocess.run(argv, env=env, stderr=subprocess.PIPE, text=True, check=False)
    lines = (root / "journal").read_text().splitlines()
    assert lines[0].startswith(f"<3>error: {bad}:1: ")
    assert all(re.match("<3>error: |<4>warning: ", line) for line in lines)
    assert f"{name.replace('-', '/')}[" in other.stderr


def test_status(host):
    text = host.postpool("status").stdout
    assert "a1" in text and "fast" in text
    json.loads(host.postpool("status", "--json").stdout)


def test_status_with_policyd_away(make_host):
    host = make_host(start=False)
    assert host.postpool("status", status=1)


EXPLAINED = [
    (["--header", "X-Stream: bulk"], "bulk", {"b1", "b2"}),
    (["--sasl-user", "app-shop"], "transactional", {"a1", "a2"}),
    (["--header", "X-Stream: alerts", "--sasl-user", "ops"], "alerts", {"c1"}),
    (["--header", "X-Stream: alerts"], "default", {"d1"}),
    ([], "default", {"d1"}),
]


@pytest.mark.parametrize("options, stream, names", EXPLAINED)
def test_explain(host, options, stream, names):
    """It names the stream, the address, and each candidate with its reason."""
    ask = ["explain", "--sender", "me@site.test", "--recipient", "a@one.test", *options]
    text = host.postpool(*ask).stdout
    assert stream in text
    assert any(name in text for name in names)
    data = host.postpool(*ask, "--json").stdout
    json.loads(data)
    assert f'"{stream}"' in data


def explained(host, *options):
    done = host.postpool("explain", "--sender", "me@site.test", *options, "--json")
    return json.loads(done.stdout)


def test_explain_asks_for_the_recipient_too(host, first_conf):
    conf = host.changed()
    conf["streams"].insert(0, {"name": "to-one", "pool": "alerts",
                               "match": [{"recipient": "*@one.test"}]})
    host.reload_conf(conf)
    assert explained(host, "--recipient", "a@one.test")["stream"] == "to-one"
    assert explained(host, "--recipient", "<a@ONE.test>")["stream"] == "to-one"
    assert explained(host, "--recipient", "a@one.test", "--forwarded")["stream"] == "default"
    assert explained(host, "--recipient", "<a@internal.test>")["bypass"]
    assert "--recipient" in host.postpool("explain", "--help").stdout


def test_usage():
    need_world()
    for args in ((), ("nonsense",), ("explain",), ("status", "--nonsense"), ("transports",)):
        assert postpool(*args, status=2).stderr
    assert "explain" in postpool("--help").stdout


@pytest.mark.parametrize("args", [["--help"], ["check", "--help"], ["replies", "--help"]],
                         ids=" ".join)
def test_output_that_is_lost_is_told(args):
    command = [str(BUILD / "postpool"), *args]
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True,
                              env=environment(), check=False)
    assert (done.returncode, done.stderr) == (
        1, "postpool: standard output: No space left on device\n")
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *command], capture_output=True,
                          text=True, env=environment(), check=False)
    assert (done.returncode, done.stderr) == (
        1, "postpool: standard output: Bad file descriptor\n")


@pytest.mark.parametrize("command", ["check", "status", "explain", "reload", "transports"])
def test_each_command_has_help(command):
    need_world()
    for option in ("--help", "-h"):
        done = postpool(command, option)
        assert done.stdout.startswith(f"usage: postpool {command}") and not done.stderr
        assert len(done.stdout.splitlines()) > 2
    assert postpool(command, "--nonsense", status=2).stderr


COMPLETION = Path(__file__).resolve().parents[2] / "ctl" / "postpool.bash"


def completed(*words):
    """What bash offers for the last of the words."""
    script = ('source "$0"; COMP_WORDS=(postpool "$@"); COMP_CWORD=$#; _postpool; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, COMPLETION, *words], check=True,
                          capture_output=True, text=True)
    return set(done.stdout.split())


def test_completion(directory_of):
    need_world()
    commands = {line.split()[0] for line in postpool("--help").stdout.splitlines()
                if line.startswith("  ") and line.split()[0].isalpha()}
    assert len(commands) >= 20 and commands <= completed("")
    for command in commands:
        options = set(re.findall(r"--[a-z-]+", postpool(command, "--help").stdout))
        assert options <= completed(command, "-"), command
    assert completed("transports", "") == {"render", "diff", "apply", "remove", "status"}
    assert completed("explain", "--s") == {"--sender", "--sasl-user"}
    assert completed("explain", "--sender", "") == set()
    assert completed("-c", "some.conf", "sta") == {"status"}
    folder = directory_of("completion")
    (folder / "a.conf").touch()
    assert completed("check", f"{folder}/a") == {f"{folder}/a.conf"}


# Who they are


def ids(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    uid = set(re.search(r"Uid:\s+(.*)", status).group(1).split())
    gid = set(re.search(r"Gid:\s+(.*)", status).group(1).split())
    groups = set(re.search(r"Groups:[ \t]*(.*)", status).group(1).split())
    capabilities = re.search(r"CapEff:\s+(\w+)", status).group(1)
    return uid, gid, groups, int(capabilities, 16)


def test_privileges_are_dropped(host):
    """Real, effective and saved ids, the groups, and no capability is left."""
    account = pwd.getpwnam(USER)
    (worker,) = host.policyd.workers()
    for pid in (worker, host.milter.pid):
        uid, gid, groups, capabilities = ids(pid)
        assert uid == {str(account.pw_uid)}
        assert "0" not in gid | groups
        assert capabilities == 0


def test_root_is_refused(directory_of):
    need_world()
    root = directory_of("root")
    conf = configuration(root) | {"user": "root"}
    (root / "tag.secret").write_bytes(os.urandom(32))
    (root / "tag.secret").chmod(0o640)
    (root / "postpool.conf").write_text(dumps(conf))
    for name in DAEMONS:
        done = subprocess.run([programs.BUILD / name, "-f", "-c", root / "postpool.conf"],
                              env=programs.environment(), capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode != 0
        assert "root" in done.stderr


def test_a_secret_that_others_can_read_is_told(directory_of):
    need_world()
    root = directory_of("secret")
    (root / "tag.secret").write_bytes(b"short")
    (root / "postpool.conf").write_text(dumps(configuration(root)))
    done = postpool("check", root / "postpool.conf", status=2)
    assert "tag.secret" in done.stdout + done.stderr
    assert "short" not in (done.stdout + done.stderr).replace("too short", "").replace("shorter", "")


def test_a_second_policyd_does_not_take_the_socket(host):
    done = subprocess.run([programs.BUILD / "postpool-policyd", "-f", "-c", host.conf_path],
                          env=programs.environment(), capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode != 0
    assert "lookup" in done.stderr or "control" in done.stderr
    (delivery,) = host.deliver("me@site.test", "a@one.test")
    assert delivery.source in REST


def test_systemd_is_told(make_host):
    """READY, and the watchdog's signs of life."""
    host = make_host(start=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        path = host.root / "notify"
        notify.bind(str(path))
        path.chmod(0o666)
        notify.settimeout(60)
        told = []

        def heard(word):
            told.append(notify.recv(4096).decode())
            return any(word in t for t in told)
        host.policyd.environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "500000"}
        host.policyd.start()
        wait_for(lambda: heard("READY=1"), what="READY")
        for _ in range(3):
            told.clear()
            wait_for(lambda: heard("WATCHDOG=1"), what="WATCHDOG")
        host.policyd.stop()


# Taking it out


def test_after_remove_mail_flows_as_before(make_host):
    host = make_host()
    host.deliver("me@site.test", "a@one.test", ["X-Stream: bulk"])
    host.postpool("transports", "remove", "--config-dir", host.postfix.config)
    host.postfix.wait_log("reload -- version")
    (delivery,) = host.deliver("me@site.test", "a@one.test", ["X-Stream: bulk"])
    assert delivery.source not in BULK | FAST | REST
    assert delivery.headers("X-Stream") == ["bulk"]
    assert delivery.headers("X-Postpool-Stream") == []
