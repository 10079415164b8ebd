"""Readers of all kinds on a mount, for as long as a battery takes, and what they had to wait."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time

from figures import spread
from harness import programs
from harness.waiting import wait_for

READERS = 8
NEW_SIZE = (1 << 20) + 1000  # large enough for the kernel to be given it, so that there is always something to seal
KEPT = 20  # of the new folders


class Load:
    """`load-checker` on one folder of a mount. Nothing that it reads may differ, and nothing may fail."""

    def __init__(self, modelfs, mounted, reference, seed):
        self._log = modelfs.folder / "slow.log"
        self._output = open(modelfs.folder / "load.log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [programs.LOAD_CHECKER, "--mount", mounted, "--reference", reference, "--threads", str(READERS), "--seed", str(seed), "--log", self._log],
            env=modelfs.environment, stdout=self._output, stderr=subprocess.STDOUT)

    def check(self):
        assert self.process.poll() is None, f"the load has ended: {self._text()}"

    def stop(self):
        """Ends it, asserts that all was right, returns its summary."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = "a hang"
        assert code == 0, f"the load ended with {code}: {self._text()}"
        return json.loads(self._text().splitlines()[-1])

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)

    def stalls(self, moments):
        """For each moment (ns) and reader the longest wait, in ms, between it and the next, of what was under way then or began.

        Of waits of less than 20 ms nothing is known but that.
        """
        slow = [tuple(map(int, line.split()[:3])) for line in self._log.read_text().splitlines()]
        edges = [*moments, moments[-1] + 10_000_000_000]
        for begin, end in zip(edges, edges[1:]):
            longest = [20.0] * READERS
            for began, took, reader in slow:
                if began < end and began + took >= begin:
                    longest[reader] = max(longest[reader], took / 1e6)
            yield longest

    def _text(self):
        self._output.flush()
        self._output.seek(0)
        return self._output.read()


class Newcomers(threading.Thread):
    """Makes new folders at the origin, one after the other, and looks at them through the mount."""

    def __init__(self, mounted, origin):
        super().__init__()
        self.mounted, self.origin = mounted, origin
        self.stop_now, self.problem, self.rounds = False, None, 0

    def run(self):
        try:
            while not self.stop_now:
                self._one()
                self.rounds += 1
        except (OSError, AssertionError) as error:
            self.problem = repr(error)

    def _one(self):
        name, content = f"d{self.rounds}", os.urandom(NEW_SIZE)
        (self.origin / name).mkdir(parents=True)
        (self.origin / name / "new.bin").write_bytes(content)
        wait_for(lambda: os.path.isdir(self.mounted / name), f"{name} appears", 20)
        assert os.listdir(self.mounted / name) == ["new.bin"]
        assert (self.mounted / name / "new.bin").read_bytes() == content
        shutil.rmtree(self.origin / f"d{self.rounds - KEPT}", ignore_errors=True)


def summary(stalls):
    """Of what Load.stalls gives."""
    return {f"stall_{key}_ms" if key != "count" else "readers_looked_at": value
            for key, value in spread([each for one in stalls for each in one]).items()}


def now():
    return time.monotonic_ns()
