"""A GlusterFS volume on loopback: one server, and mounts whose clients are processes with caches of their own."""

import shutil
import subprocess

from harness.mounting import is_mounted
from harness.servers import answers, free_port
from harness.waiting import wait_for

PROGRAM = shutil.which("glusterfs") or "/usr/sbin/glusterfs"

# Without the daemon that manages volumes: it keeps its state in /var/lib.
SERVER = """volume posix
    type storage/posix
    option directory {brick}
end-volume
volume locks
    type features/locks
    subvolumes posix
end-volume
volume brick
    type performance/io-threads
    subvolumes locks
end-volume
volume server
    type protocol/server
    option transport-type tcp
    option transport.socket.bind-address 127.0.0.1
    option transport.socket.listen-port {port}
    option auth.addr.brick.allow *
    subvolumes brick
end-volume
"""
# The caches that a mount has by default.
CLIENT = """volume remote
    type protocol/client
    option transport-type tcp
    option remote-host 127.0.0.1
    option remote-port {port}
    option remote-subvolume brick
end-volume
volume write-behind
    type performance/write-behind
    subvolumes remote
end-volume
volume io-cache
    type performance/io-cache
    subvolumes write-behind
end-volume
volume quick-read
    type performance/quick-read
    subvolumes io-cache
end-volume
volume md-cache
    type performance/md-cache
    subvolumes quick-read
end-volume
"""


class Gluster:
    """A volume below `folder`; `mount` gives another client's mount of it."""

    def __init__(self, folder):
        self._folder = folder / "gluster"
        self._port = free_port()
        self._processes, self._mounts = [], []
        brick = self._folder / "brick"
        brick.mkdir(parents=True)
        self._start("server", SERVER.format(brick=brick, port=self._port), "--volfile-id", "brick")
        wait_for(lambda: answers(self._port), "the GlusterFS server answers")

    def mount(self):
        path = self._folder / f"mount{len(self._mounts)}"
        path.mkdir()
        self._mounts.append(path)
        self._start(path.name, CLIENT.format(port=self._port), path)
        wait_for(lambda: is_mounted(path), "a GlusterFS client has mounted")
        return path

    def close(self):
        for path in self._mounts:
            subprocess.run(["umount", "-l", path], check=False)
        for process in reversed(self._processes):  # Clients first.
            process.terminate()
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, name, volume_file, *arguments):
        path = self._folder / f"{name}.vol"
        path.write_text(volume_file)
        self._processes.append(subprocess.Popen(
            [PROGRAM, "-f", path, "-l", self._folder / f"{name}.log", "-p", self._folder / f"{name}.pid", "--no-daemon", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
