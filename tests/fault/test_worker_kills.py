"""kill -9 of the worker at each labelled point and at random, under readers of all kinds: no error, no wrong byte, a pause."""

import os
import random
import secrets
import signal
import threading

import pytest

from figures import WHOLE, note
from harness.data import MIB, random_file
from harness.waiting import wait_for
from harness.worker import successor_of
from load import Load, Newcomers, now, summary

FETCH = ["flight.send", "flight.first_bytes", "flight.hashed"]
WRITE = [f"local_tier.{what}" for what in ("create", "write", "record", "stored", "read", "check")]
COMMIT = ["index_db.record", "index_db.commit", "index_db.committed"]
EVICT = [f"evict.{what}" for what in ("strike", "punch", "punched", "remove", "removed")]
SEAL = ["seal.write", "seal.written"]
REPLY = [f"session.{what}{when}" for what in ("lookup", "open", "read", "readdir", "release", "other") for when in ("", ".reply", ".replied")]
NODES = ["node_log.append", "node_log.appended"]
AFTER_A_START = ["local_tier.check"]  # what is there is checked once in the life of a worker
LABELS = [*FETCH, *WRITE, *SEAL, *COMMIT, *EVICT, *REPLY, *NODES]
RANDOM_KILLS = 300 if WHOLE else 30
HITS = (1, 5) if WHOLE else (3,)
BOTH = ["auto", "off"]  # whether the kernel sends again what a dead worker had read, or modelfs remembers it
REST = (1.5, 3.5)  # seconds between two kills; a worker that dies more often than that is started later and later
SIZE = 160 * MIB
SMALL, SMALL_SIZE = 40, 2 * MIB


class Battle:
    """A mount whose cache is too small for what its readers want, and the readers."""

    def __init__(self, commands, start_origin, seed, resend):
        self.chance = random.Random(seed)
        models = commands.folder / "origin" / "models"
        random_file(models / "m" / "weights.bin", SIZE)
        for number in range(SMALL):
            random_file(models / "m" / f"part-{number % 8}" / f"small-{number}.bin", SMALL_SIZE + number)
        (models / "f").mkdir()
        (models / "f" / "first").write_bytes(b"1")
        origin = start_origin("--latency", "2ms")
        self.mount = commands.mount("m=s3://models/m", "f=s3://models/f", endpoint=origin.url,
                                    arguments=["--cache-size", "128MiB", "--listing-ttl", "1s", "--memory", "64MiB", "--resend", resend])
        self.load = Load(commands, self.mount / "m", models / "m", seed)
        self.newcomers = Newcomers(self.mount / "f", models / "f")
        self.newcomers.start()
        self.moments, self.last = [], None

    def rest(self):
        """Lets the successor serve for a moment, and looks whether all is well."""
        self.last = successor_of(self.mount, self.last)
        threading.Event().wait(self.chance.uniform(*REST))
        self.load.check()
        assert self.newcomers.problem is None, self.newcomers.problem

    def end(self):
        self.newcomers.stop_now = True
        self.newcomers.join(60)
        assert self.newcomers.problem is None, self.newcomers.problem
        return self.load.stop()


@pytest.fixture
def battle(faulty, start_origin, request):
    seed = int(os.environ.get("MODELFS_SEED", secrets.randbits(32)))
    print(f"MODELFS_SEED={seed}")
    made = Battle(faulty, start_origin, seed, request.param)
    yield made
    made.load.kill()
    made.newcomers.stop_now = True
    made.newcomers.join(60)


def named(what, request):
    return f"{what}, resend {request.node.callspec.params['battle']}"


def quiet(battle, rounds=4):
    """The waits of readers whom nobody disturbs, to compare with."""
    moments = []
    for _ in range(rounds):
        moments.append(now())
        threading.Event().wait(sum(REST) / 2)
    return moments


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("battle", BOTH if WHOLE else ["auto"], indirect=True)
def test_kills_at_each_label(battle, faulty, request):
    board, moments, labels = faulty.board, quiet(battle), ["quiet"] * 4
    for hit in HITS:
        for label in LABELS:
            battle.rest()
            before = board.acted(label)
            board.kill(label, hit)
            if label in AFTER_A_START:
                os.kill(battle.last, signal.SIGKILL)
            wait_for(lambda: board.acted(label) > before, f"the worker gets to {label}, hit {hit}", 60)
            moments.append(board.acted_at(label))
            labels.append(label)
    battle.rest()
    seen = battle.end()
    stalls = list(battle.load.stalls(moments))
    by_label = {label: summary([one for name, one in zip(labels, stalls) if name == label]) for label in dict.fromkeys(labels)}
    everything = summary([one for name, one in zip(labels, stalls) if name != "quiet"])
    note("worker-kills", named("labels", request), {"by_label": by_label, "all": everything, "kills": len(LABELS) * len(HITS), "load": seen})
    assert everything["stall_p99_ms"] < 1000, everything


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("battle", BOTH if WHOLE else ["off"], indirect=True)
def test_kills_at_random(battle, request):
    moments = quiet(battle)
    first = len(moments)
    for _ in range(RANDOM_KILLS):
        battle.rest()
        moments.append(now())
        os.kill(battle.last, signal.SIGKILL)
    battle.rest()
    seen = battle.end()
    stalls = list(battle.load.stalls(moments))
    everything = summary(stalls[first:])
    note("worker-kills", named("random", request), {"all": everything, "quiet": summary(stalls[:first]), "kills": RANDOM_KILLS, "load": seen})
    assert everything["stall_p99_ms"] < 1000, everything
