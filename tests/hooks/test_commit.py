"""What had better not be committed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dver.base.reporter import SILENT
from dver.ops.githooks import unadded
from dver.ops.githooks.precommit import CommitProblem
from dver.ops.githooks.run import HookCall, run_hook
from tests.hooks.conftest import HookRepo
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo

ROOT = Path(__file__).parent.parent.parent


def problems(repo: HookRepo, below: str = "") -> list[CommitProblem]:
    opened = repo.open(below)
    try:
        return list(run_hook(opened, HookCall("pre-commit"), SILENT).problems)
    finally:
        opened.close()


def told(repo: HookRepo) -> list[tuple[str, str, bool]]:
    return [(one.path, one.problem, one.refused) for one in problems(repo)]


def test_a_commit_that_is_fine(repo: HookRepo) -> None:
    repo.write("d/a", "1")
    repo.add("d", stage=True)
    repo.write("code.py", "1")
    repo.git("add", "code.py")
    assert told(repo) == []
    repo.install()
    assert repo.run("commit", "-q", "-m", "fine") == ""


def test_conflict_markers_and_broken_pointers(repo: HookRepo) -> None:
    repo.write("a.dver", "<<<<<<< HEAD\ndver: 1\n=======\n>>>>>>> x\n")
    repo.write("b.dver", "dver: 1\nkind: file\n")
    repo.write("notes.dver", "somebody else's file\n")
    repo.git("add", ".")
    assert told(repo)[:2] == [("a.dver", "conflict", True), ("b.dver", "broken", True)]
    assert not [one for one in told(repo) if one[0] == "notes.dver"]
    repo.install("pre-commit")
    before = repo.head()
    said = repo.run("commit", "-q", "-m", "bad", code=1)
    assert "error: a.dver: it has conflict markers" in said
    assert "hint: dver resolve [--ours|--theirs|--both] a" in said
    assert repo.head() == before
    repo.run("commit", "-q", "--no-verify", "-m", "bad")


def test_large_files_and_data_in_git(repo: HookRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.version("data", d={"a": "1"}, f="1")
    monkeypatch.setenv("DVER_HOOKS_MAX_FILE_SIZE", "1K")
    repo.write("limit", b"x" * 1024)
    repo.write("big 'name'", b"x" * 1025)
    repo.git("add", ".")
    repo.git("add", "--force", "d/a", "f")
    found = problems(repo)
    assert [(one.path, one.problem, one.size) for one in found] == [
        ("big 'name'", "large", 1025),
        ("d/a", "tracked-data", None),
        ("f", "tracked-data", None),
    ]
    assert all(one.refused for one in found)
    assert found[1].hint == "git rm --cached -- d/a"
    monkeypatch.setenv("DVER_HOOKS_MAX_FILE_SIZE", "0")
    assert [one.problem for one in problems(repo)] == ["tracked-data"] * 2


def test_stale_pointers(repo: HookRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.version("data", d={"a": "1"}, f="1", gone="1")
    repo.write("d/a", "2")
    repo.write("d/new", "2")
    repo.unlink("gone")
    assert told(repo) == [("d", "stale", False)]
    monkeypatch.setenv("DVER_HOOKS_STALE", "refuse")
    assert told(repo) == [("d", "stale", True)]
    repo.install("pre-commit")
    said = repo.run("commit", "-q", "--allow-empty", "-m", "x", code=1)
    assert "hint: dver add --stage d" in said
    monkeypatch.setenv("DVER_HOOKS_STALE", "off")
    assert told(repo) == []
    repo.run("commit", "-q", "--allow-empty", "-m", "x")


def test_large_directories_are_looked_at_roughly_in_commits_without_data(
    repo: HookRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the times of their directories; small ones, and all with data in the commit, in full."""
    monkeypatch.setattr(unadded, "FEW_FILES", 3)
    large = {"deep/a": "1", "deep/b": "1", "deep/c": "1", "x": "1"}
    repo.version("data", d=large, small={"a": "1"}, f="1")
    repo.write("code.py", "1")
    repo.git("add", "code.py")
    time.sleep(0.1)  # what was written just now could be written once more unseen
    assert told(repo) == []
    with open(repo.path / "d/deep/a", "w", encoding="utf-8") as file:
        file.write("changed in place")
    assert told(repo) == []  # nothing tells it but the file itself
    repo.write("small/a", "2")
    assert told(repo) == [("small", "stale", False)]
    repo.write("d/deep/new", "1")
    assert told(repo) == [("d", "stale", False), ("small", "stale", False)]
    repo.unlink("d/deep/new")
    monkeypatch.setenv("DVER_HOOKS_STALE", "refuse")
    assert [name for name, _, _ in told(repo)] == ["d", "small"]


