"""Many replicas, one shared directory, one download."""

import glob
import os

import pytest

from harness.replicas import COUNT, WHOLE, Model, Replicas, note, segments, shared_of
from harness.waiting import wait_for


@pytest.fixture
def model(folder, start_origin):
    return Model(folder, start_origin)


@pytest.fixture
def replicas(folder, modelfs, model):
    return Replicas(modelfs, model, folder / "shared")


def test_replicas_that_start_at_once_download_the_model_once(replicas, model):
    alone = replicas.start()
    one = replicas.load(alone)
    assert model.sent() <= 1.01
    replicas.drop(alone)

    replicas.shared = replicas.shared.with_name("shared2")
    model.forget()
    mounts = [replicas.start() for _ in range(COUNT)]
    times = replicas.load_all(mounts)
    sent = model.sent()
    shared = [shared_of(mount) for mount in mounts]
    note("at_once", replicas=COUNT, bytes=model.size, origin_bytes=sent, alone_s=one, slowest_s=max(times),
         claims=[s["claims"] for s in shared], hedges=[s["hedges"] for s in shared])
    assert sent <= 1.05, shared
    # A short load is mostly beginnings and ends.
    assert max(times) <= 1.15 * one + (0 if WHOLE else 1.5), (times, one, shared)
    assert sum(1 for s in shared if s["claims"]) >= 2, "one replica did all of it"


def test_without_a_disk_the_shared_directory_and_memory_do(replicas, model):
    filler = replicas.start()
    replicas.load(filler)
    wait_for(lambda: shared_of(filler)["published_bytes"] >= 0.99 * model.size, "the model is published")
    before = model.origin.stats()["object_gets"]
    diskless = replicas.start(cache="memory")
    for _ in range(2):
        replicas.load(diskless)
    cache = diskless.status()["cache"]
    assert cache["directory"].startswith("/dev/shm/")
    assert cache["allocated_bytes"] <= cache["limit_bytes"]
    assert model.origin.stats()["object_gets"] == before
    diskless.unmount()
    wait_for(lambda: not os.path.exists(cache["directory"]), "its memory is given back")


def test_replicas_with_clocks_that_differ(replicas, model):
    library = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
    if not library:
        pytest.skip("libfaketime cannot be had")
    mounts = [replicas.start(),
              replicas.start(LD_PRELOAD=library, FAKETIME="+600s", FAKETIME_DONT_FAKE_MONOTONIC="1", FAKETIME_FORCE_MONOTONIC_FIX="0")]
    replicas.load_all(mounts)
    shared = [shared_of(mount) for mount in mounts]
    note("clocks", origin_bytes=model.sent(), claims=[s["claims"] for s in shared], takeovers=[s["takeovers"] for s in shared])
    assert model.sent() <= 1.05, shared
    assert not any(s["takeovers"] for s in shared)


def test_who_comes_later_asks_the_origin_for_no_object(replicas, model):
    first = replicas.start()
    replicas.load(first)
    wait_for(lambda: shared_of(first)["published_bytes"] >= 0.99 * model.size, "the model is published")
    for _ in range(2):  # one by one, as pods of a rolling restart
        before = model.origin.stats()["object_gets"]
        later = replicas.start()
        took = replicas.load(later)
        note("later", seconds=took, bytes=model.size)
        assert model.origin.stats()["object_gets"] == before
        assert shared_of(later)["read_bytes"] == model.size
        replicas.drop(first)
        first = later
    assert segments(replicas.shared) > 4
