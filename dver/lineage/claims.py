"""What somebody says of a model that was made elsewhere, read from a file.

Page: ``docs/how-to/made-elsewhere.md``. A key that is not known is an error, so that none is lost
since it was misspelled.
"""

from __future__ import annotations

import datetime
import re
import shlex
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.base.oid import Oid, parse_oid
from dver.base.quoting import show
from dver.lineage import values

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?")
_AUTHOR = re.compile(r"(?P<name>[^<>]*?)\s*(?:<(?P<email>[^<>]*)>)?")
_ENV_TEXTS = ("python", "system", "cpu", "libraries", "vars")


@dataclass(frozen=True, slots=True)
class ClaimedItem:
    """An input or output: a path as typed, at a revision, or known by its content alone."""

    path: str
    role: str = ""
    oid: Oid | None = None
    rev: str = ""


@dataclass(frozen=True, slots=True)
class ClaimedEnvironment:
    """What is said of the environment: texts by name; ``packages`` are lines ``name==version``."""

    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    gpus: tuple[Mapping[str, str], ...] = ()
    packages: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    container: str = ""


@dataclass(frozen=True, slots=True)
class Claims:
    """All that a file says.

    ``params`` and ``metrics`` are objects, or the path of a file that holds them.
    """

    step: str = ""
    message: str = ""
    command: tuple[str, ...] = ()
    cwd: str = ""
    author: tuple[str, str] = ("", "")
    date: str = ""
    host: str = ""
    commit: str = ""
    repository: str = ""
    inputs: tuple[ClaimedItem, ...] = ()
    outputs: tuple[ClaimedItem, ...] = ()
    params: Mapping[str, Any] | str = field(default_factory=dict)
    metrics: Mapping[str, Any] | str = field(default_factory=dict)
    env: ClaimedEnvironment | None = None
    seeds: Mapping[str, str] = field(default_factory=dict)
    uncontrolled: tuple[str, ...] = ()


def read(path: bytes, name: str) -> Claims:
    """Parse a file. Raises FormatError, which names it and the key, or NotFoundError."""
    told = values.load(path, name)
    try:
        return _claims(_object(told, "the file"))
    except FormatError as error:
        raise FormatError(f"{show(name)}: {error.message}", hint=error.hint) from error


def _claims(told: dict[str, Any]) -> Claims:
    _only(
        told,
        "the file",
        *("step", "message", "command", "cwd", "author", "date", "host", "code", "inputs"),
        *("outputs", "params", "metrics", "env", "seeds", "uncontrolled"),
    )
    code = told.get("code") or {}
    code = {"commit": code} if isinstance(code, str) else _object(code, "code")
    _only(code, "code", "commit", "repository")
    claims = Claims(
        step=_text(told, "step"),
        message=_text(told, "message"),
        command=_command(told.get("command")),
        cwd=_text(told, "cwd"),
        author=_author(told.get("author")),
        date=_date(told.get("date")),
        host=_text(told, "host"),
        commit=_text(code, "commit"),
        repository=_text(code, "repository"),
        inputs=_items(told.get("inputs"), "inputs"),
        outputs=_items(told.get("outputs"), "outputs"),
        params=_values(told.get("params"), "params"),
        metrics=_values(told.get("metrics"), "metrics"),
        env=_environment(told["env"]) if told.get("env") else None,
        seeds=_texts(told.get("seeds"), "seeds"),
        uncontrolled=_list(told.get("uncontrolled"), "uncontrolled"),
    )
    if not claims.outputs:
        raise FormatError("it names no outputs", hint="'outputs: [model.pkl]' says what was made")
    return claims


