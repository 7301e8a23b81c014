"""Putting hooks beside those of others, and taking them away without a trace."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dver.base.errors import RefusedError, RepositoryError, UsageError
from dver.git.hookscripts import HOOKS, driver_text, hook_text, owner
from tests.hooks.conftest import HookRepo
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo

PARTS = (*HOOKS, "merge", "diff")


def traces(repo: GitRepo) -> dict[str, tuple[bytes, int]]:
    """Return all of a git directory that hooks and drivers are made of, with modes."""
    found = {}
    git = repo.path / ".git"
    for top in (git / "hooks", git / "info", git / "config"):
        for path in sorted([top, *top.rglob("*")]):
            data = path.read_bytes() if path.is_file() else b""
            found[str(path)] = data, path.lstat().st_mode
    found["dver"] = b"\0".join(sorted(os.fsencode(p) for p in (git / "dver").iterdir())), 0
    return found


def script(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_all_of_it_comes_and_goes(repo: HookRepo) -> None:
    (repo.path / ".git/dver/config.lock").touch()
    before = traces(repo)
    assert set(repo.states().values()) == {"absent"}
    done = repo.install()
    assert done.changed == PARTS
    assert set(repo.states().values()) == {"installed"}
    assert repo.install().changed == ()
    for name in HOOKS:
        assert os.access(repo.path / ".git/hooks" / name, os.X_OK)
    repo.run("config", "--get", "merge.dver.driver")
    assert repo.uninstall().changed == PARTS
    assert traces(repo) == before
    assert repo.uninstall().changed == ()


def test_directories_that_were_not_there_go_again(repo: HookRepo) -> None:
    (repo.path / ".git/dver/config.lock").touch()
    for name in ("hooks", "info"):
        for path in (repo.path / ".git" / name).iterdir():
            path.unlink()
        (repo.path / ".git" / name).rmdir()
    before = {p.name for p in (repo.path / ".git").iterdir()}
    repo.install()
    repo.uninstall()
    assert {p.name for p in (repo.path / ".git").iterdir()} == before


def test_single_parts(repo: HookRepo) -> None:
    repo.install("pre-push", "diff")
    installed = {name for name, state in repo.states().items() if state == "installed"}
    assert installed == {"pre-push", "diff"}
    assert repo.git("check-attr", "merge", "diff", "--", "x/y.dver").splitlines() == [
        "x/y.dver: merge: unspecified",
        "x/y.dver: diff: dver",
    ]
    repo.install("merge")
    repo.uninstall("diff")
    installed = {name for name, state in repo.states().items() if state == "installed"}
    assert installed == {"pre-push", "merge"}
    with pytest.raises(UsageError, match="no hook or driver 'pre-pull'"):
        repo.install("pre-pull")


@pytest.mark.parametrize("content", [b"*.txt text\n", b"*.dver -diff", b""])
def test_attributes_of_others_stay(repo: HookRepo, content: bytes) -> None:
    path = repo.path / ".git/info/attributes"
    if content:
        path.write_bytes(content)
    repo.install("merge", "diff")
    assert path.read_bytes().endswith(content)
    if b"-diff" in content:
        # What somebody wrote here wins.
        assert repo.git("check-attr", "diff", "a.dver") == "a.dver: diff: unset"
    repo.uninstall()
    assert path.exists() == bool(content)
    assert not content or path.read_bytes() == content


def test_a_foreign_hook_runs_first_and_decides(repo: HookRepo, tmp_path: Path) -> None:
    hook = repo.path / ".git/hooks/pre-commit"
    log = tmp_path / "log"
    script(hook, f'echo "$0 $#" >>"{log}"; exit $(cat "{tmp_path}/answer")')
    before = traces(repo)
    done = repo.install("pre-commit")
    assert done.parts[0].kept == str(hook) + ".before-dver"
    (tmp_path / "answer").write_text("7")
    repo.write("a.txt", "1")
    repo.git("add", "a.txt")
    repo.run("commit", "-q", "-m", "no", code=1)
    (tmp_path / "answer").write_text("0")
    repo.run("commit", "-q", "-m", "yes")
    assert log.read_text().splitlines() == [".git/hooks/pre-commit.before-dver 0"] * 2
    repo.uninstall()
    after = traces(repo)
    assert {k: after[k] for k in before if "hooks" in k} == {
        k: v for k, v in before.items() if "hooks" in k
    }


def test_a_foreign_hook_that_is_off_stays_off(repo: HookRepo) -> None:
    hook = repo.path / ".git/hooks/post-merge"
    script(hook, "exit 9")
    hook.chmod(0o644)
    repo.install("post-merge")
    assert subprocess.run([hook, "0"], cwd=repo.path, check=False).returncode == 0
    repo.uninstall()
    assert stat.S_IMODE(hook.stat().st_mode) == 0o644


def test_the_answer_of_a_foreign_post_checkout_stays(repo: HookRepo) -> None:
    script(repo.path / ".git/hooks/post-checkout", 'test "$3" = 1 && exit 3; exit 0')
    repo.install("post-checkout")
    repo.run("switch", "-q", "-c", "other", code=1)
    repo.uninstall()
    repo.run("switch", "-q", "-c", "another", code=1)


def test_a_foreign_pre_push_reads_the_same_lines(shared: HookRepo, tmp_path: Path) -> None:
    script(
        shared.path / ".git/hooks/pre-push", f'echo "$@" >"{tmp_path}/args"; cat >"{tmp_path}/in"'
    )
    shared.install("pre-push")
    head = shared.commit("more", **{"a.txt": "1"})
    shared.run("push", "-q", "origin", "main:other")
    assert (tmp_path / "args").read_text().split()[0] == "origin"
    assert (tmp_path / "in").read_text() == (
        f"refs/heads/main {head} refs/heads/other {'0' * 40}\n"
    )


def test_two_foreign_hooks_are_not_guessed_about(repo: HookRepo) -> None:
    hook = repo.path / ".git/hooks/pre-push"
    script(hook, "exit 0")
    script(hook.with_name("pre-push.before-dver"), "exit 0")
    with pytest.raises(RefusedError, match="both hooks of somebody else"):
        repo.install("pre-push")
    (repo.path / ".git/hooks/post-merge").mkdir()
    with pytest.raises(RefusedError, match="is a directory where git looks for a hook"):
        repo.install("post-merge")


def test_a_symlink_is_a_hook_like_any_other(repo: HookRepo, tmp_path: Path) -> None:
    script(tmp_path / "shared", "exit 0")
    hook = repo.path / ".git/hooks/pre-push"
    hook.symlink_to(tmp_path / "shared")
    repo.install("pre-push")
    assert not hook.is_symlink()
    repo.uninstall()
    assert hook.readlink() == tmp_path / "shared"
    assert (tmp_path / "shared").read_text() == "#!/bin/sh\nexit 0\n"


def test_a_hook_that_somebody_changed_is_left_alone(repo: HookRepo) -> None:
    repo.install()
    hook = repo.path / ".git/hooks/pre-push"
    hook.write_text(hook.read_text() + "echo more\n")
    before = traces(repo)
    assert repo.states()["pre-push"] == "edited"
    with pytest.raises(RefusedError, match="changed by somebody"):
        repo.uninstall()
    with pytest.raises(RefusedError, match="changed by somebody"):
        repo.install("pre-push")
    assert traces(repo) == before


def test_hooks_of_another_version_are_replaced(repo: HookRepo) -> None:
    repo.install("pre-push", "diff")
    hook = repo.path / ".git/hooks/pre-push"
    hook.write_bytes(hook_text("pre-push", "/old/python", "/old/dver"))
    driver = repo.path / ".git/dver/git-driver"
    driver.write_bytes(driver_text("/old/python", "/old/dver"))
    assert owner(hook.read_bytes()) == "dver"
    assert repo.states("pre-push", "diff") == {"pre-push": "outdated", "diff": "outdated"}
    assert repo.install("pre-push", "diff").changed == ("pre-push", "diff")
    assert set(repo.states("pre-push", "diff").values()) == {"installed"}


# -- hook managers ----------------------------------------------------------------------------


def test_husky_is_told_what_to_add(repo: HookRepo) -> None:
    repo.git("config", "core.hooksPath", ".husky/_")
    # As husky 9 makes them: git's hook runs the file of the same name above.
    script(repo.path / ".husky/_/pre-commit", 'exec sh -e "$(dirname "$0")/../pre-commit" "$@"')
    before = repo.tree(), (repo.path / ".git/config").read_bytes()
    done = repo.install("pre-commit", "pre-push")
    assert (repo.tree(), (repo.path / ".git/config").read_bytes()) == before
    assert done.manager == "husky"
    assert [(one.path, one.line) for one in done.by_hand] == [
        (str(repo.path / ".husky" / name), f'dver hooks run {name} "$@"')
        for name in ("pre-commit", "pre-push")
    ]
    line = done.by_hand[0].line
    (repo.path / ".husky/pre-commit").write_text(f"{line}\n")
    assert repo.states("pre-commit") == {"pre-commit": "called"}
    repo.write("data.csv", "1")
    repo.add("data.csv")
    repo.git("add", "--force", "data.csv")
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    repo.git("add", "data.csv.dver")
    assert "stands for this data" in repo.run("commit", "-q", "-m", "no", code=1, PATH=path)


def test_a_directory_of_hooks_for_everybody_is_not_written_to(
    repo: HookRepo, tmp_path: Path
) -> None:
    (tmp_path / "everybody").mkdir()
    repo.git("config", "core.hooksPath", str(tmp_path / "everybody"))
    said = Dver(repo.path)("hooks", "install", code=1)
    assert list((tmp_path / "everybody").iterdir()) == []
    assert 'dver hooks run post-merge "$@"' in said.stderr
    assert "installed  merge" in said.stdout
    assert "to be added by hand" in Dver(repo.path)("hooks").stdout


def test_hooks_from_before_a_hook_manager_came_go_too(repo: HookRepo) -> None:
    repo.install("pre-push")
    repo.git("config", "core.hooksPath", ".githooks")
    assert repo.states("pre-push") == {"pre-push": "manual"}
    assert repo.uninstall("pre-push").changed == ("pre-push",)
    assert not (repo.path / ".git/hooks/pre-push").exists()


def test_a_hooks_path_inside_the_git_directory_is_gits_own(repo: HookRepo) -> None:
    repo.git("config", "core.hooksPath", str(repo.path / ".git/own hooks"))
    repo.install("pre-push")
    assert (repo.path / ".git/own hooks/pre-push").exists()
    repo.uninstall()
    assert not (repo.path / ".git/own hooks").exists()


# -- dver is gone -----------------------------------------------------------------------------


def without_dver(repo: HookRepo) -> dict[str, str]:
    """Make the hooks believe that dver is gone; return variables in which it is not on the PATH."""
    for path in [*(repo.path / ".git/hooks").iterdir(), repo.path / ".git/dver/git-driver"]:
        if (name := path.name) in HOOKS:
            path.write_bytes(hook_text(name, "/gone/python", "/gone/dver"))
        elif name == "git-driver":
            path.write_bytes(driver_text("/gone/python", "/gone/dver"))
    path_without = [d for d in os.environ["PATH"].split(os.pathsep) if not Path(d, "dver").exists()]
    return {"PATH": os.pathsep.join(path_without)}


def test_without_dver_git_goes_on(shared: HookRepo) -> None:
    shared.install()
    env = without_dver(shared)
    shared.write("a", "1")
    shared.add("a", stage=True)
    assert shared.run("commit", "-q", "-m", "one", **env) == ""
    assert "dver is gone" in shared.run("push", "-q", "origin", "main", **env)
    shared.run("switch", "-q", "-c", "side", "HEAD~1", **env)
    shared.write("a", "2")
    shared.add("a", stage=True)
    shared.run("commit", "-q", "-m", "two", **env)
    # Pointers are text for git again.
    shared.run("merge", "-q", "main", code=1, **env)
    assert "<<<<<<< ours" in (shared.path / "a.dver").read_text()
    assert "oid: blake3:" in shared.git("log", "-p", "main", env=env)


def test_dver_on_the_path_is_the_second_choice(shared: HookRepo, tmp_path: Path) -> None:
    shared.install("pre-push")
    without_dver(shared)
    script(tmp_path / "bin/dver", f'echo "$@" >"{tmp_path}/called"; cat >/dev/null')
    shared.version("one", a="1")
    path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
    shared.run("push", "-q", "origin", "main", PATH=path)
    assert (tmp_path / "called").read_text().startswith("hooks run pre-push -- origin ")


def test_what_lies_in_the_repository_is_not_run(shared: HookRepo) -> None:
    shared.install("pre-push")
    (shared.path / "dver").mkdir()
    (shared.path / "dver/__main__.py").write_text("open('owned', 'w')\n")
    (shared.path / "click.py").write_text("open('owned', 'w')\n")
    shared.version("one", a="1")
    shared.run("push", "-q", "origin", "main")
    assert not (shared.path / "owned").exists()
    assert (shared.path.parent / "nas/roots").is_dir()


@pytest.mark.parametrize("key", ["push", "checkout", "stale", "max_file_size"])
def test_no_committed_file_says_what_hooks_do(repo: HookRepo, key: str) -> None:
    repo.write(".dver/config.yaml", f"hooks:\n  {key}: 'off'\n")
    said = Dver(repo.path)("status", code=11).stderr
    assert f"hooks.{key} cannot be set for everybody through git" in said


def test_a_bare_repository_has_none(tmp_path: Path) -> None:
    bare = HookRepo(GitRepo.init(tmp_path / "bare", "--bare").path)
    with pytest.raises(RepositoryError, match="bare"):
        bare.install()


def test_quoting_survives_any_path(tmp_path: Path) -> None:
    place = tmp_path / "it's $HOME `x`\n"
    (place / "dver").mkdir(parents=True)
    (place / "dver/__main__.py").touch()
    script(place / "python", f'echo "$@" >"{tmp_path}/called"')
    hook = tmp_path / "post-merge"
    hook.write_bytes(hook_text("post-merge", str(place / "python"), str(place / "dver")))
    subprocess.run(["sh", hook, "1"], cwd=tmp_path, check=True)
    assert (tmp_path / "called").read_text() == "-P -m dver hooks run post-merge -- 1\n"
