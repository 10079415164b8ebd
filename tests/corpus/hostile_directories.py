"""Directories that a hostile or broken web server or MLflow server may show: the same ones each time.

`web_cases()` gives (label, body) of pages that list a directory, in HTML and JSON; `mlflow_cases()` (label, body) of answers that list artifacts.
"""

import json
import urllib.parse

from .hostile_listings import NAMES, SIZES, TIMES, escape


def html(inside):
    return b"<html><head><title>Index of /</title></head><body><h1>Index of /</h1><pre>" + inside + b"</pre></body></html>"


def link(href, text=b"x"):
    return b'<a href="' + href + b'">' + text + b"</a>  02-Jan-2024 03:04  1\n"


def text(raw):
    return raw.decode("latin-1")


GOOD_LINK = link(b"good.bin")
GOOD_FILE = {"name": "good.bin", "type": "file", "mtime": "Tue, 02 Jan 2024 03:04:05 GMT", "size": 1}

HREFS = [b"http://127.0.0.1:1/x", b"https://other/x", b"//other/x", b"ftp://h/x", b"mailto:a@b", b"javascript:alert(1)", b"data:text/plain,x", b"file:///etc/passwd", b"?C=N;O=D", b"?", b"#top", b"#", b"/", b"/etc/passwd", b"./", b"../",
         b"..", b".", b"x?y", b"x#y", b"x;y", b"./x", b"./../x", b"x/./y", b"x//y", b"%2e%2e/", b"%2E%2E%2Fx", b"x%2Fy", b"x%00y", b"x%0ay", b"x%", b"x%zz", b"&#x2e;&#x2e;/", b"&lt;x&gt;", b"&nope;", b"&#0;", b"&#x110000;", b" x ", b"x y", b"\tx", b""]
PAGES = [b"", b" ", b"hello", b"<", b"<html>", b"<a", b"<a href", b"<a href=", b'<a href="', b"<a href='x", b"<a href=x>", b"<A HREF=X>x</A>", b'<a\nhref\n=\n"x"\n>', b'<a href="x" href="y">z</a>', b'<a title=\'href="x"\' href="y">z</a>', b'<!-- <a href="x">x</a> -->',
         b'<script>"<a href=\'x\'>"</script>', b"<title>403 Forbidden</title>", b"\x00" * 5000, b"\xff" * 5000, b"<a " + b"x " * 100000 + b'href="x">', b"<a href=\"" + b"x" * 1000000 + b'">x</a>', b"<p>" * 200000, GOOD_LINK * 5000, b"\xef\xbb\xbf" + GOOD_LINK,
         GOOD_LINK.decode().encode("utf-16"), b"[", b"[]", b"{}", b"null", b"true", b"1", b'"x"', b"[null]", b"[1]", b"[[]]", b"[{}]", b"[" * 100000, b'[{"name":' * 5000, b"[" + b'{"name":"a","type":"file","size":1},' * 3000 + b'{"name":"z","type":"file","size":1}]',
         b'{"files": "x"}', b'{"files": [1, null, {}]}', b'{"a": 1, "a": 2}', b'[{"name":"a"}]x', b'[{"name":"a","type":"file","size":1},]', b'[{"name":"\\ud800","type":"file","size":1}]', b'[{"name":"a\\u0000b","type":"file","size":1}]', b'[{"name":"\xff","type":"file","size":1}]']
VALUES = [None, True, False, 0, -1, 1.5, 1e308, 2**63, 2**64, 10**40, "", "1", "x", [], {}, [1], {"a": 1}, "9" * 400]


def web_cases():
    """Yields (label, content type, body)."""
    for raw in NAMES:
        yield b"quoted " + raw[:40], "text/html", html(link(urllib.parse.quote(raw).encode(), escape(raw)) + GOOD_LINK)
        yield b"raw " + raw[:40], "text/html", html(link(raw, escape(raw)) + GOOD_LINK)
        yield b"json " + raw[:40], "application/json", json.dumps([GOOD_FILE, GOOD_FILE | {"name": text(raw)}, GOOD_FILE | {"name": text(raw), "type": "directory"}]).encode()
    for href in HREFS:
        yield b"href " + href, "text/html", html(link(href) + GOOD_LINK)
    for number, page in enumerate(PAGES):
        yield b"page %d as html" % number, "text/html", page
        yield b"page %d as json" % number, "application/json", page
    for field in GOOD_FILE:
        for value in VALUES:
            yield f"{field}={str(value)[:20]}".encode(), "application/json", json.dumps([GOOD_FILE, GOOD_FILE | {"name": "other.bin"} | {field: value}]).encode()
    for size in SIZES:
        yield b"size " + size[:40], "text/html", html(GOOD_LINK.replace(b"  1\n", b"  " + size + b"\n"))
    for time in TIMES:
        yield b"time " + time[:40], "text/html", html(GOOD_LINK.replace(b"02-Jan-2024 03:04", time))


def mlflow_cases():
    """Yields (label, body)."""
    good = {"path": "good.bin", "is_dir": False, "file_size": 1}
    for raw in NAMES:
        yield b"file " + raw[:40], json.dumps({"files": [good, good | {"path": text(raw)}]}).encode()
        yield b"folder " + raw[:40], json.dumps({"files": [good, {"path": text(raw), "is_dir": True}]}).encode()
        yield b"escaped " + raw[:40], json.dumps({"files": [good, good | {"path": urllib.parse.quote(raw)}]}).encode()
    for field in good:
        for value in VALUES:
            yield f"{field}={str(value)[:20]}".encode(), json.dumps({"files": [good, good | {"path": "other.bin"} | {field: value}]}).encode()
    for value in VALUES:
        yield f"files={str(value)[:20]}".encode(), json.dumps({"files": value}).encode()
        yield f"root={str(value)[:20]}".encode(), json.dumps(value).encode()
        yield f"root_uri={str(value)[:20]}".encode(), json.dumps({"root_uri": value, "files": [good]}).encode()
    for number, page in enumerate(PAGES):
        yield b"page %d" % number, page
