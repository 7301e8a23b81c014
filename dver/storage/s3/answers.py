"""The XML that S3 answers with, read without trust: listings, errors, multipart uploads."""

from __future__ import annotations

import re
from dataclasses import field
from urllib.parse import unquote_plus

from dver.base.dataclass import dataclass
from dver.storage.base import Entry

_MAX_DEPTH = 8
#: No answer of S3 is longer (bytes) or has more elements: a page of a listing has 1,000 keys.
_MAX_SIZE = 8 << 20
_MAX_NODES = 100_000
#: No number or name in an answer has more characters.
_MAX_DIGITS = 19


class NotS3Error(ValueError):
    """The body is not the XML document that S3 would have sent."""


@dataclass(slots=True)
class Node:
    """One XML element: its name without namespace, its text, its children."""

    name: str
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def get(self, name: str) -> str | None:
        """Return the text of the first child of that name."""
        return next((child.text for child in self.children if child.name == name), None)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing; ``token`` asks for the next one, None after the last."""

    entries: list[Entry]
    token: str | None


def parse(body: bytes, *roots: str) -> Node:
    """Parse a document whose root element has one of the names. Raises NotS3Error otherwise."""
    from xml.parsers import expat

    if len(body) > _MAX_SIZE:
        raise NotS3Error("it is too long")
    parser = expat.ParserCreate(namespace_separator=" ")
    top = Node("")
    stack = [top]
    left = _MAX_NODES

    def start(name: str, _attributes: dict[str, str]) -> None:
        nonlocal left
        left -= 1
        if len(stack) > _MAX_DEPTH or not left:
            raise NotS3Error("nested too deeply, or too long")
        node = Node(name.rpartition(" ")[2])
        stack[-1].children.append(node)
        stack.append(node)

    def end(_name: str) -> None:
        stack.pop()

    def text(data: str) -> None:
        stack[-1].text += data

    def doctype(*_args: object) -> None:
        raise NotS3Error("it declares a document type")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    parser.buffer_text = True
    parser.buffer_size = 1 << 20
    try:
        parser.Parse(body, True)
    except NotS3Error:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:
        # The last two are for an encoding that it claims to have.
        raise NotS3Error("it is not XML") from error
    if top.children[0].name not in roots:
        raise NotS3Error(f"it is a {top.children[0].name[:40]!r} document")
    return top.children[0]


def parse_page(body: bytes, prefix: str) -> Page:
    """Parse one page of ListObjectsV2; keys come without ``prefix``.

    Raises NotS3Error for anything that does not say clearly whether more is to come.
    """
    root = parse(body, "ListBucketResult")
    encoded = root.get("EncodingType") == "url"
    truncated = root.get("IsTruncated")
    if truncated not in ("true", "false"):
        raise NotS3Error("it does not say whether it is complete")
    token = root.get("NextContinuationToken")
    if truncated == "true" and not token:
        raise NotS3Error("it is incomplete and does not say how to go on")
    entries = []
    for node in root.children:
        if node.name != "Contents":
            continue
        key, size = node.get("Key"), node.get("Size")
        if key is None or size is None or not is_number(size):
            raise NotS3Error("it has an entry without key or size")
        key = unquote_plus(key) if encoded else key
        if not key.startswith(prefix):
            raise NotS3Error("it has a key that was not asked for")
        entries.append(
            Entry(
                key[len(prefix) :],
                int(size),
                _seconds(node.get("LastModified") or ""),
                (node.get("ETag") or "").strip('"') or None,
            )
        )
    return Page(entries, token if truncated == "true" else None)


def _seconds(text: str) -> float | None:
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def is_number(text: str) -> bool:
    """Tell whether a text is a whole number of a size that something can have."""
    return text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS


def parse_error(body: bytes) -> tuple[str, str, str | None]:
    """Return an error document's code, message and region; empty text where there is none.

    A code or region that is no plain word counts as none.
    """
    try:
        root = parse(body, "Error")
    except NotS3Error:
        return "", "", None
    return _word(root.get("Code")) or "", root.get("Message") or "", _word(root.get("Region"))


def plain_region(text: str | None) -> str | None:
    """Return the region that a server told of, or None if that is no name of a region.

    Host names are built of it, and hints that people paste into a shell.
    """
    return _word(text)


def _word(text: str | None) -> str | None:
    found = text is not None and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,63}", text)
    return text if found else None
