"""Mounts made by `modelfs mount`, and the commands that talk to their daemons."""

import contextlib
import json
import os
import pathlib
import subprocess
import time

from harness import canaries, programs
from harness.servers import ACCESS_KEY, REGION, SECRET_KEY
from harness.waiting import wait_for

# Logs of servers, which may keep what they are asked.
OTHERS = {"origin.log", "versitygw.log", "access.log", "moto.log", "python.log", "mlflow.log"}
MARK = "MODELFS_TEST"  # in the environment of everything that a test starts


class Mount:
    """One mount. `path` is its root, `cache` the cache directory of its daemon."""

    def __init__(self, commands, path, cache):
        self.commands, self.path, self.cache = commands, path, cache

    def __truediv__(self, name):
        return self.path / name

    def unmount(self):
        programs.check(self.commands.run("umount", self.path))
        assert not self.mounted()

    def mounted(self):
        return is_mounted(self.path)

    def status(self):
        """The daemon's status as `modelfs status --json` prints it."""
        return json.loads(programs.check(self.commands.run("status", "--json", self.path)).stdout)

    def wait_idle(self):
        """Waits until nothing is being downloaded or on its way to the disk; returns the status of that moment."""

        def idle():
            status = self.status()
            busy = status["cache"]["fetches_in_flight"] or status["cache"]["buffer_bytes"]
            return status if not busy and quiet(status) else None

        last = [-1, 0]

        def quiet(status):  # the same count of requests thrice in a row
            count = status["cache"]["fetch_requests"]
            last[1] = last[1] + 1 if count == last[0] else 0
            last[0] = count
            return last[1] >= 3

        return wait_for(idle, "downloads end")


class Commands:
    """Runs modelfs in a clean environment of its own below `folder`, and cleans up behind it."""

    def __init__(self, folder, program=programs.MODELFS, prefix=(), **variables):
        self.folder = pathlib.Path(folder)
        self.program, self.prefix = program, list(prefix)
        self.environment = programs.clean_environment(
            self.folder, **{MARK: self.folder, "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                            "AWS_REGION": REGION, "XDG_RUNTIME_DIR": self.folder} | variables)
        self.mounts, self._said, self._begun = [], [], time.time() - 1

    def run(self, *arguments, limit=60.0, without=(), **variables):
        """Runs `modelfs ARGUMENTS`; `variables` are added to its environment, those of `without` removed."""
        environment = {k: v for k, v in (self.environment | variables).items() if k not in without}
        result = programs.run([*self.prefix, self.program, *arguments], environment, limit)
        self._said.append(result.stdout + result.stderr)
        return result

    def mount(self, *sources, endpoint=None, cache=None, at=None, arguments=(), **variables):
        """Mounts and returns a Mount; asserts that it worked. `cache` and `at` are made below the folder."""
        cache = pathlib.Path(cache) if cache else self.folder / "cache"
        path = pathlib.Path(at) if at else self.new_mount_point()
        self.mounts.append(path)
        programs.check(self.run("mount", *self.mount_arguments(sources, endpoint, cache, arguments), path, **variables))
        assert is_mounted(path), "modelfs mount returned 0, but nothing is mounted"
        return Mount(self, path, cache)

    def new_mount_point(self):
        path = self.folder / f"mnt{len(self.mounts)}"
        path.mkdir(exist_ok=True)
        return path

    @staticmethod
    def mount_arguments(sources, endpoint, cache, arguments=()):
        words = [*arguments, "--cache", cache]
        if endpoint:
            words += ["--endpoint", endpoint]
        for source in sources:
            words += ["--source", source]
        return words

    def start(self, *arguments, **variables):
        """Starts `modelfs ARGUMENTS` and returns the running process; its output goes to a file."""
        with open(self.folder / "started.log", "ab") as log:
            return subprocess.Popen([*self.prefix, str(self.program), *map(str, arguments)], env=self.environment | variables,
                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def processes(self):
        return [pid for pid in programs.processes_with(MARK, self.folder) if runs(pid, self.program)]

    def kill_all(self):
        """Kills every process of modelfs at once, as a power failure would, and removes what hangs behind."""
        for pid in self.processes():
            end(pid)
        wait_for(lambda: not self.processes(), "killed processes end")
        for path in self.mounts:
            if is_mounted(path):
                programs.check(programs.run(["umount", "-l", path], self.environment))

    def leaks(self):
        """Secrets in what modelfs has said, logged, shown or left behind; canaries.py says what is a secret."""
        complaints = []
        for said in self._said:
            complaints += canaries.find("what a command printed", said)
        for path in self.written():
            complaints += canaries.find_in_file(path)
        for pid in self.processes():
            for name in ("cmdline", "comm"):
                with contextlib.suppress(OSError):
                    complaints += canaries.find(f"{name} of a process", pathlib.Path(f"/proc/{pid}/{name}").read_bytes())
        return complaints

    def written(self):
        """Logs of daemons that were written to since this began, and what else modelfs may have left: cores, reports of sanitizers."""
        own = {path for pattern in ("*.log*", "core*", "sanitizer*") for path in self.folder.glob(pattern) if path.name not in OTHERS}
        daemons = {path for folder in (pathlib.Path("/run/modelfs"), self.folder / "modelfs") for path in folder.glob("*.log*")}
        return sorted(path for path in own | daemons if path.is_file() and path.stat().st_mtime >= self._begun)

    def clean_up(self):
        """Unmounts all that is left and ends what still runs; says what should not have been there."""
        if any(is_mounted(path) for path in self.mounts):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.run("status", "--json", limit=20)
                self.run("status", limit=20)
        complaints = self.leaks()
        for path in self.mounts:
            if is_mounted(path):
                try:
                    result = self.run("umount", path, limit=30)
                    if result.returncode != 0:
                        complaints.append(f"umount {path}: {result.stderr}")
                except subprocess.TimeoutExpired:
                    complaints.append(f"umount {path} hangs")
                if is_mounted(path):
                    programs.run(["umount", "-l", path], self.environment)
        try:
            wait_for(lambda: not self.processes(), "processes end after the last unmount", 15)
        except AssertionError as error:
            complaints.append(str(error))
            for pid in self.processes():
                end(pid)
        complaints += self.leaks()
        for report in sorted(self.folder.glob("sanitizer*")):
            complaints.append(report.read_text(errors="replace"))
            report.unlink()
        return complaints


def end(pid):
    """Kills a process that may have ended by itself meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 9)


def runs(pid, program):
    try:
        return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)") == str(program)
    except OSError:
        return False


def mounts_below(folder):
    """Paths of what is mounted below `folder`, in the order in which it was."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        return [path for path in (line.split(" ")[4] for line in table) if path.startswith(f"{folder}/")]


def is_mounted(path):
    wanted = str(path)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        return any(line.split(" ")[4] == wanted for line in table)
