"""What the tour does, step by step: the very commands that a person would type.

Each step is shown and then executed as shown; ``dver`` and ``python`` stand for the interpreter
that runs the tour, ``cp`` and the like are done by Python so that the tour runs anywhere.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, DverError
from dver.base.oid import Oid, oid_of

PROJECT = Path(__file__).parent / "project"
_TRAIN = "dver run --name train -d data -o model.json -- python train.py"
_YEARS = ("2007", "2008", "2009")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the tour does: a sentence, and the commands as typed, or a change made for it."""

    why: str
    commands: tuple[str, ...] = ()
    change: Callable[[Path], None] | None = None
    clone: bool = False


class TourError(DverError):
    """A command of the tour failed, which should never happen."""

    code = "demo"
    exit_code = 70


def split_by_year(directory: Path, *, years: tuple[str, ...]) -> None:
    """Write ``data/penguins-<year>.csv`` for the years asked, from the table in the package."""
    lines = (PROJECT / "penguins.csv").read_text(encoding="utf-8").splitlines()
    (directory / "data").mkdir(exist_ok=True)
    for year in years:
        rows = [line for line in lines[1:] if line.endswith(year)]
        text = "\n".join([lines[0], *rows]) + "\n"
        (directory / "data" / f"penguins-{year}.csv").write_bytes(text.encode())


def _first_data(directory: Path) -> None:
    split_by_year(directory, years=_YEARS[:2])
    shutil.copy(PROJECT / "train.py", directory / "train.py")


def _new_data(directory: Path) -> None:
    """Add the third year, and drop rows without measurements from the first two."""
    split_by_year(directory, years=_YEARS[2:])
    for year in _YEARS[:2]:
        path = directory / "data" / f"penguins-{year}.csv"
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(line for line in lines if b",NA,NA,NA,NA," not in line))


def steps(remote: str) -> Iterator[Step]:
    """Yield the tour's steps for a remote's URL."""
    yield Step("A git repository, with dver set up in it.", ("git init -q", "dver init"))
    yield Step(
        "A place to share data: a directory here, or an s3:// URL.",
        (f"dver remote add origin {shlex.quote(remote)}",),
    )
    yield Step(
        "Two years of measurements arrive, with a script that trains a model on them.",
        change=_first_data,
    )
    yield Step(
        "Put the data under version control. Git sees a small pointer, never the data.",
        ("dver add data", "cat data.dver"),
    )
    yield Step(
        "Train a model. dver versions it the same way, and records what made it.",
        (_TRAIN,),
    )
    yield Step(
        "Code, data and model are one commit.",
        ("git add .", 'git commit -q -m "Train on 2007 and 2008"', "git tag v1", "dver push"),
    )
    yield Step("A third year arrives, and rows without measurements are dropped.", change=_new_data)
    yield Step("dver sees what changed, file by file.", ("dver status",))
    yield Step(
        "Record it, train again, commit and share.",
        (
            "dver add data",
            _TRAIN,
            "git add .",
            'git commit -q -m "Add 2009, drop rows without measurements"',
            "dver push",
        ),
    )
    yield Step("What is different between the two versions?", ("dver diff v1 HEAD",))
    yield Step("Every version this data ever had:", ("dver log data",))
    yield Step(
        "Go back to the data and the model of v1, byte for byte.",
        ("dver checkout v1", "dver ls data"),
    )
    yield Step(
        "The old data and the old code make the old model again: all that differs from HEAD are the"
        " two pointers.",
        ("python train.py", "dver status"),
    )
    yield Step("Forward again.", ("dver checkout HEAD",))
    yield Step(
        "A colleague clones the repository and gets the data from the remote.",
        ("git clone -q . ../colleague", "cd ../colleague", "dver pull"),
        clone=True,
    )
    yield Step("Check every stored byte against its hash.", ("dver fsck --full",))
    yield Step("What made the model of v1?", ("dver lineage model.json@v1",))
    yield Step(
        "The colleague makes it again, with the recorded code and data, apart from the work tree.",
        ("dver reproduce --no-record model.json@v1",),
    )


class Tour:
    """One run of the tour in ``directory``, told through ``say(kind, text)``.

    ``kind`` is "why", "command" or "output".
    """

    def __init__(
        self,
        directory: Path,
        remote: str,
        *,
        environ: Mapping[str, str],
        say: Callable[[str, str], None],
    ) -> None:
        self.directory = directory
        self.remote = remote
        self._environ = _environment(environ)
        self._say = say
        self._where = directory
        self.commands = 0
        self._versions: dict[str, dict[str, Oid]] = {}

    def run(self) -> int:
        """Run all steps and compare every byte with the original. Returns the files compared."""
        for step in steps(self.remote):
            self._say("why", step.why)
            if step.change is not None:
                step.change(self.directory)
            for command in step.commands:
                self._command(command)
                if command == "git tag v1":
                    self._versions["v1"] = _contents(self._where)
                elif command == "dver checkout v1":
                    self._compare("v1")
            if step.commands[-1:] == ("dver push",) and "v1" in self._versions:
                self._versions["HEAD"] = _contents(self._where)
            if step.clone:
                self._compare("HEAD")
        return sum(map(len, self._versions.values()))

    def _compare(self, version: str) -> None:
        if _contents(self._where) != self._versions[version]:
            raise CorruptError(f"the data of {version} did not come back as it was")

    def _command(self, command: str) -> None:
        self._say("command", command)
        words = shlex.split(command)
        self.commands += 1
        if words[0] == "cd":
            self._where = (self._where / words[1]).resolve()
            return
        if words[0] == "cat":
            self._say("output", (self._where / words[1]).read_text(encoding="utf-8"))
            return
        # The command that is recorded must be there whatever PATH has.
        words[1:] = [sys.executable if word == "python" else word for word in words[1:]]
        stand_in = {
            "dver": [sys.executable, "-P", "-m", "dver"],
            "python": [sys.executable, "-P"],
        }
        done = subprocess.run(
            [*stand_in.get(words[0], [words[0]]), *words[1:]],
            cwd=self._where,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        output = done.stdout.decode(errors="replace")
        if output:
            self._say("output", output)
        if done.returncode:
            raise TourError(f"'{command}' ended with exit code {done.returncode}")


def _contents(directory: Path) -> dict[str, Oid]:
    paths = [directory / "model.json", *sorted((directory / "data").iterdir())]
    return {path.name: oid_of(path.read_bytes()) for path in paths}


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the user's environment, with an identity for commits where git has none."""
    own = {key: value for key, value in environ.items() if not key.startswith("GIT_")}
    for role in ("AUTHOR", "COMMITTER"):
        own[f"GIT_{role}_NAME"] = environ.get(f"GIT_{role}_NAME", "dver demo")
        own[f"GIT_{role}_EMAIL"] = environ.get(f"GIT_{role}_EMAIL", "demo@example.org")
    own["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).parents[3]), *filter(None, [environ.get("PYTHONPATH")])]
    )
    return own
