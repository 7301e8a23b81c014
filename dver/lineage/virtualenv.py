"""Virtual environments with the packages that a record lists, built once and kept.

They lie in the user's cache directory, outside of every repository, each named by the hash of all
that went into it. pip or uv brings the packages, from whatever index they are configured for; what
they cannot get is told by name, with the index.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from dver.base import fsio
from dver.base.clearing import clear_away
from dver.base.dataclass import dataclass
from dver.base.locking import Lock
from dver.base.oid import oid_of
from dver.base.redact import printable, redact
from dver.base.reporter import Reporter
from dver.lineage.setting import SettingUnavailableError, Virtual

Tool = Literal["venv", "uv"]
#: Whoever builds the same environment is waited for as long (seconds).
_PATIENCE = 3600.0
_MARK = "complete"
_DEFAULT_INDEX = "https://pypi.org/simple"
_LOOKED = re.compile(r"^Looking in (?:indexes|links): (.+)$", re.MULTILINE)
_NAMED = (
    re.compile(r"No matching distribution found for (\S+)"),
    re.compile(r"satisfies the requirement (\S+)"),
    re.compile(r"no version of (\S+)"),
    re.compile(r"Because (\S+) was not found"),
)
_SERIES = re.compile(r"(\d+\.\d+)(?:\.|$)")
_WHICH = "import json, sys; print(json.dumps([sys.version.split()[0], sys.implementation.name]))"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an environment is to have, as a record tells it.

    ``packages`` is the list of packages, one on each line; ``locks`` are (path, content) of the
    recorded lock files, which count where there is no list; ``python`` what is recorded of it.
    """

    packages: bytes
    locks: Sequence[tuple[str, bytes]]
    python: Mapping[str, str]


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Return where a user's environments are kept: below ``$XDG_CACHE_HOME``, or ``~/.cache``."""
    base = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".cache")
    return Path(base, "dver", "environments")


def build(tool: Tool, wanted: Wanted, environ: Mapping[str, str], reporter: Reporter) -> Virtual:
    """Return a virtual environment with what is wanted, an earlier one if there is one.

    Raises SettingUnavailableError, which names the package and the index, or the interpreter.
    """
    requirements, notes = _requirements(wanted)
    python = _interpreter(tool, wanted.python, environ)
    key = json.dumps([tool, python, requirements]).encode()
    cache = cache_directory(environ)
    directory = cache / oid_of(key).hex()[:32]
    found = Virtual(os.fspath(directory), tool, tuple(notes))
    with Lock(Path(f"{directory}.lock"), exclusive=True, timeout=_PATIENCE):
        if not (directory / _MARK).is_file():
            _discard(directory)
            reporter.note(f"building an environment; to be installed: {len(requirements)}")
            try:
                _make(tool, directory, python, requirements, environ)
            except BaseException:
                _discard(directory)
                raise
            fsio.write_atomic(os.fspath(directory / _MARK), key + b"\n")
    return found


def _requirements(wanted: Wanted) -> tuple[list[str], list[str]]:
    """Return what to install, and notes on what of the record cannot be."""
    notes: list[str] = []
    if not wanted.packages:
        locks = [text for name, text in wanted.locks if name.endswith(".txt")]
        if not locks and "version" in wanted.python:
            return [], notes  # the interpreter was asked, and had none
        if not locks:
            raise SettingUnavailableError(
                "the record tells neither packages nor an interpreter, nor a lock file of pip's",
                hint="'--env current' takes this environment as it is",
            )
        return [line for text in locks for line in text.decode().splitlines()], notes
    found = []
    for line in wanted.packages.decode("utf-8", "replace").splitlines():
        plain, _, more = line.partition(" ")
        name = plain.partition("==")[0]
        if more:
            notes.append(f"{line} was not installed from an index, and is left out")
        elif name != "pip":  # it makes nothing, and brings the others
            found.append(plain)
    return found, notes


