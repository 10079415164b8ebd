"""The CSI driver as the kubelet uses it."""

import concurrent.futures
import datetime
import json
import os
import re
import signal
import threading

import grpc
import pytest

from harness import canaries, csi, programs
from harness.data import MIB, random_file
from harness.mounting import is_mounted
from harness.servers import ACCESS_KEY, SECRET_KEY
from harness.token_server import TokenServer
from harness.waiting import wait_for

CYCLES = int(os.environ.get("MODELFS_CSI_CYCLES", 60))
TOKENS = "csi.storage.k8s.io/serviceAccount.tokens"
POD = {"csi.storage.k8s.io/pod.namespace": "team-a", "csi.storage.k8s.io/serviceAccount.name": "default",
       "csi.storage.k8s.io/pod.name": "server-0", "csi.storage.k8s.io/ephemeral": "true"}
# What csi-sanity skips of a node: calls that a driver needs not have. There is nothing to stage, and nothing grows.
NOT_OURS = ("NodeStageVolume", "NodeUnstageVolume", "NodeExpandVolume")
KEYS = {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY}


@pytest.fixture
def driver(folder):
    node = csi.Driver(folder)
    yield node
    complaints = node.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def model(folder):
    return random_file(folder / "origin" / "models" / "m" / "weights.bin", 6 * MIB)


@pytest.fixture
def attributes(start_origin, model):
    return POD | {"source": "s3://models/m", "endpoint": start_origin().url}


def refused(call, code, *named):
    """The call fails with that code, and a message that names these."""
    with pytest.raises(grpc.RpcError) as error:
        call()
    assert csi.code_of(error) == code, error.value.details()
    for name in named:
        assert name in error.value.details()


def test_sanity(driver, folder, attributes):
    if not csi.SANITY.exists():
        pytest.skip("csi-sanity cannot be had: deploy/deps.sh test builds it")
    driver.start("--test-controller")
    parameters = folder / "parameters.yaml"
    parameters.write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in attributes.items() if "/" not in name) + "anonymous: \"true\"\n")
    result = programs.run([csi.SANITY, f"--csi.endpoint=unix://{driver.socket}", f"--csi.mountdir={folder}/sanity-mount", f"--csi.stagingdir={folder}/sanity-stage",
                           f"--csi.testvolumeparameters={parameters}", "--ginkgo.v", "--ginkgo.no-color"], driver.commands.environment, 300)
    report = result.stdout
    skipped = sorted(set(re.findall(r"S \[SKIPPED\][^\n]*\n(?:[^\n]*\n)??\s*([^\n]+)", report)))
    (programs.BIN.parent / "csi-sanity.txt").write_text(report)
    assert result.returncode == 0, report[-6000:]
    summary = re.search(r"Ran (\d+) of (\d+) Specs", report)
    assert summary and int(summary.group(1)) >= 30, summary
    left_out = [line for line in skipped if line.startswith(("Node Service", "Identity Service")) and not any(name in line for name in NOT_OURS)]
    assert not left_out, left_out


def test_a_pod_reads_its_volume(driver, model, attributes):
    driver.start()
    target = driver.publish("v", "p", attributes, KEYS)
    assert (target / "weights.bin").read_bytes() == model.read_bytes()
    assert os.statvfs(target).f_flag & os.ST_RDONLY
    stats = driver.stats("v", "p")
    assert stats.usage[0].total == 6 * MIB and not stats.volume_condition.abnormal, stats
    driver.publish("v", "p", attributes, KEYS)  # again: nothing changes
    assert (target / "weights.bin").stat().st_size == 6 * MIB
    driver.unpublish("v", "p")
    driver.unpublish("v", "p")
    refused(lambda: driver.stats("v", "p"), "NOT_FOUND", "v")
    wait_for(lambda: not driver.commands.processes(), "its daemon ends with its last volume")
    assert not driver.leftovers()


