"""Where records lie in a git repository: ``.dver/records/<2 hex>/<64 hex>.json``.

Apart from :mod:`dver.formats.record`, so that whoever looks for records in git need not load it.
"""

from __future__ import annotations

from dver.base.oid import OID_SIZE, Oid

DIRECTORY = b".dver/records"
_SIGNATURES = b".dsse.json"
_DIGITS = frozenset(b"0123456789abcdef")


def path_of(record_id: Oid) -> bytes:
    """Return the path of a record's file in its git repository."""
    digits = record_id.hex().encode()
    return b"%s/%s/%s.json" % (DIRECTORY, digits[:2], digits)


def id_of(path: bytes) -> Oid | None:
    """Return the id of the record that a path in a git repository is for, or None."""
    where, _, name = path.rpartition(b"/")
    digits = name.removesuffix(b".json")
    if len(digits) != 2 * OID_SIZE or digits == name or not _DIGITS.issuperset(digits):
        return None
    return Oid(bytes.fromhex(digits.decode())) if where == DIRECTORY + b"/" + digits[:2] else None


def signatures_path_of(record_id: Oid) -> bytes:
    """Return the path of the file with a record's signatures, which lies beside it."""
    return path_of(record_id).removesuffix(b".json") + _SIGNATURES


def signed_id_of(path: bytes) -> Oid | None:
    """Return the id of the record whose signatures a path in a git repository is for, or None."""
    if not path.endswith(_SIGNATURES):
        return None
    return id_of(path.removesuffix(_SIGNATURES) + b".json")
