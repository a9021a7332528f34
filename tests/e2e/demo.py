# SPDX-License-Identifier: MIT
"""What script/demo shows: three streams and two clients, and what the sink saw of them."""

import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

from harness import client, namespace
from harness.host import Host
from harness.wait import wait_for

ADDRESSES = {"a1": "127.0.1.1", "a2": "127.0.1.2", "b1": "127.0.1.11", "b2": "127.0.1.12",
             "c1": "127.0.1.21"}
POOLS = {"fast": ["a1", "a2"], "bulk": [("b1", 3), ("b2", 1)], "acme": ["c1"]}
DOMAINS = ["one.test", "two.test", "three.test"]

# Who sends what: client, login, sender, extra headers, how many.
MAIL = [
    ("shop", "app-shop", "orders@shop.test", ["X-Stream: transactional"], 100),
    ("shop", "app-shop", "orders@shop.test", ["X-Stream: bulk"], 200),
    ("acme", "acme", "news@acme.test", [], 100),
]

_tty = sys.stdout.isatty()
_line_open = False


def say(text):
    _end_line()
    print(f"\033[1m==> {text}\033[0m" if _tty else f"==> {text}", flush=True)


def progress(text):
    """On a terminal one line that changes; elsewhere nothing but what say() prints."""
    global _line_open
    if _tty:
        print(f"\r\033[K    {text}", end="", flush=True)
        _line_open = True


def _end_line():
    global _line_open
    if _line_open:
        print()
        _line_open = False


def configure(conf):
    conf["addresses"] = {name: {"ip": ip, "helo": f"{name}.mail.test"}
                         for name, ip in ADDRESSES.items()}
    conf["pools"] = {
        name: {"addresses": [a if isinstance(a, str) else {"name": a[0], "weight": a[1]}
                             for a in addresses]}
        for name, addresses in POOLS.items()}
    conf["streams"] = [
        {"name": "transactional", "pool": "fast",
         "match": [{"header": "X-Stream", "value": "transactional", "sasl_user": "app-*"}]},
        {"name": "bulk", "pool": "bulk", "match": [{"header": "X-Stream", "value": "bulk"}]},
        {"name": "acme", "pool": "acme", "match": [{"sender": "*@acme.test"}]},
        {"name": "default", "pool": "fast", "match": []},
    ]
    conf["bypass"] = []


def send(host):
    """Every client's mail over SMTP; some recipients greylist their first attempt."""
    total = sum(count for *_, count in MAIL)
    sent = 0
    for name, login, sender, headers, count in MAIL:
        with host.smtp() as smtp:
            smtp.login(login)
            for n in range(count):
                local = f"defer-once-{sent}" if n % 20 == 0 else f"user{sent}"
                recipient = f"{local}@{DOMAINS[n % len(DOMAINS)]}"
                smtp.send(sender, [recipient], client.message(
                    client.new_id(), [*headers, f"X-Client: {name}"], sender=sender, to=recipient))
                sent += 1
                progress(f"{sent} of {total} messages handed in, "
                         f"{len(host.sink.deliveries)} delivered")
    return total


def show(deliveries, refused, total):
    """The table; returns whether all is as it should be."""
    names = {ip: name for name, ip in ADDRESSES.items()}
    pool_of = {a if isinstance(a, str) else a[0]: pool
               for pool, addresses in POOLS.items() for a in addresses}
    seen = Counter()
    tagged = 0
    for delivery in deliveries:
        wire = delivery.mail + b"".join(delivery.rcpts) + delivery.data
        tagged += b"+pp=" in wire
        seen[delivery.headers("X-Client")[0], delivery.sender.strip("<>"),
             delivery.headers("X-Postpool-Stream")[0], delivery.source] += 1

    print()
    row = "{:<8}{:<20}{:<16}{:<8}{:<20}{:>8}".format
    print(row("client", "envelope sender", "stream", "pool", "source address", "messages"))
    print("-" * 80)
    for (name, sender, stream, source), count in sorted(seen.items(), key=lambda i: (i[0][2], i[0])):
        address = names.get(source, "?")
        print(row(name, sender, stream, pool_of.get(address, "none!"),
                  f"{source} ({address})", count))
    print("-" * 80)

    first = {d.rcpts[0]: d.source for d in refused}
    again = sum(d.source == first[d.rcpts[0]] for d in deliveries if d.rcpts[0] in first)
    print(f"{len(deliveries)} of {total} messages arrived, "
          f"{len(set(d.id for d in deliveries))} different ones.")
    print(f"{len(first)} were greylisted first; {again} of them came again from the same address.")
    print(f"Tags on the wire: {tagged}.")
    expected = {"transactional": "fast", "bulk": "bulk", "acme": "acme"}
    return (len(deliveries) == total == len(set(d.id for d in deliveries))
            and tagged == 0 and again == len(first)
            and all(pool_of.get(names.get(source)) == expected.get(stream)
                    for (_, _, stream, source) in seen))


def run(root):
    say("starting a private Postfix, the sink, postpool-policyd and postpool-milter")
    host = Host(root, configure, main={"queue_run_delay": "1s", "minimal_backoff_time": "1s",
                                       "maximal_backoff_time": "2s"})
    try:
        host.start()
        say("postpool transports status")
        print(host.postpool("transports", "status", "--config-dir", host.postfix.config,
                            status=None).stdout.rstrip())
        say("two clients send mail of three streams")
        total = send(host)
        say("waiting until all of it is delivered")

        def delivered():
            progress(f"{len(host.sink.deliveries)} of {total} delivered, "
                     f"{len(host.sink.refused)} greylisted")
            return len(host.sink.deliveries) >= total
        wait_for(delivered, limit=120, what="all deliveries")
        host.postfix.wait_queue_empty()
        say("what the sink saw")
        good = show(host.sink.deliveries, host.sink.refused, total)
        print()
        say("stopping everything")
    except BaseException:
        sys.stderr.write(host.logs())
        raise
    finally:
        host.close()
    left = namespace.processes()
    if left:
        print(f"still running: {left}")
    return good and not left


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    if not namespace.enter():
        sys.exit(f"demo: {namespace.why_not}")
    root = Path(tempfile.mkdtemp(prefix="postpool-demo-"))
    root.chmod(0o755)
    try:
        good = run(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    if not good:
        sys.exit("demo: this is not what should have come out")


if __name__ == "__main__":
    main()
