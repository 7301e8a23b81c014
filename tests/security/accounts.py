"""Running dver as other accounts of this machine, which only root can do.

``python -m tests.security.accounts`` is the program that such a test starts: it loads all of dver
while it still may, and then runs commands as whatever account it is told to be. Where the tests do
not run as root all accounts are the same one, and what is asked of modes still holds.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support.cli import Done

#: Whether accounts can be told apart here.
REAL = hasattr(os, "geteuid") and os.geteuid() == 0
GROUP = 20_000
_HEAVY = ("s3fs", "botocore", "fsspec", "dver.cli.demo")


class Machine:
    """A process that can be any account. Use it in a ``with`` block."""

    def __enter__(self) -> Self:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.security.accounts"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            text=True,
        )
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.communicate()

    def ask(self, **request: Any) -> Any:
        """Have a request carried out and return the answer."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@dataclass(frozen=True)
class Account:
    """One account in the group of all, with its own home; ``umask`` is in force for all it does."""

    machine: Machine
    number: int
    home: Path
    umask: int

    @property
    def uid(self) -> int:
        """Who that is on this machine."""
        return self.number if REAL else os.geteuid()

    def move_in(self) -> None:
        """Make the home directory."""
        self.home.mkdir(parents=True)
        if REAL:
            os.chown(self.home, self.uid, GROUP)

    def _ask(self, **request: Any) -> Any:
        return self.machine.ask(
            number=self.number, umask=self.umask, home=str(self.home), **request
        )

    def dver(self, cwd: Path, *words: str, code: int = 0) -> Done:
        """Run dver in a directory and check its exit code."""
        out = self._ask(cwd=str(cwd), words=list(words))
        done = Done(out["code"], out["stdout"].encode(), out["stderr"].encode())
        assert done.exit_code == code, f"dver {words}: {done}"
        return done

    def run(self, cwd: Path, code: str) -> Any:
        """Run Python statements in a directory and return what they give to ``result``."""
        out = self._ask(cwd=str(cwd), python=code)
        assert "error" not in out, out["error"]
        return out["result"]


def load_all(package: Path) -> None:
    """Import all of dver, and whatever it imports anywhere: nobody else may read the files."""
    for path in package.rglob("*.py"):
        if "project" in path.parts or path.stem in ("__main__", "sitecustomize"):
            continue
        own = ".".join(["dver", *path.relative_to(package).with_suffix("").parts])
        if not own.startswith(_HEAVY):
            importlib.import_module(own.removesuffix(".__init__"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module != "__future__":
                names = [str(node.module), *(f"{node.module}.{one.name}" for one in node.names)]
            for name in (name for name in names if not name.startswith(_HEAVY)):
                with contextlib.suppress(ImportError):
                    importlib.import_module(name)


def main() -> None:
    """Carry out requests, one line of JSON each, and answer each with one."""
    import dver

    load_all(Path(dver.__file__).parent)
    for line in sys.stdin:
        request = json.loads(line)
        os.environ["HOME"] = request["home"]
        os.environ["XDG_CONFIG_HOME"] = request["home"] + "/.config"
        with acting_as(request["number"], request["umask"]):
            answer = carry_out(request)
        sys.__stdout__.write(json.dumps(answer) + "\n")
        sys.__stdout__.flush()


@contextlib.contextmanager
def acting_as(number: int, umask: int) -> Iterator[None]:
    """Be another account in the block, for all that asks who may do what with files."""
    before = os.umask(umask)
    if REAL:
        os.setgroups([GROUP])
        os.setegid(GROUP)
        os.seteuid(number)
    try:
        yield
    finally:
        if REAL:
            os.seteuid(0)
            os.setegid(0)
        os.umask(before)
        os.chdir("/")


def carry_out(request: dict[str, Any]) -> dict[str, Any]:
    """Run a command of dver, or Python statements."""
    from tests.support.cli import Dver

    os.chdir(request["cwd"])
    if "python" in request:
        scope: dict[str, Any] = {"os": os, "Path": Path, "subprocess": subprocess}
        try:
            exec(request["python"], scope)
        except Exception as error:
            return {"error": repr(error)}
        return {"result": scope.get("result")}
    done = Dver(request["cwd"], in_process=True).attempt(*request["words"])
    return {"code": done.exit_code, "stdout": done.stdout, "stderr": done.stderr}


if __name__ == "__main__":
    main()
