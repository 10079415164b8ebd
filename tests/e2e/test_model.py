"""A real model, loaded through the mount while it is not there yet, and again from the cache."""

import filecmp
import os

import numpy

from harness import minilm
from harness.data import compare

SENTENCES = ["A man is eating food.", "A man is eating a piece of bread.", "The girl is carrying a baby."]


def test_minilm_embeds_as_the_local_copy_does(modelfs, s3):
    local = minilm.weights_folder()
    client = s3.client()
    for path in local.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), "models", f"minilm/{path.relative_to(local)}")
    expected = [minilm.embed(local, sentence) for sentence in SENTENCES]
    # The model itself is sound: the two sentences on eating are close, the third is far from both.
    assert expected[0] @ expected[1] > 0.7 > 0.3 > expected[0] @ expected[2]

    mount = modelfs.mount("minilm=s3://models/minilm", endpoint=s3.url)
    for sentence, wanted in zip(SENTENCES, expected):
        assert numpy.array_equal(minilm.embed(mount / "minilm", sentence), wanted)
    compare(mount / "minilm" / "model.safetensors", local / "model.safetensors")
    different = filecmp.dircmp(local, mount / "minilm")
    assert not different.left_only and not different.right_only and not different.diff_files
    mount.unmount()

    before = s3.requests()
    mount = modelfs.mount("minilm=s3://models/minilm", endpoint=s3.url)
    assert numpy.array_equal(minilm.embed(mount / "minilm", SENTENCES[0]), expected[0])
    assert s3.requests() == before
    assert os.getxattr(mount / "minilm" / "model.safetensors", "user.modelfs.cached") == str(
        (local / "model.safetensors").stat().st_size).encode()
