"""Daemons that are upgraded, and supervisors that die: who reads goes on reading.

`MODELFS_HANDOVERS` is how often each is done (default 6; the whole battery: 100). What was measured goes to
`build/handover.json`.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time

import pytest

import release_before
from harness import programs
from harness.data import MIB, compare, random_file
from harness.mounting import Commands, is_mounted
from harness.servers import EmbeddedOrigin
from harness.waiting import wait_for
from harness.worker import successor_of, worker_of
from figures import note, spread
from probe import Probe

TIMES = int(os.environ.get("MODELFS_HANDOVERS", 6))
SIZE = 128 * MIB
RESEND = pytest.mark.parametrize("resend", ["auto", "off"])

pytestmark = pytest.mark.timeout(1200)


def in_ms(seconds):
    return spread([1000 * each for each in seconds])


@pytest.fixture
def origin(folder):
    random_file(folder / "origin" / "models" / "m" / "weights.bin", SIZE)
    server = EmbeddedOrigin(folder, folder / "origin", "--latency", "2ms", "--total-rate", "300MiB")
    yield server
    server.stop()


@pytest.fixture
def reference(folder):
    return folder / "origin" / "models" / "m" / "weights.bin"


@contextlib.contextmanager
def readers(mount, reference, modelfs):
    """Eight threads that read and map at random, a process of its own, and a Probe, which is returned."""
    checker = subprocess.Popen(
        [programs.READ_CHECKER, "--file", mount / "m" / "weights.bin", "--reference", reference, "--count", "100000000",
         "--threads", "8", "--min", "1", "--max", str(MIB), "--mmap-share", "0.5"],
        env=modelfs.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    probe = Probe(mount / "m" / "weights.bin", reference)
    probe.start()
    try:
        wait_for(lambda: len(probe.reads) > 20 or probe.problems, "the probe reads")
        yield probe
        assert checker.poll() is None, checker.stdout.read()
    finally:
        checker.terminate()
        checker.communicate(timeout=60)
    probe.stop()


def supervisor_of(mount):
    return mount.status()["supervisor_pid"]


def kill(*pids):
    """Kills processes, children of others, and waits until they are gone."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        wait_for(lambda pid=pid: not alive(pid), f"process {pid} ends")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def mount_again(modelfs, mount, origin, *arguments):
    words = modelfs.mount_arguments(["m=s3://models/m"], origin.url, mount.cache, arguments)
    return modelfs.run("mount", *words, mount.path)


