"""Opening a repository in all its shapes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dver.base.errors import ConfigError, NotFoundError, RepositoryError
from dver.config import edit, remotes
from dver.repo import Repo
from tests.support.gitrepo import GitRepo


def initialise(repo: GitRepo, text: str = "") -> None:
    repo.write(".dver/config.yaml", text)


def test_not_set_up(git_repo: GitRepo) -> None:
    repo = Repo.open(git_repo.path)
    assert not repo.is_initialised
    with pytest.raises(RepositoryError) as caught:
        Repo.open(git_repo.path, initialised=True)
    assert caught.value.hint == "dver init"
    initialise(git_repo)
    assert Repo.open(git_repo.path, initialised=True).is_initialised


def test_outside_git(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError) as caught:
        Repo.open(tmp_path)
    assert caught.value.hint == "git init"


def test_the_current_directory_is_the_default(
    git_repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    sub = git_repo.write("sub/x").parent
    monkeypatch.chdir(sub)
    repo = Repo.open()
    assert (repo.root, repo.cwd) == (git_repo.path, sub)


def test_a_current_directory_that_is_gone(
    git_repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = git_repo.write("gone/x").parent
    monkeypatch.chdir(gone)
    (gone / "x").unlink()
    gone.rmdir()
    try:
        with pytest.raises(RepositoryError, match="does not exist any more"):
            Repo.open()
    finally:
        monkeypatch.undo()


def test_where_state_is(git_repo: GitRepo, tmp_path: Path) -> None:
    initialise(git_repo, "core:\n  remote: x\n")
    git_repo.commit("one")
    main = Repo.open(git_repo.path)
    assert main.state_dir == main.common_state_dir == git_repo.path / ".git/dver"
    git_repo.git("worktree", "add", "-q", str(tmp_path / "linked"))
    linked = Repo.open(tmp_path / "linked")
    assert linked.common_state_dir == main.common_state_dir
    assert linked.state_dir == git_repo.path / ".git/worktrees/linked/dver"
    assert linked.store_path == main.store_path == git_repo.path / ".git/dver"
    edit.set_value(linked.config, "local", "core.jobs", "3")
    assert Repo.open(git_repo.path).config.number("core.jobs") == 3
    assert linked.config.text("core.remote") == "x"


def test_overrides_and_environment(git_repo: GitRepo, tmp_path: Path) -> None:
    environ = {**os.environ, "DVER_STORE_PATH": str(tmp_path / "env")}
    assert Repo.open(git_repo.path, environ=environ).store_path == tmp_path / "env"
    overrides = [("store.path", str(tmp_path / "cli"))]
    repo = Repo.open(git_repo.path, environ=environ, overrides=overrides)
    assert repo.store_path == tmp_path / "cli"


def test_bare_repositories_take_the_settings_of_head(git_repo: GitRepo, tmp_path: Path) -> None:
    bare = GitRepo.init(tmp_path / "bare.git", "--bare")
    repo = Repo.open(bare.path)
    assert not repo.is_initialised
    assert repo.config.values() == []
    initialise(git_repo, "core:\n  remote: x\n")
    git_repo.commit("one")
    git_repo.git("push", "-q", str(bare.path), "main")
    repo = Repo.open(bare.path, initialised=True)
    found = repo.config.find("core.remote")
    assert found is not None
    assert (found.value, found.origin) == ("x", "HEAD:.dver/config.yaml")
    with pytest.raises(ConfigError, match="no repository configuration here"):
        edit.set_value(repo.config, "repository", "core.remote", "y")
    edit.set_value(repo.config, "local", "core.remote", "y")
    assert repo.config.text("core.remote") == "y"


def test_sparse_checkouts_keep_their_settings(git_repo: GitRepo) -> None:
    initialise(git_repo, "core:\n  remote: x\n")
    git_repo.commit("one", **{"in": "1"})
    git_repo.write("sub/y")
    git_repo.commit("two")
    git_repo.git("sparse-checkout", "set", "sub")
    assert not (git_repo.path / ".dver").exists()
    repo = Repo.open(git_repo.path, initialised=True)
    assert repo.config.text("core.remote") == "x"


def test_a_submodule_is_its_own_repository(git_repo: GitRepo, tmp_path: Path) -> None:
    inner = GitRepo.init(tmp_path / "inner")
    inner.commit("one", x="1")
    git_repo.git(
        *("-c", "protocol.file.allow=always", "submodule", "--quiet"),
        *("add", str(inner.path), "sub"),
    )
    initialise(git_repo)
    repo = Repo.open(git_repo.path / "sub")
    assert not repo.is_initialised
    assert repo.common_state_dir == git_repo.path / ".git/modules/sub/dver"


def test_the_store_is_made_at_its_first_use(git_repo: GitRepo) -> None:
    repo = Repo.open(git_repo.path)
    assert not repo.common_state_dir.exists()
    assert repo.store is repo.store
    assert (repo.store_path / "format.json").is_file()
    store_id = repo.store.info.store_id
    repo.close()
    assert Repo.open(git_repo.path).store.info.store_id == store_id


def test_opening_a_remote(git_repo: GitRepo, tmp_path: Path) -> None:
    (tmp_path / "remote").mkdir()
    initialise(git_repo, "remote:\n  origin:\n    url: ../remote\n")
    repo = Repo.open(git_repo.path)
    with pytest.raises(NotFoundError):
        repo.open_remote("nope", write=False)
    with pytest.raises(ConfigError, match="agreed to send data"):
        repo.open_remote(write=True)
    remote = repo.open_remote(write=False)
    assert remote.name == "origin"
    assert remote.cache == repo.common_state_dir / "remotes/origin"
    assert repo.trust_first_remote()
    assert repo.trust_first_remote()
    assert repo.open_remote(write=True).name == "origin"
    repo.close()


def test_start_up_loads_nothing_heavy(git_repo: GitRepo) -> None:
    initialise(git_repo)
    repo = Repo.open(git_repo.path)
    remotes.add_remote(repo.config, "origin", "s3://b/p", cwd=repo.cwd)
    code = (
        "import sys\n"
        "from dver.repo import Repo\n"
        "repo = Repo.open(initialised=True)\n"
        "assert repo.remote_settings().url == 's3://b/p'\n"
        "repo.locate('x'), repo.display(b'x'), repo.is_path('x')\n"
        "heavy = ('yaml', 'json', 'rich', 'fsspec', 's3fs', 'obstore', 'difflib',\n"
        "         'tempfile', 'asyncio', 'multiprocessing', 'zstandard', 'click')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=git_repo.path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        check=False,
    )
    assert (done.stdout.decode().strip(), done.stderr.decode()) == ("[]", "")
