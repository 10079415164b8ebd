"""A mount and, beside it, what it should be: plain dictionaries. Operations at random, and after each the two must be equal."""

import contextlib
import json
import mmap
import multiprocessing
import os
import signal
import threading
import urllib.parse

from harness.raw_server import RawServer, plain
from harness.three_faces import mlflow_answer, mlflow_version
from harness.waiting import wait_for
from harness.worker import successor_of

FAILING = {"local_tier.create": 28, "local_tier.write": 28, "local_tier.record": 5, "local_tier.read": 5, "local_tier.check": 5, "evict.strike": 5,
           "evict.remove": 5, "index_db.commit": 28}  # and the errno; none of them may reach a reader
VERSIONS = 3
CHUNK = 256 << 10


class Registry:
    """An MLflow server with one model, `m`, of three versions, whose alias `champion` moves.

    A process of its own: a page fault of the test, which waits for an answer of this server, holds Python's lock.
    """

    def __init__(self, files):
        forked = multiprocessing.get_context("fork")
        self.files, self._champion = files, forked.Value("i", 1)
        here, there = forked.Pipe()
        self._process = forked.Process(target=self._serve, args=(there,), daemon=True)
        self._process.start()
        self.url = here.recv()

    @property
    def champion(self):
        return self._champion.value

    @champion.setter
    def champion(self, number):
        self._champion.value = number

    def close(self):
        self._process.kill()
        self._process.join()

    def _serve(self, pipe):
        pipe.send(RawServer(self._respond).url)
        threading.Event().wait()

    def _respond(self, request):
        path = request.path.decode()
        versions = [mlflow_version(number, f"mlflow-artifacts:/{number}/m") for number in self.files]
        if path.endswith("/registered-models/search"):
            model = {"name": "m", "creation_timestamp": 1, "last_updated_timestamp": 1, "aliases": [{"alias": "champion", "version": str(self.champion)}]}
            return plain(json.dumps({"registered_models": [model]}).encode())
        wanted = int(request.query.get("version", 1))
        if answer := mlflow_answer(path, ["m"], versions, versions[wanted - 1]):
            return answer
        top = "/api/2.0/mlflow-artifacts/artifacts"
        if path == top:
            number = int(urllib.parse.unquote(request.query["path"]).split("/")[0])
            return plain(json.dumps({"files": [{"path": name, "is_dir": False, "file_size": len(data)} for name, data in self.files[number].items()]}).encode())
        if path.startswith(top + "/"):
            number, _, name = path[len(top) + 1 :].split("/", 2)
            return self._object(request, self.files[int(number)].get(name))
        return plain(b"none", "404 Not Found")

    @staticmethod
    def _object(request, data):
        if data is None:
            return plain(b"none", "404 Not Found")
        if request.range is None:
            return plain(data)
        first, last = request.range[0], min(request.range[1], len(data) - 1)
        return plain(data[first : last + 1], "206 Partial Content", f"Content-Range: bytes {first}-{last}/{len(data)}")


