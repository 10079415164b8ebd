"""The programs that are compared: each makes one object of an origin readable as a file."""

import pathlib
import shutil
import subprocess
import time

from harness import programs
from harness.mounting import Commands, is_mounted
from harness.waiting import wait_for

OBJECT = "models/big.bin"  # bucket and key


class Contender:
    """`make_readable` in an empty folder, then `path` is the object; `stop` and the folder is removed.

    `cold_is_lazy`: the file can be read while its bytes are still at the origin. `local`: files of
    the contender's cache, to be dropped from the page cache with `path`.
    """

    cold_is_lazy = True
    _process = None

    def __init__(self, origin, folder):
        self.origin, self.folder = origin, pathlib.Path(folder)
        self.folder.mkdir(parents=True)

    def make_readable(self):
        """Returns milliseconds until the file can be opened."""
        begun = time.perf_counter()
        self._start()
        return (time.perf_counter() - begun) * 1000

    def stop(self):
        self._stop()
        shutil.rmtree(self.folder)

    def local(self):
        return []

    def pids(self):
        return [self._process.pid] if self._process else []


class Modelfs(Contender):
    name = "modelfs"

    def __init__(self, origin, folder):
        super().__init__(origin, folder)
        self._commands = Commands(self.folder)

    def _start(self):
        self._mount = self._commands.mount("s3://models", endpoint=self.origin.url, arguments=["--anonymous"])
        self.path = self._mount / OBJECT

    def _stop(self):
        complaints = self._commands.clean_up()
        assert not complaints, complaints

    def local(self):
        return list((self._mount.cache / "objects").rglob("data"))

    def pids(self):
        return self._commands.processes()


class RcloneMount(Contender):
    name = "rclone mount"

    def _start(self):
        at = self.folder / "mnt"
        at.mkdir()
        self._process = subprocess.Popen(
            ["rclone", "mount", "origin:models", at, "--read-only", "--vfs-cache-mode", "full", "--cache-dir", self.folder / "cache"],
            env=rclone_environment(self.origin, self.folder), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: is_mounted(at), "rclone mounts")
        self.path = at / "big.bin"

    def _stop(self):
        self._process.terminate()
        self._process.wait(30)

    def local(self):
        return [path for path in (self.folder / "cache" / "vfs").rglob("big.bin")]


class Download(Contender):
    """Downloads the whole object to disk first."""

    cold_is_lazy = False

    def _start(self):
        self._process = subprocess.Popen(self._command(), env=self._environment(), stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert self._process.wait(600) == 0, f"{self.name} ended with {self._process.returncode}"
        self.path = self.folder / "big.bin"
        assert self.path.stat().st_size > 0

    def _stop(self):
        pass


class Aria2(Download):
    name = "aria2c -x8 -s8"

    def _command(self):
        return ["aria2c", "-x8", "-s8", "--no-conf", "--file-allocation=none", "-d", str(self.folder), "-o", "big.bin",
                f"{self.origin.url}/{OBJECT}"]

    def _environment(self):
        return programs.clean_environment(self.folder)


class RcloneCopy(Download):
    name = "rclone copy"

    def _command(self):
        return ["rclone", "copyto", "--ignore-checksum", "--multi-thread-streams", "8", f"origin:{OBJECT}", str(self.folder / "big.bin")]

    def _environment(self):
        return rclone_environment(self.origin, self.folder)


def rclone_environment(origin, folder):
    return programs.clean_environment(
        folder, RCLONE_CONFIG="/dev/null", RCLONE_CONFIG_ORIGIN_TYPE="s3", RCLONE_CONFIG_ORIGIN_PROVIDER="Other",
        RCLONE_CONFIG_ORIGIN_ENDPOINT=origin.url, RCLONE_CONFIG_ORIGIN_REGION="us-east-1")


ALL = [Modelfs, Aria2, RcloneMount, RcloneCopy]
