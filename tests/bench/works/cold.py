"""An object that is at the origin only, read whole."""

import time

from bar import Bar
from links import FOUR_GIGABIT, GIGABIT, LOOPBACK
from works.work import FULL_CLOSE, FULL_REST, Work, timed

MOUNTS = ("rclone", "rclone-new", "rclone-defaults", "s3fs", "mountpoint")
DOWNLOADS = ("mlflow", "boto3")
BEST = {GIGABIT: 0.95, FOUR_GIGABIT: 0.9}


class Cold(Work):
    """One pass of a pattern, each time by a fresh contestant with an empty cache."""

    metrics = {"rate": ("whole object", "MB/s", True), "cpu": ("CPU of server and reader", "s/GB", False)}
    links = (GIGABIT, FOUR_GIGABIT)
    contestants = {"modelfs": FULL_CLOSE, "link": FULL_CLOSE} | {name: FULL_REST for name in MOUNTS}

    def __init__(self, pattern, title):
        self.pattern = pattern
        self.name = f"cold-{pattern}"
        self.title = f"cold, {title}"

    def bars(self, link):
        return [Bar(self.title, "rate", ("link",), at_least=BEST[link])] if link in BEST else []

    def begin(self, stage, kinds):
        super().begin(stage, kinds)
        self.key = stage.object(1024)
        self.size = stage.size_of(self.key)

    def measure(self, kind, number):
        with kind(self.stage) as contestant:
            if kind.name == "link":
                result = contestant.get("get", self.key, "--block", "8MiB")
                return {"rate": self.size / result["seconds"] / 1e6, "cpu": result["cpu_seconds"] / self.size * 1e9}
            if kind.lazy:
                result = timed(contestant, self.pattern, contestant.open_up(self.key), "--seed", number)
                return {"rate": result["useful_bytes"] / result["seconds"] / 1e6, "cpu": result["all_cpu_seconds"] / self.size * 1e9}
            return self.measure_download(contestant, number)

    def measure_download(self, contestant, number):
        """The download is the cold read; its file is read once, as a loader would."""
        begun = time.perf_counter()
        path = contestant.open_up(self.key)
        took = time.perf_counter() - begun
        result = timed(contestant, self.pattern, path, "--seed", number)
        seconds = took + result["seconds"]
        return {"rate": self.size / seconds / 1e6, "cpu": (contestant.cpu_seconds() + result["cpu_seconds"]) / self.size * 1e9}


class ColdSequential(Cold):
    links = (LOOPBACK, GIGABIT, FOUR_GIGABIT)
    contestants = Cold.contestants | {name: FULL_REST for name in (*DOWNLOADS, "aria2c")}

    def bars(self, link):
        bars = super().bars(link)
        if link == LOOPBACK:
            bars += [Bar("cold sequential, against aria2c and a read of its file", "rate", ("aria2c",), aim=0.85),
                     Bar("cold sequential, against the best other mount", "rate", MOUNTS, aim=1.5)]
        judged = {"at_most": 0.7} if link == FOUR_GIGABIT else {}
        return bars + [Bar("CPU per GB, server and reader, against the best contestant", "cpu", MOUNTS + DOWNLOADS, **judged)]


ALL = [ColdSequential("sequential", "sequential"), Cold("sweep", "mmap sweep"), Cold("tensors", "mmap of 4 MiB tensors in shuffled order")]
