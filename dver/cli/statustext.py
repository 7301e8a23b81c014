"""How ``dver status`` reads: git's shape for people, fixed letters for programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dver.base.quoting import show
from dver.cli.render import content
from dver.ops.data.status import FileChange, StatusResult, TargetStatus
from dver.ui.console import Console, Style
from dver.ui.humanize import count

if TYPE_CHECKING:
    from dver.ops.data.pipelinestatus import PipelineStatus

_MOST_STEPS = 10
_POINTER = {
    "unchanged": " ",
    "new": "A",
    "modified": "M",
    "deleted": "D",
    "renamed": "R",
    "conflict": "U",
    "broken": "!",
}
_DATA = {
    "unchanged": " ",
    "modified": "M",
    "deleted": "D",
    "absent": "N",
    "retyped": "T",
    "stale": "S",
    "leftover": "L",
    "unknown": "?",
}


def letters(target: TargetStatus) -> str:
    """Return the three letters of ``--porcelain``."""
    missing = "-" if target.missing else " "
    state = "absent" if target.absent and target.data_state == "unchanged" else target.data_state
    return f"{_POINTER[target.pointer_state]}{_DATA[state]}{missing}"


def render(console: Console, result: StatusResult) -> None:
    """Write the status for a person, in sections that each name the next command."""
    _head(console, result)
    said = False
    for title, advice, style, selects, line in _SECTIONS:
        found = [target for target in result.targets if selects(target)]
        if not found:
            continue
        said = True
        console.print()
        console.print(title.format(remote=result.remote))
        for text in advice:
            console.print(f"  ({text})")
        for target in found:
            _target(console, target, style, line(target))
    if result.records:
        said = True
        console.print()
        console.print("Records of runs that git does not have:")
        console.print("  (use 'git add .dver/records', and commit them with what they made)")
        console.print(f"\t{console.style(count(result.records, 'record'), 'red')}")
    if not result.targets:
        console.print("nothing is tracked yet (use 'dver add PATH...')")
    elif not said:
        console.print(f"{count(len(result.targets), 'target')}, all as recorded")
    _pipeline(console, result.pipeline)


def _pipeline(console: Console, pipeline: PipelineStatus | None) -> None:
    if pipeline is None:
        return
    if pipeline.problem is not None:
        console.print()
        console.print(f"The pipeline was not compared: {pipeline.problem}")
        console.print("  (use 'dver repro --dry-run')")
    elif pipeline.stale:
        console.print()
        console.print("Steps that are not up to date:")
        console.print("  (use 'dver repro' to run them)")
        for step in pipeline.stale[:_MOST_STEPS]:
            more = " ..." if len(step.reasons) > 1 else ""
            shown = console.style(step.name, "red")
            console.print(f"\t{shown}: {step.reasons[0]}{more}")
        if len(pipeline.stale) > _MOST_STEPS:
            left = len(pipeline.stale) - _MOST_STEPS
            console.print(f"\t... and {left} more ('dver repro --dry-run')")


def _head(console: Console, result: StatusResult) -> None:
    if result.branch is not None:
        console.print(f"On branch {show(result.branch)}")
    elif result.head is not None:
        console.print(f"HEAD detached at {result.head[:10]}")
    if result.head is None:
        console.print("No commits yet")


def _target(console: Console, target: TargetStatus, style: Style, line: tuple[str, str]) -> None:
    word, facts = line
    name = show(target.path)
    if word == "renamed" and target.old_path is not None:
        name = f"{show(target.old_path)} -> {name}"
    shown = console.style(f"{word + ':':<12}{name}", style)
    console.print(f"\t{shown}{facts}")
    if word != "modified" or not target.counts.total:
        return
    for change in target.changes:
        console.print(f"\t    {console.style(_file(change), style)}")
    rest = target.counts.total - len(target.changes)
    if rest > 0 and target.changes:
        console.print(f"\t    ... and {rest:,} more ('dver status -v' lists all)")


def _file(change: FileChange) -> str:
    if change.old_path is not None:
        return f"{change.change + ':':<10}{show(change.old_path)} -> {show(change.path)}"
    return f"{change.change + ':':<10}{show(change.path)}"


Line = Callable[[TargetStatus], tuple[str, str]]
Section = tuple[str, Sequence[str], Style, Callable[[TargetStatus], bool], Line]


def _pointer_line(target: TargetStatus) -> tuple[str, str]:
    if target.pointer_state == "deleted" or target.kind is None:
        return target.pointer_state, ""
    return target.pointer_state, f" ({content(target.files, target.size, target.kind)})"


def _data_line(target: TargetStatus) -> tuple[str, str]:
    counts = target.counts
    parts = [
        f"{number:,} {word}"
        for number, word in (
            (counts.new, "new"),
            (counts.modified, "modified"),
            (counts.deleted, "deleted"),
            (counts.renamed, "renamed"),
        )
        if number
    ]
    return target.data_state, f" ({', '.join(parts)})" if parts and target.kind == "tree" else ""


def _absent_line(target: TargetStatus) -> tuple[str, str]:
    if target.data_state == "absent":
        return "not here", ""
    if target.absent and target.data_state != "deleted":
        return "partly", f" ({count(target.absent, 'file')} not here)"
    return "deleted", ""


def _missing_line(target: TargetStatus) -> tuple[str, str]:
    return "missing", f" ({count(target.missing, 'object')})"


def _purged_line(target: TargetStatus) -> tuple[str, str]:
    words = (target.purged_words or "").removeprefix("purged ")
    return "purged", f" ({count(target.purged, 'object')}) {words}"


def _problem_line(target: TargetStatus) -> tuple[str, str]:
    problem = f": {target.problem}" if target.problem else ""
    hint = f"\n\t    hint: {target.hint}" if target.hint else ""
    return target.pointer_state, problem + hint


def _unknown_line(target: TargetStatus) -> tuple[str, str]:
    return "unknown", _problem_line(target)[1]


def _unpushed_line(target: TargetStatus) -> tuple[str, str]:
    return "unpushed", f" ({content(target.files, target.size, target.kind or '')})"


_CHANGED = ("new", "modified", "deleted", "renamed")
_EDITED = ("modified", "retyped")
_SECTIONS: Sequence[Section] = (
    (
        "Pointers that cannot be used:",
        (),
        "red",
        lambda target: target.pointer_state in ("conflict", "broken"),
        _problem_line,
    ),
    (
        "Pointers to be committed:",
        ("use 'git commit'",),
        "green",
        lambda target: target.pointer_state in _CHANGED and target.staged,
        _pointer_line,
    ),
    (
        "Pointers not staged for commit:",
        ("use 'git add' on the .dver files",),
        "red",
        lambda target: target.pointer_state in _CHANGED and not target.staged,
        _pointer_line,
    ),
    (
        "Data changed since it was recorded:",
        (
            "use 'dver add PATH...' to record it",
            "use 'dver checkout --force PATH...' to throw the changes away",
        ),
        "red",
        lambda target: target.data_state in _EDITED,
        _data_line,
    ),
    (
        "Data not in the workspace:",
        ("use 'dver checkout PATH...' to bring it, 'dver rm PATH...' to stop tracking it",),
        "red",
        lambda target: (
            (target.data_state in ("deleted", "absent") or bool(target.absent))
            and target.pointer_state != "deleted"
            and not target.missing
            and not target.purged
        ),
        _absent_line,
    ),
    (
        "Data older or newer than its pointer:",
        ("use 'dver checkout' to bring it in line",),
        "yellow",
        lambda target: target.data_state == "stale",
        _data_line,
    ),
    (
        "Data whose pointer is gone:",
        (
            "use 'dver add PATH...' to track it again",
            "use 'dver checkout' to remove what a commit still names",
        ),
        "yellow",
        lambda target: target.data_state == "leftover",
        _data_line,
    ),
    (
        "Content not in the local store:",
        ("use 'dver pull' to get it",),
        "red",
        lambda target: bool(target.missing),
        _missing_line,
    ),
    (
        "Content that was purged, and is nowhere to be had:",
        ("use 'dver rm PATH...' to stop tracking it, or 'dver add' to record other content",),
        "red",
        lambda target: bool(target.purged),
        _purged_line,
    ),
    (
        "Data whose state cannot be told:",
        (),
        "red",
        lambda target: (
            target.data_state == "unknown"
            and target.pointer_state not in ("conflict", "broken")
            and not (target.missing or target.purged)
        ),
        _unknown_line,
    ),
    (
        "Not yet pushed to {remote}:",
        ("use 'dver push'",),
        "cyan",
        lambda target: bool(target.unpushed) and not target.missing,
        _unpushed_line,
    ),
)
