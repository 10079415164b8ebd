"""Keys that the daemon fetches by itself, and fetches again."""

import http.server
import json
import threading
import time
from datetime import datetime, timedelta, timezone

from harness import canaries, servers
from harness.data import random_file
from harness.servers import ACCESS_KEY, SECRET_KEY
from harness.waiting import wait_for


class KeysEndpoint:
    """What ECS offers to a container: keys that live for `lifetime` seconds. Counts who asks."""

    def __init__(self, lifetime, token):
        endpoint = self
        self.lifetime, self.token, self.asked, self.refused, self.down = lifetime, token, 0, 0, False

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                good = self.headers.get("Authorization") == endpoint.token and not endpoint.down
                endpoint.asked += good
                endpoint.refused += not good
                expires = datetime.now(timezone.utc) + timedelta(seconds=endpoint.lifetime)
                body = json.dumps({"AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY,
                                   "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}).encode()
                self.send_response(200 if good else 500 if endpoint.down else 403)
                self.send_header("Content-Length", str(len(body) if good else 0))
                self.end_headers()
                if good:
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/keys"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


BEARER = "Bearer " + canaries.secret("pod")
NO_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def test_a_containers_keys_are_fetched_again_before_they_expire(modelfs, s3, folder):
    source = random_file(folder / "weights.bin", 24 << 20)
    s3.adopt("models", "container/weights.bin", source, '"container-1"')
    s3.adopt("models", "container/later/more.bin", source, '"container-2"')
    (folder / "token").write_text(f"{BEARER}\n")
    endpoint = KeysEndpoint(8, BEARER)
    try:
        mount = modelfs.mount("m=s3://models/container", endpoint=s3.url, without=NO_KEYS, AWS_CONTAINER_CREDENTIALS_FULL_URI=endpoint.url,
                              AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(folder / "token"))
        begun = time.monotonic()
        with open(mount / "m" / "weights.bin", "rb") as file, open(source, "rb") as wanted:
            while block := wanted.read(1 << 20):
                assert file.read(1 << 20) == block
        # What is listed and read after the end of the first keys needs others.
        wait_for(lambda: time.monotonic() > begun + 9, "the first keys expire")
        assert (mount / "m" / "later" / "more.bin").read_bytes() == source.read_bytes()
        assert endpoint.asked >= 2
        assert endpoint.refused == 0
    finally:
        endpoint.close()


def test_a_container_that_refuses_is_named(modelfs, s3):
    endpoint = KeysEndpoint(60, "another")
    try:
        result = modelfs.run("mount", *modelfs.mount_arguments(["s3://models/x"], s3.url, modelfs.folder / "cache"), modelfs.new_mount_point(),
                             without=NO_KEYS, AWS_CONTAINER_CREDENTIALS_FULL_URI=endpoint.url)
        assert result.returncode == 1
        assert endpoint.url in result.stderr and "403" in result.stderr, result.stderr
        assert SECRET_KEY not in result.stderr
    finally:
        endpoint.close()


def test_roles_and_programs_give_keys(modelfs, folder):
    """moto's STS and S3: any role may be assumed, and any token is good."""
    moto = servers.Moto(folder)
    try:
        client = servers.s3_client(moto.url)
        client.create_bucket(Bucket="models")
        source = random_file(folder / "weights.bin", 3 << 20)
        client.upload_file(str(source), "models", "x/weights.bin")
        (folder / "token").write_text("a.b." + canaries.secret("identity"))
        program = folder / "keys"
        program.write_text(f"""#!/bin/sh
echo '{{"Version": 1, "AccessKeyId": "{ACCESS_KEY}", "SecretAccessKey": "{SECRET_KEY}"}}'
""")
        program.chmod(0o755)
        config = folder / "aws-config"
        config.write_text(f"""[profile base]
credential_process = {program} --any
[profile role]
role_arn = arn:aws:iam::123456789012:role/reader
source_profile = base
region = us-east-1
""")
        ways = {"role": {"AWS_PROFILE": "role", "AWS_CONFIG_FILE": str(config)},
                "program": {"AWS_PROFILE": "base", "AWS_CONFIG_FILE": str(config)},
                "identity": {"AWS_WEB_IDENTITY_TOKEN_FILE": str(folder / "token"), "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/pod",
                             "AWS_REGION": "us-east-1"}}
        for name, variables in ways.items():
            mount = modelfs.mount("m=s3://models/x", endpoint=moto.url, cache=folder / f"cache-{name}", without=NO_KEYS,
                                  AWS_ENDPOINT_URL_STS=moto.url, **variables)
            assert (mount / "m" / "weights.bin").read_bytes() == source.read_bytes(), name
            mount.unmount()
        called = moto.output()
        assert called.count("POST / ") >= 2, called
    finally:
        moto.stop()
