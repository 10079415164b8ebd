"""One daemon per cache directory: how it starts, is joined, answers and ends."""

import os
import signal
import subprocess
import threading

import pytest

from harness import programs
from harness.data import MIB, at_once, compare, random_file
from harness.mounting import is_mounted
from harness.splice_proxy import SpliceProxy
from harness.waiting import wait_for


@pytest.fixture
def source(folder):
    random_file(folder / "data" / "a.bin", 40 * MIB + 5)
    random_file(folder / "data" / "sub" / "b.bin", 3 * MIB)
    return f"dir:{folder}/data"


@pytest.fixture(scope="module")
def on_s3(s3):
    s3.client().put_object(Bucket="models", Key="daemon/a", Body=b"a" * (10 * MIB))


def test_a_second_mount_on_the_same_cache_joins(modelfs, s3, on_s3):
    first = modelfs.mount("daemon=s3://models/daemon", endpoint=s3.url)
    before = set(modelfs.processes())
    compared = (first / "daemon" / "a").read_bytes()
    requests = s3.requests()
    second = modelfs.mount("daemon=s3://models/daemon", endpoint=s3.url)
    assert set(modelfs.processes()) == before, "another daemon for the same cache directory"
    assert (second / "daemon" / "a").read_bytes() == compared
    assert s3.requests() == requests, "the two mounts do not share the cache"
    assert {mount["mountpoint"] for mount in first.status()["mounts"]} == {str(first.path), str(second.path)}
    first.unmount()
    assert (second / "daemon" / "a").read_bytes() == compared
    second.unmount()
    wait_for(lambda: not modelfs.processes(), "the daemon ends with its last mount")


def test_eight_mounts_at_once_on_one_cache(modelfs, source, folder):
    points = [modelfs.new_mount_point()]
    for number in range(1, 8):
        points.append(folder / f"at-once-{number}")
        points[-1].mkdir()
    at_once(8, lambda at: modelfs.mount(source, at=at), points)
    for at in points:
        compare(at / "data" / "a.bin", folder / "data" / "a.bin")
    daemons = {modelfs.run("status", "--json", at).stdout.split('"pid":')[1].split(",")[0] for at in points}
    assert len(daemons) == 1


def test_two_cache_directories_are_two_daemons(modelfs, source, folder):
    first = modelfs.mount(source, cache=folder / "cache-a")
    second = modelfs.mount(source, cache=folder / "cache-b")
    assert first.status()["pid"] != second.status()["pid"]
    second.unmount()
    compare(first / "data" / "a.bin", folder / "data" / "a.bin")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_unmounts_cleanly(modelfs, s3, on_s3, number):
    at = modelfs.new_mount_point()
    modelfs.mounts.append(at)
    process = modelfs.start("mount", *modelfs.mount_arguments(["daemon=s3://models/daemon"], s3.url, modelfs.folder / "cache"), "--foreground", at)
    wait_for(lambda: is_mounted(at) or process.poll() is not None, "it mounts")
    body = (at / "daemon" / "a").read_bytes()
    process.send_signal(number)
    assert process.wait(20) == 0
    assert not is_mounted(at)
    wait_for(lambda: not modelfs.processes(), "all its processes end")
    requests = s3.requests()
    again = modelfs.mount("daemon=s3://models/daemon", endpoint=s3.url)
    assert (again / "daemon" / "a").read_bytes() == body
    assert s3.requests() == requests, "what was read before the signal was not kept"


def test_a_terminated_background_daemon_unmounts(modelfs, source):
    mount = modelfs.mount(source)
    os.kill(mount.status()["supervisor_pid"], signal.SIGTERM)
    wait_for(lambda: not mount.mounted(), "it unmounts")
    wait_for(lambda: not modelfs.processes(), "all its processes end")


def test_a_busy_mount_says_so_and_goes_on(modelfs, source, folder):
    mount = modelfs.mount(source)
    with open(mount / "data" / "a.bin", "rb"):
        result = modelfs.run("umount", mount.path)
        assert result.returncode == 1 and "busy" in result.stderr
        compare(mount / "data" / "a.bin", folder / "data" / "a.bin")
    mount.unmount()


