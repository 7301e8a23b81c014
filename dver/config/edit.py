"""Changing configuration files: one key at a time, everything else in them kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from dver.base import fsio
from dver.base.errors import ConfigError
from dver.base.locking import Lock
from dver.config import document, schema
from dver.config.document import Tree
from dver.config.load import Config, check_url
from dver.config.schema import Level

COMMITTED_HEADER = (
    "# dver's settings for everyone who uses this repository; see 'dver config --help'.\n"
)
_PLAIN = re.compile(
    r"[A-Za-z0-9/._][A-Za-z0-9/._~+=@%,-]*(?::[A-Za-z0-9/._~+=@%,-]+)*"
    r"(?: [A-Za-z0-9/._~+=@%,-]+(?::[A-Za-z0-9/._~+=@%,-]+)*)*"
)


def set_value(config: Config, level: Level, key: str, text: str) -> bool:
    """Set one key at a level's file; return False if it had that value already.

    Raises ConfigError for an unknown key, a malformed value, or one that the level may not set.
    """
    return apply(config, level, {key: text})


def unset_value(config: Config, level: Level, key: str) -> bool:
    """Remove one key from a level's file; return False if it was not there."""
    return apply(config, level, {key: None})


def apply(config: Config, level: Level, changes: Mapping[str, str | None]) -> bool:
    """Set and (None) unset several keys of one level in one write; return False if none changed."""
    path = config.paths.of(level)
    normal = {key: check(level, key, text) for key, text in changes.items()}

    def edit(text: str) -> str:
        for key, value in normal.items():
            text = edited(text, key, value, config.paths.show(level))
        return text

    header = COMMITTED_HEADER if level == "repository" else ""
    changed = rewrite(
        path,
        edit,
        lock=_lock(config),
        header=header,
        origin=config.paths.show(level),
        shared=level == "repository",
    )
    config.reload()
    return changed


def check(level: Level, key: str, text: str | None) -> str | None:
    """Return the normal spelling of a value, or raise ConfigError if it cannot stand there."""
    setting = schema.find(key)
    if text is None:
        return None
    if level == "repository" and not setting.committed:
        raise ConfigError(
            f"{key} cannot be set for everybody through git",
            hint=f"dver config set --local {key} VALUE",
        )
    check_url(key, text)
    return schema.spell(schema.parse(setting, key, text))


def rewrite(
    path: Path,
    edit: Callable[[str], str],
    *,
    lock: Path,
    header: str = "",
    origin: str = "",
    shared: bool = False,
) -> bool:
    """Replace a file by its edited text in one step, under a lock; return False if it is equal.

    ``shared`` is as for :func:`document.read`.
    """
    with Lock(lock, exclusive=True):
        data = document.read(path, shared=shared)
        before = header if data is None else _decode(data, origin or str(path))
        after = edit(before)
        if after == before:
            return False
        fsio.write_atomic(path, after.encode())
        return True


def _decode(data: bytes, origin: str) -> str:
    document.parse(data, origin)  # a file that cannot be read is not touched
    return data.decode("utf-8-sig")


def _lock(config: Config) -> Path:
    directory = config.paths.state or config.paths.user.parent
    return directory / "config.lock"


def edited(text: str, key: str, value: str | None, origin: str) -> str:
    """Return a file's text with one key set, or (None) removed.

    A file of the form that dver writes keeps its comments and spacing; any other is written
    anew, its keys in the order that they had.
    """
    tree = document.parse(text.encode(), origin)
    wanted = _changed(tree, key.split("."), value)
    if wanted == tree:
        return text
    lines = _edit_lines(text, tuple(key.split(".")), value)
    if lines is not None and document.parse_plain(lines) == wanted:
        return lines
    comment = re.match(r"(?:#[^\r\n]*\r?\n)*", text)
    return (comment[0] if comment else "") + render(wanted)


def _changed(tree: Tree, parts: list[str], value: str | None) -> Tree:
    result = _copy(tree)
    node = result
    above: list[tuple[Tree, str]] = []
    for part in parts[:-1]:
        above.append((node, part))
        child = node.get(part)
        if not isinstance(child, dict):
            if value is None:
                return tree
            child = node[part] = {}
        node = child
    if value is not None:
        node[parts[-1]] = value
        return result
    node.pop(parts[-1], None)
    for parent, part in reversed(above):
        if not parent[part]:
            del parent[part]
    return result


def _copy(tree: Tree) -> Tree:
    return {key: _copy(child) if isinstance(child, dict) else child for key, child in tree.items()}


def _edit_lines(text: str, key: tuple[str, ...], value: str | None) -> str | None:
    keys = document.plain_keys(text)
    if keys is None:
        return None
    lines = text.split("\n")
    ending = "\r" if lines[0].endswith("\r") else ""
    if lines[-1] == "":
        lines.pop()
    parts = [entry[0] for entry in keys[: len(lines)]]
    if value is None:
        doomed = [key[:depth] for depth in range(1, len(key) + 1) if _only_child(parts, key, depth)]
        kept = [line for line, part in zip(lines, parts, strict=True) if part not in doomed]
        return "\n".join([*kept, ""])
    if key in parts:
        at = parts.index(key)
        lines[at] = _line(key, value) + ending
        return "\n".join([*lines, ""])
    depth = next(
        depth for depth in range(len(key) - 1, -1, -1) if not depth or key[:depth] in parts
    )
    inside = [at for at, part in enumerate(parts) if part and part[:depth] == key[:depth]]
    at = max(inside, default=len(lines) - 1) + 1 if depth else len(lines)
    new = [_line(key[:count], None) for count in range(depth + 1, len(key))] + [_line(key, value)]
    lines[at:at] = [line + ending for line in new]
    return "\n".join([*lines, ""])


def _only_child(parts: list[tuple[str, ...]], key: tuple[str, ...], depth: int) -> bool:
    """Tell whether nothing but ``key`` is at or under its first ``depth`` parts."""
    leaves = {part for part in parts if part[:depth] == key[:depth] and len(part) >= len(key)}
    return leaves <= {key}


def render(tree: Tree, depth: int = 0) -> str:
    """Return a tree as YAML, two blanks for each level."""
    out = []
    for key, child in tree.items():
        if isinstance(child, str):
            out.append("  " * depth + f"{_quoted(key)}: {_quoted(child)}\n")
        elif child:
            out.append("  " * depth + f"{_quoted(key)}:\n" + render(child, depth + 1))
    return "".join(out)


def _line(key: tuple[str, ...], value: str | None) -> str:
    text = "" if value is None else " " + _quoted(value)
    return "  " * (len(key) - 1) + f"{_quoted(key[-1])}:{text}"


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    import json

    # JSON's strings are YAML's double-quoted ones, but for characters beyond 16 bits.
    return "".join(
        char if char.isprintable() else f"\\U{ord(char):08x}"
        for char in json.dumps(text, ensure_ascii=False)
    )
