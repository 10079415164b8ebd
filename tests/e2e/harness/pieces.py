"""Reading a file piece by piece, in an order of one's own."""

import os

from harness.data import MIB, read_exactly

PIECE = 4 * MIB


def open_for_pieces(path):
    file = open(path, "rb", buffering=0)
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # the kernel reads no further than we do
    return file


def read_pieces(file, reference, which):
    """Reads those pieces, and compares them with the file `reference`."""
    with open(reference, "rb", buffering=0) as wanted:
        for piece in which:
            data = read_exactly(file.fileno(), PIECE, piece * PIECE)
            assert data == read_exactly(wanted.fileno(), PIECE, piece * PIECE)


def cached(mount):
    """How many bytes the cache holds, once nothing more comes."""
    return mount.wait_idle()["cache"]["cached_bytes"]
