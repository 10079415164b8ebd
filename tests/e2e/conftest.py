"""Fixtures: a big random file, servers for the session, and modelfs for one test."""

import os
import pathlib
import shutil
import tempfile

import pytest

from harness import programs, servers
from harness.data import BIG_SIZE, random_file
from harness.mounting import Commands
from harness.splice_proxy import SpliceProxy


def pytest_report_header():
    lines = [f"modelfs: {programs.MODELFS}", f"big file: {BIG_SIZE >> 20} MiB"]
    if "MODELFS_SANITIZER" in os.environ:
        lines.append(f"sanitizer: {os.environ['MODELFS_SANITIZER']}")
    return lines


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
def scratch():
    """One folder for all data of the session, removed at its end. Short, for unix sockets."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="modelfs-e2e-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder(scratch):
    """A folder for one test, removed after it."""
    path = pathlib.Path(tempfile.mkdtemp(dir=scratch))
    yield path
    shutil.rmtree(path, ignore_errors=True)


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


@pytest.fixture
def start_origin(folder):
    """Starts the embedded origin over `folder`/origin, which has the bucket `models`; stops it after the test."""
    (folder / "origin" / "models").mkdir(parents=True, exist_ok=True)
    started = []

    def start(*arguments):
        started.append(servers.EmbeddedOrigin(folder, folder / "origin", *arguments))
        return started[-1]

    yield start
    for origin in started:
        origin.stop()


@pytest.fixture
def modelfs(folder):
    """The program, in a clean environment. After the test nothing of it is left, and no sanitizer complained."""
    commands = Commands(folder)
    yield commands
    complaints = commands.clean_up()
    assert not complaints, "\n".join(complaints)
