"""Grafting a path into a tree changes that path and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dver.base.errors import MissingContentError
from dver.base.oid import Oid, oid_of
from dver.formats import tree as trees
from dver.formats.tree import DIRECTORY, FILE, Entry
from dver.ops.graft import Graft, graft
from dver.store.walk import EncodedTrees

Files = dict[bytes, bytes]


def make(files: Files) -> tuple[Oid, dict[Oid, bytes], int, int]:
    """Build the tree of some files the slow, obvious way: (oid, encoded, size, files)."""
    encoded: dict[Oid, bytes] = {}
    entries = []
    below = 0
    names: dict[bytes, Files] = {}
    for path, content in files.items():
        name, slash, rest = path.partition(b"/")
        if slash:
            names.setdefault(name, {})[rest] = content
        else:
            entries.append(Entry(FILE, name, len(content), oid_of(content)))
    for name, inner in names.items():
        oid, more, size, count = make(inner)
        encoded |= more
        entries.append(Entry(DIRECTORY, name, size, oid))
        below += count
    tree = trees.build(entries, below)
    data = trees.encode(tree)
    encoded[oid_of(data)] = data
    return oid_of(data), encoded, tree.size, tree.files


def leaf(content: bytes) -> Graft:
    return Graft(Entry(FILE, b"", len(content), oid_of(content)), 1)


BASE: Files = {b"a": b"1", b"d/x": b"22", b"d/y": b"333", b"d/e/z": b"4444", b"k/l": b"5"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({b"a": leaf(b"new")}, {**BASE, b"a": b"new"}),
        ({b"d/e/z": leaf(b"new")}, {**BASE, b"d/e/z": b"new"}),
        ({b"d/e/n": leaf(b"n"), b"q/r/s": leaf(b"s")}, {**BASE, b"d/e/n": b"n", b"q/r/s": b"s"}),
        ({b"d": Graft(None)}, {b"a": b"1", b"k/l": b"5"}),
        ({b"d": leaf(b"now a file")}, {b"a": b"1", b"d": b"now a file", b"k/l": b"5"}),
        (
            {b"a/b": leaf(b"now in a dir")},
            {**{k: v for k, v in BASE.items() if k != b"a"}, b"a/b": b"now in a dir"},
        ),
        ({b"nothing": Graft(None), b"no/thing": Graft(None), b"a/x": Graft(None)}, BASE),
    ],
)
def test_a_graft_equals_building_the_whole_anew(
    changes: dict[bytes, Graft], expected: Files
) -> None:
    top, encoded, _, _ = make(BASE)
    grafted = graft(EncodedTrees(encoded), top, changes)
    oid, all_trees, size, files = make(expected)
    assert grafted.oid == oid
    assert (grafted.tree.size, grafted.tree.files) == (size, files)
    assert set(all_trees) <= set(encoded) | set(grafted.encoded)


def test_a_directory_is_put_in_whole_and_its_files_are_counted() -> None:
    top, encoded, _, _ = make(BASE)
    sub, more, size, files = make({b"p": b"pp", b"q/r": b"rr"})
    grafted = graft(
        EncodedTrees(encoded), top, {b"d/e": Graft(Entry(DIRECTORY, b"", size, sub), files)}
    )
    expected = {k: v for k, v in BASE.items() if not k.startswith(b"d/e/")}
    expected |= {b"d/e/p": b"pp", b"d/e/q/r": b"rr"}
    assert grafted.oid == make(expected)[0]
    assert grafted.tree.files == 6
    assert set(more).isdisjoint(grafted.encoded)


def test_a_directory_that_loses_its_last_file_stays_empty() -> None:
    top, encoded, _, _ = make(BASE)
    grafted = graft(EncodedTrees(encoded), top, {b"k/l": Graft(None)})
    assert grafted.tree.find(b"k") == Entry(DIRECTORY, b"k", 0, trees.EMPTY_OID)
    assert grafted.tree.files == 4


def test_no_tree_before_is_an_empty_one() -> None:
    grafted = graft(EncodedTrees({}), None, {b"d/x": leaf(b"22")})
    assert grafted.oid == make({b"d/x": b"22"})[0]


def test_a_missing_tree_on_the_way_is_told() -> None:
    top, encoded, _, _ = make(BASE)
    with pytest.raises(MissingContentError):
        graft(EncodedTrees({top: encoded[top]}), top, {b"d/e/z": leaf(b"new")})


PATHS = st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=3).map(b"/".join)


def tidy(files: Files) -> Files:
    """Keep what can exist together: no file at a path that is a directory for another."""
    return {p: c for p, c in files.items() if not any(q.startswith(p + b"/") for q in files)}


@given(
    st.dictionaries(PATHS, st.binary(max_size=2), max_size=8).map(tidy),
    st.dictionaries(PATHS, st.binary(max_size=2), min_size=1, max_size=4).map(tidy),
)
def test_any_set_of_files_can_be_grafted(before: Files, put: Files) -> None:
    top, encoded, _, _ = make(before)
    grafted = graft(EncodedTrees(encoded), top, {p: leaf(c) for p, c in put.items()})
    kept = {
        path: content
        for path, content in before.items()
        if not any(path == p or path.startswith(p + b"/") or p.startswith(path + b"/") for p in put)
    }
    assert grafted.oid == make({**kept, **put})[0]
