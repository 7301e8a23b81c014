"""``dver completion``."""

from __future__ import annotations

from typing import Any

import click

from dver.base.dataclass import dataclass
from dver.cli.command import declare
from dver.cli.context import App
from dver.ui.console import Console


@dataclass(frozen=True, slots=True)
class CompletionResult:
    """The shell, and the script that it is to read."""

    shell: str
    script: str


@declare(
    "completion",
    result=CompletionResult,
    access="none",
    examples=[
        ("bash, in ~/.bashrc", 'eval "$(dver completion bash)"'),
        ("zsh, in ~/.zshrc", 'eval "$(dver completion zsh)"'),
        ("fish", "dver completion fish > ~/.config/fish/completions/dver.fish"),
    ],
)
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def command(app: App, shell: str) -> int:
    """Print the completion script of a shell.

    SHELL is bash (4.4 or newer), zsh or fish. With it, the tab key completes commands, options,
    revisions, remotes, settings and tracked paths.
    """
    return app.finish(CompletionResult(shell, _script(shell)), _render)


def _script(shell: str) -> str:
    from click.shell_completion import get_completion_class

    from dver.cli.completion import VARIABLE
    from dver.cli.root import root

    found: Any = get_completion_class(shell)
    template: str = found.source_template
    script: str = template % found(root, {}, "dver", VARIABLE).source_vars()
    return script


def _render(console: Console, result: CompletionResult) -> None:
    console.write(result.script)
