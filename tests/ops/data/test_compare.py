"""Comparing sets of pointers, over trees in memory."""

from __future__ import annotations

from dver.base.oid import Oid
from dver.formats.pointer import Pointer
from dver.ops.data.compare import Comparison, compare
from dver.ops.targets.scope import Scope
from dver.store.walk import EncodedTrees
from tests.support.trees import Nested, pointer_to

Targets = dict[str, "str | Nested"]


def run(
    old: Targets, new: Targets, *paths: str, lose: Targets | None = None, renames: bool = True
) -> tuple[Comparison, Scope]:
    encoded: dict[Oid, bytes] = {}

    def pointers(targets: Targets) -> dict[bytes, Pointer]:
        return {path.encode(): pointer_to(value, encoded) for path, value in targets.items()}

    before, after = pointers(old), pointers(new)
    for pointer in pointers(lose or {}).values():
        del encoded[pointer.oid]
    scope = Scope([path.encode() for path in paths])
    return compare(before, after, EncodedTrees(encoded), scope, renames=renames), scope


def files(comparison: Comparison) -> list[tuple[str, str, str | None]]:
    return [
        (delta.word, delta.path.decode(), delta.old_path.decode() if delta.old_path else None)
        for delta in comparison.files
    ]


def targets(comparison: Comparison) -> list[tuple[str, str]]:
    return [(delta.word, delta.path.decode()) for delta in comparison.targets]


def test_each_kind_of_change_inside_a_directory() -> None:
    old: Targets = {"d": {"a": "1", "b": "22", "gone": "333", "run": "x", "sub": {"moved": "4444"}}}
    new: Targets = {"d": {"a": "1", "b": "xx", "new": "55555", "run": "x", "other": "4444"}}
    found, _ = run(old, new)
    assert files(found) == [
        ("modified", "d/b", None),
        ("removed", "d/gone", None),
        ("added", "d/new", None),
        ("renamed", "d/other", "d/sub/moved"),
    ]
    assert targets(found) == [("modified", "d")]
    assert found.files[0].old is not None and found.files[0].old.size == 2


def test_equal_sides_have_nothing_to_tell_and_need_no_trees() -> None:
    same: Targets = {"d": {"a": "1"}, "f": "x"}
    found, _ = run(same, same, lose={"d": {"a": "1"}})
    assert found == Comparison()


def test_whole_targets_come_and_go() -> None:
    found, _ = run({"old": {"x": "1"}, "f": "same"}, {"new": {"y": "2"}, "f": "same"})
    assert targets(found) == [("added", "new"), ("removed", "old")]
    assert files(found) == [("added", "new/y", None), ("removed", "old/x", None)]


def test_a_target_that_is_an_empty_directory() -> None:
    found, _ = run({}, {"d": {}})
    assert targets(found) == [("added", "d")]
    assert files(found) == [("added", "d", None)]


def test_a_directory_that_moved_unchanged_is_one_rename() -> None:
    data: Nested = {f"{i}": str(i) for i in range(5)}
    found, _ = run({"a/data": data}, {"b/data": data})
    assert targets(found) == [("renamed", "b/data")]
    assert found.targets[0].old_path == b"a/data"
    assert found.files == []
    apart, _ = run({"a/data": data}, {"b/data": data}, renames=False)
    assert targets(apart) == [("removed", "a/data"), ("added", "b/data")]
    assert len(apart.files) == 10


def test_a_single_file_that_moved_is_one_rename() -> None:
    found, _ = run({"a.bin": "content"}, {"b.bin": "content"})
    assert targets(found) == [("renamed", "b.bin")]
    assert files(found) == [("renamed", "b.bin", "a.bin")]


def test_a_file_that_moved_into_a_tracked_directory() -> None:
    found, _ = run({"f": "content", "d": {"x": "1"}}, {"d": {"x": "1", "f": "content"}})
    assert files(found) == [("renamed", "d/f", "f")]
    assert targets(found) == [("modified", "d"), ("removed", "f")]


def test_the_same_last_name_is_preferred_among_equal_contents() -> None:
    old: Targets = {"d": {"one": {"a": "same", "b": "same"}}}
    new: Targets = {"d": {"two": {"b": "same", "c": "same"}}}
    found, _ = run(old, new)
    assert files(found) == [("renamed", "d/two/b", "d/one/b"), ("renamed", "d/two/c", "d/one/a")]


def test_empty_files_are_never_paired() -> None:
    found, _ = run({"d": {"a": ""}}, {"d": {"b": ""}})
    assert files(found) == [("removed", "d/a", None), ("added", "d/b", None)]


def test_a_copy_is_no_rename() -> None:
    found, _ = run({"d": {"a": "x"}}, {"d": {"a": "x", "b": "x"}})
    assert files(found) == [("added", "d/b", None)]


def test_a_file_that_became_executable() -> None:
    encoded: dict[Oid, bytes] = {}
    plain = pointer_to("x", encoded)
    runnable = Pointer("file", plain.oid, plain.size, 1, executable=True)
    found = compare({b"f": plain}, {b"f": runnable}, EncodedTrees({}), Scope())
    assert files(found) == [("mode", "f", None)]
    assert targets(found) == [("mode", "f")]


def test_a_file_that_became_a_directory() -> None:
    found, _ = run({"t": "x"}, {"t": {"a": "1"}})
    assert targets(found) == [("modified", "t")]
    assert files(found) == [("removed", "t", None), ("added", "t/a", None)]


def test_missing_trees_leave_the_target_told_as_a_whole() -> None:
    lost: Targets = {"d": {"a": "1"}}
    found, _ = run(lost | {"f": "1"}, {"d": {"a": "2"}, "f": "2"}, lose=lost)
    assert [(t.path, t.listed) for t in found.targets] == [(b"d", False), (b"f", True)]
    assert files(found) == [("modified", "f", None)]


def test_a_path_restricts_to_targets_and_to_parts_of_them() -> None:
    old: Targets = {"x/d": {"s": {"a": "1"}, "t": {"b": "1"}}, "x/f": "1", "y": "1"}
    new: Targets = {"x/d": {"s": {"a": "2"}, "t": {"b": "2"}}, "x/f": "2", "y": "2"}
    assert [p for _, p, _ in files(run(old, new, "x")[0])] == ["x/d/s/a", "x/d/t/b", "x/f"]
    assert [p for _, p, _ in files(run(old, new, "x/d/s")[0])] == ["x/d/s/a"]
    assert [p for _, p, _ in files(run(old, new, "x/d/s/a", "y")[0])] == ["x/d/s/a", "y"]
    assert len(run(old, new, "")[0].files) == 4
    assert run(old, new, "x/d/t", "x/d/t/b")[0].targets[0].path == b"x/d"


def test_paths_that_select_nothing_are_remembered() -> None:
    same: Targets = {"d": {"a": "1"}}
    _, scope = run(same, same, "d/a", "d/nope", "nope", "d")
    assert scope.unmatched() == (b"nope",)
    _, scope = run(same, same, "d/a", "d/nope")
    assert scope.unmatched() == (b"d/nope",)


def test_twenty_thousand_equal_files_that_moved_are_paired_in_good_time() -> None:
    old: Nested = {f"a{i:05}": "same" for i in range(20_000)}
    new: Nested = {f"b{i:05}": "same" for i in range(20_000)}
    found, _ = run({"d": old}, {"d": new})
    assert {delta.word for delta in found.files} == {"renamed"}
    assert len(found.files) == 20_000
