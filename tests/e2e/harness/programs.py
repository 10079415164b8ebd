"""The programs under test and the environment that they get."""

import os
import pathlib
import shutil
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
BIN = pathlib.Path(os.environ.get("MODELFS_BIN_DIR", REPOSITORY / "build" / "bin"))
TOOLS = pathlib.Path(
    os.environ.get("MODELFS_TOOLS")
    or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "modelfs-tools"
)
MODELFS = BIN / "modelfs"
ORIGIN = BIN / "modelfs-origin"
READ_CHECKER = BIN / "read-checker"
LOAD_CHECKER = BIN / "load-checker"
FAULTY = BIN / "modelfs-faulty"
FAULTY_DIR = BIN / "faulty-dir"
PATTERN_READER = BIN / "pattern-reader"
VERSITYGW = TOOLS / "bin" / "versitygw"
NGINX = shutil.which("nginx") or TOOLS / "nginx" / "usr" / "sbin" / "nginx"  # as deploy/deps.sh looks for it

# What the sanitizers of an instrumented build are told; see tests/run.sh.
SANITIZERS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")


def clean_environment(home, **variables):
    """An environment without a trace of the caller's AWS, proxy, certificate or locale settings."""
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "LANG": "C.UTF-8",
                   "AWS_EC2_METADATA_DISABLED": "true"}
    for name in SANITIZERS:
        if name in os.environ:
            environment[name] = f"{os.environ[name]}:log_path={home}/sanitizer"
    return environment | {name: str(value) for name, value in variables.items()}


def run(command, environment, limit=60.0, stdin=subprocess.DEVNULL, **more):
    """Runs `command` to its end. Never raises for its exit code; does when it takes longer than `limit`."""
    return subprocess.run([str(word) for word in command], env=environment, timeout=limit, stdin=stdin,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="backslashreplace", **more)


def check(result):
    """Asserts that a command succeeded, and returns it."""
    assert result.returncode == 0, f"{result.args} ended with {result.returncode}:\n{result.stdout}{result.stderr}"
    return result


def processes_with(name, value):
    """Ids of the processes that have `name=value` in their environment."""
    wanted = f"{name}={value}".encode()
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                pass  # it ended meanwhile, or is a zombie
    return found
