"""The error tree: fixed exit codes and words, and errors that survive a trip between processes."""

from __future__ import annotations

import pickle
import re

import pytest

from dver.base import errors
from dver.base.errors import DverError, TransientError

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, DverError)
]

EXIT_CODES = {
    "UsageError": 2,
    "RepositoryError": 3,
    "NotFoundError": 4,
    "RefusedError": 5,
    "MissingContentError": 6,
    "CorruptError": 7,
    "FormatError": 7,
    "RemoteError": 8,
    "TransientError": 8,
    "ObjectNotFound": 8,
    "AlreadyExists": 8,
    "LockedError": 9,
    "SystemFailure": 10,
    "ConfigError": 11,
}


def test_exit_codes_are_fixed() -> None:
    found = {one.__name__: one.exit_code for one in CLASSES if one is not DverError}
    assert found == EXIT_CODES
    assert (errors.EXIT_OK, errors.EXIT_NEGATIVE) == (0, 1)
    assert (errors.EXIT_BUG, errors.EXIT_INTERRUPTED) == (70, 130)


def test_every_error_has_its_own_word() -> None:
    words = [one.code for one in CLASSES]
    assert len(set(words)) == len(words)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", word) for word in words)


def test_the_drawing_shows_every_class_with_its_exit_code() -> None:
    drawing = errors.__doc__ or ""
    for name, code in EXIT_CODES.items():
        line = next(line for line in drawing.splitlines() if re.search(rf"\b{name}\b", line))
        number = re.search(rf"{name} +(\d+)", line)
        assert number is None or int(number[1]) == code


@pytest.mark.parametrize("kind", CLASSES)
def test_errors_survive_pickling(kind: type[DverError]) -> None:
    error = kind("cannot do it", hint="do something else", paths=["a", "b\nc"])
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.message, again.hint, again.paths) == (error.message, error.hint, error.paths)
    assert str(again) == "cannot do it"


def test_a_servers_advice_is_kept() -> None:
    error = pickle.loads(pickle.dumps(TransientError("slow down", retry_after=2.5)))
    assert error.retry_after == 2.5
    assert TransientError("reset").retry_after is None
