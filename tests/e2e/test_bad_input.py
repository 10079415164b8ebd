"""What is wrong on the command line or in the environment is named, in one clear line, soon."""

import contextlib
import os
import socket
import time

import pytest

from harness import programs, servers
from harness.data import MIB, drop_from_page_cache
from harness.waiting import wait_for

SOON = 10.0  # seconds


@pytest.fixture
def fails(modelfs):
    """Calls modelfs; asserts that it ends soon with `code`, and that one line names all of `words`."""

    def call(arguments, code, *words, **options):
        begun = time.monotonic()
        result = modelfs.run(*arguments, **options)
        took = time.monotonic() - begun
        said = result.stderr.strip()
        assert result.returncode == code, f"ended with {result.returncode}, said: {said}{result.stdout}"
        lines = said.splitlines()
        assert any(all(word.lower() in line.lower() for word in words) for line in lines), f"does not name {words} in a line: {said}"
        assert len(lines) <= 3 and len(said) < 1200, f"not one clear line: {said}"
        assert servers.SECRET_KEY not in said
        assert took < SOON, f"took {took:.1f} s"

    return call


@pytest.fixture
def mount_words(modelfs, s3):
    """Arguments of a mount that works, with replacements."""

    def words(source="s3://models/x", endpoint=s3.url, cache=modelfs.folder / "cache", at=None, more=()):
        at = at or modelfs.new_mount_point()
        return ["mount", *modelfs.mount_arguments([source], endpoint, cache, more), at]

    return words


@pytest.fixture(scope="module", autouse=True)
def something(s3):
    s3.client().put_object(Bucket="models", Key="x/a", Body=b"a")


def test_a_bucket_that_is_not_there(fails, mount_words):
    fails(mount_words(source="s3://no-such-bucket/x"), 1, "no-such-bucket")


def test_a_wrong_access_key(fails, mount_words):
    fails(mount_words(), 1, "AKIAWRONG", AWS_ACCESS_KEY_ID="AKIAWRONG")


def test_a_wrong_secret(fails, mount_words):
    fails(mount_words(), 1, "secret", AWS_SECRET_ACCESS_KEY="wrong")


def test_a_wrong_bucket_while_the_cache_takes_long_to_open(fails, modelfs, mount_words, s3):
    """As with a lost index that is being rebuilt; here it waits for a file that never answers."""
    modelfs.mount("s3://models/x", endpoint=s3.url).unmount()
    index = modelfs.folder / "cache" / "index" / "data.mdb"
    index.unlink()
    os.mkfifo(index)
    fails(mount_words(source="s3://no-such-bucket/x"), 1, "no-such-bucket")
    wait_for(lambda: not modelfs.processes(), "the daemon ends", 5)


def test_no_credentials(fails, mount_words):
    fails(mount_words(), 1, "credentials", without=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))


def test_half_of_the_credentials(fails, mount_words):
    fails(mount_words(), 1, "AWS_SECRET_ACCESS_KEY", without=("AWS_SECRET_ACCESS_KEY",))


def test_anonymous_where_that_is_not_allowed(fails, mount_words):
    fails(mount_words(more=["--anonymous"]), 1, "anonymous")


def test_an_endpoint_where_nobody_listens(fails, mount_words):
    port = servers.free_port()
    fails(mount_words(endpoint=f"http://127.0.0.1:{port}"), 1, f"127.0.0.1:{port}", "connect")


def test_an_endpoint_that_never_answers(fails, mount_words):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        fails(mount_words(endpoint=f"http://127.0.0.1:{port}"), 1, f"127.0.0.1:{port}")


def test_an_endpoint_whose_name_does_not_resolve(fails, mount_words):
    fails(mount_words(endpoint="http://no-such-host.invalid"), 1, "no-such-host.invalid")


def test_an_endpoint_that_is_no_s3(fails, mount_words):
    with servers.Pages() as pages:
        fails(mount_words(endpoint=pages.url), 1, pages.url.removeprefix("http://"))


