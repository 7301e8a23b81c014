"""One store for several accounts of a machine: who can write what, and whose word is taken.

Run as root, the accounts are real ones (see :mod:`.accounts`). Otherwise they are the same one, the
modes are still asked for, and packs are declared to be somebody else's.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dver.base import fsio
from dver.base.oid import oid_of
from dver.formats import pack
from dver.formats.pointer import Pointer
from dver.store.store import Store
from tests.security.accounts import GROUP, REAL, Account, Machine
from tests.security.forging import forge
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo
from tests.support.workbench import Workbench

WRITE_DATA = """
os.makedirs('data', exist_ok=True)
for i in range(3):
    Path(f'data/{i}').write_text(f'the same for all {i} ' * 100)
Path('data/own').write_text(OWN * 50)
"""


@pytest.fixture
def commons() -> Iterator[Path]:
    """A directory that every account can go through, as pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="dver-commons-") as top:
        os.chmod(top, 0o755)
        yield Path(top)


@pytest.fixture
def place(commons: Path) -> Path:
    """A directory made as the manual says: the group may write, and hands itself on."""
    store = commons / "store"
    store.mkdir()
    if REAL:
        os.chown(store, 0, GROUP)
    store.chmod(0o2775)
    return store


def settle(account: Account, store: Path) -> None:
    """Give an account a repository, ``home/repo``, with data in it, that uses a store."""
    account.move_in()
    settings = f"store:\\n  path: {store}\\n"
    account.run(
        account.home,
        "os.makedirs('.config/dver')\n"
        f"Path('.config/dver/config.yaml').write_text('{settings}')\n"
        "subprocess.run(['git', 'init', '-q', 'repo'], check=True)",
    )
    account.dver(account.home / "repo", "init", "-q")
    account.run(account.home / "repo", WRITE_DATA.replace("OWN", repr(account.home.name)))


def test_accounts_share_a_store_whatever_their_umask(place: Path) -> None:
    with Machine() as machine:
        for umask in (0o002, 0o022, 0o077):
            store = place / f"{umask:03o}"
            store.mkdir()
            if REAL:
                os.chown(store, 0, GROUP)
            store.chmod(0o2775)
            both = []
            for number, name in ((10_001, "ann"), (10_002, "bob")):
                home = place.parent / f"{name}-{umask:03o}"
                account = Account(machine, number, home, umask)
                settle(account, store)
                both.append(account)
            both_use_it(both, store)
            files_are_linked_from_ones_own(both)
            reading_needs_no_more(both, store)


def modes_below(top: Path) -> Iterator[tuple[Path, int]]:
    for where, dirs, files in os.walk(top):
        for name in (*dirs, *files):
            yield Path(where, name), os.lstat(os.path.join(where, name)).st_mode


def both_use_it(accounts: list[Account], place: Path) -> None:
    ann, bob = accounts
    for one in (ann, bob):
        one.dver(one.home / "repo", "add", "-q", "data")
    packs = sum(1 for path, mode in modes_below(place / "packs") if stat.S_ISREG(mode))
    assert packs == 4, "what one has added is not stored again by the other"
    for path, mode in modes_below(place):
        if stat.S_ISDIR(mode):
            assert mode & 0o2070 == 0o2070, (path, oct(mode))
        else:
            assert mode & 0o040, (path, oct(mode))
            assert not mode & 0o002, (path, oct(mode))
        if path.parent.parent.name == "packs" or path.parent.name == "index":
            assert not mode & 0o222, (path, oct(mode))
        if REAL:
            assert path.lstat().st_gid == GROUP
    for one, other in ((ann, bob), (bob, ann)):
        repo = one.home / "repo"
        one.run(repo, "import shutil; shutil.rmtree('data')")
        one.dver(repo, "checkout", "-q")
        other.dver(other.home / "repo", "fsck", "--full")
        one.dver(repo, "status")
        assert one.run(repo, "result = Path('data/1').read_text()") == "the same for all 1 " * 100


def files_are_linked_from_ones_own(accounts: list[Account]) -> None:
    """Not hardlinked from what somebody else owns, who could change it at any time."""
    for one in accounts:
        repo = one.home / "repo"
        one.dver(repo, "config", "set", "-q", "--local", "core.link", "hardlink")
        one.dver(repo, "add", "-q", "data")
        one.run(repo, "import shutil; shutil.rmtree('data')")
        one.dver(repo, "checkout", "-q")
        found = one.run(
            repo,
            "result = [(os.stat(f'data/{n}').st_uid, os.stat(f'data/{n}').st_mode, n)"
            " for n in os.listdir('data')]",
        )
        assert len(found) == 4
        for uid, mode, name in found:
            assert uid == one.uid, name
            assert not stat.S_IMODE(mode) & 0o222 & one.umask, name


