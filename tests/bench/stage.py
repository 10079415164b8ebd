"""Where a work is done: an origin behind a link, with objects, and folders that go away."""

import contextlib
import json
import pathlib
import shutil
import tempfile
import urllib.parse
import urllib.request
import xml.etree.ElementTree

from harness import servers

import reader
from contestants.contestant import BUCKET, unmount_below


class Objects:
    """The files behind all origins of a run: made when first asked for, and kept until the end."""

    def __init__(self, folder):
        self.root = folder / "origin"
        (self.root / BUCKET).mkdir(parents=True)

    def pattern(self, key, size, head=None):
        """Sees to an object of pattern bytes; returns its key."""
        if not (self.root / BUCKET / key).exists():
            reader.make(self.root / BUCKET / key, size, head)
        return key

    def path(self, key):
        return self.root / BUCKET / key


class Stage:
    """One link. A context manager; `origin` runs inside of it."""

    def __init__(self, folder, objects, link, quick):
        self.folder, self.objects, self.link, self.quick = folder, objects, link, quick
        self.root = objects.root
        self._count = 0

    def __enter__(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.link.name}-", dir=self.folder))
        self.origin = servers.EmbeddedOrigin(self.place, self.root, *self.link.arguments)
        return self

    def __exit__(self, *_):
        self.origin.stop()
        unmount_below(self.place)
        shutil.rmtree(self.place, ignore_errors=True)

    def new_folder(self, name):
        self._count += 1
        folder = self.place / f"{self._count}-{name}"
        folder.mkdir()
        return folder

    def object(self, full_mib):
        """An object of this many MiB, less in a quick run; its key."""
        size = self.link.size(full_mib << 20, self.quick)
        return self.objects.pattern(f"pattern-{size >> 20}.bin", size)

    def size_of(self, key):
        return self.objects.path(key).stat().st_size

    def listing(self):
        """(key, ETag with its quotes, size) of all objects that are files."""
        found, token = [], None
        while True:
            query = {"list-type": "2"} | ({"continuation-token": token} if token else {})
            with urllib.request.urlopen(f"{self.origin.url}/{BUCKET}?{urllib.parse.urlencode(query)}", timeout=60) as answer:
                page = xml.etree.ElementTree.fromstring(answer.read())
            space = page.tag.partition("}")[0] + "}"
            for item in page.iter(f"{space}Contents"):
                found.append((item.findtext(f"{space}Key"), item.findtext(f"{space}ETag"), int(item.findtext(f"{space}Size"))))
            token = page.findtext(f"{space}NextContinuationToken")
            if not token:
                return found

    def fetched_bytes(self):
        """Bytes of objects that left the origin since the last call."""
        total = self.origin.stats()["object_body_bytes"]
        self.origin.control("reset", {})
        return total


@contextlib.contextmanager
def temporary_folder():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="modelfs-bench-"))
    try:
        yield folder
    finally:
        unmount_below(folder)
        shutil.rmtree(folder, ignore_errors=True)


def save(path, document):
    """Writes JSON so that a reader sees all of it or what was there before."""
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(document, indent=1) + "\n")
    new.replace(path)
