"""Which record made something: from what a user types to a record."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import NotFoundError
from dver.base.oid import EMPTY, Oid
from dver.base.quoting import show
from dver.formats.record import Record
from dver.lineage.keeping import content_of
from dver.ops.targets.versions import entry_at, locate, typed_path, version_at

if TYPE_CHECKING:
    from dver.lineage.index import LineageIndex
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class Asked:
    """What a target means: an object, or a record; ``path`` is the object's, as it was typed."""

    text: str
    oid: Oid | None
    record: Oid | None
    path: str = ""


def find(repo: Repo, index: LineageIndex, target: str) -> Asked:
    """Return what ``PATH[@REV]``, a record's id, an oid or a plain file on disk stands for.

    Raises NotFoundError for what is none of these.
    """
    digits = target.lower().removeprefix("blake3:")
    if len(digits) >= 6 and set(digits) <= set("0123456789abcdef") and not repo.is_path(target):
        found = index.beginning_with(digits)
        if len(found) > 1:
            raise NotFoundError(f"{target!r} begins {len(found)} records; type more of it")
        if found:
            return Asked(target, None, found[0])
        if len(digits) == 64:
            return Asked(target, Oid(bytes.fromhex(digits)), None)
    path, at, rev = target.rpartition("@")
    if at and not os.path.lexists(os.path.join(repo.cwd, target)):
        return Asked(target, _tracked(repo, path, rev), None, path)
    try:
        return Asked(target, _tracked(repo, target, None), None, target)
    except NotFoundError:
        absolute = os.path.join(repo.cwd, target)
        if os.path.isfile(absolute):
            return Asked(target, content_of(absolute), None, target)
        raise


def _tracked(repo: Repo, path: str, rev: str | None) -> Oid:
    located = typed_path(repo, path)
    version = version_at(repo, rev)
    return entry_at(repo, version, locate(repo, version, located), repo.store).oid


def maker_of(repo: Repo, index: LineageIndex, asked: Asked) -> tuple[Oid, Record]:
    """Return the record that made what was asked for: the newest that ended well.

    One that was made at the same path comes before others. Raises NotFoundError if there is none.
    """
    if asked.record is not None:
        value = index.record(asked.record)
        if value is None:
            raise NotFoundError(f"there is no record {asked.text}")
        return asked.record, value
    found: list[tuple[Oid, Record]] = []
    for one in index.makers(asked.oid or EMPTY):
        value = index.record(one)
        if value is not None and value.kind != "reproduce":
            found.append((one, value))
    if not found:
        raise NotFoundError(
            f"no record tells what made {show(asked.text)}",
            hint="'dver run -o PATH -- COMMAND' makes one; for what was made elsewhere"
            " there is 'dver record --from FILE'",
        )
    path = repo.locate(asked.path) if asked.path else b""
    at_path = [pair for pair in found if _made_at(pair[1], path)]
    return (at_path or found)[0]


def _made_at(value: Record, path: bytes) -> bool:
    return any(os.fsencode(item.path) == path for item in value.outputs)
