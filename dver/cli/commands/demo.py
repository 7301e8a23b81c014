"""``dver demo``: the main job on real data, narrated with the commands a person would type."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import click

from dver.base.dataclass import dataclass
from dver.base.errors import RefusedError
from dver.cli.command import declare
from dver.cli.context import App
from dver.ui.console import Console


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the tour did: commands run, files compared byte for byte, where it is if kept."""

    commands: int
    files_compared: int
    remote: str
    directory: str | None


@declare(
    "demo",
    result=DemoResult,
    access="none",
    examples=[
        ("the tour, in a temporary directory that is removed afterwards", "dver demo"),
        ("keep the repository to play with", "dver demo --keep penguins"),
        ("use a bucket as the remote", "dver demo --remote s3://my-bucket/dver-demo"),
    ],
    exits=[5, 6, 7, 8, 10, 70],
)
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Make the repository in DIR, which must be empty or new, and leave it there.",
)
@click.option("--remote", metavar="URL", help="Push to this remote instead of a local directory.")
def command(app: App, keep: Path | None, remote: str | None) -> int:
    """Show the main job on real data, step by step, in a throw-away repository.

    Makes a git repository of measurements of 344 penguins, trains a model on them with a plain
    script, and runs every command for real. Nothing outside its own directory is touched.
    """
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise RefusedError(f"{keep} is not an empty directory", hint="name a new one")
    base = keep.absolute() if keep is not None else Path(tempfile.mkdtemp(prefix="dver-demo-"))
    try:
        result = _tour(app, base, remote, kept=keep is not None)
    finally:
        if keep is None:
            shutil.rmtree(base, ignore_errors=True)
    return app.finish(result, _render)


def _tour(app: App, base: Path, remote: str | None, *, kept: bool) -> DemoResult:
    from dver.cli.demo.tour import Tour

    directory = base / "penguins"
    directory.mkdir(parents=True)
    url = remote or str(base / "remote")
    quiet = app.console.json or app.console.quiet

    def say(kind: str, text: str) -> None:
        if quiet:
            return
        if kind == "why":
            app.console.print(app.console.style(f"\n# {text}", "dim"))
        elif kind == "command":
            app.console.print(app.console.style(f"$ {text}", "bold"))
        else:
            app.console.print(text.rstrip("\n"))

    tour = Tour(directory, url, environ=app.environ, say=say)
    compared = tour.run()
    return DemoResult(tour.commands, compared, url, str(directory) if kept else None)


def _render(console: Console, result: DemoResult) -> None:
    console.print("")
    console.print(
        f"{result.commands} commands ran; {result.files_compared} files of two versions came back"
        " byte for byte."
    )
    if result.directory:
        console.print(f"The repository is in {result.directory}.")
    else:
        console.print("Nothing was left behind; 'dver demo --keep DIR' leaves the repository.")
