#!/usr/bin/env python3
"""Compares modelfs with aria2c and rclone on the same origin in the same run; prints a table.

Run by tests/run.sh bench. The contenders take turns, in another order each round; the first round
warms up and is not counted; what is shown are medians.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import contenders  # noqa: E402
import measure  # noqa: E402
from harness import servers  # noqa: E402
from harness.data import random_file  # noqa: E402

# How far away the origin is: arguments of modelfs-origin.
LINKS = {
    "loopback": [],
    "S3-like: 30 ms, 85 MB/s a connection, 2.5 Gbit/s": ["--latency", "30ms", "--connection-rate", "85MB/s", "--total-rate", "2500Mbit/s"],
}
METRICS = {  # key: (what it is, unit, "+" when more is better)
    "sequential_cold": ("cold, in order", "MiB/s", "+"),
    "sequential_page_cache": ("second read, from the page cache", "MiB/s", "+"),
    "sequential_disk": ("second read, pages dropped", "MiB/s", "+"),
    "random_cold": ("random 256 KiB, cold", "ms", "-"),
    "random_warm": ("random 256 KiB, cached, pages dropped", "ms", "-"),
    "mount": ("until it can be opened (mount or download)", "ms", "-"),
    "first_byte": ("first byte after that", "ms", "-"),
    "memory": ("anonymous memory, peak of a cold read", "MiB", "-"),
}


def one_round(kind, origin, size, folder, seed):
    """All figures of one contender, each cold one on a cache of its own."""
    figures = {}
    contender = kind(origin, folder / "sequential")
    with measure.PeakMemory(contender.pids) as memory:
        figures["mount"] = contender.make_readable()
        rate = measure.read_in_order(contender.path)
    # Download first: the download is the cold read.
    figures["sequential_cold"] = rate if kind.cold_is_lazy else size / measure.MIB / (figures["mount"] / 1000)
    figures["memory"] = memory.mib
    figures["sequential_page_cache"] = measure.read_in_order(contender.path)
    measure.forget([contender.path, *contender.local()])
    figures["sequential_disk"] = measure.read_in_order(contender.path)
    measure.forget([contender.path, *contender.local()])
    figures["random_warm"] = measure.read_at_random(contender.path, 400, seed)
    if not kind.cold_is_lazy:
        measure.forget([contender.path])
        figures["first_byte"] = measure.first_byte(contender.path)
    contender.stop()

    if kind.cold_is_lazy:
        contender = kind(origin, folder / "first")
        contender.make_readable()
        figures["first_byte"] = measure.first_byte(contender.path)
        contender.stop()
        contender = kind(origin, folder / "random")
        contender.make_readable()
        figures["random_cold"] = measure.read_at_random(contender.path, 60, seed)
        contender.stop()
    return figures


def measure_link(arguments, data, folder, rounds):
    """{contender: {metric: [values]}} for one link."""
    results = {kind.name: {} for kind in contenders.ALL}
    size = data.stat().st_size
    origin = servers.EmbeddedOrigin(folder, data.parent.parent, *arguments)
    try:
        for number in range(rounds + 1):
            turn = number % len(contenders.ALL)
            for kind in contenders.ALL[turn:] + contenders.ALL[:turn]:
                print(f"  round {number} of {rounds}: {kind.name}", file=sys.stderr, flush=True)
                figures = one_round(kind, origin, size, folder / "round", number)
                shutil.rmtree(folder / "round")
                if number > 0:  # the first one warms up
                    for metric, value in figures.items():
                        results[kind.name].setdefault(metric, []).append(value)
    finally:
        origin.stop()
    return results


def table(results):
    """The medians as a Markdown table."""
    names = list(results)
    lines = ["| | unit | " + " | ".join(names) + " |", "|---|---|" + "---:|" * len(names)]
    for metric, (what, unit, _) in METRICS.items():
        cells = []
        for name in names:
            values = results[name].get(metric)
            middle = statistics.median(values) if values else None
            cells.append("-" if middle is None else f"{middle:.1f}" if middle < 100 else f"{middle:.0f}")
        lines.append(f"| {what} | {unit} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=pathlib.Path, help="file to write all values to")
    parser.add_argument("--merge", metavar="NAME=FILE", action="append", default=[], help="JSON of another benchmark, to be put into --json under NAME")
    parser.add_argument("--size", type=int, default=1024, help="of the object, MiB [1024]")
    parser.add_argument("--rounds", type=int, default=3, help="that count, after one that does not [3]")
    options = parser.parse_args()

    folder = pathlib.Path(tempfile.mkdtemp(prefix="modelfs-bench-"))
    try:
        data = random_file(folder / "origin" / contenders.OBJECT, options.size << 20)
        document = {"size_bytes": options.size << 20, "rounds": options.rounds, "machine": machine(), "links": {}}
        print(f"\n{options.size} MiB, medians of {options.rounds} rounds, {document['machine']}")
        for name, _, file in (merge.partition("=") for merge in options.merge):
            document[name] = json.loads(pathlib.Path(file).read_text())
        for link, arguments in LINKS.items():
            results = measure_link(arguments, data, folder, options.rounds)
            document["links"][link] = results
            print(f"\n{link}\n\n{table(results)}", flush=True)
        if options.json:
            options.json.write_text(json.dumps(document, indent=1) + "\n")
    finally:
        shutil.rmtree(folder)


def machine():
    return f"{os.cpu_count()} cores, Linux {platform.release().split('-')[0]}"


if __name__ == "__main__":
    main()
