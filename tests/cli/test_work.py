"""init, add, status, diff, checkout, mv, rm: what a person reads."""

from __future__ import annotations

import json
from subprocess import run

import pytest

from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo


@pytest.fixture
def used(dver: Dver, git_repo: GitRepo) -> Dver:
    """A directory of three files and one file, added and committed."""
    for name in ("a", "b", "c"):
        git_repo.write(f"data/train/{name}.csv", name * 1000)
    git_repo.write("model.bin", "m")
    dver("add", "data/train", "model.bin", "-q")
    git_repo.commit("first")
    git_repo.git("tag", "v1.0")
    return dver


def change(repo: GitRepo) -> None:
    repo.write("data/train/new.csv", "new")
    repo.write("data/train/b.csv", "b" * 2048)
    (repo.path / "data/train/a.csv").unlink()
    (repo.path / "data/train/c.csv").rename(repo.path / "data/train/d.csv")
    repo.write("model.bin", "mm")


def test_init(git_repo: GitRepo) -> None:
    dver = Dver(git_repo.path)
    assert dver("init").stdout == (
        "set dver up\ncommit .dver/config.yaml, then run 'dver add' on your data\n"
    )
    assert dver("init").stdout == f"dver is set up in {git_repo.path} already\n"
    (git_repo.path / "sub").mkdir()
    assert dver("-C", "sub", "init", "--json").result["config"] == "../.dver/config.yaml"


def test_init_in_a_subdirectory(git_repo: GitRepo) -> None:
    (git_repo.path / "sub").mkdir()
    assert Dver(git_repo.path / "sub")("init").stdout == (
        f"set dver up (the root of this git repository: {git_repo.path})\n"
        "commit ../.dver/config.yaml, then run 'dver add' on your data\n"
    )


def test_init_outside_git(outside: Dver) -> None:
    assert outside("init", code=3).stderr == (
        "error: this is not inside a git repository\nhint: git init\n"
    )


def test_a_repository_that_is_not_set_up(git_repo: GitRepo) -> None:
    assert Dver(git_repo.path)("status", code=3).stderr == (
        "error: dver is not set up in this repository\nhint: dver init\n"
    )


def test_add(dver: Dver, git_repo: GitRepo) -> None:
    git_repo.write("data/a", "a" * 3000)
    git_repo.write("data/b", "b")
    git_repo.write("model.bin", "m")
    assert dver("add", "data", "model.bin").stdout == (
        "new        data (2 files, 2.9 KiB)\n"
        "new        model.bin (1 B)\n"
        "to stage the pointers, run: git add data.dver model.bin.dver .gitignore\n"
    )
    git_repo.write("data/b", "bb")
    assert dver("add", "data/b").stdout == (
        "updated    data (2 files, 2.9 KiB): data/b\n"
        "to stage the pointers, run: git add data.dver\n"
    )
    assert dver("add", "-u").stdout.splitlines()[0] == "unchanged  2 targets"
    assert dver("add", "model.bin").stdout.splitlines()[0] == "unchanged  model.bin (1 B)"
    assert dver("add", "-q", "data").stdout == ""


def test_add_takes_a_list_from_standard_input(dver: Dver, git_repo: GitRepo) -> None:
    git_repo.write("one\ntwo", "1")
    git_repo.write("three", "3")
    result = dver("add", "--paths-from", "-", "--json", stdin=b"one\ntwo\0three\0").result
    assert [target["path"] for target in result["targets"]] == ["one\ntwo", "three"]
    assert dver("add", "--paths-from", "none", code=10).stderr == (
        "error: cannot read none: no such file or directory\n"
    )


