"""A local HTTP server that can misbehave in every way a download has to survive."""

import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Serves `content` at `url`. Its attributes say what it does wrong, and record what it was asked and sent."""

    def __init__(self):
        self.content = b""
        self.etag: str | None = '"version 1"'
        self.ranges = True  # does it understand Range
        self.cuts: list[int] = []  # bytes after which the next answers are cut off
        self.silent = False  # answers nothing
        self.says: int | None = None  # a Content-Length other than the true one
        self.no_length = False
        self.kind: str | None = None  # Content-Type
        self.statuses: list[int] = []  # of the next answers, instead of a file
        self.slow = 0.0  # seconds between pieces of 16 KiB
        self.encoding: str | None = None
        self.wrong_start = False  # of a 206
        self.asked: list[tuple[str | None, str | None]] = []  # Range, If-Range of every request
        self.sent: list[int] = []  # bytes of every answer

    def __enter__(self) -> "Server":
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                owner.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.stopping = threading.Event()
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/archive"
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted, version = handler.headers.get("Range"), handler.headers.get("If-Range")
        self.asked.append((wanted, version))
        number = len(self.sent)  # an earlier answer may still be on its way
        self.sent.append(0)
        handler.close_connection = True
        if self.silent:
            self.stopping.wait(20)
            return
        if self.statuses:
            handler.send_response(self.statuses.pop(0))
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        start = 0
        if wanted and self.ranges and (version is None or version == self.etag):
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(self.content):
                handler.send_response(416)
                handler.send_header("Content-Range", f"bytes */{len(self.content)}")
                handler.send_header("Content-Length", "0")
                handler.end_headers()
                return
            start -= self.wrong_start
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        else:
            handler.send_response(200)
        if self.etag:
            handler.send_header("ETag", self.etag)
        if self.encoding:
            handler.send_header("Content-Encoding", self.encoding)
        if self.kind:
            handler.send_header("Content-Type", self.kind)
        body = self.content[start:]
        if not self.no_length:
            handler.send_header("Content-Length", str(len(body) if self.says is None else self.says))
        handler.end_headers()
        if self.cuts:
            body = body[: self.cuts.pop(0)]
        for at in range(0, len(body), 1 << 14):
            try:
                handler.wfile.write(body[at : at + (1 << 14)])
            except OSError:  # the other side was killed
                return
            self.sent[number] += len(body[at : at + (1 << 14)])
            time.sleep(self.slow)
