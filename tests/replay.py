"""A server that plays back recorded answers on 127.0.0.1, and misbehaves on demand.

    with ReplayServer() as server:
        server.serve("/geo/a.txt.gz", b"...")              # bytes, a path, or a function of the request
        server.serve_folder("/geo/series", folder)         # files, and index pages of its folders
        server.fault("/geo/a.txt.gz", Fault.cut_at(1000), times=2)
        FetchSection(mirrors={"https://ftp.ncbi.nlm.nih.gov/geo/": server.url + "/geo/"})
        ...
        assert server.requests[0].headers["range"] == "bytes=1000-"

Faults of a path are used up in the order in which they were given, one for each request; afterwards the path
answers as it should.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import html
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from faults import PAGE, Fault

DATE = formatdate(1_700_000_000, usegmt=True)


@dataclass(frozen=True)
class Request:
    """One request as it came: header names in lower case; `path` with its query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def range(self) -> str:
        return self.headers.get("range", "")


@dataclass(frozen=True)
class Answer:
    """An answer that a function of the request may give, where bytes alone do not say enough."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Content = bytes | str | Path | Callable[[Request], "bytes | str | Answer"]


@dataclass
class _Served:
    content: Content
    etag: bool | str
    last_modified: bool
    ranges: bool
    content_type: str


class ReplayServer:
    """See the top of this file. `requests` is what was asked, `sent` the bytes of files that went out."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.sent = 0
        self.most_at_once = 0
        self.delay = 0.0
        """seconds that each request takes (to have some at once)"""
        self._at_once = 0
        self._served: dict[str, _Served] = {}
        self._folders: dict[str, Path] = {}
        self._faults: dict[str, list[tuple[Fault, float]]] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._connections: set[socket.socket] = set()

    def __enter__(self) -> ReplayServer:
        replay = self

        class Handler(_Handler):
            server_of = replay

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        with self._lock:
            for connection in self._connections:
                _quietly(lambda one=connection: one.shutdown(socket.SHUT_RDWR))
        self._server.server_close()
        self._thread.join(timeout=5)

    def serve(
        self, path: str, content: Content, *, etag: bool | str = True, last_modified: bool = True,
        ranges: bool = True, content_type: str = "",
    ) -> str:  # fmt: skip
        """Answer this path (with or without a query) so; gives the full address."""
        self._served[path] = _Served(content, etag, last_modified, ranges, content_type)
        return self.url + path

    def serve_folder(self, prefix: str, folder: Path) -> str:
        """Serve a folder's files below `prefix`, and index pages for its folders."""
        self._folders["/" + prefix.strip("/")] = Path(folder)
        return self.url + "/" + prefix.strip("/") + "/"

    def fault(self, path: str, fault: Fault, *, times: float = 1) -> None:
        """Let the next requests for this path fail so (float('inf'): for ever)."""
        with self._lock:
            self._faults.setdefault(path, []).append((fault, times))

    def mend(self) -> None:
        """Forget all faults that are left."""
        with self._lock:
            self._faults.clear()

    def asked(self, path: str) -> list[Request]:
        """The requests for one path, with whatever query."""
        return [one for one in self.requests if one.path == path or urlsplit(one.path).path == path]

    # what the handler uses

    def next_fault(self, path: str) -> Fault | None:
        with self._lock:
            for key in (path, urlsplit(path).path):
                waiting = self._faults.get(key)
                if waiting:
                    fault, times = waiting[0]
                    waiting[0] = (fault, times - 1)
                    if times <= 1:
                        waiting.pop(0)
                    return fault
        return None

    def find(self, request: Request) -> tuple[_Served, Answer] | None:
        """What this path has: its content, or the index page of a folder."""
        bare = unquote(urlsplit(request.path).path)
        served = self._served.get(request.path) or self._served.get(bare)
        if served is None:
            content = self._in_folders(bare)
            if content is None:
                return None
            served = _Served(content, True, True, True, "text/html" if isinstance(content, bytes) else "")
        content = served.content
        if isinstance(content, Path):
            content = content.read_bytes()
        elif callable(content):
            content = content(request)
        if isinstance(content, str):
            content = content.encode()
        return served, content if isinstance(content, Answer) else Answer(content)

    def _in_folders(self, bare: str) -> Path | bytes | None:
        for prefix, folder in sorted(self._folders.items(), key=lambda item: -len(item[0])):
            if bare == prefix or bare.startswith(prefix.rstrip("/") + "/"):
                inside = bare[len(prefix) :].strip("/")
                path = folder / inside
                if ".." in inside.split("/"):
                    return None
                if path.is_file():
                    return path
                if path.is_dir():
                    return index_page(path, bare)
        return None

    def count(self, step: int) -> None:
        with self._lock:
            self._at_once += step
            self.most_at_once = max(self.most_at_once, self._at_once)

    def wait(self, seconds: float) -> None:
        self._closing.wait(seconds)

    def note(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)

    def count_sent(self, n: int) -> None:
        with self._lock:
            self.sent += n


