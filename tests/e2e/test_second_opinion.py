"""moto, another implementation of S3: listings, odd keys and pinned reads work there too."""

import pathlib
import sys

import pytest

from harness import programs, servers
from harness.data import MIB
from harness.waiting import wait_for


@pytest.fixture(scope="module")
def moto(scratch):
    (scratch / "moto").mkdir()
    port = servers.free_port()
    server = servers.Server([pathlib.Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", port],
                            programs.clean_environment(scratch / "moto"), scratch / "moto" / "log")
    wait_for(lambda: servers.answers(port) or not server.alive(), "moto listens")
    assert server.alive(), server.output()
    server.url = f"http://127.0.0.1:{port}"
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
