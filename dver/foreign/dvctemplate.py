"""Filling in DVC's pipelines: ``vars``, ``${...}``, ``foreach`` and ``matrix``, as DVC does."""

from __future__ import annotations

import itertools
import json
import os
import posixpath
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.foreign import plainyaml
from dver.foreign.plainyaml import mapping

_VALUE = re.compile(r"(?<!\\)\$\{\s*([^${}]+?)\s*\}")
_PART = re.compile(r"([^.\[\]]+)|\[([^\]]+)\]")
_MAX_STAGES = 10_000

#: Returns the content of a file of the repository, None if there is none.
Reader = Callable[[bytes], bytes | None]


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of ``dvc.yaml`` with everything filled in; ``base`` is its name without ``@...``."""

    name: str
    base: str
    fields: Mapping[str, Any]


def stages_of(path: bytes, data: bytes, read: Reader) -> tuple[list[Stage], list[str]]:
    """Return the stages of a ``dvc.yaml``, and why others of them cannot be read."""
    what = os.fsdecode(path)
    top = mapping(plainyaml.load(data, what), what)
    directory = path.rpartition(b"/")[0]
    context = _variables(directory, top.get("vars"), read, default=True)
    found: list[Stage] = []
    problems: list[str] = []
    for name, value in mapping(top.get("stages"), f"'stages' of {what}").items():
        try:
            for stage in _stages(name, mapping(value, name), context, directory, read):
                found.append(stage)
                if len(found) > _MAX_STAGES:
                    raise FormatError(f"{what} makes more than {_MAX_STAGES:,} stages")
        except FormatError as error:
            problems.append(f"the stage {name!r} of {what}: {error.message}")
    return found, problems


def _variables(directory: bytes, given: Any, read: Reader, *, default: bool) -> dict[str, Any]:
    context: dict[str, Any] = {}
    items = list(given) if isinstance(given, list) else []
    named = {one.partition(":")[0] for one in items if isinstance(one, str)}
    if default and "params.yaml" not in named:
        _merge(context, _file(directory, "params.yaml", read) or {})
    for one in items:
        if isinstance(one, dict):
            _merge(context, one)
        elif isinstance(one, str):
            file, _, keys = one.partition(":")
            values = _file(directory, file, read)
            if values is None:
                raise FormatError(f"'vars' names {file}, which is not there")
            chosen = keys.split(",") if keys else list(values)
            _merge(context, {key: values[key] for key in chosen if key in values})
    return context


def _file(directory: bytes, name: str, read: Reader) -> dict[str, Any] | None:
    path = posixpath.normpath(posixpath.join(directory, os.fsencode(name)))
    data = read(path)
    if data is None:
        return None
    if name.endswith(".json"):
        try:
            return mapping(json.loads(data), name)
        except ValueError as error:
            raise FormatError(f"{name} is not JSON: {error}") from None
    if name.endswith(".toml"):
        import tomllib

        try:
            return mapping(tomllib.loads(data.decode()), name)
        except ValueError as error:
            raise FormatError(f"{name} is not TOML: {error}") from None
    if name.endswith(".py"):
        return {}
    return mapping(plainyaml.load(data, name), name)


def _merge(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    for key, value in new.items():
        old = into.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            joined = dict(old)
            _merge(joined, value)
            into[key] = joined
        else:
            into[str(key)] = value


def _stages(
    name: str, value: dict[str, Any], context: dict[str, Any], directory: bytes, read: Reader
) -> Iterator[Stage]:
    if "foreach" in value:
        inner = mapping(value.get("do"), "'do'")
        for key, extra in _iterations(_filled(value["foreach"], context)):
            yield _stage(f"{name}@{key}", name, inner, {**context, **extra}, directory, read)
    elif "matrix" in value:
        inner = {key: one for key, one in value.items() if key != "matrix"}
        axes = mapping(_filled(value["matrix"], context), "'matrix'")
        for key, extra in _combinations(axes):
            yield _stage(f"{name}@{key}", name, inner, {**context, **extra}, directory, read)
    else:
        yield _stage(name, name, value, context, directory, read)


def _iterations(over: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(over, dict):
        for key, item in over.items():
            yield str(key), {"key": key, "item": item}
        return
    if not isinstance(over, list):
        raise FormatError("'foreach' is neither a list nor a mapping")
    plain = not any(isinstance(item, dict | list) for item in over)
    for n, item in enumerate(over):
        yield _text(item) if plain else str(n), {"item": item}


def _combinations(axes: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    lists = []
    for axis, items in axes.items():
        if not isinstance(items, list):
            raise FormatError(f"the matrix has no list for {axis!r}")
        plain = not any(isinstance(item, dict | list) for item in items)
        lists.append(
            [(_text(item) if plain else f"{axis}{n}", item) for n, item in enumerate(items)]
        )
    for chosen in itertools.islice(itertools.product(*lists), _MAX_STAGES + 1):
        item = dict(zip(axes, (value for _, value in chosen), strict=True))
        yield "-".join(key for key, _ in chosen), {"item": item}


def _stage(
    name: str,
    base: str,
    value: dict[str, Any],
    context: dict[str, Any],
    directory: bytes,
    read: Reader,
) -> Stage:
    local = context
    wdir = _filled(value.get("wdir") or "", context)
    if value.get("vars"):
        local = dict(context)
        where = posixpath.normpath(posixpath.join(directory, os.fsencode(str(wdir))))
        _merge(
            local, _variables(b"" if where == b"." else where, value["vars"], read, default=False)
        )
    fields = {
        key: one if key in ("vars", "meta", "desc") else _filled(one, local, flags=key == "cmd")
        for key, one in value.items()
    }
    return Stage(name, base, fields)


def _filled(value: Any, context: Mapping[str, Any], *, flags: bool = False) -> Any:
    """Return a value with every ``${...}`` in its texts and keys filled in."""
    if isinstance(value, dict):
        return {
            str(_filled(key, context)) if isinstance(key, str) else str(key): _filled(one, context)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_filled(one, context, flags=flags) for one in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    whole = _VALUE.fullmatch(value)
    if whole is not None and not flags:
        return _look_up(whole[1], context)

    def text(match: re.Match[str]) -> str:
        found = _look_up(match[1], context)
        if isinstance(found, dict | list):
            if not flags or isinstance(found, list):
                raise FormatError(f"{match[0]} is no single value")
            return " ".join(_flags(found))
        return _text(found)

    return _VALUE.sub(text, value).replace("\\${", "${")


def _look_up(name: str, context: Mapping[str, Any]) -> Any:
    value: Any = context
    for match in _PART.finditer(name):
        part = match[1] if match[1] is not None else match[2].strip("'\"")
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, ValueError, IndexError, TypeError):
            raise FormatError(f"${{{name}}} is defined nowhere") from None
    return value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _flags(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the options that a dict becomes in a command."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flags(value, f"{name}.")
        elif value is True:
            yield f"--{name}"
        elif isinstance(value, list):
            yield " ".join([f"--{name}", *(shlex.quote(_text(one)) for one in value)])
        elif value is not False:
            yield f"--{name} {shlex.quote(_text(value))}"
