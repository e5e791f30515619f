"""A bundle from a real web server: with ranges or without, cut off again and again."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from appliance.errors import UpdateError, UsageError
from appliance.update.source import WebSource, opened
from tests.update.bundles import random_bytes

DATA = random_bytes(300_000)


@contextmanager
def server(*, ranges: bool = True, cut: int = 0, status: int = 200) -> Iterator[tuple[str, list]]:
    """Serve DATA; *cut*: hang up after so many bytes of each answer."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Range", ""))
            found = re.match(r"bytes=(\d+)-", asked[-1]) if ranges else None
            begin = int(found[1]) if found else 0
            if status != 200:
                self.send_error(status)
                return
            if found and begin >= len(DATA):
                self.send_error(416)
                return
            self.send_response(206 if found else 200)
            if found:
                self.send_header("Content-Range", f"bytes {begin}-{len(DATA) - 1}/{len(DATA)}")
            self.send_header("Content-Length", str(len(DATA) - begin))
            self.end_headers()
            self.wfile.write(DATA[begin : begin + cut if cut else None])

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_address[1]}/luna", asked
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


def whole(source: WebSource) -> bytes:
    found = bytearray()
    while block := source.read(70_001):
        found += block
    source.close()
    return bytes(found)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_whole_bundle(ranges: bool) -> None:
    with server(ranges=ranges) as (address, asked):
        source = WebSource(address, pause_s=0.0)
        found = source.read(len(DATA))
        source.close()
        assert found == DATA
        assert len(asked) == 1


def test_a_cut_connection_is_taken_up_again() -> None:
    with server(cut=90_000) as (address, asked):
        assert whole(WebSource(address, pause_s=0.0)) == DATA
        assert len(asked) >= 4


def test_what_is_skipped_is_not_sent() -> None:
    with server() as (address, asked):
        source = WebSource(address, pause_s=0.0)
        assert source.read(10) == DATA[:10]
        source.skip(1000)
        source.skip(1000)
        assert source.read(10) == DATA[2010:2020]
        assert asked == ["", "bytes=2010-"]
        source.close()


def test_a_server_without_ranges_is_read_up_to_the_place() -> None:
    with server(ranges=False) as (address, _):
        source = WebSource(address, pause_s=0.0)
        source.skip(2000)
        assert source.read(10) == DATA[2000:2010]
        source.close()


def test_the_end_is_the_end() -> None:
    with server() as (address, _):
        source = WebSource(address, pause_s=0.0)
        source.skip(len(DATA))
        assert source.read(10) == b""


def test_a_server_that_never_has_it() -> None:
    with server(status=404) as (address, asked):
        with pytest.raises(UpdateError, match="HTTP 404"):
            WebSource(address, pause_s=0.0).read(1)
        assert len(asked) == 1
    with server(status=503) as (address, asked):
        with pytest.raises(UpdateError, match="HTTP 503"):
            WebSource(address, pause_s=0.0).read(1)
        assert len(asked) > 3
    with pytest.raises(UpdateError, match="cannot be read"):
        WebSource(address, pause_s=0.0).read(1)  # nobody serves there any more


def test_other_places(tmp_path) -> None:
    with pytest.raises(UsageError, match="there is no file"), opened(str(tmp_path / "none")):
        pass
    with pytest.raises(UpdateError), opened(str(tmp_path)):
        pass
    with pytest.raises(UsageError), opened("ftp://luna/x"):
        pass
