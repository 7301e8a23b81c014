"""Whatever a directory holds: it comes back the same, and no edit is ever lost."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from dver.base.errors import RefusedError
from dver.base.oid import oid_of
from dver.workspace.state import Scan
from tests.support.workbench import ALWAYS, EMPTY_DIR, Link, Program, Workbench, kinds

NAMES = st.sampled_from([b"a", b"b", b"c", b"A", b"\xff", b"d d", b"n\nl", b"-x"])
CONTENT = st.sampled_from([b"", b"1", b"22", b"same", b"z" * 5000])
LEAF = st.one_of(CONTENT, CONTENT.map(Program), st.sampled_from([Link(b"a"), Link(b"../x")]))
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
LISTINGS = st.dictionaries(PATHS, st.one_of(LEAF, st.just(EMPTY_DIR)), max_size=12)


def consistent(files: dict[bytes, object]) -> dict[bytes, object]:
    """Leave out paths that lie below a file, and empty directories that are not."""
    kept: dict[bytes, object] = {}
    for path in sorted(files, key=lambda path: path.count(b"/")):
        parts = path.split(b"/")
        parents = [b"/".join(parts[:i]) for i in range(1, len(parts))]
        if not any(parent in kept and kept[parent] is not EMPTY_DIR for parent in parents):
            for parent in parents:
                kept.pop(parent, None)
            kept[path] = files[path]
    return kept


@contextlib.contextmanager
def workbench() -> Iterator[Workbench]:
    """Make a workbench that does not wait for the disk."""
    with tempfile.TemporaryDirectory() as where, mock.patch("os.fsync"):
        yield Workbench(Path(where))


def replace_all(bench: Workbench, files: dict[bytes, object]) -> None:
    """Make the data directory hold exactly this."""
    import shutil

    shutil.rmtree(bench.path(b"data"), ignore_errors=True)
    os.makedirs(bench.path(b"data"))
    bench.write(files)


@given(LISTINGS.map(consistent), LISTINGS.map(consistent), st.booleans())
def test_any_version_comes_back(
    one: dict[bytes, object], other: dict[bytes, object], aged: bool
) -> None:
    with workbench() as bench:
        moment = ALWAYS if aged else None
        replace_all(bench, one)
        first = bench.add(moment=moment)
        assert bench.now()[0] == first
        replace_all(bench, other)
        second = bench.add(moment=moment)
        for pointer, files in ((first, one), (second, other), (first, one)):
            applied = bench.checkout(pointer)
            assert applied.failed == []
            assert kinds(bench.read()) == kinds(files)
            assert isinstance(applied.state, Scan)
            assert applied.state.top.tree == pointer.oid
            assert bench.now()[0] == pointer
        os.rename(bench.path(b"data"), bench.path(b"gone"))
        bench.checkout(second)
        assert kinds(bench.read()) == kinds(other)
        assert bench.add() == second


@given(LISTINGS.map(consistent), LISTINGS.map(consistent), LISTINGS.map(consistent), st.booleans())
def test_no_edit_is_lost(
    one: dict[bytes, object],
    other: dict[bytes, object],
    edits: dict[bytes, object],
    known: bool,
) -> None:
    with workbench() as bench:
        replace_all(bench, one)
        first = bench.add()
        replace_all(bench, other)
        bench.add()
        for path, content in edits.items():
            edited = Program(b"E" + content) if isinstance(content, bytes) else content
            try:
                bench.write({path: edited})
            except OSError:
                continue  # a file stands where a directory would be, or the other way round
        if not known:
            bench.index.remove(b"data")
        before = bench.read()
        try:
            bench.checkout(first)
        except RefusedError:
            assert kinds(bench.read()) == kinds(before)
            return
        after = bench.read()
        for path, content in before.items():
            if isinstance(content, bytes) and after.get(path) != content:
                assert bench.store.has(oid_of(bytes(content)))
        for path, content in one.items():
            assert kinds(after).get(path) == kinds(one)[path] or content is EMPTY_DIR
        for path in set(after) - set(one) - set(before):
            assert after[path] is EMPTY_DIR
        applied = bench.checkout(first, force=True)
        assert kinds(bench.read()) == kinds(one)
        assert isinstance(applied.state, Scan)
        assert bench.now()[0] == first