@RESEND
def test_live_upgrade(modelfs, origin, reference, folder, resend):
    """The mount goes over to a copy of the program and back, and nobody notices more than a moment."""
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url, arguments=["--resend", resend])
    other = folder / "modelfs-next"
    shutil.copy2(modelfs.program, other)
    supervisor = supervisor_of(mount)
    gaps = []
    with readers(mount, reference, modelfs) as probe:
        for number in range(2 * (TIMES // 2)):
            program = [other, modelfs.program][number % 2]
            worker = worker_of(mount)
            begun = time.monotonic()
            upgraded = programs.check(programs.run([program, "upgrade", mount.path], modelfs.environment))
            assert "serves what" in upgraded.stdout
            gaps.append(probe.longest(begun, time.monotonic()))
            assert worker_of(mount) != worker
            for pid in (worker_of(mount), supervisor):
                assert os.readlink(f"/proc/{pid}/exe") == str(program)
    assert supervisor_of(mount) == supervisor
    note("handover", f"upgrade, resend {resend}", {"gap_ms": in_ms(gaps)})


if os.environ.get("MODELFS_BATTERY") == "whole":  # it builds the release before, which takes minutes

    def test_upgrade_from_the_release_before(modelfs, origin, reference, folder, tmp_path_factory):
        """A daemon of the last release becomes this one, and back."""
        found = release_before.find()
        if found is None:
            pytest.skip("the release before cannot be had: the history of this clone does not reach back to it")
        old = release_before.build(found[0], tmp_path_factory.mktemp("release"))
        commands = Commands(folder, program=old)
        mount = commands.mount("m=s3://models/m", endpoint=origin.url)
        assert mount.status()["version"] == found[1]
        gaps = []
        with readers(mount, reference, modelfs) as probe:
            for number in range(2 * (TIMES // 2)):
                program = [modelfs.program, old][number % 2]
                begun = time.monotonic()
                programs.check(programs.run([program, "upgrade", mount.path], modelfs.environment))
                gaps.append(probe.longest(begun, time.monotonic()))
                assert (mount.status()["version"] == found[1]) == (number % 2 == 1)
        assert not commands.clean_up()
        note("handover", "upgrade from the release before and back", {"release": found[1], "gap_ms": in_ms(gaps)})


def test_a_program_that_is_none_is_refused(modelfs, origin, reference):
    """An upgrade to what cannot go on from here changes nothing."""
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url)
    worker = worker_of(mount)
    socket = mount.status()["log"].removesuffix(".log") + ".sock"
    for program, wanted in [("/bin/false", "cannot go on"), ("/nonexistent", "open /nonexistent"), (str(reference), "cannot go on")]:
        answer = programs.run(["curl", "-sS", "--unix-socket", socket, "-d", json.dumps({"program": program}),
                               "http://localhost/api/v1/upgrade"], modelfs.environment)
        assert wanted in answer.stdout, answer.stdout + answer.stderr
    assert worker_of(mount) == worker
    compare(mount / "m" / "weights.bin", reference, 0, 4 * MIB)


def test_a_supervisor_dies(modelfs, origin, reference):
    """The worker serves on and says that it is alone; the next start becomes its supervisor, and replaces it when it dies, too."""
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url)
    stalls = []
    with readers(mount, reference, modelfs) as probe:
        for _ in range(TIMES):
            begun, worker = time.monotonic(), worker_of(mount)
            kill(supervisor_of(mount))
            status = mount.status()
            assert (status["supervisor_pid"], status["healthy"], status["pid"]) == (0, False, worker)
            assert "supervisor is gone" in status["problem"]
            programs.check(mount_again(modelfs, mount, origin))
            status = mount.status()
            assert status["pid"] == worker and alive(status["supervisor_pid"]) and status["healthy"]
            kill(worker)
            successor_of(mount, worker)
            stalls.append(probe.longest(begun, time.monotonic()))
    note("handover", "supervisor killed, adopted, worker killed", {"stall_ms": in_ms(stalls)})


def test_both_die(modelfs, origin, reference):
    """Nothing is left to serve the mount: the next start makes it afresh in the same place, and not on top."""
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url)
    for _ in range(TIMES):
        compare(mount / "m" / "weights.bin", reference, 0, 8 * MIB)
        kill(supervisor_of(mount), worker_of(mount))
        with pytest.raises(OSError):
            os.listdir(mount.path)
        programs.check(mount_again(modelfs, mount, origin))
        with open("/proc/self/mountinfo", encoding="utf-8") as table:
            assert sum(line.split(" ")[4] == str(mount.path) for line in table) == 1
    compare(mount / "m" / "weights.bin", reference)
    note("handover", "both killed", {"mounted_again": TIMES})


@pytest.fixture
def holder(modelfs, folder):
    socket = folder / "hold.sock"
    process = modelfs.start("hold", socket, "--patience", "20s")
    wait_for(socket.exists, "the holder listens")
    yield socket
    process.terminate()
    assert process.wait(20) == 0


@RESEND
def test_both_die_beside_a_holder(modelfs, origin, reference, holder, resend):
    """Readers wait until the next start has come, and see no error."""
    arguments = ["--hold", holder, "--resend", resend]
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url, arguments=arguments)
    stalls = []
    with readers(mount, reference, modelfs) as probe:
        for _ in range(TIMES):
            begun = time.monotonic()
            kill(supervisor_of(mount), worker_of(mount))
            programs.check(mount_again(modelfs, mount, origin, *arguments))
            stalls.append(probe.longest(begun, time.monotonic()))
    mount.unmount()
    note("handover", f"both killed, held, resend {resend}", {"stall_ms": in_ms(stalls)})


def test_a_holder_loses_patience(modelfs, origin, reference, folder):
    """Nobody comes for a mount: its readers get an error in the end, and do not hang."""
    socket = folder / "hold.sock"
    process = modelfs.start("hold", socket, "--patience", "1s")
    wait_for(socket.exists, "the holder listens")
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url, arguments=["--hold", socket])
    with open(mount / "m" / "weights.bin", "rb", buffering=0) as held:
        kill(supervisor_of(mount), worker_of(mount))
        with pytest.raises(OSError):
            os.pread(held.fileno(), MIB, 64 * MIB)
    programs.check(mount_again(modelfs, mount, origin, "--hold", socket))
    compare(mount / "m" / "weights.bin", reference, 0, 8 * MIB)
    mount.unmount()
    assert not is_mounted(mount.path)
    process.terminate()
    assert process.wait(20) == 0


@RESEND
def test_workers_die(modelfs, origin, reference, resend):
    """As often as it is, also on a kernel that cannot send a request again."""
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url, arguments=["--resend", resend])
    stalls = []
    with readers(mount, reference, modelfs) as probe:
        for _ in range(4 * TIMES):
            begun, worker = time.monotonic(), worker_of(mount)
            kill(worker)
            successor_of(mount, worker)
            stalls.append(probe.longest(begun, time.monotonic()))
    note("handover", f"worker killed, resend {resend}", {"stall_ms": in_ms(stalls)})
