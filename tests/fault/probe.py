"""A reader that asks the daemon all the time, and knows how long each answer took."""

import os
import threading
import time

from harness.data import MIB

BLOCK = 4096


class Probe(threading.Thread):
    """Reads blocks of a mounted file past the page cache, compares them, and remembers each read's begin and end until told to stop."""

    def __init__(self, path, reference):
        super().__init__(daemon=True)
        self.path, self.reference = path, reference
        self.problems, self.reads = [], []
        self.stopped = threading.Event()

    def run(self):
        with open(self.path, "rb", buffering=0) as mounted, open(self.reference, "rb", buffering=0) as wanted:
            size = os.fstat(wanted.fileno()).st_size
            offset = 0
            while not self.stopped.wait(0.001) and not self.problems:
                offset = (offset + 3 * MIB + BLOCK) % (size - BLOCK)
                os.posix_fadvise(mounted.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                begun = time.monotonic()
                try:
                    seen = os.pread(mounted.fileno(), BLOCK, offset)
                except OSError as error:
                    self.problems.append(f"read at {offset}: {error!r}")
                    return
                self.reads.append((begun, time.monotonic()))
                if seen != os.pread(wanted.fileno(), BLOCK, offset):
                    self.problems.append(f"wrong bytes at {offset}")

    def longest(self, begun, ended):
        """Seconds of the longest read that was under way at some moment between."""
        return max((end - begin for begin, end in list(self.reads) if end >= begun and begin <= ended), default=0.0)

    def stop(self):
        self.stopped.set()
        self.join(60)
        assert not self.is_alive(), "a read hangs"
        assert not self.problems, self.problems
