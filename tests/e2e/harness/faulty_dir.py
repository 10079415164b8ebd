"""Mounts of one directory by several hosts, each with faults of its own (tests/support/faulty_dir_main.cc)."""

import subprocess

from harness import programs
from harness.mounting import is_mounted
from harness.waiting import wait_for


class FaultyDir:
    """One host's mount of `directory`."""

    def __init__(self, folder, directory, name="faulty", **settings):
        self.path = folder / name
        self.path.mkdir()
        directory.mkdir(exist_ok=True)
        self._control = folder / f"{name}.control"
        self.become(**settings)
        self._log = open(folder / f"{name}.out", "wb")
        self._process = subprocess.Popen([programs.FAULTY_DIR, "--control", self._control, directory, self.path],
                                         stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        wait_for(lambda: is_mounted(self.path), "faulty-dir is mounted")

    def become(self, **settings):
        """From now on it behaves like this, and else well."""
        new = self._control.with_suffix(".new")
        new.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
        new.replace(self._control)  # It is read at any moment.

    def close(self):
        self.become()
        if is_mounted(self.path):
            subprocess.run(["umount", "-l", self.path], check=False)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
