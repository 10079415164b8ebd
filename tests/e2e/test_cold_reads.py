"""What a cold read costs: no byte is fetched that nobody needs, and none twice."""

import os

import pytest

from harness import programs
from harness.data import BIG_SIZE, MIB, at_once, compare, read_exactly

HEADERS = 128 << 10  # what the answers' headers and the listings of one test come to at most
IO = pytest.mark.parametrize("io", ["auto", "threads"])


@IO
def test_the_last_4_kib_cost_at_most_2_mib(modelfs, counted, big, io):
    mount = modelfs.mount("big=s3://models/big", endpoint=counted.url, arguments=["--io", io])
    before = counted.received()
    with open(mount / "big" / "big.bin", "rb", buffering=0) as file:
        got = read_exactly(file.fileno(), 4096, BIG_SIZE - 4096)
    with open(big, "rb", buffering=0) as file:
        assert got == read_exactly(file.fileno(), 4096, BIG_SIZE - 4096)
    status = mount.wait_idle()
    assert 4096 <= status["cache"]["fetched_bytes"] <= 2 * MIB
    assert counted.received() - before <= 2 * MIB + HEADERS


@IO
def test_16_readers_of_the_whole_file_fetch_it_once(modelfs, counted, big, io):
    mount = modelfs.mount("big=s3://models/big", endpoint=counted.url, arguments=["--io", io])
    before = counted.received()
    programs.check(programs.run([programs.READ_CHECKER, "--file", mount / "big" / "big.bin", "--reference", big, "--count", 0,
                                 "--threads", 0, "--sequential-threads", 16], modelfs.environment, 300))
    status = mount.wait_idle()
    assert counted.received() - before <= 1.01 * BIG_SIZE
    assert status["cache"]["fetched_bytes"] <= 1.01 * BIG_SIZE
    assert status["cache"]["cached_bytes"] == BIG_SIZE
    assert io != "threads" or status["cache"]["io_backend"] == "threads"


def test_16_readers_from_16_places_fetch_it_once(modelfs, counted, big):
    mount = modelfs.mount("big=s3://models/big", endpoint=counted.url)
    before = counted.received()

    def read_all(reader):  # each begins elsewhere, so that they meet and part
        start = reader * (BIG_SIZE // 16)
        compare(mount / "big" / "big.bin", big, start, BIG_SIZE)
        compare(mount / "big" / "big.bin", big, 0, start)

    at_once(16, read_all, range(16))
    mount.wait_idle()
    assert counted.received() - before <= 1.01 * BIG_SIZE


def test_reading_all_of_it_in_order_fetches_it_once(modelfs, counted, big):
    mount = modelfs.mount("big=s3://models/big", endpoint=counted.url)
    before = counted.received()
    compare(mount / "big" / "big.bin", big)
    mount.wait_idle()
    assert BIG_SIZE <= counted.received() - before <= 1.01 * BIG_SIZE


def test_listing_and_stat_fetch_no_object(modelfs, big_on_s3):
    mount = modelfs.mount("big=s3://models/big", endpoint=big_on_s3.url)
    before = big_on_s3.requests("s3_GetObject")
    for entry in os.scandir(mount / "big"):
        assert entry.stat().st_size == BIG_SIZE
    assert big_on_s3.requests("s3_GetObject") == before
