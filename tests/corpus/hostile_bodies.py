"""More than 400 answers to a ranged GET that a hostile or broken server, or a proxy on the way, may send: the same ones each time.

`cases()` gives (label, make): `make(first, last)` are the raw bytes of the answer to a request for those bytes of CONTENT. None of them may ever
show a reader other bytes than CONTENT. What they change is what stands around the bytes; flipped bytes themselves are the business of checksums.
"""

import gzip
import zlib

CONTENT = bytes(i * 7 % 251 for i in range(3000))
ETAG = b'"0123456789abcdef0123456789abcdef-2"'  # Of two parts: no MD5 of the whole, which would be compared.
MODIFIED = b"Tue, 02 Jan 2024 03:04:05 GMT"
TOTAL = len(CONTENT)


def answer(head, body=b"", status=b"206 Partial Content"):
    return b"HTTP/1.1 " + status + b"\r\n" + b"".join(line + b"\r\n" for line in head) + b"\r\n" + body


def stated(first, last, total=TOTAL):
    return b"Content-Range: bytes %d-%d/%d" % (first, last, total)


def length(number):
    return b"Content-Length: %d" % number


def tags():
    return [b"ETag: " + ETAG, b"Last-Modified: " + MODIFIED]


def part(first, last):
    return CONTENT[first : last + 1]


def honest(first, last):
    return answer([stated(first, last), length(last - first + 1), *tags()], part(first, last))


def chunked(data, size=512):
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (data[i : i + size] for i in range(0, len(data), size))) + b"0\r\n\r\n"


STATUSES = [b"%d Word" % n for n in (
    *range(200, 209), 226, 299, 300, 301, 302, 303, 304, 305, 306, 307, 308, 399, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416,
    417, 418, 421, 422, 423, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 508, 510, 511, 520, 522, 530, 599, 600, 700, 999)]
LINES = [b"HTTP/1.1 206", b"HTTP/1.1  206 Partial", b"HTTP/1.0 206 Partial Content", b"HTTP/2 206", b"HTTP/3 206", b"HTTP/9.9 206 x", b"http/1.1 206 Partial", b"HTTP/1.1 20", b"HTTP/1.1 2066 x",
         b"HTTP/1.1 -206 x", b"HTTP/1.1 abc x", b"HTTP/1.1 ", b"HTTP/", b"ICY 200 OK", b"RTSP/1.0 206 x", b"SSH-2.0-x", b"\x16\x03\x01\x02\x00", b"", b" HTTP/1.1 206 x", b"HTTP/1.1\t206\tx",
         b"HTTP/1.1 206 " + b"r" * 100000, b"HTTP/1.1 206 \x00\x1b[2J\xff", b"GET / HTTP/1.1", b"HTTP/1.1 0206 x", b"HTTP/1.1 206x", b"<html>"]
RANGES = [b"", b"bytes", b"bytes ", b"bytes */3000", b"bytes */*", b"bytes 0-2999/*", b"bytes 0-2999/3001", b"bytes 0-2999/2999", b"bytes 1-2999/3000", b"bytes 0-2998/3000", b"bytes 0-3000/3001",
          b"bytes 0-3000/3000", b"bytes 2999-0/3000", b"bytes -1-2999/3000", b"bytes -2999/3000", b"bytes 0-/3000", b"bytes 0-0/3000", b"bytes 5-5/3000", b"bytes=0-2999/3000", b"Bytes 0-2999/3000",
          b"BYTES 0-2999/3000", b"items 0-2999/3000", b"0-2999/3000", b"bytes 0 - 2999 / 3000", b"bytes 0-2999", b"bytes 0-2999/", b"bytes 0-2999/3000, 0-1/3000", b"bytes 0-2999/3000;x",
          b"bytes 0-18446744073709551615/18446744073709551616", b"bytes 0-18446744073709551614/18446744073709551615", b"bytes 18446744073709551616-18446744073709554615/3000",
          b"bytes 0x0-0xbb7/0xbb8", b"bytes 00-02999/03000", b"bytes +0-2999/3000", b"bytes 0-2999/-1", b"bytes 0.0-2999.0/3000", b"bytes 0-2999/3000 \x00", b"bytes \xd9\xa0-2999/3000",
          b"bytes " + b"0" * 5000 + b"-2999/3000", b"bytes 0-2999/" + b"9" * 5000, b"bytes 0-2e3/3e3", b"\x00", b"none"]
