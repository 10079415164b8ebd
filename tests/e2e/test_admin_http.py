"""--http: health, readiness, metrics, status, and who may see them; and that none of it shows a secret."""

import json
import os
import pathlib
import re
import urllib.error
import urllib.request

import pytest

from harness import canaries, programs, servers
from harness.waiting import wait_for

CANARY = canaries.secret("http")


def get(url, token=None):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def samples(page):
    """Metrics as {"name{labels}": value}; every family has its HELP and TYPE, every line makes sense."""
    found, types = {}, {}
    for line in page.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"{name} twice"
            types[name] = kind
        elif line.startswith("# HELP "):
            assert len(line.split(" ", 3)[3]) > 5
        else:
            match = re.fullmatch(r'([a-z_]+)(\{[a-z_]+="(?:[^"\\]|\\.)*"(?:,[a-z_]+="(?:[^"\\]|\\.)*")*\})? (\S+)', line)
            assert match, line
            assert match[1] in types, line
            assert match[1].endswith("_total") == (types[match[1]] == "counter"), line
            assert match[1].startswith(("modelfs_", "process_")), line
            found[match[1] + (match[2] or "")] = float(match[3])
    return found


@pytest.fixture
def source(start_origin, folder):
    (folder / "origin" / "models" / "m").mkdir(parents=True)
    (folder / "origin" / "models" / "m" / "a.bin").write_bytes(os.urandom(3 << 20))
    return start_origin()


def address_of(mount):
    return wait_for(lambda: mount.status().get("http"), "the admin server listens")


def test_health_metrics_and_status(source, modelfs):
    mount = modelfs.mount("s3://models", endpoint=source.url, arguments=["--anonymous", "--http", "127.0.0.1:0"])
    url = "http://" + address_of(mount)
    assert get(url + "/healthz") == (200, "ok\n")
    assert get(url + "/readyz") == (200, "ready\n")
    before = samples(get(url + "/metrics")[1])
    data = (mount / "models" / "m" / "a.bin").read_bytes()
    mount.wait_idle()
    after = samples(get(url + "/metrics")[1])
    assert after["modelfs_fetch_bytes_total"] - before["modelfs_fetch_bytes_total"] >= len(data)
    assert after["modelfs_cache_bytes"] == len(data)
    assert after["modelfs_cache_healthy"] == 1 and after["modelfs_mounts"] == 1
    assert after[f'modelfs_mount_files{{mountpoint="{mount.path}"}}'] == 1
    status = json.loads(get(url + "/api/v1/status")[1])
    assert status["cache"]["cached_bytes"] == len(data)
    assert set(status) == set(mount.status())
    assert get(url + "/nothing")[0] == 404


def test_every_metric_is_documented(source, modelfs):
    mount = modelfs.mount("s3://models", endpoint=source.url, arguments=["--anonymous", "--http", "127.0.0.1:0"])
    page = get("http://" + address_of(mount) + "/metrics")[1]
    text = (programs.REPOSITORY / "fs" / "http" / "README.md").read_text()
    for name in {name.split("{")[0] for name in samples(page)}:
        assert f"`{name}`" in text, f"{name} is not in fs/http/README.md"


def test_others_need_the_token(source, modelfs, folder):
    token = folder / "token"
    token.write_text(CANARY + "\n")
    mount = modelfs.mount("s3://models", endpoint=source.url,
                          arguments=["--anonymous", "--http", "0.0.0.0:0", "--http-token-file", token])
    url = "http://127.0.0.1:" + address_of(mount).rsplit(":", 1)[1]
    for path in ("/metrics", "/api/v1/status"):
        assert get(url + path)[0] == 401
        assert get(url + path, "wrong")[0] == 401
        assert get(url + path, CANARY)[0] == 200
    assert get(url + "/healthz")[0] == 200 and get(url + "/readyz")[0] == 200
    assert CANARY not in json.dumps(mount.status())


def test_an_address_that_cannot_be_had(source, modelfs):
    port = servers.free_port()
    modelfs.mount("s3://models", endpoint=source.url, arguments=["--anonymous", "--http", f"127.0.0.1:{port}"])
    for address, words in ((f"127.0.0.1:{port}", "another process"), ("192.0.2.1:9810", "no such address")):
        at = modelfs.new_mount_point()
        result = modelfs.run("mount", *modelfs.mount_arguments(["s3://models"], source.url, modelfs.folder / "cache2",
                                                               ["--anonymous", "--http", address]), at)
        assert result.returncode == 1 and address in result.stderr and words in result.stderr
    result = modelfs.run("mount", "--http", "nonsense", "--source", "s3://models", modelfs.new_mount_point())
    assert result.returncode == 2 and "nonsense" in result.stderr


def test_secrets_show_nowhere(s3, modelfs, folder):
    """A wrong secret, a token and a password, in everything that a daemon and its commands write."""
    s3.client().put_object(Bucket="models", Key="canary/a", Body=b"a")
    token = folder / "token"
    token.write_text("cAnArYtOkEn")
    mount = modelfs.mount("s3://models/canary", endpoint=s3.url,
                          arguments=["--http", "0.0.0.0:0", "--http-token-file", token, "--log-level", "trace"])
    failed = modelfs.run("mount", *modelfs.mount_arguments(["x=s3://models/canary"], s3.url, folder / "cache2", ["--log-level", "trace"]),
                         modelfs.new_mount_point(), AWS_SECRET_ACCESS_KEY=CANARY, AWS_SESSION_TOKEN="cAnArYsEsSiOn")
    assert failed.returncode == 1
    assert (mount / "models" / "a").read_bytes() == b"a"
    url = "http://127.0.0.1:" + address_of(mount).rsplit(":", 1)[1]
    seen = [failed.stdout + failed.stderr, json.dumps(mount.status()), get(url + "/metrics", "cAnArYtOkEn")[1],
            get(url + "/api/v1/status", "cAnArYtOkEn")[1], get(url + "/metrics", "wrong")[1], programs.check(modelfs.run("status")).stdout]
    runtime = pathlib.Path(mount.status()["log"]).parent  # also that of the mount which failed
    logs = [path.read_text(errors="replace") for path in runtime.glob("*.log*")]
    assert logs and any("app.mounted" in log for log in logs)
    arguments = [open(f"/proc/{pid}/cmdline", encoding="utf-8").read() for pid in modelfs.processes()]
    for text in seen + logs + arguments:
        for secret in (CANARY, "cAnArY", servers.SECRET_KEY):
            assert secret not in text, text[:2000]
