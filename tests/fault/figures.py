"""What the batteries measure, in files of the build tree."""

import json
import os
import pathlib

from harness import programs

FIGURES = pathlib.Path(os.environ.get("MODELFS_FIGURES", programs.BIN.parent))
WHOLE = os.environ.get("MODELFS_BATTERY") == "whole"  # or a slice of what takes long


def note(battery, name, figures):
    """Adds `figures` as `name` to BATTERY.json."""
    FIGURES.mkdir(exist_ok=True)
    path = FIGURES / f"{battery}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | {name: figures}, indent=1, sort_keys=True) + "\n")


def spread(values):
    """The usual shares of a list of numbers."""
    ordered = sorted(values)

    def at(share):
        return round(ordered[int(share * (len(ordered) - 1))], 2) if ordered else None

    return {"count": len(ordered), "p50": at(0.5), "p99": at(0.99), "max": at(1)}
