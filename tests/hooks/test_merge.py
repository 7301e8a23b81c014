"""Two people changed the same data: the merge driver, ``dver resolve``, and what comes after."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dver.base.errors import FormatError, MissingContentError, NotFoundError, RefusedError
from dver.ops.githooks.merging import merge_origins
from tests.hooks.conftest import HookRepo
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo


def fork(repo: HookRepo, base: object, ours: object, theirs: object) -> HookRepo:
    """Give ``d`` a version on ``main`` and another on ``side``; None removes it."""
    for branch, content in (("", base), ("side", theirs), ("main", ours)):
        if branch == "side":
            repo.git("switch", "-q", "-c", "side")
        elif branch:
            repo.git("switch", "-q", "main")
            repo.checkout()
        if content is None and branch:
            repo.rm("d")
            repo.commit("removed")
        elif content is not None:
            repo.version(branch or "base", d=content)
    return repo


@pytest.fixture
def disjoint(repo: HookRepo) -> HookRepo:
    return fork(repo, {"a": "1", "x": "1"}, {"a": "1", "x": "1", "b": "2"}, {"a": "1", "c": "3"})


@pytest.fixture
def clash(repo: HookRepo) -> HookRepo:
    return fork(repo, {"a": "1"}, {"a": "ours", "b": "2"}, {"a": "theirs", "c": "3"})


MERGED = {"a": "1", "b": "2", "c": "3"}


# -- the driver --------------------------------------------------------------------------------


def test_disjoint_changes_merge_by_themselves(disjoint: HookRepo) -> None:
    disjoint.install()
    disjoint.run("merge", "-q", "-m", "both", "side")
    assert disjoint.texts("d") == MERGED
    assert disjoint.is_clean()
    assert disjoint.pointer("d").files == 3


def test_without_the_script_git_does_what_it_does_with_text(clash: HookRepo) -> None:
    clash.install("merge", "diff")
    (clash.path / ".git/dver/git-driver").unlink()
    assert clash.states("merge", "diff") == {"merge": "outdated", "diff": "outdated"}
    assert "blake3:" in clash.git("diff", "main", "side")
    clash.run("merge", "side", code=1)
    text = (clash.path / "d.dver").read_text()
    assert text.count("<<<<<<<") == 1
    assert clash.resolve("d", choice="theirs").resolved[0].files == 3


def test_from_a_subdirectory_and_in_a_worktree(disjoint: HookRepo, tmp_path: Path) -> None:
    disjoint.install()
    disjoint.git("worktree", "add", "-q", "-b", "wt", str(tmp_path / "wt"))
    other = HookRepo(tmp_path / "wt")
    (other.path / "deep").mkdir()
    HookRepo(other.path / "deep").run("merge", "-q", "-m", "both", "side")
    assert other.texts("d") == MERGED


def test_a_clash_keeps_both_sides(clash: HookRepo) -> None:
    clash.install()
    said = clash.run("merge", "side", code=1)
    assert "warning: d: both sides changed d/a" in said
    assert "hint: dver resolve [--ours|--theirs|--both] d" in said
    text = (clash.path / "d.dver").read_text()
    assert [line for line in text.splitlines() if line[0] in "<|=>"] == [
        "<<<<<<< ours",
        "||||||| base",
        "=======",
        ">>>>>>> theirs",
    ]
    with pytest.raises(FormatError, match="conflict markers") as caught:
        clash.checkout()
    assert "dver resolve" in str(caught.value.hint)
    assert clash.status_of("d").pointer_state == "conflict"
    clash.run("merge", "--abort")
    assert clash.texts("d") == {"a": "ours", "b": "2"}


def test_lists_of_files_that_are_not_here(clash: HookRepo) -> None:
    clash.install("merge")
    clash.lose_store()
    said = clash.run("merge", "side", code=1)
    assert "the list of files of a side is not here" in said
    with pytest.raises(MissingContentError):
        clash.resolve("d", choice="ours")
    assert "<<<<<<<" in (clash.path / "d.dver").read_text()


@pytest.mark.parametrize("trusted", [True, False])
def test_content_is_not_needed_to_merge(shared: HookRepo, tmp_path: Path, trusted: bool) -> None:
    """The lists of files come from the remote, if the user has agreed to it, and no file does."""
    fork(shared, {"a": "1", "x": "1"}, {"a": "1", "x": "1", "b": "2"}, {"a": "1", "c": "3"})
    shared.install("pre-push")
    shared.run("push", "-q", "origin", "main", "side")
    clone = HookRepo(GitRepo.clone(tmp_path / "origin.git", tmp_path / "clone").path)
    clone.install("merge")
    if trusted:
        Dver(clone.path)("remote", "trust", "nas", "-q")
    code = 0 if trusted else 1
    clone.run("merge", "-q", "-m", "both", "origin/side", code=code)
    if not trusted:
        done = clone.resolve(stage=True)
        assert [(one.how, one.files) for one in done.resolved] == [("merged", 3)]
        assert "not in the local store" in clone.heard.warnings[0]
        clone.run("commit", "-q", "-m", "both")
    assert clone.texts("d") == {}
    Dver(clone.path)("remote", "trust", "nas", "-q")
    # Nobody needs what came from elsewhere to send the merge on.
    Dver(clone.path)("push", "-q")
    Dver(clone.path)("pull", "-q")
    assert clone.texts("d") == MERGED


def test_single_files(repo: HookRepo) -> None:
    fork(repo, "1", "ours", "theirs")
    repo.install("merge")
    repo.run("merge", "side", code=1)
    repo.git("merge", "--abort")
    # The content changed on one side, the mode on the other.
    repo.version("same again", d="1")
    os.chmod(repo.path / "d", 0o755)
    repo.add("d")
    repo.git("commit", "-q", "-a", "-m", "mode")
    repo.run("merge", "-q", "-m", "both", "side")
    repo.checkout()
    assert (repo.path / "d").read_text() == "theirs"
    assert os.access(repo.path / "d", os.X_OK)


def test_criss_cross(disjoint: HookRepo) -> None:
    """Two common ancestors: git merges these first, and that may fail without a trace."""
    repo = disjoint
    repo.install("merge")
    main, side = repo.head(), repo.git("rev-parse", "side")
    repo.git("merge", "-q", "-m", "one", side)
    repo.git("switch", "-q", "side")
    repo.git("merge", "-q", "-m", "two", main)
    repo.checkout()
    repo.version("side again", d={**MERGED, "s": "s"})
    repo.git("switch", "-q", "main")
    repo.checkout()
    repo.version("main again", d={**MERGED, "m": "m"})
    repo.run("merge", "-q", "-m", "both", "side")
    repo.checkout()
    assert repo.texts("d") == {**MERGED, "m": "m", "s": "s"}


def test_renamed_on_one_side_and_changed_on_the_other(repo: HookRepo) -> None:
    repo.version("base", d={"a": "1"})
    repo.git("switch", "-q", "-c", "side")
    repo.version("side", d={"a": "1", "c": "3"})
    repo.git("switch", "-q", "main")
    repo.checkout()
    repo.install("post-merge")
    repo.mv("d", "e")
    repo.commit("renamed")
    repo.run("merge", "-q", "-m", "both", "side")
    assert repo.texts("e") == {"a": "1", "c": "3"}
    assert not (repo.path / "d").exists()
    assert repo.is_clean()


def test_a_stash_is_merged_like_a_branch(disjoint: HookRepo) -> None:
    repo = disjoint
    repo.install("merge")
    repo.write("d/mine", "4")
    repo.add("d")
    repo.git("stash", "-q")
    repo.git("merge", "-q", "-m", "both", "side")
    repo.git("stash", "pop", "-q")
    repo.checkout()
    assert repo.texts("d") == {**MERGED, "mine": "4"}


def test_removed_on_one_side_is_for_git(repo: HookRepo) -> None:
    fork(repo, {"a": "1"}, {"a": "2"}, None)
    repo.install("merge")
    said = repo.run("merge", "side", code=1)
    assert said == ""
    with pytest.raises(
        RefusedError, match=r"one side of the merge removed or renamed d\.dver"
    ) as e:
        repo.resolve("d", choice="ours")
    assert e.value.hint == (
        "'git add d.dver' keeps it, 'git rm d.dver' removes it; then 'dver checkout'"
    )


def test_foreign_files_that_end_like_pointers(repo: HookRepo) -> None:
    """What is no pointer is merged as text, as git does without dver."""
    repo.install("merge")
    lines = [f"line {n}\n" for n in range(9)]
    for branch, change in (("", {}), ("side", {0: "side\n"}), ("main", {8: "main\n"})):
        if branch == "side":
            repo.git("switch", "-q", "-c", "side")
        elif branch:
            repo.git("switch", "-q", "main")
        text = "".join(change.get(n, line) for n, line in enumerate(lines))
        repo.commit_files({"notes.dver": text}, branch or "base")
    repo.run("merge", "-q", "-m", "both", "side")
    text = (repo.path / "notes.dver").read_text()
    assert text.startswith("side\n") and text.endswith("main\n")


# -- resolve -----------------------------------------------------------------------------------


@pytest.mark.parametrize("driver", [True, False])
def test_resolve_merges_and_asks_about_the_rest(clash: HookRepo, driver: bool) -> None:
    if driver:
        clash.install("merge")
    clash.run("merge", "side", code=1)
    asked = clash.resolve()
    assert asked.resolved == ()
    assert [(one.path, one.conflicts) for one in asked.unresolved] == [("d", ("d/a",))]
    assert "<<<<<<<" in (clash.path / "d.dver").read_text()
    done = clash.resolve("d", choice="both", stage=True)
    assert [(one.how, one.files, one.chosen) for one in done.resolved] == [("both", 4, ("d/a",))]
    assert clash.texts("d") == {"a~ours": "ours", "a~theirs": "theirs", "b": "2", "c": "3"}
    clash.git("commit", "-q", "--no-edit")
    assert clash.is_clean()
    assert clash.resolve() == type(done)((), (), (), False)


@pytest.mark.parametrize("choice", ["ours", "theirs"])
def test_one_side_for_what_both_changed(clash: HookRepo, choice: str) -> None:
    clash.run("merge", "side", code=1)
    done = clash.resolve("d.dver", choice=choice)
    assert done.to_stage == ("d.dver",) and not done.staged
    assert clash.texts("d") == {"a": choice, "b": "2", "c": "3"}
    clash.git("add", "d.dver")
    clash.git("commit", "-q", "--no-edit")


def test_both_versions_of_a_single_file(repo: HookRepo) -> None:
    fork(repo, "1", "ours", "theirs")
    repo.run("merge", "side", code=1)
    done = repo.resolve("d", choice="both", stage=True)
    assert done.resolved[0].kept == ("d~ours", "d~theirs")
    assert sorted(done.resolved[0].chosen) == ["d"]
    assert (repo.path / "d~ours").read_text() == "ours"
    assert (repo.path / "d~theirs").read_text() == "theirs"
    assert not (repo.path / "d").exists() and not (repo.path / "d.dver").exists()
    repo.git("commit", "-q", "--no-edit")
    assert repo.is_clean()
    assert repo.untracked() == []


def test_both_versions_come_before_they_are_staged(repo: HookRepo) -> None:
    fork(repo, "1", "ours", "theirs")
    repo.run("merge", "side", code=1)
    repo.resolve("d", choice="both", stage=False)
    assert repo.heard.warnings == []
    assert (repo.path / "d~ours").read_text() == "ours"
    assert (repo.path / "d~theirs").read_text() == "theirs"
    repo.git("add", "--all")
    repo.checkout()
    assert not (repo.path / "d").exists()


def test_edits_are_not_overwritten(clash: HookRepo) -> None:
    clash.run("merge", "side", code=1)
    clash.write("d/a", "mine")
    clash.resolve("d", choice="theirs")
    assert clash.texts("d") == {"a": "mine", "b": "2"}
    assert "stays as it is" in clash.heard.warnings[0]


def test_several_at_once_and_by_name(repo: HookRepo) -> None:
    repo.version("base", d={"a": "1"}, e={"a": "1"}, f="1")
    repo.git("switch", "-q", "-c", "side")
    repo.version("side", d={"a": "1", "s": "1"}, e={"a": "s"}, f="s")
    repo.git("switch", "-q", "main")
    repo.checkout()
    repo.version("main", d={"a": "1", "m": "1"}, e={"a": "m"}, f="m")
    repo.run("merge", "side", code=1)
    run = Dver(repo.path)
    done = run("resolve", code=1)
    assert done.stdout == (
        "resolved   d (3 files, 3 B)\n"
        "conflict   e: both sides changed\n"
        "             e/a\n"
        "conflict   f: both sides changed\n"
        "             f\n"
        "to stage the pointers, run: git add d.dver\n"
    )
    assert done.stderr == "choose with: dver resolve --ours|--theirs|--both e f\n"
    # What is settled stays so, and is told until git knows.
    assert "to stage the pointers, run: git add d.dver\n" in run("resolve", code=1).stdout
    repo.git("add", "d.dver")
    assert run("resolve", "--ours", "e", "--stage").stdout == (
        "resolved   e (1 file, 1 B; ours in 1 file)\n"
    )
    with pytest.raises(NotFoundError, match="e is not in conflict"):
        repo.resolve("e", choice="ours")
    assert run("resolve", "--theirs", "--stage", "--json").result["resolved"][0]["path"] == "f"
    assert run("resolve").stdout == "nothing is in conflict\n"
    assert "only one of --ours" in run("resolve", "--ours", "--both", code=2).stderr


def test_markers_that_were_staged(clash: HookRepo) -> None:
    clash.install("merge")
    clash.run("merge", "side", code=1)
    clash.git("add", "d.dver")
    # The driver's markers tell the ancestor too.
    clash.resolve("d", choice="theirs")
    assert clash.texts("d") == {"a": "theirs", "b": "2", "c": "3"}


def test_markers_of_git_that_were_staged(clash: HookRepo) -> None:
    clash.run("merge", "side", code=1)
    clash.git("add", "d.dver")
    with pytest.raises(RefusedError, match="do not tell what both sides began with") as caught:
        clash.resolve("d")
    assert "git checkout -m -- d.dver" in str(caught.value.hint)
    clash.git("checkout", "-m", "--", "d.dver")
    assert [one.path for one in clash.resolve("d").unresolved] == ["d"]
    clash.git("add", "d.dver")
    clash.resolve("d", choice="ours")
    assert clash.texts("d") == {"a": "ours", "b": "2"}


def test_odd_names(repo: HookRepo) -> None:
    name = b"-rf 'x' \xff\n"
    path = os.fsdecode(name)
    repo.install("merge")
    for branch, inner in (("", "a"), ("side", "b"), ("main", "c")):
        if branch == "side":
            repo.git("switch", "-q", "-c", "side")
        elif branch:
            repo.git("switch", "-q", "main")
        repo.write(name + b"/" + inner.encode() + b"\xfe", inner)
        repo.add(f"./{path}")
        repo.commit(branch or "base")
    repo.run("merge", "-q", "-m", "both", "side")
    repo.checkout()
    assert sorted(os.listdir(os.fsencode(repo.path) + b"/" + name)) == [
        b"a\xfe",
        b"b\xfe",
        b"c\xfe",
    ]


ORIGIN = "#: origin: 1\n#: url: https://example.org/{}/\n"


def imported(repo: HookRepo, message: str, from_where: str, **files: str) -> None:
    """Record a version of ``d`` that says where it was imported from."""
    repo.version(message, d=files)
    path = repo.path / "d.dver"
    own = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    path.write_text("\n".join(own) + "\n" + ORIGIN.format(from_where))
    repo.git("commit", "-q", "-a", "--amend", "--no-edit")


@pytest.mark.parametrize("theirs", ["one", "two"])
def test_where_data_was_imported_from_is_merged_too(repo: HookRepo, theirs: str) -> None:
    imported(repo, "base", "one", a="1")
    repo.git("switch", "-q", "-c", "side")
    imported(repo, "side", theirs, a="1", b="2")
    repo.git("switch", "-q", "main")
    repo.checkout()
    imported(repo, "main", "one", a="1", c="3")
    repo.install("merge")
    repo.run("merge", "-q", "-m", "both", "side")
    repo.checkout()
    assert (repo.path / "d.dver").read_text().endswith(ORIGIN.format(theirs))
    assert repo.texts("d") == {"a": "1", "b": "2", "c": "3"}


def test_imports_of_different_places(repo: HookRepo) -> None:
    imported(repo, "base", "one", a="1")
    repo.git("switch", "-q", "-c", "side")
    imported(repo, "side", "two", a="1", b="2")
    repo.git("switch", "-q", "main")
    repo.checkout()
    imported(repo, "main", "three", a="1", c="3")
    repo.install("merge")
    assert "both sides changed where it was imported from" in repo.run("merge", "side", code=1)
    assert [one.conflicts for one in repo.resolve().unresolved] == [("d",)]
    repo.resolve("d", choice="theirs", stage=True)
    assert (repo.path / "d.dver").read_text().endswith(ORIGIN.format("two"))
    assert repo.texts("d") == {"a": "1", "b": "2", "c": "3"}


def test_origins_are_merged_as_a_whole() -> None:
    one, two, three = b"x\n#: a: 1\n", b"y\n#: a: 2\n#: b: 1\n", b"z\n"
    assert merge_origins(one, one, two, None) == b"#: a: 2\n#: b: 1\n"
    assert merge_origins(one, two, one, None) == b"#: a: 2\n#: b: 1\n"
    assert merge_origins(b"", one, one.replace(b"\n", b"\r\n"), None) == b"#: a: 1\n"
    assert merge_origins(one, two, three, None) is None
    assert merge_origins(one, two, three, "theirs") == b""
    assert merge_origins(one, three, two, "both") == b""
