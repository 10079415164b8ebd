"""What processes cost: CPU time, memory, and a limit of memory for them."""

import contextlib
import os
import pathlib
import threading
import uuid

TICK = os.sysconf("SC_CLK_TCK")
CGROUP = pathlib.Path("/sys/fs/cgroup")


def cpu_seconds(pids):
    """User and system time of processes that live; their children that ended count, too."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(field) for field in fields[11:15])
    return total / TICK


def anonymous_bytes(pids):
    """RssAnon of some processes together; those that ended count nothing."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            total += sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssAnon:"))
    return total


class PeakMemory:
    """Samples anonymous_bytes(pids) every 20 ms while the block runs; `mib` is the most it saw."""

    def __init__(self, pids):
        self._pids = pids
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.mib = 0.0

    def _sample(self):
        while True:
            self.mib = max(self.mib, anonymous_bytes(self._pids) / (1 << 20))
            if self._done.wait(0.02):
                return

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()


class MemoryLimit:
    """A control group of its own, of either version. `prefix` in front of a command starts it there."""

    def __init__(self, limit_bytes):
        unified = (CGROUP / "cgroup.controllers").exists()
        self._group = (CGROUP if unified else CGROUP / "memory") / f"modelfs-bench-{uuid.uuid4().hex[:8]}"
        self._group.mkdir()
        try:
            (self._group / ("memory.max" if unified else "memory.limit_in_bytes")).write_text(str(limit_bytes))
        except OSError:
            self._group.rmdir()
            raise
        self.prefix = ["sh", "-c", f'echo $$ >{self._group}/cgroup.procs; exec "$@"', "sh"]

    def remove(self):
        """Its processes must have ended."""
        with contextlib.suppress(OSError):
            self._group.rmdir()
