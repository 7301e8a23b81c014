"""Plain data behind any other URL that fsspec opens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from dver.base.errors import ObjectNotFound, RemoteError
from dver.storage.fsspec_errors import explained
from dver.storage.plain.base import Facts, Plain, plain_etag, utc_text
from dver.storage.plain.failing import ChangedError

_PIECE = 1 << 20
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")


class FsspecPlain(Plain):
    """A file, or with a URL that ends with ``/`` the files of a directory."""

    def __init__(self, url: str) -> None:
        from dver.storage.fsspec_storage import open_filesystem

        self.description = url
        self.is_directory = url.endswith("/")
        with explained(f"cannot open {url}"):
            self._fs, root = open_filesystem(url, {})
        self._root = root.rstrip("/") if self.is_directory else root

    def look(self, known: Facts | None = None) -> Facts:
        """Return the facts of the file; what it is called changed is decided by the caller."""
        with explained(f"cannot look up {self.description}"):
            self._fs.invalidate_cache()
            info = self._fs.info(self._root)
        if info.get("type", "file") != "file":
            raise ObjectNotFound(
                f"{self.description} is a directory", hint=f"write {self.description}/"
            )
        found = _facts("", info)
        same = known is not None and known._replace(version="", md5="") == found
        return known if same and known is not None else found

    def entries(self) -> Iterator[Facts]:
        """Yield all files of the directory, at any depth."""
        with explained(f"cannot list {self.description}"):
            self._fs.invalidate_cache()
            if not self._fs.isdir(self._root):
                raise ObjectNotFound(f"there is no directory {self.description}")
            found: Mapping[str, Mapping[str, Any]] = self._fs.find(self._root, detail=True)
        for name, info in found.items():
            inner = str(name).rstrip("/")
            if not inner.startswith(self._root + "/"):
                raise RemoteError(f"{self.description} lists what lies outside of it")
            if info.get("islink"):
                raise RemoteError(f"{inner} is a symlink, which is not followed")
            if info.get("type", "file") == "file":
                yield _facts(inner[len(self._root) + 1 :], info)

    def read(self, facts: Facts, start: int = 0) -> Iterator[bytes | memoryview]:
        """Yield the content of one file from a byte on; see Plain."""
        path = f"{self._root}/{facts.name}" if facts.name else self._root
        with explained(f"cannot read {path} from {self.description}"):
            now = _facts(facts.name, self._fs.info(path))
            if (now.size, now.etag, now.modified) != (facts.size, facts.etag, facts.modified):
                raise ChangedError(f"{self.description}{facts.name} has changed")
            with self._fs.open(path, "rb", block_size=_PIECE, cache_type="readahead") as file:
                if start:
                    file.seek(start)
                while piece := file.read(_PIECE):
                    yield piece


def _facts(name: str, info: Mapping[str, Any]) -> Facts:
    size = info.get("size")
    etag = info.get("ETag") or info.get("etag") or info.get("md5Hash") or info.get("md5") or ""
    return Facts(
        name,
        size if isinstance(size, int) else None,
        plain_etag(etag) if isinstance(etag, str) else "",
        _modified(info),
    )


def _modified(info: Mapping[str, Any]) -> str:
    for key in _TIMES:
        value = info.get(key)
        if isinstance(value, datetime):
            return utc_text(value.replace(tzinfo=value.tzinfo or UTC).timestamp())
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return utc_text(float(value))
        if isinstance(value, str):
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                continue
            return utc_text(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
    return ""
