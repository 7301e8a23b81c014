"""Which files of an imported directory are still what they were, so that only the rest comes again.

What the source said of each file is noted beside the other facts of the clone when the directory
comes: a file of the same size and ETag is the one that came then. Without a note, in another clone
for instance, content that is here is compared with the MD5 that the source gives.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base import clock, fsio
from dver.base.errors import DverError, MissingContentError
from dver.base.oid import Oid, oid_of
from dver.formats.origin import UNSEEN, Origin
from dver.formats.tree import FILE
from dver.storage.plain.base import Facts, new_md5
from dver.store import walk

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.store.store import Store

#: Below dver's common directory.
DIRECTORY = "listings"
#: Notes are thrown away after so long (seconds); without them, MD5 has to do.
_KEPT_SECONDS = 365 * 86400.0
_MD5 = re.compile(r"[0-9a-f]{32}")

#: What is here of a directory: oids and sizes by path.
Known = Mapping[bytes, tuple[Oid, int]]


def note(repo: Repo, origin: Origin, files: Sequence[Facts]) -> None:
    """Note what a source said of the files of a directory that came."""
    place = _place(repo, origin)
    if place is None:
        return
    fsio.make_dirs(os.fspath(place.parent))
    lines = [json.dumps([one.name, one.size, one.etag]).encode() + b"\n" for one in files]
    _tidy(place.parent)
    fsio.write_atomic(place, lines, durable=False)


def unchanged(repo: Repo, before: Origin, files: Sequence[Facts]) -> dict[bytes, tuple[Oid, int]]:
    """Return what is here already of a directory, by paths; ``before`` is what was imported."""
    if before.oid is None or before.oid == UNSEEN:
        return {}
    try:
        here = files_of(repo.store, before.oid)
    except MissingContentError:
        return {}
    told = _told(repo, before)
    found: dict[bytes, tuple[Oid, int]] = {}
    for one in files:
        path = os.fsencode(one.name)
        known = here.get(path)
        if known is None or one.size != known[1] or not repo.store.is_complete(known[0]):
            continue
        if one.name in told:
            same = bool(one.etag) and told[one.name] == (one.size, one.etag)
        else:
            # Many an ETag is the MD5; one that is not is equal to no MD5.
            said = one.md5 or one.etag
            same = bool(_MD5.fullmatch(said)) and _md5(repo.store, known[0]) == said
        if same:
            found[path] = known
    return found


def _tidy(directory: Path) -> None:
    before = clock.now_ns() / 1e9 - _KEPT_SECONDS
    with os.scandir(directory) as found:
        for one in found:
            with contextlib.suppress(OSError):
                if one.stat(follow_symlinks=False).st_mtime < before:
                    os.unlink(one.path)


def files_of(store: Store, oid: Oid) -> dict[bytes, tuple[Oid, int]]:
    """Return the plain files of a directory. Raises MissingContentError."""
    return {
        walk.join(path, name): (tree.oid(i), tree.sizes[i])
        for path, _, tree in walk.walk(store, oid)
        for i, name in enumerate(tree.names)
        if tree.kinds[i] == FILE
    }


def _told(repo: Repo, origin: Origin) -> dict[str, tuple[int | None, str]]:
    place = _place(repo, origin)
    found: dict[str, tuple[int | None, str]] = {}
    if place is None:
        return found
    try:
        with place.open("rb") as lines:
            for line in lines:
                name, size, etag = json.loads(line)
                found[name] = size, etag
    except (OSError, ValueError, TypeError):
        return {}
    return found


def _place(repo: Repo, origin: Origin) -> Path | None:
    """Return where is noted what a source said, by all that says which version came."""
    if origin.oid is None:
        return None
    parts = [origin.url, origin.endpoint, origin.etag, origin.oid.hex()]
    parts = [origin.url, origin.endpoint, origin.etag, origin.oid.hex()]
    said = "\0".join(parts)
    name = oid_of(said.encode("utf-8", "surrogateescape")).hex()[:32]
    return repo.common_state_dir / DIRECTORY / name


def _md5(store: Store, oid: Oid) -> str:
    digest = new_md5()
    try:
        for piece in store.stream(oid):
            digest.update(piece)
    except DverError:
        return ""
    return digest.hexdigest()
