"""``format.json``: the first thing written to a store and the first thing read from it.

Page: ``docs/format/store.md``. It names the format's version and the parameters by which objects are
cut into chunks, which must be the same for everyone who adds to the store, or nothing dedups.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from dver.base.errors import FormatError

KEY = "format.json"
MAX_SIZE = 65536


@dataclass(frozen=True, slots=True)
class Chunker:
    """FastCDC's parameters (the algorithm of Xia et al., 2020): sizes in bytes."""

    name: str = "fastcdc-2020"
    min_size: int = 16 << 10
    avg_size: int = 64 << 10
    max_size: int = 256 << 10
    normalization: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """A store's identity and fixed parameters. ``store_id`` is 32 random hex digits."""

    store_id: str
    chunker: Chunker = Chunker()


def encode(info: StoreInfo) -> bytes:
    """Return the bytes of ``format.json``."""
    fields = {
        "dver_store": 1,
        "hash": "blake3-256",
        "store_id": info.store_id,
        "chunker": asdict(info.chunker),
    }
    return (json.dumps(fields, indent=2, sort_keys=True) + "\n").encode("ascii")


def decode(data: bytes) -> StoreInfo:
    """Parse ``format.json``. Raises FormatError for a newer version or parameters out of bounds."""
    try:
        fields: Any = json.loads(data) if len(data) <= MAX_SIZE else None
    except (ValueError, RecursionError) as error:
        raise FormatError("format.json is not JSON: this is not a dver store") from error
    if not isinstance(fields, dict) or "dver_store" not in fields:
        raise FormatError("format.json is not dver's: this is not a dver store")
    if fields["dver_store"] != 1 or fields.get("hash") != "blake3-256":
        raise FormatError(
            f"the store has format version {fields['dver_store']}; this dver reads version 1",
            hint="upgrade dver",
        )
    try:
        chunker = Chunker(**fields["chunker"])
        info = StoreInfo(fields["store_id"], chunker)
    except (KeyError, TypeError) as error:
        raise FormatError(f"format.json lacks or misspells a field: {error}") from error
    numbers = (chunker.min_size, chunker.avg_size, chunker.max_size)
    if (
        chunker.name != "fastcdc-2020"
        or not isinstance(info.store_id, str)
        or not all(
            isinstance(number, int) for number in (*numbers, chunker.normalization, chunker.seed)
        )
        or not 1024 <= chunker.min_size < chunker.avg_size < chunker.max_size <= 1 << 20
    ):
        raise FormatError("format.json has chunker parameters that this dver does not know")
    return info
