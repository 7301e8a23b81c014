"""Keeping data out of git: one line in the ``.gitignore`` of the directory that holds it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator

from dver.base import fsio
from dver.base.errors import DverError, RefusedError, SystemFailure
from dver.base.quoting import show
from dver.git.repository import Git

NAME = b".gitignore"
_MAX_SIZE = 16 << 20
_SPECIAL = re.compile(rb"([\\*?\[\]])")


def ignore_line(name: bytes) -> bytes:
    """Return the line, without its end, that ignores exactly this name in its own directory.

    gitignore has no spelling for a line break, so that one becomes ``?``, any one byte.
    """
    escaped = _SPECIAL.sub(rb"\\\1", name)
    stripped = escaped.rstrip(b" \t")
    tail = escaped[len(stripped) :]
    escaped = stripped + b"".join(b"\\" + bytes([byte]) for byte in tail)
    # '\r' at the end of a line is taken for a part of the line's end.
    return b"/" + escaped.replace(b"\n", b"?").replace(b"\r", b"?")


def add(git: Git, paths: Iterable[bytes]) -> list[bytes]:
    """Make git ignore data paths; return the ``.gitignore`` files that had to change.

    Every file is replaced in one step, keeping what else is in it. Raises RefusedError if git
    would not ignore a path even so, since another rule brings it back.
    """
    wanted = list(paths)
    before: dict[bytes, bytes | None] = {}
    with _all_or_none(git, before):
        for directory, names in _by_directory(wanted).items():
            _edit(git, directory, before, add_names=names)
        hidden = git.is_ignored(wanted)
        seen = [path for path, ignored in zip(wanted, hidden, strict=True) if not ignored]
        if seen:
            raise RefusedError(
                "git would not ignore the data: a rule in a .gitignore brings it back",
                hint="git check-ignore --no-index -v PATH names the rule; remove it",
                paths=[show(path) for path in seen],
            )
    return [_join(directory, NAME) for directory in before]


def pending(git: Git, paths: Iterable[bytes]) -> list[bytes]:
    """Return the ``.gitignore`` files that :func:`add` would change for these paths."""
    return [
        _join(directory, NAME)
        for directory, names in _by_directory(paths).items()
        if (before := _read(_ignore_file(git, directory)) or b"")
        != _with_lines(before, [ignore_line(name) for name in names])
    ]


def remove(git: Git, paths: Iterable[bytes]) -> list[bytes]:
    """Take out the lines that :func:`add` wrote; return the ``.gitignore`` files that changed.

    A file of which nothing is left is deleted.
    """
    before: dict[bytes, bytes | None] = {}
    with _all_or_none(git, before):
        for directory, names in _by_directory(paths).items():
            _edit(git, directory, before, remove_names=names)
    return [_join(directory, NAME) for directory in before]


@contextlib.contextmanager
def _all_or_none(git: Git, before: dict[bytes, bytes | None]) -> Iterator[None]:
    """Write back what was in files that were changed, if the block fails and they can be written.

    Data that one file hides already and that gets no pointer would be seen by nobody.
    """
    try:
        yield
    except BaseException:
        for directory, data in before.items():
            with contextlib.suppress(DverError):
                _write(_ignore_file(git, directory), data or b"")
        raise


def _by_directory(paths: Iterable[bytes]) -> dict[bytes, list[bytes]]:
    grouped: dict[bytes, list[bytes]] = {}
    for path in paths:
        directory, _, name = path.rpartition(b"/")
        grouped.setdefault(directory, []).append(name)
    return grouped


def _join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory else name


def _ignore_file(git: Git, directory: bytes) -> bytes:
    return os.path.join(os.fsencode(git.root), directory, NAME)


def _edit(
    git: Git,
    directory: bytes,
    changed: dict[bytes, bytes | None],
    *,
    add_names: Iterable[bytes] = (),
    remove_names: Iterable[bytes] = (),
) -> None:
    """Edit one file, and if it changes note in ``changed`` what it held (None: no such file)."""
    path = _ignore_file(git, directory)
    link = fsio.symlink_above(os.fsencode(git.root), _join(directory, NAME))
    if link is not None:
        raise RefusedError(
            f"{show(link)} is a symlink where a directory is needed, and dver never writes"
            " through symlinks",
            hint="move it away and run the same command again",
        )
    before = _read(path)
    after = _with_lines(before or b"", [ignore_line(name) for name in add_names])
    after = _without_lines(after, {ignore_line(name) for name in remove_names})
    if after != (before or b""):
        changed[directory] = before
        _write(path, after)


def _write(path: bytes, data: bytes) -> None:
    if data:
        fsio.write_atomic(path, data)
    else:
        fsio.remove(path)
        fsio.sync_dir(os.path.dirname(path))


def _read(path: bytes) -> bytes | None:
    if os.path.islink(path):
        # git does not follow one either; writing through it could leave the repository.
        raise RefusedError(
            f"{show(path)} is a symlink, which git does not read",
            hint="replace it by a file",
        )
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_SIZE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise fsio.failure(error, "read", path) from error
    if len(data) > _MAX_SIZE:
        raise SystemFailure(f"{show(path)} is larger than {_MAX_SIZE >> 20} MiB")
    return data


def _with_lines(data: bytes, wanted: list[bytes]) -> bytes:
    lines = data.split(b"\n")
    ending = b"\r\n" if any(line.endswith(b"\r") for line in lines) else b"\n"
    present = {line.removesuffix(b"\r") for line in lines}
    new = sorted({line for line in wanted if line not in present})
    if not new:
        return data
    if data and not data.endswith(b"\n"):
        data += ending
    return data + b"".join(line + ending for line in new)


def _without_lines(data: bytes, unwanted: set[bytes]) -> bytes:
    if not unwanted:
        return data
    kept = [line for line in data.splitlines(keepends=True) if line.rstrip(b"\r\n") not in unwanted]
    return b"".join(kept)
