"""``dver params``."""

from __future__ import annotations

from dver.cli.command import Lazy

command = Lazy(
    "params",
    package=__name__,
    fallback="show",
    sections={
        "Commands": {
            "show": "Show the parameters of the newest runs.",
            "diff": "Show which parameters differ between two revisions.",
        }
    },
    help="""Show and compare recorded parameters.

    They are those of the newest successful run of each step whose record a revision holds.

    Without a command, shows those of the work tree.
    """,
)
