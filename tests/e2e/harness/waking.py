# SPDX-License-Identifier: MIT
"""A host whose deferred mail is woken by postpool alone."""

import json

from .wait import wait_for

# Postfix by itself tries nothing again while a test runs.
NEVER = {"queue_run_delay": "1h", "minimal_backoff_time": "1h", "maximal_backoff_time": "1h",
         "transport_retry_time": "2s"}
# Whom systemd makes of the daemon: no rights to gain, and postqueue's group.
AS_SYSTEMD = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--groups", "postdrop",
              "--no-new-privs"]


def waking(host, **wake):
    """Follow the log and wake, as the daemon does under systemd; before the start."""
    host.conf["feedback"] = {"log": str(host.postfix.maillog)}
    host.conf["wake"] = {"config_directory": str(host.postfix.config), **wake}
    host.conf.setdefault("grant_lifetime", "4m")
    host.write_conf()
    host.policyd.argv = AS_SYSTEMD + host.policyd.argv
    return host


def status(host):
    return json.loads(host.postpool("--json", "status").stdout)


def of_stream(host, name):
    return next(s for s in status(host)["streams"] if s["name"] == name)


def arrivals(host, ids):
    """(time, place in ids) of those that arrived, in the order in which they did."""
    places = {test_id: place for place, test_id in enumerate(ids)}
    return [(d.at, places[d.id]) for d in list(host.sink.deliveries) if d.id in places]


def wait_all(host, ids, limit=120):
    """Wait until all arrived; what is told otherwise has what is known of those that did not."""
    def told():
        missing = set(ids) - {d.id for d in list(host.sink.deliveries)}
        return (f"all but {len(missing)} of {len(ids)}; {status(host)['wake']}\n"
                f"{host.postfix.queue()}\n" + "\n".join(
                    line for line in host.postfix.log().splitlines() if "status=sent" not in line))
    wait_for(lambda: len(arrivals(host, ids)) == len(ids), limit, told)
