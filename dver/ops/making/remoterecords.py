"""Records that others pushed, whose commits are not in this clone: brought into the index.

A push names each record by its path among what it keeps. So all records of a remote are told by
its roots, and those that are not known are fetched, once.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from dver.base.errors import (
    CorruptError,
    MissingContentError,
    NotFoundError,
    RemoteError,
    SystemFailure,
)
from dver.base.oid import Oid
from dver.base.reporter import SILENT
from dver.formats import record, recordpath
from dver.formats.root import RootObject
from dver.lineage.signing import dsse
from dver.lineage.signing.dsse import Envelope

if TYPE_CHECKING:
    from dver.lineage.index import LineageIndex
    from dver.repo import Repo
    from dver.transfer.remote import Remote

T = TypeVar("T")


def asking(
    repo: Repo,
    index: LineageIndex,
    target: str,
    remote: str | None,
    ask: Callable[[], T],
    *,
    always: bool = False,
) -> T:
    """Return an answer from the records of git, and of a remote, None being the default one.

    The remote is asked only if records here have no answer about something that exists, or with
    ``always`` if it is named. Raises RemoteError if it then cannot be asked.
    """
    if always and remote is not None:
        bring_records(repo, index, remote)
        return ask()
    try:
        return ask()
    except NotFoundError as error:
        name = remote or repo.config.default_remote()
        if name is None or not _may_be_there(repo, target):
            raise
        try:
            brought = bring_records(repo, index, name)
        except (RemoteError, SystemFailure) as problem:
            raise NotFoundError(
                error.message, hint=f"the remote {name} could not be asked: {problem.message}"
            ) from error
        if not brought:
            raise
        return ask()


def _may_be_there(repo: Repo, target: str) -> bool:
    """Say whether a target may be known elsewhere: what is no path and no id is misspelled."""
    digits = target.lower().removeprefix("blake3:")
    if len(digits) >= 6 and set(digits) <= set("0123456789abcdef"):
        return True
    path = target.rpartition("@")[0] or target
    return any(
        os.path.lexists(os.path.join(repo.cwd, one)) for one in (target, path, path + ".dver")
    )


def bring_records(repo: Repo, index: LineageIndex, name: str | None) -> int:
    """Take the records of a remote into the index; return how many were new.

    What is no record of the id that its name says counts for nothing.
    """
    with contextlib.closing(_opened(repo, name)) as remote:
        listed = {
            record_id: one
            for one in _named(remote)
            if (record_id := recordpath.id_of(os.fsencode(one.path))) == one.oid
        }
        new = [listed[one] for one in index.unknown(listed)]
        _fetch(repo, remote, new)
        found = [(one.oid, data) for one in new if (data := _read(repo, one, record.MAX_SIZE))]
        index.take(found, remote.name)
        return len(found)


def signatures_in(repo: Repo, name: str, record_id: Oid) -> bytes | None:
    """Return all signatures of a record that a remote has, as one envelope; None if it has none."""
    with contextlib.closing(_opened(repo, name)) as remote:
        path = os.fsdecode(recordpath.signatures_path_of(record_id))
        listed = [one for one in _named(remote) if one.path == path]
        _fetch(repo, remote, listed)
        read = [data for one in listed if (data := _read(repo, one, dsse.MAX_SIZE))]
    envelopes = []
    for data in read:
        with contextlib.suppress(CorruptError):
            envelopes.append(dsse.decode(data))
    if not envelopes:
        return read[0] if read else None
    # Several people may have signed, each in a clone of their own.
    payload = envelopes[-1].payload
    same = [one for each in envelopes if each.payload == payload for one in each.signatures]
    distinct = tuple(dict.fromkeys(same))[: dsse.MAX_SIGNATURES]
    return dsse.encode(Envelope(payload, distinct))


def _opened(repo: Repo, name: str | None) -> Remote:
    remote = repo.open_remote(name, write=False)
    if not remote.is_new_directory():
        remote.look_around()
        remote.refresh_roots()
    return remote


def _named(remote: Remote) -> list[RootObject]:
    """Return the files in the directory of records that pushes have named, each once."""
    top = os.fsdecode(recordpath.DIRECTORY) + "/"
    return list(
        dict.fromkeys(
            one
            for session, root in sorted(remote.roots.items(), key=lambda pair: pair[1].created)
            if session not in remote.void_roots
            for one in root.objects
            if one.kind == "file" and one.path.startswith(top)
        )
    )


def _fetch(repo: Repo, remote: Remote, objects: Sequence[RootObject]) -> None:
    from dver.transfer.fetch import fetch
    from dver.transfer.wants import Want

    wanted = [one for one in objects if not repo.store.has(one.oid)]
    if wanted:
        wants = [Want("file", one.oid, one.size, one.path) for one in wanted]
        fetch(repo.store, remote, wants, reporter=SILENT)


def _read(repo: Repo, one: RootObject, limit: int) -> bytes | None:
    try:
        return repo.store.read(one.oid, limit=limit)
    except (MissingContentError, CorruptError):
        return None
