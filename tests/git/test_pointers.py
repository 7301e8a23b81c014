"""Finding pointer files in the index, in trees, and in history."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from dver.base.errors import RepositoryError
from dver.git import history, pointers
from dver.git.pointers import PointerFile
from dver.git.repository import Git
from tests.support.gitrepo import START, GitRepo

NAMES = [b"a.dver", b"d/b.dver", b"d/e/c.dver", b"d/caf\xe9.dver", b"d/new\nline.dver", b"-x.dver"]
NAMES += [b"glob*[x].dver", b"globxx.dver", b":(top)y.dver", b"d/\x01odd.dver"]


def blob_of(repo: GitRepo, content: str) -> str:
    return repo.git("hash-object", "--stdin", stdin=content.encode())


def test_workspace_lists_tracked_and_untracked(git_repo: GitRepo) -> None:
    git_repo.commit_files({name: name for name in NAMES})
    git_repo.write("new/u.dver", "u")
    git_repo.write(".gitignore", "/hidden\n")
    git_repo.write("hidden/x.dver", "x")
    git_repo.write("d/.dver", "no pointer: it has no name")
    git_repo.write(".dver/config.yaml", "")
    git_repo.write("d/plain.txt", "")
    (git_repo.path / "a.dver").unlink()
    git = Git.discover(git_repo.path / "d")
    found = pointers.in_workspace(git)
    assert [pointer.path for pointer in found] == sorted([*NAMES, b"new/u.dver"])
    by_path = {pointer.path: pointer for pointer in found}
    assert by_path[b"new/u.dver"] == PointerFile(b"new/u.dver", None)
    assert by_path[b"a.dver"].blob == blob_of(git_repo, "a.dver")


@pytest.mark.parametrize(
    ("under", "expected"),
    [
        ([b"a"], [b"a.dver"]),
        ([b"a.dver"], [b"a.dver"]),
        ([b"d"], sorted(name for name in NAMES if name.startswith(b"d/"))),
        ([b"d/e", b"a"], [b"a.dver", b"d/e/c.dver"]),
        ([b"glob*[x]"], [b"glob*[x].dver"]),
        ([b":(top)y"], [b":(top)y.dver"]),
        ([b"-x"], [b"-x.dver"]),
        ([b"d/caf\xe9"], [b"d/caf\xe9.dver"]),
        ([b"d/e/c/inside/it"], []),
        ([b"nope"], []),
        ([b"", b"a"], sorted(NAMES)),
        ([], []),
    ],
)
def test_selection_by_data_path(
    git_repo: GitRepo, under: list[bytes], expected: list[bytes]
) -> None:
    head = git_repo.commit_files({name: name for name in NAMES})
    git = Git.discover(git_repo.path)
    assert [pointer.path for pointer in pointers.in_workspace(git, under)] == expected
    assert [path for path, _ in pointers.at_revision(git, head, under)] == expected
    assert sorted(change.path for change in history.history(git, ["HEAD"], under)) == expected
    selected = pointers.selector(under)
    assert sorted(name for name in NAMES if selected(name)) == expected


def test_ancestors_of_a_path_inside_tracked_data(git_repo: GitRepo) -> None:
    head = git_repo.commit_files({name: name for name in NAMES})
    git = Git.discover(git_repo.path)
    under = [b"d/e/c/inside/it"]
    listed = pointers.in_workspace(git, under, ancestors=True)
    assert [pointer.path for pointer in listed] == [b"d/e/c.dver"]
    assert [path for path, _ in pointers.at_revision(git, head, under, ancestors=True)] == [
        b"d/e/c.dver"
    ]
    changes = history.history(git, ["HEAD"], under, ancestors=True)
    assert [change.path for change in changes] == [b"d/e/c.dver"]


def test_unmerged_pointer(git_repo: GitRepo) -> None:
    git_repo.commit("one", **{"x.dver": "1"})
    git_repo.git("checkout", "-q", "-b", "side")
    git_repo.commit("two", **{"x.dver": "2"})
    git_repo.git("checkout", "-q", "main")
    git_repo.commit("three", **{"x.dver": "3"})
    git_repo.git("merge", "side", check=False)
    git = Git.discover(git_repo.path)
    assert pointers.in_workspace(git) == [PointerFile(b"x.dver", None, unmerged=True)]


def test_sparse_checkout_skips(git_repo: GitRepo) -> None:
    git_repo.commit_files({"in/a.dver": "a", "out/b.dver": "b"})
    git = Git.discover(git_repo.path)
    assert not git.is_sparse
    git_repo.git("sparse-checkout", "set", "in")
    git = Git.discover(git_repo.path)
    assert git.is_sparse
    found = pointers.in_workspace(git)
    assert [(pointer.path, pointer.skipped) for pointer in found] == [
        (b"in/a.dver", False),
        (b"out/b.dver", True),
    ]


def test_symlinks_and_submodules_are_no_pointers(git_repo: GitRepo, tmp_path: Path) -> None:
    inner = GitRepo.init(tmp_path / "inner")
    inner.commit("one", **{"inside.dver": "1"})
    git_repo.git(
        *("-c", "protocol.file.allow=always", "submodule", "--quiet"),
        *("add", str(inner.path), "sub.dver"),
    )
    (git_repo.path / "link.dver").symlink_to("/etc/passwd")
    head = git_repo.commit("two", **{"x.dver": "x"})
    git = Git.discover(git_repo.path)
    assert [pointer.path for pointer in pointers.in_workspace(git)] == [b"x.dver"]
    assert [path for path, _ in pointers.at_revision(git, head)] == [b"x.dver"]
    assert [change.path for change in history.history(git, ["HEAD"])] == [b"x.dver"]


def test_bare_and_unborn_have_no_workspace_pointers(git_repo: GitRepo, tmp_path: Path) -> None:
    assert pointers.in_workspace(Git.discover(git_repo.path)) == []
    assert list(history.history(Git.discover(git_repo.path), ["--all"])) == []
    assert history.reachable_blobs(Git.discover(git_repo.path)) == {}
    head = git_repo.commit("one", **{"x.dver": "x"})
    bare = Git.discover(GitRepo.clone(git_repo.path, tmp_path / "b.git", "--bare").path)
    assert pointers.in_workspace(bare) == []
    assert [path for path, _ in pointers.at_revision(bare, head)] == [b"x.dver"]
    assert set(history.reachable_blobs(bare)) == {blob_of(git_repo, "x")}


def test_a_list_that_nobody_asks_for_may_fail(git_repo: GitRepo) -> None:
    git = Git.discover(git_repo.path)
    with pointers.asked_at_revision(git, "HEAD", (b"",)):
        pass  # there is no commit yet
    with (
        pytest.raises(RepositoryError, match="HEAD"),
        pointers.asked_at_revision(git, "HEAD", (b"",)) as answer,
    ):
        answer()


def test_a_list_is_made_while_others_work(git_repo: GitRepo) -> None:
    git_repo.write("a.dver", "")
    git_repo.commit("first")
    git = Git.discover(git_repo.path)
    with pointers.asked_at_revision(git, "HEAD", (b"",)) as answer:
        assert git.branch() == "main"
        assert [path for path, _ in answer()] == [b"a.dver"]
    with pointers.asked_at_revision(git, "HEAD", ()) as answer:
        assert answer() == []


def test_read_blobs(git_repo: GitRepo) -> None:
    contents = [b"", b"\n", b"a\0b\n", b"x" * 9000, b"end"]
    blobs = [git_repo.git("hash-object", "-w", "--stdin", stdin=data) for data in contents]
    git = Git.discover(git_repo.path)
    found = pointers.read_blobs(git, [*blobs, *blobs], limit=4096)
    assert [found[blob] for blob in blobs] == [b"", b"\n", b"a\0b\n", b"x" * 4097, b"end"]
    assert pointers.read_blobs(git, []) == {}
    with pytest.raises(RepositoryError, match="0" * 40):
        pointers.read_blobs(git, [blobs[0], "0" * 40])


def test_history_tells_who_when_what(git_repo: GitRepo) -> None:
    one = git_repo.commit("add", **{"d/x.dver": "1", "plain": "p"})
    git_repo.commit("unrelated", plain="q")
    three = git_repo.commit("change: new\nlong text", **{"d/x.dver": "2"})
    git_repo.git("mv", "d/x.dver", "d/y.dver")
    four = git_repo.commit("rename")
    git = Git.discover(git_repo.path)
    changes = list(history.history(git, ["HEAD"]))
    first, second = blob_of(git_repo, "1"), blob_of(git_repo, "2")
    assert [(c.commit.id, c.path, c.blob, c.previous) for c in changes] == [
        (four, b"d/x.dver", None, second),
        (four, b"d/y.dver", second, None),
        (three, b"d/x.dver", second, first),
        (one, b"d/x.dver", first, None),
    ]
    assert changes[2].commit.subject == "change: new long text"
    assert changes[2].commit.author_time == START + 3
    assert [c.commit.id for c in history.history(git, [f"{one}..{three}"])] == [three]
    assert [c.commit.id for c in history.history(git, ["HEAD", "^" + three])] == [four, four]


def test_users_git_settings_do_not_change_the_history(git_repo: GitRepo) -> None:
    git_repo.commit("one", **{"x.dver": "1"})
    git_repo.commit("two", **{"x.dver": "2"})
    git = Git.discover(git_repo.path)
    plain = list(history.history(git, ["--all"]))
    assert len(plain) == 2
    for key, value in [
        ("color.ui", "always"),
        ("log.showSignature", "true"),
        ("log.showRoot", "false"),
        ("log.decorate", "full"),
        ("log.date", "relative"),
        ("log.follow", "true"),
        ("log.diffMerges", "first-parent"),
        ("diff.external", "false"),
        ("diff.renames", "copies"),
        ("diff.noprefix", "true"),
        ("diff.ignoreSubmodules", "all"),
        ("format.pretty", "oneline"),
        ("core.quotePath", "true"),
        ("core.abbrev", "7"),
        ("i18n.logOutputEncoding", "latin1"),
    ]:
        git_repo.git("config", key, value)
    assert list(history.history(git, ["--all"])) == plain


def test_every_content_of_a_random_history_is_seen(git_repo: GitRepo) -> None:
    """Compare with the trees of all commits: branches, evil merges, 'ours' merges, reverts."""
    rng = random.Random(7)
    git_repo.commit("root", **{"a.dver": "0", "b.dver": "0", "plain": "0"})
    for number in range(60):
        branches = git_repo.git("branch", "--format=%(refname:short)").split()
        git_repo.git("checkout", "-q", "-f", rng.choice(branches))
        kind = rng.randrange(5)
        if kind == 0 and len(branches) < 6:
            git_repo.git("checkout", "-q", "-b", f"b{number}")
        elif kind == 1:
            strategy = rng.choice(["ours", "recursive"])
            git_repo.git(
                "merge",
                "-q",
                "--no-commit",
                "--no-ff",
                "-s",
                strategy,
                rng.choice(branches),
                check=False,
            )
            if rng.random() < 0.5:
                git_repo.write("a.dver", f"evil {number}")
        else:
            name = rng.choice(["a.dver", "b.dver", f"c{number}.dver", "plain"])
            git_repo.write(name, rng.choice(["0", "1", f"n{number}"]))
        git_repo.git("add", "--all")
        git_repo.commit_staged(f"c{number}")
    git = Git.discover(git_repo.path)
    commits = git.rev_list("--all")
    held = {commit: {blob for _, blob in pointers.at_revision(git, commit)} for commit in commits}
    changed = {change.blob for change in history.history(git, ["--all"])} - {None}
    assert changed == set().union(*held.values())
    assert set(history.reachable_blobs(git)) == changed
    for _ in range(10):
        first, last = rng.choice(commits), rng.choice(commits)
        inside = git.rev_list(last, "^" + first)
        seen = {change.blob for change in history.history(git, [f"{first}..{last}"])}
        boundary: set[str] = set().union(*(held[c] for c in git.rev_list(first)))
        wanted = set().union(*(held[commit] for commit in inside))
        assert wanted <= seen | boundary


def test_gc_sees_everything_that_git_keeps(git_repo: GitRepo, tmp_path: Path) -> None:
    def change(content: str) -> str:
        git_repo.write("x.dver", content)
        git_repo.git("add", "--all")
        return blob_of(git_repo, content)

    expected = {change("first")}
    git_repo.commit_staged()
    expected.add(change("only in the reflog"))
    git_repo.commit_staged()
    git_repo.git("reset", "-q", "--hard", "HEAD~1")
    for text in ("older stash", "newer stash"):
        expected.add(change(text))
        git_repo.git("stash", "-q")
    expected.add(blob_of(git_repo, "untracked in a stash"))
    git_repo.write("u.dver", "untracked in a stash")
    git_repo.git("stash", "-q", "--include-untracked")
    git_repo.git("tag", "-a", "-m", "t", "t", git_repo.git("stash", "create") or "HEAD")
    git_repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    linked = GitRepo(tmp_path / "linked")
    expected.add(blob_of(git_repo, "detached commit of a worktree"))
    linked.commit("w", **{"x.dver": "detached commit of a worktree"})
    expected.add(blob_of(git_repo, "staged in a worktree"))
    linked.write("y.dver", "staged in a worktree")
    linked.git("add", "--all")
    other = GitRepo.clone(git_repo.path, tmp_path / "other")
    expected.add(blob_of(git_repo, "fetched, on no ref"))
    other.commit("f", **{"f.dver": "fetched, on no ref"})
    git_repo.git("fetch", "-q", str(other.path), "HEAD")
    expected.add(change("staged here"))
    git = Git.discover(git_repo.path)
    assert set(history.reachable_blobs(git)) == expected
    assert set(history.reachable_blobs(Git.discover(linked.path))) == expected


def test_gc_sees_behind_replaced_commits(git_repo: GitRepo) -> None:
    old = git_repo.commit("old", **{"x.dver": "old"})
    git_repo.git("rm", "-q", "x.dver")
    new = git_repo.commit("new", **{"y.dver": "new"})
    git_repo.git("replace", old, new)
    git = Git.discover(git_repo.path)
    blobs = {blob_of(git_repo, "old"), blob_of(git_repo, "new")}
    assert set(history.reachable_blobs(git)) == blobs


def test_gc_bears_reflogs_and_pseudo_refs_that_lost_their_commits(git_repo: GitRepo) -> None:
    git_repo.commit("one", **{"x.dver": "1"})
    lost = git_repo.commit("two", **{"x.dver": "2"})
    git_repo.git("reset", "-q", "--hard", "HEAD~1")
    assert git_repo.git("rev-parse", "ORIG_HEAD") == lost
    (git_repo.path / ".git/objects" / lost[:2] / lost[2:]).unlink()
    git = Git.discover(git_repo.path)
    assert set(history.reachable_blobs(git)) == {blob_of(git_repo, "1")}


def test_gc_fails_when_a_ref_lost_its_commit(git_repo: GitRepo) -> None:
    git_repo.commit("one", **{"x.dver": "1"})
    lost = git_repo.commit("two", **{"x.dver": "2"})
    git_repo.git("branch", "side", "HEAD~1")
    git_repo.git("checkout", "-q", "side")
    (git_repo.path / ".git/objects" / lost[:2] / lost[2:]).unlink()
    with pytest.raises(RepositoryError):
        history.reachable_blobs(Git.discover(git_repo.path))


def test_thousand_commits_in_a_moment(git_repo: GitRepo) -> None:
    script = []
    for number in range(1000):
        text = f"pointer {number}"
        script.append(
            f"commit refs/heads/main\ncommitter A <a@b> {START + number} +0000\n"
            f"data 1\nc\nM 100644 inline d/{number % 50}.dver\ndata {len(text)}\n{text}\n"
        )
    git_repo.git("fast-import", "--quiet", stdin="".join(script).encode())
    git = Git.discover(git_repo.path)
    began = sum(os.times()[:4])
    changes = list(history.history(git, ["main"]))
    contents = pointers.read_blobs(git, [change.blob for change in changes if change.blob])
    assert sum(os.times()[:4]) - began < 0.3  # CPU seconds, git's included; 0.07 when written
    assert len(changes) == len(contents) == 1000
    assert set(contents.values()) == {f"pointer {number}".encode() for number in range(1000)}
