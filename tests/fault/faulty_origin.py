"""One object store with three faces (S3, a web server, MLflow), whose objects answer by script."""

import collections
import random
import socket
import threading

from harness.three_faces import ThreeFaces

SIZE = (3 << 20) + 12345
CONTENT = random.Random(42).randbytes(SIZE)
ETAG = '"0123456789abcdef0123456789abcdef-2"'  # Of two parts: no MD5 of the whole, which would be compared.
MODIFIED = "Tue, 02 Jan 2024 03:04:05 GMT"


class Attempt:
    """One request for the bytes of an object: the `number`-th for it, from 0."""

    def __init__(self, origin, name, number, seed, byte_range):
        self.origin, self.name, self.number, self.seed = origin, name, number, seed
        self.ranged = byte_range is not None
        self.first, self.last = byte_range or (0, SIZE - 1)
        self.last = min(self.last, SIZE - 1)
        self.random = random.Random(f"{name} {number} {seed}")

    @property
    def length(self):
        return self.last - self.first + 1

    def body(self):
        return CONTENT[self.first : self.last + 1]

    def head(self, *, status=None, etag=ETAG, modified=MODIFIED, content_range=None, length=None, more=()):
        status = status or ("206 Partial Content" if self.ranged else "200 OK")
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {self.length if length is None else length}", f"Last-Modified: {modified}"]
        if etag:
            lines.append(f"ETag: {etag}")
        if status.startswith("206"):
            lines.append(f"Content-Range: {content_range or f'bytes {self.first}-{self.last}/{SIZE}'}")
        return "".join(f"{line}\r\n" for line in (*lines, *more)).encode() + b"\r\n"

    def honest(self):
        return self.head() + self.body()

    def position(self, step=64 << 10):
        """A place in the body, swept by the seed in steps of 64 KiB."""
        return min((self.seed + 1) * step * (1 + self.random.randrange(8)), self.length - 1)


def send(data):
    """Answers, and closes the connection."""
    return lambda connection, ended: connection.sendall(data)


def reset(data):
    def play(connection, ended):
        connection.sendall(data)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    return play


def stall(data):
    def play(connection, ended):
        connection.sendall(data)
        wait_for_close(connection, ended)

    return play


def drip(data, rest):
    """Sends `data`, then a byte per second."""

    def play(connection, ended):
        connection.sendall(data)
        for i in range(len(rest)):
            if ended.wait(1):
                return
            connection.sendall(rest[i : i + 1])

    return play


def trickle(data):
    """Sends it in pieces, with a pause behind each."""

    def play(connection, ended):
        for i in range(0, len(data), 64 << 10):
            connection.sendall(data[i : i + (64 << 10)])
            if ended.wait(0.02):
                return

    return play


def wait_for_close(connection, ended):
    connection.settimeout(0.5)
    while not ended.is_set():
        try:
            if not connection.recv(4096):
                return
        except TimeoutError:
            pass


class FaultyOrigin(ThreeFaces):
    """`scripts`: name of an object -> function of an Attempt that returns bytes, or what plays on the connection."""

    def __init__(self, face, scripts, seed, tls=None, closes=False):
        self.scripts, self.seed, self.requests = scripts, seed, collections.Counter()
        self._lock = threading.Lock()
        super().__init__(face, scripts, SIZE, ETAG, MODIFIED, self._play, tls, closes)

    def _play(self, request, name):
        with self._lock:
            number = self.requests[name]
            self.requests[name] += 1
        script = self.scripts[name]
        return script(Attempt(self, name, number, self.seed, request.range)), script is honest


def honest(attempt):
    return attempt.honest()
