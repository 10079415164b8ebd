"""The corpus of hostile directories of web servers and of MLflow: safely shown or refused with a reason, and nothing leaves the mount."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import programs
from harness.hostile import check_log, safe
from harness.raw_server import RawServer, plain

sys.path.insert(0, str(programs.REPOSITORY / "tests"))
from corpus import hostile_directories, hostile_listings  # noqa: E402
from harness.three_faces import NO_PAGE, mlflow_answer, mlflow_version  # noqa: E402

WEB = list(hostile_directories.web_cases())
ARTIFACTS = list(hostile_directories.mlflow_cases())


def walk(top, directory, label):
    """Lists what is below `directory`, two levels deep; returns how many names, or None where it was refused."""
    try:
        names = os.listdir(directory)
    except OSError:
        return None
    assert len(names) == len(set(names)), label
    for name in names[:50]:
        safe(name)
        path = os.path.join(directory, name)
        assert os.path.realpath(path).startswith(top + b"/"), label
        try:
            if os.path.isdir(path):
                for inner in os.listdir(path)[:20]:
                    safe(inner)
        except OSError:
            pass
    return len(names)


def check(mount, top, directories, labels):
    worker = mount.status()["pid"]
    root = os.path.realpath(top)
    with ThreadPoolExecutor(8) as readers:
        results = list(readers.map(lambda pair: walk(root, *pair), zip(directories, labels)))
    refused = sum(result is None for result in results)
    print(f"{refused} refused, {len(results) - refused} shown")
    status = mount.status()
    assert status["pid"] == worker, "the worker died on the way"
    return results, check_log(status)


@pytest.mark.timeout(600)
def test_hostile_web_directories(modelfs):
    def respond(request):
        path = request.path
        if path == b"/web/":
            entries = [{"name": f"case-{n:04}", "type": "directory"} for n in range(len(WEB))]
            return plain(json.dumps(entries).encode(), "200 OK", "Content-Type: application/json")
        if request.method == "HEAD":
            return plain(b"x", "200 OK", 'ETag: "x"')[0][:-1], True
        if path.startswith(b"/web/case-") and path.count(b"/") == 3 and path.endswith(b"/"):
            _, kind, body = WEB[int(path[len(b"/web/case-") : -1])]
            return plain(body, "200 OK", "Content-Type: " + kind)
        return plain(b"<html></html>" if path.endswith(b"/") else b"none", "404 Not Found")

    assert len(WEB) >= 500
    origin = RawServer(respond)
    try:
        mount = modelfs.mount(f"m={origin.url}/web/", arguments=["--read-timeout", "5s"])
        top = os.fsencode(mount / "m")
        results, log = check(mount, top, [os.path.join(top, b"case-%04d" % n) for n in range(len(WEB))], [case[0] for case in WEB])
        refused = sum(result is None for result in results)
        assert refused >= 20 and len(results) - refused >= 400
        assert log.count(b"listing.failed") >= refused
    finally:
        origin.close()


@pytest.mark.timeout(600)
def test_hostile_mlflow_catalogs(modelfs):
    """Models of every hostile name, and a model whose versions are hostile lists of artifacts."""
    versions = [mlflow_version(n + 1, f"mlflow-artifacts:/1/{n}") for n in range(len(ARTIFACTS))]
    names = [raw.decode("latin-1") for raw in hostile_listings.NAMES] + ["m"]

    def respond(request):
        path = request.path.decode("latin-1")
        asked_for = versions[int(request.query["version"]) - 1] if "version" in request.query else None
        if answer := mlflow_answer(path, names, versions if request.query.get("filter", "") == "name='m'" else [], asked_for):
            return answer
        if path == "/api/2.0/mlflow-artifacts/artifacts":
            number, _, below = request.query["path"].removeprefix("1/").partition("/")
            return plain(ARTIFACTS[int(number)][1] if not below else b'{"files": []}')
        return plain(NO_PAGE, "404 Not Found")

    assert len(ARTIFACTS) >= 500
    origin = RawServer(respond)
    try:
        mount = modelfs.mount(f"mlflow:{origin.url}", arguments=["--read-timeout", "5s"], AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
        top = os.fsencode(mount.path)
        shown = os.listdir(top)
        for name in shown:
            safe(name)
        assert len(shown) >= 100 and b"m" in shown
        results, log = check(mount, top, [os.path.join(top, b"m", b"%d" % (n + 1)) for n in range(len(ARTIFACTS))], [case[0] for case in ARTIFACTS])
        refused = sum(result is None for result in results)
        assert refused >= 20 and len(results) - refused >= 400
        assert log.count(b"registry.manifest_failed") >= refused
    finally:
        origin.close()
