"""Reading a part of the packs: which ones, and what is remembered of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dver.base import clock
from dver.base.errors import FormatError, UsageError
from dver.formats import verified as form
from dver.store.verified import NAME, Subset, note_times, read_times

PACKS = {bytes([i]) * 32: 100 for i in range(20)}


class At(clock.Clock):
    """A clock that stands still."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def now_ns(self) -> int:
        return self.seconds * 10**9


@pytest.fixture
def at(request: pytest.FixtureRequest) -> At:
    stopped = At(1_000_000)
    before = clock.install(stopped)
    request.addfinalizer(lambda: clock.install(before))
    return stopped


@pytest.mark.parametrize(
    ("text", "subset"),
    [
        ("5%", Subset(percent=5)),
        ("0.5 %", Subset(percent=0.5)),
        ("500M", Subset(size=500 << 20)),
        ("1.5GiB", Subset(size=3 << 29)),
        ("70", Subset(size=70)),
        ("2kb", Subset(size=2048)),
        ("1/7", Subset(group=(1, 7))),
        ("7/7", Subset(group=(7, 7))),
    ],
)
def test_parts_are_spelled_as_percentages_sizes_and_groups(text: str, subset: Subset) -> None:
    assert Subset.parse(text) == subset


@pytest.mark.parametrize(
    "text", ["", "0%", "101%", "-5%", "nan%", "0/7", "8/7", "1/0", "x", "5X", "0", "1/7/2", "%"]
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no part of a store"):
        Subset.parse(text)


def test_parts_come_round_to_everything(at: At, tmp_path: Path) -> None:
    seen: list[bytes] = []
    for _ in range(10):
        at.seconds += 60
        chosen = Subset(percent=10).choose(PACKS, read_times(tmp_path))
        assert len(chosen) == 2
        note_times(tmp_path, chosen, (), PACKS)
        seen += chosen
    assert sorted(seen) == sorted(PACKS)
    at.seconds += 60
    assert Subset(size=200).choose(PACKS, read_times(tmp_path)) == set(seen[:2])


def test_what_was_never_read_comes_first_and_what_is_damaged_stays_there(
    at: At, tmp_path: Path
) -> None:
    first, second, *rest = sorted(PACKS)
    note_times(tmp_path, [first, *rest], [second], PACKS)
    for _ in range(3):
        at.seconds += 60
        assert Subset(size=1).choose(PACKS, read_times(tmp_path)) == {second}
        note_times(tmp_path, [], [second], PACKS)


def test_a_time_in_the_future_counts_as_never(at: At, tmp_path: Path) -> None:
    first, second, *rest = sorted(PACKS)
    note_times(tmp_path, [first, *rest], (), PACKS)
    at.seconds += 1000
    note_times(tmp_path, [second], (), PACKS)
    at.seconds -= 500
    assert Subset(size=1).choose(PACKS, read_times(tmp_path)) == {second}


def test_groups_take_each_pack_once() -> None:
    groups = [Subset(group=(i, 3)).choose(PACKS, {}) for i in (1, 2, 3)]
    assert sorted(name for group in groups for name in group) == sorted(PACKS)
    assert all(groups)


def test_at_least_one_pack_is_read() -> None:
    assert len(Subset(size=1).choose(PACKS, {})) == 1
    assert len(Subset(percent=100).choose(PACKS, {})) == len(PACKS)
    assert Subset(percent=100).choose({}, {}) == set()


def test_packs_that_are_gone_are_forgotten(at: At, tmp_path: Path) -> None:
    first, second, *_ = sorted(PACKS)
    note_times(tmp_path, [first, second], (), PACKS)
    note_times(tmp_path, (), (), [second])
    assert read_times(tmp_path) == {second: at.seconds}


@pytest.mark.parametrize("what", ["flip", "cut", "pipe", "directory", "nothing"])
def test_a_damaged_list_counts_as_empty_and_is_written_anew(
    at: At, tmp_path: Path, what: str
) -> None:
    path = tmp_path / NAME
    note_times(tmp_path, PACKS, (), PACKS)
    data = bytearray(path.read_bytes())
    data[90] ^= 1
    path.unlink()
    if what == "flip":
        path.write_bytes(data)
    elif what == "cut":
        path.write_bytes(data[:200])
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "directory":
        path.mkdir()
    assert read_times(tmp_path) == {}
    note_times(tmp_path, PACKS, (), PACKS)
    assert (read_times(tmp_path) == dict.fromkeys(PACKS, at.seconds)) == (what != "directory")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"dver-verified 1\n",
        b"dver-verified 2\ncheck 0000000000000000\n",
        b"\xff" * 100,
        form.encode({b"\1" * 32: 5}) + b"\n",
        form.encode({b"\1" * 32: 5}).replace(b" 5", b" 05"),
        form.encode({b"\1" * 32: 5}).replace(b"01", b"0A"),
        form.encode({b"\1" * 32: 5})[:-1],
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        form.decode(data)


def test_it_reads_what_it_writes() -> None:
    assert form.decode(form.encode(PACKS)) == PACKS
    assert form.decode(form.encode({})) == {}
