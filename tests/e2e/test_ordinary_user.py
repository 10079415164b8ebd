"""Mounting as an ordinary user, through fusermount3."""

import os
import pathlib
import pwd
import shutil

import pytest

from harness import programs
from harness.data import MIB, compare, random_file
from harness.mounting import Commands

NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def user(scratch, s3):
    """modelfs as `nobody`: a copy of the program that this user can reach, and a device that it may open."""
    folder = scratch / "nobody"
    folder.mkdir()
    program = folder / "program"
    shutil.copy(programs.MODELFS, program)
    program.chmod(0o755)
    os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
    device, mode = pathlib.Path("/dev/fuse"), os.stat("/dev/fuse").st_mode
    device.chmod(0o666)  # as udev has it; bare containers and microVMs often have 0600
    commands = Commands(folder, program, ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups", "--"],
                        USER="nobody")
    yield commands
    complaints = commands.clean_up()
    device.chmod(mode & 0o7777)
    shutil.rmtree(folder)
    assert not complaints, "\n".join(complaints)


def own(path):
    os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
    return path


def as_user(user, *command):
    return programs.run([*user.prefix, *command], user.environment)


def test_a_user_mounts_reads_and_unmounts(user, folder):
    random_file(user.folder / "data" / "a.bin", 9 * MIB + 1)
    mount = user.mount(f"dir:{user.folder}/data", at=own(user.new_mount_point()))
    programs.check(as_user(user, "cmp", user.folder / "data" / "a.bin", mount / "data" / "a.bin"))
    assert programs.check(as_user(user, "stat", "-c", "%u %a", mount / "data" / "a.bin")).stdout == f"{NOBODY.pw_uid} 444\n"
    with pytest.raises(PermissionError):  # not even for root, without allow_other
        os.listdir(mount.path)
    assert mount.wait_idle()["cache"]["cached_bytes"] == 9 * MIB + 1
    mount.unmount()
    assert not user.processes()


@pytest.fixture
def user_allow_other():
    """/etc/fuse.conf as it must be for a user's allow_other; as it was afterwards."""
    path = pathlib.Path("/etc/fuse.conf")
    before = path.read_bytes() if path.exists() else None
    path.write_bytes((before or b"") + b"\nuser_allow_other\n")
    yield
    if before is None:
        path.unlink()
    else:
        path.write_bytes(before)


def test_allow_other_shows_it_to_others(user, user_allow_other):
    random_file(user.folder / "data" / "a.bin", MIB)
    mount = user.mount(f"dir:{user.folder}/data", at=own(user.new_mount_point()), arguments=["--allow-other"])
    compare(mount / "data" / "a.bin", user.folder / "data" / "a.bin")


def test_allow_other_that_is_not_allowed_is_explained(user):
    if "user_allow_other" in [line.strip() for line in pathlib.Path("/etc/fuse.conf").read_text().splitlines()]:
        return  # this machine allows it
    random_file(user.folder / "data" / "a.bin", MIB)
    at = own(user.new_mount_point())
    result = user.run("mount", *user.mount_arguments([f"dir:{user.folder}/data"], None, user.folder / "cache", ["--allow-other"]), at)
    assert result.returncode == 1 and "user_allow_other" in result.stderr and "/etc/fuse.conf" in result.stderr
