"""A storage behind any URL that fsspec opens: sftp, gs, az, http, memory, and S3 by s3fs."""

from __future__ import annotations

import contextlib
import os
import posixpath
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dver.base.errors import (
    AlreadyExists,
    ConfigError,
    CorruptError,
    ObjectNotFound,
    RemoteError,
    TransientError,
)
from dver.base.fsio import TEMP_PREFIX
from dver.storage.base import Entry, Facts, Storage, check_key, valid_key
from dver.storage.fsspec_errors import error_code, explained

# Here an upload appears whole or not at all. Elsewhere it is written aside and renamed.
_WHOLE_UPLOADS = frozenset(
    {"abfs", "abfss", "adl", "az", "b2", "gcs", "gs", "hf", "memory", "oci", "oss", "s3", "s3a"}
)
# Of those, the ones whose fsspec implementation hands mode="create" on to the server.
_CREATES = frozenset({"abfs", "abfss", "az", "gcs", "gs", "memory", "s3", "s3a"})
_PAGES = frozenset({"http", "https"})
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
# What to install for a scheme.
_PACKAGES = {
    "abfs": "adlfs",
    "abfss": "adlfs",
    "adl": "adlfs",
    "az": "adlfs",
    "gcs": "gcsfs",
    "gs": "gcsfs",
    "http": "aiohttp",
    "https": "aiohttp",
    "hdfs": "pyarrow",
    "oci": "ocifs",
    "oss": "ossfs",
    "sftp": "paramiko",
    "smb": "smbprotocol",
    "ssh": "paramiko",
    "webdav": "webdav4[fsspec]",
}
# Shared by all, since so is what fsspec keeps in memory.
_memory_lock = threading.Lock()


