"""Signed HTTP requests to one bucket, over a pool of connections."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection, RemoteDisconnected
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dver.base import clock, fsio
from dver.base.dataclass import dataclass
from dver.base.errors import ConfigError, RemoteError, TransientError
from dver.storage.s3 import failures
from dver.storage.s3.answers import parse_error, plain_region
from dver.storage.s3.pace import PacedResponse
from dver.storage.s3.settings import S3Settings, aws_host
from dver.storage.s3.signing import EMPTY_SHA256, encode_path, encode_query, sign

CONNECT_SECONDS = 10.0
#: Servers close idle connections after some time; an older one is not worth trying.
IDLE_SECONDS = 15.0
#: Bodies are read, sent and received in pieces of this length (bytes).
BUFFER = 1 << 20
#: No answer that is asked for as a whole is longer (bytes): a page of a listing.
_MAX_SMALL = 32 << 20
#: How often a request is corrected: another region, and a clock that is set meanwhile.
_CORRECTIONS = 3
#: A clock that is off by less (seconds) is not what a server complains of; S3 allows 900.
_SKEW_SECONDS = 60.0
#: So much memory is taken for an answer on the word of the server (bytes): a pack.
_MAX_AT_ONCE = 64 << 20
#: What a socket is given at once (bytes); its time limit is for so much.
_SEND = 128 << 10


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries: its length, its SHA-256 (hex), and how to read it from the start."""

    length: int
    sha256: str
    pieces: Callable[[], Iterable[bytes | memoryview]]


NO_BODY = Body(0, EMPTY_SHA256, lambda: ())


def body_of(data: bytes | memoryview) -> Body:
    """Return the body for bytes held in memory."""
    view = memoryview(data)

    def pieces() -> Iterable[memoryview]:
        return (view[start : start + BUFFER] for start in range(0, len(view), BUFFER))

    return Body(len(view), hashlib.sha256(view).hexdigest(), pieces)


def body_of_file(path: Path, start: int, length: int) -> Body:
    """Return the body for a stretch of a file, which is read twice and never held whole."""

    def pieces() -> Iterator[memoryview]:
        buffer = memoryview(bytearray(min(BUFFER, length) or 1))
        left = length
        with fsio.explained("read", path), open(path, "rb", buffering=0) as file:
            file.seek(start)
            while left and (count := file.readinto(buffer[: min(BUFFER, left)])):
                left -= count
                yield buffer[:count]

    sha256 = hashlib.sha256()
    for piece in pieces():
        sha256.update(piece)
    return Body(length, sha256.hexdigest(), pieces)


class Answer:
    """A server's answer; its body is read once, and the connection then goes back to the pool."""

    def __init__(self, response: HTTPResponse, give_back: Callable[[bool], None]) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        #: How long the body is; None if the server does not say.
        self.length = response.length
        self._response = response
        self._give_back = give_back

    def pieces(self) -> Iterator[memoryview]:
        """Yield the body; each piece is valid until the next one is asked for."""
        buffer = memoryview(bytearray(min(BUFFER, self.length or BUFFER) or 1))
        whole = False
        got = 0
        try:
            while count := self._response.readinto(buffer):
                got += count
                yield buffer[:count]
            if self.length is not None and got != self.length:
                raise RemoteDisconnected(f"{got} of {self.length} bytes came")
            whole = True
        finally:
            self._give_back(whole and not self._response.will_close)

    def read(self, limit: int = _MAX_SMALL) -> bytes:
        """Return the whole body; one longer than ``limit`` is an error of the connection."""
        if self.length is not None and self.length > limit:
            self.discard()
            raise RemoteDisconnected("the answer is too long")
        data = bytearray()
        for piece in self.pieces():
            data += piece
            if len(data) > limit:
                raise RemoteDisconnected("the answer is too long")
        return bytes(data)

    def read_exactly(self, length: int) -> bytes:
        """Return a body of known length without copying it twice.

        Of a length that only the server speaks of, no more is allocated than comes.
        """
        data = bytearray(min(length, _MAX_AT_ONCE))
        got = 0
        try:
            while got < length:
                if got == len(data):
                    data += bytes(min(length - got, _MAX_AT_ONCE))
                with memoryview(data) as view:
                    count = self._response.readinto(view[got:])
                if not count:
                    break
                got += count
            if got != length:
                raise RemoteDisconnected(f"{got} of {length} bytes came")
        finally:
            done = got == length and self._response.read(1) == b""
            self._give_back(done and not self._response.will_close)
        return bytes(data)

    def discard(self) -> None:
        """Give the body up."""
        self._give_back(False)


