"""One list of objects of one size with three faces: S3, a web server, MLflow. How each object answers is the caller's."""

import json

from corpus import hostile_listings
from harness.raw_server import RawServer, plain

FACES = ["s3", "web", "mlflow"]


class ThreeFaces:
    """`get(request, name)` answers a GET of the object `name`, as RawServer wants it; lists and heads are orderly."""

    def __init__(self, face, names, size, etag, modified, get, tls=None, closes=False):
        self.face, self._names, self._size, self._etag, self._modified = face, sorted(names), size, etag, modified
        self._get, self._closes = get, closes
        self._server = RawServer(self._respond, tls)
        self.url = self._server.url

    def close(self):
        self._server.close()

    def mount(self, modelfs, *arguments, **variables):
        """Mounts it; returns the mount and the folder of the objects."""
        if self.face == "s3":
            mount = modelfs.mount("s3://models", endpoint=self.url, arguments=["--anonymous", *arguments], **variables)
            return mount, mount / "models"
        if self.face == "web":
            mount = modelfs.mount(f"m={self.url}/web/", arguments=arguments, **variables)
            return mount, mount / "m"
        mount = modelfs.mount(f"mlflow:{self.url}", arguments=arguments, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", **variables)
        return mount, mount / "m" / "1"

    def _respond(self, request):
        data, goes_on = getattr(self, "_" + self.face)(request)
        return data, goes_on and not self._closes

    def _object(self, request, refusal):
        name = request.path.rsplit(b"/", 1)[-1].decode()
        if name not in self._names:
            return plain(refusal, "404 Not Found")
        if request.method == "HEAD":
            head = (f"Content-Length: {self._size}", f"ETag: {self._etag}", f"Last-Modified: {self._modified}", "Accept-Ranges: bytes")
            return "".join(f"{line}\r\n" for line in ("HTTP/1.1 200 OK", *head)).encode() + b"\r\n", True
        return self._get(request, name)

    def _s3(self, request):
        if "list-type" not in request.query:
            return self._object(request, b"<Error><Code>NoSuchKey</Code></Error>")
        etag = self._etag.replace('"', "&quot;").encode()
        return plain(hostile_listings.listing(b"".join(hostile_listings.contents(name.encode(), b"%d" % self._size, etag) for name in self._names)))

    def _web(self, request):
        if not request.path.endswith(b"/"):
            return self._object(request, b"none")
        entries = [{"name": name, "type": "file", "mtime": self._modified, "size": self._size} for name in self._names]
        return plain(json.dumps(entries).encode(), "200 OK", "Content-Type: application/json")

    def _mlflow(self, request):
        path = request.path.decode()
        version = mlflow_version(1, "mlflow-artifacts:/1/m")
        if answer := mlflow_answer(path, ["m"], [version], version):
            return answer
        if path == "/api/2.0/mlflow-artifacts/artifacts":
            return plain(json.dumps({"files": [{"path": name, "is_dir": False, "file_size": self._size} for name in self._names]}).encode())
        if path.startswith("/api/2.0/mlflow-artifacts/artifacts/"):
            return self._object(request, NO_PAGE)
        return plain(NO_PAGE, "404 Not Found")


NO_PAGE = b"<!doctype html><title>404</title>"


def mlflow_version(number, source):
    return {"name": "m", "version": str(number), "status": "READY", "creation_timestamp": 1000, "last_updated_timestamp": 1000, "source": source}


def mlflow_answer(path, models, versions, asked_for):
    """MLflow's answer to a call of its registry at `path`: its models' names, the versions of one, and the version that was asked for. None: no such call."""
    registered = [{"name": name, "creation_timestamp": 1000, "last_updated_timestamp": 1000} for name in models]
    answers = {
        "registered-models/search": {"registered_models": registered},
        "model-versions/search": {"model_versions": versions},
        "model-versions/get": {"model_version": asked_for},
        "model-versions/get-download-uri": {"artifact_uri": asked_for and asked_for["source"]},
    }
    answer = answers.get(path.removeprefix("/api/2.0/mlflow/")) if path.startswith("/api/2.0/mlflow/") else None
    return plain(json.dumps(answer).encode()) if answer else None
