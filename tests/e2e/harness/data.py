"""Test data, and comparing it with what a mount shows."""

import concurrent.futures
import os
import pathlib

MIB = 1 << 20
BIG_SIZE = int(os.environ.get("MODELFS_BIG_SIZE", 2048 * MIB))


def random_file(path, size):
    """Writes `size` random bytes, no two stretches alike."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as out:
        for start in range(0, size, 8 * MIB):
            out.write(os.urandom(min(8 * MIB, size - start)))
    return path


def compare(path, reference, start=0, end=None, step=MIB):
    """Asserts that [start, end) of `path`, read in order, holds the bytes of `reference`."""
    with open(path, "rb", buffering=0) as got, open(reference, "rb", buffering=0) as wanted:
        end = os.fstat(wanted.fileno()).st_size if end is None else end
        for offset in range(start, end, step):
            size = min(step, end - offset)
            data = read_exactly(got.fileno(), size, offset)
            assert data == read_exactly(wanted.fileno(), size, offset), f"{path} differs within [{offset}, +{size})"


def read_exactly(file, size, offset):
    """Reads `size` bytes, fewer only at the end of the file."""
    parts = []
    while size and (part := os.pread(file, size, offset)):
        parts.append(part)
        size -= len(part)
        offset += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def drop_from_page_cache(path):
    """Makes the kernel forget the pages of a file, on a mount or not."""
    with open(path, "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def at_once(workers, work, items):
    """Runs work(item) for all items on `workers` threads; raises the first error."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, items))
