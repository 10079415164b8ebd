"""Replicas on NFS, whose clients have caches of their own. Runs in the guest; nfs.sh has mounted."""

import pathlib

from harness.replicas import Model, Replicas, note, shared_of
from harness.waiting import wait_for

MOUNTS = sorted(pathlib.Path("/run/nfs").iterdir())


def test_the_model_is_downloaded_once(folder, modelfs, start_origin):
    model = Model(folder, start_origin, rate=8_000_000)
    replicas = Replicas(modelfs, model, None)
    mounts = []
    for path in MOUNTS[:2]:
        replicas.shared = path / "cache"
        mounts.append(replicas.start())
    assert all(shared_of(mount)["filesystem"] == "nfs" for mount in mounts), shared_of(mounts[0])
    times = replicas.load_all(mounts)
    shared = [shared_of(mount) for mount in mounts]
    note("nfs", replicas=len(mounts), bytes=model.size, origin_bytes=model.sent(), slowest_s=max(times),
         claims=[s["claims"] for s in shared], hedges=[s["hedges"] for s in shared])
    assert model.sent() <= 1.05, shared

    wait_for(lambda: sum(shared_of(mount)["published_bytes"] for mount in mounts) >= 0.99 * model.size, "the model is published", 60)
    before = model.origin.stats()["object_gets"]
    replicas.shared = MOUNTS[2] / "cache"
    later = replicas.start()
    replicas.load(later)
    assert model.origin.stats()["object_gets"] == before
    assert shared_of(later)["read_bytes"] == model.size
