"""A kernel that cannot send requests again (before 6.9) and has no passthrough: readers outlive workers all the same."""

import mmap
import os
import threading

from harness.data import MIB, random_file
from harness.waiting import wait_for

KILLS = 5


def status(mount):
    """While no worker serves there is none."""
    try:
        return mount.status()
    except AssertionError:
        return None


def test_readers_outlive_workers(folder, modelfs, start_origin):
    model = random_file(folder / "origin" / "models" / "m" / "weights.bin", 16 * MIB)
    origin = start_origin("--total-rate", "64Mbit/s")
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url, arguments=["--cache-size", "8MiB"])  # so that it is fetched again and again
    wanted = model.read_bytes()
    wrong, over = [], threading.Event()

    def read(by_mmap):
        try:
            while not over.is_set():
                with open(mount / "m" / "weights.bin", "rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # or the kernel answers by itself
                    with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
                        got = bytes(memory) if by_mmap else file.read()
                assert got == wanted, "other bytes"
        except (OSError, AssertionError) as error:
            wrong.append(error)

    readers = [threading.Thread(target=read, args=(by_mmap,), daemon=True) for by_mmap in (False, True)]
    for reader in readers:
        reader.start()
    for _ in range(KILLS):
        now = mount.status()
        before, fetched = now["pid"], now["cache"]["fetched_bytes"]
        wait_for(lambda f=fetched: wrong or mount.status()["cache"]["fetched_bytes"] != f, "readers are at it", 60)
        assert not wrong, wrong
        os.kill(before, 9)
        wait_for(lambda b=before: (now := status(mount)) and now["pid"] != b, "another worker serves", 60)
    over.set()
    for reader in readers:
        reader.join(120)
    assert not wrong, wrong
    doctor = modelfs.run("doctor", "--cache", mount.cache, limit=60)
    assert "passthrough" in doctor.stdout, doctor.stdout
    print(doctor.stdout)