def test_an_endless_list_of_paths_is_refused(dver: Dver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dver.cli.inputs.MAX_LIST", 10)
    here = Dver(dver.cwd, in_process=True)
    done = here("add", "--paths-from", "-", stdin=b"12345678901", code=2)
    assert "the list of paths is longer than" in done.stderr
    (dver.cwd / "list").write_bytes(b"12345678901")
    assert "the list of paths" in here("add", "--paths-from", "list", code=2).stderr


def test_add_stages(dver: Dver, git_repo: GitRepo) -> None:
    git_repo.write("model.bin", "m")
    assert dver("add", "--stage", "model.bin").stdout == "new        model.bin (1 B)\n"
    assert git_repo.git("diff", "--cached", "--name-only").split() == [
        ".gitignore",
        "model.bin.dver",
    ]


def test_add_refusals(dver: Dver, git_repo: GitRepo) -> None:
    git_repo.commit("code", **{"code.py": "pass"})
    assert dver("add", "code.py", code=5).stderr.startswith("error: ")
    assert dver("add", "nothing", code=4).stderr.startswith("error: ")
    assert dver("add", "..", code=2).stderr.startswith("error: .. is outside the repository")


def test_status_of_a_clean_repository(used: Dver) -> None:
    assert used("status").stdout == "On branch main\n2 targets, all as recorded\n"
    assert used("status", "--porcelain").stdout == ""
    assert used("status", "--exit-code", "-q").stdout == ""


def test_status_before_anything_is_tracked(dver: Dver) -> None:
    assert dver("status").stdout == (
        "On branch main\nNo commits yet\nnothing is tracked yet (use 'dver add PATH...')\n"
    )


def test_status_of_new_pointers(dver: Dver, git_repo: GitRepo) -> None:
    git_repo.write("data/a", "a")
    git_repo.write("model.bin", "m")
    dver("add", "data", "-q")
    dver("add", "model.bin", "-q", "--stage")
    assert dver("status").stdout == (
        "On branch main\n"
        "No commits yet\n"
        "\n"
        "Pointers to be committed:\n"
        "  (use 'git commit')\n"
        "\tnew:        model.bin (1 B)\n"
        "\n"
        "Pointers not staged for commit:\n"
        "  (use 'git add' on the .dver files)\n"
        "\tnew:        data (1 file, 1 B)\n"
    )
    assert dver("status", "--porcelain", "--exit-code", code=1).stdout == (
        "A   data\nA   model.bin\n"
    )


def test_status_of_changed_data(used: Dver, git_repo: GitRepo) -> None:
    change(git_repo)
    assert used("status").stdout == (
        "On branch main\n"
        "\n"
        "Data changed since it was recorded:\n"
        "  (use 'dver add PATH...' to record it)\n"
        "  (use 'dver checkout --force PATH...' to throw the changes away)\n"
        "\tmodified:   data/train (1 new, 1 modified, 1 deleted, 1 renamed)\n"
        "\t    deleted:  data/train/a.csv\n"
        "\t    modified: data/train/b.csv\n"
        "\t    renamed:  data/train/c.csv -> data/train/d.csv\n"
        "\t    new:      data/train/new.csv\n"
        "\tmodified:   model.bin\n"
    )
    assert used("status", "--porcelain").stdout == " M  data/train\n M  model.bin\n"
    assert used("status", "--porcelain", "-z").stdout == " M  data/train\0 M  model.bin\0"
    assert used("status", "--exit-code", "-q", code=1).stdout == ""
    assert used("-C", "data", "status", "--porcelain").stdout == (" M  train\n M  ../model.bin\n")


def test_status_lists_some_files_and_with_verbose_all(used: Dver, git_repo: GitRepo) -> None:
    for number in range(15):
        git_repo.write(f"data/train/x{number:02}", f"content {number}")
    text = used("status").stdout
    assert "\t    ... and 5 more ('dver status -v' lists all)\n" in text
    assert used("status", "-v").stdout.count("new:  ") == 15
    target = used("status", "--json").result["targets"][0]
    assert (len(target["changes"]), target["counts"]["total"]) == (15, 15)


def test_status_is_coloured_on_a_terminal(used: Dver, git_repo: GitRepo) -> None:
    git_repo.write("model.bin", "mm")
    assert "\t\x1b[31mmodified:   model.bin\x1b[0m\n" in used("status", tty=True).stdout


def test_diff(used: Dver, git_repo: GitRepo) -> None:
    assert used("diff", "--exit-code").stdout == ""
    change(git_repo)
    workspace = used("diff", "--exit-code", code=1).stdout
    assert workspace == (
        "data/train (2.9 KiB -> 3.0 KiB)\n"
        "  D  data/train/a.csv                       1000 B\n"
        "  M  data/train/b.csv                      2.0 KiB  (+1.0 KiB)\n"
        "  R  data/train/c.csv -> data/train/d.csv   1000 B\n"
        "  A  data/train/new.csv                        3 B\n"
        "M  model.bin  2 B  (+1 B)\n"
        "5 files in 2 targets: 1 added, 1 removed, 2 modified, 1 renamed (+1.0 KiB, -1000 B)\n"
    )
    assert used("diff", "--stat").stdout == (
        " data/train | 1 added, 1 removed, 1 modified, 1 renamed | +51 B\n"
        " model.bin  | 1 modified                                |  +1 B\n"
        "5 files in 2 targets: 1 added, 1 removed, 2 modified, 1 renamed (+1.0 KiB, -1000 B)\n"
    )
    used("add", "-u", "-q")
    git_repo.commit("second")
    assert used("diff", "v1.0", "main").stdout == workspace
    assert used("diff", "v1.0..main").stdout == workspace
    assert used("diff", "v1.0", "main", "model.bin").stdout == (
        "M  model.bin  2 B  (+1 B)\n1 file in 1 target: 1 modified (+1 B)\n"
    )
    assert used("diff", "v1.0", "--", "model.bin", "--json", code=4).stdout == ""
    assert len(used("diff", "v1.0", "--json", "--", "model.bin").result["files"]) == 1
    assert " removed" in used("diff", "v1.0", "main", "--no-renames", "--stat").stdout
    assert used("diff", "-q", "--exit-code", "v1.0", "main", code=1).stdout == ""


def test_revisions_and_paths_are_told_apart(used: Dver, git_repo: GitRepo) -> None:
    assert used("diff", "nothing", code=4).stderr.startswith(
        "error: nothing is neither a revision nor a tracked path\n"
    )
    git_repo.git("branch", "model.bin")
    assert used("checkout", "model.bin", code=2).stderr.startswith(
        "error: model.bin is both a revision and a path\n"
    )
    assert used("checkout", "--", "model.bin").stdout == "unchanged  1 target\n"
    assert used("diff", "a", "b", "c", "--", code=2).stderr == (
        "error: at most two revisions can stand before '--', not 3\n"
    )


def test_checkout(used: Dver, git_repo: GitRepo) -> None:
    change(git_repo)
    used("add", "-u", "-q")
    git_repo.commit("second")
    assert used("checkout").stdout == "unchanged  2 targets\n"
    assert used("checkout", "v1.0").stdout == (
        "updated    data/train (3 files written, 2.9 KiB, 2 files deleted, pointer updated)\n"
        "updated    model.bin (1 file written, 1 B, pointer updated)\n"
    )
    assert (git_repo.path / "model.bin").read_text() == "m"
    result = used("checkout", "HEAD", "model.bin", "--json").result
    assert result["rev"] == git_repo.head()
    assert [target["path"] for target in result["targets"]] == ["model.bin"]


def test_checkout_refuses_to_lose_work(used: Dver, git_repo: GitRepo) -> None:
    git_repo.write("model.bin", "precious")
    done = used("checkout", code=5)
    assert "model.bin" in done.stderr
    assert (git_repo.path / "model.bin").read_text() == "precious"
    assert used("checkout", "--force", "model.bin").stdout == (
        "updated    model.bin (1 file written, 1 B)\n"
    )
    assert (git_repo.path / "model.bin").read_text() == "m"


def test_mv_and_rm(used: Dver, git_repo: GitRepo) -> None:
    assert used("mv", "model.bin", "data/m.bin").stdout == (
        "moved  model.bin -> data/m.bin\n"
        "to stage the pointers, run:"
        " git add model.bin.dver data/m.bin.dver data/.gitignore .gitignore\n"
    )
    assert used("rm", "data/train").stdout.splitlines()[0] == (
        "removed  data/train (3 files, 2.9 KiB)"
    )
    assert not (git_repo.path / "data/train").exists()
    assert used("rm", "--keep-data", "data/m.bin").stdout.splitlines()[0] == (
        "removed  data/m.bin.dver (the data stays)"
    )
    assert (git_repo.path / "data/m.bin").read_text() == "m"


def test_a_path_inside_a_directory_can_be_moved_and_removed(used: Dver, git_repo: GitRepo) -> None:
    assert used("mv", "data/train/a.csv", "data/train/z.csv").stdout == (
        "moved  data/train/a.csv -> data/train/z.csv\n"
        "run 'dver add' on the tracked directory to record its new state\n"
    )
    used("add", "data/train", "-q")
    lines = used("rm", "data/train/z.csv").stdout.splitlines()
    assert lines[0] == "updated  data/train (2 files, 2.0 KiB)"


def test_what_a_git_user_types_for_a_directory(used: Dver, git_repo: GitRepo) -> None:
    assert used("rm", "-r", "data/train").stdout.startswith("removed  data/train (3 files")
    assert not (git_repo.path / "data/train").exists()


def test_files_that_checkout_leaves_alone_are_told(used: Dver, git_repo: GitRepo) -> None:
    git_repo.write("data/train/mine.csv", "mine")
    (git_repo.path / "data/train/a.csv").unlink()
    assert used("checkout").stdout == (
        "updated    data/train (1 file written, 1000 B)\n"
        "kept       1 file in data/train that nobody has added\n"
        "unchanged  1 target\n"
    )


def test_errors_name_the_next_command(used: Dver, git_repo: GitRepo) -> None:
    assert used("ls", "zzz", code=4).stderr == (
        "error: the work tree does not track zzz\n"
        "hint: 'dver ls' lists what is tracked, 'dver ls --rev REV' what was\n"
    )
    git_repo.write("model.bin.dver", "dver: 1\nkind: file\n")
    hint = "hint: 'git log -- model.bin.dver' lists its versions, 'git checkout REV --"
    assert hint in used("checkout", code=7).stderr
    assert hint in used("status").stdout


def stage_as_told(repo: GitRepo, stdout: str) -> str:
    """Run the command that a hint names, as it stands, and return what git then lists."""
    line = next(line for line in stdout.splitlines() if ", run: git add " in line)
    run(["sh", "-c", line.partition(", run: ")[2]], cwd=repo.path, check=True)
    return repo.git("status", "--short")


def test_what_git_is_told_to_add_can_be_added(used: Dver, git_repo: GitRepo) -> None:
    for name in ("a b", "-rf", ":(top)", "*", "it's"):
        git_repo.write(name, name)
        used("add", "-q", "--", name)
        done = used("mv", "--", name, f"{name}2")
        assert f"{name}.dver" not in git_repo.git("ls-files", "-o", "--exclude-standard")
        assert "A  " in stage_as_told(git_repo, done.stdout)
        git_repo.commit_staged()
        done = used("rm", "--", f"{name}2")
        assert "D  " in stage_as_told(git_repo, done.stdout)
        git_repo.commit_staged()
        assert git_repo.git("status", "--short") == ""


def test_many_files_are_staged_by_patterns_that_match(used: Dver, git_repo: GitRepo) -> None:
    names = [f"n{i}" for i in range(12)]
    for name in names:
        git_repo.write(name, name)
    used("add", "-q", *names)
    git_repo.commit()
    done = used("rm", *names)
    assert "to stage 13 files, run: git add ':/*.dver' ':/*.gitignore'\n" in done.stdout
    assert len(stage_as_told(git_repo, done.stdout).splitlines()) == 13
    git_repo.write("new", "1")
    used("add", "-q", "new")
    assert "new.dver" not in used("rm", "--force", "new").stdout.partition("git add")[2]


def test_json_of_an_error_is_an_envelope(used: Dver, git_repo: GitRepo) -> None:
    git_repo.write("model.bin.dver", "dver: 1\nkind: file\n")
    done = used("checkout", "--json", code=7)
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "format"
    assert error["exit_code"] == 7
    assert "model.bin.dver" in error["message"] + " ".join(error["paths"])
