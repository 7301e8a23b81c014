"""Repositories with tracked data, written straight into the store: no workspace, no scan."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from dver.base.oid import Oid
from dver.base.reporter import SILENT
from dver.config.remotes import add_remote, trust_remote
from dver.formats import pack
from dver.formats import pointer as pointers
from dver.formats.pointer import Pointer
from dver.ops.sharing.push import PushOptions, push
from dver.repo import Repo
from tests.support.gitrepo import GitRepo
from tests.support.trees import Nested, pointer_to


def contents(value: str | Nested) -> list[bytes]:
    """Return the content of every file in nested dicts."""
    if isinstance(value, str):
        return [value.encode()]
    return [content for inner in value.values() for content in contents(inner)]


class DataRepo(GitRepo):
    """A git repository in which dver is set up."""

    @classmethod
    def create(cls, path: Path) -> DataRepo:
        """Create one, with a first commit."""
        cls.init(path)
        made = cls(path)
        made.write(".dver/config.yaml", "{}\n")
        made.commit("set up dver")
        return made

    def repo(self, below: str = "") -> Repo:
        """Open it as seen from one of its directories."""
        return Repo.open(self.path / below)

    def track(self, path: str, content: str | Nested, *, stored: bool = True) -> Pointer:
        """Write the pointer for some data, and the data into the store unless told not to."""
        encoded: dict[Oid, bytes] = {}
        pointer = pointer_to(content, encoded)
        if stored:
            repo = self.repo()
            with repo.store.writer() as writer:
                for data in contents(content):
                    writer.add(data)
                for data in encoded.values():
                    writer.add(data, pack.TREE)
                writer.commit()
            repo.close()
        self.write(path + ".dver", pointers.encode(pointer))
        return pointer

    def lay_out(self, path: str, content: str | Nested) -> None:
        """Write data into the workspace, and nothing else."""
        if isinstance(content, dict):
            os.makedirs(self.path / path, exist_ok=True)
            for name, inner in content.items():
                self.lay_out(f"{path}/{name}", inner)
        else:
            self.write(path, content).chmod(0o755 if content.startswith("#!") else 0o644)

    def version(self, message: str = "change", **targets: str | Nested) -> str:
        """Track data, given by keyword, commit, and return the commit's id."""
        for path, content in targets.items():
            self.track(path, content)
        return self.commit(message)

    def untrack(self, path: str) -> None:
        """Remove a pointer."""
        os.unlink(self.path / (path + ".dver"))

    def add_remote(self, url: Path | str, name: str = "origin") -> None:
        """Set up a remote, the default one if it is the first."""
        repo = self.repo()
        add_remote(repo.config, name, str(url), level="repository", cwd=self.path)
        trust_remote(repo.config, name)
        repo.close()

    def push(self, *, every: bool = False, to: str | None = None) -> None:
        """Push the data of the work tree's pointers, or of all refs, to a remote."""
        repo = self.repo()
        push(repo, PushOptions(to, all=every), SILENT)
        repo.close()

    def forget_store(self) -> None:
        """Delete the local store and what is remembered of remotes."""
        shutil.rmtree(self.path / ".git/dver")
