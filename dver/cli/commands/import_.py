"""``dver import``."""

from __future__ import annotations

import click

from dver.base.errors import UsageError
from dver.base.quoting import show
from dver.cli import options
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.render import content, staging
from dver.ops.sharing.importing import ImportOptions, ImportResult, import_data
from dver.ops.sharing.sourcerepo import Access
from dver.ui.console import Console


@declare(
    "import",
    result=ImportResult,
    exits=(4, 5, 6, 7, 8, 9, 10, 11),
    examples=[
        (
            "a directory of another project, at its newest version",
            "dver import https://example.com/fraud.git data/train",
        ),
        (
            "a model at a tag, to a place of its own",
            "dver import git@example.com:team/models.git model.bin@v2.1 -o models/base.bin",
        ),
        ("a file from the web", "dver import https://example.com/iris.csv -o data/iris.csv"),
        ("all that is below a prefix of a bucket", "dver import s3://bucket/images/ -o images"),
        (
            "note where it is, and leave it there for now",
            "dver import --no-download s3://bucket/large.parquet",
        ),
    ],
)
@click.argument("arguments", metavar="SOURCE [PATH[@REV]]", nargs=-1, required=True)
@click.option("--rev", metavar="REV", help="A branch, tag or commit there, as behind the '@'.")
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    type=click.Path(),
    help="Where to put it (default: its own name, in the current directory).",
)
@click.option("--no-download", is_flag=True, help="Write the pointer only; 'dver pull' brings it.")
@click.option("--endpoint-url", metavar="URL", default="", help="The S3 server to ask, noted too.")
@options.remote("Read the repository's data from this remote of it, instead of its default one.")
@click.option(
    "--remote-url",
    metavar="URL",
    help="Read the repository's data from there, whatever its settings say.",
)
@options.jobs
@options.stage
def command(
    app: App,
    arguments: tuple[str, ...],
    rev: str | None,
    output: str | None,
    no_download: bool,
    endpoint_url: str,
    remote: str | None,
    remote_url: str | None,
    jobs: int | None,
    stage: bool | None,
) -> int:
    """Bring data from elsewhere, and note where it came from.

    SOURCE is another git repository, by its URL or path, and PATH a file or directory in it, which
    dver or git tracks there. Or SOURCE alone is the URL of plain data: https, s3, or any other that
    fsspec opens; one that ends with '/' is a directory.

    The data is tracked here like any other, and pushed with it. Its pointer says where it came from
    and which version it is; 'dver update' moves it to a newer one.
    """
    if len(arguments) > 2:
        raise UsageError(
            "import takes one SOURCE, and for a repository one PATH", hint="dver import --help"
        )
    path = arguments[1] if len(arguments) == 2 else None
    if path is not None and rev is None and "@" in path:
        path, _, rev = path.rpartition("@")
    asked = ImportOptions(
        source=arguments[0],
        path=path,
        rev=rev or None,
        output=output,
        download=not no_download,
        endpoint=endpoint_url.rstrip("/"),
        access=Access(remote, remote_url, tuple(app.overrides), jobs),
        stage=stage,
    )
    result = import_data(app.repo, asked, app.reporter)
    return app.finish(result, _render)


def _render(console: Console, result: ImportResult) -> None:
    word = console.style("imported", "green")
    origin = result.origin
    source = f"{show(origin.path)} of {show(origin.repository)}" if origin.path else origin.url
    at = f" at {show(origin.rev or 'HEAD')} ({origin.commit[:10]})" if origin.commit else ""
    amount = content(result.files, result.size, result.kind)
    rest = "" if result.downloaded else ", not downloaded"
    console.done(f"{word}  {show(result.path)} ({amount}{rest})")
    console.done(f"  from {source}{at}")
    staging(console, result.to_stage, result.staged)
