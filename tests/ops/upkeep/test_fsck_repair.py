"""Repairing by a remote, cleaning up, reading a part, and naming the files that are lost."""

from __future__ import annotations

import itertools
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dver.formats import pack
from dver.store import layout, verified
from tests.support.cli import Dver
from tests.support.workrepo import WorkRepo


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("template")
    repo = WorkRepo.create(top / "repo")
    dver = Dver(repo.path, in_process=True)
    dver("remote", "add", "nas", "../nas", "-q")
    repo.write("d/large", random.Random(5).randbytes(400_000))
    for i in range(15):
        repo.write(f"d/s/{i:02}", random.Random(i).randbytes(500))
    repo.write("one", b"1234")
    repo.add("d", "one")
    repo.commit("first")
    repo.write("d/more", b"more")
    repo.add("d")
    repo.commit("second")
    dver("push", "-q")
    return top


@pytest.fixture
def repo(template: Path, tmp_path: Path) -> WorkRepo:
    """A directory and a file, in two versions, pushed to ``nas``."""
    for name in ("repo", "nas"):
        shutil.copytree(template / name, tmp_path / name, symlinks=True)
    return WorkRepo(tmp_path / "repo")


@pytest.fixture
def dver(repo: WorkRepo) -> Dver:
    made = Dver(repo.path, in_process=True)
    made("remote", "trust", "nas", "-q")
    return made


def files(top: Path, part: str) -> list[Path]:
    return sorted(path for path in (top / part).rglob("*") if path.is_file())


def largest(top: Path) -> Path:
    return max(files(top, "packs"), key=lambda path: path.stat().st_size)


def flip(path: Path, at: int) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def store(repo: WorkRepo) -> Path:
    return repo.path / ".git/dver"


def contents(repo: WorkRepo) -> dict[Path, bytes]:
    """Return all that the store has, but for the lock, which names its holder."""
    return {one: one.read_bytes() for one in files(store(repo), "") if one.name != "lock"}


