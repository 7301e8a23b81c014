"""The recorded code in a directory of its own, outside of the repository.

It gets a git repository of its own that borrows the objects of the real one, so that commands that
ask git are answered, and nothing they do to it is seen elsewhere.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import MissingContentError
from dver.base.osat import osat
from dver.base.reporter import SILENT
from dver.formats.record import Record
from dver.formats.tree import Entry
from dver.git.repository import Git
from dver.store.whole import is_whole

if TYPE_CHECKING:
    from dver.repo import Repo

#: Where the archive is in the tree of what a record keeps.
_CODE = b"code"


class CodeUnavailableError(MissingContentError):
    """The code that a record names is neither in git nor in the store."""


@dataclass(frozen=True, slots=True)
class FoundCode:
    """Where the code is: a git ``tree``, with a ``commit`` if there is one, or an ``archive``."""

    tree: str = ""
    commit: str = ""
    archive: Entry | None = None
    note: str = ""


def find_code(repo: Repo, value: Record) -> FoundCode:
    """Return where the code of a record is to be had.

    git is asked first: for the snapshot, the commit, the tree. Then the store, and if need be the
    remote, for the archive. Raises CodeUnavailableError.
    """
    code = value.code
    if code.snapshot and _has(repo, f"{code.snapshot}^{{commit}}"):
        return FoundCode(code.tree, code.snapshot)
    if code.commit and not code.dirty and _has(repo, f"{code.commit}^{{commit}}"):
        return FoundCode(code.tree, code.commit)
    gone = f"the commit {code.commit[:10]} is not in this clone"
    if code.tree and _has(repo, f"{code.tree}^{{tree}}"):
        commit = code.commit if code.commit and _has(repo, f"{code.commit}^{{commit}}") else ""
        return FoundCode(code.tree, commit, None, "" if commit else gone)
    if code.archive is not None:
        entry = _kept(repo, value)
        if entry is None:
            _fetch(repo, value)
            entry = _kept(repo, value)
        if entry is not None:
            return FoundCode(archive=entry, note=f"{gone}: the code came from the store")
    if not code.commit and not code.tree:
        raise CodeUnavailableError("the record names no code")
    raise CodeUnavailableError(
        f"the code is not to be had: {gone}, and no archive of it is here or in the remote",
        hint="'git fetch --all' may bring it",
    )


def check_out(repo: Repo, found: FoundCode, work: Path) -> None:
    """Put the code into a directory that does not exist yet, as a git repository of its own."""
    fsio.make_dirs(os.fspath(work))
    repo.git.run("init", "-q", "--template=", os.fspath(work))
    own = Git.open(work)
    objects = os.fspath(repo.git.common_dir / "objects")
    fsio.write_atomic(
        os.fspath(own.git_dir / "objects" / "info" / "alternates"),
        os.fsencode(objects) + b"\n",
        durable=False,
    )
    shallow = repo.git.common_dir / "shallow"
    if shallow.exists():
        fsio.write_atomic(os.fspath(own.git_dir / "shallow"), shallow.read_bytes(), durable=False)
    if found.archive is not None:
        _unpack(repo, found.archive, work)
        return
    if found.commit:
        own.run("update-ref", "--no-deref", "HEAD", found.commit)
    own.run("read-tree", "--reset", "-u", found.tree)


def _unpack(repo: Repo, archive: Entry, work: Path) -> None:
    from dver.workspace.checkout import apply_plan, failure_of
    from dver.workspace.planning import plan_checkout

    with tempfile.TemporaryDirectory(dir=work.parent) as scratch:
        plan = plan_checkout(archive.name, None, archive, repo.store)
        done = apply_plan(
            plan, os.fsencode(scratch), repo.store, task=SILENT.task("", unit="files")
        )
        error = failure_of(done.failed)
        if error is not None:
            raise error
        for one in sorted(os.listdir(os.path.join(scratch, "code"))):
            fsio.step("rename")
            osat.rename(os.path.join(scratch, "code", one), work / one)


def _kept(repo: Repo, value: Record) -> Entry | None:
    """Return the archive among what a record keeps, if all of it is in the local store."""
    if not repo.store.has(value.keep.oid):
        return None
    entry = repo.store.read_tree(value.keep.oid).find(_CODE)
    return entry if entry is not None and is_whole(repo.store, entry.oid) else None


def _fetch(repo: Repo, value: Record) -> None:
    if repo.config.default_remote() is None:
        return
    from dver.transfer.fetch import fetch
    from dver.transfer.wants import Want

    remote = repo.open_remote(None, write=False)
    want = Want("tree", value.keep.oid, value.keep.size, "code", (_CODE,), "")
    fetch(repo.store, remote, [want], reporter=SILENT)


def _has(repo: Repo, name: str) -> bool:
    out = repo.git.run("rev-parse", "--verify", "--quiet", name, answers=(0, 1, 128))
    return bool(out.strip())
