"""Checkout and the other commands that write, against workspaces and histories that mean harm."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dver.base.errors import RefusedError
from dver.base.oid import oid_of
from dver.formats import pointer as pointers
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY, Entry
from tests.security import race
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo
from tests.support.workbench import ALWAYS, Link, Program, Workbench, kinds, read_back


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


@pytest.fixture
def dver(git_repo: GitRepo) -> Dver:
    run = Dver(git_repo.path)
    run("init", "-q")
    return run


def test_swaps_while_checkout_runs(tmp_path: Path) -> None:
    ended = race.campaign(tmp_path, 40, 1)
    assert ended.total() == 40
    assert set(ended) != {"done"}, "nothing was ever in the way"


def hooks_of(repo: GitRepo) -> dict[bytes, object]:
    return read_back(os.fsencode(repo.path / ".git" / "hooks"))


def test_a_hook_is_not_planted_through_a_tracked_symlink(dver: Dver, git_repo: GitRepo) -> None:
    """One version has a symlink to git's hooks, the next a directory of that name with a hook."""
    (git_repo.path / "data").mkdir()
    (git_repo.path / "data/h").symlink_to("../.git/hooks")
    dver("add", "-q", "data")
    git_repo.commit("one")
    git_repo.git("tag", "one")
    (git_repo.path / "data/h").unlink()
    git_repo.write("data/h/post-checkout", "#!/bin/sh\ntouch pwned\n").chmod(0o755)
    dver("add", "-q", "data")
    git_repo.commit("two")
    git_repo.git("tag", "two")
    before = hooks_of(git_repo)
    for rev in ("one", "two", "one", "two"):
        git_repo.git("checkout", "-q", rev)
        dver("checkout", "-q", "--force")
        assert hooks_of(git_repo) == before
    dver("checkout", "-q", "one", "data")
    dver("checkout", "-q", "two", "data/h/post-checkout", code=5)
    assert hooks_of(git_repo) == before
    assert os.path.islink(git_repo.path / "data/h")


def test_a_hook_is_not_planted_through_a_symlink_that_git_tracks(
    dver: Dver, git_repo: GitRepo
) -> None:
    """Git's own symlink where an older commit has a directory with data in it."""
    git_repo.write("d/post-checkout", "#!/bin/sh\ntouch pwned\n").chmod(0o755)
    dver("add", "-q", "d/post-checkout")
    git_repo.commit("one")
    git_repo.git("tag", "one")
    git_repo.git("rm", "-rq", "--cached", "d")
    for name in ("post-checkout", "post-checkout.dver", ".gitignore"):
        (git_repo.path / "d" / name).unlink()
    (git_repo.path / "d").rmdir()
    (git_repo.path / "d").symlink_to(".git/hooks")
    git_repo.commit("two")
    before = hooks_of(git_repo)
    for words in (
        ("checkout", "one"),
        ("checkout", "--force", "one"),
        ("checkout", "one", "d/post-checkout"),
        ("checkout", "--force", "one", "d"),
    ):
        assert dver.attempt(*words).exit_code == 5, words
        assert hooks_of(git_repo) == before
    # The content is there already, so that only the pointer would have to be written.
    (git_repo.path / ".git/hooks/post-checkout").write_text("#!/bin/sh\ntouch pwned\n")
    (git_repo.path / ".git/hooks/post-checkout").chmod(0o755)
    before = hooks_of(git_repo)
    assert dver.attempt("checkout", "one", "d/post-checkout").exit_code == 5
    assert hooks_of(git_repo) == before


def beyond(dver: Dver, repo: GitRepo, tmp_path: Path) -> Path:
    """Track ``d/x``, then swap ``d`` for a symlink to a directory that has the same in it."""
    there = tmp_path / "outside"
    there.mkdir()
    repo.write("d/x", "data")
    dver("add", "-q", "d/x")
    repo.commit("one")
    for name in ("x", "x.dver", ".gitignore"):
        os.rename(repo.path / "d" / name, there / name)
    (repo.path / "d").rmdir()
    (repo.path / "d").symlink_to(there)
    return there


