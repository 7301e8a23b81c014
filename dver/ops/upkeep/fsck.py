"""Check that everything stored is there and is what its name promises."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, DverError, FormatError, UsageError
from dver.base.oid import Oid, format_oid
from dver.base.reporter import Reporter
from dver.config.remotes import list_remotes
from dver.formats import root
from dver.formats.pointer import UNSEEN, Pointer
from dver.formats.storeinfo import StoreInfo
from dver.ops.targets.remembered import remembered
from dver.ops.upkeep.mending import Repaired, mend, open_store
from dver.ops.upkeep.recorded import (
    Affected,
    Finding,
    Version,
    explain,
    false_claims,
    false_sizes,
    versions,
)
from dver.ops.upkeep.tidying import Cleaned, tidy, tidy_remote
from dver.repo import Repo
from dver.storage.base import Storage
from dver.store import layout
from dver.store.contents import TORN, AsFound, check_contents
from dver.store.fsck import (
    Problem,
    by_cause,
    check_packs,
    check_segments,
    doubtful,
    listed_packs,
)
from dver.store.index import Index, SoundFirst
from dver.store.mark import Marks
from dver.store.store import Store
from dver.store.strays import in_unindexed_packs, irregular, with_what_segments_named
from dver.store.tombstones import Tombstones, read_tombstones
from dver.store.verified import Subset, note_times, read_times
from dver.transfer.notices import purges

__all__ = ["Affected", "Finding", "FsckOptions", "FsckResult", "fsck"]


@dataclass(frozen=True, slots=True)
class FsckOptions:
    """``full`` reads and hashes every byte; ``remote`` checks that remote, None the local store.

    ``subset`` reads a part of the packs instead: "5%" or "500M" of those that were not read for
    longest, or "1/7", the first of seven groups that each pack is in one of. ``repair`` first makes
    the local store sound by what is still good in it, which reads all of it, and fetches what is
    lost from the remote ``source``. ``clean`` removes what interrupted commands left, and what
    repairs set aside more than 30 days ago, with ``at_once`` all of that. ``dry_run`` only says
    what a repair and a cleaning would do.
    """

    full: bool = False
    remote: str | None = None
    repair: bool = False
    source: str | None = None
    subset: str | None = None
    clean: bool = False
    at_once: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class FsckResult:
    """The verdict. ``not_here`` counts versions whose content a remote has and this store not.

    Of the packs ``read_packs`` were read, which are ``read_bytes``. If something is not here,
    ``unindexed`` counts the packs that no index segment names: an interrupted command left them, or
    a segment is lost. ``purged`` counts objects that versions name and that were purged: that they
    are not there is no damage. ``repaired`` says what a repair did, and ``cleaned`` what a
    cleaning did, None without one.
    """

    store: str
    full: bool
    packs: int
    objects: int
    bytes: int
    versions: int
    not_here: int
    findings: tuple[Finding, ...]
    read_packs: int = 0
    read_bytes: int = 0
    unindexed: int = 0
    purged: int = 0
    repaired: Repaired | None = None
    cleaned: Cleaned | None = None

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong, and nothing is left that a repair should have brought back."""
        done = self.repaired
        is_mended = done is None or not (done.still_lost or (done.dry_run and done.quarantined))
        return is_mended and not self.findings


def fsck(repo: Repo, options: FsckOptions, reporter: Reporter) -> FsckResult:
    """Check the local store, or a remote, and the versions that rest on it.

    Changes nothing that is stored, unless a repair or a cleaning is asked for. Problems are
    findings, not errors; what cannot be read at all (a remote that is down, a directory without
    permission) is an error.
    """
    subset = _subset(options)
    if options.remote is not None:
        if options.repair:
            raise UsageError(
                "a remote is not repaired by fsck",
                hint=f"'dver push --repair -r {options.remote}' heals it by what is here",
            )
        remote = repo.open_remote(options.remote, write=options.clean, reporter=reporter)
        info = remote.require_format()
        cleaned = None
        if options.clean:
            cleaned = tidy_remote(
                remote.storage,
                at_once=options.at_once,
                dry_run=options.dry_run,
                reporter=reporter,
            )
        checked = _check(repo, remote.storage, info, options, subset, remote.cache, reporter)
        return replace(checked, cleaned=cleaned)
    repaired = cleaned = None
    if options.repair:
        repaired = mend(repo, options.source, dry_run=options.dry_run, reporter=reporter)
    store = open_store(repo)
    if options.clean:
        cleaned = tidy(
            repo, store, at_once=options.at_once, dry_run=options.dry_run, reporter=reporter
        )
    where = Path(store.local_directory())
    checked = _check(repo, store.storage, store.info, options, subset, where, reporter)
    return replace(checked, repaired=repaired, cleaned=cleaned)


