"""Results and errors as JSON, in the one shape that ``docs/reference/json.md`` describes."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

from dver.base.errors import EXIT_NEGATIVE, DverError
from dver.base.oid import OID_SIZE, PREFIX
from dver.base.quoting import show

#: The version of the envelope and of every result's fields. New fields do not raise it.
SCHEMA = 1


def plain(value: Any) -> Any:
    """Return a value made of what JSON knows.

    Dataclasses become objects with their fields and properties in the order they are declared,
    32 bytes an oid in text form, other bytes and paths text. Text that is not Unicode (a name in
    another encoding) is quoted as git quotes it, so that the output is valid JSON for everyone.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bytes):
        return PREFIX + value.hex() if len(value) == OID_SIZE else _text(os.fsdecode(value))
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, PurePath):
        return _text(str(value))
    if isinstance(value, Mapping):
        return {_text(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def result(command: str, value: Any, exit_code: int = 0) -> str:
    """Return the envelope around a result. ``ok`` is false only for the codes of failures."""
    return _dump(
        {
            "dver": SCHEMA,
            "command": command,
            "ok": exit_code <= EXIT_NEGATIVE,
            "result": plain(value),
        }
    )


def failed(command: str, error: DverError) -> str:
    """Return the envelope around an error."""
    return failure(
        command,
        code=error.code,
        message=error.message,
        hint=error.hint,
        paths=error.paths,
        exit_code=error.exit_code,
    )


def failure(
    command: str,
    *,
    code: str,
    message: str,
    exit_code: int,
    hint: str | None = None,
    paths: tuple[str, ...] = (),
) -> str:
    """Return the envelope around an error that is known only by its facts."""
    return _dump(
        {
            "dver": SCHEMA,
            "command": command,
            "ok": False,
            "error": {
                "code": code,
                "message": _text(message),
                "hint": None if hint is None else _text(hint),
                "paths": [_text(path) for path in paths],
                "exit_code": exit_code,
            },
        }
    )


def _fields(value: Any) -> dict[str, Any]:
    found = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    for name, attribute in vars(type(value)).items():
        if isinstance(attribute, property):
            found[name] = plain(getattr(value, name))
    return found


def _text(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return show(text)
    return text


def _dump(envelope: dict[str, Any]) -> str:
    return json.dumps(envelope, ensure_ascii=False, allow_nan=False)
