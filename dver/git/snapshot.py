"""Keeping the exact files of a working tree as a commit, without touching it or its index.

What differs from HEAD is added to a copy of the index, whose tree becomes a commit that no branch
knows. git's own ignore rules hold. Files that are too large, or look like secrets, are left out and
named.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Sequence

from dver.base.dataclass import dataclass
from dver.base.errors import RefusedError
from dver.base.quoting import show
from dver.git.repository import Git

#: A file larger than this is data, not code (bytes), and so is more than this in total.
MAX_FILE = 10 << 20
MAX_TOTAL = 100 << 20
_SECRET_NAMES = re.compile(
    rb"(?:^|/)(?:\.env(?:\..+)?|\.netrc|\.pgpass|credentials(?:\.json)?|id_(?:rsa|dsa|ecdsa|ed25519)"
    rb"|.+\.(?:pem|key|p12|pfx|keystore))$"
)
#: Well-known shapes of keys and tokens; a sample of what secret scanners look for.
_SECRET_TEXTS = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}"
    rb"|\bgithub_pat_[A-Za-z0-9_]{40,}|\bglpat-[A-Za-z0-9_-]{20}|\bxox[abprs]-[A-Za-z0-9-]{10,}"
    rb"|\bAIza[0-9A-Za-z_-]{35}\b|\bhf_[A-Za-z0-9]{30,}|\bsk-[A-Za-z0-9_-]{32,}"
    rb"|(?i:aws_secret_access_key)\s*[=:]\s*[\"']?[A-Za-z0-9/+=]{40}"
)
_IDENTITY = {
    "GIT_AUTHOR_NAME": "dver",
    "GIT_AUTHOR_EMAIL": "dver@localhost",
    "GIT_COMMITTER_NAME": "dver",
    "GIT_COMMITTER_EMAIL": "dver@localhost",
}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A path that a snapshot does not hold, and why."""

    path: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The exact code of a working tree.

    ``commit`` is HEAD's, "" before the first one. ``tree`` is the git tree of the files as they
    are; if that is not the commit's, ``snapshot`` is a commit that has it.
    """

    commit: str
    tree: str
    branch: str
    snapshot: str = ""
    left_out: tuple[LeftOut, ...] = ()

    @property
    def is_dirty(self) -> bool:
        """Whether the files are not those of the commit."""
        return bool(self.snapshot or self.left_out)


def take(git: Git, exclude: Sequence[bytes] = ()) -> Snapshot:
    """Keep the files of a working tree as they are now; see the module.

    What lies at or below a path of ``exclude`` counts as HEAD has it.
    """
    commit = git.head() or ""
    branch = git.branch() or ""
    changed = [one for one in _changed(git) if not _is_below(one, exclude)]
    head_tree = git.run("rev-parse", "HEAD^{tree}").decode().strip() if commit else ""
    if not changed and commit:
        return Snapshot(commit, head_tree, branch)
    kept, left_out = _choose(git, changed)
    with tempfile.TemporaryDirectory(prefix="dver-") as directory:
        index = os.path.join(directory, "index")
        own = git.git_dir / "index"
        if own.exists():
            # With its time: by it git tells which files may have changed since they were added.
            shutil.copy2(own, index)
        env = {**git.env, **_IDENTITY, "GIT_INDEX_FILE": index}
        if exclude and commit:
            specs = [b":(top,literal)" + path for path in exclude]
            git.run("reset", "-q", commit, "--", *specs, env=env)
        paths = b"".join(path + b"\0" for path in kept)
        git.run("update-index", "--add", "--remove", "-z", "--stdin", stdin=paths, env=env)
        tree = git.run("write-tree", env=env).decode().strip()
        if tree == head_tree:
            return Snapshot(commit, tree, branch, "", left_out)
        parents = ("-p", commit) if commit else ()
        message = b"Files as they were when dver recorded a run\n"
        args = ("-c", "commit.gpgSign=false", "commit-tree", tree, *parents)
        snapshot = git.run(*args, stdin=message, env=env).decode().strip()
    return Snapshot(commit, tree, branch, snapshot, left_out)


def keep(git: Git, name: str, commit: str) -> None:
    """Keep a snapshot's commit from being pruned, as ``refs/dver/runs/<name>``."""
    git.run("update-ref", f"refs/dver/runs/{name}", commit)


def _changed(git: Git) -> list[bytes]:
    """Return what differs from HEAD, or is neither tracked nor ignored."""
    args = ("status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames")
    out = git.run(*args, "--ignore-submodules=none")
    return [entry[3:] for entry in out.split(b"\0") if entry]


def _choose(git: Git, changed: Iterable[bytes]) -> tuple[list[bytes], tuple[LeftOut, ...]]:
    kept: list[bytes] = []
    left_out: list[LeftOut] = []
    total = 0
    root = os.fsencode(git.root)
    for path in sorted(changed):
        try:
            found = os.lstat(os.path.join(root, path))
        except FileNotFoundError:
            kept.append(path)  # deleted, and so in the snapshot
            continue
        if stat.S_ISDIR(found.st_mode):
            continue  # a submodule, or a repository inside this one: its commit is recorded
        reason = _unfit(os.path.join(root, path), path, found, total)
        if reason:
            left_out.append(LeftOut(path, reason))
            continue
        total += found.st_size
        kept.append(path)
    return kept, tuple(left_out)


def _unfit(absolute: bytes, path: bytes, found: os.stat_result, total: int) -> str:
    if stat.S_ISLNK(found.st_mode):
        return ""
    if not stat.S_ISREG(found.st_mode):
        return "it is no regular file"
    if found.st_size > MAX_FILE:
        return f"it is larger than {MAX_FILE >> 20} MiB"
    if total + found.st_size > MAX_TOTAL:
        return f"all changed files together are larger than {MAX_TOTAL >> 20} MiB"
    if _SECRET_NAMES.search(path):
        return "its name is that of a file with secrets"
    try:
        with open(absolute, "rb") as file:
            if _SECRET_TEXTS.search(file.read()):
                return "it seems to hold a secret"
    except OSError:
        return "it cannot be read"
    return ""


def require_clean(git: Git, exclude: Sequence[bytes] = ()) -> None:
    """Raise RefusedError unless all files are as HEAD has them."""
    changed = [one for one in _changed(git) if not _is_below(one, exclude)]
    if changed or git.head() is None:
        shown = ", ".join(show(one) for one in changed[:3])
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise RefusedError(
            f"the working tree is not as committed: {shown}{more}"
            if changed
            else "there is no commit yet",
            hint="commit first, or run without --clean: then the files are kept as they are",
        )


def _is_below(path: bytes, exclude: Sequence[bytes]) -> bool:
    return any(path == one or path.startswith(one + b"/") for one in exclude)
