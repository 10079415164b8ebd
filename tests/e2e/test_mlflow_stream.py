"""A proxy that ignores ranges: MLflow's Flask handler sends every file as a chunked whole."""

import os
import threading
import time

import pytest

from harness import mlflow
from harness.data import at_once, random_file, read_exactly
from harness.splice_proxy import SpliceProxy
from harness.waiting import wait_for

MIB = 1 << 20
SIZE = int(os.environ.get("MODELFS_STREAM_SIZE", 24 * MIB))
READERS = 8


class Stream:
    """A file of `SIZE` bytes behind MLflow's Flask handler, and a mount that gets it through a proxy of ours."""

    def __init__(self, folder, modelfs):
        self._server = mlflow.Mlflow(folder / "server", "--artifacts-destination", folder / "artifacts", "--gunicorn-opts",
                                     "--timeout 600")
        version = self._server.add_files("big", {"small": "tiny", "big.bin": ""})
        stored = next((folder / "artifacts").rglob("big.bin"))
        random_file(stored, SIZE)  # by hand: it need not go through a pipe
        self.content = stored.read_bytes()
        self.proxy = SpliceProxy(self._server.port)
        self.mount = mlflow.mount(modelfs, self.proxy)
        self.path = self.mount / f"big/{version}/big.bin"
        assert self.path.stat().st_size == SIZE

    def stop(self):
        self.proxy.thaw()
        self._server.stop()
        self.proxy.close()


@pytest.fixture
def stream(folder, modelfs):
    stream = Stream(folder, modelfs)
    yield stream
    stream.stop()


@pytest.mark.timeout(600)
def test_readers_follow_one_stream(stream):
    """Must show 3 without a clock: the first MiB can be read when a tenth of the stream was sent, and no more comes."""
    before = stream.proxy.received()
    stream.proxy.hold_after(SIZE // 10)
    at_the_first_mib = threading.Barrier(READERS + 1)

    def read(_):
        with open(stream.path, "rb", buffering=0) as file:
            data = read_exactly(file.fileno(), MIB, 0)
            at_the_first_mib.wait(120)
            return data + read_exactly(file.fileno(), SIZE, MIB) == stream.content

    def release():
        try:
            at_the_first_mib.wait(120)
            wait_for(stream.proxy.held, "the stream is held")
        finally:
            stream.proxy.thaw()

    releaser = threading.Thread(target=release)
    releaser.start()
    assert all(at_once(READERS, read, range(READERS)))
    releaser.join()
    sent = stream.proxy.received() - before
    assert SIZE <= sent < 1.5 * SIZE, "one download; the framing of chunks is a few percent"
    assert stream.mount.status()["cache"]["fetched_bytes"] <= SIZE + MIB


if SIZE >= 128 * MIB:  # The size at which a time is asked for.

    @pytest.mark.timeout(600)
    def test_the_first_mib_comes_within_a_tenth_of_the_whole_time(stream):
        """Must show 3 by the clock, for each of the readers: after the first byte, until the last."""

        def read(_):
            with open(stream.path, "rb", buffering=0) as file:
                data, times = bytearray(), []
                while piece := file.read(256 << 10):
                    data += piece
                    times.append((len(data), time.monotonic()))
            assert data == stream.content
            first, last = times[0][1], times[-1][1]
            return next(when - first for size, when in times if size >= MIB) / (last - first)

        shares = at_once(READERS, read, range(READERS))
        print("shares of the whole time until the first MiB:", [round(share, 4) for share in shares])
        assert max(shares) <= 0.1, shares
