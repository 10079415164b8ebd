"""Cold reads of 256 KiB at random places, one after the other."""

from bar import Bar
from links import FOUR_GIGABIT, GIGABIT
from works.work import FULL_CLOSE, FULL_REST, Work, timed

READS = ("--block", "256KiB", "--count", 60)


class RandomReads(Work):
    name = "random"
    title = "cold, random 256 KiB"
    links = (GIGABIT, FOUR_GIGABIT)
    contestants = {"modelfs": FULL_CLOSE, "link": FULL_CLOSE} | {name: FULL_REST for name in ("rclone", "rclone-new", "s3fs", "mountpoint")}
    metrics = {"p50": ("median of 60", "ms", False), "p99": ("worst but one of 60", "ms", False)}

    def bars(self, link):
        return [Bar("cold random 256 KiB, median, against one ranged GET", "p50", ("link",), at_most=1.5)]

    def begin(self, stage, kinds):
        super().begin(stage, kinds)
        self.key = stage.object(1024)

    def measure(self, kind, number):
        with kind(self.stage) as contestant:
            if kind.name == "link":
                result = contestant.get("get-random", self.key, *READS, "--seed", number)
            else:
                result = timed(contestant, "random", contestant.open_up(self.key), *READS, "--seed", number)
        return {"p50": result["p50_ms"], "p99": result["p99_ms"]}


ALL = [RandomReads()]
