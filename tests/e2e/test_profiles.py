"""Access profiles as a file: what one machine's load has shown, the first load of another follows."""

import json
import os
import random
import subprocess
import urllib.request

import pytest

from harness import programs
from harness.data import MIB, random_file
from harness.pieces import PIECE, cached, open_for_pieces, read_pieces
from harness.waiting import wait_for

SIZE = 96 * MIB


@pytest.fixture
def reference(folder):
    return random_file(folder / "origin" / "models" / "1" / "model.weights", SIZE)


@pytest.fixture
def which():
    """Some of the file's pieces, in no order, no two of them neighbours."""
    return random.Random(11).sample(range(2, SIZE // PIECE, 2), 9)


def asked_in_order(origin):
    """The pieces that were asked for, in the order of their first request."""
    order = []
    with urllib.request.urlopen(f"{origin.url}/_origin/log", timeout=30) as log:
        lines = log.read().splitlines()
    for line in lines:
        entry = json.loads(line)
        if entry["method"] != "GET" or not entry["key"].endswith("model.weights"):
            continue
        piece = entry["range_begin"] // PIECE
        if piece not in order:
            order.append(piece)
    return order


@pytest.fixture
def exported(modelfs, start_origin, folder, reference, which):
    """A file of the profile of a load that went by `which`, by a cache that is gone."""
    origin = start_origin("--latency", "20ms")
    mount = modelfs.mount("m=s3://models", endpoint=origin.url)
    path = mount / "m" / "1" / "model.weights"
    with open_for_pieces(path) as file:
        read_pieces(file, reference, which)
    mount.wait_idle()
    file = folder / "profiles"
    result = modelfs.run("profile", "export", mount / "m", "-o", file)
    programs.check(result)
    assert "1 profiles written" in result.stdout
    mount.unmount()
    origin.stop()
    return file


def test_the_first_load_elsewhere_follows_it(modelfs, start_origin, folder, reference, which, exported):
    origin = start_origin("--latency", "20ms")
    mount = modelfs.mount("m=s3://models", endpoint=origin.url, cache=folder / "fresh")
    assert "1 profiles kept" in programs.check(modelfs.run("profile", "import", exported, mount.path)).stdout
    with open_for_pieces(mount / "m" / "1" / "model.weights") as file:
        read_pieces(file, reference, which[:1])
        wait_for(lambda: cached(mount) >= len(which) * PIECE, "the rest of them comes by itself", 10)
        assert cached(mount) <= len(which) * PIECE * 1.05, "more was fetched than the profile says"
        read_pieces(file, reference, which)
    # The head of the file comes with its open; requests may overtake each other a little.
    order = [piece for piece in asked_in_order(origin) if piece != 0]
    assert sorted(order) == sorted(which)
    displaced = [abs(order.index(piece) - place) for place, piece in enumerate(which)]
    by_chance = [abs(sorted(which).index(piece) - place) for place, piece in enumerate(which)]
    assert sum(displaced) < sum(by_chance) / 3, (order, which)


def test_a_file_of_another_size_does_not(modelfs, start_origin, folder, reference, which, exported):
    other = random_file(folder / "origin" / "models" / "1" / "model.weights", SIZE + 1)
    origin = start_origin("--latency", "20ms")
    mount = modelfs.mount("m=s3://models", endpoint=origin.url, cache=folder / "fresh")
    programs.check(modelfs.run("profile", "import", exported, mount.path))
    with open_for_pieces(mount / "m" / "1" / "model.weights") as file:
        read_pieces(file, other, [0])
        cached(mount)
    ahead = 6  # what reading on behind the first piece may fetch
    assert not {piece for piece in asked_in_order(origin) if piece >= ahead} & set(which)


def test_the_output_can_be_piped(modelfs, start_origin, folder, reference, which, exported):
    origin = start_origin()
    mount = modelfs.mount("m=s3://models", endpoint=origin.url, cache=folder / "fresh")
    programs.check(modelfs.run("profile", "import", exported, mount.path))
    command = [str(modelfs.program), "profile", "export", str(mount / "m")]
    piped = subprocess.run(command, env=modelfs.environment, capture_output=True, timeout=60)
    assert piped.returncode == 0 and piped.stdout == exported.read_bytes()


@pytest.mark.parametrize("damage", ["flipped", "cut", "longer", "empty", "other"])
def test_a_file_that_is_none_is_refused(modelfs, start_origin, folder, reference, exported, damage):
    good = bytearray(exported.read_bytes())
    bad = {"flipped": lambda: good[:40] + bytes([good[40] ^ 1]) + good[41:], "cut": lambda: good[:-1], "longer": lambda: good + b"x",
           "empty": lambda: b"", "other": lambda: b"\x7fELF" + os.urandom(5000)}[damage]()
    exported.write_bytes(bad)
    mount = modelfs.mount("m=s3://models", endpoint=start_origin().url, cache=folder / "fresh")
    result = modelfs.run("profile", "import", exported, mount.path)
    assert result.returncode == 1 and "no file of access profiles" in result.stderr
    assert mount.status()["healthy"]


def test_what_nobody_has_loaded_has_none(modelfs, start_origin, folder, reference):
    mount = modelfs.mount("m=s3://models", endpoint=start_origin().url)
    result = modelfs.run("profile", "export", mount / "m", "-o", folder / "profiles")
    assert result.returncode == 1 and "no load of these files is known" in result.stderr
    assert not (folder / "profiles").exists()
