"""``dver doctor``."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo


def checks(dver: Dver, *args: str, code: int = 0, **options: Any) -> dict[tuple[str, str], Any]:
    found = dver("doctor", "--json", *args, code=code, **options).result["checks"]
    return {(check["section"], check["name"]): check for check in found}


def test_a_healthy_set_up(dver: Dver) -> None:
    dver("remote", "add", "nas", "../nas", "-q")
    found = checks(dver)
    assert found["repository", "dver"]["value"] == "set up"
    assert found["store", "path"]["value"] == str(dver.cwd / ".git" / "dver")
    assert found["store", "link modes"]["value"].startswith("copy")
    assert found["remotes", "nas"]["state"] == "note"
    assert {"blake3", "click", "xxhash", "git", "python", "dver"} <= {
        name for section, name in found if section == "versions"
    }
    text = dver("doctor").stdout
    assert text.startswith("versions\n")
    assert text.endswith("\nno problems\n")
    assert "\nstore\n" in text
    assert re.search(r"\n[ !] free space +[0-9.]+ [KMGTP]iB\n", text)
    assert found["store", "free space"]["size"] > 1024
    assert "file://" not in text


def test_problems_have_hints_and_an_exit_code(dver: Dver) -> None:
    dver("config", "set", "core.link", "reflink", "-q")
    dver("config", "set", "core.remote", "gone", "-q")
    found = checks(dver, "--offline", code=1)
    assert ("remotes", "core.remote") not in found
    found = checks(dver, code=1)
    assert found["remotes", "core.remote"] == {
        "section": "remotes",
        "name": "core.remote",
        "value": "gone: no such remote",
        "state": "problem",
        "hint": "dver remote default NAME",
        "size": None,
    }
    last = dver("doctor", code=1).stdout.splitlines()[-1]
    assert last.endswith(("1 problem", "2 problems"))


def test_a_broken_configuration_is_a_problem_and_no_crash(dver: Dver) -> None:
    (dver.cwd / ".dver" / "config.yaml").write_text("core:\n  jobs: many\n")
    found = checks(dver, code=1)
    assert found["settings", "configuration"]["state"] == "problem"
    assert ".dver/config.yaml" in found["settings", "configuration"]["value"]


def test_outside_a_repository(outside: Dver) -> None:
    found = checks(outside)
    assert found["repository", "git repository"]["value"] == "none here"


def test_where_dver_is_not_set_up(git_repo: GitRepo) -> None:
    found = checks(Dver(git_repo.path), code=1)
    assert found["repository", "dver"]["hint"] == "dver init"
    assert found["store", "state"]["value"] == "not made yet"
    assert not (git_repo.path / ".git" / "dver").exists()


def test_an_old_git_is_a_problem(dver: Dver, tmp_path: Path) -> None:
    real = next(
        os.path.join(directory, "git")
        for directory in os.environ["PATH"].split(os.pathsep)
        if os.access(os.path.join(directory, "git"), os.X_OK)
    )
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "git version 2.17.1" && exit\nexec {real} "$@"\n'
    )
    fake.chmod(0o755)
    found = checks(dver, code=1, env={"PATH": f"{fake.parent}{os.pathsep}{os.environ['PATH']}"})
    assert found["versions", "git"] == {
        "section": "versions",
        "name": "git",
        "value": "2.17.1",
        "state": "problem",
        "hint": "dver needs git 2.25 or newer",
        "size": None,
    }


def test_the_report_can_be_pasted_in_public(tmp_path: Path) -> None:
    home = tmp_path / "home"
    repo = GitRepo.init(home / "projects" / "fraud")
    dver = Dver(repo.path)
    env = {
        "HOME": str(home),
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
        "DVER_CORE_JOBS": "7",
    }
    dver("init", "-q", env=env)
    text = dver("doctor", env=env).stdout
    assert "wJalrXUtnFEMI" not in text
    assert str(home) not in text
    assert "~/projects/fraud" in text
    assert "AWS_SECRET_ACCESS_KEY, " in text
    assert ", DVER_CORE_JOBS" in text
