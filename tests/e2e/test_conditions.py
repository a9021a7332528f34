# SPDX-License-Identifier: MIT
"""What a stream may ask for, as a real Postfix tells the milter of it."""

import socket

import pytest

from harness import client, programs
from harness.host import ALERTS, BULK, REST
from harness.postfix import free_port

STREAM = "X-Postpool-Stream"


@pytest.fixture(scope="module")
def daemon_port():
    return free_port()


@pytest.fixture(scope="module")
def host(make_shared_host, daemon_port):
    """A stream for each kind of condition, and a second smtpd with a name of its own."""
    def change(conf):
        conf["milter"]["internal"] = ["127.0.0.0/8"]
        conf["streams"][:0] = [
            {"name": name, "pool": "alerts", "match": match} for name, match in (
                ("daemon", [{"daemon": "submission-*"}]),
                ("network", [{"client": "127.0.77.0/24"}]),
                ("client", [{"client": "127.0.78.9"}]),
                ("recipient", [{"recipient": "*@two.test"}]),
                ("regex", [{"header": "X-Kind", "regex": "^news(letter)?$"}]),
                ("all", [{"header": "X-All", "client": "127.0.79.0/24", "sender": "me@*"},
                         {"header": "X-Any", "value": "y?s*"}]))]
    line = f"127.0.0.1:{daemon_port} inet n - n - - smtpd -o milter_macro_daemon_name=submission-tx"
    return make_shared_host(change, master_lines=[line])


def stream(host, **kwargs):
    """The stream of a message that is the default's but for kwargs."""
    given = {"sender": "me@site.test", "recipients": "a@one.test", "headers": ()} | kwargs
    (delivery,) = host.deliver(given.pop("sender"), given.pop("recipients"), given.pop("headers"),
                               **given)
    (name,) = delivery.headers(STREAM)
    assert delivery.source in (REST if name == "default" else ALERTS)
    return name


def test_daemon_name(host, daemon_port):
    test_id = client.new_id()
    with client.Smtp(daemon_port) as smtp:
        smtp.send("me@site.test", ["a@one.test"], client.message(test_id))
    (delivery,) = host.sink.wait(test_id)
    assert delivery.headers(STREAM) == ["daemon"] and delivery.source in ALERTS
    assert stream(host) == "default"


@pytest.mark.parametrize("source, name", [
    ("127.0.77.1", "network"), ("127.0.77.255", "network"), ("127.0.76.255", "default"),
    ("127.0.78.0", "default"), ("127.0.78.9", "client"), ("127.0.78.8", "default")])
def test_client_address(host, source, name):
    assert stream(host, source=source) == name


def test_recipient(host):
    """One of several is enough, as the client wrote it."""
    assert stream(host, recipients="A@TWO.test") == "recipient"
    test_id = host.submit("me@site.test", ["a@one.test", "b@two.test"])
    assert {d.headers(STREAM)[0] for d in host.sink.wait(test_id, 2)} == {"recipient"}


@pytest.mark.parametrize("value, name", [
    ("news", "regex"), ("NewsLetter", "regex"), ("\n newsletter ", "regex"), ("old news", "default"),
    ("newsletters", "default")])
def test_header_by_regular_expression(host, value, name):
    assert stream(host, headers=[f"X-Kind: {value}"]) == name


def test_groups_hold_whole_and_are_alternatives(host):
    inside = {"source": "127.0.79.1"}
    assert stream(host, headers=["X-All: 1"], **inside) == "all"
    assert stream(host, headers=["X-All: 1"]) == "default"
    assert stream(host, **inside) == "default"
    assert stream(host, headers=["X-All: 1"], sender="you@site.test", **inside) == "default"
    assert stream(host, headers=["X-Any: yes, please"]) == "all"
    assert stream(host, headers=["X-Any: no"]) == "default"


def test_the_first_stream_wins(host):
    assert stream(host, headers=["X-Kind: news", "X-Any: yes"]) == "regex"
    assert stream(host, headers=["X-Kind: news"], source="127.0.77.1") == "network"


@pytest.mark.parametrize("held", [False, True], ids=["own", "from systemd"])
def test_everything_over_tcp(make_host, held):
    """Both sockets, the lookup socket also as somebody else's whose name says nothing."""
    lookup, milter = free_port(), free_port()

    def change(conf):
        conf["listen"]["lookup"] = f"inet:127.0.0.1:{lookup}"
        conf["milter"]["socket"] = f"inet:127.0.0.1:{milter}"

    def is_up(port):
        return lambda: socket.create_connection(("127.0.0.1", port), 10).close() is None
    host = make_host(change, start=False)
    host.milter.ready = is_up(milter)
    host.policyd.ready = lambda: is_up(lookup)() and programs.connects(host.run / "control")
    with socket.create_server(("127.0.0.1", lookup), backlog=1024) if held else \
            socket.socket() as listener:
        host.policyd.start({"postpool-policyd.socket": listener} if held else None)
        host.milter.start()
        host.apply()
        host.postfix.start()
        for headers, pool in ((["X-Stream: bulk"], BULK), ([], REST)):
            (delivery,) = host.deliver("me@site.test", "a@one.test", headers)
            assert delivery.source in pool and delivery.sender == "<me@site.test>"
