"""moto, another implementation of S3: listings, odd keys and pinned reads work there too."""

import pytest

from harness import servers
from harness.data import MIB


@pytest.fixture(scope="module")
def moto(scratch):
    (scratch / "moto").mkdir()
    server = servers.Moto(scratch / "moto")
    yield server
    server.stop()


def test_moto_is_read_as_versitygw_is(modelfs, moto):
    client = servers.s3_client(moto.url)
    client.create_bucket(Bucket="models")
    bodies = {"m/weights.bin": b"w" * (5 * MIB + 3), "m/sp ace/+&=%.txt": b"odd", "m/ü/é.txt": b"accents"}
    bodies |= {f"m/many/{number:04}": str(number).encode() for number in range(40)}
    for key, body in bodies.items():
        client.put_object(Bucket="models", Key=key, Body=body)
    mount = modelfs.mount("m=s3://models/m", endpoint=moto.url)
    for key, body in bodies.items():
        assert (mount / key).read_bytes() == body
    assert len(list((mount / "m" / "many").iterdir())) == 40
