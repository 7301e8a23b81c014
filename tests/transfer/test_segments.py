"""The index segments that a push writes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dver.base.oid import Oid
from dver.formats import pack, segment
from dver.store.packfile import FinishedPack
from dver.transfer import segments

OIDS = st.integers(0, 40).map(lambda n: Oid(n.to_bytes(2, "big") * 16))


def finished(name: bytes, oids: list[Oid]) -> FinishedPack:
    frames = [
        pack.Frame(oid, 32 + 200 * i, 100, 100, pack.BLOB, 0, i) for i, oid in enumerate(oids)
    ]
    return FinishedPack("", name, 1 << 20, b"".join(map(pack.encode_row, frames)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(OIDS, unique=True), max_size=4))
def test_many_rows_and_few_make_the_same_segment(
    monkeypatch: pytest.MonkeyPatch, contents: list[list[Oid]]
) -> None:
    packs = [finished(bytes([9 - i]) * 32, oids) for i, oids in enumerate(contents)]
    made = []
    for limit in (0, 1000):
        monkeypatch.setattr(segments, "_MANY_ROWS", limit)
        made.append(list(segments.build_segments(packs, [], bytes(16))))
    assert made[0] == made[1]
    for data in made[0]:
        assert segment.check(data).rows == len({oid for oids in contents for oid in oids})
