"""A web server as a source."""

from urllib.parse import quote

from harness import canaries, programs, servers
from harness.data import random_file

PASSWORD = canaries.secret("web")


def test_a_web_server_is_mounted(modelfs, folder):
    root = folder / "www"
    (root / "sub").mkdir(parents=True)
    big = random_file(root / "weights.bin", 20 << 20)
    (root / "sub" / "a b+c%.json").write_text("{}")
    nginx = servers.Nginx(folder, root)
    try:
        mount = modelfs.mount(f"m={nginx.url}/")
        assert sorted(p.name for p in (mount / "m").iterdir()) == ["sub", "weights.bin"]
        assert (mount / "m" / "weights.bin").stat().st_size == 20 << 20
        with open(mount / "m" / "weights.bin", "rb") as file:
            file.seek(15 << 20)
            assert file.read(4096) == big.read_bytes()[15 << 20 : (15 << 20) + 4096]
        assert (mount / "m" / "weights.bin").read_bytes() == big.read_bytes()
        assert (mount / "m" / "sub" / "a b+c%.json").read_text() == "{}"
    finally:
        nginx.stop()


def test_a_server_without_ranges_is_read_as_a_stream(modelfs, folder):
    root = folder / "www"
    root.mkdir()
    big = random_file(root / "weights.bin", 20 << 20)
    server = servers.PythonWeb(folder, root)
    try:
        mount = modelfs.mount(f"m={server.url}/")
        with open(mount / "m" / "weights.bin", "rb") as file:
            file.seek(15 << 20)
            assert file.read(4096) == big.read_bytes()[15 << 20 : (15 << 20) + 4096]
        assert (mount / "m" / "weights.bin").read_bytes() == big.read_bytes()
    finally:
        server.stop()


def test_a_password_stays_in_its_file(modelfs, folder):
    root = folder / "www"
    root.mkdir()
    (root / "a").write_text("alpha")
    nginx = servers.Nginx(folder, root, user="me", password=PASSWORD)
    try:
        at = modelfs.new_mount_point()
        words = modelfs.mount_arguments([f"m={nginx.url}/"], None, folder / "cache")
        denied = modelfs.run("mount", *words, at)
        assert denied.returncode == 1 and "auth_file" in denied.stderr, denied.stderr
        (folder / "auth").write_text(f"me:{PASSWORD}\n")
        mount = modelfs.mount(f"m={nginx.url}/", arguments=["--auth-file", folder / "auth"])
        assert (mount / "m" / "a").read_text() == "alpha"
        assert PASSWORD not in programs.check(modelfs.run("status", "--json", mount.path)).stdout
        in_the_uri = modelfs.run("mount", *modelfs.mount_arguments([f"m=http://me:{quote(PASSWORD, safe='')}@h/"], None, folder / "other"), modelfs.new_mount_point())
        assert in_the_uri.returncode == 2 and PASSWORD not in in_the_uri.stderr, in_the_uri.stderr
    finally:
        nginx.stop()
