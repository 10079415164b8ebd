"""warm, verify and doctor."""

import os

import pytest

from harness import programs
from harness.data import MIB, compare, random_file
from harness.splice_proxy import SpliceProxy


@pytest.fixture
def origin(start_origin, folder):
    """The embedded origin with a bucket `models`, two models in it, and a proxy that can freeze it."""
    for name in ("one/a.bin", "one/sub/b.bin", "two/c.bin"):
        random_file(folder / "origin" / "models" / name, 20 * MIB + len(name))
    server = start_origin()
    server.proxy = SpliceProxy(server.port)
    yield server
    server.proxy.close()


@pytest.fixture
def mount(origin, modelfs):
    return modelfs.mount("s3://models", endpoint=origin.proxy.url, arguments=["--anonymous"])


def cached(path):
    return int(os.getxattr(path, "user.modelfs.cached"))


def test_warm_makes_whole_what_is_named_and_nothing_else(modelfs, mount, origin, folder):
    result = programs.check(modelfs.run("warm", mount / "models" / "one"))
    assert "100" in result.stdout + result.stderr
    for name in ("one/a.bin", "one/sub/b.bin"):
        assert cached(mount / "models" / name) == (folder / "origin" / "models" / name).stat().st_size
    assert cached(mount / "models" / "two" / "c.bin") == 0
    before = origin.proxy.received()
    compare(mount / "models" / "one" / "a.bin", folder / "origin" / "models" / "one" / "a.bin")
    assert origin.proxy.received() == before
    programs.check(modelfs.run("warm", mount / "models" / "one", mount / "models" / "two" / "c.bin"))
    assert cached(mount / "models" / "two" / "c.bin") == 20 * MIB + 9


def test_warm_fails_when_not_all_can_be_had(modelfs, mount, folder):
    os.listdir(mount / "models" / "one")
    (folder / "origin" / "models" / "one" / "a.bin").unlink()
    result = modelfs.run("warm", mount / "models" / "one")
    assert result.returncode == 1
    assert "a.bin" in result.stderr


def test_warm_of_what_is_not_there(modelfs, mount):
    result = modelfs.run("warm", mount / "models" / "three")
    assert result.returncode == 1 and "three" in result.stderr


def test_verify_finds_a_flipped_byte_and_the_next_read_mends_it(modelfs, mount, origin, folder):
    original = folder / "origin" / "models" / "one" / "a.bin"
    programs.check(modelfs.run("warm", mount / "models" / "one"))
    programs.check(modelfs.run("verify"))
    mount.unmount()

    (data,) = [path for path in (mount.cache / "objects").rglob("data") if path.stat().st_size == original.stat().st_size]
    data.chmod(0o600)
    with open(data, "r+b") as file:
        file.seek(5 * MIB + 123)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))

    again = modelfs.mount("s3://models", endpoint=origin.proxy.url, arguments=["--anonymous"])
    result = modelfs.run("verify", again / "models" / "one")
    assert result.returncode == 1
    assert "a.bin" in result.stdout + result.stderr
    compare(again / "models" / "one" / "a.bin", original)
    programs.check(modelfs.run("verify"))


def test_a_flipped_byte_never_reaches_a_reader(modelfs, mount, origin, folder):
    original = folder / "origin" / "models" / "two" / "c.bin"
    compare(mount / "models" / "two" / "c.bin", original)
    mount.unmount()
    (data,) = (mount.cache / "objects").rglob("data")
    data.chmod(0o600)
    with open(data, "r+b") as file:
        file.seek(7 * MIB)
        file.write(bytes(4096))
    again = modelfs.mount("s3://models", endpoint=origin.proxy.url, arguments=["--anonymous"])
    compare(again / "models" / "two" / "c.bin", original)
    assert again.status()["cache"]["quarantined_chunks"] == 1


def test_doctor_is_content_here(modelfs, mount):
    result = programs.check(modelfs.run("doctor"))
    for word in ("fuse", "io_uring", "cache"):
        assert word in result.stdout.lower(), result.stdout


def test_doctor_names_what_is_wrong(modelfs, folder):
    result = modelfs.run("doctor", "--source", "s3://models/x", "--endpoint", "http://127.0.0.1:1", "--cache", folder / "cache")
    assert result.returncode == 1
    assert "127.0.0.1:1" in result.stdout + result.stderr
