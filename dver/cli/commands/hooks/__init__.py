"""``dver hooks``."""

from __future__ import annotations

from dver.cli.command import Lazy

command = Lazy(
    "hooks",
    package=__name__,
    fallback="status",
    sections={
        "Commands": {
            "install": "Install hooks and drivers beside those that are there.",
            "uninstall": "Take hooks and drivers away again, without a trace.",
            "status": "Tell which hooks and drivers are there.",
            "run": "Do what a hook does, for hooks of your own and hook managers.",
        }
    },
    help="""Let git call dver when it commits, pushes, switches, merges and shows.

    dver works without hooks; they save typing 'dver push' and 'dver checkout', and prevent commits
    that nobody could use. Hooks that are there already stay, and run first. The settings
    hooks.push, hooks.checkout, hooks.stale and hooks.max_file_size say what they do.

    Without a command, tells what is installed.
    """,
)
