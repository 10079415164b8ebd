"""A worker that is stopped for 30 s under load: the watchdog replaces it, and readers only wait."""

import os
import pathlib
import secrets
import signal
import threading

import pytest

from figures import WHOLE, note
from harness.data import MIB, random_file
from harness.waiting import wait_for
from harness.worker import successor_of
from load import Load, now, summary

STOPS = 20 if WHOLE else 2
STOPPED_FOR = 30.0


@pytest.mark.timeout(3600)
def test_stopped_workers(modelfs, folder, start_origin):
    random_file(folder / "origin" / "models" / "m" / "weights.bin", 160 * MIB)
    for number in range(20):
        random_file(folder / "origin" / "models" / "m" / f"part-{number % 4}" / f"small-{number}.bin", MIB + number)
    origin = start_origin("--latency", "2ms")
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url, arguments=["--cache-size", "128MiB", "--listing-ttl", "1s"])
    load = Load(modelfs, mount / "m", folder / "origin" / "models" / "m", secrets.randbits(32))
    last, moments = None, []
    try:
        for _ in range(STOPS):
            last = successor_of(mount, last)
            load.check()
            moments.append(now())
            os.kill(last, signal.SIGSTOP)
            # A stop of 30 s, of which the watchdog allows ten.
            wait_for(lambda: not pathlib.Path(f"/proc/{last}").exists(), "the watchdog ends what is stopped", STOPPED_FOR)
            successor_of(mount, last)
            threading.Event().wait(3)  # All go on before the next one.
            load.check()
        seen = load.stop()
    finally:
        load.kill()
    stalls = list(load.stalls(moments))
    note("worker-stops", "stops", {"stops": STOPS, "all": summary(stalls), "load": seen})
    # Everybody was held up by a stop, but for no longer than it takes to notice it.
    assert max(max(one) for one in stalls) < 20_000
    assert all(max(one) > 5_000 for one in stalls)
