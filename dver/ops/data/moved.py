"""Adding data that did not follow when git moved its pointer.

After ``git pull`` or ``git checkout`` the pointer names another version until ``dver checkout``, or
a hook, brings the data in line. Whoever adds before that takes others' work back without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dver.base.errors import RefusedError
from dver.base.quoting import show
from dver.base.reporter import Reporter

if TYPE_CHECKING:
    from dver.ops.data.recording import Recording
    from dver.repo import Repo
    from dver.workspace.statindex import StatIndex


def refuse_going_back(
    repo: Repo, moved: Sequence[Recording], index: StatIndex, reporter: Reporter
) -> None:
    """Raise RefusedError if one of these targets did not change at all since its pointer moved.

    If it did change, a warning says that what came with the pointer is not in it.
    """
    for one in moved:
        if one.result == index.base(one.job.path):
            shown = show(repo.display(one.job.path))
            raise RefusedError(
                f"{shown} did not change since git moved its pointer: adding it would take the"
                " pointer back to what it was",
                hint=f"'dver checkout {shown}' brings the data in line; 'dver add --replace"
                f" {shown}' records what is here",
            )
    for one in moved:
        shown = show(repo.display(one.job.path))
        reporter.warn(
            f"git moved the pointer of {shown} since its data was brought here: what came with that"
            " is not in what was added",
            hint=f"'dver diff HEAD {shown}' shows what differs",
        )
