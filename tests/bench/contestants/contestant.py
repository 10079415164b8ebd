"""What all contestants have in common."""

import os
import pathlib
import shutil
import subprocess

from harness import programs
from harness.mounting import mounts_below
from harness.waiting import wait_for

import processes

BUCKET = "models"


class Contestant:
    """Makes objects of an origin readable as files. A context manager: on leaving, also by an
    exception, its processes have ended, nothing is mounted below its folder, and the folder is gone.

    `lazy`: a file can be opened while its bytes are still at the origin.
    """

    name = ""
    title = ""
    kind = "mount"  # or download, ceiling
    lazy = True

    def __init__(self, stage):
        self.stage, self.origin = stage, stage.origin
        self.folder = stage.new_folder(type(self).name)
        self.stopped_cpu_seconds = 0.0
        self._process = None

    @classmethod
    def missing(cls):
        """Why it cannot take part; None when it can."""
        return None

    def open_up(self, key):
        """Path of the object as a file; whoever is not lazy has downloaded it then."""
        raise NotImplementedError

    def local(self):
        """Files that hold cached bytes, to be dropped from the page cache."""
        return []

    def pids(self):
        return [self._process.pid] if self._process else []

    def cpu_seconds(self):
        """Of all its processes so far."""
        return self.stopped_cpu_seconds + processes.cpu_seconds(self.pids())

    def start(self):
        pass

    def stop(self):
        """Ends what `start` began."""

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            unmount_below(self.folder)
            shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self, **variables):
        return programs.clean_environment(self.folder, **variables)

    def serve(self, command, ready, environment=None):
        """Starts a server and waits until `ready()`. Its log is told when it ends before."""
        log_path = self.folder / "log"
        with open(log_path, "wb") as log:
            self._process = subprocess.Popen([str(word) for word in command], env=environment or self.environment(),
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: ready() or self._process.poll() is not None, f"{self.name} is ready", 60)
        assert self._process.poll() is None, f"{self.name} ended with {self._process.returncode}:\n{log_path.read_text(errors='replace')[-2000:]}"

    def end_server(self):
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)

    def run(self, command, environment=None):
        """Runs a program to its end, and counts its CPU time."""
        log_path = self.folder / "log"
        with open(log_path, "wb") as log:
            process = subprocess.Popen([str(word) for word in command], env=environment or self.environment(),
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        self.stopped_cpu_seconds += usage.ru_utime + usage.ru_stime
        assert process.returncode == 0, f"{command[0]} ended with {process.returncode}:\n{log_path.read_text(errors='replace')[-2000:]}"


def unmount_below(folder):
    """Takes away mounts whose servers died or were killed."""
    for path in reversed(mounts_below(folder)):
        programs.run(["fusermount3", "-u", "-z", path], programs.clean_environment("/"))


def find_program(name):
    """In the tools folder of deploy/deps.sh, or on the path of a clean environment; else None."""
    for folder in [programs.TOOLS / "bin", *programs.clean_environment("/")["PATH"].split(":")]:
        path = pathlib.Path(folder) / name
        if path.exists():
            return path
    return None


def not_installed(*names):
    """For `missing`: the first of these programs that is not there."""
    for name in names:
        if find_program(name) is None:
            return f"{name} is not installed (deploy/deps.sh bench)"
    return None
