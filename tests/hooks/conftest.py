"""Repositories in which git itself calls dver."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dver.base.reporter import SILENT
from dver.ops.githooks.resolve import ResolveOptions, ResolveResult, resolve
from dver.ops.setup.hooks import (
    HooksOptions,
    HooksResult,
    hooks_status,
    install_hooks,
    uninstall_hooks,
)
from dver.ops.sharing.remote import AddRemoteOptions, add_remote
from tests.support.gitrepo import GitRepo, hermetic_environment
from tests.support.workrepo import WorkRepo


class HookRepo(WorkRepo):
    """A repository with hooks, and the ways to look at what they did."""

    def install(self, *parts: str) -> HooksResult:
        return self._opened(install_hooks, HooksOptions(parts))

    def uninstall(self, *parts: str) -> HooksResult:
        return self._opened(uninstall_hooks, HooksOptions(parts))

    def hooks(self, *parts: str) -> HooksResult:
        return self._opened(hooks_status, HooksOptions(parts))

    def resolve(self, *paths: str, **options: Any) -> ResolveResult:
        return self._run(resolve, ResolveOptions(paths, **options), "")

    def states(self, *parts: str) -> dict[str, str]:
        return {part.name: part.state for part in self.hooks(*parts).parts}

    def _opened(self, operation: Any, options: Any) -> Any:
        repo = self.open()
        try:
            return operation(repo, options)
        finally:
            repo.close()

    def version(self, message: str, **targets: dict[str, str] | str) -> str:
        """Record what targets are to hold, exactly, and commit that without hooks."""
        for name, content in targets.items():
            if isinstance(content, str):
                self.write(name, content)
                continue
            for old in self.tree(name) if (self.path / name).exists() else ():
                os.unlink(self.path / name / old)
            for inner, text in content.items():
                self.write(f"{name}/{inner}", text)
        self.add(*targets)
        self.git("add", "--all")
        self.git("commit", "-q", "--no-verify", "-m", message)
        return self.head()

    def run(self, *args: str, code: int = 0, **env: str) -> str:
        """Run git, check its exit code, and return what it said on standard error."""
        done = subprocess.run(
            ["git", *args],
            cwd=self.path,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **env},
            check=False,
        )
        said = os.fsdecode(done.stderr)
        assert done.returncode == code, f"git {args}: {done.returncode}\n{said}"
        return said

    def texts(self, top: str) -> dict[str, str]:
        """Return what is below a directory, as text."""
        return {
            name: str(data, "utf-8")
            for name, data in self.tree(top).items()
            if isinstance(data, bytes)
        }

    def is_clean(self) -> bool:
        return self.status().is_clean


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("template")
    with hermetic_environment(place):
        HookRepo.create(place / "repo")
    return place / "repo"


@pytest.fixture
def repo(template: Path, tmp_path: Path) -> HookRepo:
    """A repository with one commit in which dver is set up, and no hooks yet."""
    shutil.copytree(template, tmp_path / "repo")
    return HookRepo(tmp_path / "repo")


@pytest.fixture
def shared(repo: HookRepo, tmp_path: Path) -> HookRepo:
    """The same with a git remote ``origin`` and a dver remote ``nas`` beside it."""
    GitRepo.init(tmp_path / "origin.git", "--bare")
    repo.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    opened = repo.open()
    add_remote(opened, AddRemoteOptions("nas", str(tmp_path / "nas")), SILENT)
    opened.close()
    repo.commit("remote")
    repo.git("push", "-q", "origin", "main")
    return repo
