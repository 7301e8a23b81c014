"""``dver remote``."""

from __future__ import annotations

from dver.cli.command import Lazy

command = Lazy(
    "remote",
    package=__name__,
    fallback="list",
    sections={
        "Commands": {
            "add": "Add a remote.",
            "list": "List the remotes.",
            "set": "Set an option of a remote.",
            "unset": "Remove an option of a remote.",
            "default": "Show or choose the remote that is used when none is named.",
            "rename": "Give a remote another name.",
            "remove": "Forget a remote; what is in it stays there.",
            "check": "Ask a remote whether it works, and what it can do.",
            "trust": "Allow sending data to a remote that was configured by somebody else.",
        }
    },
    help="""Manage the places where data is shared.

    A remote is a directory, an S3 bucket (s3://BUCKET/PREFIX), or any URL that fsspec opens.
    Remotes are kept in .dver/config.yaml, which is committed, unless --local or --user is given.
    Credentials never are: they come from the environment and the usual files, such as
    ~/.aws/credentials.

    Without a command, lists the remotes.
    """,
)
