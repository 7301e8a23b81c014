"""``dver.Repo``: what the command line does, for programs."""

from __future__ import annotations

from dver.python.verbs.data import DataVerbs
from dver.python.verbs.elsewhere import ElsewhereVerbs
from dver.python.verbs.looking import LookingVerbs
from dver.python.verbs.making import MakingVerbs
from dver.python.verbs.sharing import SharingVerbs
from dver.python.verbs.upkeep import UpkeepVerbs


class Repo(DataVerbs, ElsewhereVerbs, LookingVerbs, SharingVerbs, MakingVerbs, UpkeepVerbs):
    """A repository to work with, as the command line does: a method for each of its verbs.

    ``Repo(directory)`` stands in a directory of it, by default the current one; paths are relative
    to that. Results are those that ``--json`` prints, as frozen dataclasses; what goes wrong is
    raised, one of :mod:`dver.base.errors`. Nothing is printed: a ``reporter`` hears of progress.

    A call opens the repository and lets go of it again, so an instance may be kept, shared between
    threads and processes, and pickled; there is nothing to close.
    """
