"""Faults of the way to an origin: certificates that turn bad, and servers that are not there."""

import contextlib
import pathlib
import ssl

import pytest

from certificates import DAY, NOW, Authority
from faulty_origin import CONTENT, FaultyOrigin
from harness.waiting import wait_for
from harness.worker import kill_worker, successor_of
from test_origin_faults import READ_TIMEOUT, SLACK, read

HOSTS = pathlib.Path("/etc/hosts")
NAME = "origin.modelfs-test.invalid"


def closing(attempt):
    """Each read needs a handshake of its own."""
    return lambda connection, ended: connection.sendall(attempt.honest())


@pytest.mark.parametrize("face", ["s3", "web"])
def test_certificates_that_turn_bad(face, modelfs, folder):
    ours, theirs = Authority(folder, "ours"), Authority(folder, "theirs")
    good = ours.server("good")
    bad = {"expired": ours.server("expired", begins=NOW - 3 * DAY, ends=NOW - DAY), "not_yet": ours.server("not-yet", begins=NOW + DAY, ends=NOW + 2 * DAY),
           "other_host": ours.server("other-host", address="127.0.0.2"), "other_authority": theirs.server("other-authority")}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(good)
    origin = FaultyOrigin(face, {name: closing for name in [*bad, "good"]}, 0, context, closes=True)
    try:
        mount, top = origin.mount(modelfs, "--read-timeout", f"{READ_TIMEOUT:.0f}s", "--ca-bundle", ours.file)
        assert read(top / "good")[0] == CONTENT
        for name, file in bad.items():
            context.load_cert_chain(file)
            data, error, longest = read(top / name)
            assert (data, error) == (b"", "EACCES"), name
            assert longest < READ_TIMEOUT + SLACK and not origin.requests[name], name
            assert read(top / "good")[0] == CONTENT, "what is cached is read on"
            context.load_cert_chain(good)
            assert read(top / name)[:2] == (CONTENT, None), f"{name}: good again"
    finally:
        origin.close()


@pytest.mark.parametrize("face", ["s3", "web", "mlflow"])
def test_a_server_that_is_gone(face, modelfs):
    origin = FaultyOrigin(face, {name: lambda attempt: attempt.honest() for name in ("before", "after")}, 0, closes=True)
    mount, top = origin.mount(modelfs, "--read-timeout", f"{READ_TIMEOUT:.0f}s")
    assert read(top / "before")[0] == CONTENT
    mount.wait_idle()
    origin.close()
    data, error, longest = read(top / "after")
    assert (data, error) == (b"", "EIO") and longest < READ_TIMEOUT + SLACK
    assert read(top / "before")[:2] == (CONTENT, None)


@contextlib.contextmanager
def name_of_this_machine():
    """The name leads to this machine, until the yielded function is called."""
    before = HOSTS.read_text()
    HOSTS.write_text(f"{before.rstrip()}\n127.0.0.1 {NAME}\n")

    def forget():
        HOSTS.write_text("".join(line for line in HOSTS.read_text().splitlines(keepends=True) if NAME not in line))

    try:
        yield forget
    finally:
        forget()


def test_a_name_that_leads_nowhere(modelfs):
    try:
        HOSTS.open("a").close()
    except OSError:
        pytest.skip("/etc/hosts cannot be written to: a DNS failure cannot be had here")
    origin = FaultyOrigin("web", {name: closing for name in ("before", "after")}, 0, closes=True)
    try:
        with name_of_this_machine() as forget:
            origin.url = origin.url.replace("127.0.0.1", NAME)
            mount, top = origin.mount(modelfs, "--read-timeout", f"{READ_TIMEOUT:.0f}s")
            assert read(top / "before")[0] == CONTENT
            mount.wait_idle()
            forget()
            successor_of(mount, kill_worker(mount))  # whose predecessor knew the address
            data, error, longest = read(top / "after")
            assert (data, error) == (b"", "EIO") and longest < READ_TIMEOUT + SLACK
            assert read(top / "before")[:2] == (CONTENT, None)
        with name_of_this_machine():
            wait_for(lambda: read(top / "after")[:2] == (CONTENT, None), "the name is known again", 60)
    finally:
        origin.close()
