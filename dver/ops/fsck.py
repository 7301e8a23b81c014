"""Check that everything stored is there and is what its name promises."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dver.base.errors import CorruptError, DverError, FormatError, UsageError
from dver.base.oid import Oid, format_oid
from dver.base.reporter import Reporter
from dver.config.remotes import list_remotes
from dver.formats import root
from dver.formats.pointer import Pointer
from dver.formats.storeinfo import StoreInfo
from dver.git import pointers
from dver.git.history import history
from dver.ops.remembered import remembered
from dver.ops.targets import decode_at, read_pointer
from dver.repo import Repo
from dver.storage.base import Storage
from dver.store import layout
from dver.store.contents import AsFound, check_contents
from dver.store.fsck import Problem, by_cause, check_packs, check_segments
from dver.store.mark import Marks
from dver.store.repair import repair
from dver.store.store import Store


@dataclass(frozen=True, slots=True)
class FsckOptions:
    """``full`` reads and hashes every byte; ``remote`` checks that remote, None the local store.

    ``repair`` first makes the local store sound by what is still good in it, which reads all of it.
    """

    full: bool = False
    remote: str | None = None
    repair: bool = False


@dataclass(frozen=True, slots=True)
class Affected:
    """A version that a problem takes away: the data's path, and the commit if it is committed."""

    path: str
    commit: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: its kind, the key or path it is at, what it costs.

    ``lost`` counts objects and chunks; ``affected`` lists versions that need one of them.
    """

    what: str
    where: str
    detail: str
    lost: int
    affected: tuple[Affected, ...]


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did.

    ``quarantined`` are the damaged files, by their keys, now in the store's ``quarantine/``;
    ``salvaged`` counts the good objects and chunks saved out of them, ``lost`` those that are gone
    until a fetch brings them.
    """

    quarantined: tuple[str, ...]
    salvaged: int
    lost: int


@dataclass(frozen=True, slots=True)
class FsckResult:
    """The verdict. ``not_here`` counts versions whose content a remote has and this store not.

    ``repaired`` says what a repair did, None without one.
    """

    store: str
    full: bool
    packs: int
    objects: int
    bytes: int
    versions: int
    not_here: int
    findings: tuple[Finding, ...]
    repaired: Repaired | None = None

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class _Version:
    """One version of some data: where it was, what it is. ``required`` in HEAD or workspace."""

    path: bytes
    commit: str | None
    pointer: Pointer


def fsck(repo: Repo, options: FsckOptions, reporter: Reporter) -> FsckResult:
    """Check the local store, or a remote, and the versions that rest on it.

    Changes nothing that is stored, unless a repair is asked for. Problems are findings, not errors;
    what cannot be read at all (a remote that is down, a directory without permission) is an error.
    """
    if options.remote is not None:
        if options.repair:
            raise UsageError(
                "a remote cannot be repaired from here",
                hint=f"'dver push -r {options.remote}' sends again what is lost there",
            )
        remote = repo.open_remote(options.remote, write=False, reporter=reporter)
        return _check(repo, remote.storage, remote.require_format(), options, reporter)
    store = _open_store(repo)
    done = _repair(store, reporter) if options.repair else None
    checked = _check(repo, store.storage, store.info, options, reporter)
    return replace(checked, repaired=done)


def _open_store(repo: Repo) -> Store:
    """Open the local store, even if its index cannot be read."""
    from dver.storage.local import LocalStorage

    try:
        return repo.store
    except CorruptError:
        return Store.open_unindexed(LocalStorage(repo.store_path))


def _repair(store: Store, reporter: Reporter) -> Repaired:
    with store.hold(exclusive=True, timeout=60.0):
        total = sum(store.index.packs().values())
        with reporter.task("Repairing", unit="bytes", total=total) as task:
            found = repair(store, task)
    return Repaired(found.quarantined, found.salvaged, len(found.lost))


def _check(
    repo: Repo, storage: Storage, info: StoreInfo, options: FsckOptions, reporter: Reporter
) -> FsckResult:
    index, problems = check_segments(storage)
    problems += check_packs(storage, index)
    store = AsFound(storage, info, index)
    total = sum(index.packs().values())
    if options.full:
        with reporter.task("Checking", unit="bytes", total=total) as task:
            lost = {oid for problem in problems for oid in problem.oids}
            problems += check_contents(store, task, lost=lost)
    problems = by_cause(problems)
    findings: list[Finding] = []
    if options.remote is not None:
        not_here, count = 0, 0
        findings += _check_roots(store, problems)
    else:
        versions, broken = _versions(repo)
        findings += broken
        count = len(versions)
        not_here = _check_versions(repo, store, versions, problems)
        findings += _explain(repo, store, versions, problems)
    if options.remote is not None:
        findings += [_plain(problem) for problem in problems]
    return FsckResult(
        storage.description,
        options.full,
        len(index.packs()),
        len(index),
        total,
        count,
        not_here,
        tuple(findings),
    )


