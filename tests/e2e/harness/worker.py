"""The worker behind a mount, and its end."""

import os
import signal

from harness.waiting import wait_for


def worker_of(mount):
    return mount.status()["pid"]


def successor_of(mount, last):
    """Waits until a worker answers that is another one than `last`; returns its number."""

    def fresh():
        try:
            status = mount.status()
        except AssertionError:
            return None  # between two workers
        return status["pid"] if status["pid"] != last and status["mounts"] else None

    return wait_for(fresh, "a new worker answers")


def kill_worker(mount, last=None):
    """Kills the worker, once it is another one than `last`, and returns its number."""
    pid = successor_of(mount, last)
    os.kill(pid, signal.SIGKILL)
    return pid
