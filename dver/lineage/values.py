"""Values as records spell them: text with a type; and files of parameters and metrics."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dver.base.errors import FormatError, NotFoundError
from dver.base.fsio import failure
from dver.base.quoting import show
from dver.formats.record import Metric, Value, ValueType

#: A file of parameters or metrics is not larger than this (bytes).
MAX_SIZE = 16 << 20
_MAX_DEPTH = 32


def spell(value: Any) -> tuple[str, ValueType]:
    """Return a value as text, and its type. Floats are what ``repr`` says: they read back equal."""
    if value is None:
        return "", "null"
    if isinstance(value, bool):
        return "true" if value else "false", "bool"
    if isinstance(value, int):
        return str(value), "int"
    if isinstance(value, float):
        return repr(value), "float"
    if isinstance(value, str):
        return value, "text"
    return json.dumps(value, sort_keys=True, default=str), "json"


def number(text: str, kind: ValueType) -> float | None:
    """Return a spelled value as a number, None if it is none."""
    if kind not in ("int", "float", "bool"):
        return None
    if kind == "bool":
        return float(text == "true")
    try:
        return float(text)
    except ValueError:
        return None


def load(path: bytes, name: str) -> Any:
    """Return what a file of parameters or metrics holds, by its ending.

    JSON, YAML, TOML, CSV and TSV (the last row), and ``.env`` are read; ``name`` is the path
    in messages. Raises FormatError, or NotFoundError if it is not there.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_SIZE + 1)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {show(name)}") from error
    except OSError as error:
        raise failure(error, "read", path) from error
    if len(data) > MAX_SIZE:
        raise FormatError(f"{show(name)} is too large for parameters or metrics")
    ending = os.path.splitext(name)[1].lower()
    try:
        text = data.decode("utf-8-sig")
        return _PARSERS.get(ending, _yaml)(text)
    except FormatError as error:
        raise FormatError(f"{show(name)}: {error.message}", hint=error.hint) from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{show(name)} does not parse: {error}") from error


def _yaml(text: str) -> Any:
    import yaml

    try:
        for token in yaml.scan(text):
            if isinstance(token, yaml.AliasToken):
                raise FormatError("it has YAML aliases, which are not read")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error).replace("\n", " ")) from error


def _toml(text: str) -> Any:
    import tomllib

    return tomllib.loads(text)


def _table(text: str, delimiter: str) -> Any:
    rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
    return {} if not rows else {str(key): _guess(value) for key, value in rows[-1].items()}


def _dotenv(text: str) -> Any:
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.removeprefix("export ").partition("=") for line in lines if line[:1] != "#")
    return {key.strip(): _guess(value.strip().strip("\"'")) for key, found, value in pairs if found}


def _guess(text: Any) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except (TypeError, ValueError):
            continue
    return text


_PARSERS: dict[str, Callable[[str], Any]] = {
    ".json": json.loads,
    ".toml": _toml,
    ".csv": lambda text: _table(text, ","),
    ".tsv": lambda text: _table(text, "\t"),
    ".env": _dotenv,
}


def flatten(value: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, leaf) of nested objects; lists are leaves."""
    if isinstance(value, dict) and value and depth < _MAX_DEPTH:
        for key, inner in value.items():
            yield from flatten(inner, f"{prefix}.{key}" if prefix else str(key), depth + 1)
    elif prefix:
        yield prefix, value


def params(path: bytes, name: str, keys: Sequence[str]) -> list[Value]:
    """Return the parameters in a file: all, or those at or below some dotted keys.

    Raises NotFoundError for a key that is not there.
    """
    leaves = dict(flatten(load(path, name)))
    chosen = leaves if not keys else {}
    for key in keys:
        below = {one: leaf for one, leaf in leaves.items() if one == key or _is_below(one, key)}
        if not below:
            near = ", ".join(sorted(leaves)[:8])
            raise NotFoundError(
                f"{show(name)} has no parameter {key!r}", hint=f"it has {near}" if near else None
            )
        chosen |= below
    return [Value(key, *spell(chosen[key]), f"file:{name}") for key in sorted(chosen)]


def metrics(path: bytes, name: str) -> list[Metric]:
    """Return the metrics in a file: its numbers and short texts."""
    found = []
    for key, leaf in sorted(flatten(load(path, name))):
        if isinstance(leaf, list | dict):
            continue
        text, kind = spell(leaf)
        if isinstance(leaf, float) and not math.isfinite(leaf):
            kind = "float"
        found.append(Metric(key, text[:1000], kind, name))
    return found


def _is_below(one: str, key: str) -> bool:
    return one.startswith(key + ".")
