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
