"""Plain data at a URL as a source of imports: what is there, and whether it is what it was."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from dver.base import clock
from dver.base.dataclass import dataclass
from dver.base.errors import (
    FormatError,
    MissingContentError,
    NotFoundError,
    RemoteError,
    TransientError,
)
from dver.base.quoting import show
from dver.formats import names
from dver.formats.origin import UNSEEN, Origin
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY
from dver.ops.sharing.importshape import Read, Shape
from dver.storage.plain.base import Facts, Plain, listing_etag
from dver.storage.plain.opening import open_plain
from dver.store import walk

if TYPE_CHECKING:
    from dver.store.store import Store

_T = TypeVar("_T")

#: So often what fails in passing is tried.
ATTEMPTS = 6
#: How long to wait before that (seconds): twice as long each time, and at most so long.
_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
_MOST_FILES = 5_000_000


@dataclass(frozen=True, slots=True)
class Upstream:
    """What is at a URL now: its origin, and of a directory the facts of its files."""

    origin: Origin
    facts: Facts
    files: tuple[Facts, ...] = ()
    is_directory: bool = False

    @property
    def size(self) -> int:
        """How many bytes there are, as far as the server says."""
        if self.is_directory:
            return sum(one.size or 0 for one in self.files)
        return self.facts.size or 0

    def pointer(self) -> Pointer:
        """Return what a pointer says of content that nobody has seen."""
        if self.is_directory:
            return Pointer("tree", UNSEEN, self.size, len(self.files))
        return Pointer("file", UNSEEN, self.size)


@contextlib.contextmanager
def opened(origin: Origin, environ: Mapping[str, str]) -> Iterator[Plain]:
    """Open the place of an origin."""
    plain = open_plain(origin.url, origin.endpoint, environ)
    try:
        yield plain
    finally:
        plain.close()


def look(plain: Plain, origin: Origin) -> Upstream:
    """Ask what is at a URL now; of a file that is unchanged, that is all that is asked.

    Raises NotFoundError if nothing is there.
    """
    if not plain.is_directory:
        known = Facts("", origin.size, origin.etag, origin.modified, origin.version)
        facts = _tried(lambda: plain.look(known))
        return Upstream(
            replace(
                origin,
                etag=facts.etag,
                modified=facts.modified,
                version=facts.version,
                size=facts.size,
            ),
            facts,
        )
    files = _tried(lambda: _listed(plain))
    if not files:
        raise NotFoundError(f"there is nothing below {plain.description}")
    etag = listing_etag(list(files))
    newest = max(one.modified for one in files)
    size = sum(one.size or 0 for one in files)
    now = replace(origin, etag=etag, modified=newest, version="", size=size)
    return Upstream(now, Facts(), files, is_directory=True)


def recorded(plain: Plain, origin: Origin) -> Upstream:
    """Return the version that an origin names: itself if the server keeps it, else what is there.

    The caller compares; see :func:`is_same`.
    """
    if origin.version and not plain.is_directory:
        facts = Facts("", origin.size, origin.etag, origin.modified, origin.version)
        return Upstream(origin, facts)
    return look(plain, origin)


def is_same(before: Origin, now: Origin) -> bool:
    """Tell whether what is at a URL is, as far as the server says, what it was."""
    if before.etag and now.etag:
        return before.etag == now.etag
    return (before.size, before.modified) == (now.size, now.modified) and bool(
        now.modified or now.size is not None
    )


def shape(store: Store, old: Pointer, there: Upstream) -> Shape:
    """Compare what was imported with what is at a URL now, by names and sizes alone."""
    if not there.is_directory or old.kind != "tree" or old.oid == UNSEEN:
        return Shape(0, 0, None if there.is_directory else 1, old.size, there.size)
    sizes = {os.fsencode(one.name): one.size for one in there.files}
    try:
        before = {
            walk.join(path, name): size
            for path, _, tree in walk.walk(store, old.oid)
            for name, size, kind in zip(tree.names, tree.sizes, tree.kinds, strict=True)
            if kind != DIRECTORY
        }
    except MissingContentError:
        return Shape(None, None, None, old.size, there.size)
    common = sizes.keys() & before.keys()
    resized = sum(sizes[path] is not None and sizes[path] != before[path] for path in common)
    added, removed = len(sizes.keys() - common), len(before.keys() - common)
    # Files of equal size may differ too: which ones, only their content tells.
    modified = resized if resized or added or removed else None
    return Shape(added, removed, modified, old.size, there.size)


def reader(plain: Plain, there: Upstream) -> Read | None:
    """Return what reads ranges of a file at a URL, which may still turn out to be damaged."""
    if there.is_directory:
        return None

    def read(start: int, end: int) -> bytes:
        data = bytearray()
        for piece in plain.read(there.facts, start):
            data += piece
            if len(data) >= end - start:
                break
        return bytes(data[: end - start])

    return read


def _listed(plain: Plain) -> tuple[Facts, ...]:
    found: list[Facts] = []
    for one in plain.entries():
        path = os.fsencode(one.name)
        try:
            names.check_path(path)
        except FormatError as error:
            raise FormatError(
                f"{plain.description} has a file {show(path)}: {error.message}"
            ) from error
        found.append(one)
        if len(found) > _MOST_FILES:
            raise RemoteError(f"{plain.description} has more than {_MOST_FILES:,} files")
    found.sort(key=lambda one: os.fsencode(one.name))
    for before, after in pairwise(found):
        if before.name == after.name or after.name.startswith(before.name + "/"):
            raise FormatError(
                f"{plain.description} has {show(before.name)} as a file and as a directory",
                hint="import the files that you need one by one",
            )
    return tuple(found)


def _tried(call: Callable[[], _T]) -> _T:
    """Call again what fails in passing."""
    for tries in range(1, ATTEMPTS):
        try:
            return call()
        except TransientError as error:
            pause(tries, error)
    return call()


def pause(tries: int, error: TransientError) -> None:
    """Wait after so many attempts, as long as the server asks for if that is longer."""
    clock.sleep(max(min(_LONGEST_PAUSE, _PAUSE * 2**tries), error.retry_after or 0.0))
