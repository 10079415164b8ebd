"""What was read stays: over a remount, and without the index."""

import shutil

import pytest

from harness.data import BIG_SIZE, compare


@pytest.mark.parametrize("io", ["auto", "threads"])
def test_a_remount_reads_all_of_it_without_the_origin(modelfs, big_on_s3, big, io):
    def mount():
        return modelfs.mount("big=s3://models/big", endpoint=big_on_s3.url, arguments=["--io", io])

    first = mount()
    compare(first / "big" / "big.bin", big)
    first.unmount()

    before = big_on_s3.requests()
    second = mount()
    compare(second / "big" / "big.bin", big)
    assert second.status()["cache"]["cached_bytes"] == BIG_SIZE
    second.unmount()
    assert big_on_s3.requests() == before, "the origin was asked again after a remount"

    shutil.rmtree(second.cache / "index")
    third = mount()
    compare(third / "big" / "big.bin", big)
    assert third.status()["cache"]["cached_bytes"] == BIG_SIZE
    third.unmount()
    assert big_on_s3.requests() == before, "the origin was asked again after the index was lost"


def test_a_partly_read_file_is_fetched_to_its_end_only(modelfs, counted, big):
    part = BIG_SIZE // 16  # too little to be taken for a wish for the whole file
    first = modelfs.mount("big=s3://models/big", endpoint=counted.url)
    compare(first / "big" / "big.bin", big, 0, part)
    first.wait_idle()  # an unmount loses what is under way, which depends on the machine's load
    first.unmount()
    already = counted.received()

    second = modelfs.mount("big=s3://models/big", endpoint=counted.url)
    compare(second / "big" / "big.bin", big)
    second.wait_idle()
    assert counted.received() <= 1.01 * BIG_SIZE
    assert part <= already < BIG_SIZE


def test_a_killed_daemon_loses_no_correctness(modelfs, big_on_s3, big):
    first = modelfs.mount("big=s3://models/big", endpoint=big_on_s3.url)
    compare(first / "big" / "big.bin", big, 0, BIG_SIZE // 4)
    modelfs.kill_all()

    second = modelfs.mount("big=s3://models/big", endpoint=big_on_s3.url)
    compare(second / "big" / "big.bin", big, 0, BIG_SIZE // 2)
