"""``dver sign``."""

from __future__ import annotations

import click

from dver.base.errors import UsageError
from dver.base.quoting import show
from dver.base.redact import printable
from dver.cli import completion, options
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.render import staging
from dver.ops.making.sign import SignOptions, SignResult, sign
from dver.ops.making.signmodel import SignModelOptions, SignModelResult, sign_model
from dver.ui.console import Console
from dver.ui.humanize import count


@declare(
    "sign",
    result=SignResult,
    exits=(4, 5, 7, 10),
    examples=[
        (
            "sign what made a model, with an ssh key",
            "dver sign --ssh-key ~/.ssh/id_ed25519 model.pkl",
        ),
        ("with the ssh key that git signs commits with", "dver sign model.pkl@v1.0"),
        ("with an ed25519 or ECDSA key in PEM", "dver sign --key release.pem model.pkl"),
        (
            "the model itself, for verifiers of OpenSSF model signatures",
            "dver sign --key release.pem --model-signature model.sig model.pkl@v1.0",
        ),
    ],
)
@click.argument("target", metavar="PATH[@REV]|RECORD", shell_complete=completion.records)
@click.option("--ssh-key", metavar="FILE", help="An ssh key; a public one for a key in an agent.")
@click.option("--key", metavar="FILE", help="An ed25519 or ECDSA private key in PEM.")
@click.option(
    "--model-signature",
    metavar="FILE",
    help="Sign the content itself instead, and write an OpenSSF model signature into FILE.",
)
@options.stage
def command(
    app: App,
    target: str,
    ssh_key: str | None,
    key: str | None,
    model_signature: str | None,
    stage: bool | None,
) -> int:
    """Sign the record of what made something.

    The signature says: I stand for this record, and what it says was made of what. It is written
    beside the record, as <id>.dsse.json, a DSSE envelope over an in-toto statement, to be
    committed like it. Several people may sign.

    'dver verify' believes the keys in .dver/allowed_signers of the default branch.

    With --model-signature the hash of each file of the model is signed, with an ECDSA key: programs
    that know nothing of dver verify that ('model_signing verify key').
    """
    if model_signature is not None:
        if key is None or ssh_key is not None:
            raise UsageError("a model signature needs an ECDSA key in PEM: --key FILE")
        made = sign_model(app.repo, SignModelOptions(target, key, model_signature))
        return app.finish(made, _render_model)
    result = sign(app.repo, SignOptions(target, key, ssh_key, stage))
    return app.finish(result, _render)


def _render_model(console: Console, result: SignModelResult) -> None:
    number = count(result.files, "file")
    console.done(f"signed     {show(result.target)} in {show(result.file)} ({number})")


def _render(console: Console, result: SignResult) -> None:
    number = count(result.signatures, "signature")
    console.done(f"signed     {result.record[:10]} with {result.key} ({number})")
    if not result.trusted:
        console.warn("the default branch does not trust this key; to be trusted it needs, in")
        console.warn(f".dver/allowed_signers: {printable(result.line)}")
    staging(console, result.to_stage, result.staged)
