"""The root of the command tree: the table of commands, and the global options."""

from __future__ import annotations

import os

import click

from dver.base.errors import DverError, NotFoundError, UsageError
from dver.base.quoting import show
from dver.cli.command import Lazy
from dver.cli.context import app_of
from dver.cli.options import global_options

SECTIONS = {
    "Start": {
        "init": "Set dver up in a git repository.",
        "migrate": "Take over what DVC or git-lfs versions here.",
        "export": "Write tracked data as a project of DVC.",
        "demo": "Show the main job on real data, step by step, in a throw-away repository.",
        "doctor": "Report versions, capabilities and problems of this set-up.",
        "config": "Read and change settings.",
        "hooks": "Let git call dver when it commits, pushes, switches, merges and shows.",
        "completion": "Print the completion script of a shell.",
        "help": "Explain a command, or an idea behind the commands.",
    },
    "Work with data": {
        "add": "Start tracking files and directories, or record their present state.",
        "status": "Show what has changed, what is missing here and what is not pushed yet.",
        "diff": "Show which files differ between two versions.",
        "report": "Tell in Markdown what a change does to data, metrics and lineage.",
        "checkout": "Bring the workspace in line with the pointers, or with a revision.",
        "mv": "Move or rename tracked data.",
        "import": "Bring data from elsewhere, and note where it came from.",
        "update": "Move imported data to a newer version of its source.",
        "rm": "Stop tracking data and remove it from the workspace.",
        "resolve": "Settle pointers that a merge left in conflict.",
    },
    "Make and ask": {
        "run": "Run a command, and record what it made out of what.",
        "record": "Record something that was made elsewhere.",
        "repro": "Run what is not up to date of the pipeline in dver.yaml.",
        "dag": "Draw the pipeline: its steps, and which needs which.",
        "lineage": "Tell what made something, or what was made with it.",
        "runs": "List recorded runs, with their parameters and metrics.",
        "compare": "Put runs side by side.",
        "metrics": "Show and compare recorded metrics.",
        "params": "Show and compare recorded parameters.",
        "reproduce": "Make something again from its record, and grade what comes out.",
        "sign": "Sign the record of what made something.",
        "verify": "Verify the signatures of the record that made something.",
    },
    "Look at any version": {
        "log": "List every version of some data across git history.",
        "ls": "List tracked data at any revision.",
        "get": "Write any version of some data anywhere.",
        "cat": "Print a file of any version.",
        "du": "Show how much room data takes, as files and in the store.",
        "whereis": "Tell where the content of some data is.",
    },
    "Share": {
        "remote": "Manage the places where data is shared.",
        "push": "Send the content that pointers name to a remote.",
        "fetch": "Bring the content that pointers name into the local store.",
        "pull": "Fetch content and check it out.",
    },
    "Look after the store": {
        "fsck": "Verify the local store or a remote.",
        "gc": "Remove content that nothing needs any more, here or in a remote.",
        "drop": "Free local room: remove content of which there are copies elsewhere.",
        "purge": "Remove content everywhere, for good, whoever still refers to it.",
    },
}


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        import dver

        app_of(ctx).console.print(f"dver {dver.__version__}")
        ctx.exit(0)


def _go(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for name in () if ctx.resilient_parsing else value:
        try:
            os.chdir(name)
        except OSError as error:
            raise NotFoundError(f"cannot change to {show(name)}: {_reason(error)}") from error
    return value


def _note(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for text in () if ctx.resilient_parsing else value:
        key, equals, wanted = text.partition("=")
        if not equals or not key:
            raise UsageError(f"-c takes KEY=VALUE, not {text!r}", hint="dver -c core.jobs=4 push")
        app_of(ctx).overrides.append((key, wanted))
    return value


class Root(Lazy):
    """The program itself."""

    def __init__(self) -> None:
        super().__init__(
            "dver",
            package="dver.cli.commands",
            sections=SECTIONS,
            help="Version data and models beside code, the way git versions code.",
            callback=lambda **_: None,
            epilog="'dver help COMMAND' and 'dver help CONCEPT' explain one of them.",
            params=[
                click.Option(
                    ["-C", "directory"],
                    metavar="DIR",
                    multiple=True,
                    callback=_go,
                    help="Run as if started in DIR. Several count from left to right, as in git.",
                ),
                click.Option(
                    ["-c", "setting"],
                    metavar="KEY=VALUE",
                    multiple=True,
                    callback=_note,
                    help="Use this value of a setting, for this command only.",
                ),
                *global_options(),
                click.Option(
                    ["--version"],
                    is_flag=True,
                    is_eager=True,
                    expose_value=False,
                    callback=_version,
                    help="Print the version.",
                ),
            ],
        )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, through the user's aliases if the word is none."""
        commands = self.list_commands(ctx)
        if args[0] not in commands:
            from dver.cli.aliases import expanded

            args = expanded(app_of(ctx), args, commands)
        return super().resolve_command(ctx, args)

    def more_names(self, ctx: click.Context) -> list[str]:
        """Return the user's aliases."""
        from dver.cli.aliases import names

        try:
            return names(app_of(ctx))
        except DverError:  # they are only offered
            return []

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands, and the concepts."""
        from dver.cli.concepts import CONCEPTS

        super().format_commands(ctx, formatter)
        with formatter.section("Concepts"):
            longest = max(map(len, self.list_commands(ctx)))
            formatter.write_dl([(name.ljust(longest), text) for name, text in CONCEPTS.items()])


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()


root = Root()
