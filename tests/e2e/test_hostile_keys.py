"""Keys that are no file names: they never leave the mount, never crash it, and hide nobody else."""

import os
import subprocess

import pytest

from harness import programs

HOSTILE = [b"p/../../../etc/passwd", b"p/..", b"p/../up", b"p/.", b"p/./here", b"p//double", b"p//", b"p/a//b", b"p/nul\0nul",
           b"p/line\nbreak", b"p/bell\x07", b"p/del\x7f", b"p/esc\x1b[31m", b"p/" + b"n" * 300, b"p/" + b"d" * 300 + b"/x", b"p/not-utf8-\xff\xfe",
           b"p/both", b"p/both/inside", b"p/.modelfs", b"p/.modelfs/status.json", b"p/%2e%2e", b"p/%00", b"p/back\\slash", b"p/trailing ", b"p/dir/",
           b"p/ ", b"p/\xe2\x80\xae rtl", b"p/" + b"/".join([b"deep"] * 120)]
GOOD = b"p/plain.txt"


@pytest.fixture
def tree(start_origin, modelfs):
    origin = start_origin()
    for key in [*HOSTILE, GOOD]:
        origin.put("models", key, b"body of " + key)
    return modelfs.mount("s3://models", endpoint=origin.url, arguments=["--anonymous"])


def walk(path):
    """Every name below `path`, as bytes, and the bodies of the files."""
    found = {}
    for entry in os.scandir(path):
        assert entry.name not in (b".", b"..", b"") and b"/" not in entry.name and b"\0" not in entry.name and len(entry.name) <= 255
        if entry.is_dir(follow_symlinks=False):
            found |= walk(entry.path)
        else:
            with open(entry.path, "rb") as file:
                found[entry.path] = file.read()
    return found


def test_hostile_keys_stay_inside_and_harm_nobody(tree, modelfs):
    top = os.fsencode(tree.path / "models")
    found = walk(top)
    assert found[os.path.join(top, GOOD)] == b"body of " + GOOD
    bodies = set(found.values())
    assert bodies <= {b"body of " + key for key in [*HOSTILE, GOOD]}, "a file shows bytes of no object"
    assert len(bodies) == len(found), "two files show one object"
    # Escaped names lead to their objects; at least those that differ only in odd characters are there.
    for key in (b"p/nul\0nul", b"p/line\nbreak", b"p/bell\x07", b"p/back\\slash", b"p/trailing ", b"p/%2e%2e", b"p/not-utf8-\xff\xfe", b"p/" + b"/".join([b"deep"] * 120)):
        assert b"body of " + key in bodies, key
    for name in found:
        assert os.path.realpath(name).startswith(os.path.realpath(top) + b"/")
    assert not any(set(os.path.basename(name)) & set(range(32)) for name in found), "a control character reaches terminals"
    listing = subprocess.run(["ls", "-laR", top], env=modelfs.environment, capture_output=True, timeout=30, check=True).stdout
    assert b"plain.txt" in listing
    assert tree.mounted() and tree.status()["healthy"]


def test_a_key_that_is_file_and_directory(tree):
    both = tree / "models" / "p" / "both"
    names = os.listdir(tree / "models" / "p")
    assert "both" in names and len(names) == len(set(names)), "a name twice in one directory"
    if both.is_dir():
        assert (both / "inside").read_bytes() == b"body of p/both/inside"
    else:
        assert both.read_bytes() == b"body of p/both"


def test_what_users_type_leaves_nothing_either(tree):
    root = tree.path / "models"
    for name in ("p/..", "p/../..", "../models/p", "p/../../../../../../etc"):
        status, expected = os.stat(root / name), os.stat(os.path.realpath(root / name))
        assert (status.st_dev, status.st_ino) == (expected.st_dev, expected.st_ino)
    for name in ("%2e%2e", "p/%2f", "p/%00x", "n" * 255, "p/" + "%2e" * 80):
        assert not os.path.exists(root / name)
    with pytest.raises(OSError):
        os.stat(root / ("n" * 256))
