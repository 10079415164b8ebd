"""The fixtures of tests/e2e, and modelfs with fault points."""

import importlib.util
import pathlib
import sys

import pytest

E2E = pathlib.Path(__file__).resolve().parent.parent / "e2e"
sys.path[:0] = [str(E2E), str(E2E.parent)]
_spec = importlib.util.spec_from_file_location("e2e_conftest", E2E / "conftest.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
for _name in ("scratch", "folder", "modelfs", "start_origin", "pytest_report_header"):
    globals()[_name] = getattr(_module, _name)


from fault_board import FaultBoard  # noqa: E402
from harness import programs  # noqa: E402
from harness.mounting import Commands  # noqa: E402


@pytest.fixture
def faulty(folder):
    """As `modelfs`, of the program with fault points; `board` steers them."""
    board = FaultBoard(folder / "faults")
    commands = Commands(folder, programs.FAULTY, **board.variables)
    commands.board = board
    yield commands
    complaints = commands.clean_up()
    assert not complaints, "\n".join(complaints)
