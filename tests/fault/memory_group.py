"""A memory cgroup of version 1 or 2 of its own, and programs in it."""

import os
import pathlib

V1 = pathlib.Path("/sys/fs/cgroup/memory")
V2 = pathlib.Path("/sys/fs/cgroup")


class MemoryGroup:
    """At most `limit` bytes for all that run in it, page cache included. No swap."""

    def __init__(self, limit):
        self._v1 = V1.is_dir()
        self.path = (V1 if self._v1 else V2) / f"modelfs-test-{os.getpid()}"
        if not self._v1:
            (V2 / "cgroup.subtree_control").write_text("+memory")
        self.path.mkdir()
        (self.path / ("memory.limit_in_bytes" if self._v1 else "memory.max")).write_text(str(limit))

    def prefix(self, descriptors):
        """Words before a command that runs in it, with so many descriptors at most."""
        return ["sh", "-c", f'echo $$ >{self.path}/cgroup.procs && ulimit -n {descriptors} && exec "$@"', "sh"]

    def kills(self):
        """How many processes were killed for want of memory."""
        text = (self.path / ("memory.oom_control" if self._v1 else "memory.events")).read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill "))

    def peak(self):
        return int((self.path / ("memory.max_usage_in_bytes" if self._v1 else "memory.peak")).read_text())

    def remove(self):
        self.path.rmdir()
