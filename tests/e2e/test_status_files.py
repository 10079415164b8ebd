"""`.modelfs/`: a mount's status as files, on a mount of an MLflow registry."""

import contextlib
import errno
import json
import os
import threading

import pytest

from harness import mlflow, programs
from harness.splice_proxy import SpliceProxy
from harness.waiting import wait_for
from harness.worker import kill_worker, successor_of

MIB = 1 << 20
SIZE = 16 * MIB
CONTENT = ("0123456789abcde\n" * (SIZE // 16)).encode()


@pytest.fixture(scope="module")
def server(scratch):
    server = mlflow.Mlflow(scratch / "status", "--artifacts-destination", scratch / "status-artifacts")
    server.add_files("big", {"big.bin": CONTENT.decode(), "small": "tiny"})
    server.add_files("big", {"small": "tiny"})
    server.set_alias("big", "champion", 1)
    yield server
    server.stop()


@pytest.fixture
def proxy(server):
    proxy = SpliceProxy(server.port)
    yield proxy
    proxy.thaw()
    proxy.close()


@pytest.fixture
def mount(modelfs, proxy):
    return mlflow.mount(modelfs, proxy)


def read_json(path):
    return json.loads(path.read_text())


def run_program(*command):
    return programs.check(programs.run(command, programs.clean_environment("/"))).stdout


@pytest.mark.timeout(300)
def test_progress_grows_while_a_file_streams_in(mount, proxy):
    progress = mount / ".modelfs/big/1/progress.json"
    assert read_json(progress)["total_bytes"] is None, "nobody has asked for the files yet, and nobody is asked now"
    assert sorted(os.listdir(mount / "big/1")) == ["big.bin", "small"]
    assert read_json(progress) == {"model": "big", "version": 1, "files": 2, "total_bytes": SIZE + 4, "cached_bytes": 0}
    proxy.hold_after(SIZE // 2)
    read = []
    reader = threading.Thread(target=lambda: read.append((mount / "big/1/big.bin").read_bytes()))
    reader.start()
    try:
        wait_for(proxy.held, "half of it was sent")
        some = wait_for(lambda: read_json(progress)["cached_bytes"], "some of it is told")
        assert 0 < some < SIZE
    finally:
        proxy.thaw()
        reader.join(120)
    assert read == [CONTENT]
    wait_for(lambda: read_json(progress)["cached_bytes"] == SIZE, "all of it is told")
    assert read_json(mount / ".modelfs/big/@champion/progress.json") == read_json(progress)
    assert mount.status()["mounts"][0]["sources"][0]["versions"] == [read_json(progress)]


@pytest.mark.timeout(300)
def test_tells_what_the_control_socket_tells(mount):
    os.listdir(mount / "big/2")
    assert (mount / "big/2/small").read_bytes() == b"tiny"
    told = mount.wait_idle()
    read = read_json(mount / ".modelfs/status.json")
    assert read.keys() == told.keys() - {"jobs"}
    assert read["mounts"][0]["sources"] == told["mounts"][0]["sources"]
    assert read["cache"] | {"filesystem_free_bytes": 0} == told["cache"] | {"filesystem_free_bytes": 0}
    assert (mount / ".modelfs/version").read_text().strip() == read["version"] == told["version"]


@pytest.mark.timeout(300)
def test_is_a_read_only_directory_beside_the_models(mount, modelfs):
    assert os.listdir(mount.path) == ["big"], "whoever lists the root wants models"
    listing = run_program("ls", "-la", mount / ".modelfs").splitlines()[1:]
    assert sorted((line[:10], line.split()[-1]) for line in listing) == [
        ("-r--r--r--", "status.json"), ("-r--r--r--", "version"), ("dr-xr-xr-x", "."), ("dr-xr-xr-x", ".."), ("dr-xr-xr-x", "big")]
    found = run_program("find", mount / ".modelfs", "-type", "f", "-printf", "%P\n").split()
    assert sorted(found) == ["big/1/progress.json", "big/2/progress.json", "status.json", "version"]
    assert json.loads(run_program("cat", mount / ".modelfs/status.json"))["healthy"] is True
    for attempt in (lambda: open(mount / ".modelfs/status.json", "w"), lambda: open(mount / ".modelfs/status.json", "a"),
                    lambda: open(mount / ".modelfs/new", "x"), lambda: os.mkdir(mount / ".modelfs/new"),
                    lambda: os.unlink(mount / ".modelfs/version"), lambda: os.truncate(mount / ".modelfs/version", 0),
                    lambda: os.rename(mount / ".modelfs/version", mount / ".modelfs/other")):
        with pytest.raises(OSError) as refused:
            attempt()
        assert refused.value.errno == errno.EROFS
    # Nothing of it is the cache's.
    programs.check(modelfs.run("warm", mount / ".modelfs"))
    status = mount.status()["cache"]
    assert status["objects"] == 0 and status["fetched_bytes"] == 0


@pytest.mark.timeout(300)
def test_goes_on_after_a_worker_died_and_while_the_server_is_down(mount, proxy):
    assert (mount / "big/2/small").read_bytes() == b"tiny"
    mount.wait_idle()
    progress, status = mount / ".modelfs/big/2/progress.json", mount / ".modelfs/status.json"
    before, numbers = read_json(progress), [os.stat(path).st_ino for path in (progress, status)]
    with contextlib.ExitStack() as stack:
        begun = stack.enter_context(open(status, "rb", buffering=0))
        fresh = stack.enter_context(open(status, "rb", buffering=0))
        os.pread(begun.fileno(), 10, 0)
        proxy.freeze()
        successor_of(mount, kill_worker(mount))
        assert read_json(progress) == before
        assert [os.stat(path).st_ino for path in (progress, status)] == numbers
        assert json.loads(os.pread(fresh.fileno(), MIB, 0))["pid"] == mount.status()["pid"]
        with pytest.raises(OSError) as refused:  # The rest of a text that died with its worker.
            os.pread(begun.fileno(), 10, 10)
        assert refused.value.errno == errno.ESTALE
