"""A web server on the loopback that misbehaves as it is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DATA = bytes(range(256)) * 1000
Act = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers as `acts` say, one for each request; the last one for all that follow."""

    acts: tuple[Act, ...]
    asked: list[tuple[str, int]]
    """Path and start of every request."""

    def do_GET(self) -> None:
        self.start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.asked.append((self.path, self.start))
        act = self.acts[min(len(self.asked), len(self.acts)) - 1]
        try:
            act(self)
        except OSError:  # the client has had enough
            return

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""

    def begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


@contextmanager
def serving(*acts: Act) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """The address of the server, and the requests as they come."""
    asked: list[tuple[str, int]] = []
    handler = type("Told", (Handler,), {"acts": acts, "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


# --- what it may do


def whole(handler: Handler, data: bytes = DATA, ranges: bool = True, until: int | None = None) -> None:
    """As it should be; with `until` only so many bytes into the file, and then silence."""
    start = handler.start if ranges else 0
    headers = {"Content-Length": str(len(data) - start)}
    if start:
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
    handler.begin(206 if start else 200, headers)
    handler.wfile.write(data[start:until])


def cut(at: int) -> Act:
    """The connection ends at that byte of the file."""
    return lambda handler: whole(handler, until=max(at, handler.start))


def without_ranges(handler: Handler) -> None:
    """Always from the beginning."""
    whole(handler, ranges=False)


def of(data: bytes) -> Act:
    """Another file."""
    return lambda handler: whole(handler, data)


def unannounced(data: bytes) -> Act:
    """No length is given."""

    def act(handler: Handler) -> None:
        handler.begin(200, {})
        handler.wfile.write(data)

    return act


def another_part(handler: Handler) -> None:
    """A part, but not the one that was asked for."""
    handler.begin(206, {"Content-Length": "10", "Content-Range": "bytes 5-14/256000"})
    handler.wfile.write(DATA[5:15])


def status(code: int) -> Act:
    """An error."""
    return lambda handler: handler.send_error(code)


def to(address: Callable[[Handler], str]) -> Act:
    """Sends on."""
    return lambda handler: handler.begin(302, {"Location": address(handler), "Content-Length": "0"})


def silent(handler: Handler) -> None:
    """Accepts, and never answers."""
    time.sleep(3)


def stalling(handler: Handler) -> None:
    """Half of it, and then nothing more."""
    whole(handler, until=len(DATA) // 2 if handler.start == 0 else handler.start)
    handler.wfile.flush()
    time.sleep(3)


def dripping(handler: Handler) -> None:
    """A byte now and then, for ever."""
    handler.begin(200, {"Content-Length": str(len(DATA))})
    for byte in DATA[:60]:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.05)


def babble(handler: Handler) -> None:
    """No HTTP at all."""
    handler.wfile.write(b"hello\r\n\r\n" * 10)
