"""A worker that dies under a mount of an MLflow registry: who reads goes on, also while the server is down."""

import contextlib
import mmap
import os
import threading

import pytest

from harness import mlflow
from harness.data import drop_from_page_cache
from harness.waiting import wait_for
from harness.worker import kill_worker, successor_of

KILLS = int(os.environ.get("MODELFS_REGISTRY_KILLS", 10))
PART = 1 << 20


def text_of(version, part):
    line = f"version {version} part {part}\n"
    return (line * (PART * part // len(line) + 1))[:PART * part]


BYTES = {(version, part): text_of(version, part).encode() for version in (1, 2) for part in (1, 2, 3)}


@pytest.fixture(scope="module")
def server(scratch):
    server = mlflow.Mlflow(scratch / "deaths", "--artifacts-destination", scratch / "deaths-artifacts")
    for version in (1, 2):
        files = {f"folder/part{n}": text_of(version, n) for n in range(1, 4)}
        assert server.add_files("m", files) == version
    server.set_alias("m", "champion", 1)
    yield server
    server.stop()


@pytest.fixture
def mount(modelfs, server):
    return mlflow.mount(modelfs, server, "--alias-poll", "100ms")


@pytest.fixture
def keep(mount):
    """Closes what it was given before the mount goes."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context


def version_read(path, part):
    """Which version's part this is; it has to be all of it."""
    data = path.read_bytes()
    found = [version for version in (1, 2) if data == BYTES[version, part]]
    assert found, f"{path}: {len(data)} bytes, {data[:30]}"
    return found[0]


@pytest.mark.timeout(600)
def test_readers_of_a_registry_outlive_killed_workers(mount, server, keep):
    model = mount / "m"
    held = keep(open(model / "1/folder/part3", "rb", buffering=0))
    mapped = keep(mmap.mmap(held.fileno(), 0, prot=mmap.PROT_READ))
    number = os.fstat(held.fileno()).st_ino
    stop, problems, rounds = threading.Event(), [], [0]

    def read():
        while not stop.is_set() and not problems:
            try:
                part = rounds[0] % 3 + 1
                drop_from_page_cache(model / f"2/folder/part{part}")
                if version_read(model / f"2/folder/part{part}", part) != 2:
                    problems.append("a version that is another one")
                version_read(model / f"@champion/folder/part{part}", part)
                # A link that moves while the directory is read may be seen twice, or not at all.
                names = os.listdir(model)
                if not {"1", "2", "latest"} <= set(names) <= {"1", "2", "@champion", "latest"}:
                    problems.append(f"a directory is not whole: {names}")
            except (OSError, AssertionError) as error:
                problems.append(repr(error))
            rounds[0] += 1

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    last = None
    try:
        for kill in range(KILLS):
            before = rounds[0]
            last = kill_worker(mount, last)
            wait_for(lambda: rounds[0] > before or problems, "readers go on after a death", 60)
            drop_from_page_cache(f"/proc/self/fd/{held.fileno()}")
            assert mapped[:] == BYTES[1, 3]
            assert os.pread(held.fileno(), len(mapped), 0) == BYTES[1, 3]
            server.set_alias("m", "champion", 2 - kill % 2)
        successor_of(mount, last)
    finally:
        stop.set()
        for reader in readers:
            reader.join(120)
    print(f"{KILLS} kills, {rounds[0]} rounds")
    assert not problems
    # The path leads to the very same file as before the first death.
    assert os.stat(model / "1/folder/part3").st_ino == number == os.fstat(held.fileno()).st_ino
    wait_for(lambda: os.readlink(model / "@champion") == str(2 - (KILLS - 1) % 2), "the alias moves on", 20)


@pytest.mark.timeout(300)
def test_what_is_cached_is_read_on_after_a_death_with_the_server_down(mount, server, keep):
    model = mount / "m"
    held = keep(open(model / "1/folder/part2", "rb", buffering=0))
    assert held.read() == BYTES[1, 2]
    server.stop()
    try:
        successor_of(mount, kill_worker(mount))
        drop_from_page_cache(model / "1/folder/part2")
        assert os.pread(held.fileno(), PART, PART) == BYTES[1, 2][PART:]
        assert version_read(model / "1/folder/part2", 2) == 1
    finally:
        server.restart()
