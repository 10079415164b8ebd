"""Aliases that move while models are read."""

import base64
import hashlib
import hmac
import os
import threading
import time
import urllib.error
import urllib.request
import uuid

import pytest

from harness import canaries, mlflow
from harness.servers import free_port
from harness.waiting import wait_for

SECRET = canaries.secret("webhook")


@pytest.fixture(scope="module")
def server(scratch):
    server = mlflow.Mlflow(scratch / "promotion", "--artifacts-destination", scratch / "promotion-artifacts")
    # Two versions of several files, each of which says in every line whose it is.
    for version in (1, 2):
        files = {f"part{n}": f"version {version}\n" * (2000 * n) for n in range(1, 5)}
        assert server.add_files("flip", files) == version
    server.set_alias("flip", "champion", 1)
    yield server
    server.stop()


@pytest.mark.timeout(600)
def test_every_file_read_during_200_flips_is_wholly_one_version(server, modelfs):
    """Must show 4."""
    mount = mlflow.mount(modelfs, server, "--alias-poll", "100ms")
    model = mount / "flip"
    done, wrong, seen = threading.Event(), [], set()

    def read(number):
        while not done.is_set():
            try:
                for part in range(1, 5):
                    data = (model / f"@champion/part{part}").read_bytes()
                    version = data[8:9]
                    seen.add(version)
                    if data != b"version " + version + b"\n" + data[10:] or data != data[:10] * (2000 * part):
                        wrong.append((number, part, len(data)))
            except OSError as error:
                wrong.append((number, repr(error)))
                return

    readers = [threading.Thread(target=read, args=(n,)) for n in range(8)]
    for reader in readers:
        reader.start()
    try:
        for flip in range(200):
            server.set_alias("flip", "champion", 2 - flip % 2)
        target = os.readlink(model / "@champion")
        wait_for(lambda: os.readlink(model / "@champion") == "1", f"the last flip is seen (now {target})", 10)
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not wrong, wrong[:5]
    assert seen == {b"1", b"2"}


@pytest.mark.timeout(300)
def test_open_files_stay_on_the_version_that_they_were_opened_on(server, modelfs):
    server.set_alias("flip", "champion", 1)
    mount = mlflow.mount(modelfs, server, "--alias-poll", "100ms")
    with open(mount / "flip/@champion/part4", "rb", buffering=0) as file:
        assert file.read(10) == b"version 1\n"
        server.set_alias("flip", "champion", 2)
        wait_for(lambda: os.readlink(mount / "flip/@champion") == "2", "the alias moves", 10)
        assert file.read() == b"version 1\n" * (2000 * 4 - 1)
        assert (mount / "flip/@champion/part4").read_bytes() == b"version 2\n" * 8000


@pytest.mark.timeout(300)
def test_a_deleted_version_disappears_and_open_files_go_on(server, modelfs):
    version = server.add_files("doomed", {"a": "a" * 100})
    mount = mlflow.mount(modelfs, server, "--listing-ttl", "1s", "--alias-poll", "1s")
    with open(mount / f"doomed/{version}/a", "rb") as file:
        server.call("DELETE", "model-versions/delete", name="doomed", version=str(version))
        wait_for(lambda: str(version) not in os.listdir(mount / "doomed"), "the version disappears", 15)
        assert file.read() == b"a" * 100


def sign(secret, body, identifier=None, at=None):
    """Headers of MLflow's webhooks for `body`."""
    identifier, at = identifier or str(uuid.uuid4()), str(int(at or time.time()))
    mac = hmac.new(secret.encode(), f"{identifier}.{at}.".encode() + body, hashlib.sha256).digest()
    return {"X-MLflow-Delivery-Id": identifier, "X-MLflow-Timestamp": at, "X-MLflow-Signature": "v1," + base64.b64encode(mac).decode()}


def post(port, body, headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/webhooks/mlflow", body, headers, method="POST")
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.timeout(300)
def test_a_signed_webhook_flips_within_a_second_and_no_other_does(server, modelfs):
    """Must show 4. Polling is off, so that nothing else can move the alias."""
    secret = modelfs.folder / "secret"
    secret.write_text(SECRET + "\n")
    port = free_port()
    server.set_alias("flip", "champion", 1)
    mount = mlflow.mount(modelfs, server, "--alias-poll", "0", "--listing-ttl", "1h", "--http", f"127.0.0.1:{port}",
                       "--webhook-secret-file", secret)
    assert os.readlink(mount / "flip/@champion") == "1"
    body = b'{"entity": "model_version_alias", "action": "created", "data": {"name": "flip", "alias": "champion", "version": "2"}}'
    server.set_alias("flip", "champion", 2)
    assert post(port, body, {}) == 401
    assert post(port, body, sign("wrong", body)) == 401
    assert post(port, body, sign(SECRET, body + b" ")) == 401
    assert post(port, body, sign(SECRET, body, at=time.time() - 400)) == 401
    assert os.readlink(mount / "flip/@champion") == "1"
    headers = sign(SECRET, body)
    assert post(port, body, headers) == 200
    begun = time.monotonic()
    wait_for(lambda: os.readlink(mount / "flip/@champion") == "2", "the alias moves", 5)
    assert time.monotonic() - begun < 1.0
    server.set_alias("flip", "champion", 1)
    assert post(port, body, headers) == 200  # a retry is no error, and does nothing
    with pytest.raises(AssertionError):
        wait_for(lambda: os.readlink(mount / "flip/@champion") == "1", "a replay moves nothing", 2)
    # MLflow itself calls it.
    created = server.call("POST", "webhooks", name="modelfs", url=f"http://127.0.0.1:{port}/webhooks/mlflow", secret=SECRET,
                          status="ACTIVE", events=[{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}])
    try:
        server.set_alias("flip", "champion", 1)
        wait_for(lambda: os.readlink(mount / "flip/@champion") == "1", "MLflow's own webhook moves the alias", 60)
    finally:
        server.call("DELETE", f"webhooks/{created['webhook']['webhook_id']}")


@pytest.mark.timeout(300)
def test_with_warm_an_alias_moves_when_the_bytes_are_there(server, modelfs):
    server.set_alias("flip", "champion", 1)
    mount = mlflow.mount(modelfs, server, "--alias-poll", "200ms", "--promotion-warm", "full")
    assert (mount / "flip/@champion/part1").read_bytes() == b"version 1\n" * 2000
    server.set_alias("flip", "champion", 2)
    wait_for(lambda: os.readlink(mount / "flip/@champion") == "2", "the alias moves", 30)
    source = mount.status()["mounts"][0]["sources"][0]
    total = sum((mount / f"flip/2/part{n}").stat().st_size for n in range(1, 5))
    assert source["cached_bytes"] >= total, "all of version 2 is here before anybody has read it"
    assert mount.status()["mounts"][0]["pending_switches"] == []