def _interpreter(tool: Tool, recorded: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """Return an interpreter of the recorded series; for uv the series, which it finds itself."""
    version = recorded.get("version", "")
    match = _SERIES.match(version)
    if tool == "uv":
        if shutil.which("uv", path=environ.get("PATH")) is None:
            raise SettingUnavailableError(
                "there is no uv on PATH", hint="install it, or use '--env venv'"
            )
        return match[1] if match else "3"
    series = match[1] if match else ""
    names = [f"python{series}", "python3", "python", sys.executable]
    for name in names:
        program = shutil.which(name, path=environ.get("PATH"))
        if program is None:
            continue
        told = _ask([program, "-I", "-c", _WHICH], environ)
        if told and (not series or told[0].startswith((f"{series}.", f"{series}+"))):
            return os.path.realpath(program)
    raise SettingUnavailableError(
        f"there is no Python {series} on PATH (recorded was {version})",
        hint="install it, or use '--env uv', which can fetch it",
    )


def _ask(argv: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    done = _run(argv, environ)
    try:
        answer = json.loads(done.stdout) if done.returncode == 0 else []
    except ValueError:
        answer = []
    return [str(one) for one in answer] if isinstance(answer, list) else []


def _make(
    tool: Tool, directory: Path, python: str, wanted: list[str], environ: Mapping[str, str]
) -> None:
    listed = directory / "requirements.txt"
    program = os.fspath(directory / ("Scripts" if os.name == "nt" else "bin") / "python")
    if tool == "uv":
        _require(_run(["uv", "venv", "-q", "--python", python, os.fspath(directory)], environ))
        install = ["uv", "pip", "install", "--no-deps", "--python", program]
    else:
        pip = _pip([python, sys.executable], environ)
        bare = ["--without-pip"] if pip else []
        _require(_run([python, "-I", "-m", "venv", *bare, os.fspath(directory)], environ))
        install = [*pip, "--python", program] if pip else [program, "-m", "pip"]
        install += ["install", "--no-deps", "--no-input", "--disable-pip-version-check"]
        install += ["--retries", "1", "--no-warn-script-location"]
    if wanted:
        fsio.write_atomic(os.fspath(listed), "\n".join(wanted).encode() + b"\n")
        _require(_run([*install, "-r", os.fspath(listed)], environ))


def _pip(pythons: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Return a pip that can install for other interpreters, [] if there is none."""
    for python in pythons:
        done = _run([python, "-m", "pip", "--version"], environ)
        match = re.match(rb"pip (\d+)\.(\d+)", done.stdout)
        if match and (int(match[1]), int(match[2])) >= (22, 3):
            return [python, "-m", "pip"]
    return []


def _run(argv: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    plain = {name: value for name, value in environ.items() if not name.startswith("PYTHON")}
    try:
        return subprocess.run(
            argv, env=plain, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as error:
        return subprocess.CompletedProcess(argv, 127, b"", str(error).encode())


def _require(done: subprocess.CompletedProcess[bytes]) -> None:
    """Raise SettingUnavailableError if a program failed; it names the package and the index."""
    if done.returncode == 0:
        return
    out, told = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    lines = [line for line in told.splitlines() if line.strip()]
    named = list(dict.fromkeys(_names(told)))
    where = " and ".join(redact(one) for one in _LOOKED.findall(out)) or _DEFAULT_INDEX
    if named:
        text = f"no {' nor '.join(named[:3])} for this Python and machine in {where}"
    else:
        shown = "; ".join(printable(line.strip()) for line in lines[-2:])
        text = f"the environment cannot be built from {where}: {redact(shown)}"
    raise SettingUnavailableError(
        text, hint="set PIP_INDEX_URL or PIP_FIND_LINKS to where the packages are"
    )


def _names(told: str) -> Iterator[str]:
    for pattern in _NAMED:
        for match in pattern.finditer(told):
            yield match[1].strip(",.;:()")


def _discard(directory: Path) -> None:
    if directory.exists():
        with fsio.explained("remove", directory):
            clear_away(directory)
