"""What a mount looks like to ordinary programs."""

import errno
import hashlib
import mmap
import os
import shutil
import stat

import pytest

from harness import programs
from harness.data import MIB, at_once, compare, random_file
from harness.waiting import wait_for

MANY = 3000


@pytest.fixture(scope="module")
def bucket(s3):
    """Prefix `tree`: a model's usual files, an executable script, an empty file, and a folder of 3,000."""
    client = s3.client()
    root = s3.root / "models" / "tree"
    files = {"config.json": b'{"a": 1}\n', "empty": b"", "nested/deep/er/x.bin": os.urandom(3 * MIB + 17),
             "run.sh": b"#!/bin/sh\necho ran from the mount\n", "nam e/ü+%&=.txt": b"odd name",
             "weights.bin": os.urandom(24 * MIB)}
    for key, body in files.items():
        client.put_object(Bucket="models", Key=f"tree/{key}", Body=body)
    (root / "many").mkdir()
    for number in range(MANY):
        path = root / "many" / f"{number:05}.txt"
        path.write_text(str(number))
        os.setxattr(path, "user.etag", f'"{number}"'.encode())
    return files


@pytest.fixture
def tree(modelfs, s3, bucket):
    return modelfs.mount("tree=s3://models/tree", endpoint=s3.url) / "tree"


def test_every_file_has_its_bytes(tree, bucket):
    for key, body in bucket.items():
        assert (tree / key).read_bytes() == body, key


def test_ls_walks_it_all(tree, modelfs, bucket):
    listing = programs.check(programs.run(["ls", "-lR", tree], modelfs.environment)).stdout
    assert listing.count(".txt") == MANY + 1
    assert "weights.bin" in listing and "ü+%&=.txt" in listing


def test_modes_sizes_and_times(tree, s3, bucket):
    for path, directories, files in os.walk(tree):
        for name in directories:
            status = os.stat(os.path.join(path, name))
            assert stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o555
        for name in files:
            status = os.stat(os.path.join(path, name))
            assert stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o444
            assert (status.st_uid, status.st_gid) == (os.getuid(), os.getgid())
    status = (tree / "weights.bin").stat()
    assert status.st_size == 24 * MIB
    assert status.st_blocks * 512 >= status.st_size, "it looks sparse"
    origin = s3.client().head_object(Bucket="models", Key="tree/weights.bin")["LastModified"].timestamp()
    assert abs(status.st_mtime - origin) < 1.5


def test_mask_and_owner_can_be_set(modelfs, s3, bucket):
    mount = modelfs.mount("tree=s3://models/tree", endpoint=s3.url, arguments=["--umask", "027", "--uid", 1234, "--gid", 2345])
    status = (mount / "tree" / "config.json").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o440, 1234, 2345)
    assert stat.S_IMODE((mount / "tree").stat().st_mode) == 0o550


