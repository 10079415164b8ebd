"""Replicas on shared filesystems that are real: their clients are apart, and what one does shows to another when it does."""

import os

import pytest

from harness.gluster import PROGRAM, Gluster
from harness.replicas import COUNT, Model, Replicas, note, shared_of
from harness.waiting import wait_for


@pytest.fixture
def model(folder, start_origin):
    return Model(folder, start_origin)


@pytest.fixture
def gluster(folder):
    if not os.access(PROGRAM, os.X_OK):
        pytest.skip("GlusterFS cannot be had")
    volume = Gluster(folder)
    yield volume
    volume.close()


@pytest.fixture
def replicas(folder, gluster, modelfs, model):
    """After `gluster`, so that its mounts outlive the daemons."""
    return Replicas(modelfs, model, folder / "shared")


def test_on_glusterfs_the_model_is_downloaded_once(gluster, replicas, model):
    mounts = []
    for _ in range(COUNT):
        replicas.shared = gluster.mount() / "cache"
        mounts.append(replicas.start())
    times = replicas.load_all(mounts)
    shared = [shared_of(mount) for mount in mounts]
    note("glusterfs", replicas=COUNT, bytes=model.size, origin_bytes=model.sent(), slowest_s=max(times),
         claims=[s["claims"] for s in shared], hedges=[s["hedges"] for s in shared])
    assert model.sent() <= 1.05, shared

    wait_for(lambda: sum(shared_of(mount)["published_bytes"] for mount in mounts) >= 0.99 * model.size, "the model is published")
    before = model.origin.stats()["object_gets"]
    replicas.shared = gluster.mount() / "cache"
    later = replicas.start()
    replicas.load(later)
    assert model.origin.stats()["object_gets"] == before
    assert shared_of(later)["read_bytes"] == model.size
