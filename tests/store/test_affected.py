"""From lost objects to the files that need them."""

from __future__ import annotations

import random

from dver.base.oid import Oid, oid_of
from dver.formats import pack
from dver.formats import tree as trees
from dver.formats.tree import DIRECTORY, FILE, Entry
from dver.store.affected import Affected, Harm
from dver.store.store import Store

Nested = dict[str, "bytes | Nested"]


def plant(store: Store, top: Nested) -> Oid:
    """Store a directory and return its oid."""
    with store.writer() as writer:

        def put(below: Nested) -> tuple[Oid, int, int]:
            entries = []
            files = size = 0
            for name, one in below.items():
                if isinstance(one, bytes):
                    entries.append(Entry(FILE, name.encode(), len(one), writer.add(one)))
                    size += len(one)
                else:
                    oid, length, count = put(one)
                    entries.append(Entry(DIRECTORY, name.encode(), length, oid))
                    files += count
                    size += length
            tree = trees.build(entries, files)
            return writer.add(trees.encode(tree), pack.TREE), tree.size, tree.files

        oid, _, _ = put(top)
        writer.commit()
    return oid


def test_each_file_is_told_of_each_cause(store: Store) -> None:
    top = plant(store, {"a": b"1", "s": {"b": b"2", "t": {"c": b"1"}}, "z": b"3"})
    lost = Affected(store, [[oid_of(b"1")], [oid_of(b"2")], [oid_of(b"none")]], shown=9)
    assert lost.of(top, "tree") == {0: Harm(2, [b"a", b"s/t/c"]), 1: Harm(1, [b"s/b"])}
    assert lost.of(oid_of(b"1"), "file") == {0: Harm(1, [b""])}
    assert lost.of(oid_of(b"3"), "file") == {}


def test_only_the_first_paths_are_kept_and_all_are_counted(store: Store) -> None:
    top = plant(store, {"d": {f"{i:03}": b"same" for i in range(50)}, "e": b"same"})
    harm = Affected(store, [[oid_of(b"same")]], shown=3).of(top, "tree")[0]
    assert (harm.count, harm.paths) == (51, [b"d/000", b"d/001", b"d/002"])


def test_a_chunk_costs_the_files_that_are_made_of_it(store: Store) -> None:
    large = random.Random(3).randbytes(700_000)
    top = plant(store, {"large": large, "small": b"small", "twin": {"large": large}})
    chunk = [oid for oid, _ in store.parts(oid_of(large))][-1]
    assert Affected(store, [[chunk]], shown=9).of(top, "tree") == {
        0: Harm(2, [b"large", b"twin/large"])
    }


def test_a_lost_directory_stands_for_all_below_it(store: Store) -> None:
    top = plant(store, {"d": {"s": {"a": b"1"}, "b": b"2"}})
    tree = store.read_tree(top).find(b"d")
    assert tree is not None
    below = store.read_tree(tree.oid).find(b"s")
    assert below is not None
    assert Affected(store, [[below.oid]], shown=9).of(top, "tree")[0].paths == [b"d/s/"]
    assert Affected(store, [[top]], shown=9).of(top, "tree")[0].paths == [b""]


def test_a_file_that_holds_a_directory_s_bytes_is_a_file(store: Store) -> None:
    inner: Nested = {"x": b"lost"}
    oid = plant(store, inner)
    data = store.read(oid)
    top = plant(store, {"a": data, "d": inner})
    assert Affected(store, [[oid_of(b"lost")]], shown=9).of(top, "tree")[0].paths == [b"d/x"]


def test_without_causes_nothing_is_read(store: Store) -> None:
    assert Affected(store, [], shown=9).of(oid_of(b"not there"), "tree") == {}
    assert Affected(store, [()], shown=9).of(oid_of(b"not there"), "tree") == {}
