"""When each pack of a store was last read and found sound, by whoever keeps this file.

Page: ``docs/format/verified.md``. ASCII text, so that people can read it too::

    dver-verified 1
    <64 hex digits: a pack's name> <seconds since 1970>      one line for each, ascending
    check <16 hex digits: the XXH3 of everything before this line>

It decides which packs a partial check reads first, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

from dver.base.errors import FormatError
from dver.base.oid import OID_SIZE, checksum

_HEADER = "dver-verified 1"
_CHECK = "check "
_DIGITS = 2 * OID_SIZE
#: More packs than any store has, and longer than any time is spelled.
MAX_SIZE = 64 << 20


def encode(times: Mapping[bytes, int]) -> bytes:
    """Return the file for the times (seconds since 1970) of packs by their names."""
    lines = [_HEADER, *(f"{name.hex()} {times[name]}" for name in sorted(times))]
    text = "".join(f"{line}\n" for line in lines)
    return f"{text}{_CHECK}{checksum(text.encode()):016x}\n".encode()


def decode(data: bytes) -> dict[bytes, int]:
    """Return the times by the names of packs. Raises FormatError for any other bytes."""
    if len(data) > MAX_SIZE:
        raise FormatError("a list of verified packs is longer than any store needs")
    try:
        text = data.decode("ascii")
        head, *lines = text.split("\n")[:-2]
        found = dict(map(_line, lines))
    except ValueError as error:
        raise FormatError("a list of verified packs is malformed") from error
    if head != _HEADER or encode(found) != data:
        raise FormatError("a list of verified packs does not match its checksum")
    return found


def _line(text: str) -> tuple[bytes, int]:
    name, _, seconds = text.partition(" ")
    if len(name) != _DIGITS or not (seconds.isdigit() and len(seconds) < _DIGITS):
        raise ValueError(text)
    return bytes.fromhex(name), int(seconds)
