#!/usr/bin/env python3
"""Measures modelfs beside other ways to load a model, on one origin in one run.

Run by tests/run.sh bench; README.md beside this file says what is measured. Contestants take turns, in another order each
round. Writes what it has after each work, so that a run that is interrupted keeps it. Ends with `N passed, N failed, N
skipped`: bars that are met, bars that are not, contestants that could not take part.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import contestants  # noqa: E402
import links  # noqa: E402
import report  # noqa: E402
import works  # noqa: E402
from bar import median  # noqa: E402
from stage import Objects, Stage, save, temporary_folder  # noqa: E402


def say(text):
    print(f"[{time.monotonic() - BEGUN:5.0f}s] {text}", file=sys.stderr, flush=True)


BEGUN = time.monotonic()


class Run:
    """The works that were chosen, on the links that were chosen, by the contestants that were chosen."""

    def __init__(self, options, document):
        self.options, self.document = options, document
        self.missing = {}

    def kinds_of(self, work):
        """Classes of those who take part in `work`, in the order of its own list; who is missing is noted."""
        by_name = {kind.name: kind for kind in contestants.ALL}
        chosen = []
        for name in work.contestants:
            if self.options.contestant and name not in self.options.contestant:
                continue
            why = by_name[name].missing()
            if why:
                self.missing[by_name[name].title] = why
            else:
                chosen.append(by_name[name])
        return chosen

    def rounds_of(self, work, kind):
        return self.options.rounds or (1 if self.options.quick else work.contestants[kind.name])

    def measure(self, work, stage):
        """One work on one link; its part of the document."""
        kinds = self.kinds_of(work)
        values = {kind.name: {} for kind in kinds}
        failures = {}
        begun = time.monotonic()
        try:
            work.begin(stage, kinds)
            most = max((self.rounds_of(work, kind) for kind in kinds), default=0)
            for number in range(most):
                turn = number % len(kinds)
                for kind in kinds[turn:] + kinds[:turn]:
                    if number >= self.rounds_of(work, kind):
                        continue
                    self.one_round(work, stage, kind, number, values[kind.name], failures)
        finally:
            work.end()
        return {"name": work.name, "title": work.title, "link": stage.link.name, "link_title": stage.link.title,
                "seconds": time.monotonic() - begun, "metrics": {name: list(what) for name, what in work.metrics.items()},
                "values": values, "failures": failures,
                "medians": {name: {metric: median(series) for metric, series in of.items()} for name, of in values.items()},
                "verdicts": [bar.judge(values, work.metrics[bar.metric][2]) for bar in work.bars(stage.link)
                             if not self.options.contestant or bar.who in self.options.contestant]}

    def one_round(self, work, stage, kind, number, values, failures):
        begun = time.monotonic()
        try:
            figures = work.measure(kind, number)
        except (AssertionError, OSError, ValueError, subprocess.TimeoutExpired) as error:
            failures.setdefault(kind.name, []).append(str(error)[-1500:])
            say(f"{work.name} on {stage.link.name}, round {number}: {kind.name} FAILED: {str(error)[-300:]}")
            figures = {}
        for metric in work.metrics:
            series = values.setdefault(metric, [])
            series.extend([None] * (number - len(series)))
            series.append(figures.get(metric))
        shown = ", ".join(f"{metric} {value:.4g}" for metric, value in figures.items() if value is not None)
        say(f"{work.name} on {stage.link.name}, round {number}: {kind.name}: {shown} ({time.monotonic() - begun:.1f} s)")

    def all(self, folder):
        objects = Objects(folder)
        for kind in works.ALL:
            for link in kind.links:
                if self.options.work and kind.name not in self.options.work or self.options.link and link.name not in self.options.link:
                    continue
                say(f"{kind.name} on {link.name}: {kind.title}")
                with Stage(folder, objects, link, self.options.quick) as stage:
                    try:
                        part = self.measure(kind, stage)
                    except (AssertionError, OSError, ValueError) as error:
                        say(f"{kind.name} on {link.name} could not be done: {error}")
                        part = {"name": kind.name, "title": kind.title, "link": link.name, "link_title": link.title, "values": {}, "medians": {},
                                "metrics": {}, "failures": {"all": [str(error)]},
                                "verdicts": [bar.judge({}, more_is_better=True) for bar in kind.bars(link)]}
                for verdict in part["verdicts"]:
                    say(report.verdict_line(verdict))
                self.document["works"].append(part)
                self.document["missing"] = contestants.ABSENT | self.missing
                if self.options.json:
                    save(self.options.json, self.document)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=pathlib.Path, help="file to write all values to; tables and chart go beside it")
    parser.add_argument("--merge", metavar="NAME=FILE", action="append", default=[], help="JSON of another benchmark, to be put into --json under NAME")
    parser.add_argument("--quick", action="store_true", help="one round on smaller objects, for development")
    parser.add_argument("--rounds", type=int, help="instead of what each work wants")
    parser.add_argument("--work", action="append", choices=[work.name for work in works.ALL], help="only this one; may be repeated")
    parser.add_argument("--link", action="append", choices=[link.name for link in links.ALL], help="only this one; may be repeated")
    parser.add_argument("--contestant", action="append", choices=[kind.name for kind in contestants.ALL], help="only this one; may be repeated")
    return parser.parse_args()


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    options = parse()
    signal.signal(signal.SIGTERM, interrupt)
    document = {"begun": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "quick": options.quick,
                "machine": f"{os.cpu_count()} cores, Linux {platform.release().split('-')[0]}", "load": os.getloadavg()[0], "works": [], "missing": {},
                "titles": {kind.name: kind.title for kind in contestants.ALL}}
    for name, _, file in (merge.partition("=") for merge in options.merge):
        document[name] = json.loads(pathlib.Path(file).read_text())
    with temporary_folder() as folder:
        Run(options, document).all(folder)
    if options.json:
        report.write(options.json)
    print(report.markdown(document))
    print(report.sum_line(document))
    return 0 if report.good(document) else 1


if __name__ == "__main__":
    sys.exit(main())
