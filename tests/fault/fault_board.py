"""Steers the fault points of modelfs-faulty; the other side is fault_board.h."""

import ctypes
import mmap
import struct

SLOTS, SLOT = 64, 128
KILL, BLOCK, FAIL = 1, 2, 3
ACTION, COUNTDOWN, ERROR, WAITING, HITS, ACTED, ACTED_AT = 64, 68, 72, 76, 80, 88, 96


class FaultBoard:
    """The labelled points of one daemon's workers: what they do, and what has happened there. `variables` is for its environment."""

    def __init__(self, path):
        with open(path, "w+b") as file:
            file.truncate(SLOTS * SLOT)
            self._map = mmap.mmap(file.fileno(), SLOTS * SLOT)
        self.variables = {"MODELFS_FAULTS": str(path)}

    def kill(self, label, nth=1):
        """The worker dies (SIGKILL) at the `nth` hit from now on."""
        self._set(label, KILL, nth)

    def block(self, label):
        """Whoever gets there waits for release()."""
        self._set(label, BLOCK, 0)

    def fail(self, label, error):
        """Fails with the errno `error` until release()."""
        self._set(label, FAIL, 0, error)

    def release(self, label):
        at = self._slot(label)
        struct.pack_into("<I", self._map, at + ACTION, 0)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._map, at + ACTION))
        ctypes.CDLL(None).syscall(202, ctypes.c_void_p(address), 1, 1 << 30, None, None, 0)  # futex, FUTEX_WAKE

    def hits(self, label):
        return self._read(label, HITS, "<Q")

    def acted(self, label):
        """How often something was done there."""
        return self._read(label, ACTED, "<Q")

    def acted_at(self, label):
        """When, last, as of time.monotonic_ns()."""
        return self._read(label, ACTED_AT, "<Q")

    def waiting(self, label):
        """Threads that block() holds there; those of dead workers stay counted."""
        return self._read(label, WAITING, "<I")

    def labels(self):
        names = (self._name(slot) for slot in range(SLOTS))
        return [name for name in names if name]

    def _name(self, slot):
        return self._map[slot * SLOT : slot * SLOT + ACTION].rstrip(b"\0").decode()

    def _slot(self, label):
        for slot in range(SLOTS):
            name = self._name(slot)
            if not name:
                self._map[slot * SLOT : slot * SLOT + len(label)] = label.encode()
            if not name or name == label:
                return slot * SLOT
        raise AssertionError("the board is full")

    def _set(self, label, action, countdown, error=0):
        at = self._slot(label)
        struct.pack_into("<I", self._map, at + COUNTDOWN, countdown)
        struct.pack_into("<i", self._map, at + ERROR, error)
        struct.pack_into("<I", self._map, at + ACTION, action)

    def _read(self, label, field, form):
        return struct.unpack_from(form, self._map, self._slot(label) + field)[0]
