"""Reading ``dver.yaml``: which steps there are, strictly, with errors that name line and fix.

Page: ``docs/pipelines.md``. Every value is the text that stands in the file: ``0.10`` and ``no``
are what they look like. Aliases, anchors, tags, repeated and unknown keys are refused, so that a
file means one thing to every reader.
"""

from __future__ import annotations

import difflib
import itertools
import os
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, NoReturn

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.base.quoting import show
from dver.config import document

#: The one place of the file: the top of the repository.
NAME = "dver.yaml"
MAX_STEPS = 10_000
_MAX_DEPTH = 6
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_OPERATORS = frozenset("|&;<>()")
_KEYS = (
    "command",
    "shell",
    "cwd",
    "deps",
    "params",
    "outs",
    "metrics",
    "locks",
    "matrix",
    "frozen",
    "uncontrolled",
    "about",
)
#: What others call these keys.
_ALIASES = {
    "stages": "steps",
    "cmd": "command",
    "run": "command",
    "wdir": "cwd",
    "inputs": "deps",
    "outputs": "outs",
    "foreach": "matrix",
    "env_locks": "locks",
    "desc": "about",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it runs: what a matrix expands to are several.

    ``name`` is ``base``, or ``base@key=value,...`` of a matrix. Paths are relative to the
    repository; ``deps`` and ``outs`` go to roles, ``params`` to dotted keys, () for all. ``cwd`` is
    the directory in which the command runs. ``text`` is a shell's command, "" without a shell.
    ``about`` is a description, ``line`` where the step stands in the file.
    """

    name: str
    base: str
    line: int
    argv: tuple[str, ...]
    text: str = ""
    cwd: str = ""
    deps: Mapping[bytes, str] = field(default_factory=dict)
    params: Mapping[bytes, tuple[str, ...]] = field(default_factory=dict)
    outs: Mapping[bytes, str] = field(default_factory=dict)
    metrics: tuple[bytes, ...] = ()
    locks: tuple[bytes, ...] = ()
    frozen: bool = False
    uncontrolled: tuple[str, ...] = ()
    about: str = ""

    @property
    def made(self) -> tuple[bytes, ...]:
        """All that the step makes: outputs and files of metrics, sorted."""
        return tuple(sorted({*self.outs, *self.metrics}))


@dataclass(frozen=True, slots=True)
class _Node:
    """A value with the line that it stands on: text, a list, or keys with their own lines."""

    line: int
    value: str | list[_Node] | dict[str, tuple[int, _Node]]


def read(root: Path) -> tuple[Step, ...] | None:
    """Return the steps of a repository's ``dver.yaml`` in their order; None if there is none.

    Raises FormatError for whatever is wrong in it, ConfigError if it is no regular file.
    """
    path = root / NAME
    if not os.path.lexists(path):
        return None
    data = document.read(path, shared=True)
    return None if data is None else parse(data)


def parse(data: bytes) -> tuple[Step, ...]:
    """Return the steps that the bytes of a ``dver.yaml`` define."""
    if len(data) > document.MAX_SIZE:
        raise FormatError(f"{NAME} is larger than {document.MAX_SIZE >> 20} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _fail(data[: error.start].count(b"\n") + 1, "it is not UTF-8 text")
    top = _load(text)
    if top is None:
        raise FormatError(f"{NAME} is empty", hint="it begins with 'steps:'; see docs/pipelines.md")
    fields = _mapping(top, "the file", ("steps",))
    if "steps" not in fields:
        _fail(top.line, "there is no key 'steps'", "put the steps below 'steps:'")
    steps: list[Step] = []
    for name, (line, node) in _mapping(fields["steps"][1], "'steps'").items():
        steps += _Builder(name, line, node).steps()
        if len(steps) > MAX_STEPS:
            _fail(line, f"there are more than {MAX_STEPS:,} steps")
    return tuple(steps)


def _fail(line: int, problem: str, hint: str | None = None) -> NoReturn:
    raise FormatError(f"{NAME}, line {line}: {problem}", hint=hint)


# YAML


def _load(text: str) -> _Node | None:
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Loader(yaml, yaml.parse(text, Loader=loader)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "it is malformed"
        hint = "a text with ': ' or ' #' in it, or with a special first character, needs quotes"
        line = mark.line + 1 if mark else 1
        if "${" in "".join(text.splitlines()[line - 1 : line]):
            hint = "inside of [ ] and { } a text with ${...} needs quotes"
        _fail(line, f"it is not YAML: {problem}", hint)
    except yaml.YAMLError as error:
        raise FormatError(f"{NAME} is not YAML: {str(error).splitlines()[0]}") from None


class _Loader:
    """Builds nodes from YAML's events, which come before aliases and tags have any effect."""

    def __init__(self, yaml: Any, events: Any) -> None:
        self._yaml = yaml
        self._events = events

    def document(self) -> _Node | None:
        yaml = self._yaml
        found: _Node | None = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    _fail(event.start_mark.line + 1, "it holds a second document")
            elif isinstance(event, yaml.NodeEvent):
                found = self._node(event, 0)
        return None if found is not None and found.value == "" else found

    def _node(self, event: Any, depth: int) -> _Node:
        yaml = self._yaml
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            _fail(line, "anchors and aliases are not read", "write the value out")
        if event.tag and event.tag != "!":
            _fail(line, "tags are not read", f"leave out {event.tag!r}")
        if depth > _MAX_DEPTH:
            _fail(line, "it is nested too deep")
        if isinstance(event, yaml.ScalarEvent):
            return _Node(line, str(event.value))
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                items.append(self._node(event, depth + 1))
            return _Node(line, items)
        fields: dict[str, tuple[int, _Node]] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key.value, str) or not key.value:
                _fail(key.line, "a key is not plain text")
            if key.value in fields:
                first = fields[key.value][0]
                _fail(
                    key.line,
                    f"the key {key.value!r} stands there twice, first in line {first}",
                    "leave one of them",
                )
            fields[key.value] = (key.line, self._node(next(self._events), depth + 1))
        return _Node(line, fields)


