"""Adding parts of a tracked directory."""

from __future__ import annotations

import os

import pytest

from dver.base.errors import FormatError, MissingContentError, NotFoundError, RefusedError
from tests.ops.data.listings import listing
from tests.support.workrepo import WorkRepo


@pytest.fixture
def tracked(repo: WorkRepo) -> WorkRepo:
    for name in ("d/a", "d/s/x", "d/s/y", "d/t/z"):
        repo.write(name, name.encode())
    repo.add("d")
    return repo


def test_a_part_changes_only_that_part(tracked: WorkRepo) -> None:
    tracked.write("d/a", b"changed, not added")
    tracked.write("d/s/x", b"new x")
    tracked.write("d/s/n", b"n")
    tracked.write("d/u/v", b"v")
    result = tracked.add("d/s/x", "d/u")
    (target,) = result.targets
    assert (target.path, target.change, target.parts) == ("d", "updated", ("d/s/x", "d/u"))
    assert listing(tracked, "d") == {
        "a": b"d/a",
        "s/x": b"new x",
        "s/y": b"d/s/y",
        "t/z": b"d/t/z",
        "u/v": b"v",
    }
    assert tracked.pointer("d").files == 5
    assert tracked.ignored() == ["/d"]
    assert tracked.untracked() == [".gitignore", "d.dver"]


def test_parts_that_are_gone_are_taken_out(tracked: WorkRepo) -> None:
    (tracked.path / "d/a").unlink()
    (tracked.path / "d/t/z").unlink()
    (tracked.path / "d/t").rmdir()
    tracked.add("d/t", "d/a")
    assert listing(tracked, "d") == {"s/x": b"d/s/x", "s/y": b"d/s/y"}


def test_a_part_equals_adding_the_whole(tracked: WorkRepo) -> None:
    tracked.write("d/s/x", b"new")
    (tracked.path / "d/s/y").unlink()
    tracked.write("d/s/deep/er/file", b"1")
    tracked.add("d/s")
    part = tracked.pointer("d")
    assert tracked.add("d").targets[0].change == "unchanged"
    assert tracked.pointer("d") == part


def test_a_part_given_from_inside(tracked: WorkRepo) -> None:
    tracked.write("d/s/x", b"new")
    assert tracked.add("x", below="d/s").targets[0].path == ".."
    assert listing(tracked, "d")["s/x"] == b"new"


def test_a_part_with_the_whole_is_the_whole(tracked: WorkRepo) -> None:
    tracked.write("d/a", b"new")
    tracked.write("d/s/x", b"new")
    assert tracked.add("d/a", "d").targets[0].parts == ()
    assert listing(tracked, "d")["s/x"] == b"new"


def test_an_unchanged_part_changes_nothing(tracked: WorkRepo) -> None:
    before = tracked.snapshot()
    assert tracked.add("d/s", "d/a").targets[0].change == "unchanged"
    assert tracked.snapshot() == before


def test_a_part_that_nobody_knows(tracked: WorkRepo) -> None:
    before = tracked.snapshot()
    with pytest.raises(NotFoundError, match="d/s/nope is neither"):
        tracked.add("d/s/nope")
    assert tracked.snapshot() == before


def test_a_part_whose_directory_was_a_file(tracked: WorkRepo) -> None:
    (tracked.path / "d/a").unlink()
    tracked.write("d/a/b", b"in a directory now")
    tracked.add("d/a")
    assert listing(tracked, "d")["a/b"] == b"in a directory now"


def test_below_what_was_a_file_there_is_a_hint(tracked: WorkRepo) -> None:
    (tracked.path / "d/a").unlink()
    tracked.write("d/a/b", b"in a directory now")
    with pytest.raises(RefusedError, match="d/a is recorded as a file") as caught:
        tracked.add("d/a/b")
    assert caught.value.hint == "dver add d/a"


def test_a_part_of_what_is_tracked_as_a_file(repo: WorkRepo) -> None:
    repo.write("x", b"file")
    repo.add("x")
    (repo.path / "x").unlink()
    repo.write("x/in", b"dir")
    with pytest.raises(RefusedError, match="tracked as a file"):
        repo.add("x/in")


def test_a_part_needs_the_recorded_listing(tracked: WorkRepo) -> None:
    for part in ("packs", "index"):
        for where, _, files in os.walk(tracked.path / ".git/dver" / part):
            for name in files:
                os.unlink(os.path.join(where, name))
    with pytest.raises(MissingContentError) as caught:
        tracked.add("d/a")
    assert caught.value.hint == "dver fetch d"


def test_a_part_needs_a_pointer_that_can_be_read(tracked: WorkRepo) -> None:
    tracked.write("d.dver", b"dver: 1\nkind: tree\n")
    with pytest.raises(FormatError, match=r"d\.dver is broken"):
        tracked.add("d/a")
