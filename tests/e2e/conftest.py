"""Fixtures: a big random file, and servers for the session."""

import os

import pytest

from harness import servers
from harness.data import BIG_SIZE, random_file
from harness.splice_proxy import SpliceProxy

pytest_plugins = ["harness.fixtures"]


def pytest_collection_modifyitems(config, items):
    """`MODELFS_E2E_SLICE=1/4` leaves every fourth file, from the second on: for runs that have not the time for all."""
    if "MODELFS_E2E_SLICE" not in os.environ:
        return
    number, of = map(int, os.environ["MODELFS_E2E_SLICE"].split("/"))
    files = sorted({item.path for item in items})
    wanted = set(files[number::of])
    config.hook.pytest_deselected(items=[item for item in items if item.path not in wanted])
    items[:] = [item for item in items if item.path in wanted]


@pytest.fixture(scope="session")
def big(scratch):
    """A random file of 2 GiB (less under sanitizers); bucket `models` of `s3` holds it as big/big.bin."""
    return random_file(scratch / "big.bin", BIG_SIZE)


@pytest.fixture(scope="session")
def s3(scratch):
    """versitygw for the session, with the bucket `models`. Tests keep to prefixes of their own."""
    (scratch / "s3").mkdir()
    server = servers.Versitygw(scratch / "s3")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def big_on_s3(s3, big):
    s3.adopt("models", "big/big.bin", big, '"big-0001"')
    return s3


@pytest.fixture
def counted(big_on_s3):
    """A proxy before `s3` that counts the bytes which leave it."""
    proxy = SpliceProxy(big_on_s3.port)
    yield proxy
    proxy.close()
