"""Which argument of ``dver checkout`` is the revision."""

from __future__ import annotations

import pytest

from dver.base.errors import NotFoundError, UsageError
from dver.ops.targets.naming import split_arguments

REVISIONS = {"main", "v1", "both"}
PATHS = {"data", "a.csv", "both"}


def split(*args: str, after: int | None = None) -> tuple[str | None, tuple[str, ...]]:
    return split_arguments(
        args, after, is_revision=REVISIONS.__contains__, is_path=PATHS.__contains__
    )


@pytest.mark.parametrize(
    ("args", "after", "expected"),
    [
        ((), None, (None, ())),
        (("v1",), None, ("v1", ())),
        (("data",), None, (None, ("data",))),
        (("v1", "data", "a.csv"), None, ("v1", ("data", "a.csv"))),
        (("data", "v1"), None, (None, ("data", "v1"))),
        (("both",), 0, ("both", ())),
        (("both",), 1, (None, ("both",))),
        (("v1", "both"), 1, ("v1", ("both",))),
        (("a.csv", "main"), 2, (None, ("a.csv", "main"))),
        # What is wrong with these is told when they are looked up, by their own errors.
        (("no-such",), 0, ("no-such", ())),
        (("no-such",), 1, (None, ("no-such",))),
    ],
)
def test_the_revision_is_told_from_the_paths(
    args: tuple[str, ...], after: int | None, expected: tuple[str | None, tuple[str, ...]]
) -> None:
    assert split(*args, after=after) == expected


def test_what_is_both_needs_dashes() -> None:
    with pytest.raises(UsageError, match="both a revision and a path") as caught:
        split("both", "data")
    assert "--" in (caught.value.hint or "")


def test_what_is_neither_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="neither a revision nor a tracked path"):
        split("nothing")


def test_one_revision_at_most() -> None:
    with pytest.raises(UsageError, match="only one revision"):
        split("v1", "main", "data", after=1)
