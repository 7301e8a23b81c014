"""Which file names dver accepts in trees, pointers and checkouts.

A name is one path component, as the bytes that are on disk. Refused everywhere, on every system,
because somebody's checkout would be attacked or broken by it:

- empty, ``.``, ``..``, anything with ``/`` or NUL, anything longer than 255 bytes
- ``.git`` and ``.dver`` in any disguise that some file system folds back: other case, trailing
  dots and spaces and ``:stream`` suffixes (NTFS), the short name ``git~1`` (NTFS), ignorable
  code points (HFS+)
- Windows device names (``con``, ``aux.txt``, ``com1`` ...)

The rules follow git's ``verify_path``, ``is_ntfs_dotgit`` and ``is_hfs_dotgit``.
"""

from __future__ import annotations

import re

from dver.base.errors import FormatError
from dver.base.fsio import show

MAX_NAME = 255

# Code points that HFS+ ignores when it compares names (the list git uses, utf8.c).
_HFS_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_DOT_DIRS = frozenset({".git", ".dver", "git~1", "dver~1"})
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])[ ]*(?:[.:].*)?", re.S
)

# A cheap net over NUL-separated names: whatever it misses is innocent, whatever it catches is
# looked at properly. It keeps the check of a million names in C.
_SUSPECT = re.compile(
    rb"\0(?:\0|\.\.?\0|\.git|\.dver|git~1|dver~1|con|prn|aux|nul|com[0-9\xc2]|lpt[0-9\xc2])"
)


def problem(name: bytes) -> str | None:
    """Return why a name is refused, or None when it is fine."""
    if not name:
        return "it is empty"
    if name in (b".", b".."):
        return "it means another directory"
    if b"/" in name or b"\0" in name:
        return "it contains '/' or NUL"
    if len(name) > MAX_NAME:
        return f"it is longer than {MAX_NAME} bytes"
    folded = _HFS_IGNORED.sub("", name.decode("utf-8", "surrogateescape")).casefold()
    if folded.split(":", 1)[0].rstrip(". ") in _DOT_DIRS:
        return "git and dver keep their own files under such a name"
    if _DEVICE.fullmatch(folded):
        return "Windows reserves it for a device"
    return None


def check_name(name: bytes) -> None:
    """Raise FormatError if one name is refused."""
    reason = problem(name)
    if reason is not None:
        raise FormatError(f"the name {show(name)} is refused: {reason}")


def check_names(block: bytes) -> None:
    """Raise FormatError if any of many names, each ended by NUL, is refused.

    Costs one regular expression over the block, plus a closer look at what that suspects.
    """
    names = block[:-1].split(b"\0")
    if b"/" in block or b"\xe2" in block or b"\xef" in block or max(map(len, names)) > MAX_NAME:
        for name in names:
            check_name(name)
        return
    bounded = b"\0" + block
    position = 0
    lower = bounded.lower()
    while match := _SUSPECT.search(lower, position):
        start = match.start() + 1
        end = bounded.index(b"\0", start)
        check_name(bounded[start:end])
        position = end


def check_path(path: bytes) -> None:
    """Raise FormatError if any component of a relative ``/``-separated path is refused."""
    for name in path.split(b"/"):
        check_name(name)
