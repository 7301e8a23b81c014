"""``dver export``."""

from __future__ import annotations

from dver.cli.command import Lazy

command = Lazy(
    "export",
    package=__name__,
    sections={"Commands": {"dvc": "Write tracked data as a project of DVC."}},
    help="""Write tracked data as a project of DVC.

    So that nobody is locked in. For lineage in the languages of others, see
    'dver lineage --format'.
    """,
)
