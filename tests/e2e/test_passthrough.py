"""Whole, verified files are read by the kernel itself, and nobody notices but by the speed."""

import mmap
import os
import pathlib
import platform

import pytest

from harness.data import MIB, compare, drop_from_page_cache, random_file
from harness.waiting import wait_for
from harness.worker import kill_worker, successor_of

SIZE = 48 * MIB


def kernel_can():
    version = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    return version >= (6, 9) and os.geteuid() == 0


needs_passthrough = pytest.mark.skipif(not kernel_can(), reason="FUSE passthrough (Linux 6.9 or newer, as root) cannot be had here")


@pytest.fixture
def reference(folder):
    return random_file(folder / "origin" / "models" / "m" / "weights.bin", SIZE)


@pytest.fixture
def origin(reference, folder, start_origin):
    random_file(folder / "origin" / "models" / "m" / "small.bin", 4000)
    return start_origin()


def state(mount):
    return mount.status()["mounts"][0]["passthrough"]


def hits(mount):
    cache = mount.status()["cache"]
    return cache["hit_bytes"] + cache["miss_bytes"]


def is_sealed(mount):
    return any(mount.cache.glob("objects/*/*/sealed"))


def make_hot(mount, reference):
    """Reads the file, waits until it is sealed, and opens it once more."""
    path = mount / "m" / "weights.bin"
    compare(path, reference)
    wait_for(lambda: is_sealed(mount), "the file is sealed")
    with open(path, "rb"):
        assert state(mount)["files"] == 1
    return path


def read_all(path):
    drop_from_page_cache(path)
    return pathlib.Path(path).read_bytes()


@needs_passthrough
def test_the_second_open_is_read_by_the_kernel(modelfs, origin, reference):
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url)
    assert state(mount) == {"on": True, "why_not": "", "files": 0}
    path = make_hot(mount, reference)
    before = hits(mount)
    assert read_all(path) == reference.read_bytes()
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert mapped[:] == reference.read_bytes()
    assert hits(mount) == before, "we were asked for bytes that the kernel has"
    assert (mount / "m" / "small.bin").read_bytes() == (reference.parent / "small.bin").read_bytes()
    assert state(mount)["files"] == 1, "a small file is not worth it"


@needs_passthrough
def test_older_cold_handles_go_on(modelfs, origin, reference):
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url)
    path = mount / "m" / "weights.bin"
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert file.read(1000) == reference.read_bytes()[:1000]
        make_hot(mount, reference)
        assert os.stat(path).st_ino == os.fstat(file.fileno()).st_ino, "one file, one number"
        drop_from_page_cache(path)
        assert mapped[:] == reference.read_bytes()
        # Without a name to look up again it is opened as it was.
        with open(f"/proc/self/fd/{file.fileno()}", "rb") as again:
            assert again.read() == reference.read_bytes()
        assert read_all(path) == reference.read_bytes()


@needs_passthrough
def test_after_a_remount_the_first_open_is(modelfs, origin, reference):
    first = modelfs.mount("m=s3://models/m", endpoint=origin.url)
    make_hot(first, reference)
    first.unmount()
    second = modelfs.mount("m=s3://models/m", endpoint=origin.url)
    assert read_all(second / "m" / "weights.bin") == reference.read_bytes()
    assert hits(second) == 0 and state(second)["files"] == 1


@needs_passthrough
def test_a_changed_file_is_not_trusted(modelfs, origin, reference):
    first = modelfs.mount("m=s3://models/m", endpoint=origin.url)
    make_hot(first, reference)
    first.unmount()
    [data] = first.cache.glob("objects/*/*/data")
    with open(data, "r+b") as file:
        file.seek(20 * MIB)
        byte = file.read(1)
        file.seek(20 * MIB)
        file.write(bytes([byte[0] ^ 1]))
    second = modelfs.mount("m=s3://models/m", endpoint=origin.url)
    path = second / "m" / "weights.bin"
    compare(path, reference)
    # What was damaged comes anew, as another file, which is sealed in turn.
    wait_for(lambda: second.status()["cache"]["quarantined_chunks"] == 1, "the damage is found")
    compare(path, reference)
    second.wait_idle()
    wait_for(lambda: is_sealed(second), "the file is sealed")
    before = hits(second)
    assert read_all(path) == reference.read_bytes()
    assert hits(second) == before


@needs_passthrough
def test_a_dead_worker_is_not_noticed(modelfs, origin, reference):
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url)
    path = make_hot(mount, reference)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for _ in range(3):
            dead = kill_worker(mount)
            drop_from_page_cache(path)
            assert mapped[:] == reference.read_bytes()
            successor_of(mount, dead)
            # The same file of the cache: a second one for that number would be refused.
            assert read_all(path) == reference.read_bytes()
            assert state(mount)["files"] == 1


@needs_passthrough
def test_what_is_evicted_comes_back(modelfs, origin, reference):
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url)
    path = mount / "m" / "weights.bin"
    for _ in range(18):  # more often than there are numbers
        make_hot(mount, reference)
        assert "1 file" in modelfs.run("evict", path).stdout or not is_sealed(mount)
        assert not is_sealed(mount) and state(mount)["files"] == 0
        drop_from_page_cache(path)


@needs_passthrough
def test_an_open_file_is_not_evicted(modelfs, origin, reference):
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url)
    path = make_hot(mount, reference)
    with open(path, "rb") as file:
        modelfs.run("evict", path)
        assert is_sealed(mount)
        assert file.read() == reference.read_bytes()


def test_switched_off_it_is_off(modelfs, origin, reference):
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url, arguments=["--passthrough", "off"])
    path = mount / "m" / "weights.bin"
    compare(path, reference)
    mount.wait_idle()
    assert read_all(path) == reference.read_bytes()
    assert not is_sealed(mount)
    told = state(mount)
    assert told["on"] is False and told["why_not"] and told["files"] == 0