def test_a_certificate_that_nobody_vouches_for_and_one_that_is_named(fails, mount_words, modelfs, folder):
    certificate, key = servers.make_certificate(folder)
    (folder / "tls").mkdir()
    server = servers.Versitygw(folder / "tls", arguments=["--cert", certificate, "--key", key], scheme="https")
    try:
        server.adopt("models", "x/a", certificate, '"1"')
        fails(mount_words(endpoint=server.url), 1, "certificate")
        mount = modelfs.mount("x=s3://models/x", endpoint=server.url, arguments=["--ca-bundle", certificate])
        assert (mount / "x" / "a").read_bytes() == certificate.read_bytes()
        mount.unmount()
        mount = modelfs.mount("x=s3://models/x", endpoint=server.url, AWS_CA_BUNDLE=str(certificate))
        mount.unmount()
    finally:
        server.stop()


def test_a_ca_bundle_that_is_not_there(fails, mount_words):
    fails(mount_words(endpoint="https://127.0.0.1:1", more=["--ca-bundle", "/nonexistent/ca.pem"]), 1, "/nonexistent/ca.pem")


def test_a_mount_point_that_is_missing(fails, mount_words, folder):
    fails(mount_words(at=folder / "missing"), 1, str(folder / "missing"))


def test_a_mount_point_that_is_a_file(fails, mount_words, folder):
    (folder / "file").write_text("x")
    fails(mount_words(at=folder / "file"), 1, str(folder / "file"), "director")


def test_a_mount_point_that_is_not_empty(fails, mount_words, folder):
    (folder / "full").mkdir()
    (folder / "full" / "precious").write_text("x")
    fails(mount_words(at=folder / "full"), 1, str(folder / "full"), "empty")


def test_a_mount_point_that_is_mounted_already(fails, mount_words, modelfs, s3):
    mount = modelfs.mount("x=s3://models/x", endpoint=s3.url)
    fails(mount_words(at=mount.path), 1, str(mount.path), "mounted")
    assert (mount / "x" / "a").read_bytes() == b"a", "the first mount suffered"


def test_a_cache_directory_that_cannot_be_written(fails, mount_words):
    fails(mount_words(cache="/proc/modelfs-cache"), 1, "/proc/modelfs-cache")


def test_a_cache_directory_that_is_a_file(fails, mount_words, folder):
    (folder / "file").write_text("x")
    fails(mount_words(cache=folder / "file"), 1, str(folder / "file"))


@pytest.fixture
def small_disk(folder):
    """A filesystem of 80 MiB of its own."""
    path = folder / "disk"
    path.mkdir()
    environment = programs.clean_environment(folder)
    programs.check(programs.run(["mount", "-t", "tmpfs", "-o", "size=80m", "modelfs-test", path], environment))
    yield path
    wait_for(lambda: programs.run(["umount", path], environment).returncode == 0, "nobody uses the disk any more")


def test_a_cache_directory_that_is_full(fails, mount_words, small_disk):
    (small_disk / "ballast").write_bytes(bytes(40 * MIB))
    fails(mount_words(cache=small_disk / "cache"), 1, str(small_disk), "space")


def test_a_disk_smaller_than_the_object_holds_part_of_it(modelfs, s3, small_disk):
    body = os.urandom(120 * MIB)
    s3.client().put_object(Bucket="models", Key="fills/a", Body=body)
    mount = modelfs.mount("fills=s3://models/fills", endpoint=s3.url, cache=small_disk / "cache")
    assert (mount / "fills" / "a").read_bytes() == body
    cache = mount.wait_idle()["cache"]
    assert 0 < cache["allocated_bytes"] <= cache["limit_bytes"] <= 64 * MIB, "80 % of the disk is the default"
    assert cache["evicted_bytes"] + cache["read_through_bytes"] > 0
    mount.unmount()


