"""The benchmarks in small: that they measure, judge, and leave nothing behind."""

import json
import os
import signal
import sys

import pytest

from harness import programs
from harness.mounting import is_mounted
from harness.waiting import wait_for

BENCH = programs.REPOSITORY / "tests" / "bench"


@pytest.fixture(autouse=True)
def bench_modules(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))


def run_bench(folder, *arguments):
    environment = programs.clean_environment(folder, TMPDIR=folder, MODELFS_BIN_DIR=programs.BIN, MODELFS_TOOLS=programs.TOOLS)
    result = programs.run([sys.executable, BENCH / "bench.py", "--quick", "--json", folder / "bench.json", *arguments], environment, 240)
    return result, json.loads((folder / "bench.json").read_text())


def test_a_quick_run_measures_and_judges(folder):
    result, document = run_bench(folder, "--work", "first-byte", "--link", "1g20", "--contestant", "modelfs", "--contestant", "link")
    [work] = document["works"]
    assert work["failures"] == {}, work["failures"]
    assert 20 <= work["medians"]["link"]["first"] < 1000, "the link's latency is 20 ms"
    [verdict] = work["verdicts"]
    assert verdict["ratio"] == pytest.approx(work["medians"]["modelfs"]["first"] / work["medians"]["link"]["first"])
    assert verdict["met"] == (verdict["ratio"] <= 1.2)
    assert result.returncode == (0 if verdict["met"] else 1), result.stderr
    met = int(verdict["met"])
    assert result.stdout.splitlines()[-1].startswith(f"{met} passed, {1 - met} failed, ")
    assert (folder / "bench.md").exists() and (folder / "bench.svg").exists()
    assert not list(folder.glob("modelfs-bench-*")), "a folder is left behind"


def test_a_contestant_that_cannot_be_measured_is_named(folder):
    result, document = run_bench(folder, "--work", "cached", "--contestant", "modelfs", "--rounds", "1")
    assert result.returncode == 1
    assert {verdict["note"] for work in document["works"] for verdict in work["verdicts"]} == {"none of local was measured"}
    assert "geesefs" in document["missing"]


def test_a_mount_whose_server_was_killed_is_taken_away(folder):
    from contestants.ceilings import EmptyFuse
    from links import LOOPBACK
    from stage import Objects, Stage

    with Stage(folder, Objects(folder), LOOPBACK, quick=True) as stage:
        with EmptyFuse(stage) as contestant:
            own, at = contestant.folder, contestant.at
            assert is_mounted(at)
            os.kill(contestant.pids()[0], signal.SIGKILL)
            wait_for(lambda: contestant._process.poll() is not None, "the server ends")
        assert not is_mounted(at) and not own.exists()


def test_bars_are_ratios_of_pairs():
    from bar import Bar

    values = {"modelfs": {"rate": [90, None, 99]}, "slow": {"rate": [10, 10, 10]}, "fast": {"rate": [100, 50, 100]}}
    verdict = Bar("rate", "rate", ("slow", "fast"), at_least=0.95).judge(values, more_is_better=True)
    assert (verdict["against"], verdict["pairs"], verdict["met"]) == ("fast", 2, False)
    assert verdict["ratio"] == pytest.approx(0.945)
    assert Bar("sooner", "rate", ("slow",), inverted=True, at_most=1).judge(values, more_is_better=True)["met"]
    assert not Bar("nobody", "rate", ("absent",), at_least=0).judge(values, more_is_better=True)["met"]