def test_what_is_wrong_is_named(driver, attributes):
    driver.start()
    publish = driver.publish
    refused(lambda: publish("v", "p", attributes), "INVALID_ARGUMENT", "access_key_id", "nodePublishSecretRef")
    refused(lambda: publish("v", "p", attributes, {"access_key_id": "A"}), "INVALID_ARGUMENT", "secret_access_key")
    refused(lambda: publish("v", "p", attributes | {"sauce": "s3://b"}, KEYS), "INVALID_ARGUMENT", "'sauce'")
    refused(lambda: publish("v", "p", attributes | {"source": "dir:/etc"}, KEYS), "INVALID_ARGUMENT", "'source'", "dir:")
    refused(lambda: publish("v", "p", attributes | {"cache_size": "much"}, KEYS), "INVALID_ARGUMENT", "'cache_size'", "much")
    refused(lambda: publish("v", "p", attributes | {"source": "s3://absent"}, KEYS), "NOT_FOUND", "absent")
    expired = {TOKENS: json.dumps({"mlflow": {"token": canaries.secret("old"), "expirationTimestamp": "2020-01-01T00:00:00Z"}})}
    refused(lambda: publish("v", "p", POD | expired | {"source": "mlflow:http://127.0.0.1:1"}), "UNAUTHENTICATED", "expired")
    refused(lambda: publish("", "p", attributes, KEYS), "INVALID_ARGUMENT", "volume_id")
    refused(lambda: publish("v", "p", attributes, KEYS, mode="UNKNOWN"), "INVALID_ARGUMENT", "access_mode")
    assert not driver.leftovers()
    # As another one in the same place, and in two places where one is allowed.
    publish("v", "p", attributes, KEYS, mode="SINGLE_NODE_WRITER", readonly=False)
    refused(lambda: publish("v", "p", attributes | {"region": "elsewhere"}, KEYS, mode="SINGLE_NODE_WRITER"), "ALREADY_EXISTS", "'region'")
    refused(lambda: publish("v", "q", attributes, KEYS, mode="SINGLE_NODE_WRITER"), "FAILED_PRECONDITION", str(driver.target("p")))
    driver.unpublish("v", "p")


def test_reads_go_on_without_the_driver(driver, model, attributes):
    """Through its end, its death, a new one, and the death of a worker."""
    driver.start()
    target = driver.publish("v", "p", attributes | {"cache_size": "4MiB"}, KEYS)  # so that it is fetched again and again
    wanted, wrong, rounds, over = model.read_bytes(), [], [], threading.Event()

    def read():
        try:
            while not over.is_set():
                assert (target / "weights.bin").read_bytes() == wanted, "other bytes"
                rounds.append(1)
        except (OSError, AssertionError) as error:
            wrong.append(error)

    def a_few_more():
        count = len(rounds)
        wait_for(lambda: wrong or len(rounds) > count + 1, "it is read on")

    readers = [threading.Thread(target=read, daemon=True) for _ in range(3)]
    for reader in readers:
        reader.start()
    for how in (signal.SIGTERM, signal.SIGKILL):
        a_few_more()
        driver.end(how)
        a_few_more()
        driver.start()
        driver.publish("v", "p", attributes | {"cache_size": "4MiB"}, KEYS)
    status = json.loads(driver.commands.run("status", "--json", XDG_RUNTIME_DIR="/run").stdout.splitlines()[0])
    os.kill(status["pid"], 9)
    a_few_more()
    over.set()
    for reader in readers:
        reader.join(60)
    assert not wrong, wrong
    driver.unpublish("v", "p")
    assert not driver.leftovers()


