"""The proofs of a local store: see :mod:`dver.formats.proofs`.

They save work and decide nothing else: none is made but by a full check that read and hashed both
the chunks and the whole, none comes from a remote, and one that is lost, damaged, or written by
another user is as good as none. Losing them costs time, so writing them may fail in silence, and
nobody waits for the disk.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable

from dver.base import fsio
from dver.base.errors import SystemFailure
from dver.base.oid import Oid
from dver.formats import proofs
from dver.formats.proofs import Proofs
from dver.store.index import Index

DIRECTORY = "proofs"
# Opening a pipe that lies there instead must not wait for a writer.
_FLAGS = fsio.OPEN_FLAGS | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def read_proofs(directory: str) -> Proofs:
    """Return what is proved in a local store, as far as this user's file of it tells."""
    return Proofs(proofs.entries(_read(directory)))


def add_proofs(directory: str, proved: Iterable[tuple[Oid, Oid]]) -> None:
    """Remember (object, name of its top list's bytes) for ever, if that is possible."""
    new = [proofs.encode_entry(oid, name) for oid, name in proved]
    path = _path(directory)
    if not new or path is None:
        return
    with contextlib.suppress(OSError, SystemFailure):
        if not _append(path, b"".join(new)):
            old = proofs.sound(proofs.entries(_read(directory)))
            fsio.make_dirs(os.path.dirname(path))
            _write(path, [*old, *new])


def drop_proofs(directory: str, index: Index) -> None:
    """Forget what this user has proved of objects that are not in the index any more."""
    path = _path(directory)
    joined = proofs.entries(_read(directory))
    if path is None or not joined:
        return
    found = proofs.sound(joined)
    kept = [entry for entry in found if Oid(entry[:32]) in index]
    if len(kept) * proofs.ENTRY.size != len(joined):
        with contextlib.suppress(OSError, SystemFailure):
            _write(path, kept)


def _path(directory: str) -> str | None:
    """Return the path of this user's file. Without users there is nobody's word to take."""
    if not hasattr(os, "geteuid"):
        return None
    return os.path.join(directory, DIRECTORY, str(os.geteuid()))


def _read(directory: str) -> bytes:
    path = _path(directory)
    if path is None:
        return b""
    try:
        fd = os.open(path, os.O_RDONLY | _FLAGS)
    except OSError:
        return b""
    with open(fd, "rb") as file:
        try:
            return file.read() if _is_ours(fd) else b""
        except OSError:
            return b""


def _is_ours(fd: int) -> bool:
    """Say whether nobody else can have written a file: who can might make a list be believed."""
    found = os.fstat(fd)
    return (
        stat.S_ISREG(found.st_mode)
        and hasattr(os, "geteuid")
        and found.st_uid == os.geteuid()
        and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def _append(path: str, data: bytes) -> bool:
    """Append entries to a file that is as it should be; return False for any other."""
    try:
        fd = fsio.open_to_append(path)
    except FileNotFoundError:
        return False
    try:
        header = fsio.pread(fd, len(proofs.HEADER), 0)
        size = os.fstat(fd).st_size
        if not _is_ours(fd) or header != proofs.HEADER or not proofs.is_whole(size):
            return False
        fsio.write_all(fd, data, path)
        return True
    finally:
        os.close(fd)


def _write(path: str, found: Iterable[bytes]) -> None:
    fsio.write_atomic(path, proofs.encode(found), mode=0o600, durable=False)
