"""A look into somebody else's repository: as little of it as shows its pointers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from dver.base.errors import RemoteError, RepositoryError
from dver.base.redact import without_userinfo
from dver.git import process
from dver.git.repository import Git

# A password that was not percent-encoded may hold '/' and '@'.
_USERINFO = re.compile(r"(?<=://)(?:[^/:@\s']*:[^\s']*|[^/\s']*)@")


def clone_bare(
    url: str,
    directory: Path,
    *,
    ref: str | None = None,
    newest: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Git:
    """Clone a repository without a working tree into a new directory, and return it.

    ``ref`` is a branch or tag to make HEAD; with ``newest`` its last commit alone is taken, no
    history. File contents are left out where the other side allows that; git fetches those that
    are read.
    Nothing is asked on the terminal: credentials come from git's own helpers or the ssh agent.
    Raises RemoteError, which repeats no password.
    """
    args = ["clone", "--quiet", "--bare", "--filter=blob:none", "--template=", "--no-local"]
    if ref is not None:
        args.append(f"--branch={ref}")
    if newest:
        args += ["--depth=1", "--single-branch"]
    env = process.environment(environ)
    # Where we stand may be inside another repository, and hooks may say which.
    for name in process.REPOSITORY_VARIABLES:
        env.pop(name, None)
    try:
        process.run([*args, "--", url, str(directory)], cwd=str(directory.parent), env=env)
    except RepositoryError as error:
        reason = _USERINFO.sub("", error.message).removeprefix("'git clone' failed: ")
        raise RemoteError(
            f"git cannot clone {without_userinfo(url)}: {reason}",
            hint="try 'git ls-remote' with it, which asks for credentials if they are missing",
        ) from None
    return Git.discover(directory, environ=env)
