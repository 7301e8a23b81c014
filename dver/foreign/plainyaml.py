"""YAML of other tools as plain values: bounded, without tags, and without merge keys."""

from __future__ import annotations

import functools
from typing import Any

from dver.base.errors import FormatError

#: The longest file that is read (bytes), and the values that one may hold.
MAX_SIZE = 64 << 20
_MAX_VALUES = 5_000_000
#: The deepest nesting; what builds values in C would run out of its stack at some depth.
_MAX_DEPTH = 500
#: The longest number (characters), since Python prints no number of any length.
_MAX_DIGITS = 1000


def load(data: bytes, what: str) -> Any:
    """Return what a file holds: dicts, lists, texts, numbers, booleans, None.

    ``what`` names the file in errors. Merge keys (``<<``) are refused, and so is what aliases blow
    up. Raises FormatError.
    """
    import yaml

    if len(data) > MAX_SIZE:
        raise FormatError(f"{what} is larger than {MAX_SIZE >> 20} MiB")
    kind = _loader()
    try:
        if _may_be_deep(data):
            _refuse_depth(yaml, data, kind, what)
        if b"<<" in data and b"*" in data:
            _refuse_merges(yaml, data, kind, what)
        loader = kind(data)
        try:
            value = loader.get_single_data()
        finally:
            loader.dispose()
        if b"*" in data:
            _count(value, [_MAX_VALUES], what)
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise FormatError(f"{what}{line} is not YAML: {reason or type(error).__name__}") from None
    return value


def mapping(value: Any, what: str) -> dict[str, Any]:
    """Return a value that must be a mapping with text keys (None counts as an empty one)."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise FormatError(f"{what} does not hold 'key: value' lines")
    return {str(key): inner for key, inner in value.items()}


def sequence(value: Any, what: str) -> list[Any]:
    """Return a value that must be a list (None counts as an empty one)."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise FormatError(f"{what} is not a list")
    return value


def text_of(value: Any, what: str) -> str:
    """Return a value that must be a text; a number counts as the one it reads as."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise FormatError(f"{what} is no text")
    return str(value)


def number_of(value: Any) -> int:
    """Return a size or count, 0 where there is none that makes sense."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


@functools.cache
def _loader() -> Any:
    """Return PyYAML's loader, which refuses numbers of thousands of digits."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    def number(loader: Any, node: Any) -> Any:
        if len(node.value) > _MAX_DIGITS:
            raise ValueError("it holds a number of too many digits")
        return base.construct_yaml_int(loader, node)

    kind: Any = type("_Loader", (base,), {})
    kind.add_constructor("tag:yaml.org,2002:int", number)
    return kind


def _may_be_deep(data: bytes) -> bool:
    """Tell whether a text may be nested deep: each level takes a bracket, or a column more."""
    if data.count(b"[") + data.count(b"{") > _MAX_DEPTH:
        return True
    return len(data) > _MAX_DEPTH and max(map(len, data.splitlines())) > _MAX_DEPTH


def _refuse_depth(yaml: Any, data: bytes, kind: Any, what: str) -> None:
    depth = 0
    for event in yaml.parse(data, Loader=kind):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                line = event.start_mark.line + 1
                raise FormatError(f"{what}, line {line} is nested too deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _refuse_merges(yaml: Any, data: bytes, kind: Any, what: str) -> None:
    for event in yaml.parse(data, Loader=kind):
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and not event.style:
            line = event.start_mark.line + 1
            raise FormatError(f"{what}, line {line} has a merge key ('<<'), which is not read")


def _count(value: Any, left: list[int], what: str) -> None:
    left[0] -= 1
    if left[0] < 0:
        raise FormatError(f"{what} holds more than {_MAX_VALUES:,} values")
    if isinstance(value, dict):
        for inner in value.values():
            _count(inner, left, what)
    elif isinstance(value, list):
        for inner in value:
            _count(inner, left, what)
