"""One git repository: where it is, what HEAD and the refs name, which commits there are."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dver.base.errors import NotFoundError
from dver.git import discovery, process
from dver.git.discovery import Found
from dver.git.process import Arg

if TYPE_CHECKING:
    from dver.git.revisions import Commit, Ref, RevRange, Worktree

_HEX = r"[0-9a-f]{40}(?:[0-9a-f]{24})?"
# Files in a git directory that name commits which no ref may name.
_PSEUDO_REFS = (
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "ORIG_HEAD",
    "FETCH_HEAD",
    "BISECT_HEAD",
    "AUTO_MERGE",
)


class Git:
    """A git repository as seen from one directory. Make one with :meth:`discover`.

    The attributes are those of :class:`~dver.git.discovery.Found`.
    """

    def __init__(self, found: Found) -> None:
        self.cwd, self.root = found.cwd, found.root
        self.git_dir, self.common_dir = found.git_dir, found.common_dir
        self.is_bare, self.is_shallow = found.is_bare, found.is_shallow
        self.prefix, self.env = found.prefix, found.env
        self._found = found

    def with_environment(self, env: Mapping[str, str]) -> Git:
        """Return the same repository, with some variables added for git to run with."""
        return Git(self._found._replace(env={**self.env, **env}))

    @classmethod
    def discover(cls, cwd: Path | str, *, environ: Mapping[str, str] | None = None) -> Git:
        """Find the repository that ``cwd`` is in, as git does, with GIT_DIR and GIT_WORK_TREE.

        Raises RepositoryError if there is none, or if git refuses it for its owner.
        """
        with discovery.Search(cwd, environ) as search:
            return cls.found_by(search)

    @classmethod
    def found_by(cls, search: discovery.Search) -> Git:
        """Return what a search finds that was begun before; raises as :meth:`discover` does."""
        return cls(search.result())

    @classmethod
    def open(cls, directory: Path) -> Git:
        """Open the repository of a working tree or git directory, whatever GIT_DIR says.

        From a git directory ``root`` is that directory, as in a bare repository.
        """
        env = process.environment()
        for name in process.REPOSITORY_VARIABLES:
            env.pop(name, None)
        with discovery.Search(directory, env) as search:
            return cls(search.result(needs_tree=False))

    # -- running ------------------------------------------------------------------------------

    def run(
        self,
        *args: Arg,
        stdin: bytes | None = None,
        answers: Collection[int] = (0,),
        env: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run git from the root of the working tree and return its output; see process.run."""
        return process.run(
            args, cwd=str(self.root), env=env or self.env, stdin=stdin, answers=answers
        )

    def pipe(self, *args: Arg, stdin: bytes | None = None) -> AbstractContextManager[IO[bytes]]:
        """Run git from the root and give its output to read while it runs; see process.pipe."""
        return process.pipe(args, cwd=str(self.root), env=self.env, stdin=stdin)

    def asked(self, *args: Arg) -> process.Asked:
        """Start git from the root for an answer that is waited for later; see process.Asked."""
        return process.Asked(args, cwd=str(self.root), env=self.env)

    # -- revisions ----------------------------------------------------------------------------

    def head(self) -> str | None:
        """Return the commit that HEAD names, or None before the first commit."""
        out = self.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", answers=(0, 1, 128))
        return out.decode().strip() or None

    def branch(self) -> str | None:
        """Return the short name of the branch that HEAD is on, or None if it is detached."""
        out = self.run("symbolic-ref", "--quiet", "--short", "HEAD", answers=(0, 1))
        return os.fsdecode(out).rstrip("\n") or None

    def resolve(self, rev: str) -> str:
        """Return the full id of the commit that a revision names.

        Raises NotFoundError, which names the revision and what it may be a misspelling of.
        """
        found = self._verify(rev, "^{commit}")
        if found is None:
            raise self._unknown_revision(rev)
        return found

    def is_revision(self, rev: str) -> bool:
        """Tell whether a text names a commit."""
        return self._verify(rev, "^{commit}") is not None

    def _verify(self, rev: str, peel: str) -> str | None:
        if not rev or rev.startswith("-") or "\0" in rev or "\n" in rev:
            return None
        out = self.run("rev-parse", "--verify", "--quiet", rev + peel, answers=(0, 1, 128))
        text = out.decode("ascii", "replace").strip()
        return text if re.fullmatch(_HEX, text) else None

    def _unknown_revision(self, rev: str) -> NotFoundError:
        if self.head() is None and rev in ("HEAD", "@", ""):
            return NotFoundError("there is no commit yet", hint="git commit")
        if self._verify(rev, "") is not None:
            return NotFoundError(f"{rev!r} is in git, but it is not a commit")
        import difflib

        from dver.git.revisions import short_ref

        names = [short_ref(ref.name) for ref in self.refs()]
        close = difflib.get_close_matches(rev, names, n=1)
        hint = "'git log --oneline --all' and 'git tag' list what there is"
        if close:
            hint = f"did you mean {close[0]!r}?"
        elif self.is_shallow:
            hint = "this clone is shallow; 'git fetch --unshallow' gets the rest of its history"
        return NotFoundError(f"no such revision: {rev!r}", hint=hint)

    def resolve_range(self, spec: str) -> RevRange:
        """Return the commits of ``A..B``, ``A...B`` or, for a plain revision, all it reaches.

        An empty side means HEAD, as in git. Raises NotFoundError for an unknown side.
        """
        from dver.git.revisions import RevRange

        dots = "..." if "..." in spec else ".."
        left, found, right = spec.partition(dots)
        if not found:
            return RevRange((self.resolve(spec),))
        first, second = self.resolve(left or "HEAD"), self.resolve(right or "HEAD")
        if dots == "..":
            return RevRange((second,), (first,))
        out = self.run("merge-base", "--all", first, second, answers=(0, 1))
        return RevRange((first, second), tuple(out.decode().split()))

    def refs(self, *patterns: str) -> list[Ref]:
        """Return all refs, or those under prefixes such as ``refs/heads``, in order of name."""
        from dver.git.revisions import Ref

        out = self.run(
            "for-each-ref",
            "--format=%(objectname) %(objecttype) %(*objectname) %(*objecttype) %(refname)",
            "--",
            *patterns,
        )
        refs = []
        for line in os.fsdecode(out).splitlines():
            target, kind, peeled, peeled_kind, name = line.split(" ", 4)
            commit = target if kind == "commit" else None
            if peeled_kind == "commit":
                commit = peeled
            elif kind == "tag" and peeled_kind == "tag":
                commit = self._verify(target, "^{commit}")
            refs.append(Ref(name, target, commit))
        return refs

    def rev_list(self, *args: str) -> list[str]:
        """Return the commits of ``git rev-list ARGS``, newest first.

        ``args`` come from dver itself, for instance :meth:`RevRange.args`; they are not checked.
        """
        return self.run("rev-list", *args, "--").decode().split()

    def root_commits(self) -> list[str]:
        """Return the ids of the commits without parents that HEAD reaches, sorted.

        They identify the project across clones. Empty before the first commit. In a shallow
        clone they are where its history was cut, so callers look at :attr:`is_shallow` first.
        """
        if self.head() is None:
            return []
        return sorted(self.rev_list("--max-parents=0", "HEAD"))

    def commit(self, rev: str) -> Commit:
        """Return what is known about one commit."""
        return self.commits([rev])[0]

    def commits(self, revs: Sequence[str]) -> list[Commit]:
        """Return what is known about each of these commits, in one run of git."""
        from dver.git.revisions import COMMIT_FIELDS, COMMIT_FORMAT, parse_commit

        ids = [rev if re.fullmatch(_HEX, rev) else self.resolve(rev) for rev in revs]
        if not ids:
            return []
        out = self.run(
            *("-c", "log.showSignature=false", "log", "--no-walk=unsorted", "--stdin", "-z"),
            *("--no-color", "--no-patch", "--encoding=UTF-8", "--format=" + COMMIT_FORMAT),
            stdin="\n".join(ids).encode() + b"\n",
        )
        fields = out.split(b"\0")
        known = {}
        for start in range(0, len(fields) - COMMIT_FIELDS + 1, COMMIT_FIELDS):
            commit = parse_commit(fields[start : start + COMMIT_FIELDS])
            known[commit.id] = commit
        return [known[commit_id] for commit_id in ids]

    # -- the working tree and index ------------------------------------------------------------

    def worktrees(self) -> list[Worktree]:
        """Return every working tree of the repository, the main one first."""
        from dver.git.revisions import Worktree

        out = self.run("worktree", "list", "--porcelain")
        found = []
        git_dirs = self._worktree_git_dirs()
        for block in os.fsdecode(out).split("\n\n"):
            fields = dict(line.partition(" ")[::2] for line in block.split("\n") if line)
            if "worktree" not in fields:
                continue
            path = Path(fields["worktree"])
            head = fields.get("HEAD", "")
            found.append(
                Worktree(
                    path=path,
                    git_dir=git_dirs.get(os.path.realpath(path), self.common_dir),
                    head=head if head.strip("0") else None,
                    branch=fields.get("branch"),
                    bare="bare" in fields,
                    missing="prunable" in fields or not path.is_dir(),
                )
            )
        return found

    def git_dirs(self) -> list[Path]:
        """Return the git directory of every working tree, the common one first."""
        return [self.common_dir, *map(Path, self._worktree_git_dirs().values())]

    def _worktree_git_dirs(self) -> dict[str, Path]:
        base = self.common_dir / "worktrees"
        found = {}
        if base.is_dir():
            for entry in sorted(base.iterdir()):
                link = entry / "gitdir"
                if link.is_file():
                    target = os.fsdecode(link.read_bytes()).rstrip("\n")
                    tree = os.path.dirname(os.path.join(entry, target))
                    found[os.path.realpath(tree)] = entry
        return found

    def pseudo_commits(self) -> list[str]:
        """Return commits that only MERGE_HEAD, ORIG_HEAD and their like name, in any worktree.

        They may be gone already: git does not keep all of them alive.
        """
        found: dict[str, None] = {}
        for directory in self.git_dirs():
            for name in _PSEUDO_REFS:
                path = directory / name
                if path.is_file():
                    text = path.read_bytes().decode("latin-1")
                    found.update(
                        (line.split(maxsplit=1)[0], None)
                        for line in text.splitlines()
                        if re.match(_HEX, line)
                    )
        return [commit for commit in found if re.fullmatch(_HEX, commit)]

    def tracked_by_git(self, paths: Sequence[bytes]) -> list[bytes]:
        """Return the paths in the index that are one of ``paths`` or under one of them."""
        if not paths:
            return []
        specs = [b":(top,literal)" + path if path else b":/" for path in paths]
        with self.pipe("ls-files", "-z", "--cached", "--", *specs) as out:
            return list(dict.fromkeys(process.split_nul(out)))

    def is_ignored(self, paths: Sequence[bytes]) -> list[bool]:
        """Tell for each path whether git's ignore rules hide it, tracked or not."""
        if not paths:
            return []
        out = self.run(
            *("check-ignore", "--no-index", "-z", "--stdin"),
            stdin=b"".join(b"./" + path + b"\0" for path in paths),
            answers=(0, 1),
        )
        hidden = {name.removeprefix(b"./") for name in out.split(b"\0")}
        return [path in hidden for path in paths]

    @functools.cached_property
    def is_sparse(self) -> bool:
        """Whether ``git sparse-checkout`` keeps part of the tree out of the working tree."""
        out = self.run("config", "--type=bool", "--get", "core.sparseCheckout", answers=(0, 1))
        return out.strip() == b"true"

    def read_file(self, rev: str, path: bytes) -> bytes | None:
        """Return a file's content at a revision, or in the index for ``rev`` ``""``.

        None if it is not there. The revision must be known to exist.
        """
        name = os.fsencode(rev) + b":" + path
        found = self._verify_bytes(name)
        return None if found is None else self.run("cat-file", "blob", found)

    def _verify_bytes(self, name: bytes) -> str | None:
        out = self.run(b"rev-parse", b"--verify", b"--quiet", name, answers=(0, 1, 128))
        return out.decode().strip() or None