def test_from_below_and_only_what_is_committed(repo: HookRepo) -> None:
    repo.version("data", **{"sub/d": {"a": "1"}})
    repo.write("sub/d/a", "2")
    repo.write("bad.dver", "<<<<<<< a\n")
    repo.git("add", "bad.dver")
    assert [one.path for one in problems(repo, "sub")] == ["../bad.dver", "d"]
    repo.install("pre-commit")
    # 'git commit PATH' makes an index of its own, which the hook has to look at.
    repo.write("code", "1")
    repo.git("add", "-N", "code")
    assert "bad.dver" not in repo.run("commit", "-q", "-m", "only code", "--", "code")


def test_without_init_nothing_is_looked_at(tmp_path: Path) -> None:
    plain = GitRepo.init(tmp_path / "plain")
    plain.write("a.dver", "<<<<<<< a\n")
    plain.git("add", ".")
    assert Dver(plain.path)("hooks", "run", "pre-commit").stderr == ""


# -- pre-commit, the framework ----------------------------------------------------------------


@pytest.fixture
def framework(shared: HookRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HookRepo:
    """A project that takes dver's hooks from a repository that has ``.pre-commit-hooks.yaml``."""
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "cache"))
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)
    source = GitRepo.init(tmp_path / "source")
    hooks = (ROOT / ".pre-commit-hooks.yaml").read_bytes()
    rev = source.commit_files({".pre-commit-hooks.yaml": hooks})
    ids = "\n".join(
        f"      - id: dver-{name}"
        for name in ("pre-commit", "pre-push", "post-checkout", "post-merge", "post-rewrite")
    )
    shared.commit_files(
        {
            ".pre-commit-config.yaml": "default_install_hook_types:"
            " [pre-commit, pre-push, post-checkout]\n"
            f"repos:\n  - repo: file://{source.path}\n    rev: {rev}\n    hooks:\n{ids}\n"
        },
        "pre-commit",
    )
    pre_commit(shared, "install")
    return shared


def pre_commit(repo: HookRepo, *args: str) -> None:
    command = [sys.executable, "-m", "pre_commit", *args]
    subprocess.run(command, cwd=repo.path, check=True, capture_output=True)


def test_the_hooks_of_pre_commit(framework: HookRepo, tmp_path: Path) -> None:
    framework.version("one", f="one")
    framework.write("f", "two")
    framework.add("f", stage=True)
    framework.git("add", "--force", "f")
    # It shows what its hooks say on standard error.
    assert "stands for this data" in framework.run("commit", "-q", "-m", "two", code=1)
    framework.git("rm", "-q", "--cached", "f")
    framework.git("commit", "-q", "--no-verify", "-m", "two")
    framework.run("checkout", "-q", "HEAD~1")
    assert (framework.path / "f").read_text() == "one"
    framework.run("push", "-q", "origin", "main")
    clone = HookRepo(GitRepo.clone(tmp_path / "origin.git", tmp_path / "clone").path)
    Dver(clone.path)("pull", "-q")
    assert (clone.path / "f").read_text() == "two"


def test_hooks_beside_those_of_pre_commit(framework: HookRepo) -> None:
    hook = framework.path / ".git/hooks/pre-commit"
    theirs = hook.read_bytes()
    done = framework.install("pre-commit")
    assert hook.read_bytes() == theirs
    assert done.parts[0].path == str(hook) + ".legacy"
    assert framework.states("pre-commit") == {"pre-commit": "installed"}
    # Whoever installs or removes the other one leaves dver's where it works.
    pre_commit(framework, "install")
    assert framework.states("pre-commit") == {"pre-commit": "installed"}
    pre_commit(framework, "uninstall")
    assert framework.states("pre-commit") == {"pre-commit": "installed"}
    assert framework.hooks("pre-commit").parts[0].path == str(hook)
    pre_commit(framework, "install")
    framework.uninstall("pre-commit")
    assert hook.read_bytes() == theirs
    assert not hook.with_name("pre-commit.legacy").exists()
