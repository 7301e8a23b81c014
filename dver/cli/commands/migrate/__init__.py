"""``dver migrate``."""

from __future__ import annotations

from dver.cli.command import Lazy

command = Lazy(
    "migrate",
    package=__name__,
    sections={
        "Commands": {
            "dvc": "Take over what DVC versions: data, pipelines and history.",
            "lfs": "Take over what git-lfs versions.",
        }
    },
    help="""Take over what DVC or git-lfs versions here.

    Nothing of the other tool is deleted, and nothing is committed. What is there already is left
    alone, so that a migration that was stopped can be run again.
    """,
)
