"""From objects that cannot be had back to the paths that need them.

Transfers remember objects, not paths, so that memory does not grow with them. When something went
wrong, the trees are walked once more to say where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dver.base.errors import CorruptError, MissingContentError
from dver.base.oid import Oid
from dver.formats.tree import DIRECTORY, MAX_DEPTH
from dver.store.walk import TreeSource, join


def trace(
    source: TreeSource,
    kind: str,
    oid: Oid,
    path: bytes,
    is_bad: Callable[[Oid], bool],
    *,
    inside: tuple[bytes, ...] = (),
) -> Iterator[tuple[bytes, Oid]]:
    """Yield (path, oid) of everything bad that a file or directory needs.

    A directory that cannot be read is yielded itself. ``inside`` restricts to paths below it.
    """
    if kind != "tree":
        if is_bad(oid):
            yield path, oid
        return
    yield from _below(source, oid, path, is_bad, inside, set(), 0)


def _below(
    source: TreeSource,
    oid: Oid,
    path: bytes,
    is_bad: Callable[[Oid], bool],
    inside: tuple[bytes, ...],
    seen: set[tuple[Oid, tuple[bytes, ...]]],
    depth: int,
) -> Iterator[tuple[bytes, Oid]]:
    if (oid, inside) in seen or depth > MAX_DEPTH:
        return
    seen.add((oid, inside))
    try:
        tree = source.read_tree(oid)
    except (MissingContentError, CorruptError):
        yield path, oid
        return
    names = heads(inside)
    for entry in tree:
        if names and entry.name not in names:
            continue
        below = join(path, entry.name)
        if entry.kind == DIRECTORY:
            rest = names.get(entry.name, ())
            yield from _below(source, entry.oid, below, is_bad, rest, seen, depth + 1)
        elif is_bad(entry.oid):
            yield below, entry.oid


def heads(inside: tuple[bytes, ...]) -> dict[bytes, tuple[bytes, ...]]:
    """Return the first names of some relative paths, each with what follows it.

    A name that is wanted as a whole has () after it, whatever else is said of it.
    """
    found: dict[bytes, tuple[bytes, ...]] = {}
    whole = {path for path in inside if b"/" not in path}
    for path in inside:
        name, _, rest = path.partition(b"/")
        found[name] = () if name in whole else (*found.get(name, ()), rest)
    return found
