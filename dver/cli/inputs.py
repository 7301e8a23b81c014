"""What commands read besides their arguments: lists of paths, and where revisions end."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from dver.base.errors import NotFoundError, UsageError
from dver.base.fsio import explained
from dver.base.quoting import show
from dver.cli.command import AFTER_DASHES

if TYPE_CHECKING:
    from dver.repo import Repo

#: The longest list of paths that is read (bytes).
MAX_LIST = 256 << 20


def read_list(name: str) -> bytes:
    """Return the bytes of a file of paths; ``-`` is standard input.

    Raises UsageError for more than any list of paths has, such as an endless stream.
    """
    if name == "-":
        data = sys.stdin.buffer.read(MAX_LIST + 1) if sys.stdin is not None else b""
    else:
        with explained("read", name), open(name, "rb") as file:
            data = file.read(MAX_LIST + 1)
    if len(data) > MAX_LIST:
        raise UsageError(
            f"the list of paths is longer than {MAX_LIST >> 20} MiB",
            hint="name the directory that holds them, or add them in several runs",
        )
    return data


def split_revision(repo: Repo, arguments: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """Part ``[REV] [PATH]...`` as git does; ``--`` decides where there is doubt."""
    from dver.ops.targets.naming import split_arguments

    try:
        return split_arguments(
            arguments,
            _after_dashes(),
            is_revision=lambda text: _is_revision(repo, text),
            is_path=lambda text: _is_path(repo, text),
        )
    except NotFoundError as error:
        name, _, rev = arguments[0].rpartition("@")
        if name and rev and _is_path(repo, name) and _is_revision(repo, rev):
            command = click.get_current_context().command_path
            hint = f"the revision stands before the path: {command} {show(rev)} {show(name)}"
            raise NotFoundError(error.message, hint=hint) from error
        near = _near(repo, arguments[0])
        if near is None:
            raise
        raise NotFoundError(error.message, hint=f"did you mean {show(near)}?") from error


def split_revisions(
    repo: Repo, arguments: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Part ``[A [B]] [PATH]...`` as :func:`split_revision` does, with up to two revisions."""
    after = _after_dashes()
    if after is not None:
        cut = len(arguments) - after
        if cut > 2:
            raise UsageError(f"at most two revisions can stand before '--', not {cut}")
        return tuple(arguments[:cut]), tuple(arguments[cut:])
    first, rest = split_revision(repo, arguments)
    if first is None:
        return (), rest
    if not rest or not _is_revision(repo, rest[0]):
        return (first,), rest
    second, paths = split_revision(repo, rest)
    return (first, second or ""), paths


def _near(repo: Repo, text: str) -> str | None:
    """Return the revision, or the name beside the one that was typed, that looks most like it."""
    from difflib import get_close_matches

    from dver.formats.pointer import SUFFIX
    from dver.git.revisions import short_ref

    names = [short_ref(ref.name) for ref in repo.git.refs()]
    directory, slash, _ = text.rpartition("/")
    with contextlib.suppress(OSError, ValueError):
        beside = os.listdir(directory or slash or ".")
        names += [directory + slash + name.removesuffix(SUFFIX) for name in beside]
    close = get_close_matches(text, dict.fromkeys(names), n=1)
    return close[0] if close else None


def _after_dashes() -> int | None:
    after: int | None = click.get_current_context().meta.get(AFTER_DASHES)
    return after


def _is_path(repo: Repo, text: str) -> bool:
    """Tell whether a word is a path; one that is a revision as well has to be there.

    Everything is a path inside of a tracked directory, where files may be missing.
    """
    if not repo.is_path(text):
        return False
    return _is_there(text) or not _is_revision(repo, text)


def _is_there(text: str) -> bool:
    from dver.formats.pointer import SUFFIX

    return os.path.lexists(text) or os.path.lexists(text.rstrip("/") + SUFFIX)


def _is_revision(repo: Repo, text: str) -> bool:
    dots = "..." if "..." in text else ".."
    sides = [side for side in text.split(dots, 1) if side] if dots in text else [text]
    return bool(sides) and all(repo.git.is_revision(side) for side in sides)
