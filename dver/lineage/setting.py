"""What a command that is made again runs in: this machine as it is, or something built for it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from dver.base.dataclass import dataclass
from dver.base.errors import DverError
from dver.lineage.environment import interpreter

Kind = Literal["current", "venv", "uv", "container"]
KINDS: tuple[Kind, ...] = ("current", "venv", "uv", "container")
#: Variables that would let what is installed elsewhere into a virtual environment.
_LEAKS = ("PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE", "CONDA_PREFIX", "__PYVENV_LAUNCHER__")


class SettingUnavailableError(DverError):
    """A recorded environment cannot be had here; the message says what is missing, and where."""


@dataclass(frozen=True, slots=True)
class Call:
    """A command to be run: in the directory ``cwd``, which lies below ``top``.

    ``env`` is the whole environment it would have here, ``names`` those variables of it that were
    recorded.
    """

    argv: Sequence[str]
    cwd: str
    top: str
    names: Sequence[str]
    env: Mapping[str, str]


class Setting(Protocol):
    """Where a command runs. ``notes`` are what a person should know of it."""

    @property
    def kind(self) -> Kind:
        """Which of the kinds it is."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not quite as recorded, and was known before anything ran."""

    def variables(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the command, given the one it would have here."""

    def command(self, call: Call) -> list[str]:
        """Return what to start for a command."""

    def python(self, argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
        """Return how to start the interpreter that the command uses."""


@dataclass(frozen=True, slots=True)
class Current:
    """This machine as it is; ``root`` is the work tree, whose own programs may be used."""

    root: str = ""
    kind: Kind = "current"
    notes: tuple[str, ...] = ()

    def variables(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the variables as they are."""
        return dict(env)

    def command(self, call: Call) -> list[str]:
        """Return the command itself.

        A program that is no code, such as ``.venv/bin/python``, is the one in the work tree.
        """
        program = call.argv[0]
        if self.root and os.sep in program and not os.path.exists(os.path.join(call.cwd, program)):
            below = os.path.relpath(call.cwd, call.top)
            own = os.path.normpath(os.path.join(self.root, below, program))
            if os.access(own, os.X_OK):
                return [own, *call.argv[1:]]
        return list(call.argv)

    def python(self, argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
        """Return the interpreter that would be found."""
        return [interpreter(argv, env)]


@dataclass(frozen=True, slots=True)
class Virtual:
    """A virtual environment in a directory of its own."""

    directory: str
    kind: Kind = "venv"
    notes: tuple[str, ...] = ()

    @property
    def programs(self) -> str:
        """The directory of its programs."""
        return os.path.join(self.directory, "Scripts" if os.name == "nt" else "bin")

    def variables(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of whoever activated it."""
        kept = {name: value for name, value in env.items() if name not in _LEAKS}
        path = os.pathsep.join(filter(None, [self.programs, env.get("PATH", "")]))
        return {**kept, "PATH": path, "VIRTUAL_ENV": self.directory, "PYTHONNOUSERSITE": "1"}

    def command(self, call: Call) -> list[str]:
        """Return the command with the programs of this environment.

        An interpreter or script that was named by its path is the one of the same name here.
        """
        argv = call.argv
        name = os.path.basename(argv[0])
        own = os.path.join(self.programs, name)
        is_code = not os.path.isabs(argv[0]) and os.path.exists(os.path.join(call.cwd, argv[0]))
        if os.sep in argv[0] and not is_code:
            if name.startswith(("python", "pypy")):
                return [os.path.join(self.programs, "python"), *argv[1:]]
            if os.access(own, os.X_OK):
                return [own, *argv[1:]]
        return list(argv)

    def python(self, argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
        """Return the interpreter of this environment."""
        del argv, env
        return [os.path.join(self.programs, "python")]
