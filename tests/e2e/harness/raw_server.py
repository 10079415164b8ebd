"""A web server whose answers are raw bytes, so that they may be wrong in any way."""

import socketserver
import threading
import urllib.parse


class Request:
    """The head of a request. `range`: first and last byte of its Range header, or None."""

    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target = lines[0].split(" ")[:2]
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
        url = urllib.parse.urlsplit(self.target)
        self.path = urllib.parse.unquote_to_bytes(url.path)
        self.query = {name: values[0] for name, values in urllib.parse.parse_qs(url.query, keep_blank_values=True, encoding="latin-1").items()}
        self.range = None
        if self.headers.get("range", "").startswith("bytes="):
            first, _, last = self.headers["range"][len("bytes=") :].partition("-")
            self.range = int(first), int(last)


class RawServer:
    """Sends what `respond(request)` returns: (bytes, whether the connection goes on). In place of the bytes there may be a function of the connection and of
    an event that is set when the server ends; then the connection ends with it."""

    def __init__(self, respond, tls=None):
        self.ended = ended = threading.Event()

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                try:
                    while head := self.head():
                        data, goes_on = respond(Request(head))
                        if callable(data):
                            return data(self.connection, ended)
                        self.wfile.write(data)
                        if not goes_on:
                            return
                except OSError:
                    pass  # The client had enough.

            def head(self):
                lines = []
                while (line := self.rfile.readline(1 << 16)) not in (b"\r\n", b""):
                    lines.append(line)
                return b"".join(lines)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads, allow_reuse_address, request_queue_size, block_on_close = True, True, 128, False

            def shutdown_request(self, request):
                self.close_request(request)  # Without an orderly end before a reset.

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()


def plain(body, status="200 OK", *headers):
    """An orderly answer, on a connection that goes on."""
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers))
    return head.encode("latin-1") + b"\r\n" + body, True
