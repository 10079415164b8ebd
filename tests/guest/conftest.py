"""The fixtures of tests/e2e."""

import pathlib
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent / "e2e")]
pytest_plugins = ["harness.fixtures"]
collect_ignore = [] if pathlib.Path("/run/nfs").is_dir() else ["inside"]  # those are for the guest
