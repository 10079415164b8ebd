"""More than 500 listings that a hostile or broken S3 server may send: the same ones each time.

`cases(prefix)` gives (label, body); `prefix` is the directory that was asked for.
"""

import urllib.parse

HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
TAIL = b"</ListBucketResult>"
ETAG = b"&quot;0123456789abcdef0123456789abcdef-2&quot;"  # Of two parts: no MD5 of the whole, which would be compared.
TIME = b"2024-01-02T03:04:05.000Z"


def escape(raw):
    return raw.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")


def contents(key, size=b"1", etag=ETAG, time=TIME):
    return (b"<Contents><Key>" + key + b"</Key><LastModified>" + time + b"</LastModified><ETag>" + etag + b"</ETag><Size>" + size
            + b"</Size><StorageClass>STANDARD</StorageClass></Contents>")


def listing(inside, truncated=b"false", more=b""):
    return HEAD + b"<Name>models</Name><IsTruncated>" + truncated + b"</IsTruncated>" + more + inside + TAIL


# Names below the prefix, raw bytes.
NAMES = [
    b"", b"/", b"//", b"///x", b".", b"..", b"./x", b"../x", b"../../etc/passwd", b"..\\..\\x", b"a/../b", b"a/./b", b"a//b", b"a/", b"a/b/",
    b"/etc/passwd", b"//host/share", b"C:\\x", b"C:/x", b"~", b"~root", b"-rf", b"--help", b"-", b"*", b"?", b"[a]", b"{a,b}", b"$HOME", b"`id`",
    b"$(id)", b";id", b"|id", b"&id", b"a b", b" a", b"a ", b"  ", b"a\tb", b"a\nb", b"a\rb", b"a\r\nb", b"\n", b"\r", b"a\x0bb", b"a\x0cb", b"a\x1bb",
    b"\x1b[2J", b"\x1b]0;t\x07", b"a\x07", b"a\x08b", b"\x7f", b"\xc2\x80", b"\xc2\x9b31m", b"\xe2\x80\xae" + b"gpj.exe", b"\xe2\x80\x8b", b"\xef\xbb\xbfbom",
    b"\xe2\x80\xa8", b"\xf0\x9f\x98\x80", b"\xc3\xa9", b"e\xcc\x81", b"\xff", b"\xfe\xff", b"\xc3", b"\xc3(", b"\xa0", b"\xe2\x28\xa1", b"\xf0\x28\x8c\xbc",
    b"\xc0\xaf", b"\xc0\xae\xc0\xae/", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"%", b"%%", b"%2", b"%2e", b"%2e%2e",
    b"%2e%2e%2f", b"..%2f", b"..%5c", b"%252e%252e", b"%00", b"a%00b", b"%0a", b"%zz", b"%u002e", b"%2F", b"%c0%ae", b"+", b"a+b", b"a%20b", b"#", b"?x=1",
    b"a#b", b"a?b", b"a;b", b"a:b", b"a=b", b"a&b", b"'", b'"', b"''", b'a"b', b"<", b">", b"<a>", b"</Key>", b"]]>", b"<!--", b"<![CDATA[x]]>", b"&amp;",
    b"&lt;", b"&#x2e;&#x2e;", b".modelfs", b".modelfs/status.json", b".git", b".fuse_hidden0001", b".nfs0001", b"lost+found", b"CON", b"NUL", b"aux.txt",
    b"a" * 254, b"a" * 255, b"a" * 256, b"a" * 300, b"a" * 1024, b"a" * 4096, b"a" * 65536, b"\x01" * 85, b"\x01" * 86, b"\xc3\xa9" * 127 + b"a",
    b"\xc3\xa9" * 128, b"/".join([b"d"] * 200), b"/".join([b"d"] * 511), b"d" * 300 + b"/x", b"." * 3, b"." * 255, b"..." + b"/x", b".. ", b" ..", b"..\x00",
    b".\x00.", b"a\x00b", b"\x00", b"\x00" * 8, b"a/\x00", b"\x01", b"\x02", b"\x1f", b"a\\", b"\\", b"\\\\server\\x", b"a\\..\\b", b"file:///etc/passwd",
    b"http://169.254.169.254/", b"s3://other/x", b"models/../../x", b"../models", b"\xef\xbc\x8e\xef\xbc\x8e/x", b"\xef\xbc\x8fetc", b"\xe2\x88\x95etc",
    b"0", b"00", b"-1", b"1e999", b"NaN", b"null", b"true", b"undefined", b"__proto__", b"constructor", b"a" + b"%41" * 80, b"%" * 255, b"%41" * 85,
]
assert len(NAMES) >= 160

SIZES = [b"-1", b"-9223372036854775808", b"9223372036854775807", b"9223372036854775808", b"18446744073709551615", b"18446744073709551616",
         b"99999999999999999999999999", b"1e6", b"0x10", b"1.5", b"", b" ", b" 1", b"1 ", b"+1", b"abc", b"1,000", b"NaN", b"Infinity", b"\xd9\xa1", b"1\x00",
         b"<a/>", b"00000000000000000000000000001", b"-0", b"1KB", b"9" * 1000]
