"""Imports among the rest: pushing, records and lineage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dver.base.errors import MissingContentError
from dver.base.reporter import SILENT
from dver.config.edit import set_value
from dver.ops.data.status import StatusOptions, status
from dver.ops.making.lineage import LineageOptions, lineage
from dver.ops.making.run import RunOptions, run
from dver.ops.sharing.push import PushOptions, push
from tests.imports.conftest import Web
from tests.imports.steps import bring, fresh_clone, pulled
from tests.support.datarepo import DataRepo


def pushed(here: DataRepo, *paths: str) -> int:
    repo = here.repo()
    try:
        return push(repo, PushOptions(paths=paths), SILENT).objects
    finally:
        repo.close()


def test_imports_stay_where_they_are_if_that_is_wanted(
    here: DataRepo, upstream: DataRepo, tmp_path: Path
) -> None:
    """With import.push off others get them from the source; what is named is pushed anyway."""
    repo = here.repo()
    set_value(repo.config, "repository", "import.push", "false")
    repo.close()
    bring(here, upstream.path, "train")
    bring(here, upstream.path, "model")
    here.version("own", own="mine")
    assert pushed(here) == 1
    repo = here.repo()
    told = {one.path: one.unpushed for one in status(repo, StatusOptions(), SILENT).targets}
    repo.close()
    assert told == {"train": None, "model": None, "own": False}
    clone = fresh_clone(here, tmp_path)
    with pytest.raises(MissingContentError):
        pulled(clone)
    assert (clone.path / "own").read_text() == "mine"
    pulled(clone, trust=True)
    assert (clone.path / "train/sub/c").read_text() == "333"
    assert pushed(here, "model") == 1
    here.version("changed", model="changed here")
    assert pushed(here) == 1


def test_lineage_tells_where_an_input_came_from(
    here: DataRepo, upstream: DataRepo, web: Web
) -> None:
    bring(here, upstream.path, "train", rev="v1")
    bring(here, web.put("/w.csv", b"1,2\n", "e"))
    here.commit("import")
    repo = here.repo()
    options = RunOptions(
        ("sh", "-c", "cat train/a.csv w.csv > model"),
        deps=("train/a.csv", "w.csv"),
        outs=("model",),
    )
    run(repo, options, lambda *_: None, SILENT)
    repo.close()
    here.commit("run")
    shutil.rmtree(upstream.path)
    web.asked.clear()
    repo = here.repo()
    found = lineage(repo, LineageOptions("model"))
    repo.close()
    commit = found.edges and next(one.origin for one in found.edges if one.path == "train/a.csv")
    assert {one.path: one.origin for one in found.edges} == {
        "model": "",
        "train/a.csv": commit,
        "w.csv": f"http://127.0.0.1:{web.port}/w.csv",
    }
    assert commit.startswith(f"git+file://{upstream.path}@")
    assert commit.endswith("#train")
    assert web.asked == []
