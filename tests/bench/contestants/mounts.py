"""Filesystems."""

import os

from harness import programs
from harness.mounting import Commands, is_mounted
from harness.servers import REGION
from harness.waiting import wait_for

import processes
from contestants.contestant import BUCKET, Contestant, find_program, not_installed

MIB = 1 << 20


class Mounted(Contestant):
    """One whose server runs in the foreground; `command(at)` starts it."""

    def start(self):
        self.at = self.folder / "mnt"
        self.at.mkdir()
        self.serve(self.command(), lambda: is_mounted(self.at), self.variables())

    def stop(self):
        if is_mounted(self.at):
            programs.run(["fusermount3", "-u", self.at], programs.clean_environment("/"))
        self.end_server()

    def open_up(self, key):
        return self.at / key

    def variables(self):
        return self.environment()

    def local(self):
        return [path for path in (self.folder / "cache").rglob("*") if path.is_file()]


class Modelfs(Contestant):
    name = "modelfs"
    title = "modelfs"
    arguments = ()
    prefix = ()

    @classmethod
    def missing(cls):
        return None if programs.MODELFS.exists() else f"{programs.MODELFS} is not built"

    def start(self):
        self._commands = Commands(self.folder, prefix=self.prefix)
        self.mount()

    def mount(self):
        """Also again, on the same cache."""
        self._mount = self._commands.mount(f"s3://{BUCKET}", endpoint=self.origin.url, arguments=["--anonymous", *self.arguments])
        self._pids = self._commands.processes()

    def unmount(self):
        self.stopped_cpu_seconds = self.cpu_seconds()
        self._pids = []
        self._mount.unmount()

    def run_command(self, *words):
        return programs.check(self._commands.run(*words, limit=600))

    def status(self):
        return self._mount.status()

    def evict(self, path):
        """Also what is in use for a moment, as while it is compared with its checksum."""
        wait_for(lambda: "in use" not in self.run_command("evict", path).stdout, f"{path} is evicted", 60)

    def wait_idle(self):
        """Until nothing is being downloaded, or on its way to the disk."""
        self._mount.wait_idle()

    def stop(self):
        complaints = self._commands.clean_up()
        assert not complaints, complaints

    def open_up(self, key):
        return self._mount / BUCKET / key

    def pids(self):
        return self._pids

    def local(self):
        return list((self._mount.cache / "objects").rglob("data"))


class LimitedModelfs(Modelfs):
    """In a control group with 128 MiB, page cache of its files included."""

    name = "modelfs-128m"
    title = "modelfs in 128 MiB"

    def start(self):
        self._limit = processes.MemoryLimit(128 * MIB)
        self.prefix = self._limit.prefix
        super().start()

    def stop(self):
        try:
            super().stop()
        finally:
            self._limit.remove()


class SharedModelfs(Modelfs):
    """One of several with a shared cache: `shared`, a folder that a work sets."""

    name = "modelfs-shared"
    title = "modelfs, sharing a cache"
    shared = None

    @property
    def arguments(self):
        return ("--shared-cache", self.shared) if self.shared else ()


class Rclone(Mounted):
    """Debian's, with all of its cache: what one sets to read a file more than once."""

    name = "rclone"
    title = "rclone mount"
    program = "/usr/bin/rclone"
    cache = ("--vfs-cache-mode", "full", "--use-server-modtime")  # else it asks for each file by itself when it is looked at

    @classmethod
    def missing(cls):
        return None if os.path.exists(cls.program) else f"{cls.program} is not installed (deploy/deps.sh bench)"

    def command(self):
        return [self.program, "mount", f"origin:{BUCKET}", self.at, "--read-only", "--cache-dir", self.folder / "cache", *self.cache]

    def variables(self):
        return self.environment(RCLONE_CONFIG="/dev/null", RCLONE_CONFIG_ORIGIN_TYPE="s3", RCLONE_CONFIG_ORIGIN_PROVIDER="Other",
                                RCLONE_CONFIG_ORIGIN_ENDPOINT=self.origin.url, RCLONE_CONFIG_ORIGIN_REGION=REGION)


class RcloneDefaults(Rclone):
    name = "rclone-defaults"
    title = "rclone mount, its defaults"
    cache = ()


class NewRclone(Rclone):
    """The newest, built by deploy/deps.sh."""

    name = "rclone-new"
    title = "newest rclone mount"
    program = str(programs.TOOLS / "bin" / "rclone")


class NewRcloneDefaults(NewRclone):
    name = "rclone-new-defaults"
    title = "newest rclone mount, its defaults"
    cache = ()


class S3fs(Mounted):
    name = "s3fs"
    title = "s3fs"

    @classmethod
    def missing(cls):
        return not_installed("s3fs")

    def command(self):
        cache = self.folder / "cache"
        cache.mkdir()
        options = f"ro,url={self.origin.url},use_path_request_style,public_bucket=1,use_cache={cache},endpoint={REGION}"
        return [find_program("s3fs"), BUCKET, self.at, "-f", "-o", options]


ALL = [Modelfs, LimitedModelfs, SharedModelfs, Rclone, NewRclone, RcloneDefaults, NewRcloneDefaults, S3fs]
