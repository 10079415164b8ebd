"""The fixtures that every suite of mounts has: a folder, modelfs, and an origin for one test."""

import os
import pathlib
import shutil
import tempfile

import pytest

from harness import programs, servers
from harness.data import BIG_SIZE
from harness.mounting import Commands


def pytest_report_header():
    lines = [f"modelfs: {programs.MODELFS}", f"big file: {BIG_SIZE >> 20} MiB"]
    if "MODELFS_SANITIZER" in os.environ:
        lines.append(f"sanitizer: {os.environ['MODELFS_SANITIZER']}")
    return lines


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
