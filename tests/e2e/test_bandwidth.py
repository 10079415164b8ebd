"""A limit on what all downloads together bring in a second."""

import time

import pytest

from harness.data import MIB, random_file
from harness.waiting import wait_for

LIMIT = 8 * MIB
AHEAD = 0.4  # seconds: what somebody waits for may come 0.25 s before its time, and 0.05 s of an unused limit are kept


@pytest.fixture
def files(folder):
    return [random_file(folder / "origin" / "models" / f"{name}.bin", 24 * MIB) for name in "abcd"]


def time_to_read(path, reference):
    begun = time.monotonic()
    assert path.read_bytes() == reference.read_bytes()
    return time.monotonic() - begun


def limit_of(mount):
    return mount.status()["cache"]["bandwidth_limit"]


def test_a_download_takes_what_it_must_until_the_limit_is_another(modelfs, start_origin, folder, files):
    origin = start_origin()
    config = folder / "modelfs.toml"

    def write(limit):
        config.write_text(f'bandwidth_limit = "{limit}"\n[[source]]\nname = "m"\nuri = "s3://models"\nendpoint = "{origin.url}"\nanonymous = true\n')

    write("8MiB")
    mount = modelfs.mount(arguments=["--config", config])
    assert limit_of(mount) == LIMIT
    least = 24 * MIB / LIMIT
    limited = time_to_read(mount / "m" / "a.bin", files[0])
    assert least - AHEAD < limited < 4 * least
    write("0")
    wait_for(lambda: limit_of(mount) == 0, "the configuration is read again")
    assert time_to_read(mount / "m" / "b.bin", files[1]) < least / 2
    write("4MiB")
    wait_for(lambda: limit_of(mount) == LIMIT // 2, "the configuration is read again")
    assert time_to_read(mount / "m" / "c.bin", files[2]) > 2 * least - AHEAD
    assert mount.status()["mounts"][0]["config"]["restart_needed"] == []


def test_who_waits_goes_first(modelfs, start_origin, folder, files):
    origin = start_origin()
    mount = modelfs.mount("m=s3://models", endpoint=origin.url, arguments=["--bandwidth-limit", "4MiB"])
    (mount / "m").stat()
    warm = modelfs.start("warm", mount / "m" / "a.bin", mount / "m" / "b.bin")
    try:
        wait_for(lambda: mount.status()["cache"]["fetched_bytes"] > 2 * MIB, "the download goes on")
        begun = time.monotonic()
        with open(mount / "m" / "d.bin", "rb", buffering=0) as file:
            assert file.read(4096) == files[3].read_bytes()[:4096]
        waited = time.monotonic() - begun
        assert warm.poll() is None, "the download is over, so this shows nothing"
        assert waited < 3, "it waited for the others"
        assert warm.wait(60) == 0
    finally:
        if warm.poll() is None:
            warm.kill()
            warm.wait(10)


def test_a_directory_source_is_limited_too(modelfs, folder, files):
    mount = modelfs.mount(f"m=dir:{folder}/origin/models", arguments=["--bandwidth-limit", "8MiB"])
    assert time_to_read(mount / "m" / "a.bin", files[0]) > 24 * MIB / LIMIT - AHEAD


def test_a_limit_that_is_none_is_refused(modelfs, folder):
    result = modelfs.run("mount", "--bandwidth-limit", "fast", "--source", f"m=dir:{folder}", "--cache", folder / "c", modelfs.new_mount_point())
    assert result.returncode == 2 and "bandwidth" in result.stderr
