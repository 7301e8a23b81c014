"""Merging directories three ways: against a merge of plain dictionaries, and by its laws."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dver.base.errors import MissingContentError, RefusedError
from dver.base.oid import Oid, oid_of
from dver.formats import tree as trees
from dver.formats.tree import DIRECTORY, EXECUTABLE, FILE, SYMLINK, Entry, Tree
from dver.store.treemerge import Choice, MergedTree, merge_trees
from dver.store.walk import EncodedTrees, Layered, walk

#: path -> content of a file, or None for a directory with nothing in it. A content that begins
#: with "x" is executable, one that begins with "l" a symlink.
Files = Mapping[str, str | None]


class Trees:
    """Trees in memory."""

    def __init__(self) -> None:
        self.encoded: dict[Oid, bytes] = {}
        self.read: list[Oid] = []

    def read_tree(self, oid: Oid) -> Tree:
        self.read.append(oid)
        return EncodedTrees(self.encoded).read_tree(oid)

    def make(self, files: Files) -> Oid:
        return self._make(files)[0]

    def _make(self, files: Files) -> tuple[Oid, Tree]:
        inner: dict[str, dict[str, str | None]] = {}
        entries, below = [], 0
        for path, content in files.items():
            name, slash, rest = path.partition("/")
            if slash or content is None:
                inner.setdefault(name, {}).update({rest: content} if slash else {})
            else:
                kind = {"x": EXECUTABLE, "l": SYMLINK}.get(content[:1], FILE)
                data = content.lstrip("xl").encode()
                entries.append(Entry(kind, name.encode(), len(data), oid_of(data)))
        for name, rest_of in inner.items():
            oid, tree = self._make(rest_of)
            entries.append(Entry(DIRECTORY, name.encode(), tree.size, oid))
            below += tree.files
        tree = trees.build(entries, below)
        data = trees.encode(tree)
        self.encoded[oid_of(data)] = data
        return oid_of(data), tree


def merged(
    base: Files | None, ours: Files, theirs: Files, choice: Choice = "ours"
) -> tuple[Oid, MergedTree, Trees]:
    made = Trees()
    oids = [None if one is None else made.make(one) for one in (base, ours, theirs)]
    assert oids[1] is not None and oids[2] is not None
    done = merge_trees(made, oids[0], oids[1], oids[2], choice=choice)
    check_totals(done, made)
    return done.oid, done, made


def check_totals(done: MergedTree, made: Trees) -> None:
    """Every tree of the outcome is canonical, and its totals are those of what is in it."""
    source = Layered([EncodedTrees(done.trees), made])
    files: dict[bytes, int] = {}
    for path, oid, tree in reversed(list(walk(source, done.oid))):
        assert oid_of(trees.encode(tree)) == oid
        below = sum(
            files[path + b"/" + name if path else name]
            for name, kind in zip(tree.names, tree.kinds, strict=True)
            if kind == DIRECTORY
        )
        files[path] = below + len(tree) - tree.kinds.count(DIRECTORY)
        assert tree.files == files[path]
    assert (done.size, done.files) == trees.totals(trees.encode(source.read_tree(done.oid)))


def expect(
    base: Files | None,
    ours: Files,
    theirs: Files,
    result: Files,
    conflicts: list[str],
    choice: Choice = "ours",
) -> None:
    oid, done, made = merged(base, ours, theirs, choice)
    assert [one.path.decode() for one in done.conflicts] == conflicts
    assert oid == made.make(result)


# -- the model --------------------------------------------------------------------------------


def with_parents(files: Files) -> dict[str, str | None]:
    """Return a flat model in which every directory is an entry of its own, None."""
    found = dict(files)
    for path in files:
        while path := path.rpartition("/")[0]:
            found[path] = None
    return found


def merge_dicts(base: Files, ours: Files, theirs: Files) -> tuple[dict[str, str | None], set[str]]:
    """Merge flat dictionaries key by key; where both changed a key, ours stays."""
    absent = object()
    result: dict[str, str | None] = {}
    conflicts = set()
    b, o, t = (with_parents(one) for one in (base, ours, theirs))
    for key in {*b, *o, *t}:
        before, our, their = (one.get(key, absent) for one in (b, o, t))
        chosen = their if our == before else our
        if our not in (before, their) and their != before:
            conflicts.add(key)
        if chosen is not absent:
            result[key] = chosen
    return with_parents(result), conflicts


# Directories are called by letters that no file is called by, so that neither takes the other's
# place; that case has tests of its own below.
_PATHS = st.lists(st.sampled_from("DE"), max_size=2).flatmap(
    lambda dirs: st.sampled_from("abc").map(lambda name: "/".join([*dirs, name]))
)
_TREES = st.dictionaries(_PATHS, st.sampled_from(["1", "2", "3"]), max_size=9)


def changed(base: dict[str, str]) -> st.SearchStrategy[dict[str, str | None]]:
    """Return versions that descend from a base: most of it stays."""
    return st.tuples(
        st.dictionaries(_PATHS, st.sampled_from(["1", "2", "3"]), max_size=3),
        st.sets(st.sampled_from(sorted(base) or ["a"]), max_size=3),
    ).map(lambda pair: {k: v for k, v in {**base, **pair[0]}.items() if k not in pair[1]})


@settings(max_examples=150, deadline=None)
@given(_TREES.flatmap(lambda base: st.tuples(st.just(base), changed(base), changed(base))))
def test_it_is_the_merge_of_dictionaries(versions: tuple[Files, Files, Files]) -> None:
    base, ours, theirs = versions
    oid, done, made = merged(base, ours, theirs)
    wanted, conflicts = merge_dicts(base, ours, theirs)
    assert {one.path.decode() for one in done.conflicts} == conflicts
    assert oid == made.make(wanted)


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(
        *[
            st.dictionaries(
                # Files and directories of the same names.
                st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map("/".join),
                st.sampled_from(["1", "2", "x1", "l1"]),
                max_size=5,
            )
        ]
        * 3
    )
)
def test_laws(versions: tuple[Files, Files, Files]) -> None:
    base, ours, theirs = (without_clashes(one) for one in versions)
    made = Trees()
    b, o, t = (made.make(one) for one in (base, ours, theirs))
    assert merge_trees(made, b, o, o).oid == o
    assert merge_trees(made, b, b, t).oid == t
    assert merge_trees(made, b, o, b).oid == o
    one, other = (
        merge_trees(made, b, o, t, choice="ours"),
        merge_trees(made, b, t, o, choice="theirs"),
    )
    assert one.oid == other.oid
    assert [c.path for c in one.conflicts] == [c.path for c in other.conflicts]
    both = merge_trees(made, b, o, t, choice="both")
    check_totals(both, made)
    held = contents(both, made)
    for conflict in both.conflicts:
        for side in (conflict.ours, conflict.theirs):
            assert side is None or side.kind == DIRECTORY or side.oid in held
    for path, content in (*ours.items(), *theirs.items()):
        if base.get(path) != content and content is not None:
            assert oid_of(content.lstrip("xl").encode()) in held


def without_clashes(files: Files) -> dict[str, str | None]:
    """Drop files whose path is that of a directory."""
    parents = set(with_parents(files)) - {p for p in files if with_parents(files)[p] is not None}
    return {path: content for path, content in files.items() if path not in parents}


def contents(done: MergedTree, made: Trees) -> set[Oid]:
    source = Layered([EncodedTrees(done.trees), made])
    return {entry.oid for _, _, tree in walk(source, done.oid) for entry in tree}


# -- cases ------------------------------------------------------------------------------------


def test_both_added_images() -> None:
    base = {"cats/1": "one", "dogs/1": "one"}
    expect(
        base,
        {**base, "cats/2": "two"},
        {**base, "cats/3": "three", "birds/1": "four"},
        {**base, "cats/2": "two", "cats/3": "three", "birds/1": "four"},
        [],
    )


def test_removed_on_one_side_and_added_beside_on_the_other() -> None:
    expect(
        {"d/a": "1", "d/b": "1"},
        {"d/b": "1"},
        {"d/a": "1", "d/b": "1", "d/c": "1"},
        {"d/b": "1", "d/c": "1"},
        [],
    )


def test_a_removed_directory_stays_removed_but_for_what_came_new() -> None:
    base = {"d/a": "1", "d/e/b": "1", "k": "1"}
    expect(base, {"k": "1"}, {**base, "d/new": "2"}, {"k": "1", "d/new": "2"}, [])
    expect(base, {**base, "d/new": "2"}, {"k": "1"}, {"k": "1", "d/new": "2"}, [])
    expect(base, {"k": "1"}, {"d/a": "1", "k": "1"}, {"k": "1"}, [])


def test_changed_and_removed_is_a_conflict() -> None:
    base, changed_one = {"d/a": "1", "d/b": "1"}, {"d/a": "2", "d/b": "1"}
    expect(base, {}, changed_one, {}, ["d/a"])
    expect(base, {}, changed_one, {"d/a": "2"}, ["d/a"], "theirs")
    expect(base, {}, changed_one, {"d/a": "2"}, ["d/a"], "both")
    expect(base, changed_one, {}, {"d/a": "2"}, ["d/a"])
    expect(base, changed_one, {}, {}, ["d/a"], "theirs")


def test_both_versions_are_kept_under_names_of_their_own() -> None:
    base = {"a": "1", "b~ours": "old"}
    ours, theirs = {"a": "2", "b": "2", "b~ours": "old"}, {"a": "3", "b": "3", "b~ours": "old"}
    wanted = {
        "a~ours": "2",
        "a~theirs": "3",
        "b~ours": "old",
        "b~ours~2": "2",
        "b~theirs": "3",
    }
    expect(base, ours, theirs, wanted, ["a", "b"], "both")


def test_a_file_against_a_directory() -> None:
    ours, theirs = {"p": "file"}, {"p/x": "1", "p/y": "2"}
    expect({}, ours, theirs, ours, ["p"])
    expect({}, ours, theirs, theirs, ["p"], "theirs")
    expect({}, ours, theirs, {**theirs, "p~ours": "file"}, ["p"], "both")
    expect({}, theirs, ours, {**theirs, "p~theirs": "file"}, ["p"], "both")
    # Only one side turned the one into the other.
    expect({"p": "file"}, {"p": "file", "q": "1"}, theirs, {**theirs, "q": "1"}, [])


def test_content_and_mode_are_merged_apart() -> None:
    expect({"a": "1"}, {"a": "2"}, {"a": "x1"}, {"a": "x2"}, [])
    expect({"a": "1"}, {"a": "x1"}, {"a": "2"}, {"a": "x2"}, [])
    expect({"a": "x1"}, {"a": "2"}, {"a": "x2"}, {"a": "2"}, [])
    expect(None, {"a": "1"}, {"a": "x1"}, {"a": "x1"}, [])
    expect({"a": "1"}, {"a": "2"}, {"a": "l1"}, {"a": "2"}, ["a"])


def test_without_an_ancestor_all_of_both_is_there() -> None:
    expect(None, {"a": "1", "c": "1"}, {"b": "1", "c": "2"}, {"a": "1", "b": "1", "c": "1"}, ["c"])


def test_empty_directories() -> None:
    expect({"d/a": "1"}, {"d": None}, {"d/a": "1", "b": "1"}, {"d": None, "b": "1"}, [])
    expect({"d/a": "1", "d/b": "1"}, {"d/a": "1"}, {"d/b": "1"}, {"d": None}, [])
    expect({"d": None}, {"d/a": "1"}, {}, {"d/a": "1"}, [])
    expect({}, {"d": None}, {"e": None}, {"d": None, "e": None}, [])


def test_what_neither_side_touched_is_not_read() -> None:
    made = Trees()
    base = {f"{d}/{n}": "1" for d in "abcdefgh" for n in range(3)}
    oids = [made.make(one) for one in (base, {**base, "a/new": "2"}, {**base, "b/new": "3"})]
    made.read.clear()
    merge_trees(made, *oids)
    # Three tops, and b in two versions or three.
    assert len(set(made.read)) <= 5


def test_a_missing_tree_is_told() -> None:
    made = Trees()
    base, ours, theirs = (made.make({"d/a": text, "e": e}) for text, e in ("11", "21", "32"))
    inner = made.read_tree(theirs).oid(0)
    del made.encoded[inner]
    with pytest.raises(MissingContentError):
        merge_trees(made, base, ours, theirs)


def test_a_name_that_would_be_too_long() -> None:
    name = "n" * 252
    with pytest.raises(RefusedError, match="longer than 255 bytes"):
        merged({}, {name: "1"}, {name: "2"}, "both")
