"""What ``git diff`` and ``git log -p`` show in place of a pointer: a line for each file.

Git compares two such texts, so that a file that was added, removed or changed is a line that was.
No remote is asked, and nothing fails: what cannot be shown is shown as git would show it.
"""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.errors import DverError, FormatError
from dver.base.quoting import show
from dver.formats import pointer as pointers
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY, EXECUTABLE, SYMLINK, Entry, Tree
from dver.store.walk import Budget, join

if TYPE_CHECKING:
    from dver.repo import Repo

#: How many lines one directory gets at most; what is deeper is told by whole directories then.
MAX_LINES = 100_000
#: The longest table whose rows are counted (bytes).
MAX_TABLE = 4 << 20
#: How many bytes all texts that are kept may have together, and one of them.
_CACHE = 64 << 20
_MAX_CACHED = 16 << 20
_TABLES = {b".csv": ",", b".tsv": "\t"}
_KINDS = {EXECUTABLE: "*", SYMLINK: "@", DIRECTORY: "/"}


def as_text(repo: Repo, name: str) -> bytes:
    """Return the text for a file that git gives: a pointer, or some version of one.

    What could be told in full is kept for the next time in ``textconv/`` of dver's directory, by
    its oid. Raises SystemFailure if the file cannot be read.
    """
    path = os.fsencode(name)
    with fsio.explained("read", path), open(path, "rb") as file:
        data = file.read()
    try:
        pointer = pointers.decode(data)
    except FormatError:
        return data
    text = None
    with contextlib.suppress(DverError):
        text = _describe(repo, pointer, path)
    if text is None:
        return data
    if len(text) <= _MAX_CACHED:
        _keep(repo, pointer, text)
    return text


def _describe(repo: Repo, pointer: Pointer, path: bytes) -> bytes | None:
    if pointer.kind == "tree":
        lines = [*_head(pointer), *_tree_lines(repo, pointer)]
    else:
        suffix = os.path.splitext(path.removesuffix(b".dver"))[1].lower()
        delimiter = _TABLES.get(suffix)
        if delimiter is None or pointer.size > MAX_TABLE:
            return None
        lines = [*_head(pointer), *_table_lines(repo, pointer, delimiter)]
    return "".join(line + "\n" for line in lines).encode("utf-8", "backslashreplace")


def _head(pointer: Pointer) -> Iterator[str]:
    yield from pointers.encode(pointer).decode("ascii").splitlines()


def _tree_lines(repo: Repo, pointer: Pointer) -> Iterator[str]:
    """Yield a line for each file, as many directories opened as there is room for.

    Directories are opened level by level, so that two versions of one directory are opened alike.
    """
    budget = Budget()
    top = repo.store.read_tree(pointer.oid)
    opened: dict[bytes, Tree] = {b"": top}
    room = MAX_LINES - len(top)
    level = [(b"", top)]
    for depth in range(1, 257):
        below = []
        for path, tree in level:
            for entry in tree:
                if entry.kind == DIRECTORY and room > 0:
                    inner = repo.store.read_tree(entry.oid)
                    budget.spend(inner, depth)
                    room -= len(inner)
                    if room >= 0 or len(inner) == 0:
                        where = join(path, entry.name)
                        opened[where] = inner
                        below.append((where, inner))
        level = below
        if not level:
            break
    if len(top) > MAX_LINES:
        yield f"more than {MAX_LINES:,} entries: 'dver diff REV REV' lists what differs"
        return
    yield from _lines_below(b"", opened)


def _lines_below(path: bytes, opened: dict[bytes, Tree]) -> Iterator[str]:
    for entry in opened[path]:
        where = join(path, entry.name)
        if where in opened and len(opened[where]):
            yield from _lines_below(where, opened)
        else:
            yield _line(where, entry)


def _line(path: bytes, entry: Entry) -> str:
    return f"{entry.oid.hex()[:10]} {entry.size:>12}  {show(path)}{_KINDS.get(entry.kind, '')}"


def _table_lines(repo: Repo, pointer: Pointer, delimiter: str) -> Iterator[str]:
    text = repo.store.read(pointer.oid, limit=MAX_TABLE).decode("utf-8", "replace")
    rows = csv.reader(text.splitlines(), delimiter=delimiter)
    try:
        header = next(rows, [])
        count = sum(1 for row in rows if row)
    except csv.Error:
        return
    yield f"rows: {count}"
    for number, name in enumerate(header[:1000], 1):
        yield f"column {number}: {show(name[:200])}"


def _keep(repo: Repo, pointer: Pointer, text: bytes) -> None:
    """Keep a text for the next time; git asks for the same version again and again."""
    directory = repo.common_state_dir / "textconv"
    with contextlib.suppress(DverError, OSError):
        fsio.make_dirs(directory)
        with os.scandir(directory) as found:
            kept = {entry.path: entry.stat().st_size for entry in found}
        if sum(kept.values()) + len(text) > _CACHE:
            for path in kept:
                fsio.remove(path)
        fsio.write_atomic(directory / pointer.oid.hex(), text, durable=False)
