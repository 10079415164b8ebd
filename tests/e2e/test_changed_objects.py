"""An object that is replaced at the origin while it is open: stale, and never mixed."""

import errno
import os

import pytest

from harness import programs
from harness.data import MIB, read_exactly
from harness.waiting import wait_for

SIZE = 192 * MIB
A, B = b"A" * SIZE, b"B" * SIZE


@pytest.fixture(params=["versitygw", "embedded"])
def changing(request, start_origin, modelfs, s3):
    """An object of As, and a function that replaces it by one of Bs."""
    if request.param == "versitygw":
        client = s3.client()
        put = lambda body: client.put_object(Bucket="models", Key="changing/object", Body=body)
        put(A)
        yield modelfs.mount("changing=s3://models/changing", endpoint=s3.url, arguments=["--listing-ttl", "1s"]) / "changing" / "object", lambda: put(B)
        client.delete_object(Bucket="models", Key="changing/object")
    else:
        origin = start_origin()
        origin.put("models", "changing/object", A)
        mount = modelfs.mount("changing=s3://models/changing", endpoint=origin.url, arguments=["--listing-ttl", "1s", "--anonymous"])
        yield mount / "changing" / "object", lambda: origin.put("models", "changing/object", B)


def test_an_open_file_turns_stale_and_is_never_mixed(changing):
    path, replace = changing
    with open(path, "rb", buffering=0) as file:
        assert read_exactly(file.fileno(), 4096, 0) == A[:4096]
        replace()
        # What is here goes on; what is not here cannot come any more.
        assert read_exactly(file.fileno(), 4096, 0) == A[:4096]
        with pytest.raises(OSError) as error:
            os.pread(file.fileno(), 4096, SIZE - 4096)
        assert error.value.errno == errno.ESTALE
        stale = 0
        for offset in range(0, SIZE, MIB):
            try:
                data = os.pread(file.fileno(), MIB, offset)
                assert data == A[:len(data)], f"bytes of the new object in the old file at {offset}"
            except OSError as problem:
                assert problem.errno == errno.ESTALE
                stale += 1
        assert stale > 0

        def opened_anew():
            with open(path, "rb", buffering=0) as again:
                return os.pread(again.fileno(), 4096, 0) == B[:4096]

        wait_for(lambda: attempt(opened_anew), "a new lookup shows the new object")
        with open(path, "rb", buffering=0) as again:
            assert read_exactly(again.fileno(), SIZE, 0) == B
            assert os.fstat(again.fileno()).st_ino != os.fstat(file.fileno()).st_ino
        assert read_exactly(file.fileno(), 4096, 0) == A[:4096]


def attempt(condition):
    """The condition's value; false while the old object is known to be stale."""
    try:
        return condition()
    except OSError as problem:
        assert problem.errno == errno.ESTALE
        return False


def test_a_new_and_a_deleted_object_show_after_the_ttl(modelfs, s3):
    client = s3.client()
    client.put_object(Bucket="models", Key="coming/first", Body=b"1")
    mount = modelfs.mount("coming=s3://models/coming", endpoint=s3.url, arguments=["--listing-ttl", "1s"])
    assert (mount / "coming" / "first").read_bytes() == b"1"
    assert not (mount / "coming" / "second").exists()
    client.put_object(Bucket="models", Key="coming/second", Body=b"2")
    wait_for((mount / "coming" / "second").exists, "the new object shows")
    assert (mount / "coming" / "second").read_bytes() == b"2"
    client.delete_object(Bucket="models", Key="coming/first")
    wait_for(lambda: not (mount / "coming" / "first").exists(), "the deleted object vanishes")
    assert sorted(os.listdir(mount / "coming")) == ["second"]


def test_a_listing_is_served_stale_while_the_origin_is_down(start_origin, modelfs, folder):
    (folder / "origin" / "models" / "m").mkdir()
    (folder / "origin" / "models" / "m" / "file").write_bytes(b"content")
    origin = start_origin()
    mount = modelfs.mount("m=s3://models/m", endpoint=origin.url, arguments=["--listing-ttl", "100ms", "--anonymous"])
    assert (mount / "m" / "file").read_bytes() == b"content"
    origin.stop()
    for _ in range(3):
        assert os.listdir(mount / "m") == ["file"]
        assert (mount / "m" / "file").read_bytes() == b"content"
    programs.check(modelfs.run("umount", mount.path, limit=15))
