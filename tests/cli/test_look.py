"""log, ls, get, cat, du, whereis: what a person reads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo

DATA_1 = "blake3:5b9b1ab3ec"


@pytest.fixture
def used(dver: Dver, git_repo: GitRepo) -> Dver:
    """Two versions of a directory and of a file; the first is tagged v1.0."""
    git_repo.write("data/train/a.csv", "a" * 1000)
    git_repo.write("data/train/sub/b.csv", "b" * 1000)
    git_repo.write("model.bin", "m")
    dver("add", "data/train", "model.bin", "-q")
    git_repo.commit("first version")
    git_repo.git("tag", "v1.0")
    git_repo.write("data/train/new.csv", "n" * 48)
    git_repo.write("model.bin", "mm")
    dver("add", "-u", "-q")
    git_repo.commit("second version")
    return dver


def test_log(used: Dver, git_repo: GitRepo) -> None:
    second, first = git_repo.git("rev-list", "HEAD").split()
    entries = used("log", "data/train", "--json").result["entries"]
    oids = [entry["oid"].removeprefix("blake3:")[:10] for entry in entries]
    assert used("log", "data/train").stdout == (
        f"commit {second}\n"
        "Author: Ada Test <ada@example.com>\n"
        f"Date:   {entries[0]['date']}\n"
        "\n"
        "    second version\n"
        "\n"
        f"    modified: data/train, 3 files, 2.0 KiB (+48 B), {oids[0]}\n"
        "\n"
        f"commit {first}\n"
        "Author: Ada Test <ada@example.com>\n"
        f"Date:   {entries[1]['date']}\n"
        "\n"
        "    first version\n"
        "\n"
        f"    added: data/train, 2 files, 2.0 KiB, {oids[1]}\n"
    )
    assert used("log", "data/train", "--oneline", "-n", "1").stdout == (
        f"{second[:10]}  {entries[0]['date'][:10]}  modified  {oids[0]}  3 files, 2.0 KiB"
        "  second version\n"
    )
    assert used("log", "data/train/a.csv", "--rev", "v1.0..HEAD").stdout == ""


def test_log_of_a_rename_and_a_removal(used: Dver, git_repo: GitRepo) -> None:
    used("mv", "model.bin", "best.bin", "-q", "--stage")
    git_repo.commit("rename")
    used("rm", "best.bin", "-q", "--stage")
    git_repo.commit("remove")
    lines = used("log", "best.bin").stdout.splitlines()
    facts = [line.strip() for line in lines if line.startswith("    ") and ":" in line]
    assert facts[0] == "removed: best.bin"
    assert facts[1].startswith("renamed: model.bin -> best.bin, 2 B, ")
    assert len(facts) == 4


def test_log_of_what_never_was(used: Dver) -> None:
    assert used("log", "nothing", code=4).stderr.startswith(
        "error: this history has no version of nothing"
    )


def test_ls(used: Dver) -> None:
    assert used("ls").stdout == "data/train/\nmodel.bin\n"
    assert used("ls", "data/train").stdout == (
        "data/train/a.csv\ndata/train/new.csv\ndata/train/sub/\n"
    )
    assert used("ls", "-R", "--rev", "v1.0", "data/train").stdout == (
        "data/train/a.csv\ndata/train/sub/b.csv\n"
    )
    assert used("ls", "-Rz", "data/train/sub").stdout == "data/train/sub/b.csv\0"
    assert used("-C", "data", "ls").stdout == "train/\n"


def test_ls_long(used: Dver) -> None:
    entries = used("ls", "--json").result["entries"]
    data, model = (entry["oid"].removeprefix("blake3:")[:10] for entry in entries)
    assert used("ls", "-l").stdout == (
        f"d  2.0 KiB  3 files  {data}    data/train/\n"
        f"-      2 B           {model}    model.bin\n"
        "4 files, 2.0 KiB\n"
    )


def test_names_that_are_odd_are_quoted_and_with_z_are_not(dver: Dver, git_repo: GitRepo) -> None:
    odd = b"caf\xe9\n.csv"
    git_repo.write(b"data/" + odd, "x")
    dver("add", "data", "-q")
    assert dver("ls", "data").stdout == '"data/caf\\351\\n.csv"\n'
    assert dver("ls", "-z", "data").stdout_bytes == b"data/" + odd + b"\0"
    assert dver("ls", "data", "--json").result["entries"][0]["path"] == '"data/caf\\351\\n.csv"'


def test_get(used: Dver, git_repo: GitRepo, tmp_path: Path) -> None:
    commit = git_repo.git("rev-parse", "v1.0")
    out = tmp_path / "old"
    assert used("get", "data/train", "--rev", "v1.0", "-o", out).stdout == (
        f"wrote data/train at {commit[:10]} to {out} (2 files, 2.0 KiB)\n"
    )
    assert sorted(os.listdir(out)) == ["a.csv", "sub"]
    assert used("get", "data/train", "-o", out, code=5).stderr.startswith("error: ")
    used("get", "data/train", "-o", out, "--force", "-q")
    used("get", "a", "b", "c", code=2)


def test_get_from_another_repository(used: Dver, git_repo: GitRepo, outside: Dver) -> None:
    done = outside("get", git_repo.path, "model.bin", "--rev", "v1.0")
    assert done.stdout.startswith("wrote model.bin at ")
    assert (outside.cwd / "model.bin").read_text() == "m"
    assert outside("get", "model.bin", code=3).stderr.startswith(
        "error: this is not inside a git repository\n"
    )


def test_cat(used: Dver) -> None:
    assert used("cat", "model.bin").stdout_bytes == b"mm"
    assert used("cat", "data/train/a.csv", "--rev", "v1.0").stdout_bytes == b"a" * 1000
    facts = used("cat", "model.bin", "--json").result
    assert (facts["path"], facts["size"]) == ("model.bin", 2)


def test_du(used: Dver, git_repo: GitRepo) -> None:
    result = used("du", "--all", "--json").result
    lines = used("du", "--all").stdout.splitlines()
    assert lines[0].split() == ["SIZE", "UNIQUE", "STORED", "FILES", "VERSIONS", "PATH"]
    assert lines[1].split()[-2:] == ["2", "data/train"]
    assert lines[3].split()[-1] == "total"
    assert lines[5].startswith("local store: ")
    assert lines[5].endswith(f" in {git_repo.path}/.git/dver")
    assert result["total"]["size"] == 2 * 2000 + 48 + 3
    assert used("du", "model.bin").stdout.splitlines()[1].split()[-1] == "model.bin"


def test_whereis(used: Dver, git_repo: GitRepo) -> None:
    result = used("whereis", "model.bin", "--json").result
    oid = result["oid"]
    store = f"{git_repo.path}/.git/dver"
    assert used("whereis", "model.bin").stdout == (
        f"model.bin is {oid} (2 B)\n"
        f"  local  complete    {store}\n"
        f"  links  absent      {store}/links\n"
    )
    assert used("whereis", oid.removeprefix("blake3:"), "--json").result["found"] is True
    used("whereis", "blake3:" + "0" * 64, code=1)
