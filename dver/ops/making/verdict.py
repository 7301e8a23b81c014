"""Comparing one output of a reproduction with the recorded one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import DverError
from dver.base.oid import format_oid
from dver.base.reporter import Reporter
from dver.formats.record import Grade, Item
from dver.lineage import grading
from dver.lineage.keeping import keep_outside
from dver.ops.making.recordeditems import bring, is_here, write_out

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.store.writer import Writer


@dataclass(frozen=True, slots=True)
class GradedOutput:
    """How one output compares: both oids in text form, None for what was not made."""

    path: str
    grade: Grade
    recorded: str
    made: str | None
    note: str


class Grader:
    """Grades outputs. ``remote`` is where recorded ones come from that are not here."""

    def __init__(self, repo: Repo, remote: str | None, reporter: Reporter) -> None:
        self._repo = repo
        self._remote = remote
        self._reporter = reporter

    def grade(
        self, one: Item, place: Path, scratch: Path, writer: Writer
    ) -> tuple[GradedOutput, Item | None]:
        """Compare what is at a place with an item, and store it; return both.

        ``scratch`` is a directory of its own for this item, on the same file system.
        """
        recorded = format_oid(one.oid)
        if not os.path.lexists(place):
            return GradedOutput(one.path, "diverged", recorded, None, "it was not made"), None
        made = keep_outside(place, one.path, writer, self._repo.store)
        if made.oid == one.oid and made.kind == one.kind:
            return GradedOutput(one.path, "exact", recorded, format_oid(made.oid), ""), made
        grade, note = self._by_content(one, made, place, scratch)
        return GradedOutput(one.path, grade, recorded, format_oid(made.oid), note), made

    def _by_content(self, one: Item, made: Item, place: Path, scratch: Path) -> tuple[Grade, str]:
        if made.kind != one.kind:
            return "diverged", f"it is a {made.kind} and was a {one.kind}"
        try:
            bring(self._repo, [one], self._remote, self._reporter)
        except DverError as error:
            return "diverged", f"the recorded bytes are not here to compare: {error.message}"
        if not is_here(self._repo, one):
            return "diverged", "the bytes differ; the recorded ones are not here to compare"
        before = scratch / Path(one.path).name
        write_out(self._repo, one, before, scratch / "scratch", self._reporter)
        pairs = grading.pairs_of(before, place)
        if pairs is None:
            return "diverged", "not the same files"
        note = "the same files, with other modes"
        for name, old, new in pairs:
            found = grading.same_content(name, old, new)
            if not found.same:
                inner = "" if one.kind == "file" else f"{name}: "
                return "diverged", inner + found.note
            note = found.note
        return "content", note
