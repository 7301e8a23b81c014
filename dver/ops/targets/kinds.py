"""The words that people and JSON see for the kinds of entries."""

from __future__ import annotations

from typing import Literal

from dver.formats.tree import DIRECTORY, EXECUTABLE, FILE, SYMLINK

KindWord = Literal["file", "executable", "symlink", "directory"]

_WORDS: dict[int, KindWord] = {
    FILE: "file",
    EXECUTABLE: "executable",
    SYMLINK: "symlink",
    DIRECTORY: "directory",
}


def kind_word(kind: int) -> KindWord:
    """Return the word for an entry's kind."""
    return _WORDS[kind]