def _plain(problem: Problem) -> Finding:
    return Finding(problem.what, problem.key, problem.detail, len(problem.oids), ())


def _versions(repo: Repo) -> tuple[list[_Version], list[Finding]]:
    """Return every version in history and in the workspace, and the pointers that are broken."""
    found: list[_Version] = []
    findings: list[Finding] = []
    revs = ["--all", *(["HEAD"] if repo.git.head() else [])]
    changes = [change for change in history(repo.git, revs) if change.blob]
    contents = pointers.read_blobs(repo.git, [change.blob for change in changes if change.blob])
    for change in changes:
        data = contents[change.blob or ""]
        try:
            one = decode_at(pointers.data_path(change.path), data)
        except FormatError as error:
            where = f"{change.commit.id[:10]}:{os.fsdecode(change.path)}"
            findings.append(Finding("pointer-broken", where, error.message, 0, ()))
            continue
        found.append(_Version(pointers.data_path(change.path), change.commit.id, one))
    for file in pointers.in_workspace(repo.git):
        try:
            here = read_pointer(repo.absolute(file.path))
            if here is None:
                continue
            one = decode_at(pointers.data_path(file.path), here)
        except FormatError as error:
            where = repo.display(file.path)
            findings.append(Finding("pointer-broken", where, error.message, 0, ()))
            continue
        found.append(_Version(pointers.data_path(file.path), None, one))
    return found, findings


def _check_versions(
    repo: Repo, store: Store, versions: list[_Version], problems: list[Problem]
) -> int:
    """Walk every version; add what is lost to ``problems`` and count what is only elsewhere."""
    marks = Marks(store)
    elsewhere = [remembered(repo, one.name) for one in list_remotes(repo.config)]
    known = {oid for problem in problems for oid in problem.oids}
    not_here: set[Oid] = set()
    for version in versions:
        for gone in marks.mark(version.pointer.oid, version.pointer.kind):
            if gone.oid in known:
                continue
            known.add(gone.oid)
            if isinstance(gone.error, CorruptError):
                where = format_oid(gone.oid)
                problems.append(Problem("object-damaged", where, gone.error.message, (gone.oid,)))
            elif any(gone.oid in one for one in elsewhere):
                not_here.add(version.pointer.oid)
            else:
                where = format_oid(gone.oid)
                detail = "it is neither in the local store nor known to be in a remote"
                problems.append(Problem("object-missing", where, detail, (gone.oid,)))
    return len(not_here)


def _explain(
    repo: Repo, store: Store, versions: list[_Version], problems: list[Problem]
) -> Iterator[Finding]:
    """Turn problems into findings that name the versions they take away."""
    lost = {oid for problem in problems for oid in problem.oids}
    needs: list[tuple[_Version, set[Oid]]] = []
    done: dict[tuple[Oid, str], set[Oid]] = {}
    for version in versions if lost else ():
        key = (version.pointer.oid, version.pointer.kind)
        if key not in done:
            done[key] = _needed(store, *key, lost)
        if done[key]:
            needs.append((version, done[key]))
    for problem in problems:
        affected = [
            Affected(repo.display(version.path), version.commit)
            for version, oids in needs
            if not oids.isdisjoint(problem.oids)
        ]
        yield Finding(problem.what, problem.key, problem.detail, len(problem.oids), tuple(affected))


def _needed(store: Store, oid: Oid, kind: str, lost: set[Oid]) -> set[Oid]:
    """Return which of the lost objects a version needs, as far as its trees can be read."""
    marks = Marks(store)
    found = {gone.oid for gone in marks.mark(oid, kind)} & lost
    return found | {one for one in lost if one in marks}


def _check_roots(store: Store, problems: list[Problem]) -> Iterator[Finding]:
    """Check that every root of a remote is whole and that all it names is there."""
    marks = Marks(store)
    known = {oid for problem in problems for oid in problem.oids}
    for entry in store.storage.list(layout.ROOTS):
        try:
            record = root.decode(store.storage.get(entry.key))
        except FormatError as error:
            yield Finding("root-damaged", entry.key, error.message, 0, ())
            continue
        for one in record.objects:
            lost: list[DverError] = []
            for gone in marks.mark(one.oid, one.kind):
                if gone.oid not in known:
                    known.add(gone.oid)
                    lost.append(gone.error)
            if lost:
                affected = (Affected(one.path, None),)
                yield Finding("object-missing", entry.key, str(lost[0]), len(lost), affected)
