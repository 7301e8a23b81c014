"""How ``dver report`` reads: Markdown for a pull request or a job's summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from dver.base.quoting import show
from dver.cli.markdown import code, folded, table
from dver.lineage.compared import Difference
from dver.ops.data.diff import DiffResult, FileChange, TargetChange
from dver.ops.making.recordedvalues import ValueChange
from dver.ops.making.report import Making, ReportResult
from dver.ui.humanize import count, delta, size

#: So many rows are shown of anything, and so many characters of a value.
MOST = 50
_LONGEST = 80
_FILE = ("file", "change", "size")
_WORDS = {"mode": "mode changed"}


def markdown(result: ReportResult) -> str:
    """Return the whole report."""
    lines = ["## Data", ""]
    if not result.changed:
        return "\n".join([*lines, "No tracked data, metric or parameter changes.", ""])
    lines += _data(result.data) if result.data.targets else ["No tracked data changes.", ""]
    lines += _values("Metrics", result.metrics)
    lines += _values("Parameters", result.params)
    lines += _lineage(result)
    return "\n".join(lines)


def _data(result: DiffResult) -> Iterator[str]:
    rows = [[code(_moved(one)), _what(one), _size(one), _files(one)] for one in result.targets]
    yield from _table(["data", "change", "size", "files"], rows)
    yield ""
    listed = list(_listed(result))
    if listed:
        number = sum(len(rows) for rows in listed)
        tables = [line for rows in listed for line in ("", *_table(_FILE, rows))][1:]
        yield from folded(f"{count(number, 'file')} in directories", tables)
        yield ""
    if result.missing:
        names = ", ".join(code(path) for path in result.missing[:5])
        yield f"The files of {names} cannot be listed: their listings are not here."
        yield ""


def _moved(one: TargetChange | FileChange) -> str:
    return show(one.path) if one.old_path is None else f"{show(one.old_path)} -> {show(one.path)}"


def _what(one: TargetChange | FileChange) -> str:
    return _WORDS.get(one.change, one.change)


def _size(one: TargetChange | FileChange) -> str:
    if one.old_size is None or one.new_size is None:
        known = one.new_size if one.new_size is not None else one.old_size
        return "" if known is None else size(known)
    if one.old_size == one.new_size:
        return size(one.new_size)
    return f"{size(one.new_size)} ({delta(one.new_size - one.old_size)})"


def _files(one: TargetChange) -> str:
    if one.kind == "file":
        return ""
    if one.change in ("added", "removed"):
        return f"{(one.new_files if one.change == 'added' else one.old_files) or 0:,}"
    counts = (
        (one.files_added, "added"),
        (one.files_removed, "removed"),
        (one.files_modified, "modified"),
        (one.files_renamed, "renamed"),
        (one.files_mode, "of another mode"),
    )
    return ", ".join(f"{number:,} {word}" for number, word in counts if number)


def _listed(result: DiffResult) -> Iterator[list[list[str]]]:
    """Yield the rows of the files of each directory that differs in some of its files."""
    directories = {one.path for one in result.targets if one.change == "modified"}
    for target, group in groupby(result.files, lambda file: file.target):
        inside = list(group)
        if target in directories and any(file.path != target for file in inside):
            yield [[code(_moved(one)), _what(one), _size(one)] for one in inside]


def _values(heading: str, changes: Sequence[ValueChange]) -> Iterator[str]:
    if not changes:
        return
    rows = []
    notes: dict[str, None] = {}
    for one in changes:
        moved = "" if one.change is None else f"{one.change:+.6g}"
        if one.note:
            notes[one.note] = None
            moved += " (!)"
        names = [code(_cut(one.step)), code(_cut(one.name))]
        rows.append([*names, _value(one.old), _value(one.new), moved.strip()])
    yield from (f"## {heading}", "")
    yield from _table(["step", "name", "before", "after", "change"], rows)
    for note in notes:
        yield from ("", f"(!) not comparable: {code(note)}")
    yield ""


def _lineage(result: ReportResult) -> Iterator[str]:
    if not result.made and not result.unexplained:
        return
    yield from ("## Lineage", "")
    for one in result.made[:MOST]:
        yield f"- {_maker(one)}"
        yield from (f"  - {_difference(row)}" for row in one.differences[:MOST])
    if len(result.made) > MOST:
        yield f"- ... and {len(result.made) - MOST:,} more"
    for path in result.unexplained[:MOST]:
        yield f"- {code(path)}: **no record tells what made it**, as one told of the version before"
    yield ""


def _maker(one: Making) -> str:
    by = f" by {code(_cut(one.step or one.command))}" if one.step or one.command else ""
    text = f"{code(one.path)} was made{by}, record {code(one.record[:10])}"
    if not one.old_record:
        return f"{text}; no record tells what made the version before"
    if one.old_record == one.record or not one.differences:
        return f"{text}; nothing recorded differs from how the version before was made"
    return f"{text}, which differs from {code(one.old_record[:10])} in:"


def _difference(row: Difference) -> str:
    before, after = row.values
    return f"{row.kind} {code(_cut(row.name))}: {_value(before)} to {_value(after)}"


def _value(text: str | None) -> str:
    return "none" if text is None else code(_cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield from table(heads, rows[:MOST])
    if len(rows) > MOST:
        yield from ("", f"... and {len(rows) - MOST:,} more")
