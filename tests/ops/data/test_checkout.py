"""Bringing the workspace in line with pointers, or with a revision."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dver.base import fsio
from dver.base.errors import (
    CorruptError,
    DverError,
    FormatError,
    MissingContentError,
    NotFoundError,
    RefusedError,
)
from tests.ops.data.twoversions import ONE, TWO, is_clean, put, two_versions
from tests.support.gitrepo import GitRepo
from tests.support.workrepo import WorkRepo


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_versions(tmp_path_factory.mktemp("template") / "repo")


# -- following the pointers ----------------------------------------------------------------------


def test_after_git_moved_the_pointers(repo: WorkRepo) -> None:
    repo.git("checkout", "-q", "v1")
    result = repo.checkout()
    assert repo.tree("d") == ONE
    assert (repo.path / "f").read_bytes() == b"v1"
    told = {t.path: (t.written, t.deleted, t.unchanged, t.bytes) for t in result.targets}
    assert told == {"d": (3, 1, 1, 5), "f": (1, 0, 0, 2)}
    assert all(t.pointer_change == "unchanged" for t in result.targets)
    assert result.rev is None
    assert is_clean(repo)
    assert [(t.written, t.deleted) for t in repo.checkout().targets] == [(0, 0), (0, 0)]


def test_a_fresh_clone_that_shares_no_workspace(repo: WorkRepo, tmp_path: Path) -> None:
    repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "other"), "v1")
    other = WorkRepo(tmp_path / "other")
    other.checkout()
    assert other.tree("d") == ONE
    assert is_clean(other)
    assert repo.tree("d") == TWO


def test_everything_that_a_directory_may_hold_comes_back(repo: WorkRepo) -> None:
    repo.write("e/run", b"#!").chmod(0o755)
    repo.write("e/empty", b"")
    (repo.path / "e/link").symlink_to("../nowhere")
    (repo.path / "e/none").mkdir()
    repo.add("e")
    before = repo.tree("e")
    put(repo, {}, "e/none")
    for name in ("run", "empty", "link"):
        repo.unlink(f"e/{name}")
    os.rmdir(repo.path / "e")
    repo.checkout("e")
    assert repo.tree("e") == before
    assert (repo.path / "e/run").stat().st_mode & stat.S_IXUSR
    assert not (repo.path / "e/empty").stat().st_mode & stat.S_IXUSR


def test_deleted_data_comes_back(repo: WorkRepo) -> None:
    put(repo, {})
    repo.unlink("f")
    repo.checkout()
    assert repo.tree("d") == TWO
    assert (repo.path / "f").read_bytes() == b"v2"


def test_only_some_paths(repo: WorkRepo) -> None:
    put(repo, {})
    repo.unlink("f")
    repo.checkout("f")
    assert (repo.path / "f").exists()
    assert not (repo.path / "d").exists()
    result = repo.checkout("d/t", "d/a")
    assert repo.tree("d") == {"a": b"2", "t/z": b"z2"}
    assert [t.path for t in result.targets] == ["d/a", "d/t"]


def test_a_directory_with_targets_in_it_and_a_pointer_file_name_them(repo: WorkRepo) -> None:
    repo.write("x/one", b"1")
    repo.write("x/y/two", b"2")
    repo.add("x/one", "x/y/two")
    for name in ("x/one", "x/y/two", "f"):
        repo.unlink(name)
    assert [t.path for t in repo.checkout("x").targets] == ["x/one", "x/y/two"]
    assert not (repo.path / "f").exists()
    assert [t.path for t in repo.checkout("../f.dver", below="x").targets] == ["../f"]


def test_from_below_dot_means_here(repo: WorkRepo) -> None:
    put(repo, {"s/x": b"x1"})
    repo.unlink("f")
    repo.write("d/s/y", b"untracked")
    repo.checkout(".", below="d/s")
    assert not (repo.path / "f").exists()
    assert not (repo.path / "d/a").exists()
    repo.checkout(".")
    assert (repo.path / "d/a").exists()


@pytest.mark.parametrize("path", ["nope", "d/nope", "f/below"])
def test_a_path_that_is_not_tracked(repo: WorkRepo, path: str) -> None:
    with pytest.raises(NotFoundError, match="does not track"):
        repo.checkout(path)


# -- nothing is lost -----------------------------------------------------------------------------


def refuse(repo: WorkRepo, *paths: str, rev: str | None = None) -> RefusedError:
    before = repo.snapshot()
    with pytest.raises(RefusedError) as caught:
        repo.checkout(*paths, rev=rev)
    assert repo.snapshot() == before
    return caught.value


def test_changes_that_are_not_in_the_store_are_kept(repo: WorkRepo) -> None:
    repo.write("d/a", b"my work")
    repo.write("f", b"too")
    repo.unlink("d/t/z")
    error = refuse(repo)
    assert error.paths == ("d/a", "f")
    assert "2 files would be overwritten" in error.message
    assert "--force" in (error.hint or "")
    assert refuse(repo, "f").message.startswith("f would be overwritten")
    refuse(repo, rev="v1")
    refuse(repo, "d/a", rev="v1")
    repo.checkout(force=True)
    assert repo.tree("d") == TWO
    assert (repo.path / "f").read_bytes() == b"v2"


def test_changes_that_are_in_the_store_may_go(repo: WorkRepo) -> None:
    repo.write("d/a", b"v1")  # the content of f at v1
    repo.checkout()
    assert repo.tree("d") == TWO


def test_files_that_were_never_tracked_stay(repo: WorkRepo) -> None:
    repo.write("d/mine", b"my work")
    repo.git("checkout", "-q", "v1")
    result = repo.checkout()
    assert repo.tree("d") == {**ONE, "mine": b"my work"}
    assert next(t for t in result.targets if t.path == "d").kept == 1
    assert (repo.status_of("d").data_state, repo.status_of("d").counts.new) == ("modified", 1)
    repo.checkout(force=True)
    assert repo.tree("d") == ONE


def test_a_file_in_place_of_a_directory_and_back(repo: WorkRepo) -> None:
    put(repo, {})
    repo.write("d", b"a file now, and precious")
    assert refuse(repo).paths == ("d",)
    repo.add("d")
    repo.commit("d is a file")
    repo.checkout("d", rev="v1")
    assert repo.tree("d") == ONE
    repo.git("checkout", "-q", "--", "d.dver")
    repo.checkout()
    assert (repo.path / "d").read_bytes() == b"a file now, and precious"


def test_writing_never_goes_through_a_symlink(repo: WorkRepo, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "z").write_bytes(b"not yours")
    put(repo, {**TWO})
    repo.unlink("d/t/z")
    os.rmdir(repo.path / "d/t")
    (repo.path / "d/t").symlink_to(outside)
    for paths in ((), ("d/t",), ("d/t/z",)):
        with pytest.raises(RefusedError):
            repo.checkout(*paths)
    repo.checkout(force=True)
    assert repo.tree("d") == TWO
    assert (outside / "z").read_bytes() == b"not yours"


def test_a_hardlinked_file_is_replaced_not_written_into(repo: WorkRepo, tmp_path: Path) -> None:
    os.link(repo.path / "f", tmp_path / "elsewhere")
    repo.git("checkout", "-q", "v1")
    repo.checkout()
    assert (tmp_path / "elsewhere").read_bytes() == b"v2"
    assert (repo.path / "f").read_bytes() == b"v1"


class CrashError(Exception):
    pass


def test_a_crash_at_any_step_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    repo = WorkRepo.create(tmp_path / "repo")
    for tag, files in (("v1", ONE), ("v2", TWO)):
        put(repo, files)
        repo.add("d")
        repo.commit(tag)
        repo.git("tag", tag)
    steps, done = 0, False
    while not done:
        repo.git("checkout", "-q", "v2")
        repo.checkout(force=True)
        repo.git("checkout", "-q", "v1")
        left = steps

        def crash(name: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise CrashError

        fsio.install_hook(crash)
        try:
            repo.checkout()
            done = True
        except CrashError:
            pass
        finally:
            fsio.install_hook(None)
        for name, content in repo.tree("d").items():
            if not Path(name).name.startswith(fsio.TEMP_PREFIX):
                assert content in (ONE.get(name), TWO.get(name))
        repo.checkout()
        assert repo.tree("d") == ONE
        steps += 3
    assert steps > 10


# -- what is missing -----------------------------------------------------------------------------


def test_missing_content_is_named_and_all_else_is_brought(repo: WorkRepo) -> None:
    repo.write("g", b"here")
    put(repo, {})
    repo.lose_store()
    repo.add("g")
    repo.unlink("g", "f")
    with pytest.raises(MissingContentError) as caught:
        repo.checkout()
    assert (repo.path / "g").read_bytes() == b"here"
    assert [path.split(" ")[0] for path in caught.value.paths] == ["d", "f"]
    assert "blake3:" in caught.value.paths[0]
    assert not (repo.path / "d").exists()


def test_a_directory_of_which_some_files_are_missing(repo: WorkRepo, tmp_path: Path) -> None:
    trees = [repo.pointer("d").oid]
    store = repo.open().store
    old = store.read_tree(trees[0])
    keep = [store.read(old.oid(i)) for i, kind in enumerate(old.kinds) if kind == ord("d")]
    keep += [store.read(trees[0]), b"2", b"z2", b"n2"]
    repo.lose_store()
    repo.write(".dver/config.yaml", "remote:\n  origin:\n    url: /nowhere\n")
    fresh = repo.open().store
    with fresh.writer() as writer:
        for data in keep:
            writer.add(data)
        writer.commit()
    put(repo, {})
    with pytest.raises(MissingContentError) as caught:
        repo.checkout("d")
    assert caught.value.paths[0].startswith("d/s/x (blake3:")
    assert caught.value.hint == "dver pull d"
    # A pull would bring what the work tree names, and not this revision.
    with pytest.raises(MissingContentError) as caught:
        repo.checkout("d", rev="HEAD")
    assert caught.value.hint == "dver fetch --rev HEAD d"
    assert repo.tree("d") == {"a": b"2", "t/z": b"z2", "u/n": b"n2", "s": None}
    # What was never brought here was not deleted by anybody.
    status = repo.status_of("d")
    assert (status.data_state, status.missing, status.counts.total) == ("unchanged", 1, 0)
    with pytest.raises(RefusedError, match="not all of d is here"):
        repo.add("d")
    repo.write("d/s/new", b"n")
    repo.add("d/s/new")
    assert repo.pointer("d").files == 5


def test_a_pointer_of_a_revision_is_written_only_with_its_data(repo: WorkRepo) -> None:
    repo.write("f", b"v3")
    repo.add("f")
    repo.lose_store()
    repo.write("f", b"v4")
    repo.add("f")
    with pytest.raises(MissingContentError):
        repo.checkout("f", rev="v1")
    assert repo.pointer("f").size == 2
    assert (repo.path / "f").read_bytes() == b"v4"
    assert repo.status_of("f").data_state == "unchanged"


def test_damaged_content_is_not_written(repo: WorkRepo) -> None:
    put(repo, {})
    repo.unlink("f")
    for where, _, files in os.walk(repo.path / ".git/dver/packs"):
        for name in files:
            path = Path(where, name)
            path.chmod(0o644)
            data = bytearray(path.read_bytes())
            at = data.find(b"v2")
            if at >= 0:
                data[at : at + 2] = b"V2"
                path.write_bytes(data)
    with pytest.raises(CorruptError):
        repo.checkout()
    assert not (repo.path / "f").exists()


def test_a_broken_pointer(repo: WorkRepo) -> None:
    repo.write("f.dver", "<<<<<<< ours\n")
    with pytest.raises(FormatError, match=r"f\.dver is broken"):
        repo.checkout()
    repo.checkout("d")


# -- revisions -----------------------------------------------------------------------------------


def test_pointers_and_data_of_a_revision(repo: WorkRepo) -> None:
    index = repo.git("ls-files", "--stage")
    head = repo.head()
    result = repo.checkout(rev="v1")
    assert repo.tree("d") == ONE
    assert (repo.path / "f").read_bytes() == b"v1"
    assert repo.git("diff", "v1", "--name-only") == ""
    assert (repo.git("ls-files", "--stage"), repo.head()) == (index, head)
    assert result.rev == repo.git("rev-parse", "v1")
    assert {t.pointer_change for t in result.targets} == {"updated"}
    assert {t.data_state for t in repo.status().targets} == {"unchanged"}
    assert {t.pointer_state for t in repo.status().targets} == {"modified"}
    repo.checkout(rev="HEAD")
    assert is_clean(repo)


def test_a_part_of_a_revision_leaves_the_pointer(repo: WorkRepo) -> None:
    pointer = repo.pointer("d")
    result = repo.checkout("d/s", "d/a", rev="v1")
    assert repo.tree("d") == {**TWO, "s/y": b"y1", "a": b"1"}
    assert repo.pointer("d") == pointer
    assert {t.pointer_change for t in result.targets} == {"unchanged"}
    counts = repo.status_of("d").counts
    assert (counts.new, counts.modified, counts.deleted) == (1, 1, 0)


def test_what_the_revision_lacks_is_left_alone(repo: WorkRepo) -> None:
    repo.write("g", b"later")
    repo.add("g")
    repo.commit("g")
    repo.checkout(rev="v1")
    assert (repo.path / "g.dver").exists()
    assert (repo.path / "g").read_bytes() == b"later"
    with pytest.raises(NotFoundError, match="v1 does not track g"):
        repo.checkout("g", rev="v1")


def test_what_only_the_revision_has_comes_back(repo: WorkRepo) -> None:
    repo.rm("f")
    repo.commit("no f")
    result = repo.checkout("f", rev="v1")
    assert result.targets[0].pointer_change == "new"
    assert (repo.path / "f").read_bytes() == b"v1"
    assert "/f" in repo.ignored()
    assert repo.untracked() == ["f.dver"]


def test_an_unknown_revision(repo: WorkRepo) -> None:
    with pytest.raises(NotFoundError, match="no such revision"):
        repo.checkout(rev="v9")


def test_overlaps_with_a_revision_are_refused(repo: WorkRepo) -> None:
    repo.rm("d", keep_data=True)
    repo.add("d/a", "d/t")
    repo.commit("tracked by parts")
    assert refuse(repo, "d", rev="v1").paths == ("d/a", "d/t")
    repo.rm("f", keep_data=True)
    repo.git("add", "-f", "f")
    repo.commit("f in git")
    assert refuse(repo, "f", rev="v1").paths == ("f",)


# -- shapes of repositories ----------------------------------------------------------------------


def test_before_the_first_commit(tmp_path: Path) -> None:
    repo = WorkRepo(GitRepo.init(tmp_path / "new").path)
    from dver.ops.setup.init import InitOptions, init

    init(repo.open(), InitOptions(), repo.heard)
    repo.write("f", b"1")
    repo.add("f")
    repo.unlink("f")
    repo.checkout()
    assert (repo.path / "f").read_bytes() == b"1"
    with pytest.raises(DverError):
        repo.checkout(rev="HEAD")


def test_targets_outside_a_sparse_checkout_are_left_out(repo: WorkRepo) -> None:
    repo.write("x/g", b"1")
    repo.write("y/h", b"1")
    repo.add("x/g", "y/h")
    repo.commit("more")
    repo.unlink("y/h")
    repo.git("sparse-checkout", "set", "--cone", "x")
    result = repo.checkout()
    assert [t.path for t in result.targets] == ["d", "f", "x/g"]
    assert not (repo.path / "y").exists()
    assert is_clean(repo)


def test_targets_that_this_file_system_would_take_for_one(
    repo: WorkRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dver.workspace import twins

    for name in ("Table.csv", "table.csv"):
        repo.write(name, name.encode())
    repo.add("Table.csv", "table.csv")
    repo.commit("twins")
    for name in ("Table.csv", "table.csv"):
        (repo.path / name).unlink()
    monkeypatch.setattr(twins, "folds_names", lambda safe: True)
    for rev in (None, "HEAD"):
        error = refuse(repo, rev=rev)
        assert error.paths == ("Table.csv and table.csv",)
        assert not (repo.path / "table.csv").exists()
    assert repo.checkout("table.csv").targets[0].path == "table.csv"
