"""Things that could keep an unmount from ending, and the ways to unmount."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys

from harness import programs
from harness.data import MIB
from harness.splice_proxy import SpliceProxy
from harness.waiting import wait_for

USER = """
import mmap, os, sys
file = open(sys.argv[1], "rb")
window = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
window[0]
os.chdir(os.path.dirname(sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
os._exit(0)
"""


class Case:
    """A mount that something is wrong with. `busy`: somebody has it open. `stuck`: no signal ends its worker before finish()."""

    busy = stuck = False
    arguments = ["--read-timeout", "10s"]

    def __init__(self, commands, origin):
        self.commands, self.others = commands, []
        self.undo = contextlib.ExitStack()
        self.origin = origin

    def make(self):
        """Mounts, and makes the trouble."""
        self.mount = self.commands.mount("m=s3://models/m", endpoint=self.endpoint(), arguments=self.arguments, cache=self.cache())
        status = self.mount.status()
        self.supervisor, self.worker, self.log = status["supervisor_pid"], status["pid"], pathlib.Path(status["log"])
        self.trouble()

    def endpoint(self):
        return self.origin.url

    def cache(self):
        return None

    def other(self, command, **more):
        process = subprocess.Popen([str(word) for word in command], env=self.commands.environment,
                                   **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | more)
        self.others.append(process)
        return process

    def trouble(self):
        """Makes it."""

    def finish(self):
        """Ends what was done to the mount, and who uses it."""
        self.undo.close()
        for process in self.others:
            if process.stdin:
                process.stdin.close()
        for process in self.others:
            process.wait(20)
            if process.stdout:
                process.stdout.close()


class DeadOrigin(Case):
    """Readers wait for an origin that has stopped to send."""

    busy = True

    def endpoint(self):
        self.proxy = SpliceProxy(self.origin.port)
        self.undo.callback(self.proxy.close)
        self.undo.callback(self.proxy.thaw)
        return self.proxy.url

    def trouble(self):
        os.listdir(self.mount / "m")
        self.proxy.freeze()
        for number in range(4):
            self.other(["cat", self.mount / "m" / f"file-{number}"])
        wait_for(lambda: self.mount.status()["mounts"][0].get("parked_requests", 0) >= 4, "four readers wait")


class HeldDisk(Case):
    """A write to the cache does not come back."""

    def trouble(self):
        board = self.commands.board
        board.block("local_tier.write")
        self.undo.callback(board.release, "local_tier.write")
        reader = self.other(["cat", self.mount / "m" / "file-0"])
        wait_for(lambda: board.acted("local_tier.write") > 0, "a chunk is to be written")
        reader.kill()
        reader.wait(20)


class FrozenDisk(Case):
    """The filesystem of the cache is frozen: what writes to it is in state D until it thaws."""

    stuck = True

    def cache(self):
        image, self.disk = self.commands.folder / "disk.img", self.commands.folder / "disk"
        self.disk.mkdir()
        with open(image, "wb") as file:
            file.truncate(512 * MIB)
        root = programs.clean_environment(self.commands.folder)
        programs.check(programs.run(["mkfs.ext4", "-q", "-F", image], root))
        programs.check(programs.run(["mount", "-o", "loop", image, self.disk], root))
        self.undo.callback(lambda: programs.check(programs.run(["umount", "-l", self.disk], root)))
        return self.disk / "cache"

    def trouble(self):
        root = programs.clean_environment(self.commands.folder)
        programs.check(programs.run(["fsfreeze", "-f", self.disk], root))
        self.undo.callback(lambda: programs.run(["fsfreeze", "-u", self.disk], root))
        reader = self.other(["cat", self.mount / "m" / "file-0"])
        wait_for(lambda: "D" in states(self.worker), "something of the worker is in state D")
        reader.kill()
        reader.wait(20)


class BusyFiles(Case):
    """Somebody has a file open and mapped, and its folder as working directory."""

    busy = True

    def trouble(self):
        user = self.other([sys.executable, "-c", USER, self.mount / "m" / "file-0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert user.stdout.readline() == b"ready\n"


class RunningJob(Case):
    """`modelfs warm` is under way, and will be for long."""

    def trouble(self):
        self.origin.control("link", {"total_rate": "1MiB/s"})
        self.commands.start("warm", self.mount / "m")
        wait_for(lambda: self.mount.status()["jobs"], "the job runs")


class Idle(Case):
    """Nothing is wrong at all."""

    def trouble(self):
        (self.mount / "m" / "file-0").read_bytes()


CASES = [DeadOrigin, HeldDisk, FrozenDisk, BusyFiles, RunningJob, Idle]


def states(pid):
    """The states of the threads of a process, as one text."""
    found = ""
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            found += task.read_text().rpartition(")")[2].split()[0]
    return found


def by_umount(case):
    """`modelfs umount`, and `--lazy` where it says that somebody uses the mount."""
    result = case.commands.run("umount", case.mount.path, limit=40)
    if case.busy:
        assert result.returncode == 1 and "busy" in result.stderr, result
        programs.check(case.commands.run("umount", "--lazy", case.mount.path, limit=40))
    elif not case.stuck:
        programs.check(result)


def by_sigterm(case):
    os.kill(case.supervisor, signal.SIGTERM)


def by_two_sigterms(case):
    os.kill(case.supervisor, signal.SIGTERM)
    gone = lambda: not pathlib.Path(f"/proc/{case.supervisor}").exists()
    wait_for(lambda: gone() or "supervisor.signal" in case.log.read_text(), "the first is noticed")
    if not gone():
        os.kill(case.supervisor, signal.SIGTERM)


# How, and in how many seconds the mount is gone and all processes are. From fs/daemon/README.md: 5 s for umount(2), 5 s for busy
# mounts to become idle, 15 s for a worker to end, 2 s for one that was killed, 30 s for the command as a whole, 1 s for a lazy one.
WAYS = {"umount": (by_umount, 33), "sigterm": (by_sigterm, 25), "two sigterms": (by_two_sigterms, 10)}
