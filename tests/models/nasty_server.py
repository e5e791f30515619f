"""A web server on loopback that does to a download what networks and servers do."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class NastyServer:
    """Serves *content* at any path but /other; each fault is switched on by its attribute."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.etag = '"first"'
        self.cuts: list[int] = []
        """Bytes after which one answer after another is cut; then none is."""
        self.always_cut = 0
        self.honours_ranges = True
        self.declared: int | None = None
        """The length of the whole that is told, if not the true one."""
        self.wrong_part = False
        self.status = 0
        """Answer all requests with this error."""
        self.pause_s = 0.0
        """Before each byte."""
        self.slow_header = False
        self.between: dict[int, bytes] = {}
        """Content that takes the place of the present one before the request of this number."""
        self.requests: list[dict[str, str]] = []
        self.closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with suppress(ConnectionError):
                    outer.answer(self)

            def do_HEAD(self) -> None:
                outer.answer(self, body=False)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def ranges(self) -> list[str]:
        """Return the ranges that were asked for, in their order."""
        return [request.get("Range", "") for request in self.requests]

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler, *, body: bool = True) -> None:
        number = len(self.requests)
        self.requests.append(dict(handler.headers.items()))
        if number in self.between:
            self.content, self.etag = self.between[number], f'"{number}"'
        if self.status or handler.path == "/other":
            handler.send_error(self.status or 404)
            return
        if self.slow_header:
            handler.wfile.write(b"HTTP/1.0 200 OK\r\n")
            while not self.closing.wait(0.05):
                handler.wfile.write(b"X")
        wanted = re.match(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(wanted[1]) if wanted and self.honours_ranges else 0
        if handler.headers.get("If-Range", self.etag) != self.etag:
            start = 0
        if start >= len(self.content) and start:
            handler.send_response(416)
            handler.end_headers()
            return
        data = self.content[start:]
        handler.send_response(206 if start else 200)
        total = self.declared if self.declared is not None else len(self.content)
        handler.send_header("Content-Length", str(max(total - start, 0)))
        handler.send_header("ETag", self.etag)
        if start:
            told = start + 1 if self.wrong_part else start
            handler.send_header("Content-Range", f"bytes {told}-{total - 1}/{total}")
        handler.end_headers()
        if body:
            self._send(handler, data)

    def _send(self, handler: BaseHTTPRequestHandler, data: bytes) -> None:
        cut = self.cuts.pop(0) if self.cuts else self.always_cut or len(data)
        if not self.pause_s:
            handler.wfile.write(data[:cut])
            return
        sent = 0
        while sent < cut and not self.closing.wait(self.pause_s):
            size = 1 if self.pause_s else cut
            handler.wfile.write(data[sent : min(sent + size, cut)])
            sent += size


@contextmanager
def nasty_server(content: bytes) -> Iterator[NastyServer]:
    """Serve *content* until the end of the block."""
    server = NastyServer(content)
    try:
        yield server
    finally:
        server.close()
