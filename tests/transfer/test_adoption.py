"""Verifying packs that came whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from dver.base.errors import FormatError
from dver.base.oid import OID_SIZE, oid_of
from dver.formats import pack
from dver.store.packfile import FinishedPack
from dver.transfer.adoption import adopt
from tests.formats import samples


def write(path: Path, data: bytes) -> tuple[str, bytes, int]:
    path.write_bytes(data)
    return str(path), samples.pack_name(data), len(data)


def test_what_is_not_its_oid_is_left_out(tmp_path: Path) -> None:
    data, frames = samples.sample_pack()
    liar = frames[0]._replace(oid=oid_of(b"something else"))
    lied = pack.encode_frame(liar)
    front = data[: frames[-1].end].replace(pack.encode_frame(frames[0]), lied)
    rows = [pack.encode_row(one) for one in (liar, *frames[1:])]
    wanted = b"".join(one.oid for one in (liar, *frames))
    found = adopt(*write(tmp_path / "pack", samples.seal_pack(front, b"".join(rows))), wanted)
    assert found.rows == b"".join(rows[1:])
    assert found.objects == 1
    lost = {found.lost[at : at + OID_SIZE] for at in range(0, len(found.lost), OID_SIZE)}
    assert lost == {liar.oid, frames[0].oid}


def test_of_a_sound_pack_no_rows_are_sent_around(tmp_path: Path) -> None:
    data, frames = samples.sample_pack()
    path, name, size = write(tmp_path / "pack", data)
    found = adopt(path, name, size, b"".join(one.oid for one in frames))
    whole = FinishedPack(path, name, size, found.rows)
    top = [one for one in frames if one.kind in pack.TOP_KINDS]
    assert (found.rows is None) == (not top)
    assert whole.rows == b"".join(pack.encode_row(one) for one in frames if one not in top)


def test_a_footer_that_breaks_off_in_the_middle_is_an_error_of_its_own(tmp_path: Path) -> None:
    """While the map is closed, nobody must be looking at what was last verified."""
    data, frames = samples.sample_pack()
    moved = frames[1]._replace(offset=frames[1].offset + 1)
    rows = pack.encode_row(frames[0]) + pack.encode_row(moved)
    sealed = samples.seal_pack(data[: frames[-1].end], rows)
    with pytest.raises(FormatError, match="do not follow each other"):
        adopt(*write(tmp_path / "pack", sealed), b"")
