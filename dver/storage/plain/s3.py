"""Objects of an S3 bucket that no store of dver made, whatever their keys are called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from dver.base.errors import ObjectNotFound, RemoteError
from dver.storage.plain.base import Facts, Plain, http_time, plain_etag, quoted_etag, utc_text
from dver.storage.plain.failing import ChangedError
from dver.storage.s3 import failures
from dver.storage.s3.answers import NotS3Error, is_number, parse_page
from dver.storage.s3.settings import resolve
from dver.storage.s3.wire import Wire

_MD5 = re.compile(r"[0-9a-f]{32}")
_PAGE_KEYS = 1000


class S3Plain(Plain):
    """One object, or with a key that is empty or ends with ``/`` all objects below it."""

    def __init__(
        self, bucket: str, key: str, options: Mapping[str, str], environ: Mapping[str, str]
    ) -> None:
        settings = resolve(bucket, "", options, environ)
        self._wire = Wire(settings)
        self._key = key
        self.is_directory = not key or key.endswith("/")
        where = "" if settings.is_aws else f" at {settings.endpoint}"
        self.description = f"s3://{bucket}/{key}{where}"

    def look(self, known: Facts | None = None) -> Facts:
        """Return the facts of the object, or ``known`` if its ETag is still right."""
        headers = {}
        if known is not None and known.etag:
            headers["if-none-match"] = quoted_etag(known.etag)
        doing = "look up an object in"
        status, answered, body = self._wire.small(doing, "HEAD", self._key, headers=headers)
        if status == 304 and known is not None:
            return known
        if status in (400, 401, 403):
            # The answer to HEAD carries no explanation; the same request by GET gets one.
            first = {"range": "bytes=0-0"}
            status, answered, body = self._wire.small(doing, "GET", self._key, headers=first)
            if status in (200, 206, 416):
                status, answered, body = self._wire.small(doing, "HEAD", self._key)
        if status == 404:
            raise ObjectNotFound(f"there is no {self.description}")
        if status != 200:
            raise failures.refusal(self._wire.settings, doing, status, answered, body)
        return _facts(answered)

    def entries(self) -> Iterator[Facts]:
        """Yield all objects below the key but for markers of directories."""
        token: str | None = None
        while True:
            query = [
                ("encoding-type", "url"),
                ("list-type", "2"),
                ("max-keys", str(_PAGE_KEYS)),
                ("prefix", self._key),
            ]
            if token is not None:
                query.append(("continuation-token", token))
            status, headers, body = self._wire.small("list", "GET", query=query)
            if status != 200:
                raise failures.refusal(self._wire.settings, "list", status, headers, body)
            try:
                page = parse_page(body, self._key)
            except NotS3Error as error:
                raise failures.not_s3(self._wire.settings, "list", str(error)) from error
            for one in page.entries:
                if one.key and not one.key.endswith("/"):
                    moment = "" if one.modified is None else utc_text(one.modified)
                    yield Facts(one.key, one.size, plain_etag(one.etag or ""), moment)
            if page.token is None:
                return
            if page.token == token:
                raise RemoteError(f"{self.description} never ends its listing")
            token = page.token

    def read(self, facts: Facts, start: int = 0) -> Iterator[bytes | memoryview]:
        """Yield the content of an object from a byte on; see Plain."""
        if facts.size is not None and start >= facts.size > 0:
            return
        headers = {"range": f"bytes={start}-"} if start else {}
        if facts.etag:
            headers["if-match"] = quoted_etag(facts.etag)
        query = [("versionId", facts.version)] if facts.version else []
        key = self._key + facts.name
        with self._wire.exchange("read from", "GET", key, query=query, headers=headers) as answer:
            if answer.status == 412:
                raise ChangedError(f"{self.description}{facts.name} has changed")
            if answer.status == 404:
                raise ObjectNotFound(f"{self.description}{facts.name} is not there any more")
            if answer.status not in (200, 206):
                raise failures.refusal(
                    *(self._wire.settings, "read from", answer.status, answer.headers),
                    answer.read(),
                )
            etag = plain_etag(answer.headers.get("etag", ""))
            if facts.etag and etag and etag != facts.etag:
                # Servers exist that ignore If-Match.
                raise ChangedError(f"{self.description}{facts.name} has changed")
            where = answer.headers.get("content-range", "")
            if start and not where.startswith(f"bytes {start}-"):
                raise RemoteError(f"{self.description} ignores ranges: it sends whole files")
            yield from answer.pieces()

    def close(self) -> None:
        """Close all connections."""
        self._wire.close()


def _facts(headers: Mapping[str, str]) -> Facts:
    size = headers.get("content-length", "")
    etag = plain_etag(headers.get("etag", ""))
    version = headers.get("x-amz-version-id", "")
    if version == "null" or len(version) > 1024 or not all(32 < ord(c) < 127 for c in version):
        version = ""
    # With keys of the customer or of KMS, an ETag looks like an MD5 and is none.
    secret = headers.get("x-amz-server-side-encryption", "AES256") != "AES256"
    secret = secret or "x-amz-server-side-encryption-customer-algorithm" in headers
    return Facts(
        "",
        int(size) if is_number(size) else None,
        etag,
        http_time(headers.get("last-modified", "")),
        version,
        etag if _MD5.fullmatch(etag) and not secret else "",
    )
