"""What only another kernel has: boots a guest that runs the tests of `inside/`."""

import json
import pathlib

import guest
import pytest

from harness.replicas import note

HERE = pathlib.Path(__file__).resolve().parent


def test_on_debians_kernel(folder):
    if not guest.QEMU or not guest.GUEST.exists():
        pytest.skip("a guest cannot be had: deploy/deps.sh guest installs one")
    print(f"guest: {guest.kernel().name}, by {guest.accelerator()}")
    text, code = guest.run(HERE / "run_inside.sh", folder / "out", limit=1500)
    print(text)
    assert code == 0 and " passed" in text and "skipped" not in text
    note("nfs", **json.loads((folder / "out" / "replicas.json").read_text())["nfs"])
