"""Old versions of objects in a bucket, for buckets that are opened through s3fs.

Other file systems of fsspec have no common way to ask for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dver.base.errors import RemoteError, TransientError
from dver.storage.fsspec_errors import error_code, explained

#: What servers answer that know of no versions.
_UNKNOWN = frozenset(("400", "404", "405", "501", "MethodNotAllowed", "NotImplemented"))


def delete_versions(fs: Any, path: str, name: str) -> list[str]:
    """Delete every version of an object for good; return why some could not be, by their ids.

    ``name`` is what messages call it. Raises RemoteError if the bucket will not say.
    """
    bucket, key, _ = fs.split_path(path)
    if not _are_kept(fs, bucket):
        return []
    refused: list[str] = []
    # The marks come last: without them, what is left would be there again.
    for is_marker, version in sorted(_versions(fs, bucket, key, name)):
        if is_marker and refused:
            break
        try:
            with explained(f"cannot delete an old version of {name}"):
                fs.call_s3("delete_object", Bucket=bucket, Key=key, VersionId=version)
        except TransientError:
            raise
        except RemoteError as error:
            code = error_code(error.__cause__) if error.__cause__ is not None else ""
            refused.append(f"{version}: {code} {error.__cause__}".strip()[:200])
    return refused


def _are_kept(fs: Any, bucket: str) -> bool:
    try:
        with explained(f"cannot ask for the versioning of {bucket}"):
            found = fs.call_s3("get_bucket_versioning", Bucket=bucket)
    except RemoteError as error:
        cause = error.__cause__
        if cause is not None and error_code(cause) in _UNKNOWN:
            return False
        raise
    return found.get("Status") in ("Enabled", "Suspended")


def _versions(fs: Any, bucket: str, key: str, name: str) -> Iterator[tuple[bool, str]]:
    """Yield (whether it only marks that the object was deleted, id) of each version."""
    after: dict[str, str] = {}
    while True:
        with explained(f"cannot list old versions of {name}"):
            page = fs.call_s3("list_object_versions", Bucket=bucket, Prefix=key, **after)
        for field, is_marker in (("Versions", False), ("DeleteMarkers", True)):
            for one in page.get(field) or ():
                if one.get("Key") == key and one.get("VersionId"):
                    yield is_marker, one["VersionId"]
        now = {
            field: page[f"Next{field}"]
            for field in ("KeyMarker", "VersionIdMarker")
            if page.get(f"Next{field}")
        }
        if not page.get("IsTruncated") or not now.get("KeyMarker"):
            return
        if now == after:
            raise RemoteError(f"the bucket {bucket} never ends its listing of versions")
        after = now