def reading_needs_no_more(accounts: list[Account], place: Path) -> None:
    """It reads and checks out; writing is refused with the path and the reason."""
    if not REAL:
        return
    ann, bob = accounts
    ann.dver(ann.home / "repo", "add", "-q", "data")
    bob.dver(bob.home / "repo", "add", "-q", "data")
    bob.run(bob.home / "repo", "import shutil; shutil.rmtree('data')")
    for path, mode in [(place, place.stat().st_mode), *modes_below(place)]:
        if not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & ~0o022)
            os.chown(path, ann.uid, GROUP)
    bob.dver(bob.home / "repo", "checkout", "-q")
    bob.dver(bob.home / "repo", "status")
    bob.run(bob.home / "repo", "Path('data/new').write_text('new')")
    done = bob.dver(bob.home / "repo", "add", "data", code=10)
    assert "permission denied" in done.stderr


def test_doctor_tells_of_a_store_that_was_shared_too_late(
    place: Path, git_repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVER_STORE_PATH", str(place))
    dver = Dver(git_repo.path)
    dver("init", "-q")
    git_repo.write("x", "data")
    dver("add", "-q", "x")
    assert "with its group" in dver("doctor", "--offline").stdout
    (place / "packs").chmod(0o755)
    done = dver("doctor", "--offline", code=1)
    assert "the group cannot write to packs" in done.stdout
    assert f"chmod -R g+rwX {place}" in done.stdout


# -- modes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o027, 0o077])
@pytest.mark.parametrize("mode", [0o755, 0o700, 0o2755, 0o2775, 0o2770])
def test_what_a_directory_owes_its_group(tmp_path: Path, umask: int, mode: int) -> None:
    """Only a directory that is setgid and writable for its group changes what the umask says."""
    top = tmp_path / "top"
    top.mkdir()
    top.chmod(mode)
    shared = mode & 0o2020 == 0o2020
    before = os.umask(umask)
    try:
        fsio.make_dirs(top / "a" / "b")
        for name, wanted in (("plain", 0o666), ("object", 0o444), ("private", 0o600)):
            fsio.write_atomic(top / "a" / name, b"x", mode=wanted)
            found = stat.S_IMODE((top / "a" / name).stat().st_mode)
            expected = wanted & ~umask
            if shared:
                expected |= wanted & 0o060
            assert found == expected, (name, oct(found))
    finally:
        os.umask(before)
    for directory in (top / "a", top / "a" / "b"):
        found = directory.stat().st_mode
        plain = 0o777 & ~umask
        assert stat.S_IMODE(found) & 0o777 == (plain | 0o070 if shared else plain)
        assert bool(found & stat.S_ISGID) == bool(mode & 0o2000)


def test_proofs_are_for_their_owner_alone(place: Path) -> None:
    from dver.base.oid import list_name_of
    from dver.store.proofs import add_proofs, read_proofs

    pair = (oid_of(b"x"), list_name_of(b"y"))
    add_proofs(str(place), [pair])
    (path,) = (place / "proofs").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_proofs(str(place)).hold(*pair)
    path.chmod(0o660)
    assert not read_proofs(str(place)).hold(*pair), "somebody else could have written them"


# -- objects of others -----------------------------------------------------------------------------


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path / "bench")