# what values may be


def _mapping(
    node: _Node, where: str, keys: Sequence[str] | None = None
) -> dict[str, tuple[int, _Node]]:
    if not isinstance(node.value, dict):
        _fail(node.line, f"{where} does not hold 'key: value' lines")
    for key, (line, _) in node.value.items():
        if keys is not None and key not in keys:
            near = [_ALIASES[key]] if _ALIASES.get(key) in keys else []
            near = near or difflib.get_close_matches(key, keys, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(keys)}"
            _fail(line, f"{where} has an unknown key {key!r}", hint)
    return node.value


def _text(node: _Node, what: str) -> str:
    if not isinstance(node.value, str):
        _fail(node.line, f"{what} is no text")
    if not node.value:
        _fail(node.line, f"{what} is empty")
    if "\0" in node.value:
        _fail(node.line, f"{what} holds a zero byte")
    return node.value


def _texts(node: _Node, what: str) -> list[tuple[int, str]]:
    """Return the texts of a list, or of a single one."""
    if isinstance(node.value, list):
        return [(one.line, _text(one, what)) for one in node.value]
    return [(node.line, _text(node, what))]


def _flag(node: _Node, what: str) -> bool:
    if node.value not in ("true", "false"):
        _fail(node.line, f"{what} is neither true nor false")
    return node.value == "true"


def _pairs(node: _Node, what: str) -> Iterator[tuple[int, str, _Node | None]]:
    """Yield (line, path, what belongs to it) of a list of paths, in which each may have a value."""
    if isinstance(node.value, str):
        yield node.line, _text(node, what), None
    elif isinstance(node.value, dict):
        for key, (line, value) in node.value.items():
            yield line, key, value if value.value != "" else None
    else:
        for one in node.value:
            if isinstance(one.value, list):
                _fail(one.line, f"{what} is a list in a list")
            yield from _pairs(one, what)


# steps


