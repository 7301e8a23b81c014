"""``dver completion``, and what a tab offers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo


def offers(dver: Dver, line: str) -> list[str]:
    """Return what bash would offer for the last word of a line."""
    words = line.split(" ")
    env = {
        "_DVER_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    lines = dver(env=env).stdout.splitlines()
    return [item.partition(",")[2] for item in lines if item.startswith("plain,")]


@pytest.fixture
def full(dver: Dver, git_repo: GitRepo) -> Dver:
    """A repository with a tracked directory, a tracked file, a tag and remotes."""
    git_repo.write("data/train/a.csv", "a")
    git_repo.write("data/train/b.csv", "b")
    git_repo.write("model.bin", "m")
    git_repo.write("notes.txt", "n")
    dver("add", "data/train", "model.bin", "-q")
    dver("remote", "add", "origin", "s3://acme/fraud", "-q")
    dver("remote", "add", "backup", "s3://acme-2/fraud", "-q")
    git_repo.commit("first")
    git_repo.git("tag", "v1.0")
    return dver


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_name_the_program(outside: Dver, shell: str) -> None:
    script = outside("completion", shell).stdout
    assert "_DVER_COMPLETE" in script
    assert "dver" in script
    assert outside("completion", shell, "--json").result == {"shell": shell, "script": script}


def test_commands_and_options(outside: Dver) -> None:
    assert offers(outside, "dver st") == ["status"]
    assert {"add", "push", "fsck"} < set(offers(outside, "dver "))
    assert offers(outside, "dver remote re") == ["rename", "remove"]
    assert offers(outside, "dver push --dry") == ["--dry-run"]
    assert "--color" in offers(outside, "dver --")


def test_tracked_paths(full: Dver) -> None:
    assert offers(full, "dver log ") == ["data/", "model.bin"]
    assert offers(full, "dver log data/") == ["data/train"]
    assert offers(full, "dver log data/train/") == ["data/train/a.csv", "data/train/b.csv"]
    assert offers(full, "dver log not") == []


def test_revisions_and_paths(full: Dver) -> None:
    assert offers(full, "dver checkout m") == ["model.bin", "main"]
    assert offers(full, "dver ls --rev v") == ["v1.0"]


def test_remotes_and_settings(full: Dver) -> None:
    assert offers(full, "dver push -r ") == ["backup", "origin"]
    assert offers(full, "dver remote set origin re") == ["region", "retries"]
    assert offers(full, "dver config get core.j") == ["core.jobs"]
    assert "remote.backup.url" in offers(full, "dver config get remote.")


def test_hooks(full: Dver) -> None:
    assert offers(full, "dver hooks install post-m") == ["post-merge"]
    assert offers(full, "dver hooks uninstall me") == ["merge"]


def test_the_directory_option_counts(full: Dver) -> None:
    elsewhere = Dver(full.cwd.parent)
    assert offers(elsewhere, f"dver -C {full.cwd} push -r o") == ["origin"]


def test_nothing_is_offered_or_said_where_it_cannot_be_known(outside: Dver) -> None:
    assert offers(outside, "dver push -r ") == []
    assert offers(outside, "dver log ") == []


def test_the_script_works_in_bash(full: Dver, tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    program = bin_dir / "dver"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dver.cli.main "$@"\n')
    program.chmod(0o755)
    script = (
        f'PATH="{bin_dir}:$PATH"; eval "$(dver completion bash)"\n'
        "COMP_WORDS=(dver push -r o); COMP_CWORD=3\n"
        '_dver_completion dver; echo "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        [bash, "--norc", "-c", script], cwd=full.cwd, capture_output=True, check=True
    )
    assert done.stdout == b"origin\n"
    assert done.stderr == b""


@pytest.fixture
def moved_on(full: Dver, git_repo: GitRepo) -> Dver:
    """The same, after a commit that removed a file and a target, and added others."""
    (git_repo.path / "data/train/b.csv").unlink()
    git_repo.write("data/train/deep/new.csv", "n")
    git_repo.write("data/train/$(touch x)", "odd")
    full("add", "data/train", "-q")
    full("rm", "model.bin", "-q")
    git_repo.commit("second")
    return full


def test_paths_of_another_revision(moved_on: Dver) -> None:
    assert offers(moved_on, "dver cat --rev v1.0 ") == ["data/", "model.bin"]
    assert offers(moved_on, "dver cat --rev v1.0 data/") == ["data/train"]
    old = ["data/train/a.csv", "data/train/b.csv"]
    assert offers(moved_on, "dver cat --rev v1.0 data/train/") == old
    assert offers(moved_on, "dver ls --rev HEAD data/train/d") == ["data/train/deep/"]
    assert offers(moved_on, "dver ls --rev nope data/") == []
    assert "data/train/b.csv" in offers(moved_on, "dver checkout v1.0 data/train/")
    assert "data/train/b.csv" not in offers(moved_on, "dver checkout HEAD data/train/")
    assert offers(moved_on, "dver diff v1.0 HEAD data/train/b") == ["data/train/b.csv"]


def test_paths_that_are_not_in_the_workspace(moved_on: Dver) -> None:
    (moved_on.cwd / "data/train/deep/new.csv").unlink()
    assert offers(moved_on, "dver checkout data/train/deep/") == ["data/train/deep/new.csv"]
    shutil.rmtree(moved_on.cwd / "data/train")
    assert offers(moved_on, "dver pull data/train/a") == ["data/train/a.csv"]


def test_names_that_bash_would_run_are_not_offered_from_revisions(moved_on: Dver) -> None:
    assert not [name for name in offers(moved_on, "dver ls --rev HEAD data/train/") if "$" in name]


def test_aliases_and_topics(full: Dver) -> None:
    full("config", "set", "alias.stock", "ls -l", "-q")
    assert offers(full, "dver sto") == ["stock"]
    assert offers(full, "dver stock data/") == ["data/train"]
    assert offers(full, "dver help poi") == ["pointers"]
    assert offers(full, "dver help remote re") == ["rename", "remove"]


def test_steps_and_records(full: Dver, git_repo: GitRepo) -> None:
    git_repo.write("dver.yaml", "steps:\n  train:\n    command: 'true'\n    outs: [out.txt]\n")
    assert offers(full, "dver repro t") == ["train"]
    assert offers(full, "dver metrics show --name ") == ["train"]
    full("run", "-q", "-o", "out.txt", "--", "sh", "-c", "echo 1 > out.txt")
    (run,) = full("runs", "--json").result["runs"]
    assert offers(full, f"dver lineage {run['id'][:3]}") == [run["id"][:10]]
    assert offers(full, "dver lineage out.txt@v") == ["out.txt@v1.0"]
    assert offers(full, "dver sign out") == ["out.txt"]