class World:
    """One sequence. `files`: what the mount should hold, by path below it."""

    def __init__(self, commands, origin, seed, chance):
        self.commands, self.origin, self.chance, self.board = commands, origin, chance, commands.board
        self.done, self.serial, self.last, self.kills = [f"seed {seed}"], 0, None, 0
        self.handles = []  # of (file, bytes, whether the object behind it was replaced)
        self.bucket = commands.folder / "origin" / "models" / f"s{seed}"
        self.bucket.mkdir()
        self.files = {}
        for number in range(4):
            self._put(f"fixed-{number}")
        content = {number: {f"part-{part}": chance.randbytes(chance.randrange(1, 3 * CHUNK)) for part in range(2)} for number in range(1, VERSIONS + 1)}
        self.registry = Registry(content)
        self.files |= {f"m/{number}/{name}": data for number, files in content.items() for name, data in files.items()}
        self.arguments = ["--listing-ttl", "300ms", "--alias-poll", "100ms", "--cache-size", "2MiB", "--chunk-size", "256KiB", "--memory", "8MiB"]
        self.cache = commands.folder / f"cache-{seed}"
        self.source = f"s=s3://models/{self.bucket.name}"
        self._mount()

    def _mount(self, at=None):
        self.mount = self.commands.mount(self.source, f"mlflow:{self.registry.url}", endpoint=self.origin.url, cache=self.cache, at=at, arguments=self.arguments)
        self.last = None

    def _put(self, name):
        data = self.chance.randbytes(self.chance.choice([0, 1, 4096, CHUNK, CHUNK + 1, self.chance.randrange(1, 8 * CHUNK)]))
        fresh = self.bucket.parent / f".new-{self.bucket.name}"
        fresh.write_bytes(data)
        fresh.rename(self.bucket / name)
        self.files[f"s/{name}"] = data
        return data

    def run(self, count):
        operations = [self.read] * 6 + [self.map] * 3 + [self.open] * 3 + [self.read_handle] * 5 + [self.close] * 2 + [self.list] * 2 + [self.stat] * 2 + [
            self.evict, self.kill, self.new, self.replace, self.remove, self.flip, self.disk_fault, self.origin_fault, self.restart, self.crash]
        for _ in range(count):
            operation = self.chance.choice(operations)
            self.done.append(operation.__name__)
            operation()
        for path, data in self.files.items():
            self.done.append(f"at last {path}")
            assert self._at(path).read_bytes() == data

    def end(self):
        self._close_all()
        with contextlib.suppress(Exception):
            self._heal()
        self.registry.close()

    def _at(self, path):
        return self.mount.path / path

    def _any(self):
        path = self.chance.choice(sorted(self.files))
        self.done[-1] += f" {path}"
        return path, self.files[path]

    def _stretch(self, data):
        offset = self.chance.randrange(len(data) + 2)
        return offset, self.chance.choice([1, 100, 4096, CHUNK, len(data) + 1])

    def _drop(self, file):
        if self.chance.random() < 0.7:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def _same(self, got, data, offset, size):
        wanted = data[offset : offset + size]
        if got != wanted:
            place = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), min(len(got), len(wanted)))
            others = [path for path, other in self.files.items() if got and other[offset : offset + len(got)] == got]
            raise AssertionError(f"[{offset}, +{size}) of {len(data)} bytes: {len(got)} came, they differ from {place} on; {others} have these")

    # What a program does.

    def read(self):
        path, data = self._any()
        offset, size = self._stretch(data)
        with open(self._at(path), "rb", buffering=0) as file:
            self._drop(file)
            self._same(os.pread(file.fileno(), size, offset), data, offset, size)

    def map(self):
        path, data = self._any()
        with open(self._at(path), "rb") as file:
            if data:
                with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as window:
                    offset, size = self._stretch(data)
                    assert window[offset : offset + size] == data[offset : offset + size]

    def open(self):
        path, data = self._any()
        self.handles.append([open(self._at(path), "rb", buffering=0), data, path])

    def read_handle(self):
        if not self.handles:
            return
        file, data, path = self.chance.choice(self.handles)
        self.done[-1] += f" {path}"
        offset, size = self._stretch(data)
        self._drop(file)
        got = b""
        try:
            # What can be had of it may come before the error of the rest.
            while piece := os.pread(file.fileno(), max(0, min(size, len(data) - offset)) - len(got), offset + len(got)):
                got += piece
        except OSError as error:  # What is gone at the origin need not be had any more, but never something else.
            assert self.files.get(path) is not data and error.errno in (5, 116), error
            size = len(got)
        self._same(got, data, offset, size)

    def close(self):
        if self.handles:
            self.handles.pop(self.chance.randrange(len(self.handles)))[0].close()

    def list(self):
        below = sorted(path.split("/", 1)[1] for path in self.files if path.startswith("s/"))
        assert sorted(os.listdir(self.mount / "s")) == below
        assert {"1", "2", "3", "@champion"} <= set(os.listdir(self.mount / "m"))

    def stat(self):
        path, data = self._any()
        assert self._at(path).stat().st_size == len(data)
        assert not self._at("s/never").exists()

    # What an operator, the origin and bad luck do.

    def evict(self):
        path, _ = self._any()
        result = self.commands.run("evict", self._at(path))
        assert result.returncode == 0 or "use" in result.stdout + result.stderr, result

    def kill(self):
        self.last = successor_of(self.mount, self.last)
        os.kill(self.last, signal.SIGKILL)
        self.kills += 1

    def restart(self):
        self._close_all()
        self.mount.unmount()
        self._mount(self.mount.path)

    def crash(self):
        self._close_all()
        self.commands.kill_all()
        self._mount(self.mount.path)

    def new(self):
        self.serial += 1
        data = self._put(f"new-{self.serial}")
        self._await(lambda: self._at(f"s/new-{self.serial}").stat().st_size == len(data))

    def replace(self):
        name = f"fixed-{self.chance.randrange(4)}"
        self.done[-1] += f" {name}"
        before = len(self.files[f"s/{name}"])
        while len(data := self._put(name)) == before:
            pass  # The size tells when the mount has noticed.
        self._await(lambda: self._at(f"s/{name}").stat().st_size == len(data))

    def remove(self):
        names = [path for path in self.files if path.startswith("s/new-")]
        if not names:
            return
        path = self.chance.choice(names)
        (self.bucket / path[2:]).unlink()
        del self.files[path]
        self._await(lambda: not self._at(path).exists())

    def _await(self, condition):
        def quietly():
            try:
                return condition()
            except FileNotFoundError:
                return False

        wait_for(quietly, "the mount notices", 10)
        # The kernel's own copy of the list is as old as the last one that the mount has shown.
        names = sorted(path[2:] for path in self.files if path.startswith("s/"))
        wait_for(lambda: sorted(os.listdir(self.mount / "s")) == names, "the list is new", 10)

    def flip(self):
        target = self.chance.randrange(1, VERSIONS + 1)
        self.done[-1] += f" {target}"
        before, self.registry.champion = self.registry.champion, target
        seen = []

        def followed():
            seen.append(os.readlink(self._at("m/@champion")))
            return seen[-1] == str(target)

        wait_for(followed, "the alias moves", 10)
        assert set(seen) <= {str(before), str(target)}
        for part in range(2):
            assert self._at(f"m/@champion/part-{part}").read_bytes() == self.files[f"m/{target}/part-{part}"]

    def disk_fault(self):
        """A step of the cache fails for some operations."""
        label = self.chance.choice(sorted(FAILING))
        self.done[-1] += f" {label}"
        self.board.fail(label, FAILING[label])
        for _ in range(3):
            self.chance.choice([self.read, self.map, self.read_handle])()
        self._heal()

    def _heal(self):
        for label in FAILING:
            self.board.release(label)

    def origin_fault(self):
        fault = self.chance.choice([{"type": "status", "status": 503}, {"type": "drop", "bytes": 1000}, {"type": "status", "status": 500}])
        self.origin.control("faults", [{"match": {"method": "GET", "nth": 1, "count": 2}, "fault": fault}])
        self.read()
        self.origin.control("faults", [])

    def _close_all(self):
        while self.handles:
            self.handles.pop()[0].close()
