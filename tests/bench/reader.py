"""Runs bench-reader, and makes the kernel forget what was read."""

import contextlib
import json
import os
import pathlib
import subprocess

from harness import programs

PROGRAM = programs.BIN / "bench-reader"
SEED = 7  # of the bytes of all objects
LIMIT_SECONDS = 900


def command(pattern, path, *options, check_from=0):
    """`check_from`: bytes before it are no pattern; None: nothing is compared."""
    words = [PROGRAM, pattern, path, *options]
    if check_from is not None and not pattern.startswith(("get", "list", "make")):
        words += ["--check-seed", SEED, "--check-from", check_from]
    return [str(word) for word in words]


def read(pattern, path, *options, check_from=0, limit=LIMIT_SECONDS):
    """One pass; returns what bench-reader measured. Raises AssertionError when it failed."""
    result = programs.run(command(pattern, path, *options, check_from=check_from), programs.clean_environment("/"), limit)
    return json.loads(programs.check(result).stdout)


def read_at_once(pattern, paths, *options):
    """One pass over each of the files, all at the same time."""
    started = []
    try:
        for path in paths:
            started.append(subprocess.Popen(command(pattern, path, *options), env=programs.clean_environment("/"),
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True))
        done = []
        for process in started:
            text, _ = process.communicate(timeout=LIMIT_SECONDS)
            assert process.returncode == 0, f"{process.args} ended with {process.returncode}"
            done.append(json.loads(text))
        return done
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


def make(path, size, head=None):
    """Writes a file of pattern bytes, which `head` (bytes) takes the place of at the beginning."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    options = ["--size", size, "--seed", SEED]
    if head:
        file = path.with_name(path.name + ".head")
        file.write_bytes(head)
        options += ["--head", file]
    read("make", path, *options)
    if head:
        file.unlink()


def forget(paths):
    """Drops files from the page cache, once they are on disk."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError), open(path, "rb", buffering=0) as file:  # a cache may replace its files
            os.fdatasync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
