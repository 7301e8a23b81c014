"""Sums of other systems, MD5 and SHA-256, compared while files are read into the store.

They say whether a file is what its old name promises. What is not is never stored under that name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

#: ``md5-dos2unix`` is what DVC before 3.0 named files by: line ends of text do not count.
Algorithm = Literal["md5", "md5-dos2unix", "sha256"]
#: The length of a digest in bytes.
LENGTHS: dict[str, int] = {"md5": 16, "md5-dos2unix": 16, "sha256": 32}

#: DVC hashes so many bytes at once, and judges each such piece by its first bytes.
_PIECE = 1 << 20
_LOOKED_AT = 512
_TEXT = bytes(range(32, 127)) + b"\n\r\t\f\b"


class Sums(NamedTuple):
    """The digests that files should have, joined, in the files' order."""

    algorithm: Algorithm
    digests: bytes

    def at(self, i: int) -> bytes:
        """Return the digest of the i-th file."""
        length = LENGTHS[self.algorithm]
        return self.digests[i * length : (i + 1) * length]

    def part(self, indices: Sequence[int]) -> Sums:
        """Return those of some files."""
        first, end = indices[0], indices[-1] + 1
        length = LENGTHS[self.algorithm]
        if end - first == len(indices):
            return Sums(self.algorithm, self.digests[first * length : end * length])
        return Sums(self.algorithm, b"".join([self.at(i) for i in indices]))


def hasher(algorithm: Algorithm) -> Any:
    """Return an object with ``update`` and ``digest``; each update is one piece of a file."""
    if algorithm == "sha256":
        return hashlib.sha256(usedforsecurity=False)
    if algorithm == "md5":
        return hashlib.md5(usedforsecurity=False)
    return _Dos2Unix()


def checker(algorithm: Algorithm) -> Callable[[bytes, bytes], bool]:
    """Return a test of whole contents: ``is_right(content, digest)``."""
    if algorithm == "sha256":
        return lambda data, digest: hashlib.sha256(data, usedforsecurity=False).digest() == digest
    if algorithm == "md5":
        return lambda data, digest: hashlib.md5(data, usedforsecurity=False).digest() == digest
    return _is_dos2unix


def digest_of(algorithm: Algorithm, data: bytes) -> bytes:
    """Return the digest of a whole content."""
    made = hasher(algorithm)
    made.update(data)
    digest: bytes = made.digest()
    return digest


def _is_dos2unix(data: bytes, digest: bytes) -> bool:
    # Without a line end of Windows in it, both sums are one.
    if hashlib.md5(data, usedforsecurity=False).digest() == digest:
        return True
    return b"\r\n" in data and digest_of("md5-dos2unix", data) == digest


class _Dos2Unix:
    """MD5 as DVC before 3.0 took it, with its faults: a line end across two pieces stays."""

    def __init__(self) -> None:
        self._inner = hashlib.md5(usedforsecurity=False)
        self._rest = b""

    def update(self, data: bytes | memoryview) -> None:
        """Take more of the content, in pieces of any length."""
        joined = self._rest + bytes(data)
        whole = len(joined) // _PIECE * _PIECE
        for at in range(0, whole, _PIECE):
            self._take(joined[at : at + _PIECE])
        self._rest = joined[whole:]

    def _take(self, piece: bytes) -> None:
        self._inner.update(piece.replace(b"\r\n", b"\n") if _is_text(piece) else piece)

    def digest(self) -> bytes:
        """Return the digest of all that was taken."""
        last = self._inner.copy()
        if self._rest:
            piece = self._rest
            last.update(piece.replace(b"\r\n", b"\n") if _is_text(piece) else piece)
        return last.digest()


def _is_text(piece: bytes) -> bool:
    block = piece[:_LOOKED_AT]
    if b"\0" in block:
        return False
    return len(block.translate(None, _TEXT)) / len(block) <= 0.30
