"""The options that several commands share, so that each is spelled and explained the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from dver.cli import completion
from dver.cli.context import App, app_of
from dver.ui.console import ColorChoice

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]


def rev(text: str) -> Decorator[Any]:
    """Return ``--rev REV`` with a command's own explanation."""
    return click.option("--rev", metavar="REV", help=text, shell_complete=completion.revisions)


def remote(text: str = "The remote to use instead of the default one.") -> Decorator[Any]:
    """Return ``-r, --remote NAME``."""
    return click.option(
        "-r", "--remote", metavar="NAME", help=text, shell_complete=completion.remotes
    )


def remotes(text: str) -> Decorator[Any]:
    """Return ``-r, --remote NAME``, which may be given several times."""
    return click.option(
        "-r",
        "--remote",
        "remotes",
        metavar="NAME",
        multiple=True,
        help=text,
        shell_complete=completion.remotes,
    )


def paths(metavar: str = "[PATH]...", *, required: bool = False) -> Decorator[Any]:
    """Return the argument of any number of tracked paths."""
    return click.argument(
        "paths",
        metavar=metavar,
        nargs=-1,
        required=required,
        shell_complete=completion.tracked_paths,
    )


jobs: Decorator[Any] = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1, max=1000),
    metavar="N",
    help="How many transfers run at once (default: core.jobs, else by the kind of remote).",
)

workers: Decorator[Any] = click.option(
    "--workers",
    type=click.IntRange(min=1, max=256),
    metavar="N",
    help="How many processes read files (default: core.workers, else by the amount of work).",
)

all_refs: Decorator[Any] = click.option(
    "--all", "every", is_flag=True, help="Every version that any branch or tag names."
)

all_versions: Decorator[Any] = click.option(
    "--all-versions", is_flag=True, help="Every version of a path, in all of history."
)

dry_run: Decorator[Any] = click.option(
    "-n", "--dry-run", is_flag=True, help="Only say what would be done."
)

trust_sources: Decorator[Any] = click.option(
    "--trust",
    is_flag=True,
    help="Agree to read imports from the sources that their pointers name, in this clone.",
)

step: Decorator[Any] = click.option(
    "--name",
    "step",
    metavar="STEP",
    help="Only of this step.",
    shell_complete=completion.steps,
)

stage: Decorator[Any] = click.option(
    "--stage/--no-stage",
    default=None,
    help="Run 'git add' on the changed pointers and .gitignore files (default: core.autostage).",
)

link: Decorator[Any] = click.option(
    "--link",
    type=click.Choice(["auto", "copy", "reflink", "hardlink", "symlink"]),
    metavar="MODE",
    help="How files get into the workspace: auto, copy, reflink, hardlink or symlink"
    " (default: core.link).",
)


def revisions(text: str) -> Decorator[Any]:
    """Return ``--rev REV``, which may be given several times and may be a range."""
    return click.option(
        "--rev",
        "revisions",
        metavar="REV",
        multiple=True,
        help=text,
        shell_complete=completion.revisions,
    )


def force(text: str) -> Decorator[Any]:
    """Return ``-f, --force`` with a command's own explanation of what may be lost."""
    return click.option("-f", "--force", is_flag=True, help=text)


def _show_help(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        app = app_of(ctx)
        app.page(lambda: app.console.print(ctx.get_help()))
        ctx.exit()


#: What click would make for every command, and look for translations of, at every start.
help_option = click.Option(
    ["-h", "--help"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    help="Show this message and exit.",
    callback=_show_help,
)


def _flag(*names: str, text: str, hidden: bool, apply: Callable[[App], None]) -> click.Option:
    def callback(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            apply(app_of(ctx))

    return click.Option(
        names, is_flag=True, help=text, hidden=hidden, expose_value=False, callback=callback
    )


def _json(app: App) -> None:
    app.console.json = True


def _quiet(app: App) -> None:
    app.console.quiet = True


def _verbose(app: App) -> None:
    app.console.verbose = True


def _no_progress(app: App) -> None:
    app.show_progress = False


def _no_pager(app: App) -> None:
    app.use_pager = False


def _debug(app: App) -> None:
    app.debug = True


def _set_color(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None and not ctx.resilient_parsing:
        app_of(ctx).console.choose_color(cast("ColorChoice", value))


def global_options(*, hidden: bool = False) -> list[click.Parameter]:
    """Return the options that may stand before the command and after, new each time."""
    return [
        _flag("-q", "--quiet", text="Only results and errors.", hidden=hidden, apply=_quiet),
        _flag("-v", "--verbose", text="More detail.", hidden=hidden, apply=_verbose),
        _flag("--no-progress", text="No progress bars.", hidden=hidden, apply=_no_progress),
        _flag("--no-pager", text="No pager for long results.", hidden=hidden, apply=_no_pager),
        click.Option(
            ["--color"],
            type=click.Choice(["auto", "always", "never"]),
            metavar="WHEN",
            help="Colour: auto (on a terminal, unless NO_COLOR is set), always or never.",
            hidden=hidden,
            expose_value=False,
            callback=_set_color,
        ),
        _flag("--debug", text="Show tracebacks of errors.", hidden=hidden, apply=_debug),
    ]


def common_options() -> list[click.Parameter]:
    """Return what every command takes: ``--json``, and the global options without showing them."""
    return [
        _flag("--json", text="Print the result as JSON.", hidden=False, apply=_json),
        *global_options(hidden=True),
    ]
