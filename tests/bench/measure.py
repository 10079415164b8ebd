"""Timed reads, and how much memory processes use."""

import os
import pathlib
import random
import statistics
import threading
import time

MIB = 1 << 20
BLOCK = 256 << 10


def read_in_order(path):
    """Reads a file from beginning to end; MiB/s."""
    buffer = bytearray(MIB)
    begun = time.perf_counter()
    total = 0
    file = os.open(path, os.O_RDONLY)
    try:
        while size := os.readv(file, [buffer]):
            total += size
    finally:
        os.close(file)
    return total / MIB / (time.perf_counter() - begun)


def read_at_random(path, count, seed):
    """Reads `count` blocks of 256 KiB at random places, one after the other; median milliseconds of one."""
    places = random.Random(seed)
    buffer = bytearray(BLOCK)
    took = []
    file = os.open(path, os.O_RDONLY)
    try:
        blocks = os.fstat(file).st_size // BLOCK
        for _ in range(count):
            offset = places.randrange(blocks) * BLOCK
            begun = time.perf_counter()
            done = 0
            while done < BLOCK:
                size = os.preadv(file, [memoryview(buffer)[done:]], offset + done)
                assert size > 0, f"{path} ends at {offset + done}"
                done += size
            took.append(time.perf_counter() - begun)
    finally:
        os.close(file)
    return statistics.median(took) * 1000


def first_byte(path):
    """Opens a file and reads its first 4 KiB; milliseconds."""
    begun = time.perf_counter()
    with open(path, "rb", buffering=0) as file:
        assert len(file.read(4096)) == 4096
    return (time.perf_counter() - begun) * 1000


def forget(paths):
    """Drops files from the page cache, once they are on disk."""
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            os.fdatasync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def anonymous_bytes(pids):
    """RssAnon of some processes together; those that ended count nothing."""
    total = 0
    for pid in pids:
        try:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssAnon:"))
    return total


class PeakMemory:
    """Samples anonymous_bytes(pids()) every 20 ms while the block runs; `mib` is the most it saw."""

    def __init__(self, pids):
        self._pids = pids
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.mib = 0.0

    def _sample(self):
        while True:
            self.mib = max(self.mib, anonymous_bytes(self._pids()) / MIB)
            if self._done.wait(0.02):
                return

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()
