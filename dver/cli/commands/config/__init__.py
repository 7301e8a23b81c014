"""``dver config``."""

from __future__ import annotations

from dver.cli.command import Lazy

command = Lazy(
    "config",
    package=__name__,
    sections={
        "Commands": {
            "get": "Print the value of a setting.",
            "set": "Give a setting a value.",
            "unset": "Remove a setting.",
            "list": "List settings and where they come from.",
        }
    },
    help="""Read and change settings.

    A setting is looked up in this order: -c KEY=VALUE, DVER_* environment variables, the local
    level (this clone only), the repository level (.dver/config.yaml, committed, for everyone), the
    user level (all repositories of this user), and the default. The variable of core.jobs is
    DVER_CORE_JOBS, and that of remote.origin.url DVER_REMOTE_ORIGIN_URL.
    """,
)
