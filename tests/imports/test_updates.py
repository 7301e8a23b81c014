"""Updates of what was imported from other repositories: how it moves, and what stays."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dver.base.errors import (
    DverError,
    NotFoundError,
    RefusedError,
)
from dver.base.reporter import SILENT
from dver.formats import pointer as pointers
from dver.ops.data.add import AddOptions, add
from tests.imports.steps import bring, move, origin, pointer_text, state
from tests.support.cli import Dver
from tests.support.datarepo import DataRepo


def test_update_follows_a_branch_and_says_what_changed(here: DataRepo, upstream: DataRepo) -> None:
    bring(here, upstream.path, "train")
    bring(here, upstream.path, "train/a.csv", output="a.csv")
    here.commit("import")
    assert not move(here, all=True, check=True).has_moved
    upstream.version(
        "two", train={"a.csv": "x,z\n1,2\n", "sub": {"c": "333", "d": "4"}, "void": {}}
    )
    before = here.git("status", "--porcelain")
    looked = move(here, all=True, check=True)
    assert looked.has_moved
    assert looked.dry_run
    assert here.git("status", "--porcelain") == before
    one, tree = looked.targets
    assert (one.path, one.state, one.updated) == ("a.csv", "moved", False)
    assert one.shape is not None
    assert tree.shape is not None
    assert (one.shape.columns_added, one.shape.columns_removed) == (("z",), ("y",))
    assert (tree.shape.added, tree.shape.removed, tree.shape.modified) == (1, 1, 1)
    result = move(here, "train")
    assert [(t.path, t.updated) for t in result.targets] == [("train", True)]
    assert result.to_stage == ("train.dver",)
    assert (here.path / "train/sub/d").read_text() == "4"
    assert not (here.path / "train/run").exists()
    assert origin(here, "train").commit == upstream.git("rev-parse", "HEAD")
    assert state(here, "train") == "modified unchanged here"
    assert move(here, "train").targets[0].state == "current"


def test_commits_that_do_not_touch_the_data_change_nothing(
    here: DataRepo, upstream: DataRepo
) -> None:
    bring(here, upstream.path, "model")
    here.commit("import")
    upstream.write("unrelated", "1")
    upstream.commit("unrelated")
    result = move(here, "model")
    assert (result.targets[0].state, result.to_stage) == ("current", ())
    assert here.git("status", "--porcelain") == ""


def test_tags_and_commits_stay_until_another_is_asked_for(
    here: DataRepo, upstream: DataRepo
) -> None:
    first = upstream.git("rev-parse", "HEAD")
    bring(here, upstream.path, "model", rev="v1")
    bring(here, upstream.path, "model", rev=first[:12], output="m2")
    upstream.version("two", model="weights 2")
    result = move(here, all=True)
    assert [(one.state, one.note) for one in result.targets] == [("pinned", "")] * 2
    assert not move(here, all=True, check=True).has_moved
    moved = move(here, "model", rev="HEAD")
    assert moved.targets[0].updated
    assert origin(here, "model").rev == "HEAD"
    assert (here.path / "model").read_text() == "weights 2"
    move(here, "model", rev="v1")
    assert (here.path / "model").read_text() == "weights 1"
    upstream.git("tag", "-f", "v1")
    moved_tag = move(here, "model", check=True)
    assert moved_tag.has_moved
    assert "names" in moved_tag.targets[0].note
    assert move(here, "model").targets[0].updated is False
    assert move(here, "model", rev="v1").targets[0].updated


def test_gone_there(here: DataRepo, upstream: DataRepo) -> None:
    bring(here, upstream.path, "model")
    upstream.untrack("model")
    upstream.commit("gone")
    looked = move(here, "model", check=True)
    assert (looked.targets[0].state, looked.has_moved) == ("gone", True)
    with pytest.raises(NotFoundError):
        move(here, "model")
    assert (here.path / "model").read_text() == "weights 1"


def test_one_that_cannot_be_read_leaves_the_others(
    here: DataRepo, upstream: DataRepo, tmp_path: Path
) -> None:
    """A broken origin, a source that is gone, and one that nobody agreed to."""
    other = tmp_path / "other"
    shutil.copytree(upstream.path, other, symlinks=True)
    third = tmp_path / "third"
    shutil.copytree(upstream.path, third, symlinks=True)
    bring(here, upstream.path, "model")
    bring(here, upstream.path, "model", output="broken")
    bring(here, other, "model", output="away")
    bring(here, third, "model", output="unknown")
    here.commit("imports")
    text = pointer_text(here, "broken").replace(b"origin: 1", b"origin: 7")
    (here.path / "broken.dver").write_bytes(text)
    trusted = here.path / ".git/dver/trusted-sources"
    lines = trusted.read_text().splitlines(keepends=True)
    trusted.write_text("".join(line for line in lines if str(third) not in line))
    shutil.rmtree(other)
    upstream.version("two", model="weights 2")
    looked = move(here, all=True, check=True)
    assert looked.has_moved and looked.failure
    assert {one.path: one.state for one in move(here, all=True).targets} == {
        "away": "failed",
        "broken": "failed",
        "model": "moved",
        "unknown": "failed",
    }
    assert (here.path / "model").read_text() == "weights 2"
    told = Dver(here.path)("update", "--all", code=looked.failure)
    assert "failed: unknown: unknown says that it comes from" in told.stderr
    assert "hint: if you know that place: dver update --trust unknown" in told.stderr
    assert "failed: broken: " in told.stderr and "version '7'" in told.stderr
    with pytest.raises(DverError):
        move(here, "away", "unknown")


def test_what_was_changed_here_is_not_overwritten(here: DataRepo, upstream: DataRepo) -> None:
    bring(here, upstream.path, "model")
    here.commit("import")
    (here.path / "model").write_text("my own")
    assert move(here, "model").targets[0].state == "current"
    upstream.version("two", model="weights 2")
    text = pointer_text(here, "model")
    with pytest.raises(RefusedError, match="in the workspace"):
        move(here, "model")
    repo = here.repo()
    add(repo, AddOptions(("model",)), SILENT)
    repo.close()
    assert origin(here, "model").oid == pointers.decode(text).oid
    with pytest.raises(RefusedError, match="since it was imported"):
        move(here, "model")
    assert (here.path / "model").read_text() == "my own"
    assert move(here, "model", force=True).targets[0].updated
    assert (here.path / "model").read_text() == "weights 2"