class FsspecStorage(Storage):
    """Keys are files below ``url``.

    ``options`` are arguments of the fsspec file system. Every cache of fsspec is off: a listing
    that somebody else made old must never be believed.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self.description = url
        self._scheme = url.partition("://")[0].lower()
        self.facts = Facts(
            conditional_create=self._scheme in _CREATES,
            connections=1 if self._scheme in ("sftp", "ssh", "ftp") else 8,
        )
        self._container_seen = False
        with self._explained("open"):
            self._fs, self._root = open_filesystem(url, options or {})
        self._root = self._root.rstrip("/")

    # -- reading --------------------------------------------------------------------------------

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return ``length`` bytes from ``start``, or everything from there on."""
        path = self._path(key)
        whole = start == 0 and length is None
        if length == 0:
            return self._nothing_at(key, start)
        try:
            with self._explained(f"read {key} from"):
                end = None if length is None else start + length
                data = (
                    self._fs.cat_file(path)
                    if whole
                    else self._fs.cat_file(path, start=start, end=end)
                )
        except ObjectNotFound:
            self._require_container()
            raise
        except RemoteError:
            # Some answer a range past the end with an error of their own.
            entry = None if whole else self.head(key)
            if entry is None or start + (length or 1) <= entry.size:
                raise
            return self._nothing_at(key, start) if length is None else self._short(key, start)
        if length is not None and len(data) != length:
            return self._short(key, start)
        if not data and start and length is None:
            return self._nothing_at(key, start)
        return bytes(data)

    def _nothing_at(self, key: str, start: int) -> bytes:
        entry = self.head(key)
        if entry is None:
            raise ObjectNotFound(f"{key} is not in {self.description}")
        return b"" if start <= entry.size else self._short(key, start)

    def _short(self, key: str, start: int) -> bytes:
        raise CorruptError(f"{key} in {self.description} ends before the bytes wanted at {start}")

    def get_file(self, key: str, path: Path) -> int:
        """Write a key's bytes to a local file, not synced; return how many there were."""
        entry = self.head(key)
        if entry is None:
            raise ObjectNotFound(f"{key} is not in {self.description}")
        with self._explained(f"read {key} from"):
            self._fs.get_file(self._path(key), str(path))
        size = path.stat().st_size
        if size != entry.size:
            raise TransientError(f"{self.description} sent {size} of {entry.size} bytes of {key}")
        return size

    def head(self, key: str) -> Entry | None:
        """Return a key's entry, or None if it does not exist."""
        info = self._info(key, self._path(key))
        return None if info is None else self._entry(key, info)

    def _info(self, key: str, path: str) -> dict[str, Any] | None:
        try:
            with self._explained(f"look up {key} in"):
                self._fs.invalidate_cache(path)
                info: dict[str, Any] = self._fs.info(path)
        except ObjectNotFound:
            self._require_container()
            return None
        return info if info.get("type", "file") == "file" else None

    def _entry(self, key: str, info: Mapping[str, Any]) -> Entry:
        size = info.get("size")
        if not isinstance(size, int):
            raise RemoteError(f"{self.description} does not say how large {key} is")
        etag = info.get("ETag") or info.get("etag") or info.get("md5")
        text = etag.strip('"') if isinstance(etag, str) else None
        return Entry(key, size, _modified(info), text)

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield every key that begins with ``prefix``."""
        directory = prefix.rpartition("/")[0]
        top = self._path(directory) if directory else self._root
        with self._explained("list"):
            self._fs.invalidate_cache()
            found = self._find(top)
        for name, info in found.items():
            key = self._key(name)
            if not key.startswith(prefix) or not valid_key(key):
                continue
            if posixpath.basename(key).startswith(TEMP_PREFIX):
                continue
            entry = self.head(key) if info.get("size") is None else self._entry(key, info)
            if entry is not None:
                yield entry

    def _find(self, top: str) -> dict[str, dict[str, Any]]:
        from fsspec.asyn import AsyncFileSystem

        find = getattr(type(self._fs), "_find", None)
        found: dict[str, dict[str, Any]] = {}
        if find not in (None, AsyncFileSystem._find):  # noqa: SLF001  whose it is says how it works
            # An object store lists all keys below a prefix at once.
            try:
                found = self._fs.find(top, detail=True)
            except FileNotFoundError as error:
                if error_code(error) == "NoSuchBucket":
                    raise
            if not found:
                self._require_container()
            return {name: info for name, info in found.items() if info.get("type") == "file"}
        # AbstractFileSystem.find leaves out what it cannot list, without a word.
        pending = [top]
        while pending:
            directory = pending.pop()
            try:
                infos = self._fs.ls(directory, detail=True)
            except FileNotFoundError:
                if directory == top:
                    self._require_container()
                continue
            if not infos and self._scheme in _PAGES:
                raise RemoteError(f"{directory} shows no listing of a directory")
            for info in infos:
                name = str(info["name"])
                if info.get("type") == "directory":
                    if name.rstrip("/") != directory.rstrip("/"):
                        pending.append(name)
                else:
                    found[name] = info
        return found

    def _require_container(self) -> None:
        """Tell a missing key from a missing bucket or directory, which is an error."""
        if self._container_seen or self._scheme == "memory":
            return
        container = self._root
        if self._scheme in _WHOLE_UPLOADS:
            container = self._root.lstrip("/").partition("/")[0]
        try:
            with self._explained("find"):
                self._fs.invalidate_cache(container)
                self._fs.info(container)
        except ObjectNotFound as error:
            kind = "bucket" if self._scheme in _WHOLE_UPLOADS else "directory"
            raise RemoteError(
                f"{self.description}: there is no {kind} {container}",
                hint="create it, or correct the remote's url",
            ) from error
        self._container_seen = True

    # -- writing --------------------------------------------------------------------------------

    def put(self, key: str, data: bytes | memoryview, *, if_absent: bool = False) -> None:
        """Store bytes under a key; see :class:`~dver.storage.base.Storage`."""
        path = self._path(key)
        with _memory_lock if self._scheme == "memory" else contextlib.nullcontext():
            if if_absent and self._info(key, path) is not None:
                raise AlreadyExists(f"{key} is already in {self.description}")
            self._write(key, path, data, create=if_absent)
        self._check_upload(key, len(data))

    def try_conditional_create(self, key: str) -> bool:
        """Find out whether the server decides about creates."""
        self.put(key, b"first")
        if not self.facts.conditional_create:
            return False
        try:
            self._write(key, self._path(key), b"second", create=True)
        except AlreadyExists:
            return True
        return False

    def _write(self, key: str, path: str, data: bytes | memoryview, *, create: bool) -> None:
        doing = f"write {key} to"
        if self._scheme in _WHOLE_UPLOADS:
            mode = {"mode": "create"} if create and self.facts.conditional_create else {}
            with self._explained(doing):
                self._fs.pipe_file(path, bytes(data), **mode)
        else:
            with self._renamed(doing, path) as temp:
                self._fs.pipe_file(temp, bytes(data))

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file's bytes under a key."""
        target = self._path(key)
        doing = f"write {key} to"
        if self._scheme in _WHOLE_UPLOADS:
            with self._explained(doing):
                self._fs.put_file(str(path), target)
        else:
            with self._renamed(doing, target) as temp:
                self._fs.put_file(str(path), temp)
        self._check_upload(key, path.stat().st_size)

    @contextlib.contextmanager
    def _renamed(self, doing: str, path: str) -> Iterator[str]:
        """Hand out a name to write to, which then becomes ``path`` in one step."""
        directory = posixpath.dirname(path)
        temp = f"{directory}/{TEMP_PREFIX}{os.urandom(8).hex()}"
        with self._explained(doing):
            self._fs.makedirs(directory, exist_ok=True)
            try:
                yield temp
                self._fs.mv(temp, path)
            except BaseException:
                with contextlib.suppress(Exception):
                    self._fs.rm_file(temp)
                raise

    def _check_upload(self, key: str, size: int) -> None:
        entry = self.head(key)
        if entry is None or entry.size != size:
            there = "nothing" if entry is None else f"{entry.size} bytes"
            raise RemoteError(
                f"{self.description} took {key} of {size} bytes, and has {there} there",
                hint="check it with 'dver remote check'",
            )

    def delete(self, key: str) -> None:
        """Remove a key; a missing one is fine."""
        path = self._path(key)
        try:
            with self._explained(f"delete {key} from"):
                self._fs.rm_file(path)
        except ObjectNotFound:
            self._require_container()

    def delete_old_versions(self, key: str) -> Sequence[str]:
        """Remove the versions of a key that a bucket with versioning keeps; on S3 alone."""
        if self._scheme not in ("s3", "s3a"):
            return ()
        from dver.storage.fsspec_versions import delete_versions

        return delete_versions(self._fs, self._path(key), f"{key} in {self.description}")

    # -- names and errors -----------------------------------------------------------------------

    def _path(self, key: str) -> str:
        check_key(key)
        return f"{self._root}/{key}"

    def _key(self, name: str) -> str:
        root = self._root
        if not name.startswith(root) and f"/{name}".startswith(root):
            name = f"/{name}"
        if not name.startswith(root):
            raise RemoteError(f"{self.description} lists {name!r}, which lies elsewhere")
        return name[len(root) :].lstrip("/")

    def _explained(self, doing: str) -> contextlib.AbstractContextManager[None]:
        return explained(f"cannot {doing} {self.description}")


def open_filesystem(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the file system of fsspec for a URL, without its caches, and the path in it."""
    from fsspec import get_filesystem_class
    from fsspec.core import url_to_fs

    scheme = url.partition("://")[0]
    try:
        get_filesystem_class(scheme)
    except ValueError as error:
        raise ConfigError(
            f"no URL begins with {scheme}://",
            hint="a remote is a directory, s3://BUCKET/PREFIX, or a URL that an installed fsspec "
            "package opens",
        ) from error
    except ImportError as error:
        raise _not_installed(scheme, error) from error
    try:
        fs, root = url_to_fs(url, use_listings_cache=False, skip_instance_cache=True, **options)
    except ImportError as error:
        raise _not_installed(scheme, error) from error
    return fs, str(root)


def _not_installed(scheme: str, error: ImportError) -> ConfigError:
    package = _PACKAGES.get(scheme)
    return ConfigError(
        f"{scheme}:// URLs need a package that is not installed",
        hint=f"pip install '{package}'" if package else str(error),
    )


def _modified(info: Mapping[str, Any]) -> float | None:
    for name in _TIMES:
        value = info.get(name)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                continue
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, (int, float)):
            return float(value)
    return None