def test_a_directory_of_3000_lists_whole_and_in_parts(tree):
    expected = {f"{number:05}.txt" for number in range(MANY)}
    assert set(os.listdir(tree / "many")) == expected
    with os.scandir(tree / "many") as entries:  # a second reader in the middle of the first
        half = [next(entries).name for _ in range(MANY // 2)]
        assert set(os.listdir(tree / "many")) == expected
        assert len(half) == MANY // 2 and {*half, *(entry.name for entry in entries)} == expected


def test_writing_is_refused(tree):
    attempts = {
        "create": lambda: open(tree / "new", "wb"),
        "write": lambda: open(tree / "config.json", "r+b"),
        "truncate": lambda: os.truncate(tree / "config.json", 0),
        "unlink": lambda: os.unlink(tree / "config.json"),
        "mkdir": lambda: os.mkdir(tree / "dir"),
        "rmdir": lambda: os.rmdir(tree / "nested"),
        "rename": lambda: os.rename(tree / "config.json", tree / "other"),
        "chmod": lambda: os.chmod(tree / "config.json", 0o777),
        "utime": lambda: os.utime(tree / "config.json"),
        "symlink": lambda: os.symlink("a", tree / "link"),
        "link": lambda: os.link(tree / "config.json", tree / "link"),
        "setxattr": lambda: os.setxattr(tree / "config.json", "user.a", b"b"),
    }
    for name, attempt in attempts.items():
        with pytest.raises(OSError) as error:
            attempt()
        assert error.value.errno == errno.EROFS, f"{name}: {error.value}"


def test_what_is_not_there_is_not_there(tree):
    for name in ("missing", "nested/missing", "many/99999.txt"):
        with pytest.raises(FileNotFoundError):
            os.stat(tree / name)
    with pytest.raises(NotADirectoryError):
        os.stat(tree / "config.json" / "x")
    with pytest.raises(IsADirectoryError):
        open(tree / "nested", "rb")
    with pytest.raises(OSError) as error:
        os.readlink(tree / "config.json")
    assert error.value.errno == errno.EINVAL


def test_extended_attributes_tell_source_and_state(tree, s3, bucket):
    path = tree / "weights.bin"
    assert {f"user.modelfs.{name}" for name in ("source", "etag", "size", "cached", "verified")} <= set(os.listxattr(path))
    read = lambda name: os.getxattr(path, f"user.modelfs.{name}").decode()
    assert read("source") == "s3://models/tree/weights.bin"
    assert hashlib.md5(bucket["weights.bin"]).hexdigest() in read("etag")
    assert read("size") == str(24 * MIB)
    assert read("cached") == "0"
    path.read_bytes()
    # A reader has its bytes before the disk has.
    wait_for(lambda: read("cached") == str(24 * MIB), "all bytes to be on disk")
    assert read("verified") in ("origin", "self", "no")
    with pytest.raises(OSError) as error:
        os.getxattr(path, "user.other")
    assert error.value.errno == errno.ENODATA


def test_statfs_answers(tree):
    status = os.statvfs(tree)
    assert status.f_flag & os.ST_RDONLY and status.f_flag & os.ST_NOSUID and status.f_flag & os.ST_NODEV
    assert status.f_namemax >= 255


def test_direct_reads(tree, bucket):
    file = os.open(tree / "weights.bin", os.O_RDONLY | os.O_DIRECT)
    try:
        buffer = mmap.mmap(-1, 2 * MIB)  # aligned to a page
        for offset in (0, 5 * MIB, 23 * MIB):
            size = os.preadv(file, [buffer], offset)
            assert size > 0 and buffer[:size] == bucket["weights.bin"][offset:offset + size]
        assert os.preadv(file, [buffer], 24 * MIB) == 0
    finally:
        os.close(file)


def test_mmap_shows_the_bytes(tree, bucket):
    for key in ("weights.bin", "nested/deep/er/x.bin"):
        with open(tree / key, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            assert mapped[:] == bucket[key]


def test_files_can_be_mapped_executable(tree):
    with open(tree / "weights.bin", "rb") as file:
        mmap.mmap(file.fileno(), 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()


def test_a_shared_object_loads_from_the_mount(modelfs, s3):
    library = next(iter(sorted(programs.pathlib.Path("/lib").glob("*/libz.so.1")) or sorted(programs.pathlib.Path("/usr/lib").glob("*/libz.so.1"))))
    s3.client().put_object(Bucket="models", Key="libraries/libz.so", Body=library.read_bytes())
    mount = modelfs.mount("libraries=s3://models/libraries", endpoint=s3.url)
    load = "import ctypes, sys; z = ctypes.CDLL(sys.argv[1]); z.zlibVersion.restype = ctypes.c_char_p; print(z.zlibVersion().decode())"
    result = programs.check(programs.run(["/usr/bin/python3", "-c", load, mount / "libraries" / "libz.so"], modelfs.environment))
    assert result.stdout.startswith("1.")


def test_cp_copies_the_tree(tree, folder, modelfs, bucket):
    programs.check(programs.run(["cp", "-r", tree, folder / "copy"], modelfs.environment))
    for key, body in bucket.items():
        assert (folder / "copy" / key).read_bytes() == body, key
    assert len(os.listdir(folder / "copy" / "many")) == MANY


def test_copies_inside_the_kernel(tree, folder, bucket):
    with open(tree / "weights.bin", "rb") as source, open(folder / "out", "wb") as target:
        left = 24 * MIB
        while left:
            left -= os.sendfile(target.fileno(), source.fileno(), None, left)
    assert (folder / "out").read_bytes() == bucket["weights.bin"]
    shutil.copyfile(tree / "run.sh", folder / "copy")
    assert (folder / "copy").read_bytes() == bucket["run.sh"]


def test_reads_beyond_the_end_are_short(tree, bucket):
    with open(tree / "nested/deep/er/x.bin", "rb", buffering=0) as file:
        assert os.pread(file.fileno(), 100, 3 * MIB + 10) == bucket["nested/deep/er/x.bin"][-7:]
        assert os.pread(file.fileno(), 100, 3 * MIB + 17) == b""
        assert os.pread(file.fileno(), 100, 1 << 40) == b""
    assert (tree / "empty").read_bytes() == b""


def test_many_threads_walk_and_read_at_once(tree):
    def visit(number):
        path = tree / "many" / f"{number % MANY:05}.txt"
        assert path.read_text() == str(number % MANY)

    at_once(16, visit, range(0, 6000, 7))


def test_two_sources_beside_each_other(modelfs, s3, bucket, folder):
    random_file(folder / "local" / "a" / "b.bin", 5 * MIB + 3)
    mount = modelfs.mount("one=s3://models/tree", f"two=dir:{folder}/local", endpoint=s3.url)
    assert sorted(name for name in os.listdir(mount.path) if name != ".modelfs") == ["one", "two"]
    assert (mount / "one" / "config.json").read_bytes() == bucket["config.json"]
    compare(mount / "two" / "a" / "b.bin", folder / "local" / "a" / "b.bin")


def test_a_percent_that_looks_like_an_escape_is_escaped(modelfs, s3):
    s3.client().put_object(Bucket="models", Key="percent/a%41.txt", Body=b"percent")
    mount = modelfs.mount("p=s3://models/percent", endpoint=s3.url)
    assert os.listdir(mount / "p") == ["a%2541.txt"]
    assert (mount / "p" / "a%2541.txt").read_bytes() == b"percent"
    assert not (mount / "p" / "aA.txt").exists()
