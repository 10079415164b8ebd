"""A TCP proxy that counts what a server sends. Bytes pass by splice, so it costs little."""

import os
import socket
import threading


class SpliceProxy:
    """Listens on a free port of loopback and forwards to `port`; HTTP's Host header passes as it is."""

    def __init__(self, port):
        self._upstream = port
        self._lock = threading.Lock()
        self._received = 0
        self._hold_at = None
        self._flowing = threading.Event()
        self._flowing.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def received(self):
        """Bytes that came from the server so far, headers and listings included."""
        with self._lock:
            return self._received

    def freeze(self):
        """From now on nothing passes; connections stay open."""
        self._flowing.clear()

    def hold_after(self, size):
        """Freezes by itself once the server has sent `size` more bytes: no byte behind them passes before thaw()."""
        with self._lock:
            self._hold_at = self._received + size

    def held(self):
        """Whether the bytes of hold_after() have been sent."""
        return not self._flowing.is_set()

    def thaw(self):
        with self._lock:
            self._hold_at = None
        self._flowing.set()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            try:
                server = socket.create_connection(("127.0.0.1", self._upstream))
            except OSError:
                client.close()
                continue
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._forward, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, client, True), daemon=True).start()

    def _forward(self, source, target, counted):
        reader, writer = os.pipe()
        try:
            while size := os.splice(source.fileno(), writer, 1 << 16):
                if counted:
                    self._count(size)
                self._flowing.wait()
                while size:
                    size -= os.splice(reader, target.fileno(), size)
        except OSError:
            pass  # one side is gone
        finally:
            os.close(reader)
            os.close(writer)
            for side in (source, target):
                try:
                    side.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _count(self, size):
        with self._lock:
            self._received += size
            if self._hold_at is not None and self._received > self._hold_at:
                self._flowing.clear()
