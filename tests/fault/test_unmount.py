"""An unmount always ends, in bounded time, whatever hangs: no mount, no process, nothing in state D."""

import time

import pytest

from figures import WHOLE, note
from harness import programs
from harness.data import MIB, random_file
from harness.mounting import MARK
from harness.waiting import wait_for
from ways_to_end import CASES, WAYS, by_umount, states

# A slice has every case once, and every way twice.
CHOSEN = [(case, way) for number, case in enumerate(CASES) for turn, way in enumerate(WAYS) if WHOLE or turn == (number + 1) % len(WAYS)]
SLACK = 3.0  # for a machine that does other things, too


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind, way", CHOSEN, ids=lambda value: getattr(value, "__name__", value))
def test_unmount_ends(kind, way, faulty, start_origin, folder):
    for number in range(4):
        random_file(folder / "origin" / "models" / "m" / f"file-{number}", 4 * MIB)
    case = kind(faulty, start_origin())
    act, bound = WAYS[way]
    try:
        case.make()
        assert len(faulty.processes()) >= 2
        begun = time.monotonic()
        act(case)
        wait_for(lambda: not case.mount.mounted(), "the mount is gone", begun + bound + SLACK - time.monotonic())
        figures = {"unmounted_s": round(time.monotonic() - begun, 2), "bound_s": bound}
        if case.busy and act is by_umount:
            case.finish()  # A lazily detached mount lives as long as its users.
        left = lambda: [pid for pid in faulty.processes() if not (case.stuck and "D" in states(pid))]
        wait_for(lambda: not left(), "all processes end", begun + bound + SLACK - time.monotonic())
        figures |= {"ended_s": round(time.monotonic() - begun, 2), "worker_held_by_the_disk": "D" in states(case.worker)}
    finally:
        case.finish()
    wait_for(lambda: not faulty.processes(), "nothing is left once the disk answers again", 10)
    wait_for(lambda: not hanging(folder), "nobody is in state D", 5)
    note("unmount", f"{kind.__name__}, {way}", figures)


def hanging(folder):
    """Processes of this test, readers too, that nothing can end."""
    return [pid for pid in programs.processes_with(MARK, folder) if "D" in states(pid)]
