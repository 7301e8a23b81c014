"""``dver metrics``."""

from __future__ import annotations

from dver.cli.command import Lazy

command = Lazy(
    "metrics",
    package=__name__,
    fallback="show",
    sections={
        "Commands": {
            "show": "Show the metrics of the newest runs.",
            "diff": "Show which metrics differ between two revisions.",
        }
    },
    help="""Show and compare recorded metrics.

    They are those of the newest successful run of each step whose record a revision holds.

    Without a command, shows those of the work tree.
    """,
)
