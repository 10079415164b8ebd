"""`modelfs ensure --copy` in the place of the download of a start script: no mount, no daemon, and never half a model."""

import os
import random
import shutil
import threading
import time

import pytest

from harness import mlflow, programs
from harness.mounting import is_mounted
from harness.servers import Versitygw
from harness.splice_proxy import SpliceProxy
from harness.waiting import wait_for

MIB = 1 << 20
IN_FLIGHT = 64 * MIB  # 16 pieces of 4 MiB
BIG = IN_FLIGHT + 16 * MIB
RECORD = ".modelfs-copy"

# The start script, with one line instead of its download.
SCRIPT = """
set -e
MODEL=$("$MODELFS" ensure --copy)
test -f "$MODEL/MLmodel"
echo "$MODEL"
"""


@pytest.fixture(scope="module")
def storage(scratch):
    (scratch / "copy-s3").mkdir()
    s3 = Versitygw(scratch / "copy-s3")
    yield s3
    s3.stop()


@pytest.fixture(scope="module")
def server(scratch, storage):
    """Models of scikit-learn, and `big`: a folder with a big file, small ones and an empty one, in S3."""
    keys = mlflow.s3_variables(storage)
    server = mlflow.Mlflow(scratch / "copy", "--no-serve-artifacts", "--default-artifact-root", "s3://models/copy", **keys)
    server.predictions = server.register("set_fit_model", 2, **keys)
    server.set_alias("set_fit_model", "champion", 1)
    small = {f"part/{n // 10}/{n}.bin": f"{n}" * 2000 for n in range(40)} | {"MLmodel": "flavors: {}\n", "empty": "", "big.bin": "later"}
    assert server.add_files("big", small, **keys) == 1
    stored = next((storage.root / "models/copy").rglob("big.bin"))
    content = os.urandom(BIG)
    storage.client().put_object(Bucket="models", Key=str(stored.relative_to(storage.root / "models")), Body=content)
    server.big = {name: text.encode() for name, text in small.items()} | {"big.bin": content}
    yield server
    server.stop()


class Copies:
    """Runs `ensure --copy` with the variables of the start script."""

    def __init__(self, modelfs, server, storage):
        self.modelfs, self.server = modelfs, server
        self.models = modelfs.folder / "src/models"
        self.proxy = SpliceProxy(storage.port)
        self.variables = server.environment() | mlflow.s3_variables(self.proxy) | {
            "MODELFS": str(programs.MODELFS), "LOCAL_MODEL_PATH": str(self.models), "MLFLOW_MODEL_NAME": "big", "MLFLOW_MODEL_VERSION": "1"}

    def script(self, version="1", name="set_fit_model", **variables):
        environment = self.modelfs.environment | self.variables | {"MLFLOW_MODEL_NAME": name, "MLFLOW_MODEL_VERSION": version} | variables
        return programs.run(["/bin/sh", "-c", SCRIPT], environment, 120)

    def run(self, *arguments, **variables):
        return self.modelfs.run("ensure", "--copy", *arguments, **self.variables | variables)

    def start(self):
        return self.modelfs.start("ensure", "--copy", **self.variables)

    @property
    def place(self):
        return self.models / "big/1"

    @property
    def staging(self):
        return self.models / "big/.1.modelfs-copy"

    def kept_bytes(self):
        """What the journal of an unfinished copy tells of: lines of file, begin, end and hash."""
        try:
            lines = (self.staging / "journal").read_text().split("\n")[1:-1]
        except FileNotFoundError:
            return 0
        return sum(int(line.split(" ")[2]) - int(line.split(" ")[1]) for line in lines)

    def fetched_by(self, work):
        before = self.proxy.received()
        work()
        return self.proxy.received() - before

    def is_right(self, path):
        found = {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file() and file.name != RECORD}
        return found == self.server.big


@pytest.fixture
def copies(modelfs, server, storage):
    copies = Copies(modelfs, server, storage)
    yield copies
    copies.proxy.thaw()
    copies.proxy.close()


@pytest.mark.timeout(300)
def test_takes_the_place_of_the_download(copies, server, modelfs):
    """Must show 6."""
    for version, number in [("1", 1), ("2", 2), ("latest", 2), ("@champion", 1)]:
        result = programs.check(copies.script(version))
        assert result.stdout == f"{copies.models}/set_fit_model/{number}\n"
    where = copies.models / "set_fit_model/1"
    assert mlflow.run_python(server.folder, mlflow.LOAD, where, MLFLOW_TRACKING_URI="http://127.0.0.1:1", **mlflow.QUIET) == [server.predictions["1"]]
    assert not is_mounted(copies.models) and not modelfs.processes(), "neither FUSE nor a daemon"
    assert sorted(os.listdir(copies.models / "set_fit_model")) == [".1.modelfs-lock", ".2.modelfs-lock", "1", "2"]
    # A second run asks nobody, so that it works while the servers are down.
    result = programs.check(copies.script("1", MLFLOW_TRACKING_URI="http://127.0.0.1:1"))
    assert "whole already" in result.stderr and result.stdout == f"{where}\n"


