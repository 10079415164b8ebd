"""What a reader will want next is fetched before it asks: by an earlier load, by the file's structure, by habit."""

import json
import os
import random
import struct
import time

import pytest

from harness.data import MIB, drop_from_page_cache, random_file, read_exactly
from harness.pieces import PIECE, cached, open_for_pieces, read_pieces
from harness.waiting import wait_for

SIZE = 96 * MIB


@pytest.fixture
def reference(folder):
    return random_file(folder / "origin" / "models" / "1" / "model.weights", SIZE)


@pytest.fixture
def origin(reference, start_origin):
    return start_origin("--latency", "20ms")


def pieces(seed, count=9):
    """Two fifths of the file's pieces, in no order."""
    return random.Random(seed).sample(range(SIZE // PIECE), count)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_next_load_gets_what_the_last_one_read(modelfs, origin, reference, seed):
    which = pieces(seed)
    mount = modelfs.mount("m=s3://models", endpoint=origin.url)
    path = mount / "m" / "1" / "model.weights"
    with open_for_pieces(path) as file:
        read_pieces(file, reference, which)
    drop_from_page_cache(path)
    modelfs.run("evict", path)
    assert cached(mount) == 0
    with open_for_pieces(path) as file:
        read_pieces(file, reference, which[:1])
        wait_for(lambda: cached(mount) >= len(which) * PIECE, "the rest of them comes by itself", 10)
        assert cached(mount) <= len(which) * PIECE * 1.05, "more was fetched than was read the last time"
        read_pieces(file, reference, which)


def test_the_next_version_is_loaded_like_the_last_one(modelfs, origin, reference):
    which = pieces(3)
    other = random_file(reference.parents[1] / "2" / "model.weights", SIZE)
    mount = modelfs.mount("m=s3://models", endpoint=origin.url)
    with open_for_pieces(mount / "m" / "1" / "model.weights") as file:
        read_pieces(file, reference, which)
    before = cached(mount)
    mount.unmount()
    mount = modelfs.mount("m=s3://models", endpoint=origin.url)
    with open_for_pieces(mount / "m" / "2" / "model.weights") as file:
        read_pieces(file, other, which[:1])
        wait_for(lambda: cached(mount) - before >= len(which) * PIECE, "the rest of them comes by itself", 10)
        assert cached(mount) - before <= len(which) * PIECE * 1.05


def test_a_load_that_changed_its_mind_gets_its_bytes(modelfs, origin, reference):
    mount = modelfs.mount("m=s3://models", endpoint=origin.url)
    path = mount / "m" / "1" / "model.weights"
    with open_for_pieces(path) as file:
        read_pieces(file, reference, pieces(4))
    drop_from_page_cache(path)
    modelfs.run("evict", path)
    with open_for_pieces(path) as file:
        read_pieces(file, reference, pieces(5, SIZE // PIECE))


def test_tensors_in_any_order_are_a_wish_for_all(modelfs, origin, reference):
    mount = modelfs.mount("m=s3://models", endpoint=origin.url)
    with open_for_pieces(mount / "m" / "1" / "model.weights") as file:
        read_pieces(file, reference, pieces(6, 6))
        wait_for(lambda: cached(mount) == SIZE, "all of it comes", 20)


def test_what_nobody_waits_for_any_more_is_not_fetched(modelfs, folder, reference, start_origin):
    slow = start_origin("--latency", "20ms", "--total-rate", "20MiB")
    mount = modelfs.mount("m=s3://models", endpoint=slow.url)
    with open_for_pieces(mount / "m" / "1" / "model.weights") as file:
        read_pieces(file, reference, pieces(7, 4))
    assert cached(mount) < SIZE * 0.8, "the plan of a reader that has gone was carried out"


def safetensors(path, tensors, size):
    header = {f"layer.{i}": {"dtype": "U8", "shape": [size], "data_offsets": [i * size, (i + 1) * size]} for i in range(tensors)}
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for _ in range(tensors):
            out.write(os.urandom(size))
    return path


def test_the_structure_of_a_file_is_a_plan(modelfs, folder, start_origin):
    reference = safetensors(folder / "origin" / "models" / "model.safetensors", 12, 4 * MIB)
    origin = start_origin("--latency", "20ms")
    mount = modelfs.mount("m=s3://models", endpoint=origin.url)
    path = mount / "m" / "model.safetensors"
    with open_for_pieces(path) as file:
        assert read_exactly(file.fileno(), 8, 0) == reference.read_bytes()[:8]
        assert cached(mount) <= 4 * MIB, "the header alone is no load"
        middle = 20 * MIB
        assert read_exactly(file.fileno(), 4096, middle) == reference.read_bytes()[middle:middle + 4096]
        wait_for(lambda: cached(mount) == reference.stat().st_size, "all of it comes", 10)


def test_small_files_come_with_their_neighbours(modelfs, folder, start_origin):
    for package in range(6):
        for number in range(60):
            random_file(folder / "origin" / "models" / "site" / f"package{package}" / f"module{number}.py", 3000 + number)
    origin = start_origin("--latency", "50ms")
    mount = modelfs.mount("m=s3://models/site", endpoint=origin.url)
    begun = time.monotonic()
    for package in range(6):
        for number in range(60):
            name = f"package{package}/module{number}.py"
            assert (mount / "m" / name).read_bytes() == (folder / "origin" / "models" / "site" / name).read_bytes()
    took = time.monotonic() - begun
    assert took < 360 * 0.05 / 2, "each file took a round trip of its own"


SHARD = 12 * MIB


@pytest.fixture
def shards(folder):
    """A model in five shards, and its index; not its model.py."""
    top = folder / "origin" / "models" / "big"
    files = [safetensors(top / f"model-{number:05}-of-00005.safetensors", 3, SHARD // 3) for number in range(1, 6)]
    names = {f"layer.{number}": file.name for number, file in enumerate(files)}
    (top / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    random_file(top / "other.safetensors", SHARD)
    return files


def test_the_shards_that_an_index_names_follow_the_first(modelfs, start_origin, shards):
    origin = start_origin("--latency", "20ms")
    mount = modelfs.mount("m=s3://models/big", endpoint=origin.url)
    total = sum(shard.stat().st_size for shard in shards)
    with open_for_pieces(mount / "m" / shards[0].name) as file:
        assert read_exactly(file.fileno(), SHARD // 4, 0) == shards[0].read_bytes()[:SHARD // 4]
        assert cached(mount) < 2 * SHARD, "it was not clear yet that whole shards are wanted"
        assert read_exactly(file.fileno(), SHARD, 0) == shards[0].read_bytes()[:SHARD]
        wait_for(lambda: cached(mount) >= total, "the others come by themselves", 20)
    assert cached(mount) < total + MIB, "no more than the index names"
    assert "models/big/other.safetensors" not in origin.control("stats")["keys"]
    for shard in shards:
        assert (mount / "m" / shard.name).read_bytes() == shard.read_bytes()


def test_shards_that_nobody_waits_for_any_more_are_not_fetched(modelfs, start_origin, shards):
    slow = start_origin("--latency", "20ms", "--total-rate", "4MiB")
    mount = modelfs.mount("m=s3://models/big", endpoint=slow.url)
    with open(mount / "m" / shards[0].name, "rb", buffering=0) as file:
        assert read_exactly(file.fileno(), SHARD, 0) == shards[0].read_bytes()[:SHARD]
    assert cached(mount) < 4 * SHARD, "it went on without readers"


def test_shards_ahead_push_nothing_out(modelfs, start_origin, folder, shards):
    kept = random_file(folder / "origin" / "models" / "kept.bin", 40 * MIB)
    origin = start_origin()
    mount = modelfs.mount("m=s3://models", endpoint=origin.url, arguments=["--cache-size", "72MiB"])
    assert (mount / "m" / "kept.bin").read_bytes() == kept.read_bytes()
    path = mount / "m" / "big" / shards[0].name
    with open(path, "rb", buffering=0) as file:
        assert read_exactly(file.fileno(), SHARD, 0) == shards[0].read_bytes()[:SHARD]
        mount.wait_idle()
        assert os.getxattr(mount / "m" / "kept.bin", "user.modelfs.cached") == str(40 * MIB).encode()
        assert mount.status()["cache"]["evicted_bytes"] == 0
