"""What this clone remembers of its remotes, without asking them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base.errors import CorruptError, MissingContentError
from dver.base.oid import Oid, format_oid
from dver.base.quoting import show
from dver.base.regular import read_regular
from dver.formats import storeinfo
from dver.formats.pointer import origin_lines
from dver.ops.targets.target import read_target
from dver.store import layout
from dver.store.index import Index, Segment

if TYPE_CHECKING:
    from dver.formats.purged import Purged
    from dver.repo import Repo
    from dver.store.tombstones import Tombstones

_PURGED = (
    "it is nowhere to be had; 'dver rm' stops tracking a path, 'dver add' records other content"
)


class Remembered:
    """One remote as it was when it was last asked. ``known`` is False if it never was."""

    def __init__(self, name: str, cache: Path) -> None:
        self.name = name
        self.known = (cache / storeinfo.KEY).exists()
        self._index = Index(_segments(cache / "index"))
        self._kept = kept(cache / "roots")

    def __contains__(self, oid: object) -> bool:
        return oid in self._kept or (isinstance(oid, bytes) and Oid(oid) in self._index)

    def keeps(self, oid: Oid) -> bool:
        """Say whether some push put an object there with all that it needs."""
        return oid in self._kept


def remembered(repo: Repo, name: str) -> Remembered:
    """Return what is remembered of a remote."""
    return Remembered(name, repo.common_state_dir / "remotes" / name)


def locate_missing(repo: Repo, oids: Sequence[Oid]) -> dict[Oid, tuple[str, ...]]:
    """Return for each object the names of the remotes that had it when they were last asked."""
    from dver.config.remotes import list_remotes

    views = [remembered(repo, one.name) for one in list_remotes(repo.config)]
    return {oid: tuple(view.name for view in views if oid in view) for oid in oids}


def missing_error(repo: Repo, lost: Sequence[tuple[bytes, Oid]], where: str) -> MissingContentError:
    """Return the error for content at (path, oid) that is missing, having looked at ``where``.

    Its paths tell the oids, and its hint is the command that would bring them, if one would. A
    remote that ``where`` tells of was asked in vain, whatever is remembered of it. What was purged
    is told to be that.
    """
    from dver.store.tombstones import read_tombstones

    purged = read_tombstones(repo.store.local_directory())
    if purged and all(oid in purged for _, oid in lost):
        return purged_error(repo, lost, purged)
    found = locate_missing(repo, [oid for _, oid in lost])
    names = sorted({name for places in found.values() for name in places})
    names = [name for name in names if f"the remote '{name}' " not in where]
    hint = (
        "run 'dver push' in a clone that has it; 'dver whereis --check PATH' asks every remote here"
    )
    if names:
        hint = f"the remote {names[0]!r} had it when it was last asked: dver fetch -r {names[0]}"
    elif lost and (shown := _imported_at(repo, lost[0][0])) is not None:
        hint = f"it was imported, and 'dver pull {shown}' asks where it came from"
    number = "1 path" if len(lost) == 1 else f"{len(lost):,} paths"
    return MissingContentError(
        f"the content of {number} is not in {where}",
        hint=hint,
        paths=[_line(repo, path, oid, purged) for path, oid in lost],
    )


def purged_error(
    repo: Repo, lost: Sequence[tuple[bytes, Oid]], purged: Tombstones
) -> MissingContentError:
    """Return the error for content at (path, oid), all of which was purged."""
    words = {purged[oid].words for _, oid in lost}
    number = "1 path" if len(lost) == 1 else f"{len(lost):,} paths"
    one = len(words) == 1
    return MissingContentError(
        f"the content of {number} was {words.pop() if one else 'purged'}",
        hint=_PURGED,
        paths=[_line(repo, path, oid, {} if one else purged) for path, oid in lost],
    )


def was_purged(error: MissingContentError) -> bool:
    """Say whether all that an error is about was purged, so that nothing brings it."""
    return error.hint == _PURGED


def _line(repo: Repo, path: bytes, oid: Oid, purged: Mapping[Oid, Purged]) -> str:
    words = f", {purged[oid].words}" if oid in purged else ""
    return f"{show(repo.display(path))} ({format_oid(oid)}{words})"


def _imported_at(repo: Repo, path: bytes) -> str | None:
    """Return how to name the imported target that a path is or lies in, None if there is none."""
    root = os.fsencode(repo.root)
    while path and not repo.git.is_bare:
        target = read_target(root, path)
        if target.present:
            return show(repo.display(path)) if origin_lines(target.raw) else None
        path = path.rpartition(b"/")[0]
    return None


def _segments(directory: Path) -> list[Segment]:
    found = []
    with contextlib.suppress(FileNotFoundError):
        for text in os.listdir(directory):
            name = layout.name_of(text)
            # A damaged copy is read again from the remote when that is asked.
            with contextlib.suppress(OSError, CorruptError):
                if name is not None:
                    found.append(Segment.map(str(directory / text), name))
    return sorted(found, key=len, reverse=True)


def kept(directory: Path) -> set[Oid]:
    """Return the objects that the roots in a directory keep; damaged roots count as absent."""
    found: set[Oid] = set()
    with contextlib.suppress(FileNotFoundError):
        for text in os.listdir(directory):
            from dver.formats import root as roots

            with contextlib.suppress(OSError, CorruptError):
                data = read_regular(directory / text, limit=roots.MAX_SIZE)
                root = roots.decode(data)
                found.update(one.oid for one in root.objects)
    return found
