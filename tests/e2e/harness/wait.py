# SPDX-License-Identifier: MIT
"""Waiting for a thing, with a long limit."""

import os
import time

LIMIT = 60
PART = 5  # of one look no more counts: a machine that stands still is not waited for in vain
LONG = os.environ.get("POSTPOOL_LONG") == "1"  # the long forms of tests are wanted


def wait_for(predicate, limit=LIMIT, what=None, every=0.02):
    """Ask predicate until it gives something true, and return that.

    It may raise OSError meanwhile.  After limit seconds the wait is a failure
    that names what was waited for.
    """
    left, seen = limit, time.monotonic()
    while True:
        error = None
        try:
            value = predicate()
            if value:
                return value
        except OSError as caught:
            error = caught
        left, seen = left - min(PART, time.monotonic() - seen), time.monotonic()
        if left < 0:
            what = what() if callable(what) else what
            raise AssertionError(f"not within {limit} s: {what or predicate}"
                                 + (f" ({error})" if error else ""))
        time.sleep(every)
