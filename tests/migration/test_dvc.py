"""``migrate dvc`` in projects that the real DVC made."""

from __future__ import annotations

import json
import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from dver.base import fsio
from dver.formats import origin as origins
from dver.lineage import pipelinefile
from dver.storage.s3 import S3Storage
from dver.storage.s3.settings import resolve
from tests.migration.conftest import Project, run_dvc
from tests.support.gitrepo import GitRepo
from tests.support.s3server import S3Server

TARGETS = ["curve.csv", "data", "made-one.txt", "made-two.txt", "model.bin", "out.txt"]


def drop_cache(dvc: Project) -> None:
    shutil.rmtree(dvc.path / ".dvc/cache")


def drop_data(dvc: Project) -> None:
    shutil.rmtree(dvc.path / "data")
    for name in TARGETS:
        if name != "data":
            (dvc.path / name).unlink()


def everything(top: Path) -> dict[str, bytes]:
    """Return every file below a directory but git's and dver's own."""
    found = {}
    for directory, names, files in os.walk(top):
        names[:] = [name for name in names if name not in (".git", ".dver")]
        for name in files:
            path = Path(directory, name)
            if not name.endswith((".dver", ".dverignore", "dver.yaml")):
                found[str(path.relative_to(top))] = path.read_bytes()
    return found


def cached(dvc: Project, content: bytes) -> Path:
    """Return the file of DVC's cache that holds some content."""
    files = [path for path in (dvc.path / ".dvc/cache").rglob("*") if path.is_file()]
    return next(path for path in files if path.read_bytes() == content)


def test_takes_over_and_leaves_dvc_alone(dvc: Project, tmp_path: Path) -> None:
    before = everything(dvc.path)
    done = dvc.dver("migrate", "dvc")
    assert done.stderr == ""
    assert done.stdout.splitlines()[:6] == [
        "took over  curve.csv (12 B)",
        "took over  data (4 files, 29 B)",
        "took over  made-one.txt (6 B)",
        "took over  made-two.txt (6 B)",
        "took over  model.bin (4.9 KiB)",
        "took over  out.txt (12 B)",
    ]
    assert everything(dvc.path) == before
    assert (dvc.path / ".dverignore").read_bytes() == (dvc.path / ".dvcignore").read_bytes()
    assert "executable: true" in dvc.pointer("model.bin").decode()
    added = Project(tmp_path / "added")
    GitRepo.init(added.path)
    shutil.copytree(dvc.path / "data", added.path / "data")
    added.dver("init")
    added.dver("add", "data")
    assert added.pointer("data") == dvc.pointer("data")
    dvc.commit("moved to dver")
    assert dvc.dver("status").stdout.splitlines()[-1] == "6 targets, all as recorded"
    assert dvc.dver("fsck").exit_code == 0
    again = dvc.dver("migrate", "dvc")
    assert again.stdout == "unchanged  6 targets\n"
    assert dvc.changed() == set()


def test_a_dry_run_tells_all_that_the_run_writes(dvc: Project) -> None:
    plan = dvc.dver("migrate", "dvc", "--dry-run", "--json").result
    assert dvc.changed() == set()
    assert not (dvc.path / ".git/dver").exists()
    dvc.dver("migrate", "dvc")
    written = {path for path in dvc.changed() if not path.startswith(".dver/records/")}
    assert written | {".dver/records/"} == set(plan["writes"])
    assert plan["records"] == len(list((dvc.path / ".dver/records").rglob("*.json"))) == 2
    assert {one["path"] for one in plan["targets"]} == set(TARGETS)


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


@pytest.mark.parametrize("where", ["cache", "remote"])
def test_data_that_is_not_in_the_workspace(dvc: Project, where: str) -> None:
    drop_data(dvc)
    if where == "remote":
        drop_cache(dvc)
    dvc.dver("migrate", "dvc")
    dvc.dver("checkout")
    assert (dvc.path / "data/moved.txt").read_text() == "beta\n"
    assert os.access(dvc.path / "model.bin", os.X_OK)
    assert dvc.dver("cat", "--rev", "v1", "data/a.txt").stdout == "alpha\n"


