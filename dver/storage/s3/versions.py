"""Old versions of objects, which a bucket with versioning keeps when they are deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote_plus

from dver.base.errors import RemoteError
from dver.storage.s3 import failures
from dver.storage.s3.answers import NotS3Error, parse, parse_error
from dver.storage.s3.wire import Wire

#: What servers answer that know of no versions.
_UNKNOWN = frozenset((400, 404, 405, 501))

#: What the document is called by S3, and by servers that follow its older description.
_VERSIONING = ("VersioningConfiguration", "GetBucketVersioningResponse")


class Version(NamedTuple):
    """One version of an object: its id, and whether it only marks that the object was deleted."""

    id: str
    is_marker: bool


def are_kept(wire: Wire) -> bool:
    """Say whether a bucket keeps, or kept, old versions. Raises RemoteError if it will not say."""
    doing = "ask for the versioning of"
    status, headers, body = wire.small(doing, "GET", query=[("versioning", "")])
    if status in _UNKNOWN:
        return False
    if status != 200:
        raise failures.refusal(wire.settings, doing, status, headers, body)
    try:
        return parse(body, *_VERSIONING).get("Status") in ("Enabled", "Suspended")
    except NotS3Error:
        # A server that knows nothing of it may give the listing of the bucket.
        return False


def delete_versions(wire: Wire, name: str) -> list[str]:
    """Delete every version of an object for good; return why some could not be, by their ids."""
    refused: list[str] = []
    doing = f"delete an old version of {name} from"
    # The marks come last: without them, what is left would be there again.
    for one in sorted(_versions(wire, name), key=lambda one: one.is_marker):
        if one.is_marker and refused:
            break
        status, headers, body = wire.small(doing, "DELETE", name, query=[("versionId", one.id)])
        if status not in (200, 202, 204, 404):
            if status >= 500 or status == 429:
                raise failures.refusal(wire.settings, doing, status, headers, body)
            code, message, _ = parse_error(body)
            refused.append(f"{one.id}: {code or f'HTTP {status}'} {message}".strip()[:200])
    return refused


def _versions(wire: Wire, name: str) -> Iterator[Version]:
    doing = f"list old versions of {name} in"
    after: list[tuple[str, str]] = []
    while True:
        query = [("encoding-type", "url"), *after, ("prefix", name), ("versions", "")]
        status, headers, body = wire.small(doing, "GET", query=sorted(query))
        if status != 200:
            raise failures.refusal(wire.settings, doing, status, headers, body)
        try:
            root = parse(body, "ListVersionsResult")
        except NotS3Error as error:
            raise RemoteError(
                f"cannot {doing} {wire.settings.description}: the answer is none of S3's, {error}"
            ) from error
        for node in root.children:
            if node.name in ("Version", "DeleteMarker"):
                key, version = node.get("Key") or "", node.get("VersionId") or ""
                if unquote_plus(key) == name and version:
                    yield Version(version, node.name == "DeleteMarker")
        following = root.get("NextKeyMarker"), root.get("NextVersionIdMarker")
        if root.get("IsTruncated") != "true" or not following[0]:
            return
        now = [("key-marker", unquote_plus(following[0]))]
        if following[1]:
            now.append(("version-id-marker", following[1]))
        if now == after:
            raise RemoteError(f"{wire.settings.description} never ends its listing of versions")
        after = now
