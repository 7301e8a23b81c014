"""in-toto Statement v1: https://github.com/in-toto/attestation, about what a record made.

The predicate is the record itself, field by field, so that whoever has the statement has all of
it: this is what ``dver sign`` signs. A verdict becomes a test-result v0.1.
"""

from __future__ import annotations

import json
from typing import Any

from dver.formats import recordpath
from dver.formats.record import Grade, Item
from dver.lineage.exporting.contents import Contents, digests
from dver.lineage.exporting.spelling import RECORD, Recorded, filled, text

STATEMENT = "https://in-toto.io/Statement/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
_RESULTS: dict[Grade, str] = {
    "exact": "PASSED",
    "content": "PASSED",
    "metric": "WARNED",
    "diverged": "FAILED",
    "blocked": "FAILED",
}


def statement(one: Recorded, contents: Contents) -> dict[str, Any]:
    """Return the statement of a record: about its file, and what it made."""
    return {
        "_type": STATEMENT,
        "subject": [about_record(one), *subjects(one.value.outputs, contents)],
        "predicateType": RECORD,
        "predicate": json.loads(one.data),
    }


def about_record(one: Recorded) -> dict[str, Any]:
    """Return a record's own file as a resource."""
    import hashlib

    sha256 = hashlib.sha256(one.data).hexdigest()
    return {
        "name": recordpath.path_of(one.id).decode(),
        "digest": {"sha256": sha256, "blake3": one.id.hex()},
    }


def subjects(items: tuple[Item, ...], contents: Contents) -> list[dict[str, Any]]:
    """Return items as resources; of directories that are here also each file, with its hashes."""
    found = []
    for one in items:
        found.append({"name": text(one.path), "digest": digests(contents, one.oid, one.kind)})
        members = contents.members(one.oid) if one.kind == "tree" else None
        found += [
            {"name": text(f"{one.path}/{file.path}"), "digest": digests(contents, file.oid)}
            for file in members or ()
        ]
    return found


def test_result(one: Recorded, original: Recorded, contents: Contents) -> dict[str, Any]:
    """Return the verdict in a ``reproduce`` record as a statement about what was made again."""
    verdict = one.value.verdict
    if verdict is None:
        raise ValueError("the record has no verdict")
    named: dict[str, list[str]] = {"PASSED": [], "WARNED": [], "FAILED": []}
    for output in verdict.outputs:
        named[_RESULTS[output.grade]].append(text(output.path))
    return {
        "_type": STATEMENT,
        "subject": subjects(original.value.outputs, contents),
        "predicateType": TEST_RESULT,
        "predicate": filled(
            result=_RESULTS[verdict.grade],
            configuration=[about_record(original), about_record(one)],
            passedTests=named["PASSED"],
            warnedTests=named["WARNED"],
            failedTests=named["FAILED"],
        ),
    }
