"""Reading a configuration file: YAML, of which only nested mappings of plain values are let in.

Every value is kept as the text that stands in the file; the schema decides what it means, so that
``region: no`` is a region and not a boolean. Aliases, tags, lists, repeated keys and further
documents are refused, with the file and line.

What dver itself writes is read without a YAML parser, whose import would cost every command more
than all the rest of its start. Anything that is not plainly of that form goes to the parser.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from pathlib import Path
from typing import Any

from dver.base import fsio
from dver.base.errors import ConfigError
from dver.base.quoting import show

Tree = dict[str, "str | Tree"]

MAX_SIZE = 1 << 20
_MAX_DEPTH = 8
# Values that mean the same to this reader and to YAML: no quotes, no comment, no ': '.
_PLAIN_VALUE = (
    r"[A-Za-z0-9/._~][A-Za-z0-9/._~+=@%,-]*(?::[A-Za-z0-9/._~+=@%,-]+)*"
    r"(?: [A-Za-z0-9/._~+=@%,-]+(?::[A-Za-z0-9/._~+=@%,-]+)*)*"
)
_PLAIN_LINE = rf"((?:  )*)([A-Za-z0-9_][A-Za-z0-9_-]*):(?: ({_PLAIN_VALUE}))?"


def read(path: Path, *, shared: bool = False) -> bytes | None:
    """Return a configuration file's bytes, or None if there is no such file.

    One that is ``shared`` through git must lie where it says: a symlink of somebody else's making
    could lead to any file, parts of which errors would show.
    """
    if shared and (path.is_symlink() or path.parent.is_symlink()):
        link = path.parent if path.parent.is_symlink() else path
        raise ConfigError(
            f"{show(link)} is a symlink, which dver does not follow",
            hint="replace it by what it leads to",
        )
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | fsio.OPEN_FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise fsio.failure(error, "read", path) from error
    try:
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            raise ConfigError(f"{show(path)} is no file")
        return os.read(fd, MAX_SIZE + 1)
    except OSError as error:
        raise fsio.failure(error, "read", path) from error
    finally:
        os.close(fd)


def parse(data: bytes, origin: str) -> Tree:
    """Return the content of a configuration file; ``origin`` names it in errors (ConfigError)."""
    if len(data) > MAX_SIZE:
        raise ConfigError(f"{origin} is larger than {MAX_SIZE >> 20} MiB")
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{origin}, line {line}: it is not UTF-8 text") from error
    tree = parse_plain(text)
    return parse_yaml(text, origin) if tree is None else tree


def parse_plain(text: str) -> Tree | None:
    """Return the content of a file of the form that dver writes, or None for any other."""
    keys = plain_keys(text)
    if keys is None:
        return None
    tree: Tree = {}
    for parts, value in keys:
        if parts:
            node = tree
            for part in parts[:-1]:
                child = node[part]
                if isinstance(child, str):
                    return None
                node = child
            if parts[-1] in node:
                return None
            node[parts[-1]] = {} if value is None else value
    return tree if not _has_empty(tree) else None


def _has_empty(tree: Tree) -> bool:
    return any(
        not isinstance(child, str) and (not child or _has_empty(child)) for child in tree.values()
    )


def plain_keys(text: str) -> list[tuple[tuple[str, ...], str | None]] | None:
    """Return for each line its (key parts, value or None), with ``()`` for blanks and comments.

    None if any line is not of the form that dver writes.
    """
    found: list[tuple[tuple[str, ...], str | None]] = []
    stack: list[str] = []
    for raw in text.split("\n"):
        line = raw.removesuffix("\r")
        if not line.strip(" ") or line.lstrip(" ").startswith("#"):
            if not line.isprintable():
                return None
            found.append(((), None))
            continue
        match = re.fullmatch(_PLAIN_LINE, line)
        if match is None:
            return None
        depth, key, value = len(match[1]) // 2, match[2], match[3]
        if depth > len(stack) or depth >= _MAX_DEPTH:
            return None
        stack[depth:] = [key]
        found.append((tuple(stack), value))
        if value is not None:
            stack.pop()  # what has a value has no children
    return found


def parse_yaml(text: str, origin: str) -> Tree:
    """Return the content of any configuration file."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        reader = _Reader(yaml, yaml.parse(text, Loader=loader), origin)
        return reader.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        problem = error.problem or error.context or "it is malformed"
        # The parser's own error quotes the line, which may hold a secret that is in a wrong place.
        raise ConfigError(f"{origin}{where}: it is not YAML: {problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin} is not YAML: {str(error).splitlines()[0]}") from None


class _Reader:
    """Builds the tree from YAML's events, which come before aliases and tags have any effect."""

    def __init__(self, yaml: Any, events: Any, origin: str) -> None:
        self._yaml = yaml
        self._events = events
        self._origin = origin

    def document(self) -> Tree:
        yaml = self._yaml
        tree: Tree = {}
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._error(event, "it holds a second document")
            elif isinstance(event, yaml.MappingStartEvent):
                self._refuse_decoration(event)
                tree = self._mapping(1)
            elif isinstance(event, yaml.ScalarEvent) and not event.value and not event.style:
                continue
            elif isinstance(event, yaml.NodeEvent | yaml.CollectionStartEvent):
                raise self._error(event, "it does not hold 'key: value' lines")
        return tree

    def _mapping(self, depth: int) -> Tree:
        yaml = self._yaml
        tree: Tree = {}
        while True:
            event = next(self._events)
            if isinstance(event, yaml.MappingEndEvent):
                return tree
            self._refuse_decoration(event)
            if not isinstance(event, yaml.ScalarEvent) or not event.value:
                raise self._error(event, "a key is not plain text")
            key = event.value
            if key in tree:
                raise self._error(event, f"the key {key[:80]!r} stands there twice")
            tree[key] = self._value(key, next(self._events), depth)

    def _value(self, key: str, event: Any, depth: int) -> str | Tree:
        yaml = self._yaml
        self._refuse_decoration(event)
        if isinstance(event, yaml.ScalarEvent):
            return str(event.value)
        if not isinstance(event, yaml.MappingStartEvent):
            raise self._error(event, f"the value of {key[:80]!r} is a list")
        if depth >= _MAX_DEPTH:
            raise self._error(event, "its keys are nested too deep")
        return self._mapping(depth + 1)

    def _refuse_decoration(self, event: Any) -> None:
        if isinstance(event, self._yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._error(event, "anchors and aliases are not accepted")
        if getattr(event, "tag", None):
            raise self._error(event, "tags are not accepted")

    def _error(self, event: Any, problem: str) -> ConfigError:
        return ConfigError(f"{self._origin}, line {event.start_mark.line + 1}: {problem}")


def flatten(tree: Tree, origin: str) -> dict[str, str]:
    """Return the values by dotted key. Raises ConfigError for a value where a section belongs."""
    flat: dict[str, str] = {}

    def walk(node: Tree, prefix: str) -> None:
        for key, child in node.items():
            if "." in key:
                raise ConfigError(
                    f"{origin}: the key {key[:80]!r} holds a dot",
                    hint="write 'core:' on one line and 'jobs: 4' below it, two blanks further in",
                )
            if isinstance(child, str):
                flat[prefix + key] = child
            else:
                walk(child, prefix + key + ".")

    walk(tree, "")
    return flat


def show_path(path: Path, base: Path | None) -> str:
    """Return how a file is named in messages: relative to the repository when it is inside."""
    if base is not None and path.is_relative_to(base):
        return show(path.relative_to(base))
    return show(os.fspath(path))
