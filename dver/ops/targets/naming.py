"""From what was typed on a command line to targets: lists, patterns, and the nearest names."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Sequence

from dver.base.errors import NotFoundError, UsageError
from dver.base.quoting import show
from dver.formats.pointer import SUFFIX

_MAGIC = frozenset("*?[")


def read_list(data: bytes) -> tuple[str, ...]:
    """Split a list of paths: each ended by NUL if there is a NUL in it, else by a line feed."""
    separator = b"\0" if b"\0" in data else b"\n"
    return tuple(os.fsdecode(path) for path in data.split(separator) if path)


def expand(
    cwd: str,
    args: Iterable[str],
    is_known: Callable[[str], bool],
    may_be_gone: Callable[[str], bool] | None = None,
) -> list[str]:
    """Expand the patterns that the shell left alone, relative to ``cwd``; keep all other names.

    An argument is a pattern only if nothing of that very name exists, on disk or to ``is_known``.
    Patterns have ``*``, ``?``, ``[...]`` and ``**``, pass over hidden files as a shell does, and
    never match pointer files. One that matches nothing counts as a name if ``may_be_gone`` says
    so, and otherwise raises NotFoundError.
    """
    found: dict[str, None] = {}
    for arg in args:
        if not _MAGIC.intersection(arg) or os.path.lexists(os.path.join(cwd, arg)) or is_known(arg):
            found[arg] = None
            continue
        import glob

        matches = glob.glob(arg, root_dir=cwd, recursive=True)
        matches = sorted(name for name in matches if not name.endswith(SUFFIX))
        if not matches and may_be_gone is not None and may_be_gone(arg):
            found[arg] = None
        elif not matches:
            raise NotFoundError(
                f"nothing matches the pattern {show(arg)}",
                hint="quote a pattern to keep the shell from expanding it in another directory",
            )
        found.update(dict.fromkeys(matches))
    return list(found)


def split_arguments(
    args: Sequence[str],
    after_dashes: int | None,
    *,
    is_revision: Callable[[str], bool],
    is_path: Callable[[str], bool],
) -> tuple[str | None, tuple[str, ...]]:
    """Tell the revision from the paths on a command line, by git's rules.

    ``after_dashes`` is how many of the arguments stood after ``--``, None if there was none. What
    stands before it is a revision, what stands after it are paths. Without it the first argument
    is whichever of the two it names; if it names both, UsageError asks for ``--``.
    """
    if after_dashes is not None:
        before = args[: len(args) - after_dashes]
        if len(before) > 1:
            raise UsageError(
                f"only one revision can stand before '--', not {len(before)}",
                hint="dver checkout [REV] -- PATH...",
            )
        return (before[0] if before else None), tuple(args[len(before) :])
    if not args:
        return None, ()
    first = args[0]
    if is_revision(first):
        if is_path(first):
            raise UsageError(
                f"{show(first)} is both a revision and a path",
                hint="put '--' after it for the revision, before it for the path",
            )
        return first, tuple(args[1:])
    if not is_path(first):
        raise NotFoundError(
            f"{show(first)} is neither a revision nor a tracked path",
            hint="'dver ls' lists what is tracked, 'git log --oneline --all' the revisions",
        )
    return None, tuple(args)


def holder(targets: Collection[bytes], path: bytes) -> bytes | None:
    """Return the target that a path is or lies in, or None."""
    while path:
        if path in targets:
            return path
        path = path.rpartition(b"/")[0]
    return None


def below(targets: Sequence[bytes], directory: bytes) -> Sequence[bytes]:
    """Return those of the targets, given in ascending order, that lie in a directory."""
    if not directory:
        return targets
    first = bisect_left(targets, directory + b"/")
    # '0' is the byte after '/'.
    return targets[first : bisect_left(targets, directory + b"0")]


def not_found(
    what: str,
    path: bytes,
    root: str,
    targets: Iterable[bytes],
    display: Callable[[bytes], str],
    *,
    otherwise: str | None = "'dver ls' lists what is tracked, 'dver ls --rev REV' what was",
) -> NotFoundError:
    """Return the error for a path that does not exist, with the nearest name as a hint.

    ``what`` begins the message, before the path. Names come from the path's directory on disk and
    from the targets. What is there, and tracked by nobody, can be added. ``otherwise`` is the hint
    when no name is near.
    """
    import difflib

    shown = show(display(path))
    if _is_untracked(root, path):
        return NotFoundError(
            f"{what} {shown}", hint=f"it is not tracked; 'dver add {shown}' tracks it"
        )
    directory, _, name = os.fsdecode(path).rpartition("/")
    near: dict[str, bytes] = {}
    try:
        names = os.listdir(os.path.join(root, directory))
    except OSError:
        names = []
    for other in names:
        if other != name and not other.endswith(SUFFIX):
            near[other] = os.fsencode(os.path.join(directory, other))
    for target in targets:
        near.setdefault(os.fsdecode(target.rpartition(b"/")[2]), target)
    match = difflib.get_close_matches(name, near, n=1)
    hint = otherwise
    if match:
        hint = f"did you mean {show(display(near[match[0]]))}?"
    return NotFoundError(f"{what} {shown}", hint=hint)


def _is_untracked(root: str, path: bytes) -> bool:
    """Tell whether something is at a path, with no pointer for it or for a directory above."""
    at = os.path.join(os.fsencode(root), path)
    if not path or not os.path.lexists(at):
        return False
    parts = path.split(b"/")
    return not any(
        os.path.lexists(os.path.join(os.fsencode(root), *parts[:count]) + SUFFIX.encode())
        for count in range(1, len(parts) + 1)
    )
