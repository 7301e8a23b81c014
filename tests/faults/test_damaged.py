"""What is said of damaged stores stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.damaged import CANNED, CASES, VERDICTS, judge, unpack

EXPECTED = json.loads(VERDICTS.read_text())


@pytest.mark.parametrize("case", CASES)
def test_the_verdict_on_a_damaged_store_is_as_it_was(case: str, tmp_path: Path) -> None:
    unpack(case, tmp_path)
    assert judge(tmp_path) == EXPECTED[case]


def test_every_archive_is_judged() -> None:
    assert {path.name.partition(".")[0] for path in CANNED.glob("*.tar.gz")} == set(CASES)
    assert set(EXPECTED) == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_what_has_a_good_copy_somewhere_is_whole_in_the_end(case: str) -> None:
    verdict = EXPECTED[case]
    if case == "pointer-false":
        # Nobody can know what its author meant.
        assert verdict["fsck --full then"] == ["pointer-false data.dver"]
        return
    assert verdict["fsck --full then"] == []
    assert verdict["fsck --full -r nas then"] == []
    assert verdict["checkout in the end"] == "exit 0, 4 of 4 files"


def test_all_damage_is_found() -> None:
    for case, verdict in EXPECTED.items():
        is_found = bool(verdict["fsck --full"] or verdict["fsck --full -r nas"])
        # All that a lost segment named is in the remote, and so merely not here.
        assert is_found == (case not in ("sound", "index-obsolete", "index-missing")), case
