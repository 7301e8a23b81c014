"""What all commands share: how they are declared, and how their help reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from keyword import iskeyword
from typing import Any

import click

from dver.cli.context import Access, app_of
from dver.cli.options import common_options, help_option

#: What each exit code means; the page ``docs/reference/exit-codes.md`` is held against it.
EXIT_MEANINGS: Mapping[int, str] = {
    0: "success",
    1: 'the answer is "no"',
    2: "wrong usage",
    3: "no git repository here, or 'dver init' was not run in it",
    4: "unknown revision, path, remote or setting",
    5: "refused, since work would be lost or hidden; nothing was changed",
    6: "content is missing here and in the remotes asked",
    7: "corrupt content, or a file that does not parse",
    8: "a remote refused, failed or lied",
    9: "another process holds the lock",
    10: "the machine said no: no space, no permission, I/O error",
    11: "a setting is malformed, unsafe or not trusted",
    20: "made again with the same content in other bytes",
    21: "made again, only its metrics are as close as asked",
    22: "made again, and not the same",
    23: "could not be made again: something is missing",
    70: "a bug in dver",
    130: "interrupted with Ctrl-C",
    141: "whoever read the output went away",
    143: "told to end by a signal (SIGTERM, SIGHUP)",
}

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
#: What it does, and the command line.
Example = tuple[str, str]


#: The key in a click context's ``meta`` for how many arguments stood after ``--``; None without it.
AFTER_DASHES = "dver.after-dashes"


class Command(click.Command):
    """A command with examples and exit codes in its help, and the options that all have.

    ``result`` is the class of what ``--json`` shows. ``examples`` are (comment, command line)
    pairs. ``exits`` are the exit codes, besides 0, 2 and those of its ``access``, that a caller
    should expect; ``negative`` says what 1 means, if it is used.
    """

    def __init__(
        self,
        name: str,
        *,
        access: Access,
        result: type,
        examples: Sequence[Example],
        exits: Sequence[int] = (),
        negative: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, context_settings=CONTEXT, **kwargs)
        self.params.extend(common_options())
        self.access = access
        self.result = result
        self.examples = tuple(examples)
        self.exits = {code: EXIT_MEANINGS[code] for code in _codes(access, exits)}
        if negative is not None:
            self.exits = dict(sorted({**self.exits, 1: negative}.items()))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note the command's name, and how many arguments stand after ``--``."""
        app_of(ctx).command = ctx.command_path.partition(" ")[2]
        ctx.meta[AFTER_DASHES] = len(args) - args.index("--") - 1 if "--" in args else None
        return super().parse_args(ctx, args)

    def get_help_option(self, ctx: click.Context) -> click.Option:
        """Return the option ``--help``."""
        return help_option

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the exit codes."""
        with formatter.section("Examples"):
            formatter.write("\n".join(self.example_lines("  ")) + "\n")
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), text) for code, text in self.exits.items()])

    def example_lines(self, prefix: str = "") -> list[str]:
        """Return the examples as shell lines with comments."""
        lines = []
        for comment, line in self.examples:
            lines += [f"{prefix}# {comment}", f"{prefix}{line}"]
        return lines


def _codes(access: Access, exits: Sequence[int]) -> list[int]:
    always = {0, 2} | ({3, 11} if access != "none" else set())
    return sorted(always | set(exits))


def declare(
    name: str,
    *,
    result: type,
    access: Access = "initialised",
    examples: Sequence[Example],
    exits: Sequence[int] = (),
    negative: str | None = None,
) -> Callable[[Callable[..., int]], Command]:
    """Declare a function of the App and its parameters as a command; it returns the exit code."""

    def decorate(function: Callable[..., int]) -> Command:
        @click.pass_context
        def run(ctx: click.Context, /, **params: Any) -> int:
            app = app_of(ctx)
            app.need(access)
            return function(app, **params)

        run.__doc__ = function.__doc__
        # The decorators of click leave parameters on the function that they stand above.
        run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        return click.command(
            name,
            cls=Command,
            access=access,
            result=result,
            examples=examples,
            exits=exits,
            negative=negative,
        )(run)

    return decorate


class Lazy(click.Group):
    """A group whose commands are listed in a table and imported when they are run.

    ``sections`` maps a heading to {name: summary}. The command ``add`` is what the module
    ``<package>.add`` calls ``command``. ``fallback`` is the one that is meant when none is named.
    """

    def __init__(
        self,
        name: str,
        *,
        package: str,
        sections: Mapping[str, Mapping[str, str]],
        fallback: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, context_settings=CONTEXT, **kwargs)
        self.package = package
        self.sections = sections
        self.fallback = fallback

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Run the fallback when no command is named, as ``git remote -v`` does."""
        unnamed = not args or (args[0].startswith("-") and args[0] not in ("-h", "--help"))
        if self.fallback is not None and unnamed and not ctx.resilient_parsing:
            args = [self.fallback, *args]
        return super().parse_args(ctx, args)

    def get_help_option(self, ctx: click.Context) -> click.Option:
        """Return the option ``--help``."""
        return help_option

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names in the order of the table."""
        return [name for table in self.sections.values() for name in table]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        # A word of Python's own cannot be the name of a module.
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        found: click.Command = import_module(f"{self.package}.{module}").command
        return found

    def more_names(self, ctx: click.Context) -> list[str]:
        """Return names that stand for commands and are not in the table."""
        return []

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or fail with the nearest names."""
        name = args[0]
        # Noted before the import, which may fail.
        app_of(ctx).command = f"{ctx.command_path} {name}".partition(" ")[2]
        found = self.get_command(ctx, name)
        if found is None and not ctx.resilient_parsing:
            names = [*self.list_commands(ctx), *self.more_names(ctx)]
            raise UnknownCommandError(name, names, ctx)
        return name if found else None, found, args[1:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table, without importing any command."""
        longest = max(map(len, self.list_commands(ctx)))
        for heading, table in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(longest), text) for name, text in table.items()])

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """Offer the table's names and this group's own options."""
        from click.shell_completion import CompletionItem

        names = {name: text for table in self.sections.values() for name, text in table.items()}
        names |= dict.fromkeys(self.more_names(ctx), "")
        offered = [
            CompletionItem(name, help=text)
            for name, text in names.items()
            if name.startswith(incomplete)
        ]
        return offered + click.Command.shell_complete(self, ctx, incomplete)


class UnknownCommandError(click.UsageError):
    """There is no such command; ``near`` are names that look alike."""

    def __init__(self, name: str, names: Sequence[str], ctx: click.Context) -> None:
        from difflib import get_close_matches

        super().__init__(f"no command {name!r} in {ctx.command_path!r}", ctx)
        self.near = get_close_matches(name, names, n=3, cutoff=0.5)
