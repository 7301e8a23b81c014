"""From a URL to what reads plain data there. Nothing is asked of the network yet."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from dver.base.errors import UsageError
from dver.base.quoting import show
from dver.storage.factory import NOT_PLACES, S3_SCHEMES
from dver.storage.plain.base import Plain


def open_plain(url: str, endpoint: str, environ: Mapping[str, str]) -> Plain:
    """Open the plain data at a URL; ``endpoint`` is the address of an S3 server, "" the usual one.

    The URL carries no credentials. Raises UsageError for one that makes no sense.
    """
    scheme, found, rest = url.partition("://")
    scheme = scheme.lower()
    if not found or "::" in url.partition("?")[0] or scheme in NOT_PLACES:
        raise UsageError(f"nothing can be imported from {show(url)}")
    if endpoint and scheme not in S3_SCHEMES:
        raise UsageError("an endpoint means nothing but for s3:// URLs")
    if scheme in S3_SCHEMES:
        from dver.storage.plain.s3 import S3Plain

        bucket, _, key = rest.partition("/")
        if not bucket:
            raise UsageError(f"{show(url)} names no bucket", hint="s3://BUCKET/KEY")
        options = {"endpoint_url": endpoint} if endpoint else {}
        return S3Plain(bucket, unquote(key), options, environ)
    if scheme in ("http", "https"):
        from dver.storage.plain.http import HttpPlain

        return HttpPlain(url, environ)
    from dver.storage.plain.fsspec import FsspecPlain

    return FsspecPlain(f"{scheme}://{unquote(rest)}")