def test_a_disk_that_others_fill_costs_the_cache_not_the_bytes(modelfs, s3, small_disk):
    body = os.urandom(40 * MIB)
    s3.client().put_object(Bucket="models", Key="filled/a", Body=body)
    mount = modelfs.mount("filled=s3://models/filled", endpoint=s3.url, cache=small_disk / "cache",
                          arguments=["--cache-size", "1GiB", "--free-floor", "0"])
    with open(small_disk / "ballast", "wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while ballast.write(bytes(MIB)):
            pass
    assert (mount / "filled" / "a").read_bytes() == body
    cache = mount.wait_idle()["cache"]
    assert cache["uncached_writes"] * MIB + cache["read_through_bytes"] > 0
    assert cache["health"] == "degraded" and "space" in cache["health_reason"].lower(), cache["health_reason"]
    (small_disk / "ballast").unlink()
    wait_for(lambda: mount.status()["cache"]["health"] == "ok", "it notices that there is space again", 90)
    drop_from_page_cache(mount / "filled" / "a")
    assert (mount / "filled" / "a").read_bytes() == body
    wait_for(lambda: mount.status()["cache"]["cached_bytes"] > 30 * MIB, "it keeps again what is read")
    mount.unmount()


def test_a_cache_of_another_format_version(fails, mount_words, modelfs, s3):
    mount = modelfs.mount("x=s3://models/x", endpoint=s3.url)
    mount.unmount()
    format_file = mount.cache / "FORMAT"
    said = format_file.read_text()
    assert any(c.isdigit() for c in said)
    format_file.write_text("".join("9" if c.isdigit() else c for c in said))
    fails(mount_words(cache=mount.cache), 1, str(mount.cache), "format")


@pytest.mark.parametrize("more", [["--chunk-size", "3MiB"], ["--chunk-size", "1 potato"], ["--memory", "0%"], ["--memory", "-5"],
                                  ["--cache-size", "12XB"], ["--listing-ttl", "soon"], ["--io", "fast"], ["--umask", "999"]])
def test_a_bad_value(fails, mount_words, more):
    fails(mount_words(more=more), 2, more[0], more[1])


@pytest.mark.parametrize("source", ["s4://models/x", "models", "s3://", "s3:///x", "s3://UPPER_case!/x", "dir:relative", "a/b=s3://models/x",
                                    "..=s3://models/x"])
def test_a_bad_source(fails, mount_words, source):
    fails(mount_words(source=source), 2, source.split("=")[0])


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "ftp://127.0.0.1", "http://", "http://a b"])
def test_a_bad_endpoint(fails, mount_words, endpoint):
    fails(mount_words(endpoint=endpoint), 2, endpoint)


@pytest.mark.parametrize("words", [["mount"], ["frobnicate"], ["mount", "--frobnicate", "/mnt"], ["umount"], ["warm"], []])
def test_bad_usage(fails, words):
    fails(words, 2, words[-1] if words and words[-1].startswith(("frob", "--frob")) else "")


def test_a_source_twice(fails, modelfs, s3):
    at = modelfs.new_mount_point()
    fails(["mount", *modelfs.mount_arguments(["s3://models/x", "s3://models/y"], s3.url, modelfs.folder / "cache"), at], 2, "models")


def test_a_configuration_that_is_broken(fails, modelfs, folder):
    at = modelfs.new_mount_point()
    (folder / "broken.toml").write_text("cache = [\n")
    fails(["mount", "--config", folder / "broken.toml", at], 2, "broken.toml")
    (folder / "unknown.toml").write_text('cahce = "/tmp/x"\n')
    fails(["mount", "--config", folder / "unknown.toml", at], 2, "unknown.toml", "cahce")
    fails(["mount", "--config", folder / "missing.toml", at], 1, "missing.toml")


def test_a_directory_source_that_is_not_there(fails, mount_words, folder):
    fails(mount_words(source=f"dir:{folder}/nowhere", endpoint=None), 1, f"{folder}/nowhere")


def test_commands_on_what_is_not_ours(fails, folder):
    fails(["umount", folder], 1, str(folder))
    fails(["status", folder], 1, str(folder))
    fails(["warm", folder], 1, str(folder))


def test_help_and_version_are_no_errors(modelfs):
    assert "mount" in programs.check(modelfs.run("--help")).stdout
    assert "--source" in programs.check(modelfs.run("mount", "--help")).stdout
    assert programs.check(modelfs.run("--version")).stdout.strip()
