"""Send what the pointers name to a remote, so that others can have it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import DverError, MissingContentError
from dver.base.oid import Oid, format_oid
from dver.base.reporter import Reporter
from dver.formats.root import RootObject
from dver.formats.tree import DIRECTORY
from dver.git.revisions import RevRange
from dver.ops.sharing.healing import HealedRemote, Healing
from dver.ops.sharing.records import record_offers
from dver.ops.targets.lost import lost_error, withheld_error
from dver.ops.targets.select import Selected, Selection, add_older, select
from dver.ops.targets.versions import no_such_path, version_at
from dver.store import walk
from dver.transfer.closure import Lost, Offer

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.transfer.remote import Remote


@dataclass(frozen=True, slots=True)
class PushOptions:
    """What to push, and where to.

    ``remote`` names the remote, None the default one. ``paths`` are targets, directories that hold
    targets, or paths inside a tracked directory; none means every target. ``revisions`` are
    revisions or ranges ``A..B`` whose pointers are pushed; ``all`` takes every ref. With neither,
    the pointers of the workspace and of HEAD are pushed, and older versions that HEAD's history
    names as far as they are here. Imports go along, unless ``import.push`` is off and no path was
    named. ``commits`` takes what those changed instead of all these.
    ``jobs`` is how many requests may be under way at once. ``dry_run`` finds out what would be sent
    and writes nothing anywhere. ``repair`` reads all of the remote first, and heals what is damaged
    there by what is good there and here.
    """

    remote: str | None = None
    paths: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    all: bool = False
    jobs: int | None = None
    dry_run: bool = False
    repair: bool = False
    commits: RevRange | None = None


@dataclass(frozen=True, slots=True)
class SkippedVersion:
    """An older version whose content is neither here nor in the remote: ``oid`` in text form."""

    path: str
    oid: str
    commit: str


@dataclass(frozen=True, slots=True)
class PushResult:
    """What was sent, or with ``dry_run`` what would have been.

    ``versions`` counts the distinct versions looked at. ``objects`` counts files, links and
    directories that the remote did not have, ``packs`` and ``bytes`` what was uploaded for them.
    ``requests`` is the number of requests made. ``session`` names the root record, None when
    nothing was written. ``skipped`` are older versions that could not be pushed. ``healed`` says
    what a repair found and did, None without one.
    """

    remote: str
    description: str
    dry_run: bool
    versions: int
    objects: int
    packs: int
    bytes: int
    requests: int
    session: str | None
    skipped: tuple[SkippedVersion, ...] = ()
    healed: HealedRemote | None = None


def push(repo: Repo, options: PushOptions, reporter: Reporter) -> PushResult:
    """Send versions to a remote.

    Raises NotFoundError for an unknown remote, revision or path; MissingContentError or
    CorruptError, once all else was pushed, if required content is not to be had, or was purged by
    somebody and is still here.
    """
    from dver.transfer.push import push as transfer

    # Whatever becomes of HEAD meanwhile, no more is told to be there than was looked at.
    head = repo.git.head()
    selection = select(
        repo,
        options.paths,
        options.revisions,
        every=options.all,
        head=True,
        commits=options.commits,
    )
    remote = repo.open_remote(options.remote, write=not options.dry_run)
    if options.jobs is not None:
        remote.set_jobs(options.jobs)
    healing = _begin_healing(repo, remote, options, reporter)
    with_history = not options.revisions and not options.all and options.commits is None
    if with_history:
        _add_history(repo, selection, remote)
    _leave_out_imports(repo, selection)
    for problem in selection.broken:
        reporter.warn(f"left out: {problem}")
    lost: list[tuple[Selected, Lost]] = []
    offers = list(_offers(repo, selection, remote, lost))
    if not selection.paths:
        revs = _record_revisions(repo, options, head, remote.covered())
        offers += record_offers(repo, revs, store=not options.dry_run)
    if healing is not None:
        offers += healing.offers()
    required = [one for version, one in lost if version.required]
    pushed = transfer(
        repo.store,
        remote,
        offers,
        commits=() if required else selection.commits,
        repo_id=repo_id(repo),
        dry_run=options.dry_run,
        damaged=None if healing is None else healing.distrusted,
        reporter=reporter,
    )
    if healing is not None:
        healing.end()
    required += pushed.lost
    skipped = [*(one for version, one in lost if not version.required), *pushed.skipped]
    healed = None if healing is None else healing.result
    failure = _failure(repo, required, () if options.dry_run else pushed.withheld)
    if failure is not None:
        if pushed.objects and not options.dry_run:
            reporter.note(f"pushed all else: {pushed.objects} objects in {pushed.packs} packs")
        raise failure
    whole_history = with_history and not selection.paths and not skipped and not selection.broken
    if whole_history and head is not None and not options.dry_run and not repo.git.is_shallow:
        remote.remember_covered(head)
    return PushResult(
        remote.name,
        remote.storage.description,
        options.dry_run,
        len(selection.versions),
        pushed.objects,
        pushed.packs,
        pushed.bytes,
        pushed.requests,
        pushed.session,
        tuple(_skipped_version(repo, one) for one in skipped),
        healed,
    )


def _begin_healing(
    repo: Repo, remote: Remote, options: PushOptions, reporter: Reporter
) -> Healing | None:
    """Look for damage if a remote is to be healed, and bring back what takes no content."""
    if not options.repair:
        return None
    healing = Healing(repo, remote, reporter)
    healing.look()
    if not options.dry_run:
        healing.begin()
    return healing


def _skipped_version(repo: Repo, lost: Lost) -> SkippedVersion:
    return SkippedVersion(repo.display(os.fsencode(lost.path)), format_oid(lost.oid), lost.commit)


def _failure(repo: Repo, lost: list[Lost], withheld: Sequence[Oid]) -> DverError | None:
    """Return the error for what could not be sent, or is not to be."""
    if lost:
        return lost_error(repo, lost)
    return withheld_error(repo, withheld) if withheld else None


def _leave_out_imports(repo: Repo, selection: Selection) -> None:
    """Take imports out of a selection if they are not to be pushed; who wants one names it."""
    if not selection.paths and repo.config.get("import.push") is False:
        selection.versions = [one for one in selection.versions if not one.is_import]


def _add_history(repo: Repo, selection: Selection, remote: Remote) -> None:
    """Add older versions, but for those that retention dropped there: nobody asked for them."""
    if not remote.is_new_directory():
        remote.look_around()
        remote.refresh_roots()
    add_older(repo, selection, remote.covered())
    named = remote.kept()
    new = {
        one.pointer.oid
        for one in selection.versions
        if not one.required and one.pointer.oid not in named
    }
    if new and not remote.is_new_directory():
        retired = remote.retired() & new
        selection.versions = [
            one for one in selection.versions if one.required or one.pointer.oid not in retired
        ]


def _offers(
    repo: Repo, selection: Selection, remote: Remote, lost: list[tuple[Selected, Lost]]
) -> Iterator[Offer]:
    """Yield what to offer; parts of directories whose trees are not here go to ``lost``.

    Raises NotFoundError for a part that no version has.
    """
    absent: dict[bytes, None] = {}
    found: set[bytes] = set()
    for version in selection.versions:
        path, pointer = os.fsdecode(version.path), version.pointer
        if not version.inside:
            whole = RootObject(path, pointer.kind, pointer.oid, pointer.size)
            yield Offer(whole, version.required, version.commit)
            continue
        for part in version.inside:
            inner = f"{path}/{os.fsdecode(part)}"
            try:
                entry = walk.find(repo.store, pointer.oid, part)
            except MissingContentError:
                where = (repo.store.storage.description, remote.description)
                gone = Lost(inner, pointer.oid, "missing", where, version.commit)
                lost.append((version, gone))
                continue
            if entry is None:
                absent[version.path + b"/" + part] = None
            else:
                found.add(version.path + b"/" + part)
                kind = "tree" if entry.kind == DIRECTORY else "file"
                one = RootObject(inner, kind, entry.oid, entry.size)
                yield Offer(one, version.required, version.commit)
    for part in absent:
        if part not in found:
            raise no_such_path(repo, version_at(repo, None), part)


def _record_revisions(
    repo: Repo, options: PushOptions, commit: str | None, covered: Iterable[str]
) -> list[str]:
    """Return arguments for git to name the commits whose records are sent; HEAD is at one."""
    head = [] if commit is None else [commit]
    if options.commits is not None:
        return options.commits.args()
    if options.all:
        return ["--all", *head]
    if options.revisions:
        return [arg for rev in options.revisions for arg in repo.git.resolve_range(rev).args()]
    return ["--ignore-missing", *head, *(f"^{commit}" for commit in covered)] if head else []


def repo_id(repo: Repo) -> str:
    """Return what names the project across clones, or "" where that cannot be known."""
    return "" if repo.git.is_shallow else min(repo.git.root_commits(), default="")
