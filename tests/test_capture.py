"""The page that is taken from a terminal holds what the script types into it."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from tests.support import docs

DOCS = Path(__file__).parent.parent / "docs"


def test_the_first_five_minutes_are_those_of_the_script() -> None:
    spec = spec_from_file_location("capture", DOCS / "capture.py")
    assert spec is not None
    assert spec.loader is not None
    capture: Any = module_from_spec(spec)
    spec.loader.exec_module(capture)
    page = capture.PAGE.read_text(encoding="utf-8")
    (session,) = docs.sessions(page)
    typed = [one.command for one in session.typed]
    assert typed == [line for _, commands in capture.STORY for line in commands]
    for words, _ in capture.STORY:
        assert words in page
    assert "\x1b" not in page
