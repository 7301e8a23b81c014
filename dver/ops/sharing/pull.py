"""Fetch from a remote, then bring the workspace in line with the pointers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import MissingContentError
from dver.base.reporter import Reporter
from dver.ops.data.checkout import CheckoutOptions, CheckoutResult, checkout
from dver.ops.sharing.fetch import FetchOptions, FetchResult, fetch_what_can_be
from dver.ops.targets.versions import typed_path

if TYPE_CHECKING:
    from dver.ops.sharing.fetch import Fetching
    from dver.ops.sharing.fromsource import Brought
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class PullOptions:
    """What to pull, as for fetch.

    With ``revisions`` or ``all`` more is fetched; what is checked out are always the pointers in
    the work tree, restricted to ``paths``. ``force`` and ``link`` are as for checkout, ``trust`` as
    for fetch.
    """

    remote: str | None = None
    paths: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    all: bool = False
    jobs: int | None = None
    dry_run: bool = False
    force: bool = False
    link: str | None = None
    trust: bool = False


@dataclass(frozen=True, slots=True)
class PullResult:
    """What was fetched, and what the checkout did; the latter is None after a dry run.

    ``fetched`` is None if no remote is set up and imports came from their sources. ``imported`` are
    imports that nobody had downloaded before; their pointers, ``to_stage``, were written.
    """

    fetched: FetchResult | None
    checkout: CheckoutResult | None
    imported: tuple[str, ...] = ()
    to_stage: tuple[str, ...] = ()


def pull(repo: Repo, options: PullOptions, reporter: Reporter) -> PullResult:
    """Fetch, then check out.

    Raises as fetch and checkout do. If something could not be fetched, all else is checked out
    before the error is raised.
    """
    asked = FetchOptions(
        options.remote,
        options.paths,
        options.revisions,
        options.all,
        options.jobs,
        options.dry_run,
        options.trust,
    )
    done: Fetching | None = None
    absent: Sequence[bytes] = [b""]
    if options.remote is not None or not _has_only_sources(repo, options):
        done = fetch_what_can_be(repo, asked, reporter)
        absent = done.selection.unseen
    brought = _from_sources(repo, options, absent, reporter)
    placed = None
    if not options.dry_run:
        wanted = CheckoutOptions(paths=options.paths, force=options.force, link=options.link)
        try:
            placed = checkout(repo, wanted, reporter)
        except MissingContentError as error:
            # What could not be fetched is told below, with the places that were looked at.
            if done is None or not done.lost:
                if brought is not None:
                    from dver.ops.sharing.fromsource import trust_hint

                    error.hint = trust_hint(repo, brought, "dver pull") or error.hint
                raise
    if done is not None and done.lost:
        raise done.error(repo)
    result = PullResult(None if done is None else done.result, placed)
    if brought is None:
        return result
    changed = dict.fromkeys(brought.changed)
    return replace(
        result,
        imported=tuple(map(repo.display, brought.paths)),
        to_stage=tuple(map(repo.display, changed)),
    )


def _has_only_sources(repo: Repo, options: PullOptions) -> bool:
    """Say whether there is no remote, and there are imports that may be had all the same."""
    from dver.config.remotes import list_remotes
    from dver.formats.pointer import origin_lines
    from dver.ops.targets.target import load_targets

    if list_remotes(repo.config) or options.revisions or options.all or repo.git.is_bare:
        return False
    return any(origin_lines(target.raw) for target in load_targets(repo).values())


def _from_sources(
    repo: Repo, options: PullOptions, paths: Sequence[bytes], reporter: Reporter
) -> Brought | None:
    """Download imports that nobody has seen yet, or with b"" any that are not here."""
    if not paths or options.dry_run:
        return None
    from dver.ops.sharing.fromsource import bring_from_sources

    if paths == [b""] and options.paths:
        paths = [typed_path(repo, path) for path in options.paths]
    return bring_from_sources(repo, paths, reporter, trust=options.trust, unseen=True)
