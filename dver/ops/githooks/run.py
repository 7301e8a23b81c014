"""Doing what one of git's hooks does: the one entry for hook files, hook managers and tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import UsageError
from dver.base.reporter import Reporter
from dver.git.hookscripts import HOOKS
from dver.git.pushed import PushedRef

if TYPE_CHECKING:
    from dver.ops.data.checkout import CheckedOutTarget
    from dver.ops.githooks.precommit import CommitProblem
    from dver.ops.sharing.push import PushResult
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class HookCall:
    """One call by git: the hook's name, and what it is about.

    ``remote`` and ``refs`` are for pre-push: the name or URL of the git remote, and the refs that
    are pushed. ``moved`` is False where git tells that no branch moved, so that pointers stay.
    """

    name: str
    remote: str = ""
    refs: Sequence[PushedRef] = ()
    moved: bool = True


@dataclass(frozen=True, slots=True)
class HookRun:
    """What a hook found and did.

    ``refused`` says that git is not to go on. ``problems`` are those of a commit, ``updated`` the
    targets whose data followed, and ``pushed`` what was sent, None if nothing had to be looked at.
    """

    name: str
    refused: bool = False
    problems: tuple[CommitProblem, ...] = ()
    updated: tuple[CheckedOutTarget, ...] = ()
    pushed: PushResult | None = None


def run_hook(repo: Repo, call: HookCall, reporter: Reporter) -> HookRun:
    """Do what a hook does; nothing in a repository in which ``dver init`` was not run.

    Raises UsageError for an unknown hook; for pre-push also what pushing raises, and the push of
    git is not to go on then. The hooks that come after git's work never raise.
    """
    if call.name not in HOOKS:
        raise UsageError(f"there is no hook {call.name!r}", hint=f"choose from {', '.join(HOOKS)}")
    if not repo.is_initialised:
        return HookRun(call.name)
    if call.name == "pre-commit":
        from dver.ops.githooks.precommit import check_commit

        found = check_commit(repo, reporter)
        return HookRun(call.name, found.is_refused, found.problems)
    if call.name == "pre-push":
        from dver.ops.githooks.prepush import before_push

        return HookRun(call.name, pushed=before_push(repo, call.remote, call.refs, reporter))
    if not call.moved:
        return HookRun(call.name)
    from dver.ops.githooks.following import follow

    return HookRun(call.name, updated=follow(repo, reporter))
