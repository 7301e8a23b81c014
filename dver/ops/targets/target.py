"""The targets of the work tree as operations that change them see them: broken pointers too."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dver.base import fsio
from dver.base.errors import FormatError, RefusedError, SystemFailure
from dver.base.osat import osat
from dver.base.quoting import show
from dver.formats import names
from dver.formats import pointer as pointers
from dver.formats.pointer import Pointer
from dver.git.pointers import PointerFile, data_path, in_workspace, pointer_path

if TYPE_CHECKING:
    from dver.repo import Repo

_READ = os.O_RDONLY | fsio.OPEN_FLAGS | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Target(NamedTuple):
    """One pointer file of the work tree or index.

    ``pointer`` is what it says, or None with the reason in ``problem`` if it cannot be read.
    ``present`` is False when git knows the file and it is not in the work tree; then both are
    None. ``raw`` are its bytes.
    """

    path: bytes
    file: PointerFile
    present: bool
    raw: bytes = b""
    pointer: Pointer | None = None
    problem: FormatError | None = None


def load_targets(repo: Repo, under: Sequence[bytes] = (b"",)) -> dict[bytes, Target]:
    """Return the targets at, below and above some data paths, by path, in ascending order.

    Nothing here raises for a broken pointer; see :func:`usable`.
    """
    root = os.fsencode(repo.root)
    found = {}
    seen: dict[bytes, bytes | None] = {}
    for file in in_workspace(repo.git, under, ancestors=True):
        path = data_path(file.path)
        found[path] = read_target(root, path, file, seen)
    return dict(sorted(found.items()))


def read_target(
    root: bytes,
    path: bytes,
    file: PointerFile | None = None,
    seen: dict[bytes, bytes | None] | None = None,
) -> Target:
    """Read the pointer file for a data path; ``file`` is what git sees of it, if that was asked.

    What lies beyond a symlink is not in the work tree, as for git. ``seen`` is for
    :func:`~dver.base.fsio.symlink_above`.
    """
    file = file or PointerFile(pointer_path(path), None)
    if fsio.symlink_above(root, path, seen) is not None:
        return Target(path, file, present=False)
    try:
        data = read_pointer(os.path.join(root, file.path))
        if data is None:
            return Target(path, file, present=False)
        return Target(path, file, present=True, raw=data, pointer=decode_at(path, data))
    except FormatError as error:
        return Target(path, file, present=True, problem=error)


def decode_at(path: bytes, data: bytes) -> Pointer:
    """Parse the pointer of a data path, refusing paths that no data may have (``..dver``)."""
    names.check_path(path)
    return pointers.decode(data)


def read_pointer(path: bytes, *, limit: int = pointers.MAX_SIZE) -> bytes | None:
    """Return the bytes of a pointer file, or None if there is none.

    What is longer than ``limit`` bytes is cut after ``limit + 1``, so that it can be told. Raises
    FormatError for what is no regular file, and SystemFailure if it cannot be read.
    """
    try:
        fd = os.open(path, _READ)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if os.path.islink(path):
            raise FormatError("it is a symlink", hint="replace it by a file") from error
        if os.path.isdir(path):  # which Windows does not open
            return None
        raise fsio.failure(error, "read", path) from error
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            return None
        if not stat.S_ISREG(mode):
            raise FormatError("it is no regular file", hint="move it away")
        return os.read(fd, limit + 1)
    except OSError as error:
        raise fsio.failure(error, "read", path) from error
    finally:
        os.close(fd)


def usable(repo: Repo, target: Target) -> Pointer:
    """Return a target's pointer. Raises FormatError, which names the file, if it is broken."""
    if target.pointer is not None:
        return target.pointer
    name = show(repo.display(target.file.path))
    if target.problem is None:
        raise RefusedError(
            f"the pointer {name} is not in the work tree", hint=f"git checkout -- {name}"
        )
    raise FormatError(
        f"the pointer {name} is broken: {target.problem.message}",
        hint=target.problem.hint or broken_hint(name),
    ) from target.problem


def broken_hint(name: str) -> str:
    """Return what to do about a broken pointer that does not say it itself."""
    return f"'git log -- {name}' lists its versions, 'git checkout REV -- {name}' takes one back"


def present_targets(targets: Mapping[bytes, Target]) -> dict[bytes, Target]:
    """Return those whose pointer is in the work tree."""
    return {path: target for path, target in targets.items() if target.present}


def write_pointers(
    repo: Repo,
    pointers_by_path: Mapping[bytes, Pointer],
    origin_lines: Mapping[bytes, bytes] | None = None,
) -> list[bytes]:
    """Write the pointers of data paths, durably; return the paths of the pointer files.

    Each is replaced in one step. A directory is synced once, however many pointers it got.
    ``origin_lines`` say where imported data came from; without it the lines that a pointer file has
    stay as they are. Raises RefusedError, with nothing written, if one would be written through a
    symlink.
    """
    refuse_symlinks_above(os.fsencode(repo.root), pointers_by_path)
    written = []
    directories: dict[str, None] = {}
    for path, pointer in pointers_by_path.items():
        name = pointer_path(path)
        final = os.fsdecode(repo.absolute(name))
        directory = os.path.dirname(final)
        lines = _lines_at(final) if origin_lines is None else origin_lines.get(path, b"")
        _replace(directory, final, pointers.with_origin(pointers.encode(pointer), lines))
        directories[directory] = None
        written.append(name)
    for directory in directories:
        fsio.sync_dir(directory)
    return written


def _lines_at(final: str) -> bytes:
    """Return the origin lines of a pointer file that is about to be replaced."""
    try:
        data = read_pointer(os.fsencode(final))
        # Between the markers of a conflict stand those of two sides.
        return b"" if data is None or b"<<<<<<<" in data else pointers.origin_lines(data)
    except (FormatError, SystemFailure):
        return b""


def refuse_symlinks_above(root: bytes, paths: Iterable[bytes]) -> None:
    """Raise RefusedError if one of the paths lies beyond a symlink."""
    seen: dict[bytes, bytes | None] = {}
    for path in paths:
        link = fsio.symlink_above(root, path, seen)
        if link is not None:
            raise RefusedError(
                f"{show(link)} is a symlink where a directory is needed, and dver never"
                " writes through symlinks",
                hint="move it away and run the same command again",
                paths=[os.fsdecode(path)],
            )


def _replace(directory: str, final: str, data: bytes) -> None:
    fd, temp = fsio.create_temp(directory)
    try:
        try:
            fsio.write_all(fd, data, final)
            fsio.sync_file(fd, final)
        finally:
            os.close(fd)
        fsio.publish(temp, final, replace=True)
    except BaseException:
        with contextlib.suppress(OSError):
            osat.unlink(temp)
        raise
