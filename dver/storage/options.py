"""Reading the text values of a remote's options."""

from __future__ import annotations

from collections.abc import Mapping

from dver.base.errors import ConfigError

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def flag(options: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Return a yes-or-no option. Raises ConfigError for a value that is neither."""
    value = options.get(name, "").lower()
    if not value:
        return default
    if value not in _TRUE | _FALSE:
        raise ConfigError(f"{name} is {options[name]!r}", hint="it must be true or false")
    return value in _TRUE


def seconds(options: Mapping[str, str], name: str, *, default: float) -> float:
    """Return an option that is a number of seconds above 0. Raises ConfigError for others."""
    value = options.get(name, "")
    if not value:
        return default
    if not value.isdecimal() or int(value) == 0:
        raise ConfigError(f"{name} is {value!r}", hint="it must be a whole number of seconds")
    return float(value)
