"""A short form of the campaign: each kind of file is damaged a few times; and its own failures."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from dver.store import contents
from dver.workspace import links
from tests.faults.rot import VICTIMS, Lab, campaign, prepare, spoil, trial
from tests.support.gitrepo import hermetic_environment


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    top = tmp_path_factory.mktemp("rot")
    with hermetic_environment(top / "home"):
        return prepare(top / "lab")


def test_all_damage_is_found_and_none_does_harm(lab: Lab) -> None:
    seen = Counter(victim.name for victim, _ in campaign(lab, 2 * len(VICTIMS), 7))
    assert set(seen) == set(VICTIMS)


@pytest.mark.parametrize("name", ["pack", "remote pack"])
def test_a_blind_check_is_noticed(
    lab: Lab, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents.Checker, "__call__", lambda self, job: ([], None))
    with pytest.raises(AssertionError, match=r"is not among \[\]|: \[\]"):
        trial(lab, VICTIMS[name], "flip", random.Random(1), tmp_path / "trial")


def test_an_unverified_link_is_noticed(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links.LinkCache, "find", links.LinkCache._find)
    with pytest.raises(AssertionError, match="checkout wrote wrong bytes"):
        trial(lab, VICTIMS["link"], "flip", random.Random(1), tmp_path / "trial")


def test_damage_leaves_the_times_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    path.chmod(0o444)
    before = path.stat()
    assert spoil(path, "flip", 3)
    after = path.stat()
    assert path.read_bytes() != b"content"
    assert (before.st_mtime_ns, before.st_mode) == (after.st_mtime_ns, after.st_mode)
    assert spoil(path, "zero", 0)
    assert not spoil(path, "zero", 0)
    assert spoil(path, "cut", 3)
    assert path.stat().st_size == 3


def test_a_link_that_was_cut_off_is_replaced(lab: Lab, tmp_path: Path) -> None:
    assert trial(lab, VICTIMS["link"], "cut", random.Random(2), tmp_path / "trial") is not None
