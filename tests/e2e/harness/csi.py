"""The CSI driver of one node, called as the kubelet calls it."""

import functools
import importlib
import pathlib
import shlex
import signal
import subprocess
import sys
import tempfile

import grpc
from grpc_tools import protoc

from harness import programs
from harness.mounting import MARK, Commands, is_mounted, mounts_below
from harness.waiting import wait_for

DRIVER = programs.BIN / "modelfs-csi"
SANITY = programs.TOOLS / "bin" / "csi-sanity"
NAME = "modelfs.csi.modelfs.dev"


@functools.cache
def stubs():
    """The modules that protoc makes of our csi.proto: messages, services."""
    folder = tempfile.mkdtemp(prefix="modelfs-csi-stubs-")
    source = programs.REPOSITORY / "fs" / "csi"
    failed = protoc.main(["protoc", f"--proto_path={source}", f"--proto_path={pathlib.Path(protoc.__file__).parent / '_proto'}",
                          f"--python_out={folder}", f"--grpc_python_out={folder}", "csi.proto"])
    assert not failed, "protoc refuses csi.proto"
    sys.path.insert(0, folder)
    return importlib.import_module("csi_pb2"), importlib.import_module("csi_pb2_grpc")


class Driver:
    """modelfs-csi with all that it keeps below `folder`. What its daemons are is known by `commands`."""

    def __init__(self, folder, program=DRIVER):
        self.folder = folder / "csi"
        self.folder.mkdir()
        self.program = program
        self.commands = Commands(folder)
        self.socket = self.folder / "csi.sock"
        self.state, self.cache = self.folder / "state", self.folder / "cache"
        self.log = folder / "csi.log"
        self.targets = []
        self._process = self._channel = None

    def start(self, *arguments):
        words = [self.program, "--endpoint", f"unix://{self.socket}", "--node-id", "node-1", "--state", self.state, "--cache", self.cache,
                 "--launch", f"env {MARK}={shlex.quote(str(self.commands.folder))}", *arguments]
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen([str(word) for word in words], env=self.commands.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        messages, services = stubs()
        self._channel = grpc.insecure_channel(f"unix:{self.socket}")
        self.node, self.identity = services.NodeStub(self._channel), services.IdentityStub(self._channel)

        def answers():
            assert self._process.poll() is None, self.log.read_text(errors="replace")
            try:
                return self.identity.Probe(messages.ProbeRequest(), timeout=2).ready.value
            except grpc.RpcError:
                return False

        wait_for(answers, "the driver answers")
        return self

    def end(self, how=signal.SIGTERM):
        """SIGTERM as in an upgrade, SIGKILL as in an accident."""
        if self._process is None:
            return
        self._channel.close()
        self._process.send_signal(how)
        self._process.wait(30)
        self._process = None

    def target(self, pod):
        """As the kubelet names it; its parent is there."""
        folder = self.folder / "pods" / pod / "volumes"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "mount"
        if path not in self.targets:
            self.targets.append(path)
        return path

    def publish(self, volume, pod, attributes, secrets=None, mode="MULTI_NODE_READER_ONLY", readonly=True, limit=60):
        """Returns the target."""
        messages, _ = stubs()
        capability = messages.VolumeCapability(mount=messages.VolumeCapability.MountVolume(),
                                               access_mode=messages.VolumeCapability.AccessMode(mode=mode))
        target = self.target(pod)
        self.node.NodePublishVolume(
            messages.NodePublishVolumeRequest(volume_id=volume, target_path=str(target), volume_capability=capability, readonly=readonly,
                                              volume_context=attributes, secrets=secrets or {}), timeout=limit)
        return target

    def unpublish(self, volume, pod, limit=30):
        messages, _ = stubs()
        self.node.NodeUnpublishVolume(messages.NodeUnpublishVolumeRequest(volume_id=volume, target_path=str(self.target(pod))), timeout=limit)

    def stats(self, volume, pod):
        messages, _ = stubs()
        return self.node.NodeGetVolumeStats(messages.NodeGetVolumeStatsRequest(volume_id=volume, volume_path=str(self.target(pod))), timeout=30)

    def leftovers(self):
        """What should not be there when nothing is published."""
        found = mounts_below(self.folder)
        found += [path for path in self.targets if path.exists()]
        for name in ("volumes", "logins"):
            if (self.state / name).exists():
                found += list((self.state / name).iterdir())
        return [str(path) for path in found]

    def close(self):
        """Ends all of it, whatever state it is in; says what should not have been there."""
        self.end()
        complaints = self.commands.leaks()
        mounts = mounts_below(self.folder)
        self.commands.mounts += [path for path in mounts if str(path).startswith(str(self.state))]
        for path in reversed(mounts):
            if not path.startswith(str(self.state)) and is_mounted(path):
                programs.run(["umount", "-l", path], self.commands.environment)
        return complaints + self.commands.clean_up()


def code_of(error):
    """Of what a call has raised."""
    return error.value.code().name
