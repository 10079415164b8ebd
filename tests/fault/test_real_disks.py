"""Disks as they are: full, turned read-only, with an index that has no room or was damaged."""

import json
import os
import random
import secrets
import signal
import subprocess

import pytest

from harness import programs
from harness.data import MIB, compare, drop_from_page_cache, random_file
from harness.waiting import wait_for
from harness.worker import kill_worker, successor_of, worker_of

FILES, SIZE = 4, 12 * MIB
SMALL = 150
DAMAGES = int(os.environ.get("MODELFS_INDEX_DAMAGES", 6))


@pytest.fixture
def origin(start_origin, folder):
    for number in range(FILES):
        random_file(folder / "origin" / "models" / "m" / f"{number}.bin", SIZE + number)
    for number in range(SMALL):
        random_file(folder / "origin" / "models" / "m" / "small" / f"{number}.bin", 2000 + number)
    return start_origin()


class Disk:
    """A filesystem of its own."""

    def __init__(self, environment, path, *arguments):
        self.environment, self.path, self.arguments = environment, path, arguments
        path.mkdir()
        self.mount()

    def mount(self):
        programs.check(programs.run(["mount", *self.arguments, self.path], self.environment))

    def unmount(self):
        return programs.run(["umount", self.path], self.environment)

    def fill(self):
        """Takes every byte that is left."""
        with open(self.path / "ballast", "ab", buffering=0) as ballast:
            for block in (MIB, 4096, 1):
                try:
                    while ballast.write(bytes(block)) == block:
                        pass
                except OSError:
                    pass  # no room for a block of this size

    def free(self):
        (self.path / "ballast").unlink()


@pytest.fixture
def make_disk(folder, modelfs):
    disks = []

    def make(name, *arguments):
        disks.append(Disk(modelfs.environment, folder / name, *arguments))
        return disks[-1]

    yield make
    assert not modelfs.clean_up()
    for disk in disks:
        programs.check(disk.unmount())


@pytest.fixture
def tmpfs(make_disk):
    return lambda name, size: make_disk(name, "-t", "tmpfs", "-o", f"size={size}", "modelfs-test")


def read_all(mount, folder):
    for number in range(FILES):
        path = mount / "m" / f"{number}.bin"
        drop_from_page_cache(path)
        compare(path, folder / "origin" / "models" / "m" / f"{number}.bin")


def read_small(mount, folder, numbers=range(SMALL)):
    for number in numbers:
        path = mount / "m" / "small" / f"{number}.bin"
        drop_from_page_cache(path)
        assert path.read_bytes() == (folder / "origin" / "models" / "m" / "small" / f"{number}.bin").read_bytes()


def is_cached(path):
    return int(os.getxattr(path, "user.modelfs.cached")) == os.stat(path).st_size


@pytest.mark.parametrize("floor", ["0", "8MiB"])
def test_a_disk_that_is_full(floor, origin, modelfs, folder, tmpfs):
    """With a floor the cache gives way, as far as it can; without one it finds out by writing."""
    disk = tmpfs("disk", "160m")
    arguments = ["--free-floor", floor]
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url, cache=disk.path / "cache", arguments=arguments)
    compare(mount / "m" / "0.bin", folder / "origin" / "models" / "m" / "0.bin")
    mount.wait_idle()
    disk.fill()
    read_all(mount, folder)
    read_small(mount, folder)
    status = mount.wait_idle()["cache"]
    assert status["read_through_bytes"] > 0
    if floor == "0":
        assert status["health"] == "degraded" and "No space left" in status["health_reason"]
    kill_worker(mount)
    read_all(mount, folder)
    disk.free()
    wait_for(lambda: mount.status()["cache"]["health"] == "ok", "the cache keeps again")

    def kept():
        read_all(mount, folder)
        mount.wait_idle()
        return all(is_cached(mount / "m" / f"{number}.bin") for number in range(FILES))

    wait_for(kept, "what is read is kept")
    mount.unmount()
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url, cache=disk.path / "cache", arguments=arguments)
    read_all(mount, folder)
    read_small(mount, folder)
    assert mount.status()["cache"]["quarantined_chunks"] == 0


