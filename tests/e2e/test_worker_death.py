"""A worker that dies or hangs is replaced, and nobody who reads notices more than a pause."""

import json
import os
import random
import secrets
import signal
import subprocess
import threading
import time

import pytest

from harness import programs
from harness.data import MIB, compare, drop_from_page_cache, random_file
from harness.waiting import wait_for
from harness.worker import kill_worker, successor_of, worker_of

KILLS = int(os.environ.get("MODELFS_KILLS", 25))
SIZE = 256 * MIB


@pytest.fixture
def origin(folder, start_origin):
    random_file(folder / "origin" / "models" / "m" / "weights.bin", SIZE)
    for number in range(20):
        random_file(folder / "origin" / "models" / "m" / f"part-{number}" / "small.bin", 10_000 + number)
    return start_origin("--latency", "5ms", "--total-rate", "200MiB")


@pytest.fixture
def mount(modelfs, origin):
    return modelfs.mount("m=s3://models/m", endpoint=origin.url)


class Walker(threading.Thread):
    """Opens, reads and closes small files and lists directories until told to stop; remembers what went wrong."""

    def __init__(self, mount, reference):
        super().__init__()
        self.mount, self.reference = mount, reference
        self.stop_now, self.problems, self.rounds, self.longest = False, [], 0, 0.0

    def run(self):
        while not self.stop_now and not self.problems:
            begun = time.monotonic()
            try:
                self.one_round()
            except OSError as error:
                self.problems.append(repr(error))
            self.longest = max(self.longest, time.monotonic() - begun)
            self.rounds += 1

    def one_round(self):
        number = self.rounds % 20
        path = self.mount / "m" / f"part-{number}" / "small.bin"
        if len(os.listdir(self.mount / "m")) != 21:
            self.problems.append("a directory is not whole")
        drop_from_page_cache(path)
        if path.read_bytes() != (self.reference / f"part-{number}" / "small.bin").read_bytes():
            self.problems.append(f"{path} differs")


def test_readers_outlive_killed_workers(modelfs, mount, folder):
    reference = folder / "origin" / "models" / "m"
    seed = int(os.environ.get("MODELFS_SEED", secrets.randbits(32)))
    print(f"MODELFS_SEED={seed}")
    chance = random.Random(seed)
    held = open(mount / "m" / "weights.bin", "rb", buffering=0)
    walker = Walker(mount, reference)
    walker.start()
    checker = subprocess.Popen(
        [programs.READ_CHECKER, "--file", mount / "m" / "weights.bin", "--reference", reference / "weights.bin", "--count", "20000000",
         "--threads", "8", "--seed", str(seed), "--min", "1", "--max", str(MIB), "--mmap-share", "0.5"],
        env=modelfs.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    last = None
    try:
        for _ in range(KILLS):
            last = kill_worker(mount, last)
            drop_from_page_cache(mount / "m" / "weights.bin")
            threading.Event().wait(chance.uniform(0, 0.3))
            assert checker.poll() is None, checker.stdout.read()
        successor_of(mount, last)
    finally:
        walker.stop_now = True
        walker.join(60)
        if checker.poll() is None:
            checker.send_signal(signal.SIGTERM)
        output = checker.communicate(timeout=60)[0]
    print(f"{KILLS} kills, {walker.rounds} rounds, the longest {walker.longest:.2f} s; {output}")
    assert not walker.problems
    assert checker.returncode == -signal.SIGTERM, output
    # Who opened the file before the first kill still reads it, and so does who opens it now.
    drop_from_page_cache(mount / "m" / "weights.bin")
    with open(reference / "weights.bin", "rb") as wanted:
        for offset in range(0, SIZE, 16 * MIB):
            wanted.seek(offset)
            assert os.pread(held.fileno(), 100_000, offset) == wanted.read(100_000)
    held.close()
    compare(mount / "m" / "weights.bin", reference / "weights.bin")


def test_a_worker_that_hangs_is_replaced(mount, folder):
    reference = folder / "origin" / "models" / "m" / "weights.bin"
    compare(mount / "m" / "weights.bin", reference, 0, MIB)
    pid = worker_of(mount)
    os.kill(pid, signal.SIGSTOP)
    compare(mount / "m" / "weights.bin", reference, 100 * MIB, 101 * MIB)
    assert successor_of(mount, pid)


@pytest.mark.timeout(120)
def test_commands_wait_for_the_successor(modelfs, mount):
    """Between two workers nobody answers on the control socket; that is no reason to say that there is no daemon."""
    pid = worker_of(mount)
    for words in [("status", "--json", mount.path), ("status", "--json"), ("status", "--json", mount.path / "m"), ("verify", mount.path / "m")] * 2:
        os.kill(pid, signal.SIGKILL)
        result = programs.check(modelfs.run(*words))
        if words[0] == "status":
            daemons = [json.loads(line) for line in result.stdout.splitlines()]  # others may run beside ours
            assert str(mount.path) in [each["mountpoint"] for daemon in daemons for each in daemon["mounts"]]
        pid = successor_of(mount, pid)


def test_a_killed_reader_of_a_dead_worker_goes_away(mount, folder):
    """While nobody answers, a reader can still be killed once there is a successor."""
    drop_from_page_cache(mount / "m" / "weights.bin")
    pid = worker_of(mount)
    reader = subprocess.Popen(["cat", mount / "m" / "weights.bin"], stdout=subprocess.DEVNULL)
    os.kill(pid, signal.SIGKILL)
    reader.kill()
    assert reader.wait(20) == -signal.SIGKILL


def test_the_mount_can_be_unmounted_after_a_death(modelfs, mount):
    assert len(os.listdir(mount / "m")) == 21
    successor_of(mount, kill_worker(mount))
    mount.unmount()
    wait_for(lambda: not modelfs.processes(), "the daemon ends with its last mount")