def index_page(folder: Path, title: str) -> bytes:
    """An index page as Apache's mod_autoindex writes it (sizes rounded, as there)."""
    rows = [
        f'<a href="/{title.strip("/").rpartition("/")[0]}">Parent Directory</a>                             -   '
    ]
    for path in sorted(folder.iterdir()):
        name = path.name + ("/" if path.is_dir() else "")
        size = "-" if path.is_dir() else _rounded(path.stat().st_size)
        rows.append(
            f'<a href="{quote(name)}">{html.escape(name)}</a>{" " * max(1, 40 - len(name))}2024-05-06 07:08  {size:>4}  '
        )
    return (
        '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">\n<html>\n <head>\n'
        f"  <title>Index of {html.escape(title)}</title>\n </head>\n <body>\n<h1>Index of {html.escape(title)}</h1>\n"
        "<pre>Name                    Last modified      Size  <hr>"
        + "\n".join(rows)
        + "\n<hr></pre>\n</body></html>\n"
    ).encode()


def _rounded(size: int) -> str:
    for unit in ("", "K", "M", "G"):
        if size < 1024:
            return f"{size:.1f}{unit}" if unit and size < 10 else f"{size:.0f}{unit}"
        size = size / 1024  # type: ignore[assignment]
    return f"{size:.0f}T"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    server_of: ReplayServer

    def setup(self) -> None:
        super().setup()
        self.server_of.opened(self.connection)

    def finish(self) -> None:
        self.server_of.closed(self.connection)
        _quietly(super().finish)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(
            self.command, self.path, {key.lower(): value for key, value in self.headers.items()}, body
        )
        replay = self.server_of
        replay.note(request)
        replay.count(1)
        try:
            replay.wait(replay.delay) if replay.delay else None
            self._answer(request, replay.next_fault(self.path))
        except OSError:
            self.close_connection = True
        finally:
            replay.count(-1)

    do_POST = do_HEAD = do_GET  # noqa: N815

    def _answer(self, request: Request, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        if fault and kind == "drop":
            return self._reset()
        if fault and kind == "status":
            headers = {"Retry-After": fault.text} if fault.text else {}
            return self._send(int(fault.number), headers, b"not now\n")
        if fault and kind == "page":
            return self._send(200, {"Content-Type": "text/html; charset=utf-8"}, fault.content or PAGE)
        if fault and kind == "redirect":
            return self._send(int(fault.number), {"Location": fault.text}, b"")
        found = self.server_of.find(request)
        if found is None:
            return self._send(404, {"Content-Type": "text/html"}, PAGE)
        served, answer = found
        if answer.status != 200:
            return self._send(answer.status, dict(answer.headers), answer.body, fault)
        content, etag = answer.body, served.etag
        if fault and kind == "changed":
            content = content[::-1] if fault.content is None else fault.content
        if fault and kind == "wrong" and content:
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]
        headers = dict(answer.headers)
        if served.content_type or "Content-Type" not in headers:
            headers["Content-Type"] = served.content_type or "application/octet-stream"
        if etag:
            # the "wrong" fault is damage on the way: the server itself believes in its version
            tag = hashlib.sha256(answer.body if kind == "wrong" else content).hexdigest()[:16]
            headers["ETag"] = etag if isinstance(etag, str) else f'"{tag}"'
        if served.last_modified:
            headers["Last-Modified"] = formatdate(1_600_000_000, usegmt=True) if kind == "changed" else DATE
        return self._send_ranged(
            request, headers, content, fault, ranges=served.ranges and kind != "no_range"
        )

    def _send_ranged(
        self, request: Request, headers: dict[str, str], content: bytes, fault: Fault | None, *, ranges: bool
    ) -> None:
        kind = fault.kind if fault else ""
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.range)
        condition = request.headers.get("if-range")
        deaf = fault is not None and fault.text == "deaf"
        same = deaf or condition is None or condition in (headers.get("ETag"), headers.get("Last-Modified"))
        if wanted and kind == "not_satisfiable":
            return self._send(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
        if wanted and ranges and same:
            first = 0 if kind == "wrong_range" else int(wanted[1])
            last = min(int(wanted[2] or len(content) - 1), len(content) - 1)
            if first >= len(content):
                return self._send(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            return self._send(206, headers, content[first : last + 1], fault)
        if ranges:
            headers["Accept-Ranges"] = "bytes"
        return self._send(200, headers, content, fault)

    def _send(self, status: int, headers: dict[str, str], body: bytes, fault: Fault | None = None) -> None:
        kind = fault.kind if fault else ""
        if kind == "encoded":
            body = gzip.compress(body, mtime=0)
            headers["Content-Encoding"] = "gzip"
        if kind == "no_length" or (fault and not fault.length):
            headers["Connection"] = "close"
        else:
            headers["Content-Length"] = str(len(body))
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault and kind == "cut":
            self._write(body[: int(fault.number)])
            self.close_connection = True
            return
        if fault and kind == "stall":
            self._write(body[: int(fault.number)])
            self.server_of.wait(float(fault.text))
            body = body[int(fault.number) :]
        self._write(body)

    def _write(self, body: bytes) -> None:
        self.wfile.write(body)
        self.wfile.flush()
        self.server_of.count_sent(len(body))

    def _reset(self) -> None:
        """Close with RST, as a broken network does."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


def _quietly(action: Callable[[], object]) -> None:
    with contextlib.suppress(OSError, ValueError):
        action()


def serve_until(server: ReplayServer, done: Callable[[], bool], *, seconds: float = 10) -> bool:
    """Wait (at most so long) until something is true of the server."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if done():
            return True
        time.sleep(0.01)
    return False