def _environment(told: Any) -> ClaimedEnvironment:
    env = _object(told, "env")
    _only(env, "env", *_ENV_TEXTS, "gpus", "packages", "locks", "container")
    texts = {
        name: {"version": env[name]}
        if name == "python" and isinstance(env[name], str)
        else _texts(env[name], f"env.{name}")
        for name in _ENV_TEXTS
        if env.get(name)
    }
    gpus = env.get("gpus") or []
    if not isinstance(gpus, list):
        raise FormatError("env.gpus is no list")
    packages = _list(env.get("packages"), "env.packages")
    for line in packages:
        if "==" not in line or any(ord(char) < 32 for char in line):
            raise FormatError(f"env.packages: {line!r} is not name==version")
    return ClaimedEnvironment(
        texts,
        tuple(_texts(one, "env.gpus") for one in gpus),
        tuple(sorted(packages)),
        _list(env.get("locks"), "env.locks"),
        _text(env, "container"),
    )


def _items(told: Any, key: str) -> tuple[ClaimedItem, ...]:
    if not isinstance(told, list | None):
        raise FormatError(f"{key} is no list")
    found = []
    for one in told or ():
        if isinstance(one, str):
            found.append(ClaimedItem(one))
            continue
        item = _object(one, key)
        _only(item, key, "path", "role", "oid", "rev")
        path = _text(item, "path")
        if not path:
            raise FormatError(f"{key}: an entry has no path")
        if item.get("oid") and item.get("rev"):
            raise FormatError(f"{key}: {path!r} has both oid and rev")
        found.append(
            ClaimedItem(path, _text(item, "role"), _oid(item.get("oid"), key), _text(item, "rev"))
        )
    paths = [one.path for one in found]
    for path in paths:
        if not path or paths.count(path) > 1:
            raise FormatError(f"{key}: the path {path!r} is empty or comes twice")
    return tuple(found)


def _oid(told: Any, key: str) -> Oid | None:
    if told is None:
        return None
    try:
        return parse_oid(str(told))
    except ValueError as error:
        raise FormatError(f"{key}: {told!r} is no oid") from error


def _command(told: Any) -> tuple[str, ...]:
    if isinstance(told, str):
        try:
            return tuple(shlex.split(told))
        except ValueError as error:
            raise FormatError(f"command: {error}") from error
    return _list(told, "command")


def _author(told: Any) -> tuple[str, str]:
    if told is None:
        return "", ""
    if isinstance(told, str):
        match = _AUTHOR.fullmatch(told.strip())
        if match is None:
            raise FormatError(f"author: {told!r} is not 'Name <address>'")
        return match["name"], match["email"] or ""
    author = _object(told, "author")
    _only(author, "author", "name", "email")
    return _text(author, "name"), _text(author, "email")


def _date(told: Any) -> str:
    if told is None:
        return ""
    text = told.isoformat() if isinstance(told, datetime.date) else str(told)
    if not _MOMENT.fullmatch(text):
        raise FormatError(
            f"date: {text!r} is no date", hint="such as 2026-01-31 or 2026-01-31T12:00:00Z"
        )
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise FormatError(f"date: {error}") from error
    return text


def _values(told: Any, key: str) -> Mapping[str, Any] | str:
    return told if isinstance(told, str) else _object(told or {}, key)


def _texts(told: Any, key: str) -> dict[str, str]:
    return {name: values.spell(one)[0] for name, one in _object(told or {}, key).items()}


def _list(told: Any, key: str) -> tuple[str, ...]:
    if not isinstance(told, list | None) or not all(isinstance(one, str) for one in told or ()):
        raise FormatError(f"{key} is no list of texts")
    return tuple(told or ())


def _text(told: Mapping[str, Any], key: str) -> str:
    value = told.get(key)
    if value is None:
        return ""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise FormatError(f"{key} is no text")
    return str(value)


def _object(told: Any, key: str) -> dict[str, Any]:
    if not isinstance(told, dict) or not all(isinstance(name, str) for name in told):
        raise FormatError(f"{key} is no object")
    return told


def _only(told: Mapping[str, Any], where: str, *allowed: str) -> None:
    for name in told:
        if name not in allowed:
            raise FormatError(
                f"{where} has the key {name!r}, which is not known",
                hint=f"it may have {', '.join(sorted(allowed))}",
            )
