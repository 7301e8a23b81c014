"""Makes docs/first-five-minutes.md: types a session into a real terminal and takes down its screen.

Run it with tmux on the PATH: ``python docs/capture.py``. The tests type the same commands in, and
hold what is printed against the page.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAGE = Path(__file__).parent / "first-five-minutes.md"
WIDTH, HEIGHT = 100, 50

#: Words, and the commands that follow them. The sessions of all blocks are one.
STORY: list[tuple[str, list[str]]] = [
    (
        """# The first five minutes

A terminal, taken down as it was by `capture.py`: from nothing to a model of which a colleague can
tell what it was made of, and make it again. `pip install dver` went before; the
[tutorial](tutorial.md) explains each step.

A project, and some data:""",
        [
            "git init -q fraud && cd fraud && dver init",
            "mkdir data && seq 1 2000 | sed 's/7$/7,fraud/; /fraud/!s/$/,fine/' > data/train.csv",
            "dver add data",
            "git add . && git commit -q -m 'First data'",
        ],
    ),
    (
        """git has a small pointer file; the data is in dver's store. Now a place to share it:
a directory here, [S3](how-to/s3.md) as well.""",
        ["dver remote add origin ../shared", "dver push", "git commit -q -a -m 'Share the data'"],
    ),
    (
        "Training, with a record of what went in and what came out:",
        [
            """echo 'rows = open("data/train.csv").read().split()' > train.py""",
            """echo 'share = sum("fraud" in row for row in rows) / len(rows)' >> train.py""",
            """echo 'open("model.txt", "w").write(f"{share}\\n")' >> train.py""",
            "git add train.py && git commit -q -m 'Training'",
            "dver run --name train -d data -o model.txt -- python train.py",
            "git add . && git commit -q -m 'A model' && dver push -q",
        ],
    ),
    (
        "The data changes, and so does the model:",
        [
            "seq 2001 2100 | sed 's/$/,fraud/' >> data/train.csv",
            "dver status",
            "dver add -q data && git commit -q -a -m 'More data'",
            "dver run -q --name train -d data -o model.txt -- python train.py",
            "git add . && git commit -q -m 'A better model' && dver push -q",
            "dver diff HEAD~2 HEAD",
        ],
    ),
    (
        "A colleague clones, and gets the data of this moment:",
        [
            "cd .. && git clone -q fraud colleague && cd colleague",
            "dver pull",
            "dver lineage model.txt",
        ],
    ),
    (
        "Any version can be looked at, and the old model made again from its record:",
        [
            "dver log model.txt --oneline",
            "dver cat model.txt --rev HEAD~2",
            "dver reproduce model.txt@HEAD~2",
        ],
    ),
]
_END = "From here: the [tutorial](tutorial.md), or `dver help`.\n"


def tmux(*args: str) -> str:
    """Run a command of a server of our own."""
    done = subprocess.run(
        ["tmux", "-L", f"dver-{os.getpid()}", *args], capture_output=True, check=True
    )
    return done.stdout.decode()


def prompt() -> None:
    """Wait until the shell is ready for another command, and says so."""
    tmux("wait-for", "ready")
    while tmux("capture-pane", "-p").rstrip().rpartition("\n")[2] != "$":
        time.sleep(0.02)


def take(commands: list[str]) -> list[str]:
    """Type commands, one after the other, and return what the screen shows in the end."""
    tmux("send-keys", "clear", "Enter")
    prompt()
    tmux("clear-history")
    for command in commands:
        tmux("send-keys", "-l", command)
        tmux("send-keys", "Enter")
        prompt()
    screen = tmux("capture-pane", "-p", "-J", "-S", "-")
    lines = [line.rstrip() for line in screen.rstrip("\n").split("\n")]
    while lines and lines[-1] in ("$", ""):
        lines.pop()
    return lines


def page(directory: Path) -> str:
    """Return the page, its session played in a fresh directory."""
    shell = (
        f"cd {directory} && exec env -i HOME={directory} PATH={os.environ['PATH']}"
        " TERM=tmux-256color"
        " GIT_AUTHOR_NAME=Ada GIT_AUTHOR_EMAIL=ada@example.org GIT_COMMITTER_NAME=Ada"
        " GIT_COMMITTER_EMAIL=ada@example.org GIT_CONFIG_COUNT=1 NO_COLOR=1"
        " GIT_CONFIG_KEY_0=init.defaultBranch GIT_CONFIG_VALUE_0=main GIT_PAGER=cat"
        f" PS1='$ ' PROMPT_COMMAND='tmux -L dver-{os.getpid()} wait-for -S ready'"
        f" TMUX_TMPDIR={os.environ.get('TMUX_TMPDIR', '/tmp')} bash --norc --noprofile"  # noqa: S108
    )
    tmux("-f", os.devnull, "new-session", "-d", "-x", str(WIDTH), "-y", str(HEIGHT), shell)
    try:
        prompt()
        parts = []
        for words, commands in STORY:
            shown = "\n".join(take(commands)).replace(str(directory), "...")
            # Their names differ each time, and are long.
            shown = re.sub(r"\.dver/records/\S+", ".dver/records/...", shown)
            parts += [words, "", "```console", shown, "```", ""]
        return "\n".join([*parts, _END])
    finally:
        tmux("kill-server")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        text = page(Path(made))
    PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