class _Builder:
    """Makes the steps out of one entry below ``steps``."""

    def __init__(self, name: str, line: int, node: _Node) -> None:
        if _NAME.fullmatch(name) is None:
            _fail(
                line,
                f"{name[:80]!r} is no name of a step",
                "letters, digits, '_', '-' and '.' make a name",
            )
        self._base = name
        self._line = line
        self._fields = _mapping(node, f"the step {name!r}", _KEYS)
        self._values: dict[str, str] = {}
        self._shell = "shell" in self._fields and _flag(self._fields["shell"][1], "'shell'")
        if "command" not in self._fields:
            _fail(line, f"the step {name!r} has no 'command'", "say what it runs: 'command: ...'")

    def steps(self) -> Iterator[Step]:
        """Yield one step, or one for each combination of the matrix."""
        axes = self._axes()
        for combination in itertools.islice(itertools.product(*axes.values()), MAX_STEPS + 1):
            self._values = dict(zip(axes, combination, strict=True))
            yield self._step()

    def _axes(self) -> dict[str, list[str]]:
        if "matrix" not in self._fields:
            return {}
        axes: dict[str, list[str]] = {}
        for key, (line, node) in _mapping(self._fields["matrix"][1], "'matrix'").items():
            if _VARIABLE.fullmatch("${" + key + "}") is None:
                _fail(line, f"{key!r} is no name for a matrix", "letters, digits and '_' make one")
            values = [text for _, text in _texts(node, f"a value of {key!r}")]
            if not values:
                _fail(line, f"the matrix has no values for {key!r}")
            for text in values:
                if values.count(text) > 1 or not text.isprintable():
                    problem = "stands there twice" if text.isprintable() else "is not printable"
                    _fail(line, f"the value {text!r} of {key!r} {problem}")
            axes[key] = values
        if not axes:
            _fail(self._fields["matrix"][0], "the matrix is empty", "name values, or leave it out")
        return axes

    def _step(self) -> Step:
        chosen = ",".join(f"{key}={value}" for key, value in self._values.items())
        argv, text = self._command()
        return Step(
            f"{self._base}@{chosen}" if chosen else self._base,
            self._base,
            self._line,
            argv,
            text,
            self._directory(),
            deps=dict(self._with_roles("deps")),
            params=dict(self._params()),
            outs=dict(self._with_roles("outs")),
            metrics=tuple(self._paths("metrics")),
            locks=tuple(self._paths("locks")),
            frozen="frozen" in self._fields and _flag(self._fields["frozen"][1], "'frozen'"),
            uncontrolled=tuple(self._plain("uncontrolled")),
            about=" ".join(self._plain("about")),
        )

    def _command(self) -> tuple[tuple[str, ...], str]:
        node = self._fields["command"][1]
        if self._shell:
            if not isinstance(node.value, str):
                _fail(node.line, "with 'shell: true' the command is one text, not a list")
            text = self._fill(node.line, _text(node, "'command'"), shlex.quote)
            return ("sh", "-c", text), text
        if isinstance(node.value, list):
            words = [text for _, text in _texts(node, "a word of 'command'")]
        else:
            words = self._split(node)
        if not words:
            _fail(node.line, "the command is empty")
        return tuple(self._fill(node.line, word) for word in words), ""

    def _split(self, node: _Node) -> list[str]:
        text = _text(node, "'command'")
        try:
            lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            lexer.commenters = ""
            for word in lexer:
                if word and _OPERATORS.issuperset(word):
                    _fail(
                        node.line,
                        f"the command has {word!r}, which only a shell understands",
                        "add 'shell: true', or make it two steps; if it is meant as it stands,"
                        " write the command as a list of words",
                    )
            return shlex.split(text)
        except ValueError as error:
            _fail(node.line, f"the command cannot be split into words: {error}", "check its quotes")

    def _fill(self, line: int, text: str, quote: Any = str) -> str:
        """Put in the values of the matrix; for a shell so that each stays one word."""

        def value(match: re.Match[str]) -> str:
            if match[1] in self._values:
                return str(quote(self._values[match[1]]))
            if self._values and not self._shell:
                have = ", ".join(self._values)
                _fail(line, f"{match[0]} is not in the matrix", f"it has: {have}")
            return match[0]

        return _VARIABLE.sub(value, text)

    def _plain(self, key: str) -> Iterator[str]:
        if key in self._fields:
            for line, text in _texts(self._fields[key][1], f"'{key}'"):
                yield self._fill(line, text)

    def _directory(self) -> str:
        if "cwd" not in self._fields:
            return ""
        node = self._fields["cwd"][1]
        path = self._path(node.line, _text(node, "'cwd'"), top=True)
        return os.fsdecode(path)

    def _paths(self, key: str) -> Iterator[bytes]:
        if key in self._fields:
            seen: set[bytes] = set()
            for line, text in _texts(self._fields[key][1], f"a path of '{key}'"):
                yield self._new(line, self._path(line, text), key, seen)

    def _with_roles(self, key: str) -> Iterator[tuple[bytes, str]]:
        seen: set[bytes] = set()
        for line, text, node in _pairs(self._fields[key][1], key) if key in self._fields else ():
            path = self._new(line, self._path(line, text), key, seen)
            role = "" if node is None else self._fill(line, _text(node, f"the role of {text!r}"))
            yield path, role

    def _params(self) -> Iterator[tuple[bytes, tuple[str, ...]]]:
        seen: set[bytes] = set()
        fields = self._fields
        for line, text, node in _pairs(fields["params"][1], "params") if "params" in fields else ():
            path = self._new(line, self._path(line, text), "params", seen)
            keys = [] if node is None else _texts(node, f"a key of {text!r}")
            yield path, tuple(self._fill(at, key) for at, key in keys)

    def _new(self, line: int, path: bytes, key: str, seen: set[bytes]) -> bytes:
        if path in seen:
            _fail(line, f"{show(path)} stands twice in '{key}'", "leave one of them")
        seen.add(path)
        return path

    def _path(self, line: int, text: str, *, top: bool = False) -> bytes:
        """Return a path of the repository, which all paths in the file are relative to."""
        filled = self._fill(line, text)
        path = posixpath.normpath(filled)
        if path.startswith(("/", "../")) or path == ".." or (path == "." and not top):
            _fail(
                line,
                f"{show(filled)} is not a path inside the repository",
                f"paths are relative to where {NAME} is, also with 'cwd'",
            )
        parts = [part.lower() for part in path.split("/")]
        if ".git" in parts or parts[0] == ".dver":
            _fail(line, f"{show(filled)} belongs to git or dver, not to a step")
        return b"" if path == "." else os.fsencode(path.removesuffix(".dver"))
