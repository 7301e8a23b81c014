"""How paths are shown to people: on one line, printable, and ready to be pasted."""

from __future__ import annotations

import os
import re

PathLike = str | bytes | os.PathLike[str]

_QUOTED = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\v": "\\v",
    "\f": "\\f",
    "\r": "\\r",
    "$": "\\044",
    "`": "\\140",
}
# On Windows a backslash is a separator of directories, and no file name can hold one.
_MUST_QUOTE = re.compile(r"""["`$;&|<>]""" if os.name == "nt" else r"""["`$;&|<>\\]""")


def show(path: PathLike) -> str:
    """Return a path as one line of printable text, quoted as git quotes when it needs to be.

    That is git's quoting with ``core.quotePath`` off: a name with a double quote, a backslash or
    anything that does not print stands in double quotes with C escapes, and letters of any script
    stay readable. What git would still print raw but a terminal could be fooled by, such as a
    right-to-left override, is escaped byte by byte; and so that a hint with such a name in it can
    be pasted into a shell, what a shell would act on is put in quotes too, ``$`` and the backquote
    escaped.
    """
    plain = os.fspath(path)
    text = plain.decode("utf-8", "surrogateescape") if isinstance(plain, bytes) else plain
    if text.isprintable() and _MUST_QUOTE.search(text) is None:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in _QUOTED:
        return _QUOTED[char]
    if char.isprintable():
        return char
    if "\udc80" <= char <= "\udcff":
        return f"\\{ord(char) - 0xDC00:03o}"
    return "".join(f"\\{byte:03o}" for byte in char.encode("utf-8", "surrogatepass"))