def test_an_unmount_by_others_ends_the_daemon(modelfs, source):
    mount = modelfs.mount(source)
    programs.check(programs.run(["umount", mount.path], modelfs.environment))
    wait_for(lambda: not modelfs.processes(), "the daemon ends")


def test_umount_ends_although_the_origin_hangs(start_origin, modelfs, folder):
    random_file(folder / "origin" / "models" / "m" / "a.bin", 64 * MIB)
    origin = start_origin()
    proxy = SpliceProxy(origin.port)
    mount = modelfs.mount("m=s3://models/m", endpoint=proxy.url, arguments=["--anonymous"])
    os.listdir(mount / "m")
    proxy.freeze()
    reader = threading.Thread(target=lambda: pytest.raises(OSError, (mount / "m" / "a.bin").read_bytes), daemon=True)
    reader.start()
    wait_for(lambda: mount.status()["mounts"][0]["parked_requests"] > 0, "a reader waits")
    os.kill(mount.status()["supervisor_pid"], signal.SIGTERM)
    wait_for(lambda: not mount.mounted() and not modelfs.processes(), "it ends", 20)
    reader.join(10)
    assert not reader.is_alive(), "the reader hangs"


def test_status_tells_what_is_documented(modelfs, source, folder):
    mount = modelfs.mount(source)
    compare(mount / "data" / "a.bin", folder / "data" / "a.bin")
    wait_for(lambda: mount.status()["cache"]["cached_bytes"] == 40 * MIB + 5, "what was read is on disk")
    status = mount.status()
    assert status["healthy"] is True and status["problem"] == ""
    assert status["pid"] in modelfs.processes() and status["supervisor_pid"] in modelfs.processes()
    assert status["uptime_seconds"] >= 0 and status["version"]
    cache = status["cache"]
    assert cache["directory"] == str(mount.cache)
    assert cache["chunk_size_bytes"] == MIB
    assert cache["io_backend"] in ("io_uring", "threads")
    assert cache["objects"] == 1 and cache["cached_bytes"] == 40 * MIB + 5
    assert cache["fetched_bytes"] == 40 * MIB + 5 and cache["fetch_requests"] > 0
    assert cache["filesystem_bytes"] >= cache["filesystem_free_bytes"] > 0
    assert 0 <= cache["buffer_bytes"] <= cache["buffer_limit_bytes"]
    assert cache["quarantined_chunks"] == 0 and cache["uncached_writes"] == 0
    (entry,) = status["mounts"]
    assert entry["mountpoint"] == str(mount.path) and entry["parked_requests"] == 0 and entry["allow_other"] is False
    (shown,) = entry["sources"]
    assert shown["name"] == "data" and shown["uri"] == source
    assert shown["cached_bytes"] == 40 * MIB + 5 <= shown["total_bytes"]
    for words in (["status", mount.path], ["status"]):
        text = programs.check(modelfs.run(*words)).stdout
        assert str(mount.path) in text and "data" in text


def test_interrupted_readers_end(start_origin, modelfs, folder):
    """A reader that waits for a dead origin can be killed; the mount goes on."""
    random_file(folder / "origin" / "models" / "m" / "a.bin", 64 * MIB)
    origin = start_origin()
    proxy = SpliceProxy(origin.port)
    mount = modelfs.mount("m=s3://models/m", endpoint=proxy.url, arguments=["--anonymous"])
    os.listdir(mount / "m")
    proxy.freeze()
    parked = lambda: mount.status()["mounts"][0]["parked_requests"]
    # A direct read is interrupted by the kernel; the read-ahead of a buffered one is left alone.
    for command in (["dd", "iflag=direct", "bs=1M", f"if={mount / 'm' / 'a.bin'}"], ["cat", mount / "m" / "a.bin"]):
        reader = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: parked() > 0, "a reader waits")
        reader.kill()
        reader.wait(10)
        if command[0] == "dd":
            wait_for(lambda: parked() == 0, "its requests are answered")
    proxy.thaw()
    compare(mount / "m" / "a.bin", folder / "origin" / "models" / "m" / "a.bin")
