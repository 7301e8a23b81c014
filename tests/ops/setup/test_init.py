"""Setting dver up in a git repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from dver.base.errors import RefusedError, RepositoryError
from dver.base.reporter import Reporter
from dver.ops.setup.init import InitOptions, InitResult, init
from dver.repo import Repo
from tests.support.gitrepo import GitRepo


class Heard(Reporter):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str, *, hint: str | None = None) -> None:
        self.warnings.append(message)


def run(where: Path, reporter: Reporter | None = None) -> InitResult:
    return init(Repo.open(where), InitOptions(), reporter or Reporter())


def files(git_repo: GitRepo) -> list[str]:
    return git_repo.git("ls-files", "--others", "--exclude-standard").splitlines()


def test_the_committed_file_and_the_store_are_made_and_nothing_else(git_repo: GitRepo) -> None:
    result = run(git_repo.path)
    assert result == InitResult(
        root=str(git_repo.path),
        config=".dver/config.yaml",
        store=str(git_repo.path / ".git" / "dver"),
        created=True,
        below_root=False,
    )
    assert files(git_repo) == [".dver/config.yaml"]
    assert (git_repo.path / ".git/dver/format.json").is_file()
    Repo.open(git_repo.path, initialised=True)


def test_a_second_time_changes_nothing(git_repo: GitRepo) -> None:
    run(git_repo.path)
    config = git_repo.path / ".dver" / "config.yaml"
    config.write_text("core:\n  remote: x\n")
    before = (git_repo.path / ".git/dver/format.json").read_bytes()
    assert run(git_repo.path).created is False
    assert config.read_text() == "core:\n  remote: x\n"
    assert (git_repo.path / ".git/dver/format.json").read_bytes() == before


def test_a_clone_of_a_repository_that_is_set_up_gets_its_store(
    git_repo: GitRepo, tmp_path: Path
) -> None:
    run(git_repo.path)
    git_repo.commit("set up")
    clone = GitRepo.clone(git_repo.path, tmp_path / "clone")
    assert run(clone.path).created is True
    assert (clone.path / ".git/dver/format.json").is_file()
    assert files(clone) == []


def test_in_a_sub_directory_the_whole_repository_is_set_up(git_repo: GitRepo) -> None:
    below = git_repo.path / "a" / "b"
    below.mkdir(parents=True)
    result = run(below)
    assert result.below_root
    assert result.root == str(git_repo.path)
    assert result.config == "../../.dver/config.yaml"
    assert not (below / ".dver").exists()


def test_worktrees_share_one_store(git_repo: GitRepo, tmp_path: Path) -> None:
    run(git_repo.path)
    git_repo.commit("set up")
    git_repo.git("worktree", "add", "-q", str(tmp_path / "other"))
    result = run(tmp_path / "other")
    assert result.store == str(git_repo.path / ".git" / "dver")
    assert result.created is False


def test_outside_git_there_is_a_hint(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError) as caught:
        run(tmp_path)
    assert "git init" in (caught.value.hint or "")


def test_a_bare_repository_is_refused(tmp_path: Path) -> None:
    bare = GitRepo.init(tmp_path / "bare.git", "--bare")
    with pytest.raises(RepositoryError, match="bare repository"):
        run(bare.path)
    assert not (bare.path / "dver").exists()


@pytest.mark.parametrize("kind", ["file", "symlink"])
def test_what_is_in_the_way_stays(git_repo: GitRepo, tmp_path: Path, kind: str) -> None:
    place = git_repo.path / ".dver"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(elsewhere)
    with pytest.raises(RefusedError, match="in the way"):
        run(git_repo.path)
    assert list(elsewhere.iterdir()) == []


def test_an_ignored_configuration_is_warned_of(git_repo: GitRepo) -> None:
    git_repo.write(".gitignore", ".*\n")
    heard = Heard()
    run(git_repo.path, heard)
    assert len(heard.warnings) == 1 and ".dver/config.yaml" in heard.warnings[0]
