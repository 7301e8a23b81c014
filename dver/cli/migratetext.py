"""How targets that are taken over from other tools read, and those that are not."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from dver.base.errors import MissingContentError, RefusedError
from dver.base.quoting import show
from dver.cli.render import RECORDS
from dver.ops.migration.result import MigratedTarget, NotMigrated
from dver.ui.console import Console
from dver.ui.humanize import count, size

_MOST = 20
_FEW = 3


def _target_line(target: MigratedTarget) -> str:
    """Return a target with its amount, and where it was imported from."""
    amount = size(target.size)
    if target.kind == "tree" and target.files:
        amount = f"{count(target.files, 'file')}, {amount}"
    origin = f", imported from {show(target.origin)}" if target.origin else ""
    return f"{show(target.path)} ({amount}){origin}"


def taken(console: Console, targets: Sequence[MigratedTarget], *, dry_run: bool) -> None:
    """Tell what was taken over, or with ``dry_run`` would be, and how much was before."""
    new = [one for one in targets if one.change == "new"]
    word = "would take" if dry_run else "took over"
    for target in new:
        console.done(f"{word}  {_target_line(target)}")
    unchanged = len(targets) - len(new)
    if unchanged:
        console.done(f"unchanged  {count(unchanged, 'target')}")


def refusals(console: Console, refused: Sequence[NotMigrated], corrupt: Sequence[str]) -> None:
    """Tell what was not taken over, and which files of the other tool are damaged."""
    for one in refused:
        path = f"{show(one.path)}: " if one.path else ""
        console.complain(f"{console.style('not taken:', 'red', on='err')} {path}{one.reason}")
        if one.hint:
            console.complain(f"{console.style('hint:', 'cyan', on='err')} {one.hint}")
    for path in corrupt[:_MOST]:
        console.complain(
            f"{console.style('damaged:', 'red', on='err')} {show(path)} is not what its name says,"
            " and was not taken"
        )
    if len(corrupt) > _MOST:
        console.complain(f"  ... and {len(corrupt) - _MOST:,} more damaged files")


def exit_code(refused: Sequence[NotMigrated]) -> int:
    """Return how a migration ends: what content is missing for weighs more than other refusals."""
    if any(one.missing for one in refused):
        return MissingContentError.exit_code
    return RefusedError.exit_code if refused else 0


def to_stage(console: Console, paths: Sequence[str]) -> None:
    """Say what git should be told about, as a command that also fits thousands of pointers."""
    ends = (".dver", ".gitignore", ".dverignore")
    patterns = [f":/*{end}" for end in ends if sum(path.endswith(end) for path in paths) > _FEW]
    rest = [path for path in paths if not path.endswith(tuple(one[3:] for one in patterns))]
    records = [path for path in rest if RECORDS in f"/{path}"]
    if len(records) > 1:
        rest = [path for path in rest if path not in records]
        rest.append(records[0].partition(RECORDS.strip("/"))[0] + RECORDS.strip("/"))
    if not paths:
        return
    names = " ".join(shlex.quote(f"./{one}" if one.startswith(":") else one) for one in rest)
    words = " ".join(filter(None, [" ".join(f"'{one}'" for one in patterns), names]))
    dashes = "-- " if any(one.startswith("-") for one in rest) else ""
    if words.isprintable() and len(rest) <= _MOST:
        console.done(f"to stage them, run: git add {dashes}{words}")
    else:
        console.done("'git status' lists what is new, for 'git add'")
