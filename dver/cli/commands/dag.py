"""``dver dag``."""

from __future__ import annotations

import click

from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.dagtext import as_dot, as_mermaid, as_tree
from dver.ops.making.dag import DagResult, dag
from dver.ui.console import Console


@declare(
    "dag",
    result=DagResult,
    exits=(4, 7),
    examples=[
        ("which step needs which", "dver dag"),
        ("for a README or a merge request", "dver dag --format mermaid"),
    ],
)
@click.argument("steps", metavar="[STEP]...", nargs=-1)
@click.option("--downstream", is_flag=True, help="Also show what depends on the steps.")
@click.option(
    "--format",
    "shape",
    type=click.Choice(("tree", "dot", "mermaid")),
    default="tree",
    help="How to draw it (default: tree).",
)
def command(app: App, steps: tuple[str, ...], downstream: bool, shape: str) -> int:
    """Draw the pipeline: its steps, and which needs which.

    The steps are those of dver.yaml; with names, those and all that they need.
    """
    result = dag(app.repo, steps, downstream=downstream)

    def render(console: Console, result: DagResult) -> None:
        draw = {"dot": as_dot, "mermaid": as_mermaid}.get(shape)
        for line in as_tree(console, result) if draw is None else draw(result):
            console.print(line)

    return app.finish(result, render, long=True)
