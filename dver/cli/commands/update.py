"""``dver update``."""

from __future__ import annotations

import click

from dver.base.errors import EXIT_NEGATIVE
from dver.base.quoting import show
from dver.base.redact import printable
from dver.cli import options
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.render import staging
from dver.ops.sharing.importshape import Shape
from dver.ops.sharing.provenance import Told
from dver.ops.sharing.sourcerepo import Access
from dver.ops.sharing.update import UpdatedTarget, UpdateOptions, UpdateResult, update
from dver.ui.console import Console, Style
from dver.ui.humanize import size

_SHOWN = 5
_STYLES: dict[str, Style] = {
    "current": "dim",
    "moved": "yellow",
    "pinned": "dim",
    "gone": "red",
    "failed": "red",
}


@declare(
    "update",
    result=UpdateResult,
    exits=(1, 4, 5, 6, 7, 8, 9, 10, 11),
    negative="--check: a source has something else than what was imported",
    examples=[
        ("take the newest version of one import", "dver update data/train"),
        ("is there anything new, anywhere? (for CI)", "dver update --all --check"),
        ("follow another branch or tag from now on", "dver update data/train --rev v2.0"),
    ],
)
@options.paths()
@click.option("-a", "--all", "everything", is_flag=True, help="All imports of the repository.")
@options.rev("Follow this branch, tag or commit of the source from now on.")
@click.option(
    "--check",
    is_flag=True,
    help="Change nothing; exit with 1 if a source has something else than what was imported.",
)
@options.dry_run
@click.option("--no-download", is_flag=True, help="Write the pointers only.")
@click.option(
    "--trust",
    is_flag=True,
    help="Agree to read from the sources that the pointers name, in this clone, from now on.",
)
@options.force("Give up what was changed here since the import.")
@options.remote("Read a repository's data from this remote of it, instead of its default one.")
@click.option(
    "--remote-url",
    metavar="URL",
    help="Read a repository's data from there, whatever its settings say.",
)
@options.jobs
@options.stage
def command(
    app: App,
    paths: tuple[str, ...],
    everything: bool,
    rev: str | None,
    check: bool,
    dry_run: bool,
    no_download: bool,
    trust: bool,
    force: bool,
    remote: str | None,
    remote_url: str | None,
    jobs: int | None,
    stage: bool | None,
) -> int:
    """Move imported data to a newer version of its source.

    What was imported from a branch, or from a URL, moves to what is there now. A tag or a commit
    stays; --rev takes another. Data that was changed here is not overwritten. Of several imports
    those that can be read are done; what is wrong with the others is told, and the exit code is
    that of the first of them.

    The source of a pointer is asked only if you have named it in this clone with 'dver import', or
    agreed to it with --trust: who writes a pointer can name any place.
    """
    asked = UpdateOptions(
        paths=paths,
        all=everything,
        rev=rev,
        check=check,
        dry_run=dry_run,
        download=not no_download,
        force=force,
        trust=trust,
        access=Access(remote, remote_url, tuple(app.overrides), jobs),
        stage=stage,
    )
    result = update(app.repo, asked, app.reporter)
    negative = check and result.has_moved
    return app.finish(
        result, _render, exit_code=result.failure or (EXIT_NEGATIVE if negative else 0)
    )


def _render(console: Console, result: UpdateResult) -> None:
    for one in result.targets:
        if one.state == "failed":
            word = console.style("failed:", "red", on="err")
            console.complain(f"{word} {show(one.path)}: {printable(one.note)}")
            if one.hint:
                word = console.style("hint:", "cyan", on="err")
                console.complain(f"{word} {printable(one.hint)}")
            continue
        word = console.style(f"{'updated' if one.updated else one.state:9}", _style(one))
        before, after = _version(one.old), _version(one.new)
        move = f" ({before} -> {after})" if before != after else f" ({before})" if before else ""
        console.done(f"{word}  {show(one.path)}{move}")
        if one.shape is not None:
            console.done(f"           {_shape(one.shape)}")
        if one.note:
            console.done(f"           {printable(one.note)}")
    staging(console, result.to_stage, result.staged)


def _style(one: UpdatedTarget) -> Style:
    return "green" if one.updated else _STYLES[one.state]


def _version(origin: Told) -> str:
    if origin.commit:
        return f"{show(origin.rev)} {origin.commit[:10]}" if origin.rev else origin.commit[:10]
    return printable(origin.modified or origin.version or origin.etag[:16])


def _shape(shape: Shape) -> str:
    counts = (("added", shape.added), ("removed", shape.removed), ("modified", shape.modified))
    parts = [f"{number:,} {word}" for word, number in counts if number]
    if shape.modified is None:
        parts.append("content modified")
    parts.append(f"{size(shape.old_size)} -> {size(shape.size)}")
    told = (
        ("new", shape.columns_added),
        ("lost", shape.columns_removed),
        ("retyped", shape.columns_changed),
    )
    for word, columns in told:
        if columns:
            name = printable if word == "retyped" else show
            listed = ", ".join(name(one) for one in columns[:_SHOWN])
            more = f" and {len(columns) - _SHOWN} more" if len(columns) > _SHOWN else ""
            parts.append(f"{word} columns: {listed}{more}")
    if shape.note:
        parts.append(printable(shape.note))
    return "; ".join(parts)
