"""Old revisions of a project of DVC: read through DVC's files, or rewritten into new branches."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.migration.conftest import Project, drop_cache


def test_old_revisions_are_read_through_dvc(dvc: Project, tmp_path: Path) -> None:
    dvc.dver("migrate", "dvc")
    dvc.commit("moved to dver")
    shutil.rmtree(dvc.path / "data")
    assert dvc.dver("cat", "--rev", "v1", "data/sub/b.txt").stdout == "beta\n"
    # One file was asked for, and only that was read.
    assert dvc.dver("ls", "--rev", "v1", "data/a.txt", "--json").result["files"] == 1
    listed = dvc.dver("ls", "--rev", "v1", "-R").stdout.splitlines()
    assert listed == [
        *("curve.csv", "data/a.txt", "data/old.txt", "data/same.txt", "data/sub/b.txt"),
        "data/sub/deep/ü ö.txt",
        *("made-one.txt", "made-two.txt", "model.bin", "out.txt"),
    ]
    dvc.dver("get", "--rev", "v1", "data", "-o", str(tmp_path / "old"))
    assert (tmp_path / "old/sub/b.txt").read_text() == "beta\n"
    told = dvc.dver("diff", "v1", "v2", "data").stdout
    assert sorted(line.split()[:2] for line in told.splitlines()[1:-1]) == [
        ["D", "data/old.txt"],
        ["M", "data/a.txt"],
        ["R", "data/sub/b.txt"],
    ]
    log = dvc.dver("log", "data", "--json").result["entries"]
    assert [(one["subject"], one["change"], one["files"]) for one in log] == [
        ("v2", "modified", 4),
        ("v1", "added", 5),
    ]
    dvc.dver("checkout", "v1", "data")
    assert (dvc.path / "data/sub/b.txt").read_text() == "beta\n"
    assert (dvc.path / "data/a.txt").read_text() == "alpha\n"


def test_log_reads_nothing(dvc: Project) -> None:
    dvc.dver("migrate", "dvc", "model.bin")
    dvc.commit("partly")
    told = dvc.dver("log", "data").stdout
    assert "DVC has it as md5" in told


def test_history_is_rewritten_into_new_branches_only(dvc: Project) -> None:
    before = dvc.git("for-each-ref")
    done = dvc.dver("migrate", "dvc", "--rewrite-history")
    assert "made the branch dver/main" in done.stdout
    after = dvc.git("for-each-ref").splitlines()
    assert [line for line in after if "refs/heads/dver/main" not in line] == before.splitlines()
    assert dvc.git("log", "--format=%an %s", "dver/main") == dvc.git("log", "--format=%an %s")
    listed = dvc.git("ls-tree", "-r", "--name-only", "dver/main~1").splitlines()
    assert {"data.dver", "model.bin.dver", ".dver/config.yaml", "data.dvc"} <= set(listed)
    shutil.rmtree(dvc.path / ".dvc/cache")
    shutil.rmtree(dvc.path.parent / "remote")
    assert dvc.dver("cat", "--rev", "dver/main~1", "data/a.txt").stdout == "alpha\n"
    assert dvc.git("fsck", "--strict", "--no-dangling") == ""
    refused = dvc.dver("migrate", "dvc", "--rewrite-history", code=5)
    assert "there is a branch dver/main already" in refused.stderr


def test_only_who_asks_for_an_old_version_reads_it(dvc: Project, tmp_path: Path) -> None:
    dvc.dver("init")
    dvc.dver("remote", "add", "origin", str(tmp_path / "ours"))
    dvc.dver("push")
    dvc.dver("status")
    assert not (dvc.path / ".git/dver/foreign.db").exists()
    dvc.commit("dver is set up")
    dvc.dver("push", "--rev", "v1")
    shutil.rmtree(dvc.path / ".git/dver/packs")
    shutil.rmtree(dvc.path / ".git/dver/index")
    drop_cache(dvc)
    shutil.rmtree(dvc.path.parent / "remote")
    assert list((tmp_path / "ours/packs").rglob("*"))


def test_programs_read_old_versions_too(dvc: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    import dver

    dvc.dver("migrate", "dvc")
    dvc.commit("moved to dver")
    monkeypatch.chdir(dvc.path)
    assert dver.read("data/old.txt", rev="v1") == b"only in v1\n"


def test_merges_keep_their_parents(dvc: Project) -> None:
    dvc.git("checkout", "-q", "-b", "side", "v1")
    dvc.commit("aside", notes="aside")
    dvc.git("checkout", "-q", "main")
    dvc.git("merge", "-q", "--no-edit", "side")
    dvc.dver("migrate", "dvc", "--rewrite-history")
    assert dvc.git("log", "--format=%s %p|%T", "main").count("|") == 4
    shape = [len(line.split()) for line in dvc.git("log", "--format=%p", "dver/main").splitlines()]
    assert shape == [len(line.split()) for line in dvc.git("log", "--format=%p").splitlines()]
    assert dvc.git("show", "dver/main:notes") == "aside"
    shallow = Project.clone(f"file://{dvc.path}", dvc.path.parent / "shallow", "--depth=1")
    done = Project(shallow.path).dver("migrate", "dvc", "--rewrite-history", "--dry-run", code=5)
    assert "git fetch --unshallow" in done.stderr
