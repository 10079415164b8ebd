"""The corpus of hostile listings: each is refused with a reason or safely shown, and nothing crashes or leaves the mount."""

import http.server
import os
import re
import sys
import threading
import time
import urllib.parse

import pytest

from harness import programs
from harness.hostile import check_log, safe

sys.path.insert(0, str(programs.REPOSITORY / "tests"))
from corpus import hostile_listings  # noqa: E402


class HostileServer:
    """S3 as far as listings go: the directory case-0042/ is the listing of that number, and every object is one byte or a lie."""

    def __init__(self, count):
        self.count, self.cases = count, {}
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # Head and body are sent one after the other.

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                query = urllib.parse.parse_qs(url.query, keep_blank_values=True, encoding="latin-1")
                if "list-type" in query or "prefix" in query:
                    return self.answer(200, server.listing(query.get("prefix", [""])[0].encode("latin-1")))
                if url.path.endswith("/good"):
                    return self.answer(206 if self.headers["Range"] else 200, b"good", ("Content-Range", "bytes 0-3/4"), ("ETag", hostile_listings.ETAG.decode().replace("&quot;", '"')))
                kind = len(url.path) % 4
                if kind == 0:
                    return self.answer(206, b"x", ("Content-Range", "bytes 0-0/1"), ("ETag", '"other"'))
                if kind == 1:
                    return self.answer(206, b"xxxx", ("Content-Range", "bytes 7-10/1"))
                if kind == 2:
                    return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
                return self.answer(200, b"")

            do_HEAD = do_GET

            def answer(self, status, body, *headers):
                self.send_response(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def listing(self, prefix):
        if prefix == b"":
            folders = b"".join(b"<CommonPrefixes><Prefix>case-%04d/</Prefix></CommonPrefixes>" % i for i in range(self.count))
            return hostile_listings.listing(folders + hostile_listings.contents(b"good", b"4"))
        return self.cases.get(prefix, hostile_listings.listing(b""))

    def close(self):
        self._server.shutdown()
        self._server.server_close()



def all_cases():
    labels = [label for label, _ in hostile_listings.cases(b"x/")]
    assert len(labels) >= 500
    for number, label in enumerate(labels):
        prefix = b"case-%04d/" % number
        yield number, label, prefix


@pytest.fixture
def server():
    numbered = list(all_cases())
    made = HostileServer(len(numbered))
    # One pass per prefix would be quadratic: the bodies differ in their prefix alone.
    template = dict(enumerate(body for _, body in hostile_listings.cases(b"@PREFIX@/")))
    made.cases = {prefix: template[number].replace(b"@PREFIX@/", prefix).replace(b"%40PREFIX%40%2F", prefix) for number, _, prefix in numbered}
    yield made
    made.close()


def test_500_hostile_listings(server, modelfs, folder):
    outside = folder / "outside"
    outside.mkdir()
    mount = modelfs.mount("s3://models", endpoint=server.url, arguments=["--anonymous", "--read-timeout", "1s"])
    pid = mount.status()["pid"]
    top = os.fsencode(mount / "models")
    refused = shown = attempts = read = late = 0
    for _, label, prefix in all_cases():
        directory = os.path.join(top, prefix[:-1])
        begun = time.monotonic()
        try:
            names = os.listdir(directory)
        except OSError as error:
            refused += 1
            late += time.monotonic() - begun > 0.9  # gave up on it; its reason comes later
            assert error.errno != 0, label
            continue
        shown += 1
        assert len(names) == len(set(names)), label
        for name in names[:50]:
            safe(name)
            path = os.path.join(directory, name)
            assert os.path.realpath(path).startswith(os.path.realpath(top) + b"/"), label
            try:
                status = os.lstat(path)
                if os.path.isdir(path):
                    os.listdir(path)
                elif status.st_size <= 1 << 20 and attempts < 20:  # most of them fail, and slowly
                    attempts += 1
                    with open(path, "rb") as file:
                        data = file.read()
                    assert len(data) == status.st_size, label
                    read += 1
            except OSError:
                pass
        assert (mount / "models" / "good").read_bytes() == b"good", label
    print(f"{refused} refused, {late} of them late, {shown} shown, {read} read")
    assert refused >= 50 and shown >= 200
    status = mount.status()
    assert status["pid"] == pid, "the worker died on the way"
    assert not os.listdir(outside)
    known = re.compile(r"[0-9a-f]{2}|[0-9a-f]{64}|data|map|objects|index|mark|FORMAT|owner|(data|lock)\.mdb|[a-zA-Z_.-]*(quarantine|tmp|version|marker|boot)[a-zA-Z0-9_.-]*")
    for _, folders, files in os.walk(mount.cache):
        for name in folders + files:
            assert known.fullmatch(name), f"a server's name in the cache: {name}"
    log = check_log(status)
    reasons = [line for line in log.splitlines() if b"listing.failed" in line]
    assert len(reasons) >= refused - late and all(b"error=" in line for line in reasons)