LENGTHS = [b"", b"0", b"-1", b"1", b"2999", b"3001", b"3000, 3000", b"3000, 3001", b"+3000", b"03000", b"3000.0", b"3e3", b"0xbb8", b"abc", b"3000abc", b"3000 3000", b"18446744073709551615", b"18446744073709551616",
           b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808", b"9" * 400, b"NaN", b"\x00", b"\xd9\xa3\xd9\xa0\xd9\xa0\xd9\xa0", b" ", b"3000;x=1", b"'3000'"]
CODINGS = [b"gzip", b"gzip, chunked", b"chunked, gzip", b"deflate", b"br", b"compress", b"x-gzip", b"zstd", b"chunked, chunked", b"identity", b"identity, chunked", b"Chunked", b"chunked ", b" chunked", b"chunked;q=1",
           b"xchunked", b"chunk", b"", b",", b"chunked,", b"trailers", b"\x00chunked", b"\xff", b"c" * 5000]
CHUNKS = [b"", b"0\r\n\r\n", b"zz\r\n", b"-1\r\n", b"-bb8\r\n", b"ffffffffffffffff\r\n", b"10000000000000000\r\n", b"7fffffffffffffff\r\n", b"bb8", b"bb8\r\n", b"bb8\n", b"\r\n", b"bb9\r\n", b"0bb8;" + b"x" * 70000 + b"\r\n", b" bb8\r\n",
          b"0xbb8\r\n", b"+bb8\r\n", b"bb8 \r\n", b"bb8;\x00\r\n", b"bb7\r\n", b"1\r\n"]
ENCODINGS = [b"gzip", b"x-gzip", b"deflate", b"br", b"zstd", b"compress", b"gzip, gzip", b"identity", b"rot13", b"", b"aws-chunked", b"utf-8", b"*"]
ETAGS = [b"", b'"other"', b'W/"other"', b"other", b'"', b'""', b"*", b'W/' + ETAG, ETAG.strip(b'"'), ETAG + b", " + ETAG, ETAG + b'-x', b'"' + b"e" * 50000 + b'"', b"\x00", b"\xff\xfe", b'"%00"', ETAG[:-1], ETAG.upper(), b"null", b"W/", b"w/" + ETAG]
TIMES = [b"", b"never", b"0", b"Tue, 02 Jan 2024 03:04:06 GMT", b"Thu, 01 Jan 1970 00:00:00 GMT", b"Tue, 02 Jan 9999 03:04:05 GMT", b"2024-01-02T03:04:05Z", b"Tuesday, 02-Jan-24 03:04:05 GMT", b"Tue Jan  2 03:04:05 2024", b"\xff",
         b"Tue, 32 Jan 2024 03:04:05 GMT", b"9" * 5000]
NOISE = [b"no colon here", b": no name", b"X", b"X y: z", b"X\x00y: z", b"X: \x00", b"X: \x1b[2J", b"X: \xff\xfe", b"X: a\rb", b"X: a\nContent-Length: 7", b" folded", b"X: a\r\n folded", b"X: a\r\n\tfolded", b"\tX: y", b"X:" + b"v" * 60000,
         b"X:" + b"v" * 200000, b"N" * 50000 + b": v", b"\r\n".join(b"X%d: y" % i for i in range(2000)), b"\r\n".join(b"X%d: y" % i for i in range(50000)), b"Connection: close", b"Connection: upgrade\r\nUpgrade: h2c",
         b"Keep-Alive: timeout=0", b"Keep-Alive: timeout=-1, max=x", b"Set-Cookie: a=b; Domain=.com", b"Location: http://127.0.0.1:1/", b"Refresh: 0; url=file:///etc/passwd", b"Content-Type: multipart/byteranges; boundary=x",
         b"Content-Type: text/html", b"Content-Disposition: attachment; filename=../../x", b"Retry-After: 99999999", b"Retry-After: -1", b"Retry-After: never", b"X-Amz-Request-Id: \x07", b"Strict-Transport-Security: max-age=99999999",
         b"Alt-Svc: h3=\":1\"", b"Date: yesterday", b"Age: -1", b"Warning: 110", b"Trailer: Content-Range", b"WWW-Authenticate: Basic realm=x", b"Proxy-Authenticate: Basic", b"Accept-Ranges: none", b"Accept-Ranges: bytes"]
LOCATIONS = [b"", b"/", b"#", b"?", b"//", b"http://", b"http:///x", b"https://127.0.0.1:1/x", b"http://127.0.0.1:1/x", b"file:///etc/passwd", b"ftp://127.0.0.1/x", b"gopher://127.0.0.1:1/_x", b"dict://127.0.0.1:1/", b"javascript:alert(1)",
             b"data:,x", b"//127.0.0.1:1/x", b"http://user:pass@127.0.0.1:1/", b"http://[::1]:1/", b"http://[", b"http://127.0.0.1:99999/", b"http://127.0.0.1:0/", b"http://\x00/", b"http://a b/", b"/a b", b"/\r\nX: y", b"../../../x", b"/" + b"x" * 70000,
             b"HTTP://127.0.0.1:1/", b"http://127.0.0.1.:1/", b"\\\\host\\x", b"http://0x7f000001:1/", b"unix:/run/x"]
DOCUMENTS = [b"", b"x", b"<html>It works!</html>", b"<Error><Code>NoSuchKey</Code></Error>", b"<Error><Code>InternalError</Code></Error>", b"<Error>", b'{"error_code": "INTERNAL_ERROR"}', b"{", b"null", b"\x00" * TOTAL, b"\xff" * TOTAL,
             CONTENT[1:], CONTENT[:-1], CONTENT + b"x", CONTENT * 2, CONTENT[::-1], gzip.compress(CONTENT), zlib.compress(CONTENT), b"--x\r\n\r\n" + CONTENT + b"\r\n--x--\r\n"]


def cases():
    """Yields (label, make)."""

    def of(label, head, body=part, status=b"206 Partial Content"):
        return label, lambda first, last: answer(head(first, last), body(first, last), status)

    def usual(first, last):
        return [stated(first, last), length(last - first + 1), *tags()]

    for status in STATUSES:
        yield of(b"status " + status, usual, status=status)
    for line in LINES:
        yield b"line " + line[:40], lambda first, last, line=line: line + honest(first, last)[len(b"HTTP/1.1 206 Partial Content") :]
    for text in RANGES:
        yield of(b"range " + text[:40], lambda first, last, text=text: [b"Content-Range: " + text, length(last - first + 1), *tags()])
        yield of(b"second range " + text[:40], lambda first, last, text=text: [stated(first, last), b"Content-Range: " + text, length(last - first + 1), *tags()])
    yield of(b"no range", lambda first, last: [length(last - first + 1), *tags()])
    yield of(b"no length", lambda first, last: [stated(first, last), *tags()])
    for text in LENGTHS:
        yield of(b"length " + text[:40], lambda first, last, text=text: [stated(first, last), b"Content-Length: " + text, *tags()])
        yield of(b"second length " + text[:40], lambda first, last, text=text: [stated(first, last), length(last - first + 1), b"Content-Length: " + text, *tags()])
    for coding in CODINGS:
        yield of(b"coding " + coding[:40], lambda first, last, coding=coding: [stated(first, last), b"Transfer-Encoding: " + coding, *tags()], part if coding in (b"", b"identity") else lambda first, last: chunked(part(first, last)))
    yield of(b"coding and length", lambda first, last: [*usual(first, last), b"Transfer-Encoding: chunked"], lambda first, last: chunked(part(first, last)))
    for start in CHUNKS:
        yield of(b"chunk " + start[:40], lambda first, last: [stated(first, last), b"Transfer-Encoding: chunked", *tags()], lambda first, last, start=start: start + part(first, last))
    yield of(b"trailer", lambda first, last: [stated(first, last), b"Transfer-Encoding: chunked", *tags()], lambda first, last: chunked(part(first, last))[:-2] + b"ETag: \"other\"\r\nContent-Range: bytes 9-9/9\r\n\r\n")
    for encoding in ENCODINGS:
        yield of(b"encoding " + encoding, lambda first, last, encoding=encoding: [*usual(first, last), b"Content-Encoding: " + encoding])
    for pack in (gzip.compress, zlib.compress):
        yield of(b"packed by " + pack.__module__.encode(), lambda first, last, pack=pack: [stated(first, last), length(len(pack(part(first, last)))), b"Content-Encoding: gzip", *tags()], lambda first, last, pack=pack: pack(part(first, last)))
        yield of(b"packed transfer by " + pack.__module__.encode(), lambda first, last: [stated(first, last), b"Transfer-Encoding: gzip, chunked", *tags()], lambda first, last, pack=pack: chunked(pack(part(first, last))))
    for etag in ETAGS:
        yield of(b"etag " + etag[:40], lambda first, last, etag=etag: [stated(first, last), length(last - first + 1), b"ETag: " + etag])
    for time in TIMES:
        yield of(b"modified " + time[:40], lambda first, last, time=time: [stated(first, last), length(last - first + 1), b"Last-Modified: " + time])
    for number, line in enumerate(NOISE):
        yield of(b"noise %d " % number + line[:30], lambda first, last, line=line: [line, *usual(first, last)])
    for location in LOCATIONS:
        yield of(b"redirect " + location[:40], lambda first, last, location=location: [b"Location: " + location, length(0)], lambda first, last: b"", b"302 Found")
    for number, document in enumerate(DOCUMENTS):
        # Of the length that is right, the body is only hostile where it cannot be told: see above.
        if len(document) != TOTAL:
            yield of(b"document %d as 206" % number, lambda first, last, document=document: [stated(first, last), length(len(document)), *tags()], lambda first, last, document=document: document)
            yield of(b"document %d as 200" % number, lambda first, last, document=document: [length(len(document)), *tags()], lambda first, last, document=document: document, b"200 OK")
        yield of(b"document %d as 404" % number, lambda first, last, document=document: [length(len(document))], lambda first, last, document=document: document, b"404 Not Found")
    for cut in (0, 1, 8, 20, 30, 60, 100, 150):
        yield b"head cut at %d" % cut, lambda first, last, cut=cut: honest(first, last)[:cut]
    for cut in (1, 511, 1500, 2999):
        yield b"body cut by %d" % cut, lambda first, last, cut=cut: honest(first, last)[: -min(cut, last - first + 1)]
    yield b"nothing at all", lambda first, last: b""
    yield b"honest", honest
