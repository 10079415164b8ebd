"""Presigned URLs that expire under a mount: new ones are asked for, and a reader notices nothing; what stays refused is EACCES."""

import collections
import json
import threading

import pytest

from faulty_origin import CONTENT, SIZE
from figures import note
from harness import canaries
from harness.raw_server import RawServer, plain
from harness.three_faces import mlflow_answer, mlflow_version
from test_origin_faults import READ_TIMEOUT, SLACK, read

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
PRESIGNED = "/api/2.0/mlflow-artifacts/presigned/"
EXPIRED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


class Storage:
    """An MLflow server that gives presigned URLs, and the storage that they lead to; `judge(number of the URL, number of its
    use)` is how much of the body is sent: None refuses it as expired."""

    def __init__(self, judge):
        self.judge, self.urls, self.uses, self.refused = judge, 0, collections.Counter(), 0
        self._lock = threading.Lock()
        self._server = RawServer(self._respond)
        self.close = self._server.close

    def _respond(self, request):
        path = request.path.decode()
        version = mlflow_version(1, "mlflow-artifacts:/1/m")
        if answer := mlflow_answer(path, ["m"], [version], version):
            return answer
        if path == ARTIFACTS:
            return plain(json.dumps({"files": [{"path": name, "is_dir": False, "file_size": SIZE} for name in ("first", "weights")]}).encode())
        if path.startswith(PRESIGNED):
            with self._lock:
                self.urls += 1
                url = f"{self._server.url}/store/x?X-Amz-Expires=300&n={self.urls}&X-Amz-Signature={canaries.CANARY}{self.urls}"
            return plain(json.dumps({"url": url, "headers": {}, "file_size": SIZE}).encode())
        if not path.startswith("/store/"):
            return plain(b"none", "404 Not Found")
        with self._lock:
            self.uses[request.query["n"]] += 1
            share = self.judge(int(request.query["n"]), self.uses[request.query["n"]])
            self.refused += share is None
        if share is None:
            return plain(EXPIRED, "403 Forbidden")
        first, last = request.range or (0, SIZE - 1)
        body = CONTENT[first : min(last + 1, SIZE)]
        head = f"HTTP/1.1 206 Partial Content\r\nContent-Length: {len(body)}\r\nContent-Range: bytes {first}-{first + len(body) - 1}/{SIZE}\r\nETag: \"e-1\"\r\n\r\n"
        return head.encode() + body[: int(len(body) * share)], share == 1


# For the first two URLs; those behind them are good.
SCENARIOS = {"once used": lambda use: 1 if use == 1 else None, "in mid-body": lambda use: 0.5 if use == 1 else None, "at once": lambda use: None}


@pytest.mark.parametrize("when, lasting", [*((when, False) for when in SCENARIOS), ("at once", True)])
def test_presigned_urls_expire(when, lasting, modelfs):
    bad, first = SCENARIOS["at once" if lasting else when], None
    # The mount finds out with what is read first which ways there are.
    storage = Storage(lambda number, use: bad(use) if first is not None and (lasting or number <= first + 2) else 1)
    try:
        mount = modelfs.mount(f"mlflow:{storage._server.url}", arguments=["--read-timeout", f"{READ_TIMEOUT:.0f}s", "--log-level", "trace"],
                              AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
        assert read(mount / "m" / "1" / "first")[:2] == (CONTENT, None)
        mount.wait_idle()
        first = storage.urls
        data, error, longest = read(mount / "m" / "1" / "weights")
        note("origin-faults", f"presigned, expired {when}, {'lasting' if lasting else 'passing'}", {"urls": storage.urls, "refused": storage.refused, "longest_wait_s": round(longest, 2), "got": error or "right"})
        assert error == ("EACCES" if lasting else None) and data == CONTENT[: len(data)] and (lasting or len(data) == SIZE)
        assert longest < READ_TIMEOUT + SLACK
        assert storage.refused or when == "once used"  # by one request for all of it
    finally:
        storage.close()
