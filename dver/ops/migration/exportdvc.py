"""Tracked data as a project of DVC: pointers, listings, and a cache in the layout of DVC 3."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import NotFoundError, RefusedError
from dver.base.oid import Oid
from dver.base.osat import osat
from dver.base.quoting import show
from dver.base.reporter import Reporter, Task
from dver.foreign.dvcfiles import read_dvc_file
from dver.foreign.dvcsteps import quoted
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY, EMPTY_OID, EXECUTABLE, SYMLINK
from dver.git import ignorefile
from dver.ops.targets.scope import Scope
from dver.ops.targets.sources import RemoteBehind
from dver.ops.targets.versions import no_such_path, typed_path, version_at
from dver.store import walk

if TYPE_CHECKING:
    from dver.repo import Repo

_LAYOUT = "files/md5"
_CONFIG = b"[core]\n    no_scm = true\n    analytics = false\n"
_IN_PLACE_CONFIG = b"[core]\n    analytics = false\n"
_IGNORES = b"/config.local\n/tmp\n/cache\n"
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ExportDvcOptions:
    """Where to: ``directory``, or None for this repository itself.

    ``paths`` restrict it to targets at or below them; ``rev`` None is the work tree's pointers.
    ``lossy`` leaves out what DVC cannot say.
    """

    directory: str | None
    paths: tuple[str, ...] = ()
    rev: str | None = None
    remote: str | None = None
    lossy: bool = False


@dataclass(frozen=True, slots=True)
class ExportDvcResult:
    """What was written: the ``.dvc`` files, and new objects in the cache with their bytes.

    ``lost`` are the paths of which DVC cannot say what they are, left out or made plain files.
    """

    directory: str
    targets: tuple[str, ...]
    objects: int
    bytes: int
    lost: tuple[str, ...]


def export_dvc(repo: Repo, options: ExportDvcOptions, reporter: Reporter) -> ExportDvcResult:
    """Write targets as DVC would have them. Content comes first, then what names it.

    Raises RefusedError for what DVC has no word for, unless ``lossy``, and for a ``.dvc`` file that
    says something else; MissingContentError for content that is neither here nor in the remote.
    """
    scope = Scope([typed_path(repo, path) for path in options.paths])
    version = version_at(repo, options.rev, scope)
    chosen = {
        path: pointer
        for path, pointer in sorted(version.pointers.items())
        if scope.inside(path) == ()
    }
    for path in scope.unmatched():
        raise no_such_path(repo, version, path)
    if not chosen:
        raise NotFoundError(f"nothing is tracked in {version.label}", hint="dver ls")
    top = repo.root if options.directory is None else repo.cwd / options.directory
    if options.directory is not None:
        _require_empty(top)
    with (
        RemoteBehind(repo, options.remote) as source,
        reporter.task("Exporting", unit="files", total=_files(chosen)) as task,
    ):
        cache = _Cache(_cache_of(repo, options) / _LAYOUT, source, task)
        texts = {path: cache.add(path, pointer) for path, pointer in chosen.items()}
        if cache.lost and not options.lossy:
            raise RefusedError(
                "symlinks, empty directories and executable files in a directory are nothing that"
                " DVC has a word for",
                hint="--lossy leaves them out, or makes plain files of them",
                paths=[repo.display(path) for path in cache.lost],
            )
    cache.sync()
    in_place = options.directory is None
    _set_up(top, in_place=in_place)
    known = _known_to_dvc(repo, texts) if in_place else frozenset()
    written = [_write_file(top, path, text) for path, text in texts.items() if path not in known]
    if in_place:
        ignorefile.add(repo.git, list(texts))
    shown = options.directory or repo.display(b"") or "."
    return ExportDvcResult(
        shown,
        tuple(os.path.normpath(os.path.join(shown, path)) for path in written),
        cache.objects,
        cache.written,
        tuple(repo.display(path) for path in cache.lost),
    )


def _known_to_dvc(repo: Repo, texts: dict[bytes, bytes]) -> frozenset[bytes]:
    """Return the targets that DVC's files in the work tree name with the same content.

    An output of a stage must not be in a ``.dvc`` file as well. Raises RefusedError for one that
    DVC has other content of.
    """
    from dver.ops.migration.othertools import in_work_tree

    found = in_work_tree(repo)
    same = set()
    for path, text in texts.items():
        out = found.outs.get(path)
        if out is None or not out.digest:
            continue
        wanted = read_dvc_file(path + b".dvc", text).outs[0]
        if (out.digest, out.is_directory) != (wanted.digest, wanted.is_directory):
            named = show(repo.display(found.named[path]))
            raise RefusedError(
                f"{named} names other content of {show(repo.display(path))}",
                hint=f"'git rm {named}' if dver's is the right one, or export to a directory",
            )
        same.add(path)
    return frozenset(same)


def _files(chosen: dict[bytes, Pointer]) -> int:
    return sum(pointer.files if pointer.kind == "tree" else 1 for pointer in chosen.values())


def _cache_of(repo: Repo, options: ExportDvcOptions) -> Path:
    """Return the cache to fill: that of the project in this repository, or a new one."""
    if options.directory is not None:
        return repo.cwd / options.directory / ".dvc" / "cache"
    from dver.foreign.dvcproject import open_project

    return open_project(repo.root, b"", repo.environ).caches[0]


def _require_empty(top: Path) -> None:
    """Raise RefusedError unless a directory is new, empty, or an export of before."""
    with fsio.explained("read", top):
        names = os.listdir(top) if os.path.lexists(top) else []
        if names and ".dvc" not in names:
            raise RefusedError(
                f"{show(top)} is there already, and is no project of DVC",
                hint="name another directory",
            )


@dataclass(slots=True)
class _Cache:
    """DVC's cache, being filled. Objects appear whole or not at all, and are read-only as DVC's."""

    top: Path
    source: RemoteBehind
    task: Task
    objects: int = 0
    written: int = 0
    lost: list[bytes] = field(default_factory=list)
    _known: dict[Oid, tuple[str, int]] = field(default_factory=dict)
    _directories: set[str] = field(default_factory=set)

    def add(self, path: bytes, pointer: Pointer) -> bytes:
        """Put a target into the cache, and return the text of its ``.dvc`` file."""
        name = quoted(os.fsdecode(path.rpartition(b"/")[2]))
        if pointer.kind == "file":
            md5, size = self._file(pointer.oid)
            lines = [f"- md5: {md5}", f"  size: {size}"]
            if pointer.executable:
                lines.append("  isexec: true")
        else:
            md5, size, files = self._directory(path, pointer.oid)
            lines = [f"- md5: {md5}.dir", f"  size: {size}", f"  nfiles: {files}"]
        return "\n".join(["outs:", *lines, "  hash: md5", f"  path: {name}", ""]).encode()

    def _directory(self, path: bytes, oid: Oid) -> tuple[str, int, int]:
        rows: list[dict[str, str]] = []
        total = 0
        for directory, found, tree in walk.walk(self.source, oid):
            if found == EMPTY_OID and directory:
                self.lost.append(walk.join(path, directory))
            for one in tree:
                inner = walk.join(directory, one.name)
                if one.kind == DIRECTORY:
                    continue
                if one.kind in (SYMLINK, EXECUTABLE):
                    self.lost.append(walk.join(path, inner))
                    if one.kind == SYMLINK:
                        self.task.advance()
                        continue
                md5, size = self._file(one.oid)
                total += size
                rows.append({"md5": md5, "relpath": _text(inner)})
        rows.sort(key=lambda row: row["relpath"])
        data = json.dumps(rows, sort_keys=True).encode()
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self._put(f"{md5}.dir", [data])
        return md5, total, len(rows)

    def _file(self, oid: Oid) -> tuple[str, int]:
        """Put a content into the cache; return its MD5 and its size."""
        self.task.advance()
        known = self._known.get(oid)
        if known is None:
            store = self.source.store_of(oid)
            size = store.size(oid)
            known = self._known[oid] = self._stream(store.stream(oid)), size
        return known

    def _stream(self, pieces: Iterator[bytes | bytearray | memoryview]) -> str:
        first = next(pieces, b"")
        rest = next(pieces, None)
        if rest is None:
            md5 = hashlib.md5(first, usedforsecurity=False).hexdigest()
            self._put(md5, [bytes(first)])
            return md5
        made = hashlib.md5(first, usedforsecurity=False)
        fd, temp = fsio.create_temp(self.top)
        try:
            length = len(first)
            try:
                fsio.write_all(fd, first, temp)
                piece: bytes | bytearray | memoryview | None = rest
                while piece is not None:
                    made.update(piece)
                    fsio.write_all(fd, piece, temp)
                    length += len(piece)
                    piece = next(pieces, None)
                _make_read_only(fd)
                fsio.sync_file(fd, temp)
            finally:
                os.close(fd)
            self._publish(temp, made.hexdigest(), length)
        except BaseException:
            with contextlib.suppress(OSError):
                osat.unlink(temp)
            raise
        return made.hexdigest()

    def _put(self, name: str, pieces: list[bytes]) -> None:
        final = self._place(name)
        if os.path.lexists(final):
            return
        fd, temp = fsio.create_temp(os.path.dirname(final))
        try:
            try:
                fsio.write_pieces(fd, pieces, temp)
                _make_read_only(fd)
            finally:
                os.close(fd)
            self._publish(temp, name, sum(map(len, pieces)))
        except BaseException:
            with contextlib.suppress(OSError):
                osat.unlink(temp)
            raise

    def _publish(self, temp: str, name: str, length: int) -> None:
        final = self._place(name)
        fsio.make_dirs(os.path.dirname(final))
        if fsio.publish(temp, final):
            self.objects += 1
            self.written += length
            self._directories.add(os.path.dirname(final))

    def _place(self, name: str) -> str:
        return os.path.join(self.top, name[:2], name[2:])

    def sync(self) -> None:
        """Make the names of new objects durable, before anything refers to them."""
        for directory in sorted(self._directories):
            fsio.sync_dir(directory)


def _make_read_only(fd: int) -> None:
    if hasattr(os, "fchmod"):
        with contextlib.suppress(OSError):
            os.fchmod(fd, 0o444)


def _text(path: bytes) -> str:
    try:
        return path.decode()
    except UnicodeDecodeError:
        raise RefusedError(
            f"the name {show(path)} is not UTF-8, and DVC keeps no other names",
            hint="rename it, or leave its target out with --path",
        ) from None


def _set_up(top: Path, *, in_place: bool) -> None:
    """Write the files that make a directory a project of DVC, as far as they are not there."""
    place = os.fspath(top / ".dvc")
    fsio.make_dirs(place)
    config = _IN_PLACE_CONFIG if in_place else _CONFIG
    fsio.write_atomic(os.path.join(place, "config"), config, replace=False)
    fsio.write_atomic(os.path.join(place, ".gitignore"), _IGNORES, replace=False)


def _write_file(top: Path, path: bytes, text: bytes) -> str:
    """Write a ``.dvc`` file; return its path below the top. RefusedError if there is another."""
    final = os.path.join(top, os.fsdecode(path) + ".dvc")
    link = fsio.symlink_above(os.fsencode(top), path)
    if link is not None:
        raise RefusedError(f"{show(link)} is a symlink, and dver never writes through one")
    fsio.make_dirs(os.path.dirname(final))
    if not fsio.write_atomic(final, text, replace=False):
        with fsio.explained("read", final), open(final, "rb") as file:
            if _said(file.read()) != _said(text):
                raise RefusedError(
                    f"{show(final)} is there already, and is of other content",
                    hint="move it away, or export to another directory",
                )
    return os.path.relpath(final, top)


def _said(data: bytes) -> object:
    return [
        (out.path, out.digest, out.is_directory, out.executable)
        for out in read_dvc_file(b"x.dvc", data).outs
    ]
