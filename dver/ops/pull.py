"""Fetch from a remote, then bring the workspace in line with the pointers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dver.base.reporter import Reporter
from dver.ops.checkout import CheckoutOptions, CheckoutResult, checkout
from dver.ops.fetch import Fetching, FetchOptions, FetchResult, fetch_what_can_be
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

    Raises as fetch and checkout do. If something could not be fetched, the targets that are
    complete are checked out all the same before the error is raised.
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
    if not done.lost:
        outcome = None if options.dry_run else _check_out(repo, options, options.paths, reporter)
        return PullResult(done.result, outcome)
    complete = () if options.dry_run else _complete(repo, done)
    if complete:
        _check_out(repo, options, complete, reporter)
    raise lost_error(repo, done.lost)


def _check_out(
    repo: Repo, options: PullOptions, paths: tuple[str, ...], reporter: Reporter
) -> CheckoutResult:
    return checkout(
        repo, CheckoutOptions(paths=paths, force=options.force, link=options.link), reporter
    )


def _complete(repo: Repo, done: Fetching) -> tuple[str, ...]:
    """Return the paths in the work tree that were asked for and lack nothing."""
    lost = [os.fsencode(one.path) for one in done.lost if not one.commit]

    def is_whole(path: bytes) -> bool:
        return not any(
            one == path or one.startswith(path + b"/") or path.startswith(one + b"/")
            for one in lost
        )

    return tuple(
        repo.display(path)
        for version in done.selection.versions
        if not version.commit
        for path in [version.path + b"/" + part for part in version.inside] or [version.path]
        if is_whole(path)
    )
