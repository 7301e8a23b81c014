"""One stage of DVC as one step of ``dver.yaml``: the text that stands there."""

from __future__ import annotations

import json
import os
import posixpath
import re
import shlex
from collections.abc import Collection, Iterator
from dataclasses import field
from typing import Any

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.foreign.dvctemplate import Stage

_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./=@%+-]*(?: [A-Za-z0-9_./=@%+-]+)*")
#: What only a shell understands.
_SHELL = re.compile(r"[|&;<>()$`\\*?\[\]{}~!#\n]|^\s*\w+=")
_NAME = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(slots=True)
class StepText:
    """A step as text. ``stage`` is its name in DVC, ``file`` the ``dvc.yaml`` that it is from.

    ``outs`` and ``deps`` are paths of the repository, as ``dvc.lock`` should name them.
    """

    name: str
    stage: str
    file: bytes
    text: str = ""
    commands: tuple[str, ...] = ()
    deps: list[bytes] = field(default_factory=list)
    outs: list[bytes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def step_of(file: bytes, stage: Stage, taken: Collection[str]) -> StepText:
    """Return a stage as a step. Raises FormatError for one that dver cannot run."""
    made = _Converter(file, stage, _step_name(file, stage.name, taken))
    return made.convert()


def _step_name(file: bytes, stage: str, taken: Collection[str]) -> str:
    """Return a name that a step may have, and no other step has."""
    plain = _NAME.sub("-", stage.replace("@", "-")).strip("-.") or "step"
    if plain in taken:
        above = _NAME.sub("-", os.fsdecode(file.rpartition(b"/")[0])).strip("-.")
        plain = f"{above}-{plain}" if above else plain
    name, n = plain, 1
    while name in taken:
        n += 1
        name = f"{plain}-{n}"
    return name


class _Converter:
    """One stage under way."""

    def __init__(self, file: bytes, stage: Stage, name: str) -> None:
        self._fields = stage.fields
        self._made = StepText(name, stage.name, file)
        base = file.rpartition(b"/")[0]
        wdir = str(stage.fields.get("wdir") or "")
        self._base = posixpath.normpath(posixpath.join(base, os.fsencode(wdir)))
        if self._base.startswith((b"../", b"/")) or self._base == b"..":
            raise FormatError("its 'wdir' lies outside the repository")
        self._uncontrolled: list[str] = []

    def convert(self) -> StepText:
        """Return the step."""
        made = self._made
        lines = [f"  {made.name}:"]
        lines += self._command()
        if self._base not in (b"", b"."):
            lines.append(f"    cwd: {quoted(os.fsdecode(self._base))}")
        params, code = self._params()
        outs, metrics = self._outs()
        deps = [*self._deps(), *code]
        lines += _block("deps", deps)
        lines += params
        lines += _block("outs", outs)
        lines += _block("metrics", metrics)
        if self._fields.get("frozen") is True:
            lines.append("    frozen: true")
        if self._fields.get("desc"):
            lines.append(f"    about: {quoted(str(self._fields['desc']))}")
        if self._uncontrolled:
            lines += _block("uncontrolled", [(one, "") for one in self._uncontrolled])
        if self._fields.get("always_changed") is True:
            made.notes.append("'always_changed' has no equal: 'dver repro --force' runs it again")
        if self._fields.get("meta"):
            made.notes.append("'meta' has no equal")
        made.text = "\n".join(lines) + "\n"
        return made

    def _command(self) -> Iterator[str]:
        cmd = self._fields.get("cmd")
        commands = [str(one).strip() for one in (cmd if isinstance(cmd, list) else [cmd]) if one]
        if not commands:
            raise FormatError("it has no 'cmd'")
        self._made.commands = tuple(
            str(one) for one in (cmd if isinstance(cmd, list) else [cmd]) if one is not None
        )
        if len(commands) == 1 and not _SHELL.search(commands[0]) and _splits(commands[0]):
            yield f"    command: {quoted(commands[0])}"
            return
        parts = commands
        if len(commands) > 1:
            parts = [f"{{ {one}; }}" if re.search(r"[|&;\n#]", one) else one for one in commands]
            parts = [one.replace("; }", "\n}") if "#" in one else one for one in parts]
        yield "    shell: true"
        yield f"    command: {quoted(' && '.join(parts))}"

    def _deps(self) -> list[tuple[str, str]]:
        found = []
        for written, _ in _items(self._fields.get("deps"), "deps"):
            path = self._inside(written)
            if path is None:
                self._uncontrolled.append(f"reads {written.partition('?')[0]}")
                continue
            self._made.deps.append(os.fsencode(path))
            found.append((path, ""))
        return found

    def _outs(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        outs: dict[str, str] = {}
        metrics: dict[str, str] = {}
        for key, role in (("outs", ""), ("plots", "plot"), ("metrics", "metrics")):
            for written, flags in _items(self._fields.get(key), key):
                path = self._inside(written)
                if path is None:
                    raise FormatError(
                        f"its output {written.partition('?')[0]} lies outside the repository,"
                        " where dver versions nothing"
                    )
                self._made.outs.append(os.fsencode(path))
                if key == "metrics":
                    metrics[path] = ""
                    if flags.get("cache") is False:
                        continue
                outs.setdefault(path, role)
                if flags.get("persist") is True:
                    self._made.notes.append(f"{path}: 'persist' has no equal")
                if flags.get("remote"):
                    self._made.notes.append(f"{path}: a remote of its own has no equal")
        return list(outs.items()), list(metrics.items())

    def _params(self) -> tuple[list[str], list[tuple[str, str]]]:
        files: dict[str, list[str]] = {}
        code: list[tuple[str, str]] = []
        for one in self._fields.get("params") or ():
            pairs = one.items() if isinstance(one, dict) else [("params.yaml", [one])]
            for written, keys in pairs:
                path = self._inside(str(written))
                if path is None:
                    raise FormatError(f"its parameters {written} lie outside the repository")
                chosen = files.setdefault(path, [])
                chosen += [str(key) for key in keys or ()]
        for path in [path for path in files if path.endswith(".py")]:
            del files[path]
            code.append((path, ""))
            self._made.notes.append(f"parameters in {path} count as code, all of it")
        lines = ["    params:"] if files else []
        for path, chosen in files.items():
            keys_text = ", ".join(quoted(key) for key in dict.fromkeys(chosen))
            lines.append(f"      {quoted(path)}:" + (f" [{keys_text}]" if keys_text else ""))
        return lines, code

    def _inside(self, written: str) -> str | None:
        """Return a path of the stage as one of the repository, None if it lies outside."""
        if "://" in written:
            return None
        path = posixpath.normpath(posixpath.join(self._base, os.fsencode(written)))
        if path.startswith((b"/", b"../")) or path in (b".", b".."):
            return None
        return os.fsdecode(path)


def _splits(command: str) -> bool:
    try:
        return bool(shlex.split(command))
    except ValueError:
        return False


def _items(value: Any, what: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if value is None:
        return
    if not isinstance(value, list):
        raise FormatError(f"its '{what}' is no list")
    for one in value:
        if isinstance(one, dict):
            for path, flags in one.items():
                yield str(path), flags if isinstance(flags, dict) else {}
        else:
            yield str(one), {}


def _block(key: str, items: list[tuple[str, str]]) -> Iterator[str]:
    if not items:
        return
    yield f"    {key}:"
    for path, role in dict.fromkeys(items):
        yield f"      - {quoted(path)}" + (f": {quoted(role)}" if role else "")


def quoted(text: str) -> str:
    """Return a text as YAML that reads back as just that."""
    if _PLAIN.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
