"""The fixtures of tests/e2e, and modelfs with fault points."""

import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS)]
pytest_plugins = ["harness.fixtures"]

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
