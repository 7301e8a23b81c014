"""``dver lineage``."""

from __future__ import annotations

import json

import click

from dver.base.errors import UsageError
from dver.cli import completion, options
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.contrasttext import render_diff
from dver.cli.lineagetext import as_dot, as_mermaid, as_tree
from dver.ops.making.contrast import ContrastOptions, contrast
from dver.ops.making.export import STANDARDS, ExportOptions, ExportResult, export
from dver.ops.making.lineage import LineageOptions, LineageResult, lineage
from dver.ui.console import Console


@declare(
    "lineage",
    result=LineageResult,
    exits=(4, 7, 8),
    examples=[
        ("what made this model", "dver lineage model.pkl"),
        (
            "what was made with this file, which may be one of a directory",
            "dver lineage --down data/train/labels.csv@v1.0",
        ),
        ("draw it", "dver lineage --format mermaid model.pkl"),
        ("as SLSA provenance, for other tools", "dver lineage --format slsa model.pkl > slsa.json"),
        (
            "with the records of clones whose commits are not here",
            "dver lineage -r origin --down data",
        ),
        ("what changed between two models", "dver lineage diff model.pkl@v1.0 model.pkl"),
    ],
)
@click.argument(
    "targets",
    metavar="PATH[@REV]|RECORD|OID",
    nargs=-1,
    required=True,
    shell_complete=completion.records,
)
@click.option("--down", is_flag=True, help="Tell what was made with it, not what made it.")
@click.option("--depth", type=click.IntRange(min=1), metavar="N", help="Go so many records far.")
@click.option(
    "--format",
    "shape",
    type=click.Choice(("tree", "dot", "mermaid", *STANDARDS)),
    default="tree",
    help="How to draw it (default: tree), or the standard to tell it in.",
)
@options.remote("Ask the records in this remote too (without it: the default one, if need be).")
def command(
    app: App,
    targets: tuple[str, ...],
    down: bool,
    depth: int | None,
    shape: str,
    remote: str | None,
) -> int:
    """Tell what made something, or what was made with it.

    All records that any branch or tag reaches are asked, and if they have no answer those that
    others pushed to the default remote. TARGET is a path at any revision, a record's id, an oid, or
    a file on disk that some record knows by its content.

    in-toto, slsa, openlineage, ro-crate, cyclonedx, prov and mlflow print JSON for other tools: of
    OpenLineage an event on each line, of the others one document.

    'dver lineage diff A B' says what changed between the runs that made two things: which files of
    data and code, parameters, seeds, environment and hardware.
    """
    if targets[0] == "diff" and len(targets) == 3:
        found = contrast(app.repo, ContrastOptions(targets[1:], files=True))
        return app.finish(found, render_diff, long=True)
    if len(targets) > 1:
        raise UsageError(
            "the lineage of one thing at a time", hint="'dver lineage diff A B' compares two"
        )
    if shape in STANDARDS:
        standard = STANDARDS[STANDARDS.index(shape)]
        wanted = ExportOptions(targets[0], standard, down, depth, remote)
        return app.finish(export(app.repo, wanted), _print_documents, long=True)
    result = lineage(app.repo, LineageOptions(targets[0], down, depth, remote))

    def render(console: Console, result: LineageResult) -> None:
        draw = {"dot": as_dot, "mermaid": as_mermaid}.get(shape)
        for line in as_tree(console, result) if draw is None else draw(result):
            console.print(line)

    return app.finish(result, render, long=True)


def _print_documents(console: Console, result: ExportResult) -> None:
    indent = 2 if result.format != "openlineage" else None
    for one in result.documents:
        console.print(json.dumps(one, indent=indent, allow_nan=False))
