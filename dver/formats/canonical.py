"""JSON with one spelling, for what is named by the hash of its bytes.

Page: ``docs/format/record.md``. Keys are sorted, one space of indentation for each level, ASCII,
one line feed at the end; numbers are integers of 64 bits. Dataclasses of texts, integers, oids,
lists and other dataclasses are turned into such JSON and back by their declared types.
"""

from __future__ import annotations

import functools
import json
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from dver.base.errors import FormatError
from dver.base.oid import Oid, format_oid, parse_oid

T = TypeVar("T")

MAX_DEPTH = 16
_BREAK = re.compile(rb"\n *")
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_LONGEST = len(str(_LEAST))


def dump(value: Any) -> bytes:
    """Return the one spelling of a value. Raises ValueError for a float or a number too large."""
    _check(value, 0)
    return json.dumps(value, sort_keys=True, indent=1).encode("ascii") + b"\n"


def load(data: bytes, what: str, limit: int) -> dict[str, Any]:
    """Parse an object. Raises FormatError, which names ``what`` it is, for any other spelling."""
    if len(data) > limit:
        raise FormatError(f"{what} is longer than {limit} bytes")
    try:
        value = json.loads(
            data.decode("ascii"), parse_int=_int, parse_float=_no_float, parse_constant=_no_float
        )
        if not isinstance(value, dict):
            raise FormatError(f"{what} is no JSON object")
        _require_shallow(value, 1)
        # One comparison covers order, escapes, and keys that come twice. Where lines are broken is
        # not looked at: with indentation Python's encoder is ten times slower.
        joined = _BREAK.sub(b"", data)
        if data[-2:] != b"}\n" or _joined(value) != joined:
            raise FormatError(f"{what} is not spelled canonically")
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} is not JSON of the allowed kind") from error
    return value


def load_checked(data: bytes) -> Any:
    """Parse what :func:`load` has accepted before."""
    return json.loads(data)


def _joined(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ": ")).encode("ascii")


def to_plain(value: Any) -> Any:
    """Return a dataclass as plain JSON values; fields that are as by default are left out."""
    if isinstance(value, bytes):
        return format_oid(Oid(value))
    if isinstance(value, tuple):
        return [to_plain(one) for one in value]
    if isinstance(value, Mapping):
        return dict(value)
    if not is_dataclass(value):
        return value
    plain = {}
    for field in fields(value):
        one = getattr(value, field.name)
        if _is_required(field) or one != _default(field):
            plain[field.name] = to_plain(one)
    return plain


def from_plain(cls: type[T], value: Any, what: str) -> T:
    """Build a dataclass from plain JSON values; unknown fields are ignored.

    Raises FormatError, which names ``what`` and the field, for a wrong type or a missing field.
    """
    try:
        found: T = _builder(cls)(value)  # type: ignore[arg-type]  # classes are hashable
    except _MisfitError as error:
        raise FormatError(": ".join([what, *error.path]) + f" {error.reason}") from None
    return found


class _MisfitError(Exception):
    """A value is not what is declared: where in the whole, and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path: list[str] = []


_Builder = Callable[[Any], Any]


@functools.cache
def _builder(kind: Any) -> _Builder:
    """Return what builds a value of some type from a plain one; made once for each type."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        (kind,) = [one for one in get_args(kind) if one is not type(None)]
        return _builder(kind)
    if origin is Literal:
        return functools.partial(_one_of, get_args(kind))
    if origin is tuple:
        return functools.partial(_list_of, _builder(get_args(kind)[0]))
    if origin is not None:
        return _texts
    if kind is Oid:
        return _oid
    if is_dataclass(kind):
        return _dataclass(kind)
    return functools.partial(_exactly, kind)


def _dataclass(cls: Any) -> _Builder:
    hints = get_type_hints(cls)
    shape = [(one.name, _builder(hints[one.name]), _is_required(one)) for one in fields(cls)]

    def build(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _MisfitError("is no object")
        found = {}
        for name, builder, required in shape:
            if name in value:
                try:
                    found[name] = builder(value[name])
                except _MisfitError as error:
                    error.path.insert(0, name)
                    raise
            elif required:
                raise _MisfitError(f"lacks the field {name}")
        return cls(**found)

    return build


def _one_of(allowed: tuple[str, ...], value: Any) -> Any:
    if value not in allowed:
        raise _MisfitError(f"is none of {', '.join(allowed)}")
    return value


def _list_of(builder: _Builder, value: Any) -> Any:
    if not isinstance(value, list):
        raise _MisfitError("is no list")
    return tuple([builder(one) for one in value])


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise _MisfitError("is no object of texts")
    return value


def _oid(value: Any) -> Oid:
    try:
        if isinstance(value, str) and value.startswith("blake3:"):
            return parse_oid(value)
    except ValueError:
        pass
    raise _MisfitError("is no oid")


def _exactly(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise _MisfitError(f"is not {kind.__name__}")
    return value


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _default(field: Any) -> Any:
    return field.default if field.default is not MISSING else field.default_factory()


def _check(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deep")
    if isinstance(value, dict):
        for key, one in value.items():
            if not isinstance(key, str):
                raise TypeError("a key is no text")
            _check(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            _check(one, depth + 1)
    elif isinstance(value, bool) or value is None or isinstance(value, str):
        return
    elif not isinstance(value, int) or not _LEAST <= value <= _MOST:
        raise ValueError("a number is not an integer of 64 bits")


def _require_shallow(value: Any, depth: int) -> None:
    """Raise ValueError if what was parsed nests too deep; leaves need not be looked at."""
    for one in value.values() if type(value) is dict else value:
        if depth > MAX_DEPTH:
            raise ValueError("nested too deep")
        if type(one) is dict or type(one) is list:
            _require_shallow(one, depth + 1)


def _int(text: str) -> int:
    value = int(text) if len(text) <= _LONGEST else _MOST + 1
    if not _LEAST <= value <= _MOST:
        raise ValueError("a number is not an integer of 64 bits")
    return value


def _no_float(text: str) -> Any:
    raise ValueError(f"{text[:40]} is no integer")
