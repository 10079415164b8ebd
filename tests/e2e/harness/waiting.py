"""Waiting for a condition, never for a time."""

import threading
import time

_never = threading.Event()


def wait_for(condition, what, limit=30.0):
    """Polls `condition` until it returns something true, and returns that.

    Raises AssertionError with `what` after `limit` seconds.
    """
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {limit} s: {what}"
        _never.wait(0.02)
