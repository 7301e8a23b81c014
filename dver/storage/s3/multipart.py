"""Uploads in parts, for what is too large for one request."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from dver.base.errors import DverError
from dver.storage.s3 import failures
from dver.storage.s3.answers import NotS3Error, parse
from dver.storage.s3.wire import Wire, body_of, body_of_file

# S3 allows 10,000 parts of 5 MiB to 5 GiB.
_PART = 32 << 20
_MAX_PARTS = 9_000
_WORKERS = 4


def upload(wire: Wire, name: str, path: Path, size: int, headers: Mapping[str, str]) -> None:
    """Upload a file of ``size`` bytes as ``name``; readers see nothing until all is there.

    A failed upload is given up on the server too, so that it does not go on costing money.
    """
    doing = f"write {name} to"
    status, answered, body = wire.small(
        doing, "POST", name, query=[("uploads", "")], headers=headers
    )
    if status != 200:
        raise failures.refusal(wire.settings, doing, status, answered, body)
    upload_id = _field(wire, doing, body, "InitiateMultipartUploadResult", "UploadId")
    try:
        etags = _send_parts(wire, doing, name, path, size, upload_id)
        _complete(wire, doing, name, upload_id, etags)
    except BaseException:
        with contextlib.suppress(DverError):
            wire.small(doing, "DELETE", name, query=[("uploadId", upload_id)])
        raise


def _send_parts(
    wire: Wire, doing: str, name: str, path: Path, size: int, upload_id: str
) -> list[str]:
    from concurrent.futures import ThreadPoolExecutor

    part = max(_PART, -(-size // _MAX_PARTS))

    def send(number: int) -> str:
        start = (number - 1) * part
        query = [("partNumber", str(number)), ("uploadId", upload_id)]
        piece = body_of_file(path, start, min(part, size - start))
        status, headers, body = wire.small(doing, "PUT", name, query=query, body=piece)
        etag = headers.get("etag")
        if status != 200:
            raise failures.refusal(wire.settings, doing, status, headers, body)
        if not etag:
            raise failures.not_s3(wire.settings, doing, "an answer without ETag")
        return etag

    pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="dver-part")
    try:
        return list(pool.map(send, range(1, -(-size // part) + 1)))
    finally:
        pool.shutdown(cancel_futures=True)


def _complete(wire: Wire, doing: str, name: str, upload_id: str, etags: list[str]) -> None:
    from xml.sax.saxutils import escape

    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
        for number, etag in enumerate(etags, 1)
    )
    document = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    status, headers, body = wire.small(
        doing, "POST", name, query=[("uploadId", upload_id)], body=body_of(document)
    )
    # S3 may say 200 first and find out afterwards that it failed.
    if status != 200 or b"<Error" in body[:512]:
        raise failures.refusal(
            wire.settings, doing, 500 if status == 200 else status, headers, body
        )
    _field(wire, doing, body, "CompleteMultipartUploadResult", "ETag")


def _field(wire: Wire, doing: str, body: bytes, root: str, name: str) -> str:
    try:
        # rclone calls the document by the name of the request.
        value = parse(body.lstrip(), root, root.removesuffix("Result")).get(name)
    except NotS3Error as error:
        raise failures.not_s3(wire.settings, doing, str(error)) from error
    if not value:
        raise failures.not_s3(wire.settings, doing, f"no {name}")
    return value
