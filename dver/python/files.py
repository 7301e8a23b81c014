"""Files of any version: ``dver.open``, ``dver.read`` and ``dver.path``."""

from __future__ import annotations

import io
import os
from typing import Literal, TextIO, overload

from dver.base.errors import UsageError
from dver.base.quoting import show
from dver.git.pointers import data_path, is_pointer_path
from dver.ops.looking.streams import VersionFile, open_node
from dver.ops.looking.view import View
from dver.python.errors import as_files_say, read_only
from dver.python.sessions import PathLike, Session, session


@overload
def open(  # noqa: A001 - dver.open is its name
    path: PathLike,
    mode: Literal["r", "rt"] = "r",
    *,
    rev: str | None = None,
    repo: PathLike | None = None,
    remote: str | None = None,
    cache: bool = False,
    encoding: str | None = "utf-8",
    errors: str | None = None,
    newline: str | None = None,
) -> TextIO: ...
@overload
def open(  # noqa: A001 - dver.open is its name
    path: PathLike,
    mode: Literal["rb"],
    *,
    rev: str | None = None,
    repo: PathLike | None = None,
    remote: str | None = None,
    cache: bool = False,
) -> VersionFile: ...


def open(  # noqa: A001 - dver.open is its name
    path: PathLike,
    mode: str = "r",
    *,
    rev: str | None = None,
    repo: PathLike | None = None,
    remote: str | None = None,
    cache: bool = False,
    encoding: str | None = "utf-8",
    errors: str | None = None,
    newline: str | None = None,
) -> TextIO | VersionFile:
    """Open a file of any version for reading, as ``open`` does one of the working tree.

    ``path`` is relative to the current directory, or with ``repo`` to that. ``mode`` is ``"r"``
    for text or ``"rb"``; ``encoding``, ``errors`` and ``newline`` are as in ``open``, but that the
    encoding is UTF-8 unless told otherwise, whatever the machine.

    ``rev`` is any revision; without one the pointers of the work tree say which data is meant, and
    other files are read as they are there. ``repo`` is a path or the URL of another repository, of
    which a URL is read at its HEAD without ``rev``. What is not in the local store is read from
    ``remote``, by default the default one, in the ranges that are asked for; with ``cache`` all of
    the file is fetched into the local store first, for the next time.

    Raises :class:`~dver.base.errors.NotFoundError` (for paths it is a ``FileNotFoundError`` too),
    ``IsADirectoryError``, MissingContentError, CorruptError, RemoteError, RepositoryError.
    """
    if mode not in ("r", "rt", "rb"):
        if set(mode) & set("wax+"):
            raise read_only(f"open files with mode {mode!r}")
        raise ValueError(f"invalid mode: {mode!r}")
    place, view, located = _find(path, rev, repo, remote)
    with as_files_say():
        node = view.resolve(view.node(located))
        if cache and node.oid is not None:
            place.bring(view, node.path)
        file = open_node(view, node)
    if mode == "rb":
        return file
    return io.TextIOWrapper(file, encoding=encoding, errors=errors, newline=newline)


@overload
def read(
    path: PathLike,
    *,
    rev: str | None = None,
    repo: PathLike | None = None,
    remote: str | None = None,
    cache: bool = False,
    encoding: None = None,
) -> bytes: ...
@overload
def read(
    path: PathLike,
    *,
    rev: str | None = None,
    repo: PathLike | None = None,
    remote: str | None = None,
    cache: bool = False,
    encoding: str,
) -> str: ...


def read(
    path: PathLike,
    *,
    rev: str | None = None,
    repo: PathLike | None = None,
    remote: str | None = None,
    cache: bool = False,
    encoding: str | None = None,
) -> bytes | str:
    """Return all of a file of any version: bytes, or with ``encoding`` text.

    The options and errors are those of :func:`open`. All of it was compared with its oid.
    """
    with open(path, "rb", rev=rev, repo=repo, remote=remote, cache=cache) as file:
        data = file.read()
    return data if encoding is None else data.decode(encoding)


def path(
    path: PathLike,
    *,
    rev: str | None = None,
    repo: PathLike | None = None,
    remote: str | None = None,
) -> str:
    """Return the path of a local file, or directory, with the content of a version.

    For libraries that take nothing but a path. It is the file of the work tree, if that is known to
    be this version, and otherwise a read-only copy in dver's cache of whole files, which is made
    if it is not there: missing content is fetched into the local store for that. The copy keeps
    the file's name, and may be deleted at any time: ask again in a new process.

    Do not write to it. The options and errors are those of :func:`open`.
    """
    from dver.ops.looking.localpath import local_path

    place, view, located = _find(path, rev, repo, remote)
    with as_files_say():
        return local_path(view, located, lambda inner: place.bring(view, inner))


def _find(
    path: PathLike, rev: str | None, repo: PathLike | None, remote: str | None
) -> tuple[Session, View, bytes]:
    """Return a session, the version in it, and the repository path that a path means."""
    text = os.fsdecode(path)
    if text.startswith("dver://"):
        raise UsageError(
            f"{show(text)} is a URL, and dver.open takes a path",
            hint="leave out 'dver://', or use fsspec.open",
        )
    place = session(repo, rev, remote)
    view = place.view(rev)
    located = _locate(place, text)
    return place, view, located


def _locate(place: Session, text: str) -> bytes:
    # Sessions outlive a change of directory, but their repositories stand where they were opened.
    found: bytes = place.repo.locate(text)
    return data_path(found) if is_pointer_path(found) else found
