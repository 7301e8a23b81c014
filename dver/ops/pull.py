"""Fetch from a remote, then bring the workspace in line with the pointers."""

from __future__ import annotations

from dataclasses import dataclass

from dver.ops.checkout import CheckoutResult
from dver.ops.fetch import FetchResult


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
