"""One rank of eight of a model that is split by columns: every eighth 64 KiB, by mmap."""

from bar import Bar
from links import FOUR_GIGABIT
from works.work import FULL_REST, Work, timed

MOST_SECONDS = 30


class Rank(Work):
    name = "rank"
    title = "one tensor-parallel rank of eight: 64 KiB of each 512 KiB, by mmap"
    links = (FOUR_GIGABIT,)
    contestants = {name: FULL_REST for name in ("modelfs", "rclone-defaults", "rclone-new-defaults", "rclone", "s3fs", "mountpoint")}
    metrics = {"useful": ("useful bytes", "MB/s", True)}

    def bars(self, link):
        return [Bar("useful bytes per second of one rank of eight, against rclone's defaults", "useful", ("rclone-defaults", "rclone-new-defaults"), at_least=10)]

    def begin(self, stage, kinds):
        super().begin(stage, kinds)
        self.key = stage.object(1024)

    def measure(self, kind, number):
        limit = 8 if self.stage.quick else MOST_SECONDS
        with kind(self.stage) as contestant:
            result = timed(contestant, "rank", contestant.open_up(self.key), "--rank", number % 8, "--most-seconds", limit)
        return {"useful": result["useful_bytes"] / result["seconds"] / 1e6}


ALL = [Rank()]
