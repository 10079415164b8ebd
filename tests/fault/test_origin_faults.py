"""Faults of an origin, by script, over S3, HTTP and MLflow: right bytes or the documented errno within the deadline."""

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import scenarios
from faulty_origin import CONTENT, SIZE, FaultyOrigin
from figures import note

READ_TIMEOUT = 10.0
SLACK = 5.0  # for a machine that does other things, too
SEEDS = [int(seed) for seed in os.environ.get("MODELFS_FAULT_SEEDS", "0 1 2").split()]


def read(path):
    """All that could be read, the errno that ended it (None: the end of the file), and the longest wait for one read."""
    data, longest = bytearray(), 0.0
    try:
        with open(path, "rb", buffering=0) as file:
            while True:
                begun = time.monotonic()
                try:
                    piece = file.read(256 << 10)
                finally:
                    longest = max(longest, time.monotonic() - begun)
                if not piece:
                    return bytes(data), None, longest
                data += piece
    except OSError as error:
        return bytes(data), errno.errorcode[error.errno], longest


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("face", ["s3", "web", "mlflow"])
def test_origin_faults(face, seed, modelfs):
    made = scenarios.scripts()
    origin = FaultyOrigin(face, {name: script for name, (script, _) in made.items()}, seed)
    try:
        mount, folder = origin.mount(modelfs, "--read-timeout", f"{READ_TIMEOUT:.0f}s")
        worker = mount.status()["pid"]
        with ThreadPoolExecutor(len(made)) as readers:
            outcomes = dict(zip(made, readers.map(lambda name: read(folder / name), made)))
        wrong, figures = [], {}
        for name, (data, error, longest) in outcomes.items():
            expected = made[name][1]
            got = error or "right"
            figures[name] = {"got": got, "longest_wait_s": round(longest, 2), "requests": origin.requests[name]}
            if data != CONTENT[: len(data)] or (error is None and len(data) != SIZE):
                wrong.append(f"{name}: WRONG BYTES")
            elif got not in expected:
                wrong.append(f"{name}: {got}, expected {sorted(expected)}")
            if longest > READ_TIMEOUT + SLACK:
                wrong.append(f"{name}: a read took {longest:.1f} s")
        note("origin-faults", f"{face} seed {seed}", figures)
        assert not wrong, "\n".join(wrong)
        assert mount.status()["pid"] == worker, "the worker died on the way"
    finally:
        origin.close()


@pytest.mark.parametrize("face", ["s3", "web", "mlflow"])
def test_an_outage_is_not_made_worse(face, modelfs, folder):
    """In an outage there are at most twice as many requests as without one."""
    names = [f"o{number}" for number in range(24)]
    counts = {}
    for outage in (False, True):
        begun = time.monotonic()

        def script(attempt):
            if outage and time.monotonic() - begun < 8:
                return b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"
            return attempt.honest()

        origin = FaultyOrigin(face, {name: script for name in names}, 0)
        try:
            mount, top = origin.mount(modelfs, "--read-timeout", "60s", cache=folder / f"cache-{outage}")
            begun = time.monotonic()
            with ThreadPoolExecutor(8) as readers:
                for data, error, _ in readers.map(lambda name: read(top / name), names):
                    assert error is None and data == CONTENT
            counts[outage] = sum(origin.requests.values())
            mount.unmount()
        finally:
            origin.close()
    note("origin-faults", f"outage {face}", {"requests": counts[False], "requests_in_outage": counts[True]})
    assert counts[True] <= 2 * counts[False], counts



