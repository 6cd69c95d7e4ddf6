"""A server for downloads, on this machine."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Server(ThreadingHTTPServer):
    """Serves CONTENT, or `files` by name; breaks connections off after `limit` bytes `breaks` times."""

    def __init__(self, ranges=True):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges, self.breaks, self.limit, self.asked, self.content = ranges, 0, 300_000, [], CONTENT
        self.tag, self.files = '"1"', {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_HEAD(self):
        content = self.content()
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()

    def content(self):
        name = self.path.rsplit("/", 1)[1]
        if self.server.files:
            return self.server.files.get(name)
        return None if name == "absent" else self.server.content

    def do_GET(self):
        server, content = self.server, self.content()
        asked = self.headers.get("Range", "bytes=0-")
        server.asked.append(asked)
        if content is None:
            self.send_error(404)
            return
        same = self.headers.get("If-Range", server.tag) == server.tag
        part = server.ranges and same and "Range" in self.headers
        start = int(asked[6:-1]) if part else 0
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if part else 200)
        self.send_header("ETag", server.tag)
        self.send_header("Content-Length", str(len(content) - start))
        if part:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if server.breaks:
            server.breaks -= 1
            self.wfile.write(content[start : start + server.limit])
            self.close_connection = True
        else:
            self.wfile.write(content[start:])

    def log_message(self, *_):
        pass
