"""Running dver as a black box: in this process, or the installed program when DVER_EXE is set."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dver.base import fsio
from dver.cli.main import main

#: The path of an installed ``dver`` to test instead of the code in this process.
EXECUTABLE = os.environ.get("DVER_EXE")


@dataclass(frozen=True)
class Done:
    """What one run printed, and its exit code."""

    exit_code: int
    stdout_bytes: bytes
    stderr_bytes: bytes

    @property
    def stdout(self) -> str:
        """Standard output as text."""
        return os.fsdecode(self.stdout_bytes)

    @property
    def stderr(self) -> str:
        """Standard error as text."""
        return os.fsdecode(self.stderr_bytes)

    @property
    def json(self) -> Any:
        """The JSON on standard output: one document, whole."""
        return json.loads(self.stdout_bytes)

    @property
    def result(self) -> Any:
        """The ``result`` of a JSON envelope."""
        assert self.json["ok"], self.stdout
        return self.json["result"]


class Dver:
    """Runs ``dver ARGS`` in a directory; the environment is the hermetic one of the fixtures.

    A call checks the exit code (``code``) and returns what was printed. ``tty`` pretends that
    standard output and standard error are terminals. With that, or with ``in_process``, the code in
    this process runs even when DVER_EXE is set.
    """

    def __init__(self, cwd: Path | str, *, in_process: bool = False) -> None:
        self.cwd = Path(cwd)
        self.in_process = in_process

    def __call__(
        self,
        *args: str | bytes | Path,
        code: int = 0,
        stdin: bytes = b"",
        cwd: Path | str | None = None,
        env: Mapping[str, str] | None = None,
        tty: bool = False,
    ) -> Done:
        words = [os.fsdecode(arg) for arg in args]
        where = self.cwd if cwd is None else Path(cwd)
        if EXECUTABLE and not tty and not self.in_process:
            done = _run_installed(words, where, env, stdin)
        else:
            done = _run_here(words, where, env, stdin, tty=tty)
        assert done.exit_code == code, (
            f"dver {' '.join(words)}: exit code {done.exit_code}, not {code}\n"
            f"--- stdout\n{done.stdout}--- stderr\n{done.stderr}"
        )
        return done

    def attempt(self, *args: str, cwd: Path | str | None = None) -> Done:
        """Run a command in this process, whatever its exit code will be."""
        return _run_here(list(args), self.cwd if cwd is None else Path(cwd), None, b"", tty=False)


class _Stream(io.TextIOWrapper):
    """A text stream over bytes in memory that may claim to be a terminal."""

    def __init__(self, data: bytes = b"", *, tty: bool = False) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8", errors="surrogateescape", newline="")
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty

    def taken(self) -> bytes:
        self.flush()
        inner = self.buffer
        assert isinstance(inner, io.BytesIO)
        return inner.getvalue()


def _run_installed(
    words: list[str], cwd: Path, env: Mapping[str, str] | None, stdin: bytes
) -> Done:
    done = subprocess.run(
        [EXECUTABLE or "dver", *words],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=stdin,
        capture_output=True,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def _run_here(
    words: list[str], cwd: Path, env: Mapping[str, str] | None, stdin: bytes, *, tty: bool
) -> Done:
    saved = sys.stdin, sys.stdout, sys.stderr, Path.cwd(), dict(os.environ)
    out, err = _Stream(tty=tty), _Stream(tty=tty)
    try:
        os.chdir(cwd)
        os.environ.update(env or {})
        sys.stdin, sys.stdout, sys.stderr = _Stream(stdin), out, err
        code = main(words)
        return Done(code, out.taken(), err.taken())
    finally:
        sys.stdin, sys.stdout, sys.stderr = saved[:3]
        os.chdir(saved[3])
        os.environ.clear()
        os.environ.update(saved[4])
        fsio.install_hook(None)
