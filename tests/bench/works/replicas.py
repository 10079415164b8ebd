"""Several replicas that load one model at once: each by itself, and with a cache that they share."""

import contextlib

import reader
from bar import Bar
from links import SHARED
from works.work import Work

COUNTS = (1, 2, 4, 8, 16)


class Replicas(Work):
    """Each replica is a daemon with an empty cache of its own, as on a node of its own; here they have two cores together."""

    name = "replicas"
    title = "replicas that load one model at once"
    links = (SHARED,)
    contestants = {"modelfs": 3, "modelfs-shared": 3}
    metrics = {f"{what}-{count}": (f"{title}, {count}", unit, False) for what, title, unit in (("bytes", "origin bytes per model", ""), ("time", "slowest", "s"))
               for count in COUNTS}

    def bars(self, link):
        return [Bar(f"{count} replicas with a shared cache: origin bytes, against the model", f"bytes-{count}", 1, who="modelfs-shared", at_most=1.05)
                for count in COUNTS[1:]] + [
                    Bar("8 replicas with a shared cache: time of the slowest, against one alone", "time-8", ("modelfs-shared",), against_metric="time-1",
                        who="modelfs-shared", at_most=1.15)]

    def begin(self, stage, kinds):
        super().begin(stage, kinds)
        self.key = stage.object(256)
        self.size = stage.size_of(self.key)

    def measure(self, kind, number):
        figures = {}
        for count in COUNTS[:3] if self.stage.quick else COUNTS:
            together = type("Together", (kind,), {"shared": self.stage.new_folder("shared")})
            with contextlib.ExitStack() as stack:
                replicas = [stack.enter_context(together(self.stage)) for _ in range(count)]
                self.stage.fetched_bytes()
                done = reader.read_at_once("sequential", [replica.open_up(self.key) for replica in replicas])
                figures[f"bytes-{count}"] = self.stage.fetched_bytes() / self.size
                figures[f"time-{count}"] = max(one["seconds"] for one in done)
        return figures


ALL = [Replicas()]
