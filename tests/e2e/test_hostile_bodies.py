"""The corpus of hostile answers to reads, over S3, from a web server and through MLflow: right bytes or an error with its reason, never others."""

import pathlib
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import programs
from harness.raw_server import plain
from harness.waiting import wait_for

sys.path.insert(0, str(programs.REPOSITORY / "tests"))
from corpus import hostile_bodies  # noqa: E402
from harness.hostile import check_log  # noqa: E402
from harness.three_faces import FACES, ThreeFaces  # noqa: E402

CASES = list(hostile_bodies.cases())
READ_TIMEOUT = 1.0
NAMES = [f"bad-{n:04}" for n in range(len(CASES))] + [f"good-{n:04}" for n in range(len(CASES))]


def answer(request, name):
    """The answer to a GET of the object `name`."""
    first, last = request.range or (0, hostile_bodies.TOTAL - 1)
    kind, _, number = name.partition("-")
    if kind == "bad":
        return CASES[int(number)][1](first, last), False
    if request.range:
        return hostile_bodies.honest(first, last), True
    return plain(hostile_bodies.CONTENT, "200 OK", "ETag: " + hostile_bodies.ETAG.decode())


def read(path):
    """What a reader gets: the bytes or the error, and after how long."""
    begun = time.monotonic()
    try:
        return path.read_bytes(), time.monotonic() - begun
    except OSError as error:
        return error, time.monotonic() - begun


@pytest.mark.timeout(600)
@pytest.mark.parametrize("face", FACES)
def test_hostile_bodies(face, modelfs):
    assert len(CASES) >= 400
    origin = ThreeFaces(face, NAMES, hostile_bodies.TOTAL, hostile_bodies.ETAG.decode(), hostile_bodies.MODIFIED.decode(), answer)
    try:
        mount, folder = origin.mount(modelfs, "--read-timeout", f"{READ_TIMEOUT:.0f}s")
        worker = mount.status()["pid"]
        assert len(list(folder.iterdir())) == len(NAMES)

        def both(number):
            hostile = read(folder / f"bad-{number:04}")
            # An honest object beside it is not hurt, and does not wait.
            return hostile, read(folder / f"good-{number:04}")

        with ThreadPoolExecutor(16) as readers:
            results = list(readers.map(both, range(len(CASES))))
        late, refused, whole = [], [], 0
        status = mount.status()
        log = pathlib.Path(status["log"])
        for number, ((label, _), ((got, seconds), (good, took))) in enumerate(zip(CASES, results)):
            assert good == hostile_bodies.CONTENT, (label, good, took, re.findall(rb".*/good-%04d.*" % number, log.read_bytes()))
            if isinstance(got, OSError):
                (late if seconds >= 0.9 * READ_TIMEOUT else refused).append((number, label))
                continue
            assert got == hostile_bodies.CONTENT, f"{label}: wrong bytes"
            whole += 1
        print(f"{face}: {len(refused)} refused at once, {len(late)} not in time, {whole} read")
        assert len(refused) + len(late) >= 150 and whole >= 60
        assert results[-1][0][0] == hostile_bodies.CONTENT, "the honest answer at the end of the corpus"
        assert status["pid"] == worker, ("the worker died on the way", re.findall(rb".* (?:supervisor|worker|watchdog)\..*", log.read_bytes()))

        def unexplained():
            said = set(re.findall(rb"object\.fetch_failed object=\S*/bad-(\d{4}) code=\w+ error=\"\S", log.read_bytes()))
            return [label for number, label in refused if b"%04d" % number not in said]

        wait_for(lambda: not unexplained(), "every refusal has its reason in the log")
        check_log(status)
    finally:
        origin.close()
