"""Secrets that leak are found: the search that follows every test finds what is planted, and finds nothing in what modelfs leaves."""

import base64
import pathlib
import urllib.parse

import pytest

from harness import canaries
from harness.mounting import Commands
from harness.servers import SECRET_KEY

FORMS = {"as it is": SECRET_KEY.encode(), "percent": urllib.parse.quote(SECRET_KEY, safe="").encode(),
         "all percent": "".join(f"%{byte:02X}" for byte in SECRET_KEY.encode()).encode(), "hex": SECRET_KEY.encode().hex().encode(),
         "session token": b"FQoGZXIvYXdzE123", "signature": b"?X-Amz-Expires=60&X-Amz-Signature=" + b"0a" * 32}
for shift in range(3):
    FORMS[f"base64, {shift} before"] = base64.b64encode(b"a:b"[:shift] + SECRET_KEY.encode())


@pytest.mark.parametrize("form", FORMS)
def test_a_leak_is_found(form, folder):
    for name, plant in {"a log": lambda c: (folder / "x.log").write_bytes(b"before " + FORMS[form] + b" after"),
                        "a core": lambda c: (folder / "core.17").write_bytes(b"\0" * (17 << 20) + FORMS[form] + b"\0" * 100),
                        "an error": lambda c: c._said.append("no: " + FORMS[form].decode())}.items():
        commands = Commands(folder)
        assert not commands.leaks()
        plant(commands)
        assert commands.leaks(), name
        for path in folder.iterdir():
            path.unlink()


def test_nothing_is_found_in_other_bytes():
    assert not canaries.find("nothing", bytes(range(256)) * 100 + b"Signature=none, a canary, Canary")


def test_no_core_is_written(modelfs, start_origin):
    """A core would hold all keys, so that neither half of a daemon may leave one (1: core(5), not even to a program)."""
    mount = modelfs.mount("s3://models", endpoint=start_origin().url)
    status = mount.status()
    assert pathlib.Path(status["log"]) in modelfs.written(), "the log of a daemon is searched, too"
    for pid in (status["pid"], status["supervisor_pid"]):
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        line = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert line.split()[4:6] == ["1", "1"], line
