"""Checkouts that link files to the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from dver.base.errors import RefusedError
from tests.ops.data.twoversions import ONE, TWO, is_clean, two_versions
from tests.support.workrepo import WorkRepo


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_versions(tmp_path_factory.mktemp("template") / "repo")


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink", "auto"])
def test_link_modes(repo: WorkRepo, mode: str) -> None:
    repo.git("checkout", "-q", "v1")
    result = repo.checkout(link=mode)
    assert {name: (repo.path / "d" / name).read_bytes() for name in ONE} == ONE
    assert result.link in (("copy", "reflink") if mode == "auto" else (mode,))
    link = repo.path / "d/s/y"
    assert link.is_symlink() == (result.link == "symlink")
    assert (link.stat().st_nlink > 1) == (result.link == "hardlink")
    assert is_clean(repo)
    assert [t.change for t in repo.add("d", "f").targets] == ["unchanged", "unchanged"]
    repo.git("checkout", "-q", "v2")
    repo.checkout(link="copy")
    assert repo.tree("d") == TWO


@pytest.mark.parametrize("mode", ["hardlink", "symlink", "reflink"])
def test_a_link_mode_that_does_not_work(
    repo: WorkRepo, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dver.ops.data.restoring.probe_link_modes", lambda *places: ["copy"])
    repo.git("checkout", "-q", "v1")
    before = repo.snapshot()
    with pytest.raises(RefusedError, match=f"cannot {mode} .*the file system there") as caught:
        repo.checkout(link=mode)
    assert "--link auto" in (caught.value.hint or "")
    assert repo.snapshot() == before
    # Who only set it gets copies, and is told once.
    repo.write(".git/dver/config.yaml", f"core:\n  link: {mode}\n")
    assert repo.checkout().link == "copy"
    assert [warning.split(" from")[0] for warning in repo.heard.warnings] == [f"cannot {mode}"]
    assert repo.checkout(link="auto").link == "copy"
    assert repo.heard.warnings == []


def test_editing_a_symlinked_file_is_seen_and_not_lost(repo: WorkRepo) -> None:
    repo.git("checkout", "-q", "v1")
    repo.checkout(link="symlink")
    target = (repo.path / "f").resolve()
    target.chmod(0o644)
    target.write_bytes(b"edited")
    assert repo.status_of("f").data_state == "modified"
    repo.add("f")
    assert repo.pointer("f").size == 6
    assert is_clean(repo) is False
