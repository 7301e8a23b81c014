"""``format.json``: the first thing written to a store and the first thing read from it.

Page: ``docs/format/store.md``. It names the format's version and the parameters by which objects
are cut into chunks, which must be the same for everyone who adds to the store, or nothing dedups.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dver.base.errors import FormatError

KEY = "format.json"
MAX_SIZE = 65536
_KEYS = {"dver_store", "hash", "store_id", "chunker"}
_HEX = frozenset("0123456789abcdef")


class Chunker(NamedTuple):
    """FastCDC's parameters (the algorithm of Xia et al., 2020): sizes in bytes."""

    name: str = "fastcdc-2020"
    min_size: int = 32 << 10
    avg_size: int = 64 << 10
    max_size: int = 256 << 10
    normalization: int = 2
    seed: int = 0


class StoreInfo(NamedTuple):
    """A store's identity and fixed parameters. ``store_id`` is 32 random hex digits."""

    store_id: str
    chunker: Chunker = Chunker()


def encode(info: StoreInfo) -> bytes:
    """Return the bytes of ``format.json``."""
    chunker = info.chunker._asdict() | {"name": f'"{info.chunker.name}"'}
    rows = ",\n".join(f'    "{key}": {chunker[key]}' for key in sorted(chunker))
    return (
        f'{{\n  "chunker": {{\n{rows}\n  }},\n  "dver_store": 1,\n  "hash": "blake3-256",\n'
        f'  "store_id": "{info.store_id}"\n}}\n'
    ).encode("ascii")


def decode(data: bytes) -> StoreInfo:
    """Parse ``format.json``. Raises FormatError for a newer version or parameters out of bounds."""
    if len(data) > MAX_SIZE:
        raise FormatError("format.json is too long: this is not a dver store")
    # What dver writes is known by its text: every command would pay for a parser's import.
    usual = StoreInfo(data[-36:-4].decode("latin-1"))
    if _is_id(usual.store_id) and data == encode(usual):
        return usual
    import json

    try:
        fields: Any = json.loads(data, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise FormatError("format.json is not JSON: this is not a dver store") from error
    if not isinstance(fields, dict) or not _is_number(fields.get("dver_store"), 1, 1 << 31):
        raise FormatError("format.json is not dver's: this is not a dver store")
    if fields["dver_store"] != 1:
        raise FormatError(
            f"the store has format version {fields['dver_store']} and this dver reads version 1",
            hint="upgrade dver",
        )
    if set(fields) != _KEYS or fields["hash"] != "blake3-256":
        raise FormatError("format.json has a field that this dver does not know, or lacks one")
    store_id = fields["store_id"]
    if not isinstance(store_id, str) or not _is_id(store_id):
        raise FormatError("format.json's store_id is not 32 hex digits")
    return StoreInfo(store_id, _chunker(fields["chunker"]))


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field stands there twice")
    return fields


def _chunker(fields: Any) -> Chunker:
    try:
        chunker = Chunker(**fields)
    except TypeError as error:
        raise FormatError("format.json's chunker has an unknown field") from error
    sizes = (chunker.min_size, chunker.avg_size, chunker.max_size)
    if (
        len(fields) != len(chunker)
        or chunker.name != "fastcdc-2020"
        or not all(_is_number(size, 1024, 1 << 20) for size in sizes)
        or not sizes[0] < sizes[1] < sizes[2]
        or not _is_number(chunker.normalization, 0, 3)
        or not _is_number(chunker.seed, 0, (1 << 64) - 1)
    ):
        raise FormatError("format.json has chunker parameters that this dver does not know")
    return chunker


def _is_id(text: str) -> bool:
    return len(text) == 32 and _HEX.issuperset(text)


def _is_number(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
