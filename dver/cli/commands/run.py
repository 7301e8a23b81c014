"""``dver run``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import completion, options
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.render import staging
from dver.lineage.executing import Sink, Stream
from dver.ops.making.run import RunItem, RunOptions, RunResult, run
from dver.ui.console import Console
from dver.ui.humanize import count, size


@declare(
    "run",
    result=RunResult,
    exits=(4, 5, 7, 9, 10),
    examples=[
        (
            "train, and record what made the model",
            "dver run -d data/train -p params.yaml -o model.pkl -m metrics.json -- python train.py",
        ),
        (
            "name the step, say why, and tell what the data is for",
            "dver run --name train --message 'more trees' -d data:train -o m.pkl -- ./train.py",
        ),
        (
            "only from committed code, and fail if anything undeclared is read",
            "dver run --clean --strict -d data -o model.pkl -- python train.py",
        ),
    ],
)
@click.argument("argv", metavar="-- COMMAND [ARGS]...", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--name",
    "step",
    metavar="STEP",
    default="",
    help="Name what is done.",
    shell_complete=completion.steps,
)
@click.option(
    "-d", "--dep", "deps", metavar="PATH[:ROLE]", multiple=True, help="What the command reads."
)
@click.option(
    "-p",
    "--params",
    metavar="FILE[:KEYS]",
    multiple=True,
    help="A file of parameters; KEYS, with commas between, if only some count.",
)
@click.option(
    "-o", "--out", "outs", metavar="PATH[:ROLE]", multiple=True, help="What the command makes."
)
@click.option("-m", "--metrics", metavar="FILE", multiple=True, help="A file of metrics it makes.")
@click.option(
    "--env-lock", "locks", metavar="FILE", multiple=True, help="A lock file of the environment."
)
@click.option("--message", metavar="TEXT", default="", help="Why this is run.")
@click.option("--clean", is_flag=True, help="Refuse to run unless all code is committed.")
@click.option("--strict", is_flag=True, help="Fail if undeclared files are read or written.")
@click.option(
    "--env-var",
    "variables",
    metavar="NAME",
    multiple=True,
    help="Also record this environment variable. Never name one that holds a secret.",
)
@click.option(
    "--container", metavar="DIGEST", default="", help="The digest of the image that this runs in."
)
@click.option(
    "--uncontrolled",
    metavar="TEXT",
    multiple=True,
    help="Say what else the result depends on and cannot be had again.",
)
@options.stage
def command(app: App, argv: tuple[str, ...], **asked: object) -> int:
    """Run a command, and record what it made out of what.

    Inputs, code, parameters and environment are kept as they are when the command starts; its
    outputs are tracked as by 'dver add'. All that becomes one record, a file in .dver/records to
    be committed with the outputs. 'dver lineage' asks records, 'dver reproduce' makes outputs
    again.

    Code that is not committed is kept too, as a commit that no branch shows. A failed run is
    recorded without its outputs, and dver ends with the command's exit code.
    """
    options_given = RunOptions(argv=argv, **asked)  # type: ignore[arg-type]  # as declared above
    result = run(app.repo, options_given, sink_of(app.console), app.reporter)
    code = 130 if result.interrupted else result.exit
    return app.finish(result, _render, exit_code=code)


def sink_of(console: Console) -> Sink:
    """Return what passes a command's output on to the streams of this one."""

    def show_output(stream: Stream, data: bytes) -> None:
        console.pass_on("out" if stream == "stdout" else "err", data)

    return show_output


def _render(console: Console, result: RunResult) -> None:
    if result.exit:
        console.done(
            console.style(f"failed     with exit code {result.exit}", "red")
            + f", recorded as {result.record[:10]}"
        )
    for one in result.outputs:
        console.done(f"made       {_line(one)}")
    for metric in result.metrics:
        console.done(f"metric     {metric.name} = {metric.value}")
    if not result.exit:
        took = result.milliseconds / 1000
        console.done(f"recorded   {result.record[:10]} ({took:.1f} s)")
    for word, paths in (("reads", result.reads), ("writes", result.writes)):
        for path in paths[:5]:
            console.warn(f"undeclared {word[:-1]}: {show(path)}")
        if len(paths) > 5:
            console.warn(f"... and {len(paths) - 5} more undeclared {word}")
    staging(console, result.to_stage, result.staged)


def _line(one: RunItem) -> str:
    amount = size(one.size)
    if one.files != 1:
        amount = f"{count(one.files, 'file')}, {amount}"
    return f"{show(one.path)} ({amount})"
