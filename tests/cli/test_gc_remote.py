"""``dver gc -r``: what a person reads, on a directory and on real S3 servers."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from dver.base.errors import RemoteError
from dver.storage.local import LocalStorage
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo
from tests.support.s3server import S3Server

FIRST, SECOND = "a" * 3000, "b" * 3000


@pytest.fixture
def used(dver: Dver, git_repo: GitRepo) -> Dver:
    """Two committed versions of some data, each pushed to a directory."""
    dver("remote", "add", "nas", "../nas", "-q")
    for content in (FIRST, SECOND):
        git_repo.write("data/a.csv", content)
        dver("add", "data", "-q")
        git_repo.commit("version")
        dver("push", "-q")
    return dver


def age(remote: Path, days: int = 20) -> None:
    """Make all roots that old, by the storage's clock."""
    for path in (remote / "roots").iterdir():
        found = path.stat()
        os.utime(path, (found.st_atime - days * 86400, found.st_mtime - days * 86400))


def masked(text: str) -> str:
    """Replace sizes, times and ids."""
    text = re.sub(r"[\d.]+ (?:[KM]i)?B", "SIZE", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME", text)
    return re.sub(r"\b[0-9a-f]{12}\b", "ID", text)


def packs(remote: Path) -> list[str]:
    return sorted(path.name for path in (remote / "packs").rglob("*") if path.is_file())


def test_nothing_to_remove(used: Dver, tmp_path: Path) -> None:
    before = packs(tmp_path / "nas")
    assert masked(used("gc", "-r", "nas", "--dry-run").stdout) == (
        "nothing to remove\nkept 4 packs, SIZE, for 2 roots\n"
    )
    assert masked(used("gc", "-r", "nas").stdout) == (
        "nothing to remove\nkept 4 packs, SIZE, for 2 roots\n"
    )
    assert packs(tmp_path / "nas") == before
    assert used("gc", "-r", "nas", "-q").stdout == ""


def test_old_versions_are_dropped_kept_for_the_grace_and_removed(
    used: Dver, tmp_path: Path
) -> None:
    nas = tmp_path / "nas"
    age(nas)
    told = masked(used("gc", "-r", "nas", "--keep-last", "1", "-n").stdout)
    assert told == (
        "1 root would be moved to the trash, for 14 d\n"
        "    ID  pushed TIME: data\n"
        "kept 4 packs, SIZE, for 2 roots\n"
    )
    assert len(list((nas / "roots").iterdir())) == 2
    assert masked(used("gc", "-r", "nas", "--keep-last", "1").stdout) == (
        "1 root moved to the trash, for 14 d\n"
        "    ID  pushed TIME: data\n"
        "kept 4 packs, SIZE, for 1 root\n"
    )
    assert masked(used("gc", "-r", "nas", "--trash").stdout) == (
        "1 root in the trash of nas\n    ID  pushed TIME, dropped TIME: data\n"
    )
    assert len(packs(nas)) == 4
    assert masked(used("gc", "-r", "nas", "--grace", "0s", "-n").stdout).startswith(
        "would be removed: 2 packs, SIZE\n    packs/"
    )
    assert masked(used("gc", "-r", "nas", "--grace", "0s").stdout) == (
        "removed: 2 packs, SIZE\nkept 2 packs, SIZE, for 1 root\n"
    )
    assert len(packs(nas)) == 2
    assert "sound" in used("fsck", "--full", "-r", "nas").stdout
    assert used("gc", "-r", "nas", "--trash").stdout == "0 roots in the trash of nas\n"


def test_restoring(used: Dver, git_repo: GitRepo, tmp_path: Path) -> None:
    age(tmp_path / "nas")
    used("gc", "-r", "nas", "--keep-last", "1", "-q")
    [trashed] = used("gc", "-r", "nas", "--trash", "--json").result["remote"]["trash"]
    assert trashed["paths"] == ["data"]
    assert used("gc", "-r", "nas", "--restore", "ffff", code=4).stderr.startswith(
        "error: 'ffff' is not in the trash of "
    )
    done = used("gc", "-r", "nas", "--restore", trashed["session"][:10], "-n").stdout
    assert done.startswith("would restore 1 root\n")
    assert used("gc", "-r", "nas", "--restore", trashed["session"][:10]).stdout.startswith(
        "restored 1 root\n"
    )
    used("gc", "-r", "nas", "--grace", "0s", "-q")
    clone = Dver(GitRepo.clone(git_repo.path, tmp_path / "clone").path)
    clone("fetch", "--all", "-q")
    clone("get", "data/a.csv", "--rev", "HEAD~1", "-o", "old.csv", "-q")
    assert (clone.cwd / "old.csv").read_text() == FIRST


def test_results_as_json(used: Dver, tmp_path: Path) -> None:
    age(tmp_path / "nas")
    found = used("gc", "-r", "nas", "--keep-last", "1", "--json").result
    assert found["dry_run"] is False
    remote = found["remote"]
    assert (remote["remote"], remote["roots"], remote["packs"]) == ("nas", 1, 4)
    assert remote["grace"] == 14 * 86400
    assert len(remote["dropped"]) == 1
    assert remote["removed"] == []
    assert used("gc", "--json").result["remote"] is None


@pytest.mark.parametrize(
    "args",
    [
        ("--grace", "1d"),
        ("--keep-last", "1"),
        ("--trash",),
        ("--restore", "all"),
        ("--force",),
        ("-r", "nas", "--grace", "soon"),
        ("-r", "nas", "--keep-within", "-1d"),
        ("-r", "nas", "--keep-last", "0"),
        ("-r", "nas", "--trash", "--keep-last", "1"),
    ],
)
def test_what_makes_no_sense(used: Dver, args: tuple[str, ...]) -> None:
    used("gc", *args, code=2)


def test_the_grace_is_a_setting_that_cannot_be_committed(used: Dver) -> None:
    used("config", "set", "gc.grace", "2d")
    assert used("gc", "-r", "nas", "--json").result["remote"]["grace"] == 2 * 86400
    used("config", "set", "gc.grace", "soon", code=11)
    config = used.cwd / ".dver" / "config.yaml"
    config.write_text(config.read_text() + "gc:\n  grace: 0s\n")
    assert "gc.grace" in used("status", code=11).stderr


def test_a_remote_that_is_not_trusted_is_not_cleaned(
    used: Dver, git_repo: GitRepo, tmp_path: Path
) -> None:
    clone = Dver(GitRepo.clone(git_repo.path, tmp_path / "clone").path)
    assert "agreed to send data" in clone("gc", "-r", "nas", code=11).stderr
    assert clone("gc", "-r", "nas", "--dry-run").stdout.startswith("nothing to remove\n")


def test_a_remote_that_was_never_pushed_to(dver: Dver) -> None:
    dver("remote", "add", "nas", "../nas", "-q")
    assert "there is nothing at" in dver("gc", "-r", "nas", code=8).stderr


def test_a_directory_that_cannot_be_written(used: Dver, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        # Permissions do not bind the administrator: a file in the way does.
        (tmp_path / "nas" / "tmp").write_text("in the way")
    else:
        (tmp_path / "nas").chmod(0o555)
    before = packs(tmp_path / "nas")
    used("gc", "-r", "nas", "--grace", "0s", code=10)
    assert packs(tmp_path / "nas") == before


def test_what_cannot_be_deleted_is_told(
    used: Dver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nas = tmp_path / "nas"
    age(nas)
    used("gc", "-r", "nas", "--keep-last", "1", "-q")
    plain = LocalStorage.delete
    locked: list[str] = []

    def delete(self: LocalStorage, key: str) -> None:
        if key.startswith("packs/") and locked in ([], [key]):
            locked[:] = [key]
            raise RemoteError(f"cannot delete {key}: object is locked")
        plain(self, key)

    used.in_process = True
    monkeypatch.setattr(LocalStorage, "delete", delete)
    done = used("gc", "-r", "nas", "--grace", "0s", code=8)
    assert "1 key could not be deleted: cannot delete packs/" in done.stderr
    assert masked(done.stdout) == (
        "removed: 1 pack, SIZE\n"
        "waiting: 1 pack, SIZE, until nobody has needed them for 0.0 s\n"
        "kept 3 packs, SIZE, for 1 root\n"
    )
    monkeypatch.undo()
    assert masked(used("gc", "-r", "nas", "--grace", "0s").stdout) == (
        "removed: 1 pack, SIZE\nkept 2 packs, SIZE, for 1 root\n"
    )
    assert "sound" in used("fsck", "--full", "-r", "nas").stdout


def on_server(dver: Dver, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    dver("remote", "add", "cloud", server.new_url("fraud"), "-q")


@pytest.mark.parametrize("server", ["rclone_s3", "moto_s3"])
def test_a_bucket(
    dver: Dver,
    git_repo: GitRepo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    server: str,
) -> None:
    """The one ignores If-None-Match, the other heeds it; what happens is the same."""
    on_server(dver, request.getfixturevalue(server), monkeypatch)
    for content in (FIRST, SECOND):
        git_repo.write("data/a.csv", content)
        dver("add", "data", "-q")
        git_repo.commit("version")
        dver("push", "-q")
    # Roots that were pushed a moment ago are kept.
    assert "trash" not in dver("gc", "-r", "cloud", "--keep-last", "1", "--grace", "0s").stdout
    wire = request.getfixturevalue(server).wire(bucket_of(dver))
    query = [("list-type", "2"), ("prefix", "fraud/roots/")]
    status, _, body = wire.small("list", "GET", query=query)
    assert status == 200
    keys = re.findall(r"<Key>(fraud/roots/[0-9a-f]{32})</Key>", body.decode())
    assert len(keys) == 2
    wire.small("delete", "DELETE", keys[0])
    wire.close()
    done = dver("gc", "-r", "cloud", "--grace", "0s", "--json").result["remote"]
    assert len(done["removed"]) == 2
    assert done["begun_anew"] == 1
    assert dver("gc", "-r", "cloud").stdout.startswith("nothing to remove\n")
    assert "sound" in dver("fsck", "--full", "-r", "cloud").stdout
    dver("push", "--all", "-q")
    clone = Dver(GitRepo.clone(git_repo.path, tmp_path / "clone").path)
    clone("fetch", "--all", "-q")
    assert clone("pull", "-q").exit_code == 0


def bucket_of(dver: Dver) -> str:
    [remote] = dver("remote", "--json").result["remotes"]
    return str(remote["url"]).split("/")[2]
