"""A whole object in the cache, opened again: how near to a local file."""

import reader
from bar import Bar
from links import LOOPBACK
from works.work import FULL_CLOSE, FULL_REST, StandingWork

PASSES = {"sequential": ("sequential", "--block", "1MiB"), "sweep": ("sweep",), "random": ("random", "--block", "4KiB", "--count", "4000")}


class Cached(StandingWork):
    """Each pass twice: with the pages dropped before ("disk"), and again at once ("hot")."""

    name = "cached"
    title = "second open of an object that is whole in the cache"
    links = (LOOPBACK,)
    contestants = {"modelfs": FULL_CLOSE, "local": FULL_CLOSE, "rclone": FULL_REST, "rclone-new": FULL_REST, "s3fs": FULL_REST, "empty-fuse": FULL_REST}
    metrics = {
        "sequential_disk": ("sequential 1 MiB reads, from disk", "MB/s", True),
        "sequential_hot": ("sequential 1 MiB reads, from the page cache", "MB/s", True),
        "sweep_disk": ("mmap sweep, from disk", "MB/s", True),
        "sweep_hot": ("mmap sweep, from the page cache", "MB/s", True),
        "random_disk": ("random 4 KiB, from disk, median", "us", False),
        "random_hot": ("random 4 KiB, from the page cache, median", "us", False),
    }

    def bars(self, link):
        return [Bar(self.metrics[name][0], name, ("local",), **({"at_most": 1.2} if name.startswith("random") else {"at_least": 0.95})) for name in self.metrics]

    def make_objects(self):
        self.key = self.stage.object(1024)

    def new(self, kind):
        if kind.name == "empty-fuse":
            kind = type("Sized", (kind,), {"size": self.stage.size_of(self.key)})
        return kind(self.stage)

    def prepare(self, contestant):
        path = self.path(contestant)
        if contestant.name == "modelfs":
            contestant.run_command("warm", path)  # ends when all is here and verified
        if contestant.name != "local":
            reader.read("sequential", path)

    def path(self, contestant):
        return contestant.open_up("object" if contestant.name == "empty-fuse" else self.key)

    def measure_standing(self, contestant, number):
        path = self.path(contestant)
        figures = {}
        for name, (pattern, *options) in PASSES.items():
            reader.forget([path, *contestant.local()])
            for state in ("disk", "hot"):
                result = reader.read(pattern, path, *options, "--seed", number + 1)
                figures[f"{name}_{state}"] = result["p50_ms"] * 1000 if name == "random" else result["useful_bytes"] / result["seconds"] / 1e6
        return figures


ALL = [Cached()]
