"""The kinds of entries in trees, as the ASCII codes of their letters."""

from __future__ import annotations

FILE, EXECUTABLE, SYMLINK, DIRECTORY = b"fxld"
