"""Walking and comparing trees, over trees in memory."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dver.base.errors import FormatError, MissingContentError
from dver.base.oid import Oid, oid_of
from dver.formats import tree as trees
from dver.formats.tree import DIRECTORY, EMPTY_BYTES, EMPTY_OID, Entry
from dver.store import treediff, walk
from dver.store.walk import Budget, EncodedTrees, Layered
from tests.support.trees import Nested, build


def flat(nested: Nested, prefix: str = "") -> dict[str, str]:
    """The files, and the empty directories (as None-like text), of nested dicts, by path."""
    out: dict[str, str] = {}
    for name, value in nested.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict):
            out |= flat(value, path + "/") if value else {path + "/": ""}
        else:
            out[path] = value
    return out


def changes(old: Nested, new: Nested) -> dict[str, tuple[bool, bool]]:
    encoded: dict[Oid, bytes] = {}
    a, b = build(old, encoded)[0], build(new, encoded)[0]
    found = list(treediff.diff_trees(EncodedTrees(encoded), a, b))
    out: dict[str, tuple[bool, bool]] = {}
    for change in found:
        for side, entry in enumerate((change.old, change.new)):
            if entry is not None:
                path = change.path.decode() + ("/" if entry.kind == DIRECTORY else "")
                had = out.get(path, (False, False))
                out[path] = (had[0] or side == 0, had[1] or side == 1)
    return out


def test_walk_yields_parents_first_in_name_order() -> None:
    encoded: dict[Oid, bytes] = {}
    top, _, _ = build({"b": {"y": "1", "x": {}}, "a": {"z": "2"}, "c": "3"}, encoded)
    paths = [path for path, _, _ in walk.walk(EncodedTrees(encoded), top, prefix=b"data")]
    assert paths == [b"data", b"data/a", b"data/b", b"data/b/x"]


def test_find_follows_a_path_and_stops_at_files() -> None:
    encoded: dict[Oid, bytes] = {}
    top, _, _ = build({"a": {"b": {"c": "deep"}}}, encoded)
    source = EncodedTrees(encoded)
    found = walk.find(source, top, b"a/b/c")
    assert found is not None
    assert found.oid == oid_of(b"deep")
    assert walk.find(source, top, b"a/b/c/d") is None
    assert walk.find(source, top, b"a/x") is None


def test_distinct_reads_a_shared_tree_once_and_tells_what_is_missing() -> None:
    encoded: dict[Oid, bytes] = {}
    shared: Nested = {"same": "x"}
    gone = build({"lost": "y"}, {})[0]
    top, _, _ = build({"a": shared, "b": shared, "c": {"lost": "y"}}, encoded)
    del encoded[gone]
    missing: list[Oid] = []
    found = list(walk.distinct(EncodedTrees(encoded), [top, top], missing=missing.append))
    assert len(found) == 2
    assert missing == [gone]
    with pytest.raises(MissingContentError):
        list(walk.distinct(EncodedTrees(encoded), [top]))


def test_a_layered_source_falls_through_to_the_next() -> None:
    one: dict[Oid, bytes] = {}
    two: dict[Oid, bytes] = {}
    first, second = build({"a": "1"}, one)[0], build({"b": "2"}, two)[0]
    source = Layered([EncodedTrees(one), EncodedTrees(two)])
    assert source.read_tree(first).names == [b"a"]
    assert source.read_tree(second).names == [b"b"]
    with pytest.raises(MissingContentError):
        source.read_tree(EMPTY_OID)


def bomb(levels: int, width: int) -> tuple[Oid, dict[Oid, bytes]]:
    """Each level names the level below many times: width ** levels paths, a few small trees."""
    encoded = {EMPTY_OID: EMPTY_BYTES}
    oid = EMPTY_OID
    for _ in range(levels):
        entries = [Entry(DIRECTORY, b"%d" % i, 0, oid) for i in range(width)]
        data = trees.encode(trees.build(entries, 0))
        oid = oid_of(data)
        encoded[oid] = data
    return oid, encoded


def test_paths_that_explode_are_refused() -> None:
    top, encoded = bomb(60, 8)
    source = EncodedTrees(encoded)
    with pytest.raises(FormatError, match="more entries"):
        list(walk.walk(source, top, budget=Budget(5000)))
    with pytest.raises(FormatError, match="more entries"):
        list(treediff.diff_trees(source, None, top, budget=Budget(5000)))
    assert len(list(walk.distinct(source, [top]))) == 61


def test_nesting_without_end_is_refused() -> None:
    top, encoded = bomb(trees.MAX_DEPTH + 2, 1)
    source = EncodedTrees(encoded)
    for work in (
        walk.walk(source, top),
        walk.distinct(source, [top]),
        treediff.diff_trees(source, None, top),
    ):
        with pytest.raises(FormatError, match="deeper"):
            list(work)


def test_a_child_of_another_size_than_its_parent_says_is_refused() -> None:
    encoded: dict[Oid, bytes] = {}
    child, size, _ = build({"x": "12345"}, encoded)
    lying = trees.encode(trees.build([Entry(DIRECTORY, b"d", size + 1, child)], 1))
    encoded[oid_of(lying)] = lying
    with pytest.raises(FormatError, match="size"):
        list(walk.walk(EncodedTrees(encoded), oid_of(lying)))


def test_a_file_that_became_a_directory_and_back() -> None:
    assert changes({"a": "file"}, {"a": {"x": "1"}}) == {"a": (True, False), "a/x": (False, True)}
    assert changes({"a": {"x": "1"}}, {"a": "file"}) == {"a": (False, True), "a/x": (True, False)}
    assert changes({"a": {}}, {"a": "file"}) == {"a/": (True, False), "a": (False, True)}


def test_empty_directories_come_only_when_added_or_removed() -> None:
    assert changes({}, {"d": {"e": {}}}) == {"d/e/": (False, True)}
    assert changes({"d": {}}, {}) == {"d/": (True, False)}
    assert changes({"d": {}}, {"d": {"x": "1"}}) == {"d/x": (False, True)}
    assert changes({"d": {"x": "1"}}, {"d": {}}) == {"d/x": (True, False)}


names = st.sampled_from([f"{c}{n}" for c in "abAB" for n in range(6)])
contents = st.sampled_from(["", "1", "2", "#!x"])
nested = st.recursive(
    st.dictionaries(names, contents, max_size=12),
    lambda inner: st.dictionaries(names, st.one_of(contents, inner), max_size=12),
    max_leaves=25,
)


@settings(max_examples=40, deadline=None)
@given(nested, nested)
def test_a_diff_is_the_difference_of_all_paths(old: Nested, new: Nested) -> None:
    a, b = flat(old), flat(new)
    expected = {p: (p in a, p in b) for p in a.keys() | b.keys() if a.get(p) != b.get(p)}
    # A directory that is empty on one side only is told by its files on the other side.
    for path in [p for p in expected if p.endswith("/")]:
        other = b if path in a else a
        if any(p.startswith(path) for p in other):
            del expected[path]
    assert changes(old, new) == expected


def test_ten_changes_among_a_hundred_thousand_files_are_quick() -> None:
    files: Nested = {f"{i:06}.png": str(i % 997) for i in range(100_000)}
    encoded: dict[Oid, bytes] = {}
    old = build(files, encoded)[0]
    for i in range(0, 100_000, 20_000):
        files[f"{i:06}.png"] = "changed"
        del files[f"{i + 7:06}.png"]
    new = build(files, encoded)[0]
    source = EncodedTrees(encoded)
    best = 1.0
    for _ in range(5):
        start = time.process_time()
        found = list(treediff.diff_trees(source, old, new))
        best = min(best, time.process_time() - start)
        assert len(found) == 10
    assert best < 0.3, "the bound is loose for a busy machine; the aim is 0.1 s"


@pytest.mark.parametrize("honest", [True, False])
def test_trees_that_double_at_every_level_are_refused(
    monkeypatch: pytest.MonkeyPatch, honest: bool
) -> None:
    """Forty trees that name each other twice stand for 2^40 directories."""
    monkeypatch.setattr(walk, "MAX_DIRECTORIES", 2000)
    encoded = {}
    leaf = trees.build([trees.Entry(trees.FILE, b"f", 0, oid_of(b""))], 0)
    data = trees.encode(leaf)
    oid, files = oid_of(data), 1
    encoded[oid] = data
    for _ in range(40):
        pair = [trees.Entry(trees.DIRECTORY, name, 0, oid) for name in (b"a", b"b")]
        files = 2 * files if honest else 2
        data = trees.encode(trees.build(pair, files))
        oid = oid_of(data)
        encoded[oid] = data
    with pytest.raises(FormatError, match="more entries"):
        list(walk.walk(EncodedTrees(encoded), oid))