def _subset(options: FsckOptions) -> Subset | None:
    """Return the part of the packs that is asked for. Raises UsageError for what does not fit."""
    if options.source is not None and not options.repair:
        raise UsageError("--from goes with --repair", hint="dver fsck --repair --from NAME")
    if options.at_once and not options.clean:
        raise UsageError("--now goes with --clean", hint="dver fsck --clean --now")
    if options.dry_run and not (options.repair or options.clean):
        raise UsageError(
            "there is nothing to foretell: a check changes nothing",
            hint="--dry-run goes with --repair and with --clean",
        )
    if options.subset is None:
        return None
    if options.full:
        raise UsageError("all and a part cannot both be read", hint="leave out --full")
    return Subset.parse(options.subset)


def _check(
    repo: Repo,
    storage: Storage,
    info: StoreInfo,
    options: FsckOptions,
    subset: Subset | None,
    memory: Path,
    reporter: Reporter,
) -> FsckResult:
    """Check one store, local or a remote: its files, then what must be in them.

    ``memory`` is the local directory in which it is kept when each pack was last read.
    """
    index, problems = check_segments(storage)
    problems += irregular(storage)
    problems = with_what_segments_named(storage, index, problems)
    listed = listed_packs(storage)
    problems += check_packs(storage, index, listed)
    store = AsFound(storage, info, SoundFirst(index.segments, doubtful(index, listed)))
    sizes = index.packs()
    chosen: set[bytes] = set()
    if options.full or subset is not None:
        chosen = set(sizes) if subset is None else subset.choose(sizes, read_times(memory))
        problems += _read(store, problems, chosen, options, memory, reporter)
    problems = list(_lost_only(index, by_cause(problems)))
    gone: set[Oid] = set()
    if options.remote is not None:
        not_here = count = unindexed = 0
        cache = repo.layout.remote_cache(options.remote) / "notices"
        listed_trash = {entry.key: entry for entry in storage.list(layout.TRASH)}
        tombstones = purges(storage, listed_trash, cache)
        findings = _of_remote(repo, store, problems, tombstones, gone)
    else:
        recorded, findings = versions(repo)
        count = len(recorded)
        tombstones = read_tombstones(store.local_directory())
        not_here, unindexed = _check_versions(repo, store, recorded, problems, tombstones, gone)
        findings += explain(repo, store, recorded, problems)
        findings += false_claims(repo, store, recorded)
        if options.full:
            findings += false_sizes(repo, store, recorded)
            findings += _of_links(repo, store, recorded)
    return FsckResult(
        storage.description,
        options.full,
        len(sizes),
        len(index),
        sum(sizes.values()),
        count,
        not_here,
        tuple(findings),
        len(chosen),
        sum(sizes[name] for name in chosen),
        unindexed,
        len(gone),
    )


def _lost_only(index: Index, problems: Sequence[Problem]) -> Iterator[Problem]:
    """Yield problems of packs without the objects that also lie in a pack without any problem."""
    bad = frozenset(
        name
        for one in problems
        if one.key.startswith(layout.PACKS) and (name := layout.name_of(one.key)) is not None
    )
    rest = Index(index.segments, bad)
    for one in problems:
        if one.key.startswith(layout.PACKS) and one.what != TORN:
            yield replace(one, oids=tuple(oid for oid in one.oids if oid not in rest))
        else:
            yield one


def _read(
    store: Store,
    problems: Sequence[Problem],
    chosen: set[bytes],
    options: FsckOptions,
    memory: Path,
    reporter: Reporter,
) -> list[Problem]:
    """Read packs, and remember when that was; a check that is interrupted did what it did."""
    sizes = store.index.packs()
    bad = {name for one in problems if (name := layout.name_of(one.key)) is not None}
    sound: set[bytes] = set()

    def is_read(name: bytes, is_sound: bool) -> None:
        (sound if is_sound and name not in bad else bad).add(name)

    total = sum(sizes[name] for name in chosen)
    lost = {oid for problem in problems for oid in problem.oids}
    try:
        with reporter.task("Checking", unit="bytes", total=total) as task:
            found = check_contents(
                store,
                task,
                lost=lost,
                only=None if options.full else chosen,
                is_read=is_read,
                is_remote=options.remote is not None,
            )
            return list(found)
    finally:
        note_times(memory, sound - bad, bad, sizes)


# -- the local store -------------------------------------------------------------------------


