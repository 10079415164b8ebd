"""The first 4 KiB of a file whose name is known and whose bytes are not here."""

from bar import Bar
from links import FOUR_GIGABIT, GIGABIT
from works.work import FULL_CLOSE, FULL_REST, Work, timed


class FirstByte(Work):
    """bench-reader has asked for the file's size before: a loader lists the folder before it opens a file."""

    name = "first-byte"
    title = "time to first byte, from the call of open on"
    links = (GIGABIT, FOUR_GIGABIT)
    contestants = {"modelfs": FULL_CLOSE, "link": FULL_CLOSE} | {name: FULL_REST for name in ("rclone", "rclone-new", "s3fs", "mountpoint")}
    metrics = {"first": ("open and first 4 KiB", "ms", False), "open": ("open alone", "ms", False)}

    def bars(self, link):
        return [Bar("time to first byte, against one ranged GET", "first", ("link",), at_most=1.2)]

    def begin(self, stage, kinds):
        super().begin(stage, kinds)
        self.key = stage.object(1024)

    def measure(self, kind, number):
        with kind(self.stage) as contestant:
            if kind.name == "link":
                return {"first": contestant.get("get-random", self.key, "--block", "4KiB", "--count", 9, "--seed", number)["p50_ms"]}
            result = timed(contestant, "first", contestant.open_up(self.key))
        return {"first": result["first_byte_seconds"] * 1000, "open": result["open_seconds"] * 1000}


ALL = [FirstByte()]
