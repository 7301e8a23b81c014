"""What a full check remembers saves work, and never hides that something is wrong."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from dver.base.oid import Oid, oid_of
from dver.base.reporter import Task
from dver.formats import pack, proofs
from dver.store import contents, fsck, gc
from dver.store.mark import Marks
from dver.store.proofs import add_proofs, drop_proofs, read_proofs
from dver.store.store import Store
from dver.store.writer import write_segment

LARGE = random.Random(2).randbytes(20_000)


@pytest.fixture
def filled(tiny: Store) -> Store:
    with tiny.writer() as writer:
        writer.add(LARGE)
        writer.add(b"small")
        writer.commit()
    return tiny


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Oid]:
    """The objects that a check hashed as a whole."""
    found: list[Oid] = []
    real = contents.windows

    def windows(store: Store, oid: Oid) -> Iterator[memoryview]:
        found.append(oid)
        return real(store, oid)

    monkeypatch.setattr(contents, "windows", windows)
    return found


def check(store: Store) -> list[tuple[str, tuple[Oid, ...]]]:
    index, found = fsck.check_segments(store.storage)
    found += fsck.check_packs(store.storage, index)
    found += contents.check_contents(contents.AsFound(store.storage, store.info, index), Task())
    return [(problem.what, problem.oids) for problem in found]


def file_of(store: Store) -> Path:
    return Path(store.local_directory(), "proofs", str(os.geteuid()))


def chunk_oids(store: Store) -> list[Oid]:
    return [oid for oid, _ in store.leaves(oid_of(LARGE))]


def flip(store: Store, oid: Oid, at: int = 0) -> None:
    place = store.place(oid)
    assert place is not None
    name = place.pack.hex()
    path = Path(store.local_directory(), "packs", name[:2], name)
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[place.offset + pack.FRAME.size + at] ^= 1
    path.write_bytes(data)


def lie(store: Store, data: bytes, oid: Oid) -> None:
    """Store a list of sound chunks under the oid of something else."""
    with store.writer() as writer:
        rows = [writer.packs.add_chunk(data[at : at + 4000]) for at in range(0, len(data), 4000)]
        writer.packs.add_list(oid, rows)
        writer.commit()


def test_a_second_check_hashes_no_whole_again(filled: Store, hashed: list[Oid]) -> None:
    assert check(filled) == []
    assert hashed == [oid_of(LARGE)]
    assert read_proofs(filled.local_directory()).hold(
        oid_of(LARGE), filled.list_name(oid_of(LARGE))
    )
    hashed.clear()
    assert check(filled) == []
    assert hashed == []


def test_sound_packs_are_not_looked_at_closely(
    filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled.writer() as writer:
        writer.add(b"text " * 100)  # compressed, in a second pack and segment
        writer.add(b"", pack.TREE)
        writer.commit()
    monkeypatch.setattr(contents, "_look_closely", None)
    assert check(filled) == []


def test_adding_proves_nothing(filled: Store) -> None:
    assert not file_of(filled).exists()


def test_a_list_that_lies_is_found_and_not_believed_later(tiny: Store) -> None:
    oid = oid_of(b"something else")
    lie(tiny, LARGE, oid)
    for _ in range(2):
        assert check(tiny) == [("object-damaged", (oid,))]
    assert not file_of(tiny).exists()


def test_a_proof_of_another_list_proves_nothing(filled: Store, tmp_path: Path) -> None:
    assert check(filled) == []
    data = file_of(filled).read_bytes()
    other = Store.create(type(filled.storage)(tmp_path / "other"), filled.info.chunker)
    lie(other, LARGE[::-1], oid_of(LARGE))
    file_of(other).parent.mkdir()
    file_of(other).write_bytes(data)
    file_of(other).chmod(0o600)
    assert read_proofs(other.local_directory()).hold(oid_of(LARGE), filled.list_name(oid_of(LARGE)))
    assert check(other) == [("object-damaged", (oid_of(LARGE),))]


def test_a_damaged_chunk_is_found(filled: Store) -> None:
    assert check(filled) == []
    chunk = chunk_oids(filled)[3]
    flip(filled, chunk, 100)
    assert sorted(check(filled)) == [("object-damaged", (chunk,)), ("pack-damaged", ())]


def test_each_damaged_bit_of_a_list_is_found(filled: Store) -> None:
    assert check(filled) == []
    place = filled.place(oid_of(LARGE))
    assert place is not None
    for at in range(0, place.stored, 7):
        flip(filled, oid_of(LARGE), at)
        assert ("object-damaged", (oid_of(LARGE),)) in check(filled)
        flip(filled, oid_of(LARGE), at)
    assert check(filled) == []


def test_each_damaged_bit_of_a_proof_costs_time_only(filled: Store, hashed: list[Oid]) -> None:
    assert check(filled) == []
    good = file_of(filled).read_bytes()
    for bit in range(len(good) * 8):
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        file_of(filled).write_bytes(data)
        found = read_proofs(filled.local_directory())
        assert not found.hold(oid_of(LARGE), filled.list_name(oid_of(LARGE)))
    hashed.clear()
    assert check(filled) == []
    assert hashed == [oid_of(LARGE)]
    assert read_proofs(filled.local_directory()).hold(
        oid_of(LARGE), filled.list_name(oid_of(LARGE))
    )


def test_a_chunk_under_a_wrong_name_proves_nothing(tiny: Store) -> None:
    """The whole has its hash, but what its list names is something else."""
    wrong = oid_of(b"another chunk")
    with tiny.writer() as writer:
        writer.packs.put(wrong, pack.CHUNK, LARGE[:4000])
        rows = [(wrong, 4000), writer.packs.add_chunk(LARGE[4000:8000])]
        writer.packs.add_list(oid_of(LARGE[:8000]), rows)
        writer.commit()
    assert check(tiny) == [("object-damaged", (wrong,))]
    assert not file_of(tiny).exists()


@pytest.mark.parametrize("what", ["gone", "longer"])
def test_a_chunk_that_the_index_has_not_as_it_should(filled: Store, what: str) -> None:
    assert check(filled) == []
    (one,) = filled.index.segments
    chunk = chunk_oids(filled)[2]
    rows = []
    for row in one.rows():
        if not row.startswith(chunk):
            rows.append(row)
        elif what == "longer":
            raw = int.from_bytes(row[44:48], "little") + 1
            rows.append(row[:44] + raw.to_bytes(4, "little") + row[48:])
    write_segment(filled.local_directory(), [b"".join(rows)], one.packs, [one.name])
    gone = what == "gone"
    told = ("object-torn", (oid_of(LARGE),)) if gone else ("object-damaged", (chunk,))
    assert check(filled) == [told]


def test_chunks_are_looked_for_in_batches(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_MANY", 2)
    assert check(filled) == []
    assert check(filled) == []


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_what_others_can_write_is_not_believed(filled: Store, mode: int) -> None:
    assert check(filled) == []
    file_of(filled).chmod(mode)
    found = read_proofs(filled.local_directory())
    assert not found.hold(oid_of(LARGE), filled.list_name(oid_of(LARGE)))


def test_what_another_user_wrote_is_not_believed(
    filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check(filled) == []
    other = os.geteuid() + 1
    file_of(filled).rename(file_of(filled).with_name(str(other)))
    monkeypatch.setattr(os, "geteuid", lambda: other)
    found = read_proofs(filled.local_directory())
    assert not found.hold(oid_of(LARGE), filled.list_name(oid_of(LARGE)))


def test_a_symlink_is_not_followed(filled: Store) -> None:
    assert check(filled) == []
    moved = file_of(filled).rename(file_of(filled).with_name("elsewhere"))
    file_of(filled).symlink_to(moved)
    found = read_proofs(filled.local_directory())
    assert not found.hold(oid_of(LARGE), filled.list_name(oid_of(LARGE)))


def test_a_store_without_users_proves_nothing(
    filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "geteuid")
    assert check(filled) == []
    assert not Path(filled.local_directory(), "proofs").exists()


def test_a_check_does_not_fail_where_nothing_can_be_remembered(filled: Store) -> None:
    Path(filled.local_directory(), "proofs").write_bytes(b"in the way")
    assert check(filled) == []
    assert check(filled) == []


def test_a_pipe_in_the_way_is_no_trouble(filled: Store) -> None:
    file_of(filled).parent.mkdir()
    os.mkfifo(file_of(filled))
    assert check(filled) == []
    assert check(filled) == []


NAMES = [(oid_of(b"object %d" % i), oid_of(b"list %d" % i)) for i in range(50)]


def test_entries_are_appended_and_found_each(tiny: Store) -> None:
    top = tiny.local_directory()
    add_proofs(top, NAMES[:1])
    inode = file_of(tiny).stat().st_ino
    add_proofs(top, NAMES[1:])
    assert file_of(tiny).stat().st_ino == inode
    found = read_proofs(top)
    assert all(found.hold(*one) for one in NAMES)
    assert not found.hold(NAMES[0][0], NAMES[1][1])
    assert not found.hold(oid_of(b"none"), NAMES[1][1])


def test_two_lists_of_one_object_are_both_remembered(tiny: Store) -> None:
    pairs = [(NAMES[0][0], name) for _, name in NAMES]
    add_proofs(tiny.local_directory(), pairs)
    found = read_proofs(tiny.local_directory())
    assert all(found.hold(*one) for one in pairs)
    assert not found.hold(NAMES[0][0], NAMES[0][0])


@pytest.mark.parametrize("cut", [1, 71, 73, 150])
def test_a_torn_file_is_written_anew_from_what_is_sound(tiny: Store, cut: int) -> None:
    top = tiny.local_directory()
    add_proofs(top, NAMES[:4])
    path = file_of(tiny)
    path.write_bytes(path.read_bytes()[:-cut])
    add_proofs(top, NAMES[4:5])
    kept = 3 - cut // proofs.ENTRY.size
    assert path.read_bytes() == proofs.encode(
        proofs.encode_entry(*one) for one in (*NAMES[:kept], NAMES[4])
    )


def test_a_file_of_another_version_is_replaced(tiny: Store) -> None:
    top = tiny.local_directory()
    add_proofs(top, NAMES[:1])
    path = file_of(tiny)
    path.write_bytes(proofs.MAGIC + b"\2" + path.read_bytes()[9:])
    assert not read_proofs(top).hold(*NAMES[0])
    add_proofs(top, NAMES[1:2])
    assert path.read_bytes() == proofs.encode([proofs.encode_entry(*NAMES[1])])


def test_garbage_collection_drops_what_is_gone(filled: Store) -> None:
    assert check(filled) == []
    add_proofs(filled.local_directory(), NAMES)
    marks = Marks(filled)
    assert list(marks.mark(oid_of(LARGE), "file")) == []
    gc.sweep(filled, marks, gc.plan(filled, marks))
    found = read_proofs(filled.local_directory())
    assert found.hold(oid_of(LARGE), filled.list_name(oid_of(LARGE)))
    assert not any(found.hold(*one) for one in NAMES)
    assert file_of(filled).stat().st_size == 16 + 72
    drop_proofs(filled.local_directory(), type(filled.index)())
    assert file_of(filled).stat().st_size == 16


def test_garbage_collection_removes_unfinished_files(filled: Store) -> None:
    assert check(filled) == []
    left = file_of(filled).with_name(".dver-tmp-0123")
    left.write_bytes(b"half")
    marks = Marks.everything(filled)
    gc.sweep(filled, marks, gc.plan(filled, marks))
    assert not left.exists()