class Wire:
    """Sends requests to one bucket. Its methods may be called from several threads."""

    def __init__(self, settings: S3Settings) -> None:
        self.settings = settings
        #: Whether the server has answered anything at all.
        self.reached = False
        self._skew = 0.0
        self._lock = threading.Lock()
        self._idle: list[tuple[HTTPConnection, float]] = []
        self._context: Any = None
        self._closed = False

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for connection, _ in idle:
            connection.close()

    def small(
        self,
        doing: str,
        method: str,
        key: str = "",
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: Body = NO_BODY,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request whose answer is small; return its status, headers and body."""
        with self.exchange(doing, method, key, query=query, headers=headers, body=body) as answer:
            return answer.status, answer.headers, answer.read()

    @contextlib.contextmanager
    def exchange(
        self,
        doing: str,
        method: str,
        key: str = "",
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: Body = NO_BODY,
    ) -> Iterator[Answer]:
        """Send a request and hand out the answer; ``doing`` names it in errors.

        An answer of any status is handed out. Errors of the network are explained, also those
        of the block that reads the answer. A wrong clock here is noticed and corrected, and so is,
        once, a bucket in another region than was assumed.
        """
        with failures.explained(self.settings, doing, reached=self.reached):
            answer = self._corrected(doing, method, key, query, headers or {}, body)
            try:
                yield answer
            finally:
                answer.discard()

    def _corrected(
        self,
        doing: str,
        method: str,
        key: str,
        query: Sequence[tuple[str, str]],
        extra: Mapping[str, str],
        body: Body,
    ) -> Answer:
        """Send a request, again if it was refused for what can be corrected here."""
        left = _CORRECTIONS
        while True:
            used = self._skew
            answer = self._send(method, key, query, extra, body)
            self.reached = True
            if answer.status not in (301, 307, 400, 403) or method == "HEAD":
                return answer
            seen = answer.read()
            if not left or not self._correct(answer, seen, used):
                raise failures.refusal(self.settings, doing, answer.status, answer.headers, seen)
            left -= 1

    def _correct(self, answer: Answer, seen: bytes, used: float) -> bool:
        """Learn from a refusal what the next request does otherwise; False if there is nothing."""
        code, _, region = parse_error(seen)
        if "date" in answer.headers and self._learn_skew(code, answer.headers["date"], used):
            return True
        region = plain_region(answer.headers.get("x-amz-bucket-region")) or region
        if region and region != self.settings.region and not self.settings.region_fixed:
            host, base_path = aws_host(self.settings.bucket, region)
            self.settings = replace(
                self.settings, region=region, host=host, base_path=base_path, region_fixed=True
            )
            return True
        return False

    def _learn_skew(self, code: str, date: str, used: float) -> bool:
        """Note by how much the clock here is wrong; say whether the request ``used`` another skew.

        A clock may be set right, or wrong, while a long push is under way. Not every server says
        that the clock is what it dislikes, so that a date far from ours is reason enough.
        """
        from email.utils import parsedate_to_datetime

        try:
            skew = parsedate_to_datetime(date).timestamp() - clock.now_ns() / 1e9
        except (ValueError, OverflowError, OSError):
            return False
        allowed = _SKEW_SECONDS if code == "RequestTimeTooSkewed" else 5 * _SKEW_SECONDS
        if abs(skew - used) <= allowed:
            return False
        self._skew = skew
        return True

    def _send(
        self,
        method: str,
        key: str,
        query: Sequence[tuple[str, str]],
        extra: Mapping[str, str],
        body: Body,
    ) -> Answer:
        while True:
            connection, reused = self._connection()
            try:
                response = self._attempt(connection, method, key, query, extra, body)
            except BaseException as error:
                connection.close()
                # A server may have closed an idle connection just as the request went out. Only
                # a request that may be made twice is repeated here.
                stale = isinstance(error, (RemoteDisconnected, ConnectionError))
                if reused and stale and "if-none-match" not in extra:
                    continue
                raise
            return Answer(response, self._giver(connection))

    def _attempt(
        self,
        connection: HTTPConnection,
        method: str,
        key: str,
        query: Sequence[tuple[str, str]],
        extra: Mapping[str, str],
        body: Body,
    ) -> HTTPResponse:
        settings = self.settings
        path = encode_path(f"{settings.base_path}/{key}" if key else settings.base_path or "/")
        query_text = encode_query(query)
        headers = {"host": settings.host, **extra}
        credentials = settings.source.current()
        if credentials is not None:
            headers = sign(
                credentials,
                settings.region,
                method,
                path,
                query_text,
                headers,
                body.sha256,
                clock.now_ns() / 1e9 + self._skew,
            )
        target = f"{path}?{query_text}" if query_text else path
        if settings.proxy and not settings.secure:
            target = settings.endpoint + target
            headers |= _proxy_auth(urlsplit(settings.proxy))
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("accept-encoding", "identity")
        if body.length or method in ("PUT", "POST"):
            connection.putheader("content-length", str(body.length))
        connection.endheaders()
        self._send_body(connection, body)
        return connection.getresponse()

    def _send_body(self, connection: HTTPConnection, body: Body) -> None:
        sent = 0
        try:
            for piece in body.pieces():
                # A slow line must manage one of these within the time limit.
                for at in range(0, len(piece), _SEND):
                    connection.send(piece[at : at + _SEND])
                sent += len(piece)
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses early closes its side; its answer may still be readable.
            if not sent:
                raise
            return
        if sent != body.length:
            connection.close()
            raise RemoteError(
                f"cannot send to {self.settings.description}: the file changed while it was read"
            )

    def _connection(self) -> tuple[HTTPConnection, bool]:
        """Return a connection for one request, and whether it was used before."""
        oldest = clock.monotonic() - IDLE_SECONDS
        with self._lock:
            if self._closed:
                raise TransientError(f"{self.settings.description} is closed")
            while self._idle:
                connection, since = self._idle.pop()
                if since >= oldest:
                    return connection, True
                connection.close()
        return self._connect(), False

    def _connect(self) -> HTTPConnection:
        settings = self.settings
        target = urlsplit(settings.proxy or settings.endpoint)
        own = urlsplit(settings.endpoint)
        host, port = target.hostname or "", target.port
        limit = min(CONNECT_SECONDS, settings.timeout)
        connection: HTTPConnection
        if settings.secure:
            connection = HTTPSConnection(
                host,
                port or (80 if settings.proxy else 443),
                timeout=limit,
                context=self._tls(),
                blocksize=BUFFER,
            )
            if settings.proxy:
                connection.set_tunnel(own.hostname or "", own.port or 443, _proxy_auth(target))
        else:
            connection = HTTPConnection(host, port or 80, timeout=limit, blocksize=BUFFER)
        connection.response_class = PacedResponse
        connection.connect()
        connection.sock.settimeout(settings.timeout)
        return connection

    def _tls(self) -> Any:
        import ssl

        with self._lock:
            if self._context is None:
                bundle = self.settings.ca_bundle
                try:
                    self._context = ssl.create_default_context(cafile=bundle)
                except OSError as error:
                    raise ConfigError(
                        f"cannot read certificates from {bundle}: {error.strerror or error}",
                        hint="check AWS_CA_BUNDLE and the remote's ca_bundle",
                    ) from error
            return self._context

    def _giver(self, connection: HTTPConnection) -> Callable[[bool], None]:
        """Return what takes a connection back, once; it is told whether that can be used again."""
        given = False

        def give_back(reusable: bool) -> None:
            nonlocal given
            if given:
                return
            given = True
            with self._lock:
                if reusable and not self._closed:
                    self._idle.append((connection, clock.monotonic()))
                    return
            connection.close()

        return give_back


def _proxy_auth(proxy: Any) -> dict[str, str]:
    if not proxy.username:
        return {}
    import base64

    pair = f"{proxy.username}:{proxy.password or ''}".encode()
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair).decode()}
