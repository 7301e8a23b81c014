"""A storage in an S3 bucket, on any server that speaks S3."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dver.base import fsio
from dver.base.errors import (
    AlreadyExists,
    CorruptError,
    ObjectNotFound,
    RemoteError,
    TransientError,
)
from dver.storage import files
from dver.storage.base import Entry, Facts, Storage, check_key, valid_key
from dver.storage.s3 import failures
from dver.storage.s3.answers import NotS3Error, Page, is_number, parse_error, parse_page
from dver.storage.s3.settings import S3Settings
from dver.storage.s3.wire import Answer, Body, Wire, body_of, body_of_file

#: Requests that are worth having under way at once. On loopback four saturate two cores; over a
#: network one stream to Amazon carries 50-90 MB/s, so that more of them fill a fast line.
CONNECTIONS = 16
#: Files up to this size go up in one request, which a server takes or refuses as a whole.
SINGLE_PUT = 100 << 20

_CREATE = {"if-none-match": "*"}
_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})", re.ASCII)


class S3Storage(Storage):
    """Keys are objects below a prefix of a bucket.

    Before the first answer of the server is trusted, it has to produce a listing: a web page, a
    proxy or a wrong port that answers 200 to everything is found out, and so is a bucket that is
    not there. Every upload is looked at once more after it, unless the caller will do so: size and
    ETag must be those sent.
    """

    #: How many keys to ask for in one page of a listing; S3 gives 1,000 at most.
    page_keys = 1000

    def __init__(self, settings: S3Settings) -> None:
        self._wire = Wire(settings)
        self._prefix = f"{settings.prefix}/" if settings.prefix else ""
        self._proof = threading.Lock()
        self._proven = False
        self._checks = True
        self._versioned: bool | None = None
        self.description = settings.description
        self.facts = Facts(conditional_create=True, connections=CONNECTIONS)

    # -- reading --------------------------------------------------------------------------------

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return ``length`` bytes from ``start``, or everything from there on."""
        self._prove()
        if length == 0:
            return self._nothing_at(key, start)
        with self._ask_for(key, start, length) as answer:
            if answer.status == 416:
                return self._nothing_at(key, start) if length is None else self._short(key, start)
            total = self._total(key, answer, start, length)
            if length is not None and total < start + length:
                return self._short(key, start)
            return answer.read_exactly(total - start if length is None else length)

    def _ask_for(
        self, key: str, start: int, length: int | None
    ) -> contextlib.AbstractContextManager[Answer]:
        # All of it is asked for as a range as well: that answer tells the length once more, and
        # one that a proxy has cut short is found out.
        last = "" if length is None else start + length - 1
        headers = {"range": f"bytes={start}-{last}"}
        return self._wire.exchange(f"read {key} from", "GET", self._name(key), headers=headers)

    def _total(self, key: str, answer: Answer, start: int, length: int | None) -> int:
        """Return how long the object in an answer is, which holds what was asked for.

        Raises the error that the answer stands for, if it is none of that.
        """
        match = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        # rclone answers ranges with 200 instead of 206, and is right in all else.
        if answer.status not in (200, 206) or match is None:
            # An error can come with status 200 as well, but not with an ETag.
            if answer.status != 200 or answer.length is None or not answer.headers.get("etag"):
                raise self._unreadable(key, answer)
            if start or length is not None:
                raise RemoteError(
                    f"{self.description} ignores ranges: it sends whole files",
                    hint="this server, or a proxy before it, cannot serve a remote",
                )
            return answer.length
        first, end, total = (int(text) for text in match.groups())
        wanted = min(total - start, length or total)
        if (first, end) != (start, start + wanted - 1) or answer.length not in (None, wanted):
            raise self._garbled(f"sent another range of {key} than was asked for")
        return total

    def _nothing_at(self, key: str, start: int) -> bytes:
        entry = self.head(key)
        if entry is None:
            raise ObjectNotFound(f"{key} is not in {self.description}")
        return b"" if start <= entry.size else self._short(key, start)

    def _short(self, key: str, start: int) -> bytes:
        raise CorruptError(
            f"{key} in {self.description} ends before the bytes wanted at {start}",
            hint="run 'dver fsck' on the remote",
        )

    def _unreadable(self, key: str, answer: Answer) -> RemoteError:
        doing = f"read {key} from"
        if answer.status in (200, 206):
            if answer.length is None:
                answer.discard()
                return failures.not_s3(self._wire.settings, doing, "an answer without a length")
            return self._strange(doing, "an answer without ETag", answer.read())
        body = answer.read()
        if answer.status == 404 and parse_error(body)[0] in ("NoSuchKey", ""):
            return ObjectNotFound(f"{key} is not in {self.description}")
        return failures.refusal(self._wire.settings, doing, answer.status, answer.headers, body)

    def get_file(self, key: str, path: Path) -> int:
        """Write a key's bytes to a local file, not synced; return how many there were."""
        self._prove()
        with files.created(path) as fd, self._ask_for(key, 0, None) as answer:
            if answer.status == 416:
                return len(self._nothing_at(key, 0))
            total = left = self._total(key, answer, 0, None)
            for piece in answer.pieces():
                fsio.write_all(fd, piece, path)
                left -= len(piece)
            if left:
                raise self._garbled(f"sent less of {key} than it announced")
            return total

    def head(self, key: str) -> Entry | None:
        """Return a key's entry, or None if it does not exist."""
        self._prove()
        doing = f"look up {key} in"
        status, headers, body = self._wire.small(doing, "HEAD", self._name(key))
        if status in (400, 401, 403):
            # The answer to HEAD carries no explanation; the same request by GET gets one, or
            # corrects what was wrong, such as the clock.
            first = {"range": "bytes=0-0"}
            status, headers, body = self._wire.small(doing, "GET", self._name(key), headers=first)
            if status in (200, 206, 404, 416):
                status, headers, body = self._wire.small(doing, "HEAD", self._name(key))
        if status == 404:
            return None
        if status != 200:
            raise failures.refusal(self._wire.settings, doing, status, headers, body)
        size = headers.get("content-length", "")
        etag = headers.get("etag", "").strip('"')
        if not is_number(size) or not etag:
            raise self._strange(doing, "an answer without size or ETag")
        return Entry(key, int(size), _http_seconds(headers.get("last-modified", "")), etag)

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield every key that begins with ``prefix``."""
        token: str | None = None
        while True:
            page = self._page(prefix, token, self.page_keys)
            # Consoles and other tools leave markers and names that no store of dver makes.
            yield from (entry for entry in page.entries if valid_key(entry.key))
            if page.token is None:
                return
            if page.token == token:
                raise RemoteError(f"{self.description} never ends its listing")
            token = page.token

    def list_short(self) -> Sequence[Entry] | None:
        """Return every key if they fit into one page of a listing."""
        page = self._page("", None, self.page_keys)
        if page.token is not None:
            return None
        return [entry for entry in page.entries if valid_key(entry.key)]

    def _page(self, prefix: str, token: str | None, count: int) -> Page:
        query = [
            ("encoding-type", "url"),
            ("list-type", "2"),
            ("max-keys", str(count)),
            ("prefix", self._prefix + prefix),
        ]
        if token is not None:
            query.append(("continuation-token", token))
        status, headers, body = self._wire.small("list", "GET", query=query)
        if status != 200:
            raise failures.refusal(self._wire.settings, "list", status, headers, body)
        try:
            page = parse_page(body, self._prefix)
        except NotS3Error as error:
            raise self._strange("list", f"a listing was asked for, and {error}", body) from error
        self._proven = True
        return page

    def _strange(self, doing: str, what: str, body: bytes = b"") -> RemoteError:
        """Return the error for an answer with status 200 that is not what S3 answers.

        It may pass if it is the error of a server, or a listing that was cut short, or if the
        server was proven to be S3: then something between has spoken in its place.
        """
        settings = self._wire.settings
        if parse_error(body)[0]:
            return failures.refusal(settings, doing, 200, {}, body)
        if self._proven or b"<ListBucketResult" in body[:512]:
            return self._garbled(f"gave an answer that is none of S3's: {what}")
        return failures.not_s3(settings, doing, what)

    def _garbled(self, what: str) -> TransientError:
        return TransientError(
            f"{self.description} {what}",
            hint="run the same command again later; if that does not help, look for a proxy"
            " between here and there",
        )

    def _prove(self) -> None:
        """Make sure once that what answers is S3, and that the bucket exists."""
        if not self._proven:
            with self._proof:
                if not self._proven:
                    self._page("", None, 1)

    # -- writing --------------------------------------------------------------------------------

    def put(self, key: str, data: bytes | memoryview, *, if_absent: bool = False) -> None:
        """Store bytes under a key; see :class:`~dver.storage.base.Storage`."""
        self._prove()
        # Servers that ignore the condition exist; looking first makes them right except in races.
        if if_absent and self._checks and self.head(key) is not None:
            raise AlreadyExists(f"{key} is already in {self.description}")
        self._put(key, body_of(data), _CREATE if if_absent else {})

    def try_conditional_create(self, key: str) -> bool:
        """Find out whether the server heeds If-None-Match; facts tell from then on."""
        self.put(key, b"first")
        works = False
        try:
            self._put(key, body_of(b"second"), _CREATE)
        except AlreadyExists:
            works = True
        self.facts = Facts(conditional_create=works, connections=CONNECTIONS)
        return works

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file's bytes under a key."""
        self._prove()
        with fsio.explained("read", path):
            size = os.stat(path).st_size
        if size <= SINGLE_PUT:
            self._put(key, body_of_file(path, 0, size), {})
            return
        from dver.storage.s3.multipart import upload

        upload(self._wire, self._name(key), path, size, self._upload_headers())
        self._check_upload(key, size, None)

    def _put(self, key: str, body: Body, condition: Mapping[str, str]) -> None:
        doing = f"write {key} to"
        headers = {**self._upload_headers(), **self._checksum(body), **condition}
        status, answered, text = self._wire.small(
            doing, "PUT", self._name(key), headers=headers, body=body
        )
        if status == 412 and condition:
            raise AlreadyExists(f"{key} is already in {self.description}")
        if status == 501 and condition:
            self.facts = Facts(conditional_create=False, connections=CONNECTIONS)
            self._put(key, body, {})
            return
        etag = answered.get("etag", "").strip('"')
        if status != 200:
            raise failures.refusal(self._wire.settings, doing, status, answered, text)
        if not etag:
            raise self._strange(doing, "an answer without ETag", text)
        self._check_upload(key, body.length, etag)

    def leave_checks_to_caller(self) -> None:
        """Take the server's word for uploads from now on, and for the fate of conditions."""
        self._checks = False

    def _check_upload(self, key: str, size: int, etag: str | None) -> None:
        if not self._checks:
            return
        entry = self.head(key)
        if entry is not None and entry.size == size:
            return
        if entry is not None and etag is not None and entry.etag != etag:
            # Somebody else has replaced it in the meantime; what was sent had arrived.
            return
        there = "nothing" if entry is None else f"{entry.size} bytes"
        raise RemoteError(
            f"{self.description} took {key} of {size} bytes, and has {there} there",
            hint="check the endpoint with 'dver remote check'",
        )

    def _upload_headers(self) -> dict[str, str]:
        settings = self._wire.settings
        headers = {"content-type": "application/octet-stream"}
        if settings.sse:
            headers["x-amz-server-side-encryption"] = settings.sse
        if settings.sse_kms_key_id:
            headers["x-amz-server-side-encryption-aws-kms-key-id"] = settings.sse_kms_key_id
        return headers

    def _checksum(self, body: Body) -> dict[str, str]:
        # The signature covers the body's SHA-256 as well, but not every server compares it, and
        # buckets with object lock insist on one of these headers.
        kind = self._wire.settings.checksum
        if kind == "sha256":
            digest = bytes.fromhex(body.sha256)
            return {"x-amz-checksum-sha256": base64.b64encode(digest).decode()}
        if kind == "md5":
            md5 = hashlib.md5(usedforsecurity=False)
            for piece in body.pieces():
                md5.update(piece)
            return {"content-md5": base64.b64encode(md5.digest()).decode()}
        return {}

    def delete(self, key: str) -> None:
        """Remove a key; a missing one is fine."""
        self._prove()
        doing = f"delete {key} from"
        status, headers, body = self._wire.small(doing, "DELETE", self._name(key))
        if status == 404 and parse_error(body)[0] in ("NoSuchKey", ""):
            return
        if status not in (200, 202, 204):
            raise failures.refusal(self._wire.settings, doing, status, headers, body)

    def delete_old_versions(self, key: str) -> Sequence[str]:
        """Remove the versions of a key that a bucket with versioning keeps."""
        from dver.storage.s3 import versions

        self._prove()
        if self._versioned is None:
            self._versioned = versions.are_kept(self._wire)
        return versions.delete_versions(self._wire, self._name(key)) if self._versioned else ()

    def close(self) -> None:
        """Close all connections."""
        self._wire.close()

    def _name(self, key: str) -> str:
        check_key(key)
        return self._prefix + key


def _http_seconds(text: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
