"""Random operations through a mount, with evictions, restarts, kills, alias flips and faults in between, against a model in memory."""

import os
import random
import secrets
import shutil
import time

import pytest

from figures import WHOLE, note
from mount_model import World

SEQUENCES = int(os.environ.get("MODELFS_SEQUENCES", 500 if WHOLE else 20))
OPERATIONS = 30


@pytest.mark.timeout(7200)
def test_a_mount_is_what_it_should_be(faulty, start_origin):
    first = int(os.environ.get("MODELFS_SEED", secrets.randbits(31)))
    origin = start_origin()
    begun, kills, operations = time.monotonic(), 0, 0
    for seed in range(first, first + SEQUENCES):
        chance = random.Random(seed)
        world = World(faulty, origin, seed, chance)
        try:
            world.run(OPERATIONS)
        except (AssertionError, OSError) as error:
            raise AssertionError(f"MODELFS_SEED={seed}: {error!r} after {', '.join(world.done)}") from error
        finally:
            world.end()
        world.mount.unmount()
        kills, operations = kills + world.kills, operations + len(world.done) - 1
        shutil.rmtree(world.cache)
        shutil.rmtree(world.bucket)
    note("mount-model", "sequences", {"first_seed": first, "sequences": SEQUENCES, "operations": operations, "worker_kills": kills,
                                      "minutes": round((time.monotonic() - begun) / 60, 1)})
