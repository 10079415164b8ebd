"""Little memory and few descriptors: slower, never killed."""

import json
import os
import statistics

import pytest

from figures import WHOLE, note
from harness import programs
from harness.data import MIB
from harness.mounting import Commands
from memory_group import MemoryGroup

LIMIT, DESCRIPTORS, READERS, SEED = 256 * MIB, 256, 16, 7
SIZE = int(os.environ.get("MODELFS_MEMORY_SIZE", (20 << 10) * MIB if WHOLE else (2 << 10) * MIB))
ROUNDS = 2


def run(commands, origin, round_):
    """Reads all of the object through a new cache; returns MB/s and the daemon's buffers."""
    mount = commands.mount("m=s3://models/m", endpoint=origin.url, cache=commands.folder / f"cache-{round_}", arguments=["--cache-size", "1GiB"])
    before = mount.status()
    result = programs.check(programs.run(
        [programs.PATTERN_READER, "--file", mount / "m" / "object.bin", "--seed", SEED, "--threads", READERS], commands.environment, 1500))
    after = mount.status()
    assert after["pid"] == before["pid"], "the worker was killed"
    mount.unmount()
    return SIZE / json.loads(result.stdout)["elapsed_s"] / 1e6, after["cache"]["buffer_limit_bytes"]


@pytest.mark.timeout(3600)
def test_little_memory(modelfs, folder, start_origin):
    origin = start_origin()
    origin.control("objects", [{"bucket": "models", "key": "m/object.bin", "size": SIZE, "seed": SEED}])
    group = MemoryGroup(LIMIT)
    (folder / "limited").mkdir()
    limited = Commands(folder / "limited", prefix=group.prefix(DESCRIPTORS))
    speeds = {"limited": [], "unlimited": []}
    buffers = {}
    try:
        for round_ in range(ROUNDS):
            for name, commands in (("unlimited", modelfs), ("limited", limited)):
                speed, buffers[name] = run(commands, origin, round_)
                speeds[name].append(round(speed, 1))
        kills, peak = group.kills(), group.peak()
    finally:
        complaints = limited.clean_up()
        group.remove()
    share = statistics.median(speeds["limited"]) / statistics.median(speeds["unlimited"])
    note("memory", f"{SIZE >> 30} GiB", {"mb_per_s": speeds, "share": round(share, 2), "oom_kills": kills, "peak_mib": peak >> 20,
                                         "limit_mib": LIMIT >> 20, "descriptors": DESCRIPTORS, "readers": READERS,
                                         "buffers_mib": {name: size >> 20 for name, size in buffers.items()}})
    assert not complaints, complaints
    assert kills == 0
    assert buffers["limited"] < LIMIT / 2, "the budget follows the limit of the group"
    assert share >= 0.5
