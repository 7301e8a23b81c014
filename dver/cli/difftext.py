"""How ``dver diff`` reads."""

from __future__ import annotations

from itertools import groupby

from dver.base.quoting import show
from dver.ops.data.diff import DiffResult, DiffTotals, FileChange, TargetChange
from dver.ui.console import Console, Style
from dver.ui.humanize import count, delta, size
from dver.ui.tables import columns

_LETTERS = {"added": "A", "removed": "D", "modified": "M", "renamed": "R", "mode": "T"}
_STYLES: dict[str, Style] = {
    "added": "green",
    "removed": "red",
    "modified": "yellow",
    "renamed": "cyan",
    "mode": "yellow",
}


def render(console: Console, result: DiffResult, *, stat: bool) -> None:
    """Write the targets that differ, their files unless ``stat``, and the sums."""
    if stat:
        _stat(console, result)
    else:
        _files(console, result)
    if result.targets:
        console.print(_sum(result.totals))
    if result.missing:
        names = ", ".join(show(path) for path in result.missing[:5])
        console.warn(f"the files of {names} cannot be listed: content is missing", result.hint)


def _files(console: Console, result: DiffResult) -> None:
    files = {key: list(group) for key, group in groupby(result.files, lambda file: file.target)}
    for target in result.targets:
        inside = files.get(target.path, [])
        if target.kind == "tree" or not inside:
            console.print(console.style(_target(target), "bold"))
        indent = "  " if target.kind == "tree" else ""
        rows = [[_LETTERS[file.change], _name(file), *_sizes(file)] for file in inside]
        styles = [_STYLES[file.change] for file in inside]
        for line, style in zip(columns(rows, right=(2,)), styles, strict=True):
            console.print(indent + console.style(line, style))


def _target(target: TargetChange) -> str:
    name = show(target.path)
    if target.old_path is not None:
        name = f"{show(target.old_path)} -> {name}"
    facts: list[str] = [target.change] if target.change != "modified" else []
    if target.old_size is not None and target.new_size is not None:
        facts.append(f"{size(target.old_size)} -> {size(target.new_size)}")
    elif target.new_size is not None or target.old_size is not None:
        facts.append(size(target.new_size if target.new_size is not None else target.old_size or 0))
    if not target.listed:
        facts.append("files not listed")
    return f"{name} ({', '.join(facts)})" if facts else name


def _name(file: FileChange) -> str:
    if file.old_path is not None:
        return f"{show(file.old_path)} -> {show(file.path)}"
    return show(file.path)


def _sizes(file: FileChange) -> list[str]:
    if file.change == "mode":
        return [f"{file.old_kind} -> {file.new_kind}"]
    if file.old_size is None or file.new_size is None or file.change == "renamed":
        known = file.new_size if file.new_size is not None else file.old_size
        return ["" if known is None else size(known)]
    return [size(file.new_size), f"({delta(file.new_size - file.old_size)})"]


def _stat(console: Console, result: DiffResult) -> None:
    rows = []
    for target in result.targets:
        change = (target.new_size or 0) - (target.old_size or 0)
        counts = _counts(
            target.files_added,
            target.files_removed,
            target.files_modified,
            target.files_renamed,
            target.files_mode,
        )
        rows.append([f" {show(target.path)}", counts or target.change, delta(change)])
    for line in columns(rows, right=(2,), gap=" | "):
        console.print(line)


def _sum(totals: DiffTotals) -> str:
    counts = _counts(totals.added, totals.removed, totals.modified, totals.renamed, totals.mode)
    what = f"{count(totals.files, 'file')} in {count(totals.targets, 'target')}"
    bytes_moved = [
        sign + size(number)
        for sign, number in (("+", totals.added_bytes), ("-", totals.removed_bytes))
        if number
    ]
    moved = f" ({', '.join(bytes_moved)})" if bytes_moved else ""
    return f"{what}: {counts}{moved}" if counts else what


def _counts(added: int, removed: int, modified: int, renamed: int, mode: int) -> str:
    named = (
        (added, "added"),
        (removed, "removed"),
        (modified, "modified"),
        (renamed, "renamed"),
        (mode, "of another mode"),
    )
    return ", ".join(f"{number:,} {word}" for number, word in named if number)
