"""Fetch from a remote, then bring the workspace in line with the pointers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dver.base.errors import MissingContentError
from dver.base.reporter import Reporter
from dver.ops.checkout import CheckoutOptions, CheckoutResult, checkout
from dver.ops.fetch import FetchOptions, FetchResult, fetch_what_can_be
from dver.ops.lost import lost_error

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class PullOptions:
    """What to pull, as for fetch.

    With ``revisions`` or ``all`` more is fetched; what is checked out are always the pointers in
    the work tree, restricted to ``paths``. ``force`` and ``link`` are as for checkout.
    """

    remote: str | None = None
    paths: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    all: bool = False
    jobs: int | None = None
    dry_run: bool = False
    force: bool = False
    link: str | None = None


@dataclass(frozen=True, slots=True)
class PullResult:
    """What was fetched, and what the checkout did; the latter is None after a dry run."""

    fetched: FetchResult
    checkout: CheckoutResult | None


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
    )
    done = fetch_what_can_be(repo, asked, reporter)
    placed = None
    if not options.dry_run:
        wanted = CheckoutOptions(paths=options.paths, force=options.force, link=options.link)
        try:
            placed = checkout(repo, wanted, reporter)
        except MissingContentError:
            # What could not be fetched is told below, with the places that were looked at.
            if not done.lost:
                raise
    if done.lost:
        raise lost_error(repo, done.lost)
    return PullResult(done.result, placed)
