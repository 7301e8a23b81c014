"""Plain data at a URL as a source of imports: its facts, and bringing its content.

Files are written to ``<git common dir>/dver/imports/`` first, under a name that says which version
they are of, so that a download that broke goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dver.base import clock, fsio
from dver.base.errors import (
    CorruptError,
    FormatError,
    MissingContentError,
    NotFoundError,
    RemoteError,
    TransientError,
)
from dver.base.fsio import show
from dver.base.locking import Lock
from dver.base.oid import oid_of
from dver.base.reporter import Reporter, Task
from dver.foreign.adopting import Contents, build_directory
from dver.formats import names
from dver.formats.origin import UNSEEN, Origin
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY
from dver.ops.data.materialise import remove_all
from dver.ops.sharing.importshape import Read, Shape
from dver.ops.sharing.unchanged import Known, files_of, note, unchanged
from dver.storage.plain.base import Facts, Plain, listing_etag, new_md5
from dver.storage.plain.opening import open_plain
from dver.store import walk

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.store.store import Store

_T = TypeVar("_T")

_ATTEMPTS = 6
_PAUSE = 0.2
_LONGEST_PAUSE = 10.0
_JOBS = 8
#: How long to wait for another process that downloads the same (seconds).
_PATIENCE = 86400.0
#: What was begun to be downloaded and not gone on with for so long (seconds) is thrown away.
_KEPT_SECONDS = 7 * 86400.0
_MOST_FILES = 5_000_000


@dataclass(frozen=True, slots=True)
class Upstream:
    """What is at a URL now: its origin, and of a directory the facts of its files."""

    origin: Origin
    facts: Facts
    files: tuple[Facts, ...] = ()
    is_directory: bool = False

    @property
    def size(self) -> int:
        """How many bytes there are, as far as the server says."""
        if self.is_directory:
            return sum(one.size or 0 for one in self.files)
        return self.facts.size or 0

    def pointer(self) -> Pointer:
        """Return what a pointer says of content that nobody has seen."""
        if self.is_directory:
            return Pointer("tree", UNSEEN, self.size, len(self.files))
        return Pointer("file", UNSEEN, self.size)


@contextlib.contextmanager
def opened(origin: Origin, environ: Mapping[str, str]) -> Iterator[Plain]:
    """Open the place of an origin."""
    plain = open_plain(origin.url, origin.endpoint, environ)
    try:
        yield plain
    finally:
        plain.close()


def look(plain: Plain, origin: Origin) -> Upstream:
    """Ask what is at a URL now; of a file that is unchanged, that is all that is asked.

    Raises NotFoundError if nothing is there.
    """
    if not plain.is_directory:
        known = Facts("", origin.size, origin.etag, origin.modified, origin.version)
        facts = _tried(lambda: plain.look(known))
        return Upstream(
            replace(
                origin,
                etag=facts.etag,
                modified=facts.modified,
                version=facts.version,
                size=facts.size,
            ),
            facts,
        )
    files = _tried(lambda: _listed(plain))
    if not files:
        raise NotFoundError(f"there is nothing below {plain.description}")
    etag = listing_etag(list(files))
    newest = max(one.modified for one in files)
    size = sum(one.size or 0 for one in files)
    now = replace(origin, etag=etag, modified=newest, version="", size=size)
    return Upstream(now, Facts(), files, is_directory=True)


def recorded(plain: Plain, origin: Origin) -> Upstream:
    """Return the version that an origin names: itself if the server keeps it, else what is there.

    The caller compares; see :func:`is_same`.
    """
    if origin.version and not plain.is_directory:
        facts = Facts("", origin.size, origin.etag, origin.modified, origin.version)
        return Upstream(origin, facts)
    return look(plain, origin)


def is_same(before: Origin, now: Origin) -> bool:
    """Tell whether what is at a URL is, as far as the server says, what it was."""
    if before.etag and now.etag:
        return before.etag == now.etag
    return (before.size, before.modified) == (now.size, now.modified) and bool(
        now.modified or now.size is not None
    )


def shape(store: Store, old: Pointer, there: Upstream) -> Shape:
    """Compare what was imported with what is at a URL now, by names and sizes alone."""
    if not there.is_directory or old.kind != "tree" or old.oid == UNSEEN:
        return Shape(0, 0, None if there.is_directory else 1, old.size, there.size)
    sizes = {os.fsencode(one.name): one.size for one in there.files}
    try:
        before = {
            walk.join(path, name): size
            for path, _, tree in walk.walk(store, old.oid)
            for name, size, kind in zip(tree.names, tree.sizes, tree.kinds, strict=True)
            if kind != DIRECTORY
        }
    except MissingContentError:
        return Shape(None, None, None, old.size, there.size)
    common = sizes.keys() & before.keys()
    resized = sum(sizes[path] is not None and sizes[path] != before[path] for path in common)
    added, removed = len(sizes.keys() - common), len(before.keys() - common)
    # Files of equal size may differ too: which ones, only their content tells.
    modified = resized if resized or added or removed else None
    return Shape(added, removed, modified, old.size, there.size)


def bring(
    repo: Repo,
    plain: Plain,
    upstream: Upstream,
    reporter: Reporter,
    *,
    jobs: int | None = None,
    before: Origin | None = None,
) -> Pointer:
    """Download into the local store, whose lock the caller holds, and return the pointer.

    Of a directory only those files come that are not the ones imported ``before``. Each has the
    length, and where the server gives one the MD5, that was announced. Raises RemoteError or
    CorruptError otherwise; what came until then is kept for the next attempt.
    """
    here: Known = {}
    if before is not None and upstream.is_directory:
        here = unchanged(repo, before, upstream.files)
    pointer = _bring(repo, plain, upstream, here, reporter, jobs or _JOBS)
    if upstream.is_directory:
        note(repo, replace(upstream.origin, oid=pointer.oid), upstream.files)
    return pointer


def _bring(
    repo: Repo, plain: Plain, upstream: Upstream, here: Known, reporter: Reporter, jobs: int
) -> Pointer:
    from dver.lineage.keeping import keep_outside

    store = repo.store
    wanted = [one for one in upstream.files if os.fsencode(one.name) not in here]
    if upstream.is_directory and not wanted:
        return _joined(store, here)
    home = repo.common_state_dir / "imports"
    fsio.make_dirs(os.fspath(home))
    _tidy(home)
    place = home / _name(upstream)
    label = f"Downloading {plain.description}"
    total = sum(one.size or 0 for one in wanted) if upstream.is_directory else upstream.size
    # Another process may be after the same.
    with Lock(home / f"{place.name}.lock", exclusive=True, timeout=_PATIENCE):
        if place.is_dir():
            _keep_only(place, wanted)
        with reporter.task(label, unit="bytes", total=total or None) as task:
            if upstream.is_directory:
                _download_all(plain, wanted, place, task, jobs)
            else:
                _download(plain, upstream.facts, place, task, threading.Event())
        with store.writer() as writer:
            item = keep_outside(place, "download", writer, store)
            writer.commit()
        remove_all(place)
    if here:
        return _joined(store, {**here, **files_of(store, item.oid)})
    return Pointer(item.kind, item.oid, item.size, item.files)


def _keep_only(place: Path, wanted: Sequence[Facts]) -> None:
    """Remove what came for an attempt that wanted more files."""
    names_wanted = {os.fspath(place / one.name) for one in wanted}
    for directory, _, files in os.walk(place):
        for name in files:
            path = os.path.join(directory, name)
            if path not in names_wanted:
                os.unlink(path)


def _joined(store: Store, files: Known) -> Pointer:
    """Store the trees of a directory of which all files are here."""
    paths = sorted(files)
    contents = Contents("md5", bytes(16 * len(paths)))
    for i, path in enumerate(paths):
        contents.put(i, *files[path])
    with store.writer() as writer:
        pointer = build_directory(paths, contents, writer)
        writer.commit()
    return pointer


def reader(plain: Plain, there: Upstream) -> Read | None:
    """Return what reads ranges of a file at a URL, which may still turn out to be damaged."""
    if there.is_directory:
        return None

    def read(start: int, end: int) -> bytes:
        data = bytearray()
        for piece in plain.read(there.facts, start):
            data += piece
            if len(data) >= end - start:
                break
        return bytes(data[: end - start])

    return read


def _listed(plain: Plain) -> tuple[Facts, ...]:
    found: list[Facts] = []
    for one in plain.entries():
        path = os.fsencode(one.name)
        try:
            names.check_path(path)
        except FormatError as error:
            raise FormatError(
                f"{plain.description} has a file {show(path)}: {error.message}"
            ) from error
        found.append(one)
        if len(found) > _MOST_FILES:
            raise RemoteError(f"{plain.description} has more than {_MOST_FILES:,} files")
    found.sort(key=lambda one: os.fsencode(one.name))
    for before, after in pairwise(found):
        if before.name == after.name or after.name.startswith(before.name + "/"):
            raise FormatError(
                f"{plain.description} has {show(before.name)} as a file and as a directory",
                hint="import the files that you need one by one",
            )
    return tuple(found)


def _name(upstream: Upstream) -> str:
    """Return what to call the download of one version; one of its own if it cannot be told."""
    origin = upstream.origin
    if not upstream.is_directory and not upstream.facts.is_pinned:
        return os.urandom(16).hex()
    said = (origin.url, origin.endpoint, origin.etag, origin.version, str(origin.size))
    return oid_of("\0".join(said).encode("utf-8", "surrogateescape")).hex()[:32]


def _tidy(home: Path) -> None:
    before = clock.now_ns() / 1e9 - _KEPT_SECONDS
    with os.scandir(home) as found:
        for one in found:
            with contextlib.suppress(OSError):
                if one.stat(follow_symlinks=False).st_mtime < before:
                    remove_all(Path(one.path))


def _download_all(plain: Plain, files: Sequence[Facts], place: Path, task: Task, jobs: int) -> None:
    from concurrent.futures import ThreadPoolExecutor

    for directory in sorted({os.path.dirname(one.name) for one in files}):
        fsio.make_dirs(os.path.join(place, directory))
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        stop = threading.Event()
        waiting = [
            pool.submit(_download, plain, one, place / one.name, task, stop) for one in files
        ]
        try:
            for one in waiting:
                one.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _download(plain: Plain, facts: Facts, place: Path, task: Task, stop: threading.Event) -> None:
    """Write one file, going on with what is there of it already, unless told to stop."""
    fsio.step("create")
    flags = os.O_RDWR | os.O_CREAT | fsio.OPEN_FLAGS | getattr(os, "O_NOFOLLOW", 0)
    with fsio.explained("write", place):
        fd = os.open(place, flags, 0o600)
    try:
        got = os.fstat(fd).st_size if facts.is_pinned else 0
        task.advance(got)
        for count in _fill(plain, facts, fd, got, place):
            task.advance(count)
            if stop.is_set():
                return
        _verify(plain, facts, fd)
    finally:
        os.close(fd)


def _fill(plain: Plain, facts: Facts, fd: int, got: int, place: Path) -> Iterator[int]:
    """Read what is still to come; yield how many bytes each piece brought."""
    tries = 0
    while facts.size is None or got < facts.size:
        before = got
        try:
            os.lseek(fd, got, os.SEEK_SET)
            for piece in plain.read(facts, got):
                fsio.write_all(fd, piece, place)
                got += len(piece)
                yield len(piece)
                if facts.size is not None and got > facts.size:
                    raise RemoteError(f"{plain.description} sends more than it announced")
        except TransientError as error:
            # A server may break off again and again and still send some of it each time.
            tries = 1 if got > before else tries + 1
            if tries >= _ATTEMPTS:
                raise
            if not facts.is_pinned:
                yield -got
                got = 0
            clock.sleep(max(min(_LONGEST_PAUSE, _PAUSE * 2**tries), error.retry_after or 0.0))
            continue
        if facts.size is None:
            break
        if got == before:
            raise RemoteError(f"{plain.description} sends less than it announced")
    with fsio.explained("write", place):
        os.truncate(fd, got)


def _verify(plain: Plain, facts: Facts, fd: int) -> None:
    if not facts.md5:
        return
    digest = new_md5()
    os.lseek(fd, 0, os.SEEK_SET)
    while piece := os.read(fd, 1 << 20):
        digest.update(piece)
    if digest.hexdigest() != facts.md5:
        os.truncate(fd, 0)
        raise CorruptError(
            f"what came from {plain.description}{facts.name} is not what the server has: its MD5"
            " is another",
            hint="run the same command again",
        )


def _tried(call: Callable[[], _T]) -> _T:
    """Call again what fails in passing."""
    for tries in range(1, _ATTEMPTS):
        try:
            return call()
        except TransientError as error:
            clock.sleep(max(min(_LONGEST_PAUSE, _PAUSE * 2**tries), error.retry_after or 0.0))
    return call()
