"""A push that names more than a root can hold is refused: no clone could read what it wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from dver.base.errors import RefusedError
from dver.formats import root as roots
from dver.ops.sharing.push import PushOptions, push
from dver.ops.sharing.remote import AddRemoteOptions, add_remote
from tests.support.workrepo import WorkRepo


def test_a_root_too_long_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = WorkRepo.create(tmp_path / "repo")
    repo._run(add_remote, AddRemoteOptions("nas", str(tmp_path / "nas")), "")
    for number in range(20):
        repo.write(f"f{number}", str(number))
    repo.add(*(f"f{number}" for number in range(20)))
    repo.commit("many")
    monkeypatch.setattr(roots, "MAX_SIZE", 1000)
    with pytest.raises(RefusedError, match="more versions than one root can hold"):
        repo._run(push, PushOptions(), "")
    assert not [path for path in (tmp_path / "nas/roots").glob("*") if path.is_file()]
    monkeypatch.undo()
    repo._run(push, PushOptions(), "")
    assert [path for path in (tmp_path / "nas/roots").glob("*") if path.is_file()]