def test_a_remote_on_s3_with_credentials_of_its_own(
    dvc: Project, moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = moto_s3.new_bucket()
    storage = S3Storage(resolve(bucket, "deep", moto_s3.options, moto_s3.environ))
    remote = dvc.path.parent / "remote"
    for path in remote.rglob("*"):
        if path.is_file():
            storage.put(path.relative_to(remote).as_posix(), path.read_bytes())
    storage.close()
    config = dvc.path / ".dvc/config"
    config.chmod(0o644)
    config.write_text(
        f"[core]\n    remote = s\n['remote \"s\"']\n    url = s3://{bucket}/deep\n"
        f"    endpointurl = {moto_s3.endpoint}\n"
    )
    (dvc.path / ".dvc/config.local").write_text(
        "['remote \"s\"']\n"
        f"    access_key_id = {moto_s3.access_key}\n    secret_access_key = {moto_s3.secret_key}\n"
    )
    dvc.commit("on S3")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    drop_cache(dvc)
    drop_data(dvc)
    place = f"s3://{bucket}/deep at {moto_s3.endpoint}"
    refused = dvc.dver("migrate", "dvc", "data", "model.bin", code=6).stderr
    assert f"{place} comes from .dvc/config" in refused
    assert "hint: if you know that place: dver migrate dvc --trust" in refused
    done = dvc.dver("migrate", "dvc", "--trust", "data", "model.bin")
    assert f"may be read from now on in this clone: {place}" in done.stdout
    dvc.dver("checkout", "data")
    assert (dvc.path / "data/a.txt").read_text() == "alpha again\n"
    secret = moto_s3.secret_key.encode()
    for directory, _, files in os.walk(dvc.path):
        for name in files:
            if name != "config.local":
                assert secret not in Path(directory, name).read_bytes()


def test_a_remote_that_is_down_takes_only_what_it_has(
    dvc: Project, moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is here is taken over, the rest is told, and another run goes on with it."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("dver.base.clock.sleep", lambda _seconds: None)
    bucket = moto_s3.new_bucket()
    storage = S3Storage(resolve(bucket, "deep", moto_s3.options, moto_s3.environ))
    for path in (dvc.path.parent / "remote").rglob("*"):
        if path.is_file():
            key = path.relative_to(dvc.path.parent / "remote").as_posix()
            storage.put(key, path.read_bytes())
    storage.close()
    good = (
        f"['remote \"store\"']\n    url = s3://{bucket}/deep\n"
        f"    endpointurl = {moto_s3.endpoint}\n"
        f"    access_key_id = {moto_s3.access_key}\n    secret_access_key = {moto_s3.secret_key}\n"
    )
    local = dvc.path / ".dvc/config.local"
    local.write_text(good.replace(moto_s3.endpoint, "http://127.0.0.1:9"))
    shutil.rmtree(dvc.path.parent / "remote")
    cached(dvc, b"gamma\n").unlink()
    cached(dvc, b"m" * 5000).unlink()
    shutil.rmtree(dvc.path / "data")
    (dvc.path / "model.bin").unlink()
    done = dvc.dver("migrate", "dvc", code=6)
    assert "not taken: data: sub/deep/ü ö.txt is not to be had from" in done.stderr
    assert "not taken: model.bin: its content is not to be had from" in done.stderr
    assert "store: " in done.stderr
    assert (dvc.path / "out.txt.dver").exists() and not (dvc.path / "data.dver").exists()
    first = set((dvc.path / ".dver/records").rglob("*.json"))
    local.write_text(good)
    dry = dvc.dver("migrate", "dvc", "--dry-run", "--json").result
    assert "dver.yaml" not in dry["writes"]
    done = dvc.dver("migrate", "dvc")
    assert done.stderr == ""
    assert {"data.dver", "model.bin.dver"} <= dvc.changed()
    # The records that wanted for this data are made up for.
    second = set((dvc.path / ".dver/records").rglob("*.json"))
    assert first < second and len(second - first) == dry["records"]
    dvc.commit("moved to dver")
    assert dvc.dver("migrate", "dvc", "--dry-run", "--json").result["writes"] == []


class _Asked(BaseHTTPRequestHandler):
    """A server that has nothing and notes what it is asked for."""

    paths: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.paths.append(self.path)
        self.send_error(404)

    do_HEAD = do_GET  # noqa: N815  the name that the library looks for

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def test_only_who_was_named_here_is_asked(dvc: Project) -> None:
    """Old revisions too ask no machine that only the committed settings lead to."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Asked)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/x"
    config = dvc.path / ".dvc/config"
    config.chmod(0o644)
    config.write_text(f"[core]\n    remote = s\n['remote \"s\"']\n    url = {url}\n")
    dvc.commit("v3")
    dvc.git("tag", "v3")
    dvc.dver("migrate", "dvc", "model.bin")
    shutil.rmtree(dvc.path / ".dvc")
    shutil.rmtree(dvc.path / ".git/dver")
    for path in (*dvc.path.glob("*.dvc"), dvc.path / "dvc.lock"):
        path.unlink()
    dvc.commit("dver alone")
    done = dvc.dver("ls", "--rev", "v3", "data", code=6)
    assert f"{url} comes from .dvc/config" in done.stderr and not _Asked.paths
    # The settings of before are meant: nothing of DVC is left in the work tree.
    assert url in dvc.dver("migrate", "dvc", "--trust").stdout
    dvc.dver("ls", "--rev", "v3", "data", code=6)
    assert _Asked.paths
    server.shutdown()
    server.server_close()


def test_settings_that_cannot_be_read_leave_the_cache(dvc: Project) -> None:
    config = dvc.path / ".dvc/config"
    config.chmod(0o644)
    config.write_text("core\n")
    dvc.dver("migrate", "dvc")
    assert (dvc.path / "model.bin.dver").exists()


def test_a_damaged_file_of_the_cache_is_told_and_not_taken(dvc: Project) -> None:
    shutil.rmtree(dvc.path.parent / "remote")
    drop_data(dvc)
    damaged = cached(dvc, b"gamma\n")
    damaged.chmod(0o644)
    damaged.write_bytes(b"gamm4\n")
    done = dvc.dver("migrate", "dvc", code=6)
    assert "not taken: data: sub/deep/ü ö.txt is not to be had" in done.stderr
    assert f"damaged: {damaged} is not what its name says" in done.stderr
    assert not (dvc.path / "data.dver").exists()
    assert (dvc.path / "model.bin.dver").exists()
    assert damaged.read_bytes() == b"gamm4\n"
    # Where the workspace has the content all is well.
    dvc.write("data/sub/deep/ü ö.txt", "gamma\n")
    dvc.dver("migrate", "dvc")
    assert (dvc.path / "data.dver").exists()


def test_a_missing_object_and_a_missing_listing(dvc: Project) -> None:
    shutil.rmtree(dvc.path.parent / "remote")
    dvc.dver("migrate", "dvc")
    dvc.commit("moved to dver")
    cached(dvc, b"only in v1\n").unlink()
    done = dvc.dver("cat", "--rev", "v1", "data/old.txt", code=6)
    assert "data at v1 was versioned by DVC" in done.stderr
    assert "'dvc fetch' brings what DVC's remote has" in done.stderr
    # The rest of that version is there.
    assert dvc.dver("cat", "--rev", "v1", "data/sub/b.txt").stdout == "beta\n"
    for path in (dvc.path / ".dvc/cache").rglob("*.dir"):
        path.unlink()
    assert "listing" in dvc.dver("ls", "--rev", "v1", "data/sub", code=6).stderr


def test_changes_in_the_workspace_stay_changes(dvc: Project) -> None:
    before = dvc.dver("migrate", "dvc", "--dry-run", "--json").result["targets"]
    dvc.write("data/a.txt", "edited")
    dvc.write("data/new.txt", "new")
    dvc.dver("migrate", "dvc")
    dvc.commit("moved to dver")
    assert len(before) == 6
    assert dvc.dver("diff").stdout.splitlines()[:-1] == [
        "data (29 B -> 26 B)",
        "  M  data/a.txt    6 B  (-6 B)",
        "  A  data/new.txt  3 B",
    ]
    assert dvc.dver("cat", "--rev", "HEAD", "data/a.txt").stdout == "alpha again\n"


def test_pipelines_become_steps_and_records_of_claims(dvc: Project) -> None:
    dvc.dver("migrate", "dvc")
    text = (dvc.path / "dver.yaml").read_text()
    steps = {step.name: step for step in pipelinefile.parse(text.encode())}
    assert list(steps) == ["train", "plot", "each-one", "each-two"]
    train = steps["train"]
    assert train.text == "cat data/a.txt > out.txt && echo '{\"acc\": 0.5}' > metrics.json"
    assert train.deps == {b"data": "", b"code.txt": ""}
    assert train.params == {b"params.yaml": ("lr", "model.depth")}
    assert train.metrics == (b"metrics.json",)
    assert train.about == "trains: it"
    assert steps["plot"].outs == {b"curve.csv": "plot"}
    assert steps["each-two"].argv == ("cp", "data/a.txt", "made-two.txt")
    assert steps["each-two"].frozen is True
    dvc.commit("moved to dver")
    assert dvc.dver("repro", "--dry-run").stdout == (
        "up to date train\nup to date plot\nfrozen     each-one\nfrozen     each-two\n"
    )
    records = [json.loads(path.read_bytes()) for path in dvc.path.glob(".dver/records/*/*.json")]
    record = next(one for one in records if one["step"] == "train")
    assert record["kind"] == "import"
    assert "run" not in record
    assert record["claim"]["fields"] == ["command", "inputs", "metrics", "outputs", "params"]
    assert record["claim"]["author"]["name"] == "Ada Test"
    assert {one["key"]: one["value"] for one in record["params"]} == {
        "lr": "0.1",
        "model.depth": "3",
    }
    assert "acc" in dvc.dver("metrics", "show").stdout
    dvc.write("params.yaml", "lr: 0.2\nmodel: {depth: 3}\n")
    assert "parameter lr changed from 0.1 to 0.2" in dvc.dver("repro", "--dry-run").stdout


def test_what_lies_outside_is_refused_with_a_reason(dvc: Project) -> None:
    dvc.write(
        "out.dvc", "outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  path: s3://bucket/x?key=1\n"
    )
    dvc.write("up.dvc", "outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  path: ../x\n")
    dvc.write("bad.dvc", "outs: [")
    with (dvc.path / "dvc.yaml").open("a") as file:
        file.write("  far:\n    cmd: run it\n    outs: [s3://bucket/y]\n")
    done = dvc.dver("migrate", "dvc", code=5)
    assert "it lies outside the repository, at s3://bucket/x" in done.stderr
    assert "key=1" not in done.stderr
    assert "not taken: ../x: it lies outside the repository" in done.stderr
    assert "bad.dvc, line" in done.stderr
    assert "far stays with DVC: its output s3://bucket/y lies outside" in done.stderr
    assert (dvc.path / "data.dver").exists()


def test_imports_keep_where_they_came_from(dvc: Project) -> None:
    shutil.copy(dvc.path / "model.bin", dvc.path / "theirs.bin")
    md5 = (dvc.path / "model.bin.dvc").read_text().split("md5: ")[1].split("\n")[0]
    dvc.write(
        "theirs.bin.dvc",
        "frozen: true\ndeps:\n- path: some/model.bin\n  repo:\n    url: https://example.org/m.git\n"
        f"    rev: v3\n    rev_lock: {'ab' * 20}\n"
        f"outs:\n- md5: {md5}\n  size: 5000\n  hash: md5\n  path: theirs.bin\n",
    )
    done = dvc.dver("migrate", "dvc", "theirs.bin")
    assert "imported from https://example.org/m.git, path some/model.bin" in done.stdout
    origin = origins.decode(dvc.pointer("theirs.bin"))
    assert origin is not None
    assert (origin.repository, origin.path) == ("https://example.org/m.git", b"some/model.bin")
    assert (origin.rev, origin.commit) == ("v3", "ab" * 20)
    assert "/theirs.bin\n" in (dvc.path / ".gitignore").read_text()


def test_the_layout_of_dvc_2(dvc: Project) -> None:
    text = b"one\r\ntwo\r\n" * 200_000  # some of its line ends lie across the pieces of DVC
    dvc.write("win/text.csv", text)
    dvc.write("win/plain.bin", b"\0\r\n")
    script = """
import json, os
from dvc_data.hashfile.hash import file_md5
from dvc_objects.fs import localfs
rows = [{"md5": file_md5(f"win/{n}", localfs, name="md5-dos2unix"), "relpath": n}
        for n in ("plain.bin", "text.csv")]
print(json.dumps(rows))
"""
    rows = json.loads(run_dvc(script, dvc.path))
    import hashlib

    listing = json.dumps(rows, sort_keys=True).encode()
    top = hashlib.md5(listing).hexdigest()
    cache = dvc.path / ".dvc/cache"
    for row in rows:
        place = cache / row["md5"][:2] / row["md5"][2:]
        place.parent.mkdir(exist_ok=True)
        shutil.copy(dvc.path / "win" / row["relpath"], place)
    (cache / top[:2]).mkdir(exist_ok=True)
    (cache / top[:2] / f"{top[2:]}.dir").write_bytes(listing)
    dvc.write("win.dvc", f"outs:\n- md5: {top}.dir\n  size: 1\n  nfiles: 2\n  path: win\n")
    shutil.rmtree(dvc.path / "win")
    dvc.dver("migrate", "dvc", "win")
    dvc.dver("checkout", "win")
    assert (dvc.path / "win/text.csv").read_bytes() == text
    assert (dvc.path / "win/plain.bin").read_bytes() == b"\0\r\n"


def test_killed_half_way_it_can_be_run_again(dvc: Project) -> None:
    names: list[str] = []
    copy = Project(dvc.path.parent / "whole")
    shutil.copytree(dvc.path, copy.path, symlinks=True)

    def record(name: str) -> None:
        names.append(name)

    fsio.install_hook(record)
    copy.dver("migrate", "dvc")
    fsio.install_hook(None)
    expected = {path.name: path.read_bytes() for path in copy.path.glob("[!.]*.dver")}
    for stop in range(3, len(names), max(1, len(names) // 4)):
        left = [stop]

        def kill(name: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt(name)

        again = Project(dvc.path.parent / f"stop{stop}")
        shutil.copytree(dvc.path, again.path, symlinks=True)
        from dver.base.reporter import SILENT
        from dver.ops.migration.dvc import MigrateDvcOptions, migrate_dvc
        from dver.repo import Repo

        repo = Repo.open(again.path)
        fsio.install_hook(kill)
        with pytest.raises(KeyboardInterrupt):
            migrate_dvc(repo, MigrateDvcOptions(), SILENT)
        fsio.install_hook(None)
        repo.close()
        again.dver("migrate", "dvc")
        assert {path.name: path.read_bytes() for path in again.path.glob("[!.]*.dver")} == expected
        assert (again.path / "dver.yaml").exists()
        assert again.dver("fsck").exit_code == 0


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


def test_where_there_is_nothing(git_repo: GitRepo) -> None:
    done = Project(git_repo.path).dver("migrate", "dvc", code=4)
    assert "there is nothing of DVC here" in done.stderr
    assert not (git_repo.path / ".dver").exists()


def test_a_path_that_dvc_does_not_version(dvc: Project) -> None:
    assert "did you mean data?" in dvc.dver("migrate", "dvc", "dat", code=4).stderr
    assert dvc.changed() == set()


def test_hostile_listings_write_nothing(dvc: Project) -> None:
    import hashlib

    for relpath in ("../../evil", ".git/hooks/x", "a//b", "/etc/x", ""):
        md5 = hashlib.md5(b"alpha\n").hexdigest()
        listing = json.dumps([{"md5": md5, "relpath": relpath}], sort_keys=True).encode()
        top = hashlib.md5(listing).hexdigest()
        place = dvc.path / ".dvc/cache/files/md5" / top[:2]
        place.mkdir(exist_ok=True)
        (place / f"{top[2:]}.dir").write_bytes(listing)
        dvc.write("evil.dvc", f"outs:\n- md5: {top}.dir\n  hash: md5\n  path: evil\n")
        done = dvc.dver("migrate", "dvc", "evil", code=6)
        assert "not taken: evil: " in done.stderr
        assert not (dvc.path / "evil.dver").exists()


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


def test_only_remotes_that_have_it_are_asked(dvc: Project) -> None:
    """The default one, and those that an out names; not one that is out of reach and no use."""
    shutil.rmtree(dvc.path / ".dvc/cache")
    shutil.copytree(dvc.path.parent / "remote", dvc.path.parent / "other")
    shutil.rmtree(dvc.path.parent / "remote")
    config = dvc.path / ".dvc/config"
    config.chmod(0o644)
    text = config.read_text()
    config.write_text(
        f"{text}['remote \"other\"']\n    url = ../../other\n"
        "['remote \"far\"']\n    url = s3://nowhere/x\n    endpointurl = http://127.0.0.1:9\n"
    )
    (dvc.path / "model.bin").unlink()
    dvc.dver("migrate", "dvc", "model.bin", code=6)
    pointer = dvc.path / "model.bin.dvc"
    pointer.chmod(0o644)
    pointer.write_text(pointer.read_text() + "  remote: other\n")
    dvc.dver("migrate", "dvc", "model.bin")
    assert (dvc.path / "model.bin.dver").exists()


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


def test_stages_of_old_dvc_files_are_no_imports(dvc: Project) -> None:
    text = (dvc.path / "model.bin.dvc").read_text()
    pointer = dvc.path / "model.bin.dvc"
    pointer.chmod(0o644)
    pointer.write_text(f"cmd: make it\ndeps:\n- path: code.txt\n  md5: {'0' * 32}\n{text}")
    assert "imported" not in dvc.dver("migrate", "dvc", "model.bin").stdout
