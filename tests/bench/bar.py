"""What a work must reach: a ratio of two medians of one run."""

import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Bar:
    """`metric` of `who`, divided by `against_metric` (the same, if empty) of the best of `against`.

    `against`: names of contestants, or one number, which the metric is compared with as it is. `inverted`: the other way round, for times
    of which less is better ("so many times sooner"). A bar without `at_least` and `at_most` is reported and not judged; `aim` says then
    what one would like to see.
    """

    what: str
    metric: str
    against: tuple | float = ()
    against_metric: str = ""
    who: str = "modelfs"
    at_least: float | None = None
    at_most: float | None = None
    inverted: bool = False
    aim: float | None = None

    def wanted(self):
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return f"aim {self.aim:g}" if self.aim is not None else ""

    def judge(self, values, more_is_better):
        """A verdict as it is written to the JSON. `values`: {contestant: {metric: [value of a round, or None]}}."""
        verdict = {"what": self.what, "metric": self.metric, "who": self.who, "wanted": self.wanted(), "judged": bool(self.wanted()) and self.aim is None,
                   "ratio": None, "met": False, "against": None, "pairs": 0, "note": ""}
        ours = values.get(self.who, {}).get(self.metric, [])
        if not any(value is not None for value in ours):
            return verdict | {"note": f"{self.who} was not measured"}
        if isinstance(self.against, (int, float)):
            ratios, name = [value / self.against for value in ours if value is not None], ""
            if self.against == 1:
                name = "itself"
        else:
            name = self._best(values, more_is_better)
            if name is None:
                return verdict | {"note": f"none of {', '.join(self.against)} was measured"}
            theirs = values[name][self.against_metric or self.metric]
            ratios = [a / b for a, b in zip(ours, theirs) if a is not None and b]
            if not ratios:
                return verdict | {"note": f"no round has both {self.who} and {name}"}
        ratio = statistics.median(ratios)
        if self.inverted:
            ratio = 1 / ratio
        met = (self.at_least is None or ratio >= self.at_least) and (self.at_most is None or ratio <= self.at_most)
        return verdict | {"ratio": ratio, "met": met, "against": name, "pairs": len(ratios)}

    def _best(self, values, more_is_better):
        metric = self.against_metric or self.metric
        middles = {name: middle for name in self.against if (middle := median(values.get(name, {}).get(metric, []))) is not None}
        if not middles:
            return None
        return (max if more_is_better else min)(middles, key=middles.get)


def median(values):
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
