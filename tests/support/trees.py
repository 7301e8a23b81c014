"""Trees of nested dicts: text is a file's content, a dict a directory."""

from __future__ import annotations

from dver.base.oid import Oid, oid_of
from dver.formats import tree as trees
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY, EXECUTABLE, FILE, Entry

Nested = dict[str, "str | Nested"]


def build(nested: Nested, into: dict[Oid, bytes]) -> tuple[Oid, int, int]:
    """Encode nested dicts into ``into`` and return (oid, size, files) of the top.

    Content that begins with ``#!`` makes an executable file.
    """
    entries, below = [], 0
    for name, value in nested.items():
        if isinstance(value, dict):
            oid, size, files = build(value, into)
            below += files
            entries.append(Entry(DIRECTORY, name.encode(), size, oid))
        else:
            kind = EXECUTABLE if value.startswith("#!") else FILE
            content = value.encode()
            entries.append(Entry(kind, name.encode(), len(content), oid_of(content)))
    tree = trees.build(entries, below)
    data = trees.encode(tree)
    oid = oid_of(data)
    into[oid] = data
    return oid, tree.size, tree.files


def pointer_to(content: str | Nested, into: dict[Oid, bytes]) -> Pointer:
    """Return the pointer for a file's content or a directory, its trees put into ``into``."""
    if isinstance(content, dict):
        oid, size, files = build(content, into)
        return Pointer("tree", oid, size, files)
    data = content.encode()
    return Pointer("file", oid_of(data), len(data), 1, content.startswith("#!"))
