"""Where a repair puts what is damaged, and how long it stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dver.base import clock
from dver.base.errors import SystemFailure
from dver.storage.base import Storage
from dver.storage.local import LocalStorage
from dver.storage.memory import MemoryStorage
from dver.store.quarantine import listed, remove, set_aside, set_aside_in


class At(clock.Clock):
    """A clock that stands still."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def now_ns(self) -> int:
        return self.seconds * 10**9


@pytest.fixture
def at(request: pytest.FixtureRequest) -> At:
    stopped = At(1_769_860_800)
    before = clock.install(stopped)
    request.addfinalizer(lambda: clock.install(before))
    return stopped


@pytest.fixture(params=["local", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return LocalStorage(tmp_path / "store") if request.param == "local" else MemoryStorage()


def test_what_is_set_aside_has_its_time_and_key_in_its_name(storage: Storage, at: At) -> None:
    storage.put("packs/ab/abcd", b"bad")
    assert set_aside_in(storage, "packs/ab/abcd") == "quarantine/20260131T120000Z-packs-ab-abcd"
    assert storage.head("packs/ab/abcd") is None
    at.seconds += 90
    ((key, size, age),) = listed(storage)
    assert (size, age) == (3, 90.0)
    assert storage.get(key) == b"bad"
    remove(storage, key)
    assert not list(listed(storage))


def test_what_is_not_there_cannot_be_set_aside(storage: Storage, tmp_path: Path) -> None:
    storage.put("other", b"x")
    assert set_aside_in(storage, "packs/ab/abcd") is None
    with pytest.raises(SystemFailure):
        set_aside(os.fspath(tmp_path), "nothing")


def test_nothing_is_overwritten(tmp_path: Path, at: At) -> None:
    storage = LocalStorage(tmp_path)
    keys = []
    for content in (b"first", b"second", b"third"):
        storage.put("packs/ab/abcd", content)
        keys.append(set_aside(os.fspath(tmp_path), "packs/ab/abcd"))
    assert [storage.get(key) for key in keys] == [b"first", b"second", b"third"]
    assert sorted(key for key, _, _ in listed(storage)) == sorted(keys)


def test_whatever_it_is_it_is_moved_and_removed(tmp_path: Path, at: At) -> None:
    storage = LocalStorage(tmp_path)
    (tmp_path / "index").mkdir()
    os.mkfifo(tmp_path / "index/pipe")
    (tmp_path / "index/directory/below").mkdir(parents=True)
    (tmp_path / "index/link").symlink_to("/nothing")
    for name in ("pipe", "directory", "link"):
        set_aside(os.fspath(tmp_path), f"index/{name}")
    found = [key for key, _, _ in listed(storage)]
    assert len(found) == 3
    for key in found:
        remove(storage, key)
    assert os.listdir(tmp_path / "quarantine") == []


def test_other_names_are_nobody_s_business(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.put("quarantine/mine", b"kept")
    storage.put("quarantine/99999999T999999Z-x", b"kept")
    assert not list(listed(storage))
    with pytest.raises(ValueError, match="not set aside"):
        remove(storage, "packs/ab/abcd")
