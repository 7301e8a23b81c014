"""``dver repro``."""

from __future__ import annotations

import threading

import click

from dver.base.quoting import show
from dver.cli import completion, options
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.render import staging
from dver.lineage.executing import Sink, Stream
from dver.ops.making.repro import ReproOptions, ReproResult, ReproStep, Watch, repro
from dver.ui.console import Console, Style

_WORDS: dict[str, tuple[str, Style]] = {
    "current": ("up to date", "dim"),
    "frozen": ("frozen", "dim"),
    "run": ("run", "cyan"),
    "reuse": ("reuse", "green"),
    "restore": ("restore", "green"),
    "pending": ("pending", "cyan"),
    "failed": ("failed", "red"),
    "blocked": ("not run", "red"),
}
_MOST_REASONS = 5


@declare(
    "repro",
    result=ReproResult,
    exits=(4, 5, 6, 7, 8, 9, 10),
    negative="a step failed without an exit code of its own",
    examples=[
        ("bring everything up to date", "dver repro"),
        ("only say what would be done, and why", "dver repro --dry-run"),
        (
            "one step with all that it needs, and what depends on it",
            "dver repro --downstream prepare",
        ),
        ("four steps at once, and go on if one fails", "dver repro -j 4 --keep-going"),
    ],
)
@click.argument("steps", metavar="[STEP]...", nargs=-1, shell_complete=completion.steps)
@click.option(
    "-n",
    "--dry-run",
    "--explain",
    "dry_run",
    is_flag=True,
    help="Only say what would be done, and the reason for every step.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1, max=1000),
    default=1,
    metavar="N",
    help="How many steps that do not need each other may run at once (default: 1).",
)
@options.force("Run the named steps even if they are up to date.")
@click.option("--downstream", is_flag=True, help="Also what depends on the named steps.")
@click.option("--pull", is_flag=True, help="Bring inputs that are not here from the remote.")
@click.option(
    "-k", "--keep-going", is_flag=True, help="When a step fails, run what does not need it."
)
@click.option("--no-reuse", is_flag=True, help="Take no outputs of earlier runs over.")
@click.option("--strict", is_flag=True, help="Fail if undeclared files are read or written.")
@click.option("--message", metavar="TEXT", default="", help="Why this is run, for the records.")
@options.stage
def command(
    app: App,
    steps: tuple[str, ...],
    dry_run: bool,
    jobs: int,
    force: bool,
    downstream: bool,
    pull: bool,
    keep_going: bool,
    no_reuse: bool,
    strict: bool,
    message: str,
    stage: bool | None,
) -> int:
    """Run what is not up to date of the pipeline in dver.yaml.

    STEPs are brought up to date with all that they need; without any, the whole pipeline is. A step
    is up to date if its newest record on this branch is of the same command, inputs, parameters
    and scripts, and its outputs are what that run made: content decides, not times of files. Each
    step that runs is recorded, as by 'dver run'.

    If an earlier run, of any branch, was of just the same in the same environment, its outputs are
    taken instead, and the new record says so. dver ends with the exit code of the first command
    that failed.
    """
    asked = ReproOptions(
        steps=steps,
        jobs=jobs,
        force=force,
        downstream=downstream,
        pull=pull,
        keep_going=keep_going,
        dry_run=dry_run,
        reuse=not no_reuse,
        message=message,
        strict=strict,
        stage=stage,
    )
    watch = _Telling(app.console)
    result = repro(app.repo, asked, watch, app.reporter)
    return app.finish(result, _render, exit_code=130 if result.interrupted else result.exit)


class _Telling(Watch):
    """Says what happens as it happens, and passes the commands' output on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()

    def began(self, step: ReproStep) -> None:
        """Say which step was begun, and why."""
        self._say(step)

    def ended(self, step: ReproStep) -> None:
        """Say what became of a step."""
        for word, paths in (("read", step.reads), ("write", step.writes)):
            for path in paths[:_MOST_REASONS]:
                self._warn(f"{step.name}: undeclared {word}: {show(path)}")
            if len(paths) > _MOST_REASONS:
                self._warn(f"{step.name}: ... and {len(paths) - _MOST_REASONS} more")
        if step.action in ("current", "frozen", "blocked"):
            self._say(step)
        elif step.action == "failed":
            shown = "" if step.exit is None else f" with exit code {step.exit}"
            record = f", recorded as {step.record[:10]}" if step.record else ""
            what = f": {step.problem}" if step.problem else f"{shown}{record}"
            self._line("failed", "red", f"{step.name}{what}", always=True)
        elif step.record is not None and step.action == "reuse":
            self._line("recorded", "dim", f"{step.name} as {step.record[:10]}")
        elif step.record is not None:
            took = step.milliseconds / 1000
            metrics = [f"{name}={text}" for name, text in step.metrics.items()][:_MOST_REASONS]
            tail = f"  {', '.join(metrics)}" if metrics else ""
            text = f"{step.name} as {step.record[:10]} ({took:.1f} s){tail}"
            self._line("recorded", "dim", text)

    def sink(self, name: str, *, alone: bool) -> Sink:
        """Return what shows a command's output; with others beside it, by lines with its name."""
        return self._pass_on if alone else _Lines(self, name).take

    def _say(self, step: ReproStep) -> None:
        word, style = _WORDS[step.action]
        self._line(word, style, _described(step))

    def _line(self, word: str, style: Style, text: str, *, always: bool = False) -> None:
        with self._lock:
            if self._console.json:
                return
            line = f"{self._console.style(f'{word:10}', style)} {text}"
            if always:
                self._console.complain(line)
            else:
                self._console.done(line)
                self._console.flush()

    def _warn(self, text: str) -> None:
        with self._lock:
            self._console.warn(text)

    def _pass_on(self, stream: Stream, data: bytes) -> None:
        with self._lock:
            self._console.pass_on("out" if stream == "stdout" else "err", data)

    def line(self, stream: Stream, name: str, data: bytes) -> None:
        """Show one line of one command among several."""
        self._pass_on(stream, f"[{name}] ".encode() + data)


class _Lines:
    """Cuts what a command prints into lines."""

    def __init__(self, telling: _Telling, name: str) -> None:
        self._telling = telling
        self._name = name
        self._rest: dict[Stream, bytes] = {}

    def take(self, stream: Stream, data: bytes) -> None:
        """Take what was printed; a last line without its end is shown with the next one."""
        *whole, rest = (self._rest.get(stream, b"") + data).split(b"\n")
        self._rest[stream] = rest
        for one in whole:
            self._telling.line(stream, self._name, one + b"\n")


def _described(step: ReproStep) -> str:
    reasons = list(step.reasons[:_MOST_REASONS])
    if len(step.reasons) > _MOST_REASONS:
        reasons.append(f"and {len(step.reasons) - _MOST_REASONS} more")
    if step.donor is not None and step.action == "reuse":
        reasons.append(f"the run {step.donor[:10]} was of the same")
    return f"{step.name}: {'; '.join(reasons)}" if reasons else step.name


def _render(console: Console, result: ReproResult) -> None:
    if result.dry_run:
        for step in result.steps:
            word, style = _WORDS[step.action]
            console.print(f"{console.style(f'{word:10}', style)} {_described(step)}")
        return
    staging(console, result.to_stage, result.staged)