@pytest.mark.parametrize(
    "words",
    [
        ("rm", "d/x"),
        ("rm", "--force", "d/x"),
        ("rm", "--keep-data", "d/x"),
        ("add", "d/x"),
        ("add", "-u"),
        ("mv", "d/x", "y"),
        ("mv", "y", "d/y"),
        ("checkout",),
        ("checkout", "--force"),
        ("checkout", "d/x"),
        ("checkout", "HEAD"),
        ("status",),
        ("push",),
        ("gc",),
    ],
)
def test_nothing_is_touched_beyond_a_symlink(
    dver: Dver, git_repo: GitRepo, tmp_path: Path, words: tuple[str, ...]
) -> None:
    git_repo.write("y", "other")
    dver("add", "-q", "y")
    dver("remote", "add", "-q", "nas", str(tmp_path / "nas"))
    there = beyond(dver, git_repo, tmp_path)
    (there / "x").write_text("changed, and theirs")
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in there.iterdir()}
    done = dver.attempt(*words)
    assert done.exit_code < 70, done
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in there.iterdir()}
    assert after == before


def test_pointers_that_are_no_plain_files(dver: Dver, git_repo: GitRepo, tmp_path: Path) -> None:
    """Symlinks, directories and pipes of a pointer's name; nobody waits for a writer."""
    git_repo.write("x", "data")
    dver("add", "-q", "x")
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    (git_repo.path / "a.dver").symlink_to(secret)
    (git_repo.path / "b.dver").mkdir()
    os.mkfifo(git_repo.path / "c.dver")
    for words in (("status",), ("checkout",), ("add", "-u"), ("push",), ("fsck",), ("du",)):
        done = dver.attempt(*words)
        assert done.exit_code < 70
        assert "hunter2" not in done.stdout + done.stderr


