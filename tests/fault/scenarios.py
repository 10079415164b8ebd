"""What an origin does wrong, and what a reader must get: right bytes, or one of some errnos.

A scenario is (name, script, expected). `expected` holds "right" or errno names, for all faces or per face.
"""

import gzip

from faulty_origin import CONTENT, SIZE, drip, honest, reset, send, stall, trickle

RIGHT = {"right"}
LATER = "Tue, 02 Jan 2024 03:04:06 GMT"


def first(times, fault):
    """`fault` for the first `times` attempts (one more per seed), then honest."""
    return lambda a: fault(a) if a.number < times + a.seed else a.honest()


def answer(status, body=b"", more=()):
    return lambda a: a.head(status=status, length=len(body), etag="", more=more) + body


def cut(a):
    return send(a.head() + a.body()[: a.position()])


def reset_in_body(a):
    return reset(a.head() + a.body()[: a.position()])


def stall_in_body(a):
    return stall(a.head() + a.body()[: a.position()])


def wrong_range(a):
    return a.head(content_range=f"bytes {a.first + 1}-{a.last}/{SIZE}") + a.body()


def other_total(a):
    return a.head(content_range=f"bytes {a.first}-{a.last}/{SIZE + 1}") + a.body()


def whole_for_a_range(a):
    return a.head(status="200 OK", length=SIZE) + CONTENT


def gzipped(a):
    packed = gzip.compress(a.body(), 1)
    return a.head(length=len(packed), more=["Content-Encoding: gzip"]) + packed


def long_body(a):
    return a.head(length=a.length + 4096) + a.body() + b"x" * 4096


def changes(a):
    """Another object from the second request on; the first stops in the middle."""
    if a.number == 0:
        return send(a.head() + a.body()[: min(1 << 20, a.length - 1)])
    return a.head(etag='"another"', modified=LATER) + bytes(a.length)


XML = b"<?xml version='1.0'?><Error><Code>%b</Code><Message>m</Message></Error>"
SLOW = ["Retry-After: 1"]

# What goes away again: no reader may notice.
PASSING = [
    ("reset_in_body", first(2, reset_in_body)),
    ("reset_before_answer", first(2, lambda a: reset(b""))),
    ("closed_before_answer", first(2, lambda a: send(b""))),
    ("short_body", first(2, cut)),
    ("throttled_429", first(1, answer("429 Too Many Requests", more=SLOW))),
    ("throttled_503", first(1, answer("503 Slow Down", XML % b"SlowDown", SLOW))),
    ("error_500", first(1, answer("500 Internal Server Error", XML % b"InternalError"))),
    ("error_502", first(2, answer("502 Bad Gateway", b"<html>bad gateway</html>"))),
    ("error_504", first(2, answer("504 Gateway Timeout"))),
    ("timeout_408", first(1, answer("408 Request Timeout"))),
    ("wrong_range_at_first", lambda a: wrong_range(a) if a.number == 0 else a.honest()),
    ("gzip_at_first", lambda a: gzipped(a) if a.number == 0 else a.honest()),
    ("no_http_at_first", lambda a: send(b"SSH-2.0-x\r\n") if a.number == 0 else a.honest()),
    ("less_than_asked", lambda a: a.head(content_range=f"bytes {a.first}-{a.first + a.length // 2}/{SIZE}", length=a.length // 2 + 1) + a.body()[: a.length // 2 + 1] if a.ranged and a.length > 1 else a.honest()),
    ("half_each_time", lambda a: send(a.head() + a.body()[: a.length // 2]) if a.number < 4 else a.honest()),
    ("slow_link", lambda a: trickle(a.honest())),
]

# What stays: the reader gets an errno, and never other bytes. Where a server turns out to know no ranges (MLflow's), the whole comes by a stream, and a
# range that is wrong is never seen; it is asked no If-Match either.
LASTING = [
    ("always_reset", reset_in_body, {"EIO", "right"}),  # Each attempt goes on where the last one ended.
    ("always_reset_at_once", lambda a: reset(b""), {"EIO"}),
    ("always_stalls", stall_in_body, {"EIO"}),
    ("always_silent", lambda a: stall(b""), {"EIO"}),
    ("a_byte_per_second", lambda a: drip(a.head(), a.body()), {"EIO"}),
    ("head_by_bytes", lambda a: drip(b"", a.honest()), {"EIO"}),
    ("always_500", answer("500 Internal Server Error", XML % b"InternalError"), {"EIO"}),
    ("always_503", answer("503 Slow Down", XML % b"SlowDown", SLOW), {"EIO"}),
    ("denied_403", answer("403 Forbidden", XML % b"AccessDenied"), {"EACCES"}),
    ("denied_401", answer("401 Unauthorized", XML % b"AccessDenied"), {"EACCES"}),
    ("gone_404", answer("404 Not Found", XML % b"NoSuchKey"), {"ESTALE"}),
    ("replaced_412", answer("412 Precondition Failed", XML % b"PreconditionFailed"), {"ESTALE", "EINVAL"}),
    ("no_range_416", answer("416 Range Not Satisfiable"), {"EIO", "ESTALE"}),
    ("always_wrong_range", wrong_range, {"EIO", "ESTALE", "right"}),
    ("other_length", other_total, {"ESTALE"}),
    ("always_gzip", gzipped, {"EIO", "ESTALE"}),
    ("longer_body", long_body, {"EIO", "ESTALE"}),
    ("changed_in_mid_file", changes, {"ESTALE"}),
    ("redirect_to_itself", lambda a: answer("302 Found", more=[f"Location: {a.origin.url}/web/{a.name}"])(a), {"EIO", "EINVAL", "EACCES"}),
    ("redirect_elsewhere", answer("302 Found", more=["Location: http://127.0.0.1:1/x"]), {"EIO", "EINVAL", "EACCES"}),
    ("redirect_to_a_file", answer("302 Found", more=["Location: file:///etc/passwd"]), {"EIO", "EINVAL", "EACCES"}),
    ("ranges_ignored", whole_for_a_range, {"right"}),
    ("ranges_ignored_and_cut", lambda a: send(a.head(status="200 OK", length=SIZE) + CONTENT[: SIZE // 2]) if a.number < 2 else whole_for_a_range(a), {"right"}),
    ("not_implemented_501", answer("501 Not Implemented"), {"EIO", "EINVAL"}),
]


def scripts():
    """name -> (script, expected outcomes)"""
    made = {name: (script, RIGHT) for name, script in PASSING}
    made |= {name: (script, expected) for name, script, expected in LASTING}
    return made | {"honest": (honest, RIGHT)}


