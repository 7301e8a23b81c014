"""Results as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath

import pytest

from dver.base.errors import NotFoundError
from dver.base.oid import oid_of
from dver.ui import jsonout


@dataclass(frozen=True, slots=True)
class Inner:
    path: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Outer:
    """A result with a bit of everything."""

    items: tuple[Inner, ...]
    oid: bytes

    @property
    def empty(self) -> bool:
        """A property is a field too."""
        return not self.items


class Colour(Enum):
    RED = "red"


def test_dataclasses_become_objects_with_their_properties() -> None:
    oid = oid_of(b"abc")
    value = Outer((Inner("a", 1), Inner("b")), oid)
    assert jsonout.plain(value) == {
        "items": [{"path": "a", "size": 1}, {"path": "b", "size": None}],
        "oid": "blake3:" + oid.hex(),
        "empty": False,
    }


def test_other_values() -> None:
    assert jsonout.plain(b"name") == "name"
    assert jsonout.plain(Colour.RED) == "red"
    assert jsonout.plain(PurePosixPath("a/b")) == "a/b"
    assert jsonout.plain({"k": {"b", "a"}}) == {"k": ["a", "b"]}
    with pytest.raises(TypeError, match="no JSON for object"):
        jsonout.plain(object())


def test_names_that_are_not_unicode_give_valid_json() -> None:
    text = jsonout.result("ls", Inner("caf\udce9 ü"))
    assert json.loads(text)["result"]["path"] == '"caf\\351 ü"'
    assert json.loads(jsonout.result("ls", Inner("café")))["result"]["path"] == "café"


def test_envelopes() -> None:
    assert json.loads(jsonout.result("add", 1)) == {
        "dver": 1,
        "command": "add",
        "ok": True,
        "result": 1,
    }
    assert json.loads(jsonout.result("status", 1, exit_code=1))["ok"] is True
    assert json.loads(jsonout.result("fsck", 1, exit_code=7))["ok"] is False
    error = NotFoundError("no such thing", hint="look", paths=("a", "b\udcff"))
    assert json.loads(jsonout.failed("ls", error)) == {
        "dver": 1,
        "command": "ls",
        "ok": False,
        "error": {
            "code": "not-found",
            "message": "no such thing",
            "hint": "look",
            "paths": ["a", '"b\\377"'],
            "exit_code": 4,
        },
    }
