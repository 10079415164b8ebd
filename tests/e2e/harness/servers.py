"""The servers that the tests mount from, each on a free port of loopback."""

import contextlib
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.parse
import urllib.request

import boto3
import botocore.config

from harness import canaries, programs
from harness.waiting import wait_for

ACCESS_KEY = "AKIAMODELFSTESTS"
SECRET_KEY = canaries.secret("n0t-a-secret")
REGION = "us-east-1"


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Server:
    """A child process that listens; `stop` ends it and what it started."""

    def __init__(self, command, environment, log):
        self._log = open(log, "wb")
        self.log_path = pathlib.Path(log)
        self.process = subprocess.Popen([str(word) for word in command], env=environment, stdin=subprocess.DEVNULL,
                                        stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True)

    def output(self):
        return self.log_path.read_text(errors="replace")

    def alive(self):
        return self.process.poll() is None

    def stop(self):
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        with contextlib.suppress(ProcessLookupError):  # MLflow 2 leaves its gunicorn behind.
            os.killpg(self.process.pid, signal.SIGKILL)
        self._log.close()


class Versitygw(Server):
    """A real S3 server over a directory, which checks signatures. Buckets are directories of `root`."""

    def __init__(self, folder, buckets=("models",), arguments=(), scheme="http"):
        self.root = pathlib.Path(folder) / "root"
        for bucket in buckets:
            (self.root / bucket).mkdir(parents=True)
        self._access_log = pathlib.Path(folder) / "access.log"
        environment = programs.clean_environment(folder, ROOT_ACCESS_KEY=ACCESS_KEY, ROOT_SECRET_KEY=SECRET_KEY)
        for _ in range(5):  # somebody may take the port before it does
            self.port = free_port()
            super().__init__([programs.VERSITYGW, "--port", f"127.0.0.1:{self.port}", "--region", REGION, "--keep-alive", "--quiet",
                              "--access-log", self._access_log, *arguments, "posix", self.root], environment,
                             pathlib.Path(folder) / "versitygw.log")
            wait_for(lambda: answers(self.port) or not self.alive(), "versitygw listens")
            if self.alive():
                break
        assert self.alive(), self.output()
        self.url = f"{scheme}://127.0.0.1:{self.port}"

    def client(self):
        return s3_client(self.url)

    def adopt(self, bucket, key, source, etag):
        """Makes the file `source` an object without copying it: a hard link, and its ETag."""
        target = self.root / bucket / key
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)
        os.setxattr(target, "user.etag", etag.encode())

    def requests(self, operation="s3_GetObject"):
        """How many requests of one kind were answered so far."""
        return sum(f" {operation} " in line for line in self._access_log.read_text(errors="replace").splitlines())


def s3_client(url):
    settings = botocore.config.Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client("s3", endpoint_url=url, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
                        region_name=REGION, config=settings)


def make_certificate(folder):
    """A self-signed certificate for 127.0.0.1; returns the paths of certificate and key."""
    certificate, key = pathlib.Path(folder) / "cert.pem", pathlib.Path(folder) / "key.pem"
    openssl = shutil.which("openssl")
    programs.check(programs.run([openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                                 "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=127.0.0.1",
                                 "-addext", "subjectAltName=IP:127.0.0.1"], programs.clean_environment(folder)))
    return certificate, key


class Pages:
    """A web server that is no S3: an HTML page for every request."""

    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = b"<html><body>It works!</body></html>"
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class Moto(Server):
    """moto: S3 and STS that let everybody in."""

    def __init__(self, folder):
        self.port = free_port()
        super().__init__([pathlib.Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", self.port],
                         programs.clean_environment(folder), pathlib.Path(folder) / "moto.log")
        wait_for(lambda: answers(self.port) or not self.alive(), "moto listens")
        assert self.alive(), self.output()
        self.url = f"http://127.0.0.1:{self.port}"


class Nginx(Server):
    """nginx over the folder `root`, with listings; asks for a password where one is given."""

    def __init__(self, folder, root, user=None, password=None):
        folder = pathlib.Path(folder) / "nginx"
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        auth = ""
        if user:
            (folder / "users").write_text(f"{user}:{{PLAIN}}{password}\n")
            auth = f"auth_basic models; auth_basic_user_file {folder}/users;"
        temporary = " ".join(f"{what}_temp_path {folder}/{what};" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "conf").write_text(f"""daemon off; worker_processes 1; error_log stderr; {"user root;" if os.geteuid() == 0 else ""}
pid {folder}/pid; events {{ worker_connections 512; }}
http {{ access_log off; types {{}} default_type application/octet-stream; {temporary}
  server {{ listen 127.0.0.1:{self.port}; {auth} location / {{ root {root}; autoindex on; }} }} }}
""")
        super().__init__([programs.NGINX, "-p", folder, "-c", folder / "conf", "-e", "stderr"], programs.clean_environment(folder),
                         folder / "log")
        wait_for(lambda: answers(self.port) or not self.alive(), "nginx listens")
        assert self.alive(), self.output()
        self.url = f"http://127.0.0.1:{self.port}"


class PythonWeb(Server):
    """Python's http.server over the folder `root`: it knows neither ranges nor ETags."""

    def __init__(self, folder, root):
        self.port = free_port()
        super().__init__([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", root, self.port],
                         programs.clean_environment(folder), pathlib.Path(folder) / "python.log")
        wait_for(lambda: answers(self.port) or not self.alive(), "http.server listens")
        assert self.alive(), self.output()
        self.url = f"http://127.0.0.1:{self.port}"


class EmbeddedOrigin(Server):
    """modelfs-origin, the S3-compatible server of tests/support, over `root`."""

    def __init__(self, folder, root, *arguments):
        environment = programs.clean_environment(folder)
        super().__init__([programs.ORIGIN, "--root", root, "--port", "0", *arguments], environment, pathlib.Path(folder) / "origin.log")
        found = wait_for(lambda: re.search(r"listening (http://127\.0\.0\.1:(\d+))", self.output()) or not self.alive(), "modelfs-origin listens")
        assert self.alive(), self.output()
        self.url, self.port = found[1], int(found[2])

    def put(self, bucket, key, body):
        """Stores an object under any key, also one that no file can have. `key` is text or bytes."""
        path = f"/{bucket}/{urllib.parse.quote(key, safe='')}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("PUT", path, body)
        answer = connection.getresponse()
        assert answer.status == 200, f"PUT {path}: {answer.status} {answer.read()}"
        connection.close()

    def control(self, name, body=None):
        """`GET` or, with a body, `POST /_origin/NAME`; returns the answer as JSON where it is."""
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/_origin/{name}", data), timeout=60) as answer:
            text = answer.read().decode()
        return json.loads(text) if text.startswith(("{", "[")) else text

    def stats(self):
        return self.control("stats")
