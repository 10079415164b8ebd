"""Many names: what listing them costs in requests and memory, and that listings outlive the daemon."""

import os
import re
import signal

import pytest

from harness import programs
from harness.waiting import wait_for

KEYS = 100_000
PREFIXES = int(os.environ.get("MODELFS_E2E_PREFIXES", "5000"))
MEMORY_LIMIT = 150 << 20  # resident, of the worker
SANITIZED = "MODELFS_SANITIZER" in os.environ


def put_many(origin, names):
    """Objects of a few bytes each, in the memory of the origin."""
    names = list(names)
    for begin in range(0, len(names), 10_000):
        origin.control("objects", [{"bucket": "models", "key": name, "size": 100 + i % 1000, "seed": i}
                                   for i, name in enumerate(names[begin:begin + 10_000])])


def resident_anonymous(pid):
    """Memory of the process that is not a mapped file."""
    text = open(f"/proc/{pid}/status", encoding="ascii").read()
    return int(re.search(r"RssAnon:\s+(\d+) kB", text)[1]) << 10


def names_and_sizes(path):
    with os.scandir(path) as entries:
        return {entry.name: entry.stat(follow_symlinks=False).st_size for entry in entries}


@pytest.fixture
def flat(start_origin):
    origin = start_origin()
    put_many(origin, (f"flat/part-of-a-model-{i:06d}.safetensors" for i in range(KEYS)))
    return origin


def test_a_flat_prefix_of_100000_keys(flat, modelfs):
    options = ["--anonymous", "--listing-ttl", "1h"]
    mount = modelfs.mount("s3://models/flat", endpoint=flat.url, arguments=options)
    top = mount / "models"
    before = flat.stats()
    found = names_and_sizes(top)
    assert len(found) == KEYS and found["part-of-a-model-000007.safetensors"] == 107
    after = flat.stats()
    assert after["list_requests"] - before["list_requests"] <= 101
    assert after["heads"] == before["heads"] and after["object_gets"] == before["object_gets"]

    lines = programs.check(programs.run(["find", top, "-type", "f", "-size", "-2000c"], modelfs.environment, 120)).stdout.count("\n")
    assert lines == KEYS
    assert flat.stats()["list_requests"] == after["list_requests"], "asked again within listing_ttl"
    resident = resident_anonymous(mount.status()["pid"])
    assert SANITIZED or resident <= MEMORY_LIMIT, f"{resident >> 20} MiB resident"

    # A later daemon finds the listing in the index.
    mount.unmount()
    mount = modelfs.mount("s3://models/flat", endpoint=flat.url, arguments=options)
    requests = flat.stats()["list_requests"]
    assert names_and_sizes(mount / "models") == found
    assert flat.stats()["list_requests"] == requests
    resident = resident_anonymous(mount.status()["pid"])
    assert SANITIZED or resident <= MEMORY_LIMIT, f"{resident >> 20} MiB resident after a restart"


def test_many_small_prefixes_and_deep_paths(start_origin, modelfs):
    origin = start_origin()
    put_many(origin, (f"many/prefix-{i:05d}/weights.bin" for i in range(PREFIXES)))
    deep = "/".join(["level"] * 100)
    put_many(origin, [f"many/{deep}/end.bin", "many/marked/", "many/both", "many/both/inside.bin"])
    mount = modelfs.mount("s3://models/many", endpoint=origin.url, arguments=["--anonymous", "--listing-ttl", "1h"])
    top = mount / "models"
    begun = origin.stats()["list_requests"]
    assert len(os.listdir(top)) == PREFIXES + 3
    assert origin.stats()["list_requests"] - begun <= PREFIXES // 1000 + 1
    found = programs.check(programs.run(["find", top, "-name", "weights.bin"], modelfs.environment, 600)).stdout.splitlines()
    assert len(found) == PREFIXES
    assert origin.stats()["list_requests"] - begun <= PREFIXES + PREFIXES // 1000 + 110
    assert (top / deep / "end.bin").stat().st_size > 0
    assert os.listdir(top / "marked") == []
    assert os.listdir(top / "both") == ["inside.bin"]
    resident = resident_anonymous(mount.status()["pid"])
    assert SANITIZED or resident <= MEMORY_LIMIT, f"{resident >> 20} MiB resident"


def test_listings_serve_on_while_the_origin_is_down_and_the_worker_is_new(start_origin, modelfs):
    origin = start_origin()
    put_many(origin, ["down/a/b/c.bin", "down/d.bin"])
    mount = modelfs.mount("s3://models/down", endpoint=origin.url, arguments=["--anonymous", "--listing-ttl", "0s"])
    top = mount / "models"
    assert sorted(os.listdir(top)) == ["a", "d.bin"] and os.listdir(top / "a" / "b") == ["c.bin"]
    mount.unmount()  # A killed worker may not have committed them yet.
    mount = modelfs.mount("s3://models/down", endpoint=origin.url, arguments=["--anonymous", "--listing-ttl", "0s"])
    top = mount / "models"
    old = mount.status()["pid"]
    origin.stop()
    os.kill(old, signal.SIGKILL)

    def replaced():
        try:
            return mount.status()["pid"] not in (0, old) and mount.mounted()
        except (AssertionError, OSError, ValueError, KeyError, IndexError):
            return False

    wait_for(replaced, "another worker serves", 60)
    assert sorted(os.listdir(top)) == ["a", "d.bin"]
    assert os.listdir(top / "a" / "b") == ["c.bin"]