def spoil(path: Path, how: str) -> None:
    if how == "flip":
        flip(path, path.stat().st_size // 2)
    elif how == "cut":
        path.chmod(0o644)
        os.truncate(path, path.stat().st_size - 50)
    else:
        path.unlink()
        if how == "pipe":
            os.mkfifo(path)


# -- repairing -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["flip", "cut", "gone", "pipe"])
def test_a_remote_heals_a_pack(repo: WorkRepo, dver: Dver, how: str) -> None:
    before = repo.tree("d")
    spoil(largest(store(repo)), how)
    dver("fsck", "--full", code=7)
    done = dver("fsck", "--repair", "--from", "nas", "--full", "--json").result
    assert done["findings"] == []
    assert done["repaired"]["source"] == "nas"
    # What is cut off is the footer, without which all can be found as well.
    assert (done["repaired"]["lost"] > 0) == (how != "cut")
    assert (done["repaired"]["fetched"] > 0) == (how != "cut")
    assert done["repaired"]["still_lost"] == []
    shutil.rmtree(repo.path / "d")
    repo.checkout()
    assert repo.tree("d") == before


@pytest.mark.parametrize("how", ["flip", "cut", "gone", "pipe"])
def test_an_index_is_made_anew(repo: WorkRepo, dver: Dver, how: str) -> None:
    for path in files(store(repo), "index"):
        spoil(path, how)
    done = dver("fsck", "--repair", "--full", "--json").result
    assert done["findings"] == []
    assert done["repaired"]["lost"] == 0
    assert repo.status().is_clean


def test_nothing_is_deleted_by_a_repair(repo: WorkRepo, dver: Dver) -> None:
    path = largest(store(repo))
    flip(path, 5000)
    bad = path.read_bytes()
    dver("fsck", "--repair", "--from", "nas", "-q")
    (aside,) = files(store(repo), "quarantine")
    assert aside.read_bytes() == bad
    assert re.fullmatch(r"\d{8}T\d{6}Z-packs-..-[0-9a-f]{64}", aside.name)


def test_the_plan_is_told_first_and_may_be_all(repo: WorkRepo, dver: Dver) -> None:
    path = largest(store(repo))
    key = layout.pack_key(bytes.fromhex(path.name))
    flip(path, 5000)
    before = contents(repo)
    done = dver("fsck", "--repair", "--dry-run", "--from", "nas", code=7)
    assert f"{key} is damaged: it is moved to quarantine" in done.stderr
    assert "fetched from nas" in done.stderr
    assert "1 file would be moved to quarantine" in done.stdout
    assert contents(repo) == before


def test_only_what_is_lost_is_fetched(repo: WorkRepo, dver: Dver) -> None:
    """Whoever fetched a part of a directory does not get the rest by a repair."""
    dver("gc", "-q")
    clone = repo.path.parent / "clone"
    repo.git("clone", "-q", str(repo.path), str(clone))
    other = Dver(clone, in_process=True)
    other("fetch", "-q", "d/s")
    flip(largest(clone / ".git/dver"), 600)
    done = other("fsck", "--repair", "--from", "nas", "--json").result
    assert done["repaired"]["fetched"] == 1
    other("cat", "d/s/03")
    assert done["not_here"] > 0


def test_what_the_remote_lacks_too_is_named(repo: WorkRepo, dver: Dver) -> None:
    for top in (store(repo), repo.path.parent / "nas"):
        for path in files(top, "packs"):
            spoil(path, "gone")
    done = dver("fsck", "--repair", "--from", "nas", "--json", code=7).json["result"]
    assert set(done["repaired"]["still_lost"]) == {"d", "one"}


def test_a_damaged_format_record_is_made_anew(repo: WorkRepo, dver: Dver) -> None:
    spoil(store(repo) / "format.json", "cut")
    dver("status", code=7)
    done = dver("fsck", "--repair", "--full")
    assert "format.json is damaged" in done.stderr
    assert repo.status().is_clean


def test_options_that_do_not_go_together(dver: Dver) -> None:
    for args in (
        ("--from", "nas"),
        ("--now",),
        ("--dry-run",),
        ("--full", "--read-data-subset", "5%"),
        ("--read-data-subset", "x"),
        ("--repair", "-r", "nas"),
    ):
        assert "hint: " in dver("fsck", *args, code=2).stderr


# -- what is told ----------------------------------------------------------------------------


def test_lost_files_are_named_and_counted(repo: WorkRepo, dver: Dver) -> None:
    opened = repo.open()
    small = {
        place.pack
        for one in opened.store.index.segments
        for _, place in one.places()
        if place.kind == pack.BLOB
    }
    opened.close()
    for name in small:
        os.truncate(_writable(store(repo) / layout.pack_key(name)), 100)
    result = dver("fsck", "--json", code=7).json["result"]
    told = [one for finding in result["findings"] for one in finding["affected"]]
    in_d = [one for one in told if one["path"] == "d"]
    assert {one["commit"] is None for one in in_d} == {True, False}
    assert any(len(one["files"]) == 10 and one["more_files"] >= 5 for one in in_d)
    assert any("d/s/00" in one["files"] for one in in_d)
    text = dver("fsck", code=7).stdout
    assert "needed by d in commit" in text
    assert re.search(r"and \d+ more files", text)


def _writable(path: Path) -> Path:
    path.chmod(0o644)
    return path


@pytest.mark.parametrize(("name", "field"), [("d", "size"), ("d", "files"), ("one", "size")])
def test_a_pointer_that_claims_what_is_not_so(
    repo: WorkRepo, dver: Dver, name: str, field: str
) -> None:
    path = repo.path / f"{name}.dver"
    path.write_text(re.sub(rf"(?m)^{field}: .*$", f"{field}: 7", path.read_text()))
    (found,) = dver("fsck", "--json", code=7).json["result"]["findings"]
    assert (found["what"], found["where"]) == ("pointer-false", f"{name}.dver")
    assert "it says 7 " in found["detail"]
    repo.commit("false")
    where = {one["where"] for one in dver("fsck", "--json", code=7).json["result"]["findings"]}
    assert where == {f"{name}.dver", f"{repo.git('rev-parse', 'HEAD')[:10]}:{name}.dver"}


def test_a_damaged_link_is_found_and_not_used(repo: WorkRepo, dver: Dver) -> None:
    shutil.rmtree(repo.path / "d")
    dver("checkout", "-q", "--link", "hardlink")
    before = repo.tree("d")
    path = max(files(store(repo), "links"), key=lambda one: one.stat().st_size)
    old = path.stat()
    flip(path, 1000)
    path.chmod(old.st_mode & 0o777)
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert repo.tree("d") != before
    (found,) = dver("fsck", "--full", "--json", code=7).json["result"]["findings"]
    assert found["what"] == "link-damaged"
    assert [(one["path"], one["commit"], one["files"]) for one in found["affected"]] == [
        ("d", None, ["d/large"])
    ]
    dver("fsck")
    shutil.rmtree(repo.path / "d")
    dver("checkout", "-q", "--link", "hardlink")
    assert repo.tree("d") == before
    dver("fsck", "--full")
    assert len(files(store(repo), "quarantine")) == 1


def test_a_damaged_link_is_moved_aside_by_a_repair(repo: WorkRepo, dver: Dver) -> None:
    shutil.rmtree(repo.path / "d")
    dver("checkout", "-q", "--link", "hardlink")
    path = files(store(repo), "links")[0]
    old = path.stat()
    flip(path, 0)
    path.chmod(old.st_mode & 0o777)
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    done = dver("fsck", "--repair", "--full", "--json").result
    assert [Path(key).name for key in done["repaired"]["quarantined"]] == [path.name]
    assert not path.exists()


def test_a_remote_s_losses_are_told_by_path_and_commit(repo: WorkRepo, dver: Dver) -> None:
    flip(largest(repo.path.parent / "nas"), 5000)
    dver("fsck", "-r", "nas")
    result = dver("fsck", "--full", "-r", "nas", "--json", code=7).json["result"]
    (found,) = result["findings"]
    assert found["what"] == "pack-damaged"
    commits = {one["commit"] for one in found["affected"]}
    assert commits <= set(repo.git("rev-list", "HEAD").split())
    assert {one["path"] for one in found["affected"]} == {"d"}
    assert any(one["files"] for one in found["affected"])


def test_a_root_under_another_key_is_damaged(repo: WorkRepo, dver: Dver) -> None:
    (path,) = files(repo.path.parent / "nas", "roots")
    path.rename(path.parent / ("ab" * 16))
    (found,) = dver("fsck", "-r", "nas", "--json", code=7).json["result"]["findings"]
    assert found["what"] == "root-damaged"


# -- a part ----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [(), ("-r", "nas")])
def test_parts_find_what_is_damaged_in_the_end(
    repo: WorkRepo, dver: Dver, where: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = itertools.count(1_769_860_800, 60)
    monkeypatch.setattr(verified, "_now", lambda: float(next(minutes)))
    top = repo.path.parent / "nas" if where else store(repo)
    packs = len(files(top, "packs"))
    seen = set()
    for _ in range(packs):
        result = dver("fsck", "--read-data-subset", "1", "--json", *where).result
        assert result["read_packs"] == 1
        seen.add(result["read_bytes"])
    assert seen == {path.stat().st_size for path in files(top, "packs")}
    flip(largest(top), 5000)
    codes = [
        dver.attempt("fsck", "--read-data-subset", "1", *where).exit_code for _ in range(packs)
    ]
    assert codes.count(7) == packs - codes.index(7)
    # It is read again and again until it is sound.
    dver("fsck", "--read-data-subset", "1", *where, code=7)


def test_all_groups_together_read_everything(repo: WorkRepo, dver: Dver) -> None:
    count = [
        dver("fsck", "--read-data-subset", f"{i}/3", "--json").result["read_packs"]
        for i in (1, 2, 3)
    ]
    assert sum(count) == len(files(store(repo), "packs"))


# -- cleaning up -----------------------------------------------------------------------------


def _leave(repo: WorkRepo) -> list[Path]:
    """Leave what a killed command may."""
    name = ".dver-tmp-0123456789abcdef"
    left = [store(repo) / part / name for part in ("tmp", "index", "packs/ab", "links/ab", "stat")]
    left.append(store(repo) / "spool/nas/push/x" / ("0" * 64 + ".pack"))
    left.append(repo.path / name)
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 10)
        os.utime(path, (1, 1))
    return left


def test_leftovers_go(repo: WorkRepo, dver: Dver) -> None:
    left = _leave(repo)
    done = dver("fsck", "--clean", "--dry-run", "--json").result["cleaned"]
    assert (len(done["removed"]), done["bytes"]) == (len(left), 10 * len(left))
    assert all(path.exists() for path in left)
    dver("fsck", "--clean", "-q")
    assert not any(path.exists() for path in left)
    dver("fsck", "--full", "-q")


def test_what_may_still_be_written_stays(repo: WorkRepo, dver: Dver) -> None:
    left = _leave(repo)
    for path in left:
        os.utime(path)
    dver("fsck", "--clean", "-q")
    # Under the store's lock nobody writes to these, so their age says nothing.
    gone = {path.relative_to(repo.path).parts[2] for path in left if not path.exists()}
    assert gone == {"tmp", "index", "packs", "links"}


@pytest.mark.parametrize("damage", [largest, lambda top: files(top, "index")[0]])
def test_quarantine_is_kept_for_a_while(
    repo: WorkRepo, dver: Dver, damage: Callable[[Path], Path]
) -> None:
    flip(damage(store(repo)), 300)
    dver("fsck", "--repair", "--from", "nas", "-q")
    done = dver("fsck", "--clean", "--json").result["cleaned"]
    assert (len(done["removed"]), len(done["kept"])) == (0, 1)
    (path,) = files(store(repo), "quarantine")
    path.rename(path.parent / ("20200101T000000Z" + path.name[16:]))
    done = dver("fsck", "--clean", "--json").result["cleaned"]
    assert (len(done["removed"]), len(done["kept"])) == (1, 0)
    assert files(store(repo), "quarantine") == []


def test_quarantine_goes_at_once_if_that_is_asked(repo: WorkRepo, dver: Dver) -> None:
    flip(largest(store(repo)), 300)
    dver("fsck", "--repair", "--from", "nas", "-q")
    done = dver("fsck", "--clean", "--now", "--json").result["cleaned"]
    assert len(done["removed"]) == 1
    assert files(store(repo), "quarantine") == []
