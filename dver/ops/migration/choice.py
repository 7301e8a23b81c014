"""Which of what another tool versions is to be taken over."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import DverError
from dver.base.quoting import show
from dver.foreign.dvcfiles import Out
from dver.formats.pointer import Pointer
from dver.git.pointers import pointer_path
from dver.ops.migration.othertools import Found
from dver.ops.migration.result import NotMigrated
from dver.ops.targets import naming
from dver.ops.targets.selection import check_place
from dver.ops.targets.target import read_target

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(slots=True)
class Chosen:
    """The outs to be taken over by path, those that were before, and those that cannot be."""

    outs: dict[bytes, Out] = field(default_factory=dict)
    before: dict[bytes, Pointer] = field(default_factory=dict)
    refused: list[NotMigrated] = field(default_factory=list)


def choose(repo: Repo, found: Found, typed: Sequence[str]) -> Chosen:
    """Return what is to be taken over of what DVC versions, and what cannot be.

    ``typed`` are data, ``.dvc`` files or directories; none means all. Raises NotFoundError for one
    that means nothing of DVC's.
    """
    chosen = choose_from(repo, {path: found.outs[path] for path in _selected(repo, found, typed)})
    chosen.refused[:0] = [NotMigrated("", message) for message in found.broken]
    return chosen


def choose_from(repo: Repo, outs: Mapping[bytes, Out]) -> Chosen:
    """Return which of some outs are to be taken over, were taken over before, or cannot be."""
    chosen = Chosen()
    for path in sorted(outs):
        out = outs[path]
        target = read_target(os.fsencode(repo.root), path)
        shown = repo.display(path)
        if target.present:
            if target.pointer is not None:
                chosen.before[path] = target.pointer
            else:
                problem = target.problem
                reason = f"its pointer is broken: {problem.message if problem else ''}"
                chosen.refused.append(NotMigrated(shown, reason))
            continue
        problem_text = out.problem
        if not problem_text:
            try:
                check_place(repo, path)
            except DverError as error:
                problem_text = error.message
        if problem_text:
            chosen.refused.append(NotMigrated(shown, problem_text))
        else:
            chosen.outs[path] = out
    for path in _nested([*chosen.outs, *chosen.before]):
        if chosen.outs.pop(path, None) is not None:
            reason = "it lies in a directory that is tracked as a whole"
            chosen.refused.append(NotMigrated(repo.display(path), reason))
    _refuse_hidden(repo, chosen)
    return chosen


def _refuse_hidden(repo: Repo, chosen: Chosen) -> None:
    places = list(chosen.outs)
    hidden = repo.git.is_ignored([pointer_path(path) for path in places])
    for path, is_hidden in zip(places, hidden, strict=True):
        if is_hidden:
            del chosen.outs[path]
            shown = repo.display(path)
            reason = "git ignores the place of its pointer"
            hint = f"git check-ignore -v {show(shown + '.dver')}"
            chosen.refused.append(NotMigrated(shown, reason, hint))


def _selected(repo: Repo, found: Found, typed: Sequence[str]) -> list[bytes]:
    outs, named = found.outs, found.named
    if not typed:
        return list(outs)
    selected: set[bytes] = set()
    for one_typed in typed:
        path = repo.locate(one_typed)
        matches = [
            one
            for one in outs
            if not path or path in (one, named[one]) or one.startswith(path + b"/")
        ]
        if not matches:
            raise naming.not_found(
                "DVC does not version",
                path,
                os.devnull,
                outs,
                repo.display,
                otherwise="'dver migrate dvc --dry-run' lists what there is",
            )
        selected.update(matches)
    return list(selected)


def _nested(paths: Sequence[bytes]) -> list[bytes]:
    known = frozenset(paths)
    return [path for path in paths if naming.holder(known, path.rpartition(b"/")[0]) is not None]
