"""A cache smaller than the data: limits, pin, unpin, evict."""

import concurrent.futures
import json
import os
import threading

import pytest

from harness import programs
from harness.data import MIB, random_file
from harness.waiting import wait_for

FILES = 8
DATA = int(os.environ.get("MODELFS_E2E_LIMIT_DATA", 512 * MIB))  # bytes in all
READS = int(os.environ.get("MODELFS_E2E_LIMIT_READS", 8000))  # in all; 200,000 of 8 GiB is the whole of it
SLACK = 64 * MIB


def cached(path):
    return int(os.getxattr(path, "user.modelfs.cached"))


def blocks(folder):
    """What the files below `folder` take on the disk."""
    total = 0
    for path, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.stat(os.path.join(path, name)).st_blocks * 512
            except FileNotFoundError:
                pass  # evicted meanwhile
    return total


@pytest.fixture
def origin(start_origin, folder):
    for number in range(FILES):
        random_file(folder / "origin" / "models" / "m" / f"{number}.bin", DATA // FILES)
    return start_origin()


def test_never_over_the_limit_and_every_byte_right(origin, modelfs, folder):
    limit = DATA // 4
    mount = modelfs.mount("s3://models/m", endpoint=origin.url, arguments=["--anonymous", "--cache-size", str(limit)])
    top = mount / "models"
    programs.check(modelfs.run("warm", top / "0.bin", limit=300))
    programs.check(modelfs.run("pin", top / "0.bin"))
    stop, highest, lowest_pinned = threading.Event(), [0], [DATA]

    def watch():
        while not stop.wait(0.1):
            highest[0] = max(highest[0], blocks(mount.cache))
            lowest_pinned[0] = min(lowest_pinned[0], cached(top / "0.bin"))

    def read(worker):
        """Two threads on one file after the other, so that at any time half of the files are in use."""
        reads = 0
        for turn in range(FILES):
            name = f"{(2 * worker + turn) % FILES}.bin"
            result = programs.run([programs.READ_CHECKER, "--file", top / name, "--reference", folder / "origin" / "models" / "m" / name, "--threads", "2",
                                   "--count", str(READS // FILES // 4), "--max", "256KiB", "--mmap-share", "0.1"], modelfs.environment, 3000)
            programs.check(result)
            answer = json.loads(result.stdout)
            assert answer["mismatches"] == 0
            reads += answer["reads"]
        return reads

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            reads = sum(pool.map(read, range(4)))
    finally:
        stop.set()
        watcher.join()
    status = mount.wait_idle()["cache"]
    print(f"{reads} reads, at most {highest[0] / MIB:.0f} MiB of {limit / MIB:.0f}, {status['evicted_bytes'] / MIB:.0f} MiB evicted")
    assert reads >= READS * 0.9
    assert highest[0] <= limit + SLACK
    assert lowest_pinned[0] == DATA // FILES, "pinned bytes went"
    assert status["limit_bytes"] == limit and status["health"] == "ok"
    assert status["evicted_bytes"] > 0
    assert status["pinned_objects"] == 1


def test_pin_unpin_and_evict(origin, modelfs):
    mount = modelfs.mount("s3://models/m", endpoint=origin.url, arguments=["--anonymous"])
    top = mount / "models"
    size = DATA // FILES
    programs.check(modelfs.run("warm", top / "1.bin", top / "2.bin", limit=300))
    said = programs.check(modelfs.run("pin", top / "1.bin")).stdout
    assert "1 files pinned" in said
    assert mount.status()["cache"]["pinned_objects"] == 1
    said = programs.check(modelfs.run("evict", top)).stdout
    assert "1 files evicted" in said and "1 left alone because they are pinned" in said
    assert cached(top / "1.bin") == size and cached(top / "2.bin") == 0
    mount.unmount()

    mount = modelfs.mount("s3://models/m", endpoint=origin.url, arguments=["--anonymous"])
    top = mount / "models"
    assert mount.status()["cache"]["pinned_objects"] == 1, "a pin holds over a restart"
    programs.check(modelfs.run("unpin", top / "1.bin"))
    with open(top / "1.bin", "rb") as file:
        file.read(1)
        said = programs.check(modelfs.run("evict", top / "1.bin")).stdout
        assert "left alone because they are in use" in said and cached(top / "1.bin") == size

    def evicted():  # the kernel tells of the close a moment later
        programs.check(modelfs.run("evict", top / "1.bin"))
        return cached(top / "1.bin") == 0

    wait_for(evicted, "the file is not in use any more")
    assert mount.status()["cache"]["cached_bytes"] == 0
    assert (top / "1.bin").read_bytes() == (modelfs.folder / "origin" / "models" / "m" / "1.bin").read_bytes()


def test_of_what_is_not_there(origin, modelfs):
    mount = modelfs.mount("s3://models/m", endpoint=origin.url, arguments=["--anonymous"])
    for command in ("pin", "unpin", "evict"):
        result = modelfs.run(command, mount / "models" / "none.bin")
        assert result.returncode == 1 and "none.bin" in result.stderr
        assert modelfs.run(command).returncode == 2
        assert modelfs.run(command, "/nowhere").returncode == 1


@pytest.mark.parametrize("value", ["-5", "0%", "101%", "5 parsecs"])
def test_a_limit_that_makes_no_sense(modelfs, value):
    result = modelfs.run("mount", "--cache-size", value, "--source", "s3://models", modelfs.new_mount_point())
    assert result.returncode == 2 and value in result.stderr and len(result.stderr.splitlines()) <= 2
