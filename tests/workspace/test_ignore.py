"""What .dverignore leaves out."""

from __future__ import annotations

import os
import sys

import pytest

from dver.base.errors import ConfigError
from dver.workspace import ignore
from dver.workspace.ignore import NO_RULES, load_rules
from tests.support.workbench import ALWAYS, Link, Workbench


def found(bench: Workbench) -> set[bytes]:
    """Return the paths that a scan finds."""
    scan = bench.scan()
    return {os.path.join(state.path, name) for state in scan.dirs for name in state.names}


def test_without_a_file_nothing_is_loaded(bench: Workbench) -> None:
    bench.write({b"a": b"1"})
    assert load_rules(bench.root, b"data") is not None
    assert load_rules(bench.root, b"data") == NO_RULES
    assert NO_RULES.digest == 0


def test_rules_from_above_and_from_inside(bench: Workbench) -> None:
    bench.write({b".dverignore": b"*.tmp\n/data/raw/\n", b"other/x": b""}, under=b"")
    bench.write(
        {
            b"a": b"1",
            b"a.tmp": b"1",
            b"raw/x": b"1",
            b"sub/raw/x": b"1",
            b"sub/.dverignore": b"b*\n!keep.tmp\n",
            b"sub/b1": b"1",
            b"sub/keep.tmp": b"1",
            b"sub/deep/b2": b"1",
            b"b3": b"1",
        }
    )
    assert found(bench) == {
        b"a",
        b"b3",
        b"sub",
        b"sub/raw",
        b"sub/raw/x",
        b"sub/.dverignore",
        b"sub/keep.tmp",
        b"sub/deep",
    }


def test_an_ignored_directory_cannot_be_reached_into(bench: Workbench) -> None:
    bench.write({b"logs/.dverignore": b"!*\n", b"logs/keep": b"1", b".dverignore": b"logs/\n"})
    assert found(bench) == {b".dverignore"}


def test_a_directory_pattern_spares_files(bench: Workbench) -> None:
    bench.write({b".dverignore": b"cache/\n", b"cache": b"a file", b"d/cache/x": b"1"})
    assert found(bench) == {b".dverignore", b"cache", b"d"}


def test_names_that_are_not_text(bench: Workbench) -> None:
    bench.write({b".dverignore": b"\xff*\n", b"\xff1": b"1", b"\xfe1": b"1"})
    assert found(bench) == {b".dverignore", b"\xfe1"}


def test_what_dver_refuses_may_be_ignored(bench: Workbench) -> None:
    bench.write({b".dverignore": b".git\n*.sock\n", b"v/.git/HEAD": b"1", b"v/code": b"2"})
    os.mkfifo(bench.path(b"data/x.sock"))
    assert found(bench) == {b".dverignore", b"v", b"v/code"}


def test_remembered_names_are_not_matched_again(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write({b".dverignore": b"*.tmp\n", b"a": b"1", b"b.tmp": b"2", b"sub/c": b"3"})
    pointer = bench.add(moment=ALWAYS)
    asked: list[bytes] = []
    really = ignore.IgnoreRules.ignored

    def noting(self: ignore.IgnoreRules, path: bytes, *, is_dir: bool) -> bool:
        asked.append(path)
        return really(self, path, is_dir=is_dir)

    monkeypatch.setattr(ignore.IgnoreRules, "ignored", noting)
    assert bench.now() == (pointer, 0)
    assert asked == [b"data/b.tmp"]


def test_changed_rules_are_applied_to_remembered_names(bench: Workbench) -> None:
    bench.write({b"a.tmp": b"1", b"sub/b.tmp": b"2", b"c": b"3"})
    bench.add(moment=ALWAYS)
    bench.write({b".dverignore": b"*.tmp\n"}, under=b"")
    assert found(bench) == {b"c", b"sub"}
    bench.add(moment=ALWAYS)
    os.unlink(bench.path(b".dverignore"))
    assert found(bench) == {b"a.tmp", b"c", b"sub", b"sub/b.tmp"}


def test_a_symlinked_rules_file_is_an_error(bench: Workbench) -> None:
    bench.write({b".dverignore": Link(b"/etc/passwd"), b"a": b"1"})
    with pytest.raises(ConfigError, match="dverignore"):
        bench.scan()


def test_a_huge_rules_file_is_an_error(bench: Workbench) -> None:
    bench.write({b".dverignore": b"x\n" * (1 << 20), b"a": b"1"})
    with pytest.raises(ConfigError, match="longer"):
        bench.scan()


def test_scanning_does_not_import_the_pattern_library(bench: Workbench) -> None:
    import subprocess

    bench.write({b"a": b"1"})
    code = (
        "import sys; from dver.workspace.scan import scan_directory;"
        f"scan_directory({bench.root!r});"
        "assert 'pathspec' not in sys.modules and 'yaml' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