TIMES = [b"", b"never", b"0000-00-00T00:00:00Z", b"9999-12-31T23:59:59Z", b"99999-01-01T00:00:00Z", b"-0001-01-01T00:00:00Z", b"2024-13-01T00:00:00Z",
         b"2024-02-30T00:00:00Z", b"2024-01-01T25:61:61Z", b"2024-01-01", b"1704164645", b"2024-01-01T00:00:00+99:99", b"2024-01-01T00:00:00." + b"9" * 500 + b"Z",
         b"Tue, 02 Jan 2024 03:04:05 GMT", b"1969-12-31T23:59:59Z", b"0001-01-01T00:00:00Z"]
ETAGS = [b"", b"&quot;", b"&quot;&quot;", b"W/&quot;weak&quot;", b"plain", b"&quot;line&#10;break&quot;", b"&quot;a&#13;&#10;X-Injected: 1&quot;",
         b"&quot;" + b"e" * 100000 + b"&quot;", b"*", b"&quot;\xff\xfe&quot;", b"&quot;0123456789abcdef0123456789abcdef-99999&quot;", b"&quot;&lt;&gt;&quot;"]

GOOD = contents(b"PREFIXgood.bin")

# Whole bodies; PREFIX stands for the directory.
BODIES = [
    (b"empty", b""), (b"a space", b" "), (b"zeros", b"\0" * 1000), (b"text", b"hello"), (b"html", b"<html><body>It works!</body></html>"), (b"json", b'{"Contents": []}'),
    (b"utf-16", (HEAD + GOOD + TAIL).decode("latin-1").encode("utf-16")), (b"bom", b"\xef\xbb\xbf" + listing(GOOD)), (b"latin-1 declared", listing(GOOD).replace(b"UTF-8", b"ISO-8859-1")),
    (b"no declaration", listing(GOOD).split(b"\n", 1)[1]), (b"two roots", listing(GOOD) + listing(GOOD)), (b"rubbish behind", listing(GOOD) + b"rubbish"),
    (b"only a head", HEAD), (b"only a tail", TAIL), (b"other root", b"<ListAllMyBucketsResult/>"), (b"error in 200", b"<Error><Code>InternalError</Code><Message>m</Message></Error>"),
    (b"error in listing", listing(b"<Error><Code>AccessDenied</Code></Error>")), (b"no namespace", b"<ListBucketResult>" + GOOD + b"</ListBucketResult>"),
    (b"other namespace", b'<ListBucketResult xmlns="urn:x">' + GOOD + b"</ListBucketResult>"), (b"prefixed", b'<a:ListBucketResult xmlns:a="u">' + GOOD + b"</a:ListBucketResult>"),
    (b"external entity", b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + listing(contents(b"PREFIX&e;"))[39:]),
    (b"parameter entity", b'<!DOCTYPE x [<!ENTITY % e SYSTEM "http://127.0.0.1:1/x">%e;]>' + listing(GOOD)[39:]),
    (b"billion laughs", b'<!DOCTYPE l [<!ENTITY a "ha">' + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9)) + b"]>" + listing(contents(b"PREFIX&j;"))[39:]),
    (b"unknown entity", listing(contents(b"PREFIX&nope;"))), (b"bare ampersand", listing(contents(b"PREFIXa&b"))), (b"huge character reference", listing(contents(b"PREFIX&#x110000;"))),
    (b"zero reference", listing(contents(b"PREFIXa&#0;b"))), (b"surrogate reference", listing(contents(b"PREFIX&#xD800;"))), (b"cdata", listing(contents(b"<![CDATA[PREFIXc]]>"))),
    (b"comment in key", listing(contents(b"PREFIXa<!-- x -->b"))), (b"element in key", listing(contents(b"PREFIXa<b>c</b>d"))), (b"instruction", listing(b"<?php evil() ?>" + GOOD)),
    (b"deep nesting", listing(b"<a>" * 50000 + b"</a>" * 50000)), (b"deep open", HEAD + b"<a>" * 200000), (b"many attributes", listing(b"<a " + b" ".join(b'a%d="x"' % i for i in range(20000)) + b"/>")),
    (b"long attribute", listing(b'<a x="' + b"x" * 1000000 + b'"/>')), (b"long comment", listing(b"<!--" + b"x" * 1000000 + b"-->")), (b"long text", listing(b"<Name>" + b"x" * 1000000 + b"</Name>")),
    (b"no key", listing(b"<Contents><Size>1</Size></Contents>")), (b"empty contents", listing(b"<Contents/>")), (b"two keys", listing(b"<Contents><Key>PREFIXa</Key><Key>PREFIXb</Key><Size>1</Size></Contents>")),
    (b"no size", listing(b"<Contents><Key>PREFIXa</Key></Contents>")), (b"two sizes", listing(b"<Contents><Key>PREFIXa</Key><Size>1</Size><Size>2</Size></Contents>")),
    (b"no etag", listing(b"<Contents><Key>PREFIXa</Key><Size>1</Size></Contents>")), (b"keys elsewhere", listing(contents(b"other/a") + contents(b"") + contents(b"PREFI") + contents(b"../PREFIXa"))),
    (b"duplicates", listing(contents(b"PREFIXa") * 3)), (b"unsorted", listing(contents(b"PREFIXz") + contents(b"PREFIXa"))), (b"file and folder", listing(contents(b"PREFIXa") + b"<CommonPrefixes><Prefix>PREFIXa/</Prefix></CommonPrefixes>")),
    (b"prefix twice", listing(b"<CommonPrefixes><Prefix>PREFIXa/</Prefix></CommonPrefixes>" * 2)), (b"prefix without slash", listing(b"<CommonPrefixes><Prefix>PREFIXa</Prefix></CommonPrefixes>")),
    (b"prefix elsewhere", listing(b"<CommonPrefixes><Prefix>elsewhere/</Prefix></CommonPrefixes>")), (b"empty prefix", listing(b"<CommonPrefixes><Prefix/></CommonPrefixes>")),
    (b"prefix is the directory", listing(b"<CommonPrefixes><Prefix>PREFIX</Prefix></CommonPrefixes>")), (b"no prefix", listing(b"<CommonPrefixes/>")), (b"prefix too deep", listing(b"<CommonPrefixes><Prefix>PREFIXa/b/c/</Prefix></CommonPrefixes>")),
    (b"parent as prefix", listing(b"<CommonPrefixes><Prefix>PREFIX../</Prefix></CommonPrefixes>")), (b"self as prefix", listing(b"<CommonPrefixes><Prefix>PREFIX./</Prefix></CommonPrefixes>")),
    (b"slash as prefix", listing(b"<CommonPrefixes><Prefix>PREFIX/</Prefix></CommonPrefixes>")), (b"truncated without token", listing(GOOD, b"true")),
    (b"truncated with empty token", listing(GOOD, b"true", b"<NextContinuationToken/>")), (b"truncated for ever", listing(GOOD, b"true", b"<NextContinuationToken>same</NextContinuationToken>")),
    (b"truncated maybe", listing(GOOD, b"maybe")), (b"truncated one", listing(GOOD, b"1")), (b"token of a megabyte", listing(GOOD, b"true", b"<NextContinuationToken>" + b"t" * 1000000 + b"</NextContinuationToken>")),
    (b"token with line breaks", listing(GOOD, b"true", b"<NextContinuationToken>a&#13;&#10;X: y</NextContinuationToken>")), (b"other bucket", listing(GOOD).replace(b"models", b"other")),
    (b"encoding unknown", listing(b"<EncodingType>rot13</EncodingType>" + GOOD)), (b"encoding url, bad escapes", listing(b"<EncodingType>url</EncodingType>" + contents(b"PREFIX%zz%"))),
    (b"encoding url, nul", listing(b"<EncodingType>url</EncodingType>" + contents(b"PREFIXa%00b"))), (b"encoding url, slash", listing(b"<EncodingType>url</EncodingType>" + contents(b"PREFIXa%2F..%2Fb"))),
    (b"encoding url, twice", listing(b"<EncodingType>url</EncodingType>" + contents(b"PREFIX%252e%252e%252f"))), (b"10000 files", listing(b"".join(contents(b"PREFIX%d" % i) for i in range(10000)))),
    (b"control bytes in xml", listing(contents(b"PREFIXa\x01b"))), (b"nul in xml", listing(contents(b"PREFIXa\x00b"))), (b"invalid utf-8 in xml", listing(contents(b"PREFIXa\xffb"))),
]


def cases(prefix):
    """Yields (label, body) for a listing of `prefix`, bytes with a slash at the end."""
    for raw in NAMES:
        quoted = urllib.parse.quote(raw, safe="").encode()
        yield b"url " + raw[:40], listing(b"<EncodingType>url</EncodingType>" + contents(prefix + quoted))
        yield b"xml " + raw[:40], listing(contents(prefix + escape(raw)))
    for size in SIZES:
        yield b"size " + size[:40], listing(contents(prefix + b"sized.bin", size=size) + contents(prefix + b"good.bin"))
    for time in TIMES:
        yield b"time " + time[:40], listing(contents(prefix + b"timed.bin", time=time))
    for etag in ETAGS:
        yield b"etag " + etag[:40], listing(contents(prefix + b"tagged.bin", etag=etag))
    for label, body in BODIES:
        yield b"body " + label, body.replace(b"PREFIX", prefix)
    whole = listing(GOOD).replace(b"PREFIX", prefix)
    for cut in range(0, len(whole), 7):
        yield b"cut at %d" % cut, whole[:cut]
