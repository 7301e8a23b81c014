"""``dver reproduce``."""

from __future__ import annotations

import click

from dver.base.fsio import show
from dver.base.redact import printable
from dver.cli.command import declare
from dver.cli.commands.run import sink_of
from dver.cli.context import App
from dver.formats.record import Grade
from dver.lineage.grading import GRADES
from dver.ops.reproduce import EXIT_OF, ReproduceOptions, ReproduceResult, reproduce
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
    ],
)
@click.argument("target", metavar="PATH[@REV]|RECORD")
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
@click.option("-r", "--remote", metavar="NAME", help="Where to get missing inputs from.")
@click.option("--keep", is_flag=True, help="Leave the directory in which it was made.")
@click.option("--no-record", is_flag=True, help="Write no record of the verdict.")
def command(
    app: App,
    target: str,
    check: bool,
    expect: Grade,
    relative: float,
    absolute: float,
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
    """
    options = ReproduceOptions(target, relative, absolute, remote, keep, check, not no_record)
    result = reproduce(app.repo, options, sink_of(app.console), app.reporter)
    good = GRADES.index(result.grade) <= GRADES.index(expect)
    return app.finish(result, _render, exit_code=0 if good else EXIT_OF[result.grade])


def _render(console: Console, result: ReproduceResult) -> None:
    for one in result.outputs:
        note = f": {printable(one.note)}" if one.note else ""
        word = console.style(f"{one.grade:9}", _STYLES[one.grade])
        console.print(f"{word}  {show(one.path)}{note}")
    told = {
        "metric": result.metrics,
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
        took = f" ({now:.1f} s, recorded {then:.1f} s)"
    console.print(f"{word}: {_MEANING[result.grade]}{took}")
    if result.directory is not None:
        console.done(f"made in {show(result.directory)}")
    if result.file is not None:
        console.done(f"to keep the verdict, run: git add {show(result.file)}")
