"""Several daemons that have one shared directory, each with a cold cache of its own, and a model that all of them load."""

import contextlib
import json
import os
import pathlib
import shutil
import time

from harness import programs
from harness.data import MIB, at_once, compare, random_file

WHOLE = os.environ.get("MODELFS_BATTERY") == "whole"  # or a slice of what takes long
SHARDS = 4
SIZE = int(os.environ.get("MODELFS_REPLICAS_SIZE", 1024 * MIB if WHOLE else 128 * MIB))
COUNT = 8 if WHOLE else 3
# Bytes per second of the origin's link. The whole battery: one replica alone takes 60 s.
RATE = SIZE // 60 if WHOLE else 40 * 1000 * 1000
ARGUMENTS = [] if WHOLE else ["--chunk-size", "256KiB", "--shared-segment-size", "8MiB"]


def note(name, **figures):
    """Adds `figures` as `name` to build/replicas.json."""
    path = programs.BIN.parent / "replicas.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known[name] = figures
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


class Model:
    """A model in shards, behind an origin that counts what it sends."""

    def __init__(self, folder, start_origin, rate=RATE):
        bucket = folder / "origin" / "models"
        self.files = [random_file(bucket / "m" / f"shard-{n}.bin", SIZE // SHARDS) for n in range(SHARDS)]
        self.size = SIZE
        self.origin = start_origin("--latency", "5ms", "--total-rate", f"{rate * 8}bit/s")

    def sent(self):
        """How many bytes of objects the origin has sent, per byte of the model."""
        return self.origin.stats()["object_body_bytes"] / self.size

    def forget(self):
        self.origin.control("reset", {})


class Replicas:
    """Daemons of `commands`, all with the shared directory `shared`."""

    def __init__(self, commands, model, shared):
        self.commands, self.model, self.shared = commands, model, shared
        self._made = 0

    def start(self, cache=None, shared=True, **variables):
        """Another replica, with a cold cache."""
        self._made += 1
        cache = cache or self.commands.folder / f"cache{self._made}"
        arguments = [*ARGUMENTS, *(["--shared-cache", self.shared] if shared else [])]
        return self.commands.mount("m=s3://models/m", endpoint=self.model.origin.url, cache=cache, arguments=arguments, **variables)

    def load(self, mount):
        """Reads the whole model, compares it, and returns how long that took."""
        begun = time.monotonic()
        for file in self.model.files:
            compare(mount / "m" / file.name, file)
        return time.monotonic() - begun

    def load_all(self, mounts):
        """All at once; returns how long each one took."""
        return at_once(len(mounts), self.load, mounts)

    @staticmethod
    def drop(mount):
        """Ends a replica, and its cache."""
        mount.unmount()
        shutil.rmtree(mount.cache)


def shared_of(mount):
    return mount.status()["cache"]["shared"]


def object_folders(shared):
    return [path.parent for path in pathlib.Path(shared).glob("d/*/*/*/meta")]


def segments(shared):
    return sum(len(list((folder / "s").iterdir())) for folder in object_folders(shared))


def pids_of(mount):
    status = mount.status()
    return status["pid"], status["supervisor_pid"]


@contextlib.contextmanager
def stopped(*pids):
    """Processes that do not run meanwhile."""
    for pid in pids:
        os.kill(pid, 19)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 18)