def tokens(word, minutes=10):
    """What the kubelet sends of a pod's service account."""
    expires = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    return {TOKENS: json.dumps({"models": {"token": canaries.secret(word), "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}})}


@pytest.fixture
def guarded(model):
    """A web server that asks for a token."""
    server = TokenServer(model.read_bytes())
    yield server
    server.close()


def test_two_tenants_share_nothing(driver, model, guarded):
    driver.start()
    guarded.allowed = {canaries.secret("a"), canaries.secret("b")}
    source = POD | {"source": guarded.url}
    one = driver.publish("v1", "a", source | tokens("a"))
    assert (one / "weights.bin").read_bytes() == model.read_bytes()
    # A pod of the same principal takes what is here.
    same = driver.publish("v2", "b", source | tokens("a"))
    before = len(guarded.seen)
    assert (same / "weights.bin").read_bytes() == model.read_bytes()
    assert not [path for _, path in guarded.seen[before:] if path.endswith(".bin")], "it was here"
    # One of another principal asks by itself before it gets a byte; who may not, gets none.
    other = source | {"csi.storage.k8s.io/pod.namespace": "team-b"}
    two = driver.publish("v3", "c", other | tokens("b"))
    before = len(guarded.seen)
    assert (two / "weights.bin").read_bytes() == model.read_bytes()
    assert (canaries.secret("b"), "/models/weights.bin") in guarded.seen[before:]
    assert {token for token, _ in guarded.seen[before:]} == {canaries.secret("b")}
    refused(lambda: driver.publish("v4", "d", other | {"csi.storage.k8s.io/pod.namespace": "team-c"} | tokens("c")), "PERMISSION_DENIED", "401")
    assert len(list(driver.cache.iterdir())) == 3
    # Neither learns of the other: not by its status, nor by attributes of its files.
    for target, strange in ((one, "team-b"), (two, "team-a")):
        file = target / "weights.bin"
        said = [os.getxattr(file, name).decode(errors="replace") for name in os.listxattr(file)]
        assert not [text for text in said if strange in text or str(driver.state) in text], said
        assert not (target / ".modelfs").exists(), "the status of the whole mount"
    for volume, pod in (("v1", "a"), ("v2", "b"), ("v3", "c")):
        driver.unpublish(volume, pod)
    assert not driver.leftovers()


def test_tokens_that_are_new(driver, model, guarded):
    """The kubelet's calls bring a new token before the old one ends: what is open reads on."""
    driver.start()
    guarded.allowed = {canaries.secret("first")}
    attributes = POD | {"source": guarded.url, "cache_size": "2MiB"}  # so that the second half is not here already
    target = driver.publish("v", "p", attributes | tokens("first"))
    with open(target / "weights.bin", "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        half = file.read(MIB)
        driver.publish("v", "p", attributes | tokens("second"))
        guarded.allowed = {canaries.secret("second")}
        # A call with one that has ended is refused, and changes nothing.
        refused(lambda: driver.publish("v", "p", attributes | tokens("third", minutes=-1)), "UNAUTHENTICATED", "expired")
        rest = b"".join(iter(lambda: file.read(MIB), b""))
    assert half + rest == model.read_bytes()
    assert (canaries.secret("second"), "/models/weights.bin") in guarded.seen
    driver.unpublish("v", "p")
    assert not driver.leftovers()


def test_unpublish_ends_whatever_is_broken(driver, folder, start_origin, model):
    origin = start_origin("--total-rate", "80kbit/s")
    driver.start()
    attributes = POD | {"source": "s3://models/m", "endpoint": origin.url}
    target = driver.publish("v", "p", attributes, KEYS)
    stuck = threading.Thread(target=lambda: read_and_forget(target / "weights.bin"), daemon=True)
    stuck.start()
    wait_for(lambda: origin.stats()["object_gets"] > 0, "somebody reads")
    origin.stop()
    begun = datetime.datetime.now()
    driver.unpublish("v", "p", limit=10)
    assert (datetime.datetime.now() - begun).total_seconds() < 10
    assert not driver.leftovers()
    stuck.join(30)
    assert not stuck.is_alive()


def read_and_forget(path):
    try:
        path.read_bytes()
    except OSError:
        pass


def test_cycles(driver, attributes, model):
    """Publishing and taking away, a few at a time, with drivers that end or die in between."""
    driver.start()

    def cycle(number):
        volume, pod = f"v{number}", f"p{number}"
        for _ in range(40):
            try:
                target = driver.publish(volume, pod, attributes, KEYS)
                assert (target / "weights.bin").stat().st_size == 6 * MIB
                driver.unpublish(volume, pod)
                return
            except grpc.RpcError as error:  # the driver was away: the kubelet tries again
                assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED,
                                        grpc.StatusCode.DEADLINE_EXCEEDED), error
            except (ValueError, FileNotFoundError):  # its channel is closed; it was taken back
                pass
            again.wait(1)
        raise AssertionError(f"volume {volume} cannot be published")

    again = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        running = [pool.submit(cycle, number) for number in range(CYCLES)]
        for turn in range(4):
            wait_for(lambda t=turn: sum(one.done() for one in running) >= CYCLES * (t + 1) // 5, "cycles go on", 300)
            driver.end(signal.SIGTERM if turn % 2 else signal.SIGKILL)
            driver.start()
        for one in running:
            one.result(300)
    for number in range(CYCLES):  # what an answer was lost of
        driver.unpublish(f"v{number}", f"p{number}")
    wait_for(lambda: not driver.commands.processes(), "all daemons end", 60)
    assert not driver.leftovers()
    assert not [path for path in driver.targets if is_mounted(path)]


def test_fifty_at_once(driver, attributes, model):
    driver.start()
    count = 50
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        targets = list(pool.map(lambda n: driver.publish(f"v{n}", f"p{n}", attributes, KEYS), range(count)))
        assert all((target / "weights.bin").stat().st_size == 6 * MIB for target in targets)
        list(pool.map(lambda n: driver.unpublish(f"v{n}", f"p{n}", limit=60), range(count)))
    wait_for(lambda: not driver.commands.processes(), "all daemons end", 60)
    assert not driver.leftovers()
