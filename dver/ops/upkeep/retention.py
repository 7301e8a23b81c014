"""Which roots of a remote the versions that are to be kept need, as git tells it."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from dver.base import clock
from dver.base.dataclass import dataclass
from dver.base.errors import FormatError, RefusedError
from dver.base.oid import Oid
from dver.formats import pointer
from dver.formats.root import Root
from dver.git.history import PointerChange, history
from dver.git.pointers import at_revision, in_workspace, read_blobs
from dver.git.repository import Git
from dver.ops.targets.target import read_pointer
from dver.transfer.gc.collect import Kept

#: A younger root is never dropped, whatever the grace: its push may not have ended (seconds).
_YOUNG = 3600
_BRANCHES = ("refs/heads", "refs/remotes", "refs/tags")


@dataclass(frozen=True, slots=True)
class Keep:
    """Which versions to keep of each branch, remote branch and tag.

    ``last`` newest ones, those of the last ``within`` seconds, and all of the branches that match
    one of the patterns in ``branches``. What a branch holds now is always kept.
    """

    last: int | None = None
    within: int | None = None
    branches: tuple[str, ...] = ()


class Retention:
    """A policy for a collection: what of each root is needed, as far as this clone can tell.

    A root is judged only if it is of this repository and names commits that are all known here;
    everything else is somebody else's.
    """

    def __init__(self, git: Git, repo_id: str, keep: Keep, grace: int) -> None:
        if git.is_shallow:
            raise RefusedError(
                f"{git.common_dir} is a shallow clone: older versions would be taken for garbage",
                hint="run 'git fetch --unshallow' first",
            )
        self._git = git
        self._repo_id = repo_id
        self._keep = keep
        self._young = max(grace, _YOUNG, keep.within or 0)
        self._pointers: dict[str, Oid | None] = {}

    def __call__(self, roots: Mapping[str, Root], ages: Mapping[str, float]) -> Mapping[str, Kept]:
        """Return what is left of each root of which not everything is needed."""
        mine = {
            session: root
            for session, root in roots.items()
            if self._repo_id and root.repo == self._repo_id and root.commits
        }
        known = self._known(commit for root in mine.values() for commit in root.commits)
        mine = {session: root for session, root in mine.items() if known.issuperset(root.commits)}
        if not mine:
            return {}
        commits, blobs = self._kept()
        needed = self._oids(blobs) | self._in_working_trees()
        ever = self._ever(mine.values())
        named = {one.oid for root in roots.values() for one in root.objects}
        whole = {
            commit: oids
            for commit, inside in commits.items()
            if (oids := self._oids(inside)) and oids <= named
        }
        found: dict[str, Kept] = {}
        for session, root in mine.items():
            # What no version names as a whole was pushed in part, or before it was committed.
            kept = [one for one in root.objects if one.oid in needed or one.oid not in ever]
            if len(kept) < len(root.objects) and ages[session] >= self._young:
                oids = {one.oid for one in kept}
                satisfied = (commit for commit in whole if not oids.isdisjoint(whole[commit]))
                found[session] = Kept(tuple(kept), tuple(sorted(satisfied)))
        return found

    def _known(self, commits: Iterable[str]) -> set[str]:
        """Return those of some commits that this clone has."""
        asked = sorted(set(commits))
        if not asked:
            return set()
        text = "".join(f"{commit}\n" for commit in asked).encode()
        lines = self._git.run("cat-file", "--batch-check", stdin=text).decode().splitlines()
        return {line.split()[0] for line in lines if line.split()[1:2] == ["commit"]}

    def _kept(self) -> tuple[dict[str, set[str]], set[str]]:
        """Return the commits to be kept, each with the contents of its pointers, and all these."""
        commits: set[str] = set()
        blobs: set[str] = set()
        for name, tip in self._tips():
            commits.add(tip)
            changes = list(history(self._git, [tip]))
            whole = any(fnmatch.fnmatchcase(name, one) for one in self._keep.branches)
            if whole:
                blobs.update(change.blob for change in changes if change.blob is not None)
            commits.update(self._chosen(changes, whole=whole))
        inside = {
            commit: {blob for _, blob in at_revision(self._git, commit)} for commit in commits
        }
        return inside, blobs.union(*inside.values())

    def _chosen(self, changes: Sequence[PointerChange], *, whole: bool) -> Iterator[str]:
        """Yield the commits of a branch that made the versions to be kept."""
        oldest = None
        if self._keep.within is not None:
            oldest = clock.now_ns() // 1_000_000_000 - self._keep.within
        made = {change.commit.id: change.commit for change in changes}
        for number, commit in enumerate(made.values()):
            last = self._keep.last is not None and number < self._keep.last
            if whole or last or (oldest is not None and commit.commit_time >= oldest):
                yield commit.id

    def _tips(self) -> Iterator[tuple[str, str]]:
        """Yield the short name and commit of each branch, and of each working tree's HEAD."""
        for ref in self._git.refs(*_BRANCHES):
            if ref.commit:
                yield ref.name.split("/", 2)[2], ref.commit
        # A stash is a version as well, until it is dropped.
        for ref in self._git.refs("refs/stash"):
            if ref.commit:
                yield "stash", ref.commit
        for worktree in self._git.worktrees():
            if worktree.head is not None:
                yield "HEAD", worktree.head
        head = self._git.head()
        if head is not None:
            yield "HEAD", head

    def _in_working_trees(self) -> set[Oid]:
        """Return what the pointers name that lie in this working tree, committed or not."""
        found = set()
        if not self._git.is_bare:
            root = os.fsencode(self._git.root)
            for file in in_workspace(self._git):
                data = read_pointer(os.path.join(root, file.path))
                if data is not None:
                    found.add(pointer.decode(data).oid)
        return found

    def _ever(self, roots: Iterable[Root]) -> set[Oid]:
        """Return what the pointers name of all commits that branches or some roots reach."""
        revs = ["--all", "--reflog", *{commit for root in roots for commit in root.commits}]
        changes = history(self._git, revs)
        return self._oids({change.blob for change in changes if change.blob is not None})

    def _oids(self, blobs: set[str]) -> set[Oid]:
        new = blobs - self._pointers.keys()
        for blob, data in read_blobs(self._git, sorted(new)).items():
            try:
                self._pointers[blob] = pointer.decode(data).oid
            except FormatError:
                self._pointers[blob] = None
        return {oid for blob in blobs if (oid := self._pointers.get(blob)) is not None}
