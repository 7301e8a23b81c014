"""Where git's repository is found, and what its revisions name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dver.base.errors import NotFoundError, RepositoryError, SystemFailure
from dver.git import process
from dver.git.repository import Git
from tests.support.gitrepo import START, GitRepo


def test_discovers_from_a_subdirectory(git_repo: GitRepo) -> None:
    sub = git_repo.write("a/b c/x").parent
    git = Git.discover(sub)
    assert git.root == git_repo.path
    assert git.prefix == b"a/b c"
    assert git.git_dir == git.common_dir == git_repo.path / ".git"
    assert not git.is_bare
    assert not git.is_shallow
    assert Git.discover(git_repo.path).prefix == b""


def test_outside_a_repository(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError) as caught:
        Git.discover(tmp_path)
    assert "not inside a git repository" in caught.value.message
    assert caught.value.hint == "git init"


def test_inside_the_git_directory(git_repo: GitRepo) -> None:
    with pytest.raises(RepositoryError, match="inside a git directory"):
        Git.discover(git_repo.path / ".git")


def test_through_a_symlink(git_repo: GitRepo, tmp_path: Path) -> None:
    git_repo.write("sub/x")
    (tmp_path / "link").symlink_to(git_repo.path)
    (tmp_path / "deep").symlink_to(git_repo.path / "sub")
    assert Git.discover(tmp_path / "link").root == git_repo.path
    git = Git.discover(tmp_path / "deep")
    assert (git.root, git.prefix) == (git_repo.path, b"sub")


@pytest.mark.parametrize(
    "name", ["new\nline", "true", "a\ntrue\nb", os.fsdecode(b"caf\xe9"), " x "]
)
def test_odd_root_names(tmp_path: Path, name: str) -> None:
    repo = GitRepo.init(tmp_path / name)
    sub = repo.write("d/x").parent
    git = Git.discover(sub)
    assert git.root == repo.path
    assert git.git_dir == git.common_dir == repo.path / ".git"
    assert git.prefix == b"d"


def test_linked_worktree(git_repo: GitRepo, tmp_path: Path) -> None:
    git_repo.commit("one")
    git_repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    git = Git.discover(tmp_path / "linked")
    assert git.root == tmp_path / "linked"
    assert git.common_dir == git_repo.path / ".git"
    assert git.git_dir == git_repo.path / ".git/worktrees/linked"
    trees = git.worktrees()
    assert [(tree.path, tree.git_dir, tree.branch, tree.missing) for tree in trees] == [
        (git_repo.path, git.common_dir, "refs/heads/main", False),
        (tmp_path / "linked", git.git_dir, "refs/heads/side", False),
    ]
    assert git.git_dirs() == [git.common_dir, git.git_dir]


def test_bare(tmp_path: Path, git_repo: GitRepo) -> None:
    head = git_repo.commit("one")
    bare = GitRepo.clone(git_repo.path, tmp_path / "bare.git", "--bare")
    git = Git.discover(bare.path)
    assert git.is_bare
    assert git.root == git.git_dir == git.common_dir == bare.path
    assert git.prefix is None
    assert git.head() == head
    (tmp_path / "elsewhere").mkdir()
    git = Git.discover(tmp_path / "elsewhere", environ={**os.environ, "GIT_DIR": "../bare.git"})
    assert git.is_bare
    assert git.head() == head


def test_git_dir_and_work_tree(git_repo: GitRepo, tmp_path: Path) -> None:
    head = git_repo.commit("one")
    (tmp_path / "tree/sub").mkdir(parents=True)
    environ = {**os.environ, "GIT_DIR": "../../repo/.git", "GIT_WORK_TREE": ".."}
    git = Git.discover(tmp_path / "tree/sub", environ=environ)
    assert (git.root, git.prefix) == (tmp_path / "tree", b"sub")
    assert git.git_dir == git_repo.path / ".git"
    assert git.head() == head
    environ = {**os.environ, "GIT_DIR": str(git_repo.path / ".git"), "GIT_WORK_TREE": "tree"}
    git = Git.discover(tmp_path, environ=environ)
    assert (git.root, git.prefix) == (tmp_path / "tree", None)
    assert git.head() == head


def test_git_dir_alone_as_hooks_set_it(git_repo: GitRepo) -> None:
    git_repo.commit("one")
    git = Git.discover(git_repo.path, environ={**os.environ, "GIT_DIR": ".git"})
    assert (git.root, git.prefix) == (git_repo.path, b"")
    assert git.head() == git_repo.head()


def test_submodule_has_its_own_git_dir(git_repo: GitRepo, tmp_path: Path) -> None:
    inner = GitRepo.init(tmp_path / "inner")
    inner.commit("one", x="1")
    git_repo.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.path), "sub"
    )
    git = Git.discover(git_repo.path / "sub")
    assert git.root == git_repo.path / "sub"
    assert git.common_dir == git_repo.path / ".git/modules/sub"


def test_before_the_first_commit(git_repo: GitRepo) -> None:
    git = Git.discover(git_repo.path)
    assert git.head() is None
    assert git.branch() == "main"
    assert git.root_commits() == []
    assert git.refs() == []
    with pytest.raises(NotFoundError, match="no commit yet"):
        git.resolve("HEAD")


def test_detached_head(git_repo: GitRepo) -> None:
    head = git_repo.commit("one")
    git_repo.git("checkout", "-q", "--detach")
    git = Git.discover(git_repo.path)
    assert git.branch() is None
    assert git.head() == head


def test_shallow(git_repo: GitRepo, tmp_path: Path) -> None:
    git_repo.commit("one")
    git_repo.commit("two")
    shallow = GitRepo.clone(f"file://{git_repo.path}", tmp_path / "shallow", "--depth=1")
    git = Git.discover(shallow.path)
    assert git.is_shallow
    with pytest.raises(NotFoundError) as caught:
        git.resolve("HEAD~1")
    assert "--unshallow" in (caught.value.hint or "")


def test_resolve(git_repo: GitRepo) -> None:
    one = git_repo.commit("one", x="1")
    two = git_repo.commit("two", x="2")
    git_repo.git("tag", "v1.0", one)
    git_repo.git("tag", "-a", "-m", "t", "v2.0")
    git = Git.discover(git_repo.path)
    assert git.resolve("HEAD~1") == git.resolve("v1.0") == git.resolve(one[:8]) == one
    assert git.resolve("v2.0") == git.resolve("main") == two
    assert git.is_revision("v2.0")
    assert not git.is_revision("--all")
    for rev in ("", "-x", "--all", "nope", "main\n", "main\0", "0" * 40):
        with pytest.raises(NotFoundError):
            git.resolve(rev)
    with pytest.raises(NotFoundError) as caught:
        git.resolve("v1.O")
    assert caught.value.hint == "did you mean 'v1.0'?"
    with pytest.raises(NotFoundError, match="not a commit"):
        git.resolve("HEAD:x")


def test_ranges(git_repo: GitRepo) -> None:
    one = git_repo.commit("one")
    git_repo.git("branch", "side")
    two = git_repo.commit("two")
    git_repo.git("checkout", "-q", "side")
    three = git_repo.commit("three")
    git = Git.discover(git_repo.path)
    assert git.rev_list(*git.resolve_range("main").args()) == [two, one]
    assert git.rev_list(*git.resolve_range("main..side").args()) == [three]
    assert git.rev_list(*git.resolve_range("main..").args()) == [three]
    assert sorted(git.rev_list(*git.resolve_range("main...side").args())) == sorted([two, three])
    with pytest.raises(NotFoundError, match="nope"):
        git.resolve_range("main..nope")


def test_refs_peel_tags(git_repo: GitRepo) -> None:
    head = git_repo.commit("one", x="1")
    git_repo.git("tag", "-a", "-m", "t", "annotated")
    git_repo.git("tag", "-a", "-m", "t", "nested", "annotated")
    git_repo.git("tag", "blob", "HEAD:x")
    git = Git.discover(git_repo.path)
    assert {ref.name: ref.commit for ref in git.refs()} == {
        "refs/heads/main": head,
        "refs/tags/annotated": head,
        "refs/tags/blob": None,
        "refs/tags/nested": head,
    }
    assert [ref.name for ref in git.refs("refs/heads")] == ["refs/heads/main"]


def test_commit_facts(git_repo: GitRepo) -> None:
    one = git_repo.commit("first line\n\nbody")
    two = git_repo.commit("zweite Zeile: äöü")
    git = Git.discover(git_repo.path)
    newer, older = git.commits([two, one])
    assert (older.id, older.parents, older.subject) == (one, (), "first line")
    assert (newer.id, newer.parents, newer.subject) == (two, (one,), "zweite Zeile: äöü")
    assert (newer.author_name, newer.author_email) == ("Ada Test", "ada@example.com")
    assert newer.author_time == newer.commit_time == START + 2
    assert git.commit("main") == newer
    assert git.commits([]) == []
    assert git.root_commits() == [one]


def test_the_other_side_of_a_merge_is_a_pseudo_commit(git_repo: GitRepo) -> None:
    git_repo.commit("one", x="1")
    git_repo.git("checkout", "-q", "-b", "side")
    side = git_repo.commit("two", x="2")
    git_repo.git("checkout", "-q", "main")
    git_repo.commit("three", x="3")
    git = Git.discover(git_repo.path)
    git_repo.git("merge", "side", check=False)
    assert side in git.pseudo_commits()


def test_tracked_and_ignored(git_repo: GitRepo) -> None:
    names = [b"a/x", b"a/*", b"a/:(top)y", b"ab", b"caf\xe9", b"-rf", b"new\nline"]
    for name in names:
        git_repo.write(name)
    git_repo.write(".gitignore", "/hidden\n*.log\n")
    git_repo.git("add", "--all")
    git = Git.discover(git_repo.path / "a")
    assert sorted(git.tracked_by_git([b"a"])) == sorted(names[:3])
    assert git.tracked_by_git([b"a/*"]) == [b"a/*"]
    assert git.tracked_by_git([b"caf\xe9", b"-rf", b"new\nline"]) == sorted(names[4:])
    assert sorted(git.tracked_by_git([b""])) == sorted([*names, b".gitignore"])
    assert git.tracked_by_git([]) == git.tracked_by_git([b"nope"]) == []
    asked = [b"hidden", b"a/x.log", b"ab", b"a/hidden", b":x.log", b"n\nl.log", b"caf\xe9.log"]
    assert git.is_ignored(asked) == [True, True, False, False, True, True, True]


def test_read_file(git_repo: GitRepo) -> None:
    head = git_repo.commit_files({b"caf\xe9": b"1\0"})
    git_repo.write(b"caf\xe9", b"2")
    git_repo.git("add", "--all")
    git = Git.discover(git_repo.path)
    assert git.read_file(head, b"caf\xe9") == b"1\0"
    assert git.read_file("", b"caf\xe9") == b"2"
    assert git.read_file(head, b"nope") is None


def test_environment_cannot_change_what_is_asked(
    git_repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    git_repo.commit("one", **{"x.dver": "1"})
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    monkeypatch.setenv("LANGUAGE", "de")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    git = Git.discover(git_repo.path)
    assert git.tracked_by_git([b"x.dver"]) == [b"x.dver"]
    assert git.env["LC_ALL"] == "C"


def test_git_not_installed(git_repo: GitRepo, tmp_path: Path) -> None:
    with pytest.raises(SystemFailure, match="git is not installed"):
        Git.discover(git_repo.path, environ={"PATH": str(tmp_path)})


def test_a_git_in_the_repository_is_not_run(
    git_repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = git_repo.write("git", "#!/bin/sh\ntouch trapped\n")
    trap.chmod(0o755)
    monkeypatch.chdir(git_repo.path)
    with pytest.raises(SystemFailure, match="git is not installed"):
        Git.discover(git_repo.path, environ={"PATH": "."})
    assert not (git_repo.path / "trapped").exists()


def test_dubious_ownership_is_passed_on() -> None:
    message = (
        b"fatal: detected dubious ownership in repository at '/x'\n"
        b"To add an exception for this directory, call:\n\n"
        b"\tgit config --global --add safe.directory /x\n"
    )
    error = process.explain(["rev-parse"], 128, message)
    assert isinstance(error, RepositoryError)
    assert error.message == "detected dubious ownership in repository at '/x'"
    assert error.hint == "git config --global --add safe.directory /x"


def test_somebody_elses_repository(git_repo: GitRepo) -> None:
    environ = {**os.environ, "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    with pytest.raises(RepositoryError) as caught:
        Git.discover(git_repo.path, environ=environ)
    assert "dubious ownership" in caught.value.message
    assert caught.value.hint == f"git config --global --add safe.directory {git_repo.path}"


def test_worktree_of_a_bare_repository(git_repo: GitRepo, tmp_path: Path) -> None:
    git_repo.commit("one")
    bare = GitRepo.clone(git_repo.path, tmp_path / "bare.git", "--bare")
    bare.git("worktree", "add", "-q", str(tmp_path / "tree"), "main")
    git = Git.discover(tmp_path / "tree")
    assert not git.is_bare
    assert (git.root, git.common_dir) == (tmp_path / "tree", bare.path)
    assert [(tree.path, tree.bare) for tree in git.worktrees()] == [
        (bare.path, True),
        (tmp_path / "tree", False),
    ]
    (tmp_path / "tree").rename(tmp_path / "moved")
    assert [tree.missing for tree in Git.discover(bare.path).worktrees()] == [False, True]


def test_leaving_a_pipe_early_stops_git(git_repo: GitRepo) -> None:
    git_repo.commit("one", big="x" * (1 << 20))
    git = Git.discover(git_repo.path)
    with git.pipe("cat-file", "blob", "HEAD:big") as out:
        assert out.read(1) == b"x"
    with (
        pytest.raises(RepositoryError, match="cat-file"),
        git.pipe("cat-file", "blob", "no") as out,
    ):
        assert out.read() == b""
