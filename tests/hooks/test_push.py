"""No commit leaves without its data."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dver.base.errors import UsageError
from dver.git.pushed import PushedRef, new_commits, parse_refs
from tests.hooks.conftest import HookRepo
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo

NONE = "0" * 40


@pytest.fixture
def repo(shared: HookRepo) -> HookRepo:
    shared.install("pre-push")
    return shared


def on_origin(repo: HookRepo, branch: str = "main") -> str:
    return repo.git("ls-remote", "origin", f"refs/heads/{branch}").partition("\t")[0]


def others(repo: HookRepo, tmp_path: Path, rev: str = "main") -> HookRepo:
    """Clone what was pushed, and fetch the data of a revision."""
    place = tmp_path / f"clone-{Path(rev).name}"
    clone = HookRepo(GitRepo.clone(tmp_path / "origin.git", place).path)
    clone.git("checkout", "-q", "--detach", rev)
    Dver(clone.path)("pull", "-q")
    return clone


def test_all_versions_of_the_new_commits_are_pushed(repo: HookRepo, tmp_path: Path) -> None:
    first = repo.version("one", d={"a": "1"}, f="one")
    repo.version("two", d={"a": "2"})
    assert "dver: pushed " in repo.run("push", "-q", "origin", "main")
    assert others(repo, tmp_path).texts("d") == {"a": "2"}
    assert others(repo, tmp_path, first).texts("d") == {"a": "1"}


def test_nothing_is_started_where_nothing_is_to_do(repo: HookRepo) -> None:
    repo.version("one", f="one")
    repo.run("push", "-q", "origin", "main")
    # Whatever would start dver now would fail.
    repo.write(".git/dver/config.yaml", "no: setting\n")
    repo.run("push", "-q", "origin", "main:again")
    repo.commit("code", **{"code.py": "1"})
    repo.run("push", "-q", "origin", "main")
    repo.run("push", "-q", "origin", "--delete", "again")
    (repo.path / "f.dver").write_text("dver: 1\n")
    repo.git("commit", "-q", "-a", "-m", "bad")
    assert "there is no setting" in repo.run("push", "-q", "origin", "main", code=1)


def test_a_push_is_refused_if_content_is_lost(repo: HookRepo) -> None:
    repo.version("one", f="one", d={"a": "1"})
    before = on_origin(repo)
    repo.lose_store()
    said = repo.run("push", "-q", "origin", "main", code=1)
    assert "error: " in said
    assert on_origin(repo) == before
    repo.run("push", "-q", "--no-verify", "origin", "main")


def test_older_losses_do_not_block(repo: HookRepo) -> None:
    repo.version("one", lost="one")
    repo.run("push", "-q", "--no-verify", "origin", "main")
    repo.lose_store()
    repo.version("two", f="two")
    repo.run("push", "-q", "origin", "main")


def test_without_a_remote_or_trust(repo: HookRepo, tmp_path: Path) -> None:
    clone = HookRepo(GitRepo.clone(tmp_path / "origin.git", tmp_path / "clone").path)
    clone.install("pre-push")
    clone.version("one", f="one")
    said = clone.run("push", "-q", "origin", "main", code=1)
    assert "you have not yet agreed to send data to" in said
    assert "dver remote trust nas" in said
    (clone.path / ".dver/config.yaml").write_text("core: {}\n")
    clone.commit("no remote")
    said = clone.run("push", "-q", "origin", "main", code=1)
    assert "there is no remote that it could be pushed to" in said


def test_check_and_off(repo: HookRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.version("one", f="one")
    monkeypatch.setenv("DVER_HOOKS_PUSH", "check")
    said = repo.run("push", "-q", "origin", "main", code=1)
    assert "1 objects that these commits need are not in nas yet" in said
    assert not list((tmp_path / "nas").glob("packs/*/*"))
    Dver(repo.path)("push", "-q")
    repo.run("push", "-q", "origin", "main")
    repo.version("two", f="two")
    monkeypatch.setenv("DVER_HOOKS_PUSH", "off")
    packs = sorted((tmp_path / "nas").glob("packs/*/*"))
    repo.run("push", "-q", "origin", "main")
    assert sorted((tmp_path / "nas").glob("packs/*/*")) == packs


def test_a_remote_that_is_down(repo: HookRepo, tmp_path: Path) -> None:
    repo.version("one", f="one")
    shutil.rmtree(tmp_path / "nas")
    (tmp_path / "nas").write_text("not a directory")
    before = on_origin(repo)
    assert "error: " in repo.run("push", "-q", "origin", "main", code=1)
    assert on_origin(repo) == before


def test_tags_forced_branches_and_urls(repo: HookRepo, tmp_path: Path) -> None:
    repo.version("one", f="one")
    repo.git("tag", "-a", "-m", "v1", "v1")
    repo.run("push", "-q", "origin", "v1")
    assert (others(repo, tmp_path, "v1").path / "f").read_text() == "one"
    repo.git("tag", "blob", repo.git("rev-parse", "HEAD:f.dver"))
    repo.run("push", "-q", "origin", "blob")
    repo.run("push", "-q", "origin", "main")
    repo.git("reset", "-q", "--hard", "HEAD~1")
    repo.version("other", f="other")
    repo.run("push", "-q", "--force", str(tmp_path / "origin.git"), "main")
    assert (others(repo, tmp_path).path / "f").read_text() == "other"


def test_a_worktree_pushes_too(repo: HookRepo, tmp_path: Path) -> None:
    repo.run("worktree", "add", "-q", "-b", "wt", str(tmp_path / "wt"))
    other = HookRepo(tmp_path / "wt")
    other.version("in the worktree", f="wt")
    assert "dver: pushed" in other.run("push", "-q", "origin", "wt")


def test_a_revision_with_spaces_and_odd_branches(repo: HookRepo, tmp_path: Path) -> None:
    repo.version("the first main thing", f="one")
    # Taken by its spaces this would be asked about "main", which has nothing new.
    repo.git("branch", "-q", "new")
    repo.git("reset", "-q", "--hard", "HEAD~1")
    said = repo.run("push", "-q", "origin", "new^{/first main thing}:refs/heads/typed")
    assert "dver: pushed " in said
    assert (others(repo, tmp_path, "origin/typed").path / "f").read_text() == "one"
    repo.git("switch", "-q", "-c", "a\u2028b")
    repo.version("two", f="two")
    assert "dver: pushed " in repo.run("push", "-q", "origin", "HEAD")


def test_what_git_tells(repo: HookRepo) -> None:
    one, two = repo.head(), repo.version("two", f="2")
    text = f"refs/heads/a {two} refs/heads/b {one}\n(delete) {NONE} refs/heads/c {one}\n"
    refs = parse_refs(text.encode())
    assert refs == [PushedRef(two, one), PushedRef("", one)]
    git = repo.open().git
    commits = new_commits(git, "https://example.org/x.git", refs)
    assert commits is not None
    assert (commits.include, commits.exclude) == ((two,), (one,))
    tracked = new_commits(git, "origin", [PushedRef(two, "f" * 40)])
    assert tracked is not None and tracked.exclude == (one,)
    assert new_commits(git, "origin", refs[1:]) is None
    assert parse_refs(b"") == []
    odd = f"HEAD@{{1 day ago}} {two} refs/heads/a\u2028b\x85 {one}\n"
    assert parse_refs(odd.encode()) == [PushedRef(two, one)]
    for bad in (b"x\n", b"a b c d\n", b"\xff\n"):
        with pytest.raises(UsageError, match="pre-push"):
            parse_refs(bad)