def test_an_index_without_room(origin, modelfs, folder, tmpfs):
    disk = tmpfs("index", "3m")
    arguments = ["--index", disk.path / "index"]
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url, arguments=arguments)
    read_small(mount, folder, range(5))
    mount.wait_idle()
    disk.fill()
    read_small(mount, folder)
    read_all(mount, folder)
    mount.wait_idle()
    kill_worker(mount)
    read_small(mount, folder)
    read_all(mount, folder)
    disk.free()
    wait_for(lambda: mount.status(), "it answers")
    read_small(mount, folder)
    mount.wait_idle()
    mount.unmount()
    # The files were kept all the time; the index learns of them again.
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url, arguments=arguments)
    assert mount.status()["cache"]["objects"] == FILES + SMALL
    before = mount.status()["cache"]["fetched_bytes"]
    read_small(mount, folder)
    read_all(mount, folder)
    assert mount.wait_idle()["cache"]["fetched_bytes"] == before


def test_a_disk_that_turns_read_only(origin, modelfs, folder, make_disk):
    image = folder / "image"
    with open(image, "wb") as file:
        file.truncate(256 * MIB)
    programs.check(programs.run(["mkfs.ext4", "-q", image], modelfs.environment))
    disk = make_disk("disk", "-o", "loop,errors=remount-ro", image)
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url, cache=disk.path / "cache")
    compare(mount / "m" / "0.bin", folder / "origin" / "models" / "m" / "0.bin")
    read_small(mount, folder, range(20))
    mount.wait_idle()
    # What the kernel does after an error of the device, files that are open for writing or not.
    programs.check(programs.run(["mount", "-o", "remount,abort", disk.path], modelfs.environment))
    with pytest.raises(OSError):
        (disk.path / "probe").write_bytes(b"x")
    read_all(mount, folder)
    read_small(mount, folder)
    wait_for(lambda: mount.status()["cache"]["health"] == "degraded", "it is said")
    read_all(mount, folder)
    mount.unmount()
    programs.check(disk.unmount())
    programs.run(["fsck.ext4", "-y", image], modelfs.environment)
    disk.mount()
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url, cache=disk.path / "cache")
    read_all(mount, folder)
    read_small(mount, folder)
    assert mount.wait_idle()["cache"]["health"] == "ok"
    assert all(is_cached(mount / "m" / f"{number}.bin") for number in range(FILES))


def damage(index, chance, kind):
    """Changes the file of an index that is in use: LMDB maps it, and sees that at once."""
    data = index / "data.mdb"
    size = data.stat().st_size
    with open(data, "r+b", buffering=0) as file:
        if kind == "cut":
            file.truncate(chance.choice([0, 4096, 8192, size // 2 // 4096 * 4096]))
        elif kind == "heads":
            file.write(chance.randbytes(8192))
        else:
            for page in range(2, size // 4096):
                file.seek(page * 4096)
                file.write(chance.randbytes(4096) if kind == "noise" else bytes(4096))


def test_a_damaged_index_under_readers(origin, modelfs, folder):
    """LMDB brings the worker down, or says that it cannot go on; who reads does not notice."""
    seed = int(os.environ.get("MODELFS_SEED", secrets.randbits(32)))
    print(f"MODELFS_SEED={seed}")
    chance = random.Random(seed)
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url)
    reference = folder / "origin" / "models" / "m"
    read_small(mount, folder, range(50))
    checker = subprocess.Popen(
        [programs.READ_CHECKER, "--file", mount / "m" / "1.bin", "--reference", reference / "1.bin", "--count", "100000000",
         "--threads", "4", "--seed", str(seed), "--min", "1", "--max", str(MIB), "--mmap-share", "0.5"],
        env=modelfs.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    pid, deaths = worker_of(mount), 0
    try:
        for turn in range(DAMAGES):
            damage(mount.cache / "index", chance, ["noise", "cut", "zeros", "heads"][turn % 4])
            modelfs.run("evict", mount / "m" / "small")  # has the index write; may end with the worker
            read_small(mount, folder)
            compare(mount / "m" / f"{turn % FILES}.bin", reference / f"{turn % FILES}.bin")
            assert checker.poll() is None, checker.stdout.read()
            now = successor_of(mount, None)
            deaths += now != pid
            pid = kill_worker(mount)  # The next one finds what is left of it.
            pid = successor_of(mount, pid)
            read_small(mount, folder, range(20))
    finally:
        if checker.poll() is None:
            checker.send_signal(signal.SIGTERM)
        output = checker.communicate(timeout=60)[0]
    print(f"{DAMAGES} damages, {deaths} workers brought down; {output}")
    assert checker.returncode == -signal.SIGTERM, output
    assert deaths > 0, "the damage did nothing"
    read_small(mount, folder)
    read_all(mount, folder)
    mount.unmount()
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url)
    before = mount.status()["cache"]
    read_all(mount, folder)
    after = mount.wait_idle()["cache"]
    assert before["objects"] > SMALL // 2 and after["fetched_bytes"] == before["fetched_bytes"], json.dumps(after)