@pytest.mark.timeout(300)
def test_is_what_mlflow_downloads(copies, server, storage, folder):
    programs.check(copies.run())
    assert copies.is_right(copies.place)
    own = folder / "own"
    code = "import json, sys, mlflow\nmlflow.artifacts.download_artifacts('models:/big/1', dst_path=sys.argv[1])\nprint(json.dumps(1))"
    server.run(code, own, **mlflow.s3_variables(storage))
    (own / "registered_model_meta").unlink(missing_ok=True)  # what its client adds
    assert copies.is_right(own)


@pytest.mark.timeout(300)
def test_goes_through_a_server_that_keeps_the_files_itself(scratch, folder, modelfs, storage):
    own = mlflow.Mlflow(folder / "server", "--artifacts-destination", folder / "artifacts", "--gunicorn-opts", "--timeout 600")
    try:  # Flask sends a file as a whole: one stream
        own.add_files("big", {"MLmodel": "x", "big.bin": "later", "empty": ""})
        content = os.urandom(9 * MIB + 17)
        next((folder / "artifacts").rglob("big.bin")).write_bytes(content)
        own.big = {"MLmodel": b"x", "big.bin": content, "empty": b""}
        copies = Copies(modelfs, own, storage)
        programs.check(copies.run(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""))
        assert copies.is_right(copies.place)
        copies.proxy.close()
    finally:
        own.stop()


@pytest.mark.timeout(120)
def test_two_at_once_download_once(copies, modelfs):
    def both():
        copies.proxy.freeze()
        processes = [copies.start(), copies.start()]
        wait_for(lambda: "waiting for process" in (modelfs.folder / "started.log").read_text(), "the second waits for the first")
        copies.proxy.thaw()
        assert [process.wait(60) for process in processes] == [0, 0]

    assert copies.fetched_by(both) < sum(map(len, copies.server.big.values())) + MIB
    assert copies.is_right(copies.place)
    log = (modelfs.folder / "started.log").read_text()
    assert log.count(f"{copies.place}\n") == 2 + log.count("waiting for process"), log


def begin_and_kill(copies):
    """A run that is killed when more has come than can be in flight; returns how many bytes are kept."""
    copies.proxy.hold_after(IN_FLIGHT + 8 * MIB)
    process = copies.start()
    wait_for(lambda: copies.kept_bytes() >= 4 * MIB, "a piece is written")
    process.kill()
    process.wait(30)
    assert not copies.place.exists()
    copies.proxy.thaw()
    return copies.kept_bytes()


@pytest.mark.timeout(120)
def test_goes_on_where_a_killed_run_was(copies):
    kept = begin_and_kill(copies)
    total = sum(map(len, copies.server.big.values()))
    fetched = copies.fetched_by(lambda: programs.check(copies.run()))
    assert fetched < total - kept + MIB, (fetched, total, kept)
    assert copies.is_right(copies.place) and not copies.staging.exists()


@pytest.mark.timeout(120)
def test_does_not_believe_what_was_damaged_meanwhile(copies):
    begin_and_kill(copies)
    with open(copies.staging / "files/big.bin", "r+b") as file:  # as a power failure may leave it
        file.truncate(0)
    with open(copies.staging / "journal", "a") as journal:
        journal.write("0 0 41943")  # a line that was cut off
    programs.check(copies.run())
    assert copies.is_right(copies.place)


@pytest.mark.timeout(900)
def test_killed_at_random_the_next_run_is_right(copies):
    """Must show 6."""
    seed = int(os.environ.get("MODELFS_SEED", random.randrange(1 << 32)))
    print(f"MODELFS_SEED={seed}")
    chance = random.Random(seed)
    begun = time.monotonic()
    programs.check(copies.run())
    usual = time.monotonic() - begun
    sizes = {name: len(content) for name, content in copies.server.big.items()}
    looking, over, half = threading.Lock(), threading.Event(), []

    def look():
        while not over.is_set():
            with looking:
                if copies.place.exists():
                    missing = [name for name, size in sizes.items()
                               if not (copies.place / name).exists() or (copies.place / name).stat().st_size != size]
                    half.extend(missing)
            over.wait(0.001)

    def forget():
        with looking:
            shutil.rmtree(copies.place, ignore_errors=True)

    looker = threading.Thread(target=look)
    looker.start()
    finished = killed = 0
    try:
        forget()
        while killed < int(os.environ.get("MODELFS_COPY_KILLS", 10)):
            by_time = chance.random() < 0.5
            if not by_time:
                copies.proxy.hold_after(int(chance.random() * BIG))
            process = copies.start()
            if by_time:
                over.wait(chance.random() * usual)
            else:
                wait_for(lambda: copies.proxy.held() or process.poll() is not None, "bytes come", 60)
            if process.poll() is None:
                killed += 1
                process.kill()
            else:
                finished += 1
            process.wait(30)
            copies.proxy.thaw()
            if copies.place.exists():
                assert copies.is_right(copies.place)
                forget()
            elif chance.random() < 0.3:
                programs.check(copies.run())
                assert copies.is_right(copies.place)
                forget()
        result = copies.script(name="big")
    finally:
        over.set()
        looker.join()
    print(f"killed {killed} times, finished before {finished} times, a run takes {usual:.2f} s")
    assert programs.check(result).stdout == f"{copies.place}\n"
    assert copies.is_right(copies.place)
    assert not half, "the folder was seen when it was not whole"


