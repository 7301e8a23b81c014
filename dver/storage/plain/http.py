"""A file on a web server.

Redirects are followed, as downloads need it, but never from https to http, and never from a public
address to a private one: whoever owns a web page could else have this machine ask what only it can
reach. No credentials are sent, whatever the answer asks for.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import quote, urljoin, urlsplit

from dver.base.errors import ObjectNotFound, RemoteError, TransientError
from dver.storage.plain.base import Facts, Plain, http_time, plain_etag, quoted_etag
from dver.storage.plain.failing import ChangedError
from dver.storage.s3.answers import is_number
from dver.storage.s3.pace import PacedResponse
from dver.storage.s3.settings import proxy_for

_BUFFER = 1 << 20
_MOST_REDIRECTS = 8
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_AGENT = "dver"
_PRINTABLE = "".join(map(chr, range(33, 127)))


class HttpPlain(Plain):
    """One file behind an http or https URL."""

    is_directory = False

    def __init__(self, url: str, environ: Mapping[str, str], *, timeout: float = 60.0) -> None:
        self.description = url.partition("?")[0]
        self._url = url
        self._environ = environ
        self._timeout = timeout

    def look(self, known: Facts | None = None) -> Facts:
        """Return the facts of the file, or ``known`` if its ETag or time is still right."""
        headers = {}
        if known is not None and known.etag:
            headers["if-none-match"] = quoted_etag(known.etag)
        with self._ask("HEAD", headers) as answer:
            if answer.status == 304 and known is not None:
                return known
            if answer.status not in (405, 501):
                return self._facts(answer)
        # Some servers have no HEAD; the first byte tells as much.
        with self._ask("GET", headers | {"range": "bytes=0-0"}) as answer:
            if answer.status == 304 and known is not None:
                return known
            return self._facts(answer)

    def entries(self) -> Iterator[Facts]:
        """Raise RemoteError: a web server has no listing that programs could rely on."""
        raise RemoteError(
            f"{self.description} is a web address, and the web has no directories to list",
            hint="name one file of it, without '/' at the end",
        )

    def read(self, facts: Facts, start: int = 0) -> Iterator[bytes | memoryview]:
        """Yield the content from a byte on; see Plain."""
        headers = {}
        if start:
            headers["range"] = f"bytes={start}-"
            if facts.is_pinned:
                headers["if-range"] = quoted_etag(facts.etag)
        with self._ask("GET", headers) as answer:
            if answer.status == 412:
                raise ChangedError(f"{self.description} changes while it is read")
            if answer.status == 416 and start == facts.size:
                return
            self._refuse(answer, (200, 206))
            self._compare(answer, facts)
            if start and answer.status != 206:
                # It ignores ranges, or it has changed: all of it comes.
                yield from _skipping(answer, start)
                return
            if start and not _header(answer, "content-range").startswith(f"bytes {start}-"):
                raise RemoteError(f"{self.description} sends another range than was asked for")
            yield from _pieces(answer)

    def _compare(self, answer: HTTPResponse, facts: Facts) -> None:
        etag = plain_etag(_header(answer, "etag"))
        if facts.etag and etag and etag != facts.etag:
            raise ChangedError(f"{self.description} has changed")
        length = _header(answer, "content-length")
        told = int(length) if answer.status == 200 and is_number(length) else facts.size
        if None not in (told, facts.size) and told != facts.size:
            raise ChangedError(f"{self.description} has changed its size")

    def _facts(self, answer: HTTPResponse) -> Facts:
        self._refuse(answer, (200, 206, 416))
        size = _header(answer, "content-length")
        if answer.status != 200:
            size = _header(answer, "content-range").rpartition("/")[2]
        encoded = _header(answer, "content-encoding").lower() not in ("", "identity")
        return Facts(
            "",
            int(size) if is_number(size) and not encoded else None,
            plain_etag(_header(answer, "etag")),
            http_time(_header(answer, "last-modified")),
        )

    def _refuse(self, answer: HTTPResponse, hoped: tuple[int, ...]) -> None:
        status = answer.status
        if status in hoped:
            return
        start = f"cannot read {self.description}: "
        if status in (404, 410):
            raise ObjectNotFound(f"{start}it is not there (HTTP {status})")
        if status in (401, 403, 407):
            raise RemoteError(
                f"{start}the server refuses (HTTP {status})",
                hint="dver sends no passwords to web servers; download it another way and"
                " 'dver add' it",
            )
        if status in _PASSING:
            after = _header(answer, "retry-after")
            raise TransientError(
                f"{start}the server is busy or failing (HTTP {status})",
                retry_after=float(after) if is_number(after) else None,
            )
        raise RemoteError(f"{start}the server answers HTTP {status}")

    @contextlib.contextmanager
    def _ask(self, method: str, headers: Mapping[str, str]) -> Iterator[HTTPResponse]:
        url, private = self._url, None
        start = f"cannot read {self.description}"
        with _explained(start):
            for _ in range(_MOST_REDIRECTS):
                connection, inside = self._connect(url, refuse_private=private is False)
                private = inside if private is None else private
                try:
                    answer = _send(connection, method, url, headers)
                    if answer.status not in _REDIRECTS:
                        yield answer
                        return
                    location = _header(answer, "location")
                finally:
                    connection.close()
                url = self._following(url, location)
        raise RemoteError(f"{start}: it leads from address to address, {_MOST_REDIRECTS} times")

    def _following(self, url: str, location: str) -> str:
        """Return where a redirect leads. Raises RemoteError for where it must not."""
        # Some servers send other characters as they are, which a request has no way to.
        location = quote(location.encode("latin-1", "replace"), safe=_PRINTABLE)
        old = urlsplit(url)
        try:
            following = urljoin(url, location)
            new = urlsplit(following)
            _ = new.port
        except ValueError:
            raise RemoteError(f"{self.description} leads to what is no address") from None
        if new.scheme not in ("http", "https") or not new.hostname or new.username or new.password:
            raise RemoteError(f"{self.description} leads to an address that is not followed")
        if old.scheme == "https" and new.scheme == "http":
            raise RemoteError(
                f"{self.description} leads from a secure address to an insecure one,"
                f" {new.hostname}, which is not followed"
            )
        return following

    def _connect(self, url: str, *, refuse_private: bool) -> tuple[HTTPConnection, bool | None]:
        """Connect to a URL's server; also say whether its address is private, None by a proxy."""
        parts = urlsplit(url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        proxy = urlsplit(proxy_for(self._environ, host, secure=secure) or "")
        kind = HTTPSConnection if secure else HTTPConnection
        port = parts.port or (443 if secure else 80)
        if proxy.hostname:
            connection = kind(proxy.hostname, proxy.port or 80, timeout=self._timeout)
            connection.set_tunnel(host, port)
        else:
            connection = kind(host, port, timeout=self._timeout)
        connection.response_class = PacedResponse
        connection.connect()
        private = None if proxy.hostname else not _is_public(connection.sock.getpeername()[0])
        if private and refuse_private:
            connection.close()
            raise RemoteError(
                f"{self.description} leads to {host}, an address of a private network, which is"
                " not followed"
            )
        return connection, private


def _send(
    connection: HTTPConnection, method: str, url: str, headers: Mapping[str, str]
) -> HTTPResponse:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    own = {"user-agent": _AGENT, "accept-encoding": "identity", "accept": "*/*"}
    connection.request(method, target, headers=own | dict(headers))
    return connection.getresponse()


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_global
    except ValueError:
        return False


def _header(answer: HTTPResponse, name: str) -> str:
    return answer.getheader(name) or ""


def _pieces(answer: HTTPResponse) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(_BUFFER))
    length, got = answer.length, 0
    while count := answer.readinto(buffer):
        got += count
        yield buffer[:count]
    if length is not None and got != length:
        raise TransientError(f"the connection broke after {got} of {length} bytes")


def _skipping(answer: HTTPResponse, start: int) -> Iterator[memoryview]:
    for piece in _pieces(answer):
        skipped = min(start, len(piece))
        start -= skipped
        if skipped < len(piece):
            yield piece[skipped:]


@contextlib.contextmanager
def _explained(start: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise RemoteError(
            f"{start}: the server's certificate is not trusted ({error.verify_message})"
        ) from error
    except socket.gaierror as error:
        raise RemoteError(f"{start}: there is no such server") from error
    except ConnectionRefusedError as error:
        raise RemoteError(f"{start}: the server refuses connections") from error
    except TimeoutError as error:
        raise TransientError(f"{start}: no answer in time") from error
    except (OSError, HTTPException) as error:
        text = str(error) or type(error).__name__
        raise TransientError(f"{start}: the connection broke ({text})") from error
