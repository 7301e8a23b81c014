"""Another project to import from, and a small web server."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dver.base import clock
from tests.support.datarepo import DataRepo
from tests.support.trees import Nested

TRAIN: Nested = {"a.csv": "x,y\n1,2\n", "run": "#!/bin/sh", "sub": {"c": "333"}, "void": {}}

CONTENT = b"h1,h2\n" + b"1,2\n" * 50_000


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait before trying again."""
    monkeypatch.setattr(clock, "sleep", lambda _: None)


@pytest.fixture
def upstream(tmp_path: Path) -> DataRepo:
    """Tracked data, and files that git tracks itself; tagged v1, pushed to a directory."""
    made = DataRepo.create(tmp_path / "upstream")
    made.add_remote(tmp_path / "their-remote")
    made.write("plain/readme.txt", "by git")
    made.write("plain/tool.sh", "#!/bin/sh\n").chmod(0o755)
    made.version("one", train=TRAIN, model="weights 1")
    made.git("tag", "v1")
    made.push(every=True)
    return made


@pytest.fixture
def here(tmp_path: Path) -> DataRepo:
    """The project that imports, with a remote of its own."""
    made = DataRepo.create(tmp_path / "here")
    made.add_remote(tmp_path / "our-remote")
    made.commit("a remote")
    return made


@dataclass
class Web:
    """A web server: what is at which path, what was asked, and how it misbehaves.

    ``breaks`` cuts that many answers off in the middle.
    """

    port: int = 0
    files: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    breaks: int = 0
    refuses_head: bool = False
    ignores_ranges: bool = False
    status: int = 0

    def put(self, path: str, data: bytes, etag: str = "") -> str:
        """Publish a file and return its URL."""
        self.files[path] = (data, etag)
        return f"http://127.0.0.1:{self.port}{path}"


class _Handler(http.server.BaseHTTPRequestHandler):
    web: Web
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Answer without content."""
        self._answer(body=False)

    def do_GET(self) -> None:
        """Answer with content."""
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        web = self.web
        headers = {name.lower(): value for name, value in self.headers.items()}
        web.asked.append((self.command, self.path, headers))
        if web.status or (web.refuses_head and not body):
            self._send(web.status or 405, {"content-length": "0"})
            return
        if self.path in web.redirects:
            self._send(302, {"location": web.redirects[self.path], "content-length": "0"})
            return
        if self.path not in web.files:
            self._send(404, {"content-length": "0"})
            return
        data, etag = web.files[self.path]
        common = {"etag": f'"{etag}"'} if etag else {}
        common["last-modified"] = "Thu, 01 Jan 2026 00:00:00 GMT"
        if etag and headers.get("if-none-match") == f'"{etag}"':
            self._send(304, common)
            return
        start = 0
        asked = headers.get("range", "")
        if_range = headers.get("if-range", f'"{etag}"')
        if asked and if_range == f'"{etag}"' and not web.ignores_ranges:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), int(last or len(data) - 1)
            common["content-range"] = f"bytes {start}-{end}/{len(data)}"
            data = data[start : end + 1]
        self._send(
            206 if start or "content-range" in common else 200,
            common | {"content-length": str(len(data))},
        )
        if body and web.breaks and len(data) > 1:
            web.breaks -= 1
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
        elif body:
            self.wfile.write(data)

    def _send(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("connection", "close")
        self.end_headers()


@pytest.fixture
def web() -> Iterator[Web]:
    """A web server on loopback."""
    made = Web()
    handler = type("Handler", (_Handler,), {"web": made})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        made.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield made
        server.shutdown()
        thread.join()
