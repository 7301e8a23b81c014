"""Bringing plain data from a URL into the local store.

Files are written to ``<git common dir>/dver/imports/`` first, under a name that says which version
they are of, so that a download that broke goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base import clock, fsio
from dver.base.errors import CorruptError, RemoteError, TransientError
from dver.base.locking import Lock
from dver.base.oid import oid_of
from dver.base.reporter import Reporter, Task
from dver.foreign.adopting import Contents, build_directory
from dver.formats.origin import Origin
from dver.formats.pointer import Pointer
from dver.ops.data.materialise import remove_all
from dver.ops.sharing.sourceurl import ATTEMPTS, Upstream, pause
from dver.ops.sharing.unchanged import Known, files_of, note, unchanged
from dver.storage.plain.base import Facts, Plain, new_md5

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.store.store import Store

_JOBS = 8
#: How long to wait for another process that downloads the same (seconds).
_PATIENCE = 86400.0
#: What was begun to be downloaded and not gone on with for so long (seconds) is thrown away.
_KEPT_SECONDS = 7 * 86400.0


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
            if tries >= ATTEMPTS:
                raise
            if not facts.is_pinned:
                yield -got
                got = 0
            pause(tries, error)
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
