"""A configuration that changes under a living mount."""

import os
import pathlib
import signal
import threading

import pytest

from harness import programs
from harness.data import MIB
from harness.waiting import wait_for
from harness.worker import kill_worker, successor_of


def source(name, origin, prefix):
    return f'[[source]]\nname = "{name}"\nuri = "s3://models/{prefix}"\nendpoint = "{origin.url}"\nanonymous = true\n'


class Config:
    """A file as Kubernetes mounts a ConfigMap: a new folder, and one symlink that is swapped."""

    def __init__(self, folder):
        self.folder, self.number = folder / "config", 0
        self.folder.mkdir()
        self.path = self.folder / "modelfs.toml"

    def write(self, text):
        self.number += 1
        (self.folder / f"..v{self.number}").mkdir()
        (self.folder / f"..v{self.number}" / "modelfs.toml").write_text(text)
        os.symlink(f"..v{self.number}", self.folder / "..new")
        os.rename(self.folder / "..new", self.folder / "..data")
        if not self.path.is_symlink():
            os.symlink("..data/modelfs.toml", self.path)


@pytest.fixture
def origin(start_origin, folder):
    for name in ("a", "b", "c"):
        (folder / "origin" / "models" / name).mkdir(parents=True)
        (folder / "origin" / "models" / name / "data.bin").write_bytes(name.encode() * MIB)
    return start_origin()


@pytest.fixture
def config(folder):
    return Config(folder)


def mount_with(modelfs, config):
    return modelfs.mount(arguments=["--config", config.path])


def state(mount):
    return mount.status()["mounts"][0]["config"]


def log_of(mount):
    return pathlib.Path(mount.status()["log"])


def test_sources_come_and_go(modelfs, origin, config):
    config.write(source("a", origin, "a") + source("b", origin, "b"))
    mount = mount_with(modelfs, config)
    assert sorted(os.listdir(mount.path)) == ["a", "b"]
    with open(mount / "a" / "data.bin", "rb") as kept:
        config.write(source("b", origin, "b") + source("c", origin, "c"))
        wait_for(lambda: sorted(os.listdir(mount.path)) == ["b", "c"], "the sources change")
        assert (mount / "c" / "data.bin").read_bytes() == b"c" * MIB
        wait_for(lambda: not os.path.exists(mount / "a"), "the kernel forgets the removed one", 5)
        assert kept.read() == b"a" * MIB, "an open file of a removed source goes on"
    config.write(source("b", origin, "a"))
    wait_for(lambda: os.listdir(mount.path) == ["b"] and (mount / "b" / "data.bin").read_bytes() == b"a" * MIB, "the source is another")
    assert state(mount) == {"file": str(config.path), "problem": "", "restart_needed": []}


def test_files_of_a_source_that_came_with_a_reload_outlive_the_worker(modelfs, origin, config):
    config.write(source("a", origin, "a"))
    mount = mount_with(modelfs, config)
    config.write(source("c", origin, "c"))
    wait_for(lambda: os.listdir(mount.path) == ["c"], "the sources change")
    with open(mount / "c" / "data.bin", "rb", buffering=0) as held:
        number = os.fstat(held.fileno()).st_ino
        successor_of(mount, kill_worker(mount))
        assert held.read() == b"c" * MIB  # nothing of it was asked for before
        assert os.listdir(mount.path) == ["c"] and os.stat(mount / "c" / "data.bin").st_ino == number


def test_a_bad_file_is_told_and_the_running_configuration_kept(modelfs, origin, config):
    good = source("a", origin, "a")
    config.write(good)
    mount = mount_with(modelfs, config)
    for bad, words in (("[[source]\n", "modelfs.toml:1"), ("", "source"), ("cach_size = 1\n" + good, "cach_size"),
                       (good + source("x", origin, "../b"), "x"), (good + good, "both named"),
                       (good + '[[source]]\nname = "n"\nuri = "s3://no-such-bucket"\nendpoint = "%s"\nanonymous = true\n' % origin.url, "no-such-bucket")):
        config.write(bad)
        wait_for(lambda w=words: w in state(mount)["problem"], f"{words} is told")
        assert os.listdir(mount.path) == ["a"] and (mount / "a" / "data.bin").read_bytes() == b"a" * MIB
        assert "not taken" in modelfs.run("status").stdout
    config.write(good + source("b", origin, "b"))
    wait_for(lambda: sorted(os.listdir(mount.path)) == ["a", "b"], "a good file is taken")
    assert state(mount)["problem"] == ""
    log = log_of(mount).read_text()
    assert "config.rejected" in log and "config.applied" in log


def test_limits_change_at_once_and_what_cannot_is_named(modelfs, origin, config):
    text = source("a", origin, "a")
    config.write(text)
    mount = mount_with(modelfs, config)
    config.write('cache_size = "1GiB"\nfree_floor = "100MiB"\nlog_level = "debug"\nchunk_size = "4MiB"\numask = "077"\n' + text)
    wait_for(lambda: state(mount)["restart_needed"] == ["umask", "chunk_size"], "the file is read")
    assert "chunk_size" in modelfs.run("status").stdout
    config.write(text)
    wait_for(lambda: not state(mount)["restart_needed"], "it is as it was")


def test_sighup_reads_it_again(modelfs, origin, config):
    config.write(source("a", origin, "a"))
    mount = mount_with(modelfs, config)
    log = log_of(mount)
    wait_for(lambda: log.read_text().count("config.applied") == 1, "the first reading")
    os.kill(mount.status()["supervisor_pid"], signal.SIGHUP)
    wait_for(lambda: log.read_text().count("config.applied") == 2, "the signal arrives")
    assert os.listdir(mount.path) == ["a"]


def test_a_new_worker_has_the_new_configuration(modelfs, origin, config):
    config.write(source("a", origin, "a"))
    mount = mount_with(modelfs, config)
    config.write(source("b", origin, "b"))
    wait_for(lambda: os.listdir(mount.path) == ["b"], "the source changes")
    os.kill(mount.status()["pid"], signal.SIGKILL)

    def listed():
        try:
            return os.listdir(mount.path) == ["b"]
        except OSError:
            return False

    wait_for(listed, "the new worker has read it")


def test_twenty_reloads_under_load(modelfs, origin, config):
    """Every third one is broken; readers of the source that stays see nothing of it."""
    stays = source("a", origin, "a")
    config.write(stays)
    mount = mount_with(modelfs, config)
    stop, failures, reads = threading.Event(), [], [0]

    def read():
        while not stop.is_set():
            try:
                with open(mount / "a" / "data.bin", "rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                    if file.read() != b"a" * MIB:
                        failures.append("wrong bytes")
                if os.listdir(mount / "a") != ["data.bin"]:
                    failures.append("wrong names")
                reads[0] += 1
            except OSError as error:
                failures.append(repr(error))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        for number in range(20):
            if number % 3 == 2:
                config.write(stays + f"[[source]]\nbroken = {number}\n")
                wait_for(lambda n=number: "broken" in state(mount)["problem"], f"reload {number} is rejected")
            else:
                name = f"n{number}"
                config.write(stays + source(name, origin, "b") + f'[timeouts]\nlisting_ttl = "{number + 1}s"\n')
                wait_for(lambda n=name: n in os.listdir(mount.path), f"reload {number} is applied")
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert not failures, failures[:3]
    assert reads[0] > 20
    programs.check(modelfs.run("status"))
