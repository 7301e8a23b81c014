"""A git repository in which dver is set up, with the operations that change its work tree."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dver.base.reporter import Reporter
from dver.formats import pointer as pointers
from dver.formats.pointer import Pointer
from dver.ops.data.add import AddOptions, AddResult, add
from dver.ops.data.checkout import CheckoutOptions, CheckoutResult, checkout
from dver.ops.data.mv import MvOptions, MvResult, mv
from dver.ops.data.rm import RmOptions, RmResult, rm
from dver.ops.data.status import StatusOptions, StatusResult, TargetStatus, status
from dver.ops.setup.init import InitOptions, init
from dver.repo import Repo
from tests.support.gitrepo import GitRepo


class Heard(Reporter):
    """Keeps what an operation said."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def warn(self, message: str, *, hint: str | None = None) -> None:
        self.warnings.append(message)


class WorkRepo(GitRepo):
    """Each operation opens the repository anew, as a command does, in ``below``."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        self.heard = Heard()

    @classmethod
    def create(cls, path: Path | str) -> WorkRepo:
        """Make a repository, set dver up and commit that."""
        made = cls(GitRepo.init(path).path)
        init(made.open(), InitOptions(), Reporter())
        made.commit("set up dver")
        return made

    def open(self, below: str = "") -> Repo:
        """Open the repository from one of its directories."""
        return Repo.open(self.path / below)

    def _run(self, operation: Any, options: Any, below: str) -> Any:
        repo = self.open(below)
        self.heard = Heard()
        try:
            return operation(repo, options, self.heard)
        finally:
            repo.close()

    def add(self, *paths: str, below: str = "", **options: Any) -> AddResult:
        """Run ``dver add``."""
        result: AddResult = self._run(add, AddOptions(paths, **options), below)
        return result

    def status(self, *paths: str, below: str = "", **options: Any) -> StatusResult:
        """Run ``dver status``."""
        result: StatusResult = self._run(status, StatusOptions(paths, **options), below)
        return result

    def status_of(self, path: str, **options: Any) -> TargetStatus:
        """Return the status of one target."""
        return next(t for t in self.status(**options).targets if t.path == path)

    def checkout(
        self, *paths: str, rev: str | None = None, below: str = "", **options: Any
    ) -> CheckoutResult:
        """Run ``dver checkout``."""
        result: CheckoutResult = self._run(checkout, CheckoutOptions(rev, paths, **options), below)
        return result

    def mv(self, *paths: str, below: str = "", **options: Any) -> MvResult:
        """Run ``dver mv``; the last path is the destination."""
        result: MvResult = self._run(mv, MvOptions(paths[:-1], paths[-1], **options), below)
        return result

    def rm(self, *paths: str, below: str = "", **options: Any) -> RmResult:
        """Run ``dver rm``."""
        result: RmResult = self._run(rm, RmOptions(paths, **options), below)
        return result

    def pointer(self, path: str) -> Pointer:
        """Return what a pointer file says."""
        return pointers.decode((self.path / (path + ".dver")).read_bytes())

    def ignored(self, below: str = "") -> list[str]:
        """Return the lines of a .gitignore."""
        try:
            return (self.path / below / ".gitignore").read_text().splitlines()
        except FileNotFoundError:
            return []

    def untracked(self) -> list[str]:
        """Return what git shows as untracked."""
        out = self.git("ls-files", "-z", "--others", "--exclude-standard")
        return sorted(name for name in out.split("\0") if name)

    def unlink(self, *names: str) -> None:
        """Delete files of the work tree."""
        for name in names:
            (self.path / name).unlink()

    def lose_store(self) -> None:
        """Delete all objects from the local store, as if they were never fetched."""
        for part in ("packs", "index"):
            for where, _, files in os.walk(self.path / ".git/dver" / part):
                for name in files:
                    os.unlink(os.path.join(where, name))

    def tree(self, top: str = "") -> dict[str, bytes | str | None]:
        """Return what is below a directory: content, link text as ``-> text``, None for an
        empty directory; git's and dver's own files left out."""
        found: dict[str, bytes | str | None] = {}
        base = str(self.path / top)
        for where, dirs, files in os.walk(base):
            if where == str(self.path):
                dirs[:] = [name for name in dirs if name not in (".git", ".dver")]
            for name in [*files, *dirs]:
                path = os.path.join(where, name)
                key = os.path.relpath(path, base)
                if os.path.islink(path):
                    found[key] = "-> " + os.readlink(path)
                elif os.path.isfile(path):
                    found[key] = Path(path).read_bytes()
                elif not os.path.isdir(path):
                    found[key] = "special"
                elif not os.listdir(path):
                    found[key] = None
        return found

    def snapshot(self) -> tuple[dict[str, bytes | str | None], str]:
        """Return everything that a refused operation must leave as it was."""
        return self.tree(), self.git("ls-files", "--stage")
