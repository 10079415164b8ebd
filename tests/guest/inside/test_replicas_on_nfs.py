"""Replicas on NFS, whose clients have caches of their own. Runs in the guest; nfs.sh has mounted."""

import pathlib

from harness.replicas import Model, Replicas, note, shared_of
from harness.waiting import wait_for

TRIES = 3
MOUNTS = sorted(pathlib.Path("/run/nfs").iterdir())


def load_at_once(modelfs, model, number):
    """Two replicas with cold caches and a new shared directory; their mounts, and how long the slower took."""
    replicas = Replicas(modelfs, model, None)
    model.forget()
    mounts = []
    for path in MOUNTS[:2]:
        replicas.shared = path / f"cache{number}"
        mounts.append(replicas.start(cache=modelfs.folder / f"local{number}-{path.name}"))
    assert all(shared_of(mount)["filesystem"] == "nfs" for mount in mounts), shared_of(mounts[0])
    return mounts, max(replicas.load_all(mounts))


def test_the_model_is_downloaded_once(folder, modelfs, start_origin):
    model = Model(folder, start_origin, rate=3_000_000)
    for number in range(TRIES):
        mounts, took = load_at_once(modelfs, model, number)
        shared = [shared_of(mount) for mount in mounts]
        if not any(s["brownouts"] for s in shared):
            break
        for mount in mounts:  # An emulated machine may take two seconds for a call: the origin is asked then, as it should be.
            Replicas.drop(mount)
    note("nfs", replicas=len(mounts), bytes=model.size, origin_bytes=model.sent(), slowest_s=took,
         claims=[s["claims"] for s in shared], hedges=[s["hedges"] for s in shared])
    assert model.sent() <= 1.05, shared

    wait_for(lambda: sum(shared_of(mount)["published_bytes"] for mount in mounts) >= 0.99 * model.size, "the model is published", 60)
    before = model.origin.stats()["object_gets"]
    replicas = Replicas(modelfs, model, MOUNTS[2] / f"cache{number}")
    later = replicas.start(cache=folder / "later")
    replicas.load(later)
    # One more at most: a directory as slow as an emulated machine's is compared with the origin, by one read.
    assert model.origin.stats()["object_gets"] <= before + 1
    assert shared_of(later)["read_bytes"] >= 0.9 * model.size
