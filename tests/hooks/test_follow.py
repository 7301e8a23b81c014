"""The workspace follows git: switch, merge, rebase, bisect, worktrees; edits stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dver.ops.githooks.run import HookCall, run_hook
from tests.hooks.conftest import HookRepo
from tests.support.gitrepo import GitRepo


@pytest.fixture
def two(repo: HookRepo) -> HookRepo:
    """``main`` with data of version one, ``side`` with version two of it; hooks are on."""
    repo.version("one", d={"a": "1", "b": "1"}, f="one")
    repo.git("switch", "-q", "-c", "side")
    repo.version("two", d={"a": "2", "c": "2"}, f="two")
    repo.git("switch", "-q", "main")
    repo.checkout()
    repo.install()
    return repo


def test_switching_brings_the_data(two: HookRepo) -> None:
    said = two.run("switch", "-q", "side")
    assert two.texts("d") == {"a": "2", "c": "2"}
    assert said.splitlines() == [
        "dver: updated d (2 files written, 2 B, 1 file deleted)",
        "dver: updated f (1 file written, 3 B)",
    ]
    two.run("checkout", "-q", "--detach", "main")
    assert two.texts("d") == {"a": "1", "b": "1"}
    assert two.is_clean()


def test_edits_stay_and_all_else_follows(two: HookRepo) -> None:
    two.write("d/a", "mine")
    said = two.run("switch", "-q", "side")
    assert "warning: d was changed and stays as it is (d/a)" in said
    assert two.texts("d") == {"a": "mine", "b": "1"}
    assert (two.path / "f").read_text() == "two"


def test_what_is_not_here_is_told(two: HookRepo) -> None:
    two.lose_store()
    said = two.run("switch", "-q", "side")
    assert "warning: not all data is as the pointers say: " in said
    assert "f was changed and stays as it is" in said
    assert two.texts("d") == {"a": "1", "b": "1"}


def test_nothing_is_started_where_no_pointer_moved(two: HookRepo) -> None:
    two.commit("code", **{"code.py": "1"})
    # Whatever would start dver now would fail.
    two.write(".git/dver/config.yaml", "no: setting\n")
    assert two.run("switch", "-q", "-c", "ahead", "HEAD~1") == ""
    assert two.run("merge", "-q", "--ff-only", "main") == ""
    assert two.run("switch", "-q", "-c", "other", "HEAD~1") == ""
    two.write("other.py", "1")
    two.git("add", "other.py")
    two.git("commit", "-q", "--no-verify", "-m", "other")
    assert two.run("checkout", "-q", "side", "--", "f.dver") == ""
    two.git("checkout", "-q", "HEAD", "--", "f.dver")
    assert two.run("commit", "-q", "--amend", "--no-verify", "-m", "again") == ""
    assert two.run("rebase", "-q", "--no-verify", "main") == ""
    assert "no setting" in two.run("switch", "-q", "side", code=0)


def test_checking_out_files_is_no_switch(two: HookRepo) -> None:
    two.run("checkout", "-q", "side", "--", "f.dver")
    assert (two.path / "f").read_text() == "one"


def test_merge_and_squash(two: HookRepo) -> None:
    assert "updated d" in two.run("merge", "-q", "--squash", "side")
    assert two.texts("d") == {"a": "2", "c": "2"}
    two.run("reset", "-q", "--hard")
    two.checkout()
    assert "updated d" in two.run("merge", "-q", "--ff-only", "side")
    assert two.texts("d") == {"a": "2", "c": "2"}


def test_off_and_pull(shared: HookRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared.version("one", f="one")
    shared.install()
    shared.run("push", "-q", "origin", "main")
    other = HookRepo(GitRepo.clone(tmp_path / "origin.git", tmp_path / "other").path)
    other.install()
    shared.version("two", f="two")
    shared.run("push", "-q", "origin", "main")
    monkeypatch.setenv("DVER_HOOKS_CHECKOUT", "pull")
    # Nobody here has agreed to the remote that the clone came with.
    assert "you have not yet agreed" in other.run("pull", "-q")
    other.write(".git/dver/config.yaml", f"remote:\n  nas:\n    url: {tmp_path / 'nas'}\n")
    shared.version("three", f="three")
    shared.run("push", "-q", "origin", "main")
    assert "updated f" in other.run("pull", "-q")
    assert (other.path / "f").read_text() == "three"
    monkeypatch.setenv("DVER_HOOKS_CHECKOUT", "off")
    other.run("switch", "-q", "--detach", "HEAD~1")
    assert (other.path / "f").read_text() == "three"


# -- rebase, cherry-pick, stash, bisect --------------------------------------------------------


def diverge(repo: HookRepo) -> None:
    """Let ``main`` and ``side`` each have commits of their own, in different files."""
    repo.version("base", d={"a": "1"}, f="1")
    repo.git("switch", "-q", "-c", "side")
    repo.version("side 1", d={"a": "1", "s1": "s"})
    repo.version("side 2", d={"a": "1", "s1": "s", "s2": "s"})
    repo.git("switch", "-q", "main")
    repo.checkout()
    repo.version("main 1", d={"a": "1", "m": "m"}, f="2")
    repo.install()


def test_a_rebase_merges_directories_and_brings_the_data_once(repo: HookRepo) -> None:
    diverge(repo)
    repo.run("switch", "-q", "side")
    said = repo.run("rebase", "-q", "main")
    assert repo.texts("d") == {"a": "1", "m": "m", "s1": "s", "s2": "s"}
    assert said.count("dver: updated d ") == 1
    assert (repo.path / "f").read_text() == "2"
    assert repo.is_clean()
    repo.run("switch", "-q", "main")
    # Nothing is replayed here: git moves the branch, and calls post-checkout alone.
    assert "updated d" in repo.run("rebase", "-q", "side")
    assert repo.texts("d") == {"a": "1", "m": "m", "s1": "s", "s2": "s"}


def test_a_rebase_that_stops_and_is_given_up(repo: HookRepo) -> None:
    diverge(repo)
    repo.version("main 2", d={"a": "main", "m": "m"})
    repo.run("switch", "-q", "side")
    repo.version("side 3", d={"a": "side", "s1": "s", "s2": "s"})
    said = repo.run("rebase", "-q", "main", code=1)
    assert "d: both sides changed d/a" in said
    assert "dver resolve [--ours|--theirs|--both] d" in said
    repo.run("rebase", "--abort")
    assert repo.texts("d") == {"a": "side", "s1": "s", "s2": "s"}
    assert repo.is_clean()
    repo.run("rebase", "-q", "main", code=1)
    done = repo.resolve("d", choice="theirs", stage=True)
    assert [one.how for one in done.resolved] == ["theirs"]
    repo.run("-c", "core.editor=true", "rebase", "--continue")
    assert repo.texts("d") == {"a": "side", "m": "m", "s1": "s", "s2": "s"}
    assert repo.is_clean()


def test_cherry_pick_amend_and_stash(repo: HookRepo) -> None:
    """git has no hook for these; the merge driver works, and one command brings the data."""
    diverge(repo)
    repo.run("cherry-pick", "side")
    assert repo.texts("d") == {"a": "1", "m": "m"}
    repo.checkout()
    assert repo.texts("d") == {"a": "1", "m": "m", "s2": "s"}
    repo.write("d/a", "2")
    repo.add("d")
    assert "updated" not in repo.run("commit", "-q", "-a", "--amend", "-m", "amended")
    repo.write("d/a", "3")
    repo.add("d")
    repo.run("stash", "-q")
    repo.checkout()
    assert repo.texts("d")["a"] == "2"
    repo.run("stash", "pop", "-q")
    repo.checkout()
    assert repo.texts("d")["a"] == "3"


def test_bisect_run_sees_the_data_of_each_commit(repo: HookRepo) -> None:
    for number in range(4):
        repo.version(f"n{number}", f=str(number))
    repo.install("post-checkout")
    repo.run("bisect", "start", "HEAD", "HEAD~3")
    found = repo.git("bisect", "run", "sh", "-c", "test $(cat f) -lt 2")
    assert "n2" in found
    repo.run("bisect", "reset")
    assert (repo.path / "f").read_text() == "3"


# -- other shapes of clones --------------------------------------------------------------------


def test_a_new_worktree_gets_its_data(two: HookRepo, tmp_path: Path) -> None:
    two.run("worktree", "add", "-q", str(tmp_path / "wt"), "side")
    other = HookRepo(tmp_path / "wt")
    assert other.texts("d") == {"a": "2", "c": "2"}
    assert two.texts("d") == {"a": "1", "b": "1"}
    assert set(other.states().values()) == {"installed"}
    other.run("switch", "-q", "--detach", "main")
    assert other.texts("d") == {"a": "1", "b": "1"}
    assert other.uninstall().changed
    assert set(two.states().values()) == {"absent"}


def test_a_submodule_has_hooks_of_its_own(two: HookRepo, tmp_path: Path) -> None:
    outer = HookRepo.create(tmp_path / "outer")
    assert isinstance(outer, HookRepo)
    outer.version("data", o="1")
    outer.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(two.path), "sub"
    )
    outer.commit("sub")
    inner = HookRepo(outer.path / "sub")
    outer.install()
    assert set(inner.states().values()) == {"absent"}
    inner.install()
    assert (outer.path / ".git/modules/sub/hooks/post-checkout").exists()
    inner.run("switch", "-q", "--detach", "origin/side")
    assert (inner.path / "f.dver").exists()
    assert not (inner.path / "f").exists()
    outer.run("switch", "-q", "-c", "more")
    outer.run("commit", "-q", "--allow-empty", "-m", "x")


def test_a_sparse_checkout_leaves_out_what_it_leaves_out(two: HookRepo) -> None:
    two.version("deep", **{"x/deep": "1", "y/deep": "1"})
    two.run("sparse-checkout", "set", "x")
    assert not (two.path / "y/deep.dver").exists()
    two.run("switch", "-q", "side")
    two.run("switch", "-q", "main")
    assert (two.path / "x/deep").read_text() == "1"


@pytest.mark.parametrize("how", ["--depth=1", "--filter=blob:none", "--filter=tree:0"])
def test_shallow_and_partial_clones(two: HookRepo, tmp_path: Path, how: str) -> None:
    two.git("config", "uploadpack.allowFilter", "true")
    url = f"file://{two.path}"
    clone = HookRepo(GitRepo.clone(url, tmp_path / "clone", how, "--no-single-branch").path)
    clone.git("config", "core.hooksPath", str(tmp_path / "clone/.git/hooks"))
    clone.install()
    os.makedirs(clone.path / ".git/dver", exist_ok=True)
    # The data comes by a shared store.
    clone.write(".git/dver/config.yaml", f"store:\n  path: {two.path / '.git/dver'}\n")
    clone.run("switch", "-q", "side")
    assert clone.texts("d") == {"a": "2", "c": "2"}
    clone.run("switch", "-q", "main")
    assert clone.texts("d") == {"a": "1", "b": "1"}


def test_a_pointer_in_conflict_does_not_stop_the_others(two: HookRepo) -> None:
    two.write("g.dver", "<<<<<<< ours\n=======\n>>>>>>> theirs\n")
    said = two.run("switch", "-q", "side")
    assert "warning: the pointer g.dver is broken: it has git conflict markers" in said
    assert two.texts("d") == {"a": "2", "c": "2"}


def test_a_branch_without_dver(two: HookRepo) -> None:
    two.git("switch", "-q", "--orphan", "empty")
    two.run("commit", "-q", "--allow-empty", "-m", "nothing")
    two.run("switch", "-q", "main")
    assert two.texts("d") == {"a": "1", "b": "1"}


def test_settings_that_cannot_be_read_are_a_warning(two: HookRepo) -> None:
    """A clone may bring them; a hook manager would take the failure for git's."""
    two.write(".dver/config.yaml", "hooks:\n  checkout: pull\n")
    repo = two.open()
    try:
        assert run_hook(repo, HookCall("post-checkout"), two.heard).updated == ()
    finally:
        repo.close()
    assert "hooks.checkout" in two.heard.warnings[0]
