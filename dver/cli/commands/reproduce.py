"""``dver reproduce``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.base.redact import printable
from dver.cli import completion
from dver.cli.command import declare
from dver.cli.commands.run import sink_of
from dver.cli.context import App
from dver.cli.render import pasted
from dver.formats.record import Grade
from dver.lineage.grading import GRADES
from dver.lineage.setting import KINDS, Kind
from dver.ops.making.reproduce import EXIT_OF, ReproduceOptions, ReproduceResult, reproduce
from dver.ui.console import Console, Style

_STYLES: dict[str, Style] = {
    "exact": "green",
    "content": "green",
    "metric": "yellow",
    "diverged": "red",
    "blocked": "red",
}
_MEANING: dict[Grade, str] = {
    "exact": "the same bytes",
    "content": "the same content in other bytes",
    "metric": "other content, metrics within tolerance",
    "diverged": "not the same",
    "blocked": "could not be made",
}


@declare(
    "reproduce",
    result=ReproduceResult,
    exits=(4, 6, 7, 8, 10, 20, 21, 22, 23),
    examples=[
        (
            "make the model of an old release again, and say how close it comes",
            "dver reproduce model.pkl@v1.0",
        ),
        ("only tell whether it could be done", "dver reproduce --check model.pkl@v1.0"),
        (
            "let metrics differ by a thousandth of their value",
            "dver reproduce --relative 0.001 --expect metric model.pkl",
        ),
        (
            "with the recorded packages, in a virtual environment built for it",
            "dver reproduce --env venv model.pkl@v1.0",
        ),
        (
            "three times, so that the noise of its metrics is known",
            "dver reproduce --times 3 --expect metric model.pkl",
        ),
        ("from the raw data on, step by step", "dver reproduce --chain model.pkl@v1.0"),
    ],
)
@click.argument("target", metavar="PATH[@REV]|RECORD", shell_complete=completion.records)
@click.option("--check", is_flag=True, help="Only tell whether all that is needed is to be had.")
@click.option(
    "--expect",
    type=click.Choice(GRADES[:4]),
    default="exact",
    help="End with 0 for this grade and better ones (default: exact).",
)
@click.option(
    "--relative",
    type=float,
    default=0.0,
    metavar="X",
    help="Metrics may differ by X times their value.",
)
@click.option("--absolute", type=float, default=0.0, metavar="X", help="Metrics may differ by X.")
@click.option(
    "--env",
    "environment",
    type=click.Choice(KINDS),
    default="current",
    help="Run in this environment as it is (current, the default), in a virtual environment with"
    " the recorded packages that pip (venv) or uv builds, or in the recorded container image.",
)
@click.option(
    "--times",
    type=click.IntRange(1, 100),
    default=1,
    metavar="N",
    help="Run N times; how far apart its metrics are is their noise, which they may differ by.",
)
@click.option(
    "--chain",
    is_flag=True,
    help="Make first what its inputs were made of, from the roots on, and use what comes out.",
)
@click.option("-r", "--remote", metavar="NAME", help="Where to get missing inputs from.")
@click.option("--keep", is_flag=True, help="Leave the directories in which it was made.")
@click.option("--no-record", is_flag=True, help="Write no record of the verdict.")
def command(
    app: App,
    target: str,
    check: bool,
    expect: Grade,
    relative: float,
    absolute: float,
    environment: Kind,
    times: int,
    chain: bool,
    remote: str | None,
    keep: bool,
    no_record: bool,
) -> int:
    """Make something again from its record, and grade what comes out.

    TARGET is a path, at any revision, a record's id, or any file that some record knows by its
    content. The recorded code is put into a directory of its own with the recorded inputs, the
    command is run there, and each output is compared: exact (the same bytes), content (the same
    tensors, rows or members in other bytes), metric (metrics within tolerance), diverged, or
    blocked (something is missing, and nothing was run). The work tree is not touched; the verdict
    is a record of its own.

    Virtual environments are kept in the user's cache directory, by the hash of what is in them.
    """
    options = ReproduceOptions(
        target,
        relative,
        absolute,
        remote,
        keep,
        check,
        not no_record,
        environment,
        times,
        chain,
    )
    result = reproduce(app.repo, options, sink_of(app.console), app.reporter)
    good = GRADES.index(result.grade) <= GRADES.index(expect)
    return app.finish(result, _render, exit_code=0 if good else EXIT_OF[result.grade])


def _render(console: Console, result: ReproduceResult) -> None:
    for link in result.chain:
        word = console.style(f"{link.grade:9}", _STYLES[link.grade])
        console.print(f"{word}  {printable(link.step or 'record')} {link.record[:10]}")
        for text in link.missing:
            console.print(f"{'missing':9}  {printable(text)}")
        if link.directory is not None:
            console.done(f"made in {show(link.directory)}")
    for one in result.outputs:
        note = f": {printable(one.note)}" if one.note else ""
        word = console.style(f"{one.grade:9}", _STYLES[one.grade])
        console.print(f"{word}  {show(one.path)}{note}")
    told = {
        "metric": result.metrics,
        "noise": tuple(f"{name}: {value}" for name, value in result.noise.items()),
        "missing": result.missing,
        "differs": result.differs,
        "note": result.notes,
    }
    for heading, texts in told.items():
        for text in texts:
            console.print(f"{heading:9}  {printable(text)}")
    word = console.style(result.grade.upper(), _STYLES[result.grade], "bold")
    took = ""
    if result.exit is not None:
        now, then = result.milliseconds / 1000, result.recorded_milliseconds / 1000
        runs = f"{result.runs} runs, " if result.runs > 1 else ""
        took = f" ({runs}{now:.1f} s, recorded {then:.1f} s)"
    console.print(f"{word}: {_MEANING[result.grade]}{took}")
    if result.directory is not None:
        console.done(f"made in {show(result.directory)}")
    if result.files:
        what = "verdict" if len(result.files) == 1 else "verdicts"
        console.done(f"to keep the {what}, run: git add {pasted(result.files)}")
