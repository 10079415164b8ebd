"""How much memory four cold readers cost, and what is left of their speed under a limit."""

import reader
from bar import Bar
from links import FOUR_GIGABIT
from processes import PeakMemory
from works.work import FULL_REST, Work

STREAMS = 4


class Memory(Work):
    name = "memory"
    title = "four cold streams"
    links = (FOUR_GIGABIT,)
    contestants = {name: FULL_REST for name in ("modelfs", "modelfs-128m", "rclone", "rclone-new", "s3fs", "mountpoint")}
    metrics = {"memory": ("anonymous resident memory, most", "MiB", False), "rate": ("all streams together", "MB/s", True)}

    def bars(self, link):
        return [Bar("anonymous memory with 4 cold streams, of 128 MiB", "memory", 128, at_most=1),
                Bar("speed in a control group of 128 MiB, against no limit", "rate", ("modelfs",), who="modelfs-128m", at_least=0.8)]

    def begin(self, stage, kinds):
        super().begin(stage, kinds)
        size = stage.link.size(2048 << 20, stage.quick) // STREAMS
        self.keys = [stage.objects.pattern(f"stream{number}-{size >> 20}.bin", size) for number in range(STREAMS)]
        self.total = size * STREAMS

    def measure(self, kind, number):
        with kind(self.stage) as contestant:
            paths = [contestant.open_up(key) for key in self.keys]
            with PeakMemory(contestant.pids()) as memory:
                results = reader.read_at_once("sequential", paths)
        return {"memory": memory.mib, "rate": self.total / max(result["seconds"] for result in results) / 1e6}


ALL = [Memory()]
