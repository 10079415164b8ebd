"""A request that is much later than its like is sent once more; whichever answers first answers."""

import os
import random
import time

import pytest

from harness.data import MIB, random_file, read_exactly

SIZE = 96 * MIB
LATE = 8.0


@pytest.fixture
def reference(folder):
    return random_file(folder / "origin" / "models" / "model.weights", SIZE)


@pytest.fixture
def chunks():
    return random.Random(7).sample(range(SIZE // MIB), SIZE // MIB)


class Reader:
    """Reads a few bytes of one chunk after the other, and notes how long each took."""

    def __init__(self, mount, reference):
        self.file = open(mount / "m" / "model.weights", "rb", buffering=0)
        os.posix_fadvise(self.file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # the kernel reads no further than we do
        self.wanted = open(reference, "rb", buffering=0)

    def read(self, chunk):
        begun = time.monotonic()
        data = read_exactly(self.file.fileno(), 4096, chunk * MIB + 12345)
        took = time.monotonic() - begun
        assert data == read_exactly(self.wanted.fileno(), 4096, chunk * MIB + 12345)
        return took

    def close(self):
        self.file.close()
        self.wanted.close()


@pytest.mark.parametrize("fault", [{"type": "delay", "ms": int(LATE * 1000)}, {"type": "stall", "bytes": 9000}])
def test_a_few_late_requests_delay_nobody(modelfs, start_origin, reference, chunks, fault):
    origin = start_origin("--latency", "20ms")
    mount = modelfs.mount("m=s3://models", endpoint=origin.url)
    reader = Reader(mount, reference)
    try:
        for chunk in chunks[:30]:
            reader.read(chunk)
        assert mount.status()["cache"]["hedges"] == 0
        origin.control("faults", [{"match": {"method": "GET", "key": "weights", "nth": nth}, "fault": fault} for nth in (4, 8, 12, 16)])
        waits = [reader.read(chunk) for chunk in chunks[30:60]]
        cache = mount.status()["cache"]
        assert max(waits) < LATE / 2, f"the longest read waited {max(waits):.2f} s"
        assert cache["hedges"] >= 4 and cache["hedges_won"] >= 4
        assert cache["hedge_wasted_bytes"] <= 8 * MIB + cache["fetched_bytes"] / 100
        assert sorted(waits)[-5] < 0.25, "what was not late was not slower"
    finally:
        origin.control("faults", [])
        origin.control("release", {})
        reader.close()


def test_an_origin_that_is_slow_for_all_is_asked_no_more_than_before(modelfs, start_origin, reference, chunks):
    origin = start_origin("--latency", "20ms")
    mount = modelfs.mount("m=s3://models", endpoint=origin.url)
    reader = Reader(mount, reference)
    try:
        for chunk in chunks[:30]:
            reader.read(chunk)
        origin.control("link", {"latency": "1500ms"})
        before = mount.status()["cache"]["fetch_requests"]
        for chunk in chunks[30:36]:
            reader.read(chunk)
        cache = mount.status()["cache"]
        assert cache["hedges"] <= 1, "one is tried, and seen to be no quicker"
        assert cache["fetch_requests"] - before <= 7
    finally:
        reader.close()
