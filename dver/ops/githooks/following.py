"""Bringing the workspace along after git has moved the pointers: post-checkout and its like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dver.base.errors import ConfigError, DverError
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.ops.data.checkout import CheckedOutTarget, CheckoutOptions, checkout

if TYPE_CHECKING:
    from dver.repo import Repo


def follow(repo: Repo, reporter: Reporter) -> tuple[CheckedOutTarget, ...]:
    """Bring the data in line with the pointers, as far as nobody's work is in the way.

    Returns the targets whose data changed, in path order.

    The setting ``hooks.checkout`` says whether to fetch first. Whatever goes wrong is a warning:
    git has done its work, and its answer is not to change. Data that was edited stays as it is, and
    so does that of pointers in conflict.
    """
    try:
        choice = repo.config.text("hooks.checkout")
        if choice == "off" or repo.git.is_bare:
            return ()
        if choice == "pull":
            _fetch(repo, reporter)
        done = checkout(repo, CheckoutOptions(keep_edited=True), reporter)
    except DverError as error:
        # The oid that stands behind the path is of no use in one line of git's own output.
        named = [show(path.partition(" (blake3:")[0]) for path in error.paths[:1]]
        more = "such as " if len(error.paths) > 1 else ""
        first = f": {more}{named[0]}" if named else ""
        reporter.warn(
            f"not all data is as the pointers say: {error.message}{first}", hint=error.hint
        )
        return ()
    return tuple(one for one in done.targets if one.written or one.deleted or one.removed)


def _fetch(repo: Repo, reporter: Reporter) -> None:
    """Fetch from the default remote, if the user has agreed to it: nobody typed this command."""
    from dver.config.remotes import require_trusted
    from dver.ops.sharing.fetch import FetchOptions, fetch_what_can_be

    if repo.config.default_remote() is None:
        return
    try:
        require_trusted(repo.config, repo.remote_settings())
    except ConfigError as error:
        reporter.warn(f"nothing is fetched: {error.message}", hint=error.hint)
        return
    try:
        fetch_what_can_be(repo, FetchOptions(), reporter)
    except DverError as error:
        reporter.warn(f"nothing was fetched: {error.message}", hint=error.hint)
