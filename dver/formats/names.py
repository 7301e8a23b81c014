r"""Which file names dver accepts in trees, pointers and checkouts.

Page: ``docs/format/tree.md``, section Names. A name is one path component, as the bytes that are on
disk. Refused everywhere, on every system, because somebody's checkout would be attacked or broken
by it:

- empty, ``.``, ``..``, anything with ``/`` or NUL, anything longer than 255 bytes
- ``.git`` and ``.dver`` in any disguise that some file system folds back: other case, trailing
  dots and spaces and ``:stream`` suffixes (NTFS), the short name ``git~1`` (NTFS), ignorable
  code points (HFS+)
- Windows device names (``con``, ``aux.txt``, ``com1`` ...)
- a backslash beside any of these, since Windows would read it as a separator (``..\x``)

The rules follow git's ``verify_path``, ``is_ntfs_dotgit`` and ``is_hfs_dotgit``. Other names with a
backslash or a colon are fine, except in a checkout on a system that cannot hold them.
"""

from __future__ import annotations

import re

from dver.base.errors import FormatError
from dver.base.quoting import show

MAX_NAME = 255

# Code points that HFS+ ignores when it compares names (the list git uses, utf8.c).
_HFS_IGNORED = "[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]"
_NOT_ON_WINDOWS = frozenset(b'<>:"|?*\\')
_DOT_DIRS = frozenset({".git", ".dver", "git~1", "dver~1"})
_DEVICE = r"(?s:(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])[ ]*(?:[.:].*)?)"
_DEVICE_BEGINS = frozenset({"con", "prn", "aux", "nul", "com", "lpt"})

# Cheap nets over NUL-separated, lower-case names: what both miss is innocent, what one catches is
# looked at properly. They keep the check of a million names in C. The second is for the HFS+ code
# points and the backslash, which may stand anywhere in a name; most data has none of its marks.
_BEGINS_BADLY = (
    rb"(?s:\0(?:\0|\.\.?\0|(?:\.git|\.dver|git~1|dver~1)[\0 .:]"
    rb"|(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)(?:[0-9]|\xc2.))[\0 .:]))"
)
_HIDES = rb"\xe2\x80[\x8c-\x8f\xaa-\xae]|\xe2\x81[\xaa-\xaf]|\xef\xbb\xbf|\\"
_MARKS = (b"\xe2\x80", b"\xe2\x81", b"\xef\xbb\xbf", b"\\")


def problem(name: bytes) -> str | None:
    """Return why a name is refused, or None when it is fine."""
    if not name:
        return "it is empty"
    if b"/" in name or b"\0" in name:
        return "it contains '/' or NUL"
    if len(name) > MAX_NAME:
        return f"it is longer than {MAX_NAME} bytes"
    text = name.decode("utf-8", "surrogateescape")
    folded = (text if text.isascii() else re.sub(_HFS_IGNORED, "", text)).casefold()
    for part in folded.split("\\"):
        if part in (".", ".."):
            return "it means another directory"
        if part.split(":", 1)[0].rstrip(". ") in _DOT_DIRS:
            return "git and dver keep their own files under such a name"
        if part[:3] in _DEVICE_BEGINS and re.fullmatch(_DEVICE, part):
            return "Windows reserves it for a device"
    return None


def unfit_for_windows(name: bytes) -> str | None:
    """Return why Windows cannot hold a name that is fine elsewhere, or None if it can."""
    if any(byte < 0x20 or byte in _NOT_ON_WINDOWS for byte in name):
        return 'it holds one of < > : " | ? * \\ or a control character'
    if name.endswith((b".", b" ")):
        return "it ends with a dot or a space"
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return "it is not UTF-8"
    return None


def check_name(name: bytes) -> None:
    """Raise FormatError if one name is refused."""
    reason = problem(name)
    if reason is not None:
        raise FormatError(f"the name {show(name[:300])} is refused: {reason}")


def check_names(block: bytes) -> None:
    """Raise FormatError if any of many names, each ended by NUL, is refused.

    Costs one or two regular expressions over the block, and a closer look at what they suspect.
    """
    names = block[:-1].split(b"\0")
    if b"/" in block or max(map(len, names)) > MAX_NAME:
        for name in names:
            check_name(name)
        return
    bounded = b"\0" + block
    lower = bounded.lower()
    nets = [re.compile(_BEGINS_BADLY)]
    if any(mark in block for mark in _MARKS):
        nets.append(re.compile(_HIDES))
    for net in nets:
        position = 0
        while match := net.search(lower, position):
            start = bounded.rfind(b"\0", 0, match.start() + 1) + 1
            position = bounded.index(b"\0", start)
            check_name(bounded[start:position])


def check_path(path: bytes) -> None:
    """Raise FormatError if any component of a relative ``/``-separated path is refused."""
    for name in path.split(b"/"):
        check_name(name)