def test_a_gitignore_that_is_a_symlink(dver: Dver, git_repo: GitRepo, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("theirs\n")
    (git_repo.path / ".gitignore").symlink_to(there)
    git_repo.write("x", "data")
    dver("add", "x", code=5)
    assert there.read_text() == "theirs\n"


# hardlinks


def test_files_are_never_written_into(bench: Workbench) -> None:
    """Somebody's file that is hardlinked into the workspace keeps its bytes and its mode."""
    bench.write({b"a": b"1", b"b": Program(b"1"), b"c": b"1"})
    first = bench.add(moment=ALWAYS)
    bench.write({b"a": b"2", b"b": Program(b"2"), b"c": Program(b"1")})
    bench.add(moment=ALWAYS)
    there = bench.base / "theirs"
    there.write_bytes(b"2")
    for name in (b"a", b"b"):
        os.unlink(bench.path(b"data/" + name))
        os.link(there, bench.path(b"data/" + name))
    bench.checkout(first, force=True)
    assert kinds(bench.read()) == kinds({b"a": b"1", b"b": Program(b"1"), b"c": b"1"})
    assert there.read_bytes() == b"2"
    assert stat.S_IMODE(there.stat().st_mode) & 0o111 == 0


def test_an_edit_in_place_of_a_hardlinked_file_is_noticed(
    dver: Dver, git_repo: GitRepo, tmp_path: Path
) -> None:
    """Status tells of it, no other workspace gets it, the packs do not change, add takes it."""
    git_repo.write("data/a", "right " * 500)
    dver("add", "-q", "data")
    git_repo.commit("one")
    dver("config", "set", "--local", "-q", "core.link", "hardlink")
    (git_repo.path / "data/a").unlink()
    dver("checkout", "-q")
    path = git_repo.path / "data/a"
    assert path.stat().st_nlink == 2
    assert not path.stat().st_mode & 0o222
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(b"wrong")
    assert "modified" in dver("status").stdout
    other = Dver(GitRepo.clone(git_repo.path, tmp_path / "clone").path)
    for link in ("hardlink", "symlink", "copy"):
        other("config", "set", "--local", "-q", "store.path", str(git_repo.path / ".git/dver"))
        other("checkout", "-q", "--force", "--link", link)
        assert (other.cwd / "data/a").read_text() == "right " * 500, link
        (other.cwd / "data/a").unlink()
    dver("fsck", "--full")
    dver("checkout", code=5)
    assert path.read_bytes().startswith(b"wrong")
    dver("add", "-q", "data")
    dver("checkout", "-q", "HEAD", "data")
    assert path.read_text() == "right " * 500


def test_an_edit_that_hides_itself_is_not_passed_on(dver: Dver, git_repo: GitRepo) -> None:
    """The mtime and mode put back as they were: nobody else gets such a file from the cache."""
    git_repo.write("data/a", "right " * 500)
    dver("add", "-q", "data")
    dver("config", "set", "--local", "-q", "core.link", "hardlink")
    path = git_repo.path / "data/a"
    path.unlink()
    dver("checkout", "-q")
    before = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(b"wrong")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    path.chmod(stat.S_IMODE(before.st_mode))
    path.rename(path.with_name("kept"))
    dver("checkout", "-q")
    assert path.read_text() == "right " * 500


# trees


def test_a_directory_that_holds_itself_cannot_be_made(bench: Workbench) -> None:
    """It would need a hash that contains itself; a tree under a wrong name is refused."""
    from dver.formats import pack, tree

    claimed = oid_of(b"a tree of which I hold the hash")
    looped = tree.encode(tree.build([Entry(DIRECTORY, b"d", 0, claimed)], 0))
    forge(bench, [(claimed, pack.TREE, looped)])
    from dver.base.errors import CorruptError

    with pytest.raises(CorruptError):
        bench.checkout(Pointer("tree", claimed, 0, 0))
    assert os.listdir(bench.root) == []


def forge(bench: Workbench, objects: list[tuple[bytes, int, bytes]]) -> None:
    """Put frames into a store whose oids are not those of their contents."""
    from tests.security.forging import forge as forge_in

    forge_in(bench.store, objects)


def test_trees_that_multiply(bench: Workbench) -> None:
    """Forty small trees that name each other twice would be 2^40 directories."""
    from dver.base.errors import DverError
    from dver.formats import tree

    oid, size = tree.EMPTY_OID, 0
    bench.put_tree(tree.EMPTY_BYTES)
    for _ in range(40):
        both = [Entry(DIRECTORY, name, size, oid) for name in (b"a", b"b")]
        oid = bench.put_tree(tree.encode(tree.build(both, 0)))
    from dver.store import walk
    from dver.store.walk import Budget

    budget = Budget()
    budget._directories = 1000
    with pytest.raises(DverError, match="more entries"):
        for _ in walk.walk(bench.store, oid, budget=budget):
            pass


def test_a_symlink_of_a_tree_is_no_way_for_its_files(bench: Workbench, tmp_path: Path) -> None:
    """``a -> ..`` and files below ``a`` cannot both be in one tree, nor in two targets."""
    from dver.base.errors import FormatError
    from dver.formats import tree
    from dver.formats.tree import FILE, SYMLINK

    text, blob = bench.put_blob(b".."), bench.put_blob(b"evil")
    entries = [Entry(SYMLINK, b"a", 2, text), Entry(FILE, b"a/x", 4, blob)]
    with pytest.raises(FormatError):
        tree.decode(tree.encode(tree.build(entries, 0)))
    bench.write({b"a": Link(b"..")})
    bench.add()
    with pytest.raises(RefusedError):
        plan = bench.plan(Pointer("file", blob, 4), b"data/a/x")
        result = race.apply_plan(plan, bench.root, bench.store)
        raise RefusedError(result.failed[0].message)
    assert not os.path.lexists(bench.path(b"x"))


def test_the_pointers_themselves_are_never_executable(dver: Dver, git_repo: GitRepo) -> None:
    git_repo.write("run.sh", "#!/bin/sh\n").chmod(0o755)
    dver("add", "-q", "run.sh")
    assert pointers.decode((git_repo.path / "run.sh.dver").read_bytes()).executable
    assert not (git_repo.path / "run.sh.dver").stat().st_mode & 0o111
