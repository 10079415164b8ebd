"""A folder with very many files, listed again."""

import time

import reader
from bar import Bar
from contestants.contestant import BUCKET
from harness import programs
from links import GIGABIT
from works.work import FULL_CLOSE, FULL_REST, Work


class Listing(Work):
    """Sizes are generated, contents too: the objects take no room at the origin."""

    name = "listing"
    title = "a folder of 100,000 files, listed again"
    links = (GIGABIT,)
    contestants = {"modelfs": FULL_CLOSE, "empty-fuse": FULL_CLOSE, "rclone-new": FULL_REST}
    metrics = {"first": ("first listing", "s", False), "second": ("second listing", "s", False), "find": ("first find -size after it", "s", False)}

    def bars(self, link):
        return [Bar("listing 100,000 entries the second time, against an empty libfuse server", "second", ("empty-fuse",), at_most=1.5),
                Bar("first `find -size` after it, against an empty libfuse server", "find", ("empty-fuse",), at_most=1.5)]

    def begin(self, stage, kinds):
        super().begin(stage, kinds)
        self.count = 10_000 if stage.quick else 100_000
        step = 20_000
        for start in range(0, self.count, step):
            stage.origin.control("objects", [{"bucket": BUCKET, "key": f"many/file{number:06}", "size": (number + 4) * 1000, "seed": reader.SEED}
                                             for number in range(start, min(start + step, self.count))])

    def measure(self, kind, number):
        if kind.name == "empty-fuse":
            kind = type("Filled", (kind,), {"entries": self.count})
        with kind(self.stage) as contestant:
            folder = contestant.open_up("many")
            first, second = (self.list(folder) for _ in range(2))
            begun = time.perf_counter()
            found = programs.check(programs.run(["find", folder, "-type", "f", "-size", "+5M"], programs.clean_environment("/"), 600)).stdout
            took = time.perf_counter() - begun
            wanted = sum((number + 4) * 1000 > 5 << 20 for number in range(self.count))
            assert len(found.splitlines()) == wanted, f"{kind.name}: find found {len(found.splitlines())} files of {wanted}"
        return {"first": first, "second": second, "find": took}

    def list(self, folder):
        result = reader.read("list", folder)
        assert self.count <= result["entries"] <= self.count + 2, f"{result['entries']} entries"
        return result["seconds"]


ALL = [Listing()]
