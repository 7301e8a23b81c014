"""``migrate dvc`` in projects that the real DVC made."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from dver.base import fsio
from dver.formats import origin as origins
from dver.lineage import pipelinefile
from tests.migration.conftest import TARGETS, Project, cached, drop_cache, drop_data, run_dvc
from tests.support.gitrepo import GitRepo


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


def test_stages_of_old_dvc_files_are_no_imports(dvc: Project) -> None:
    text = (dvc.path / "model.bin.dvc").read_text()
    pointer = dvc.path / "model.bin.dvc"
    pointer.chmod(0o644)
    pointer.write_text(f"cmd: make it\ndeps:\n- path: code.txt\n  md5: {'0' * 32}\n{text}")
    assert "imported" not in dvc.dver("migrate", "dvc", "model.bin").stdout