def of_somebody_else(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all packs that are there now belong to another account."""
    account = os.geteuid()
    if REAL:
        for path in Path(store.local_directory(), "packs").rglob("*"):
            os.chown(path, 10_003, GROUP)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: account + 1)
    store.refresh()
    monkeypatch.setattr(os, "geteuid", lambda: account)


GOOD, EVIL = b"what I mean to keep", b"what somebody put there in its place"


def test_content_that_another_account_claims_to_have_is_stored(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the only copy would be in the workspace, and the next checkout would lose it."""
    forge(bench.store, [(oid_of(GOOD), pack.BLOB, EVIL)])
    of_somebody_else(bench.store, monkeypatch)
    assert bench.store.index.foreign_packs
    bench.write({b"a": GOOD})
    bench.add()
    mine = [
        one
        for one in bench.store.index.segments
        for oid, place in one.places()
        if oid == oid_of(GOOD) and place.pack not in bench.store.index.foreign_packs
    ]
    assert mine, "the claim was believed"


def test_the_only_copy_is_not_overwritten_on_the_word_of_another_account(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write({b"a": b"recorded"})
    pointer = bench.add()
    # Edited, never added; somebody claims that the store has it.
    bench.write({b"a": GOOD})
    forge(bench.store, [(oid_of(GOOD), pack.BLOB, EVIL)])
    assert not bench.plan(pointer).conflicts, "the index says so"
    of_somebody_else(bench.store, monkeypatch)
    assert [one.path for one in bench.plan(pointer).conflicts] == [b"data/a"]
    with bench.store.writer() as writer:
        writer.add(GOOD)
        writer.commit()
    assert not bench.plan(pointer).conflicts


def test_an_index_entry_of_another_account_is_not_believed(bench: Workbench) -> None:
    """It may point into a pack of ours, and name something else there."""
    bench.write({b"a": b"recorded"})
    pointer = bench.add()
    bench.write({b"a": GOOD})
    name = forge(bench.store, [(oid_of(GOOD), pack.BLOB, EVIL)])
    for one in bench.store.index.segments:
        if one.find(oid_of(GOOD)):
            one.owner = os.geteuid() + 1
    bench.store.refresh()
    assert bench.store.index.foreign_packs == {name}
    assert [one.path for one in bench.plan(pointer).conflicts] == [b"data/a"]


def test_sound_content_of_another_account_is_used(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write({b"a": GOOD, b"large": bytes(range(256)) * 8000, b"sub/b": b"b"})
    bench.add()
    before = len(bench.store.index)
    of_somebody_else(bench.store, monkeypatch)
    with bench.store.writer() as writer:
        assert oid_of(GOOD) in writer.packs
        writer.add(GOOD)
        writer.add(bytes(range(256)) * 8000)
        writer.commit()
        assert writer.new_objects == 0
    assert len(bench.store.index) == before


def test_a_list_of_another_account_is_hashed_before_it_is_used(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dver.formats import chunklist
    from dver.formats.chunklist import ChunkList

    whole = bytes(range(256)) * 8000
    other = chunklist.encode(ChunkList(0, ((oid_of(EVIL), len(EVIL)),)))
    forge(
        bench.store,
        [(oid_of(EVIL), pack.CHUNK, EVIL), (oid_of(whole), pack.BLOB_LIST, other)],
    )
    of_somebody_else(bench.store, monkeypatch)
    with bench.store.writer() as writer:
        writer.add(whole)
        writer.commit()
        assert writer.new_objects == 1


def test_nothing_of_another_account_reaches_a_workspace_unread(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge(bench.store, [(oid_of(GOOD), pack.BLOB, EVIL[: len(GOOD)])])
    of_somebody_else(bench.store, monkeypatch)
    for modes in (("copy",), ("hardlink", "copy"), ("symlink", "copy")):
        pointer = Pointer("file", oid_of(GOOD), len(GOOD))
        result = bench.checkout(pointer, b"data", modes=modes)
        assert [one.kind for one in result.failed] == ["CorruptError"]
        assert not os.path.lexists(bench.path(b"data"))


def test_a_note_that_names_a_repository_of_somebody_else_is_refused(
    place: Path, git_repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gc would run git there: a bare repository inside of a clone can make git run commands."""
    monkeypatch.setenv("DVER_STORE_PATH", str(place))
    dver = Dver(git_repo.path)
    dver("init", "-q")
    git_repo.write("x", "data")
    dver("add", "-q", "x")
    git_repo.commit("one")
    dver("gc", "--dry-run")
    evil = GitRepo.init(git_repo.path / "sub" / "evil")
    evil.git("config", "core.fsmonitor", f"touch {tmp_path}/pwned; false")
    note = place / "users" / ("0" * 32)
    note.write_bytes(os.fsencode(evil.path / ".git") + b"\n")
    if REAL:
        os.chown(note, 10_003, GROUP)
    else:
        return
    done = dver("gc", "--dry-run", code=5)
    assert "was not written by" in done.stderr
    assert not (tmp_path / "pwned").exists()


def test_a_link_cache_that_another_account_filled_is_not_used(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not REAL:
        return
    bench.write({b"a": GOOD})
    pointer = bench.add()
    bench.checkout(None)
    bench.checkout(pointer, modes=("hardlink", "copy"))
    (cached,) = [path for path, _, _ in bench.links.files()]
    os.chown(cached, 10_003, GROUP)
    os.unlink(bench.path(b"data/a"))
    bench.checkout(pointer, modes=("hardlink", "copy"), force=True)
    assert os.stat(bench.path(b"data/a")).st_ino != os.stat(cached).st_ino
    assert bench.read() == {b"a": GOOD}
