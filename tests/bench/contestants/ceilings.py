"""What nobody can be faster than, or hardly."""

from harness import programs

import reader
from contestants.contestant import BUCKET, Contestant, find_program, not_installed
from contestants.downloads import Download
from contestants.mounts import Mounted


class Aria2(Download):
    name = "aria2c"
    title = "aria2c -x8 -s8"
    kind = "ceiling"

    @classmethod
    def missing(cls):
        return not_installed("aria2c")

    def download(self, key, path):
        self.run([find_program("aria2c"), "-x8", "-s8", "--no-conf", "--file-allocation=none", "-d", path.parent, "-o", path.name,
                  f"{self.origin.url}/{BUCKET}/{key}"])


class LinkItself(Contestant):
    """Ranged GETs whose bytes are thrown away: what the origin and its link give on this machine."""

    name = "link"
    title = "the link itself"
    kind = "ceiling"

    def get(self, pattern, key, *options):
        return reader.read(pattern, f"{self.origin.url}/{BUCKET}/{key}", *options)


class LocalFile(Contestant):
    name = "local"
    title = "local file"
    kind = "ceiling"

    def open_up(self, key):
        return self.stage.root / BUCKET / key


class EmptyFuse(Mounted):
    """Answers from memory; its objects are `object`, and `many/` with entries."""

    name = "empty-fuse"
    title = "empty libfuse server"
    kind = "ceiling"
    entries = 0
    size = 0

    @classmethod
    def missing(cls):
        return None if (programs.BIN / "empty-fuse").exists() else "empty-fuse is not built"

    def command(self):
        return [programs.BIN / "empty-fuse", self.at, "--entries", self.entries, "--size", self.size, "--seed", reader.SEED]


ALL = [Aria2, LinkItself, LocalFile, EmptyFuse]