@pytest.mark.timeout(300)
def test_says_what_is_wrong_and_what_there_is(copies):
    for variables, words in [
        ({"name": "nope"}, ["'nope'", "set_fit_model"]),
        ({"version": "7"}, ["'7'", "1, 2, @champion"]),
        ({"version": "01"}, ["'01'", "1, 2"]),
        ({"version": "@nope"}, ["'@nope'", "@champion"]),
        ({"version": "v1"}, ["MLFLOW_MODEL_VERSION", "v1"]),
        ({"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}, ["127.0.0.1:1"]),
        ({"LOCAL_MODEL_PATH": "/proc/models"}, ["/proc/models"]),
    ]:
        begun = time.monotonic()
        result = copies.script(**variables)
        assert time.monotonic() - begun < 20, variables
        assert result.returncode == 1 and result.stdout == "", (variables, result.stdout)
        assert all(word in result.stderr for word in words), result.stderr
        assert result.stderr.count("\n") == 1, result.stderr
    assert not copies.models.exists()
    assert copies.run("--wait").returncode == 2


@pytest.mark.timeout(120)
def test_never_takes_for_whole_what_it_did_not_make(copies):
    """What the old script left behind may be half a download."""
    copies.place.mkdir(parents=True)
    programs.check(copies.run())  # an empty folder is nothing
    shutil.rmtree(copies.place)
    copies.place.mkdir()
    (copies.place / "MLmodel").write_text("half")
    result = copies.run()
    assert result.returncode == 1 and str(copies.place) in result.stderr and "half a download" in result.stderr
    assert (copies.place / "MLmodel").read_text() == "half"
    shutil.rmtree(copies.place)
    programs.check(copies.run())
    os.truncate(copies.place / "big.bin", 5)
    result = copies.run()
    assert result.returncode == 1 and "big.bin has 5 bytes instead of" in result.stderr, result.stderr


@pytest.fixture
def small_disk(copies):
    copies.models.mkdir(parents=True)
    programs.check(programs.run(["mount", "-t", "tmpfs", "-o", "size=8m", "modelfs-test", copies.models], copies.modelfs.environment))
    yield copies.models
    programs.run(["umount", "-l", copies.models], copies.modelfs.environment)


@pytest.mark.timeout(120)
def test_disks_that_are_full_or_read_only(copies, small_disk):
    result = copies.run()
    assert result.returncode == 1 and "more are needed" in result.stderr and str(small_disk) in result.stderr, result.stderr
    programs.check(programs.run(["mount", "-o", "remount,ro", small_disk], copies.modelfs.environment))
    result = copies.run(MLFLOW_MODEL_NAME="set_fit_model")
    assert result.returncode == 1 and "Read-only file system" in result.stderr, result.stderr
    programs.check(programs.run(["mount", "-o", "remount,rw,size=160m", small_disk], copies.modelfs.environment))
    programs.check(copies.run())
    assert copies.is_right(copies.place)


@pytest.mark.timeout(120)
def test_a_disk_that_others_fill_meanwhile(copies, small_disk):
    programs.check(programs.run(["mount", "-o", "remount,size=100m", small_disk], copies.modelfs.environment))
    copies.proxy.hold_after(MIB)
    process = copies.start()
    wait_for(lambda: copies.proxy.held(), "the first MiB comes")
    with open(small_disk / "others", "wb", buffering=0) as others, pytest.raises(OSError, match="No space left"):
        while True:
            others.write(bytes(MIB))
    copies.proxy.thaw()
    assert process.wait(60) == 1
    log = (copies.modelfs.folder / "started.log").read_text()
    assert "No space left on device" in log and not copies.place.exists(), log
    (small_disk / "others").unlink()
    programs.check(copies.run())
    assert copies.is_right(copies.place)


@pytest.mark.timeout(120)
def test_a_mount_needs_no_copies(copies, modelfs):
    modelfs.mounts.append(copies.models)
    programs.check(modelfs.run("ensure", "--cache", modelfs.folder / "cache", **copies.variables))
    result = copies.run()
    assert result.returncode == 1 and "is a mount of modelfs" in result.stderr, result.stderr