def _check_versions(
    repo: Repo,
    store: Store,
    recorded: Sequence[Version],
    problems: list[Problem],
    tombstones: Tombstones,
    purged: set[Oid],
) -> tuple[int, int]:
    """Walk every version, and add what is lost to ``problems``, and to ``purged`` what was purged.

    Returns how many versions are only elsewhere, and how many packs no segment names though
    something is not here.
    """
    marks = Marks(store)
    elsewhere = [remembered(repo, one.name) for one in list_remotes(repo.config)]
    # What nobody has ever seen cannot be lost: imports that were not downloaded.
    known = {UNSEEN, *(oid for problem in problems for oid in problem.oids)}
    not_here: set[Oid] = set()
    unnamed: dict[Oid, bytes] | None = None
    torn: dict[bytes, list[Oid]] = {}
    for version in recorded:
        for gone in marks.mark(version.pointer.oid, version.pointer.kind):
            if gone.oid in known:
                continue
            known.add(gone.oid)
            if gone.oid in tombstones:
                purged.add(gone.oid)
                continue
            if unnamed is None:
                unnamed = in_unindexed_packs(store.storage, store.index)
            if isinstance(gone.error, CorruptError):
                where = format_oid(gone.oid)
                problems.append(Problem("object-damaged", where, gone.error.message, (gone.oid,)))
            elif any(gone.oid in one for one in elsewhere):
                # A fetch that was interrupted leaves this, even with a pack that has it.
                not_here.add(version.pointer.oid)
            elif gone.oid in unnamed:
                torn.setdefault(unnamed[gone.oid], []).append(gone.oid)
            else:
                where = format_oid(gone.oid)
                detail = "it is neither in the local store nor known to be in a remote"
                problems.append(Problem("object-missing", where, detail, (gone.oid,)))
    for name, oids in torn.items():
        detail = "no index segment names it, and what is in it is needed"
        problems.append(Problem("pack-unindexed", layout.pack_key(name), detail, tuple(oids)))
    return len(not_here), len(set(unnamed.values())) if unnamed else 0


def _of_links(repo: Repo, store: Store, recorded: Sequence[Version]) -> Iterator[Finding]:
    """Yield the damaged files of the cache that checkouts link to, and what of the workspace is."""
    from dver.workspace.links import LinkCache

    cache = LinkCache(store.local_directory())
    detail = "it is not what it was, and neither are the files that are linked to it"
    problems = [
        Problem("link-damaged", cache.key(path), detail, (oid,)) for path, oid in cache.damaged()
    ]
    here = [version for version in recorded if version.commit is None]
    for finding in explain(repo, store, here, problems):
        yield replace(finding, lost=0)


# -- a remote --------------------------------------------------------------------------------


def _of_remote(
    repo: Repo,
    store: Store,
    problems: Sequence[Problem],
    tombstones: Tombstones,
    purged: set[Oid],
) -> list[Finding]:
    """Return what is wrong with a remote: its roots must be whole, and all they name be there."""
    findings: list[Finding] = []
    named: dict[Version, None] = {}
    marks = Marks(store)
    known = {oid for problem in problems for oid in problem.oids}
    missing: dict[str, tuple[dict[Oid, None], DverError]] = {}
    keys = [entry.key for entry in store.storage.list(layout.ROOTS)]
    # A push that a collection declared void has not happened.
    void = {key.partition(".")[0] for key in keys if "." in key}
    for key in keys:
        session = key.removeprefix(layout.ROOTS)
        if not layout.is_session(session) or key in void:
            continue
        try:
            record = root.decode(store.storage.get(key))
            if record.session != session:
                raise FormatError("it is the root of another session")
        except FormatError as error:
            findings.append(Finding("root-damaged", key, error.message, 0, ()))
            continue
        commit = record.commits[0] if len(record.commits) == 1 else None
        for one in record.objects:
            pointer = Pointer("tree" if one.kind == "tree" else "file", one.oid, one.size)
            named[Version(os.fsencode(one.path), commit, pointer)] = None
            for gone in marks.mark(one.oid, one.kind):
                if gone.oid in tombstones:
                    purged.add(gone.oid)
                elif gone.oid not in known:
                    known.add(gone.oid)
                    missing.setdefault(key, ({}, gone.error))[0][gone.oid] = None
    told = [
        *problems,
        *(
            Problem("object-missing", key, error.message, tuple(oids))
            for key, (oids, error) in missing.items()
        ),
    ]
    if told:
        findings += explain(repo, store, _versions_of_remote(repo, list(named)), told)
    return findings


def _versions_of_remote(repo: Repo, named: Sequence[Version]) -> list[Version]:
    """Return the versions of this repository that roots name, and what else those name."""
    wanted = {one.pointer.oid for one in named}
    ours = [one for one in versions(repo)[0] if one.commit and one.pointer.oid in wanted]
    known = {one.pointer.oid for one in ours}
    return [*ours, *(one for one in named if one.pointer.oid not in known)]
