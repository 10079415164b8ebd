"""How far away the origin is."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Link:
    """`arguments` are those of modelfs-origin; `bytes_per_second` is 0 where nothing is shaped."""

    name: str
    title: str
    arguments: tuple = ()
    bytes_per_second: float = 0

    def size(self, full_bytes, quick):
        """How large an object is read over it: a quick run takes about a second's worth of the link."""
        if not quick:
            return full_bytes
        return min(full_bytes, (int(self.bytes_per_second) or 256 << 20) >> 20 << 20)


def shaped(name, title, gigabits, latency):
    return Link(name, title, ("--total-rate", f"{gigabits}Gbit/s", "--latency", latency), gigabits * 125e6)


LOOPBACK = Link("loopback", "unshaped loopback")
GIGABIT = shaped("1g20", "1 Gbit/s, 20 ms", 1, "20ms")
FOUR_GIGABIT = shaped("4g50", "4 Gbit/s, 50 ms", 4, "50ms")
# So slow that two cores can feed sixteen readers meanwhile.
SHARED = Link("200m20", "200 Mbit/s, 20 ms", ("--total-rate", "200Mbit/s", "--latency", "20ms"), 25e6)
ALL = [LOOPBACK, GIGABIT, FOUR_GIGABIT, SHARED]
