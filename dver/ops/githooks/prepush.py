"""What dver's pre-push hook does: no commit goes to others whose data they could not have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dver.base.errors import MissingContentError, NotFoundError
from dver.base.reporter import Reporter
from dver.git.pushed import PushedRef, new_commits
from dver.ops.sharing.push import PushOptions, PushResult, push

if TYPE_CHECKING:
    from dver.repo import Repo


def before_push(
    repo: Repo, remote: str, refs: Sequence[PushedRef], reporter: Reporter
) -> PushResult | None:
    """Send the data that the new commits need, or only look, as ``hooks.push`` says.

    ``remote`` is the name (or URL) of the git remote that the refs are pushed to. Returns None if
    the new commits change no pointer and no record, or the hook is switched off.

    Raises whatever :func:`~dver.ops.sharing.push.push` does, and the caller refuses the push of git
    then: NotFoundError without a remote, ConfigError for one that the user has not agreed to,
    MissingContentError if content is neither here nor there, or with "check" not there yet.
    """
    choice = repo.config.text("hooks.push")
    if choice == "off":
        return None
    commits = new_commits(repo.git, remote, list(refs))
    if commits is None or not _changes_anything(repo, commits.args()):
        return None
    _require_remote(repo)
    asked = PushOptions(commits=commits, dry_run=choice == "check")
    done = push(repo, asked, reporter)
    if choice == "check" and done.objects:
        raise MissingContentError(
            f"{done.objects:,} objects that these commits need are not in {done.remote} yet",
            hint="dver push",
        )
    return done


def _changes_anything(repo: Repo, revs: Sequence[str]) -> bool:
    specs = (":(top,glob)**/*.dver", ":(top,literal).dver")
    found = repo.git.run("rev-list", "-1", "--full-history", *revs, "--", *specs)
    return bool(found)


def _require_remote(repo: Repo) -> None:
    from dver.config.remotes import require_trusted

    if repo.config.default_remote() is None:
        raise NotFoundError(
            "these commits name data, and there is no remote that it could be pushed to",
            hint="'dver remote add NAME URL' adds one; 'git push --no-verify' pushes without data",
        )
    require_trusted(repo.config, repo.remote_settings())
