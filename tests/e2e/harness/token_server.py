"""A web server of one file that asks for a bearer token, and remembers who asked for what."""

import http.server
import json
import re
import threading

MODIFIED = "Mon, 02 Nov 2026 10:00:00 GMT"


class TokenServer:
    """Serves `content` as /models/weights.bin to whoever has a token of `allowed`. `seen`: (token, path) of each request, in order."""

    def __init__(self, content):
        self.allowed, self.seen = set(), []
        listing = json.dumps([{"name": "weights.bin", "type": "file", "mtime": MODIFIED, "size": len(content)}]).encode()  # as nginx has it
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self):
                self.do_GET()

            def do_GET(self):
                token = self.headers.get("authorization", "").removeprefix("Bearer ")
                outer.seen.append((token, self.path))
                if token not in outer.allowed:
                    return self.answer(401, b"who are you?", {"WWW-Authenticate": "Bearer"})
                if self.path == "/models/":
                    return self.answer(200, listing, {"Content-Type": "application/json"})
                if self.path != "/models/weights.bin":
                    return self.answer(404, b"")
                headers = {"ETag": '"one"', "Accept-Ranges": "bytes", "Last-Modified": MODIFIED}
                asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
                if not asked:
                    return self.answer(200, content, headers)
                begin = int(asked.group(1))
                end = min(int(asked.group(2) or len(content)), len(content) - 1)
                return self.answer(206, content[begin:end + 1], headers | {"Content-Range": f"bytes {begin}-{end}/{len(content)}"})

            def answer(self, status, body, headers=()):
                self.send_response(status)
                for name, value in dict(headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/models"

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
