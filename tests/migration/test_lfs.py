"""``migrate lfs`` in repositories that the real git-lfs made."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.migration.conftest import Project
from tests.support.gitrepo import GitRepo


def stored(lfs: Project, content: bytes) -> Path:
    """Return the object of git-lfs that holds some content."""
    files = [path for path in (lfs.path / ".git/lfs/objects").rglob("*") if path.is_file()]
    return next(path for path in files if path.read_bytes() == content)


def test_takes_over_and_stages_it(lfs: Project) -> None:
    plan = lfs.dver("migrate", "lfs", "--dry-run", "--json").result
    assert lfs.changed() == set()
    head = lfs.head()
    done = lfs.dver("migrate", "lfs")
    assert done.stdout == (
        "took over  a.bin (5.9 KiB)\ntook over  models/ä b (7 B)\n"
        "staged; 'git diff --cached' shows it, and 'git commit' makes it so\n"
    )
    assert lfs.head() == head
    staged = lfs.git_bytes("diff", "--cached", "--name-status", "-z", "--no-renames").split(b"\0")
    changes = {
        name.decode(): what.decode() for what, name in zip(staged[::2], staged[1::2], strict=False)
    }
    assert {name for name, what in changes.items() if what != "D"} == set(plan["writes"])
    assert {name for name, what in changes.items() if what == "D"} == set(plan["untracked"])
    assert (lfs.path / ".gitattributes").read_bytes() == b""
    assert (lfs.path / "a.bin").read_bytes() == b"second" * 1000
    assert "executable: true" in lfs.pointer("models/ä b").decode()
    lfs.commit_staged("moved to dver")
    assert lfs.changed() == set()
    assert lfs.dver("status").stdout.splitlines()[-1] == "2 targets, all as recorded"
    assert "git-lfs has no files here" in lfs.dver("migrate", "lfs", code=4).stderr


def test_old_revisions_are_read_from_lfs(lfs: Project) -> None:
    lfs.dver("migrate", "lfs")
    lfs.commit_staged("moved to dver")
    assert lfs.dver("cat", "--rev", "v1", "a.bin").stdout == "first" * 1000
    assert lfs.dver("ls", "--rev", "v1").stdout.splitlines() == ["a.bin", "models/ä b"]
    log = lfs.dver("log", "a.bin", "--json").result["entries"]
    assert [(one["subject"], one["size"]) for one in log] == [("two", 6000), ("one", 5000)]


def test_content_that_is_not_here_or_damaged(lfs: Project) -> None:
    """What git-lfs did not smudge comes from its objects, and a damaged object is not taken."""
    pointer = lfs.git("show", "HEAD:a.bin") + "\n"
    lfs.write("a.bin", pointer)
    damaged = stored(lfs, b"second" * 1000)
    damaged.chmod(0o644)
    damaged.write_bytes(b"secont" * 1000)
    done = lfs.dver("migrate", "lfs", code=6)
    assert "'dver migrate lfs --fetch' has git-lfs bring what its server has" in done.stderr
    assert f"damaged: {damaged}" in done.stderr
    assert not (lfs.path / "a.bin.dver").exists()
    told = lfs.dver("migrate", "lfs", "--json", code=6).json
    assert (told["ok"], told["result"]["lacking"]) == (False, True)
    # The other one is done; git-lfs keeps what it has.
    assert (lfs.path / "models/ä b.dver").exists()
    assert b"*.bin filter=lfs" in (lfs.path / ".gitattributes").read_bytes()
    damaged.write_bytes(b"second" * 1000)
    lfs.dver("migrate", "lfs")
    assert (lfs.path / "a.bin.dver").exists()
    assert (lfs.path / ".gitattributes").read_bytes() == b""


def test_only_a_part_keeps_the_rest_working(lfs: Project) -> None:
    lfs.write("models/c", "other weights")
    lfs.commit("three")
    lfs.dver("migrate", "lfs", "models/ä b")
    lfs.commit_staged("partly")
    assert lfs.git("lfs", "ls-files", "-n").splitlines() == ["a.bin", "models/c"]
    # The pattern models/** would give the pointer itself to git-lfs.
    assert lfs.git_bytes("show", "HEAD:models/ä b.dver") == lfs.pointer("models/ä b")
    assert lfs.changed() == set()


def test_without_staging(lfs: Project) -> None:
    done = lfs.dver("migrate", "lfs", "--no-stage")
    assert done.stdout.splitlines()[-1].startswith("to stage it, run: git rm --cached a.bin")
    assert lfs.git("diff", "--cached", "--name-only") == ""


def test_a_clone_without_objects(lfs: Project, tmp_path: Path) -> None:
    lfs.dver("migrate", "lfs")
    lfs.commit_staged("moved to dver")
    clone = Project.clone(lfs.path, tmp_path / "clone")
    shutil.rmtree(clone.path / ".git/lfs", ignore_errors=True)
    done = Project(clone.path).dver("cat", "--rev", "v1", "a.bin", code=6)
    assert "a.bin at v1 was versioned by git-lfs" in done.stderr


def clone_without_content(lfs: Project, tmp_path: Path) -> Project:
    """Return a clone whose git-lfs has fetched nothing, of a remote that has all."""
    bare = Project(tmp_path / "bare.git")
    lfs.git("clone", "-q", "--bare", str(lfs.path), str(bare.path))
    lfs.git("remote", "add", "origin", bare.path.as_uri())
    lfs.git("lfs", "push", "--all", "origin")
    lfs.git("clone", "-q", bare.path.as_uri(), str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    assert not (clone.path / ".git/lfs/objects").exists()
    return clone


def test_content_is_fetched_by_git_lfs(lfs: Project, tmp_path: Path) -> None:
    clone = clone_without_content(lfs, tmp_path)
    clone.git("config", "lfs.fetchexclude", "*.bin")
    done = clone.dver("migrate", "lfs", code=6)
    assert "hint: 'dver migrate lfs --fetch' has git-lfs bring" in done.stderr
    clone.dver("migrate", "lfs", "--fetch", "a.bin")
    assert not any("models" in path for path in clone.dver("ls").stdout.splitlines())
    clone.dver("migrate", "lfs", "--fetch")
    clone.dver("checkout", "--force", "a.bin", "models/ä b")
    assert (clone.path / "a.bin").read_bytes() == b"second" * 1000
    assert (clone.path / "models/ä b").read_text() == "weights"


def test_what_git_lfs_cannot_fetch_stops_nothing(lfs: Project, tmp_path: Path) -> None:
    clone = clone_without_content(lfs, tmp_path)
    shutil.rmtree(tmp_path / "bare.git/lfs")
    clone.write("a.bin", b"second" * 1000)
    done = clone.dver("migrate", "lfs", "--fetch", code=6)
    assert "'git lfs' failed" in done.stderr
    assert "not taken: models/ä b" in done.stderr and (clone.path / "a.bin.dver").exists()


def test_where_there_is_nothing(git_repo: GitRepo) -> None:
    assert (
        "git-lfs has no files here" in Project(git_repo.path).dver("migrate", "lfs", code=4).stderr
    )
