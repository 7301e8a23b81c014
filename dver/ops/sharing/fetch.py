"""Bring what the pointers name from a remote into the local store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import DverError, RemoteError
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats.pointer import origin_lines
from dver.ops.targets.lost import lost_error
from dver.ops.targets.select import Selected, Selection, select
from dver.ops.targets.target import load_targets
from dver.ops.targets.versions import no_such_path, version_at
from dver.store import walk
from dver.store.whole import is_whole
from dver.transfer.closure import Lost
from dver.transfer.wants import Want

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.transfer.fetch import Fetched
    from dver.transfer.remote import Remote


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """What to fetch, and where from.

    ``remote`` names the remote, None the default one. ``paths`` are targets, directories that hold
    targets, or paths inside a tracked directory, of which then nothing else is fetched; none means
    every target. ``revisions`` are revisions or ranges ``A..B``; ``all`` takes every ref; with
    neither, the pointers in the work tree count. ``jobs`` is how many requests may be under way
    at once. ``dry_run`` finds out what would come; it may fetch directory listings, never files.
    ``trust`` agrees to the sources of imports, which are asked for what the remote lacks.
    """

    remote: str | None = None
    paths: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    all: bool = False
    jobs: int | None = None
    dry_run: bool = False
    trust: bool = False


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What came, or with ``dry_run`` what would have come.

    ``versions`` counts the distinct versions looked at. ``objects`` counts files, links and
    directories that were not here, ``bytes`` the bytes transferred for them, in ``requests``
    requests; ``packs`` were taken as a whole.
    """

    remote: str
    description: str
    dry_run: bool
    versions: int
    objects: int
    packs: int
    bytes: int
    requests: int


@dataclass(frozen=True, slots=True)
class Fetching:
    """What a fetch did, for which versions, and what it could not bring; ``hint`` says why."""

    result: FetchResult
    selection: Selection
    lost: tuple[Lost, ...]
    hint: str | None = None

    def error(self, repo: Repo) -> DverError:
        """Return the error that tells what could not be brought."""
        error = lost_error(repo, self.lost)
        error.hint = self.hint or error.hint
        return error


def fetch(repo: Repo, options: FetchOptions, reporter: Reporter) -> FetchResult:
    """Bring versions from a remote.

    Raises NotFoundError for an unknown remote, revision or path; MissingContentError or
    CorruptError, once all else was brought, if something is not to be had.
    """
    done = fetch_what_can_be(repo, options, reporter)
    if done.lost:
        raise done.error(repo)
    return done.result


def _tell_purged(repo: Repo, lost: Sequence[Lost], reporter: Reporter) -> tuple[Lost, ...]:
    """Say what was not brought because it was purged; return the rest of what is lost."""
    gone = [one for one in lost if one.reason == "purged"]
    if gone:
        error = lost_error(repo, gone)
        shown = ", ".join(dict.fromkeys(show(repo.display(os.fsencode(o.path))) for o in gone[:3]))
        reporter.warn(f"{error.message}: {shown}{' ...' if len(gone) > 3 else ''}")
    return tuple(one for one in lost if one.reason != "purged")


def fetch_what_can_be(repo: Repo, options: FetchOptions, reporter: Reporter) -> Fetching:
    """Like :func:`fetch`, but return what could not be brought instead of raising."""
    from dver.transfer.fetch import fetch as transfer

    selection = select(repo, options.paths, options.revisions, every=options.all, head=False)
    for problem in selection.broken:
        reporter.warn(f"left out: {problem}")
    remote = repo.open_remote(options.remote, write=False)
    if options.jobs is not None:
        remote.set_jobs(options.jobs)
    wants = [_want(version) for version in selection.versions]
    try:
        fetched = transfer(
            repo.store,
            remote,
            wants,
            dry_run=options.dry_run,
            workers=repo.config.number("core.workers"),
            reporter=reporter,
        )
    except RemoteError:
        # What nobody has pushed yet may still be where it was imported from.
        if not _has_imports(repo, selection) or remote.read_format() is not None:
            raise
        fetched = _nothing_there(repo, remote, wants)
    lost = _tell_purged(repo, fetched.lost, reporter)
    hint: str | None = None
    if lost and not options.dry_run:
        lost, hint = _from_sources(repo, lost, options, reporter)
    if not options.dry_run and not lost:
        _check_parts(repo, selection)
        if fetched.objects:
            repo.trust_first_remote(remote.name)
    elif lost and fetched.objects:
        reporter.note(f"fetched all else: {fetched.objects} objects")
    result = FetchResult(
        remote.name,
        remote.storage.description,
        options.dry_run,
        len(selection.versions),
        fetched.objects,
        fetched.packs,
        fetched.bytes,
        fetched.requests,
    )
    return Fetching(result, selection, lost, hint)


def _has_imports(repo: Repo, selection: Selection) -> bool:
    targets = load_targets(repo, [one.path for one in selection.versions])
    return any(origin_lines(target.raw) for target in targets.values())


def _nothing_there(repo: Repo, remote: Remote, wants: Sequence[Want]) -> Fetched:
    """Return what a fetch from a remote is that holds nothing yet."""
    from dver.transfer.fetch import Fetched

    where = (repo.store.storage.description, remote.description)
    lost = [
        Lost(want.path, want.oid, "missing", where, want.commit)
        for want in wants
        if not is_whole(repo.store, want.oid, tree=want.kind == "tree")
    ]
    return Fetched(0, 0, 0, 0, tuple(lost))


def _from_sources(
    repo: Repo, lost: tuple[Lost, ...], options: FetchOptions, reporter: Reporter
) -> tuple[tuple[Lost, ...], str | None]:
    """Bring imports that the remote lacks from where they came from.

    Returns what is still lost, and what to do if a source was not asked.
    """
    from dver.ops.sharing.fromsource import bring_from_sources, trust_hint

    paths = [os.fsencode(one.path) for one in lost]
    brought = bring_from_sources(repo, paths, reporter, trust=options.trust, unseen=False)
    left = tuple(one for one in lost if not repo.store.is_complete(one.oid))
    return left, trust_hint(repo, brought, "dver pull")


def _want(version: Selected) -> Want:
    pointer = version.pointer
    return Want(
        pointer.kind,
        pointer.oid,
        pointer.size,
        os.fsdecode(version.path),
        version.inside,
        version.commit,
    )


def _check_parts(repo: Repo, selection: Selection) -> None:
    """Raise NotFoundError for a path inside a directory that no version of it has."""
    absent: dict[bytes, None] = {}
    found: set[bytes] = set()
    for version in selection.versions:
        for part in version.inside:
            path = version.path + b"/" + part
            if walk.find(repo.store, version.pointer.oid, part) is None:
                absent[path] = None
            else:
                found.add(path)
    for path in absent:
        if path not in found:
            raise no_such_path(repo, version_at(repo, None), path)
