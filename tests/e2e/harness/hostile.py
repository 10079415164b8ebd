"""What must hold whatever a server sends."""

import pathlib


def safe(name):
    """`name`, of a file in a mount, can neither lead elsewhere nor speak to a terminal."""
    assert name not in (b"", b".", b"..") and len(name) <= 255, name
    assert not set(name) & (set(range(32)) | {127, ord("/")}), name


def check_log(status):
    """The log of the daemon with this status, which holds no control characters."""
    log = pathlib.Path(status["log"]).read_bytes()
    assert not [line for line in log.split(b"\n") if set(line) & {*range(32), 127}], "control characters in the log"
    return log
