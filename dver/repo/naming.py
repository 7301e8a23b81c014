"""From what the user types to repository paths, and back."""

from __future__ import annotations

import os

from dver.base.errors import UsageError
from dver.base.quoting import show
from dver.git.repository import Git

_WINDOWS = os.sep == "\\"


def locate(git: Git, argument: str) -> bytes:
    """Return the repository path that an argument names; ``b""`` is the top.

    ``argument`` is relative to where the user stands, or absolute, by any spelling of the
    directories above the repository. It need not exist, and its last part is not followed when
    it is a symlink. Raises UsageError if it is outside, or inside a ``.git`` directory.
    """
    if not argument or "\0" in argument:
        raise UsageError(f"not a path: {show(argument)}")
    path = _relative_in_bare(argument) if git.is_bare else _relative(git, argument)
    if path is None:
        raise UsageError(
            f"{show(argument)} is outside the repository {show(git.root)}",
            hint="give a path inside it, or change directory",
        )
    if any(part.lower() == ".git" for part in path.split("/")):
        raise UsageError(f"{show(argument)} is inside a git directory")
    return os.fsencode(path)


def _relative_in_bare(argument: str) -> str | None:
    # There is no working tree to stand in: paths are those of the trees in git.
    path = os.path.normpath(argument).replace(os.sep, "/")
    if os.path.isabs(path) or path == ".." or path.startswith("../"):
        return None
    return "" if path == "." else path


def _relative(git: Git, argument: str) -> str | None:
    root = str(git.root)
    path = os.path.normpath(os.path.join(git.cwd, argument))
    inside = _below(root, path)
    if inside is not None:
        return inside
    # Another spelling of the way here, through symlinks: find the first directory on it that
    # is really the repository or inside it. What comes after is left as it was typed.
    parts = path.split(os.sep)
    for count in range(2, len(parts) + 1):
        ancestor = os.sep.join(parts[:count])
        if count == len(parts) and not os.path.isdir(ancestor):
            return None
        real = os.path.realpath(ancestor)
        inside = _below(root, real)
        if inside is not None:
            return "/".join(part for part in (inside, *parts[count:]) if part)
    return None


def _below(root: str, path: str) -> str | None:
    """Return ``path`` relative to ``root``, or None if it is not at or below it."""
    first, second = os.path.normcase(root), os.path.normcase(path)
    if second == first:
        return ""
    prefix = first if first.endswith(os.sep) else first + os.sep
    if not second.startswith(prefix):
        return None
    inside = path[len(prefix) :]
    return inside.replace(os.sep, "/") if _WINDOWS else inside


def in_git(path: str | os.PathLike[str], root: str | os.PathLike[str]) -> str:
    """Return where a path of this system is below a root, spelled as git does, with ``/``.

    What is not below it climbs with ``..``, or is absolute on another drive of Windows.
    """
    try:
        found = os.path.relpath(path, root)
    except ValueError:
        found = os.path.abspath(path)
    return found.replace(os.sep, "/") if _WINDOWS else found


def display(git: Git, path: bytes) -> str:
    """Return a repository path relative to where the user stands.

    Outside the working tree it is absolute, and in a bare repository as it is in git. One that a
    command would take for an option, or git for a pathspec's magic, begins with ``./``.
    """
    text = _displayed(git, path)
    return os.path.join(os.curdir, text) if text.startswith(("-", ":")) else text


def _displayed(git: Git, path: bytes) -> str:
    text = os.fsdecode(path)
    if git.is_bare:
        return text or "."
    if git.prefix is None:
        return os.path.join(git.root, text) if text else str(git.root)
    if not git.prefix:
        return text.replace("/", os.sep) if text else os.curdir
    if path == git.prefix:
        return os.curdir
    if path.startswith(git.prefix + b"/"):
        return os.fsdecode(path[len(git.prefix) + 1 :]).replace("/", os.sep)
    return _climb(os.fsdecode(git.prefix).split("/"), text.split("/") if text else [])


def _climb(start: list[str], goal: list[str]) -> str:
    common = 0
    for ours, theirs in zip(start, goal, strict=False):
        if ours != theirs:
            break
        common += 1
    return os.sep.join([os.pardir] * (len(start) - common) + goal[common:]) or os.curdir
