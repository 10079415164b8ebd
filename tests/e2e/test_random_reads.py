"""Hundreds of thousands of reads and mmap touches at random places: every byte equals the source."""

import os
import secrets

import pytest

from harness import programs
from harness.data import BIG_SIZE, MIB, compare

READS = int(os.environ.get("MODELFS_READS", 200_000))


@pytest.mark.parametrize("io", ["auto", "threads"])
@pytest.mark.parametrize("cached", ["cold", "half-cached"])
def test_every_byte_equals_the_source(modelfs, big_on_s3, big, cached, io):
    mount = modelfs.mount("big=s3://models/big", endpoint=big_on_s3.url, arguments=["--io", io])
    path = mount / "big" / "big.bin"
    if cached == "half-cached":  # stretches of 16 MiB, every other one
        for start in range(0, BIG_SIZE, 32 * MIB):
            compare(path, big, start, start + 16 * MIB)
    seed = int(os.environ.get("MODELFS_SEED", secrets.randbits(32)))
    print(f"MODELFS_SEED={seed}")
    result = programs.run([programs.READ_CHECKER, "--file", path, "--reference", big, "--count", READS, "--threads", 8,
                           "--seed", seed, "--min", 1, "--max", 4 * MIB, "--mmap-share", 0.5], modelfs.environment, 400)
    print(result.stdout)
    programs.check(result)
    assert mount.status()["cache"]["fetched_bytes"] <= 1.01 * BIG_SIZE
