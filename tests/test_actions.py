"""The GitHub actions and the GitLab template: their steps run in bash, as on a runner."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo

ROOT = Path(__file__).parent.parent
ACTIONS = {path.parent.name: path for path in (ROOT / ".github/actions").glob("*/action.yml")}
GITLAB = ROOT / ".gitlab" / "dver.gitlab-ci.yml"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def step(action: str, name: str) -> str:
    """Return the script of a step."""
    (found,) = [one for one in load(ACTIONS[action])["runs"]["steps"] if one["name"] == name]
    script = found["run"]
    assert isinstance(script, str)
    return script


class Runner:
    """A machine that runs steps in a repository with one tracked directory and a remote."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.repo = GitRepo.init(base / "origin")
        dver = Dver(self.repo.path)
        dver("init", "-q")
        dver("remote", "add", "origin", str(base / "remote"), "-q")
        self.repo.write("data/a b.csv", "one")
        self.repo.write("model.bin", "m")
        dver("add", "-q", "data", "model.bin")
        self.repo.commit("one")
        self.base_commit = self.repo.git("rev-parse", "HEAD").strip()
        self.repo.write("data/a b.csv", "changed")
        dver("add", "-q", "data")
        self.repo.commit("two")
        dver("push", "-q", "--all")
        url = f"file://{self.repo.path}"
        self.clone = GitRepo.clone(url, base / "clone", "--depth=1", "-q")
        self.clone.git("fetch", "-q")
        (base / "bin").mkdir()
        self.program("dver", f'exec "{sys.executable}" -m dver.cli.main "$@"')
        self.program("python", f'printf "%s\\n" "$@" > "{base}/pip"')
        for name in ("output", "summary"):
            (base / name).touch()

    def program(self, name: str, line: str) -> None:
        path = self.base / "bin" / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def run(self, script: str, env: Mapping[str, str], *, code: int = 0) -> str:
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.clone.path,
            env={
                **os.environ,
                "PATH": f"{self.base}/bin:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "GITHUB_OUTPUT": str(self.base / "output"),
                "GITHUB_STEP_SUMMARY": str(self.base / "summary"),
                "RUNNER_TEMP": str(self.base),
                **env,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == code, done.stdout.decode()
        return done.stdout.decode()

    def outputs(self) -> dict[str, str]:
        lines = (self.base / "output").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.mark.parametrize("name", ACTIONS)
def test_actions_are_well_formed(name: str) -> None:
    action = load(ACTIONS[name])
    assert set(action) == {"name", "description", "inputs", "outputs", "runs"}
    assert action["runs"]["using"] == "composite"
    for one in [*action["inputs"].values(), *action["outputs"].values()]:
        assert one["description"][0].isupper()
        assert not one["description"].endswith(".")
    for one in action["inputs"].values():
        assert isinstance(one["default"], str)
    text = ACTIONS[name].read_text()
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(action["inputs"])
    steps = action["runs"]["steps"]
    ids = {one["id"] for one in steps if "id" in one}
    assert set(re.findall(r"steps\.(\w+)\.", text)) <= ids
    for one in steps:
        assert ("run" in one) != ("uses" in one)
        if "run" in one:
            assert one["shell"] == "bash"
            # What others chose must not become part of a script.
            assert "${{" not in one["run"]


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=str)
def test_workflows_are_well_formed(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        for one in job["steps"]:
            assert ("run" in one) != ("uses" in one)
            if one.get("uses", "").startswith("./"):
                inputs = load(ROOT / one["uses"] / "action.yml")["inputs"]
                assert set(one.get("with", {})) <= set(inputs)


def test_setup_installs_finds_the_store_and_pulls(runner: Runner) -> None:
    runner.run(step("setup", "Install dver"), {"INSTALL": "dver[sign]", "VERSION": "1.2"})
    words = (runner.base / "pip").read_text().split()
    assert words[:3] == ["-m", "pip", "install"]
    assert words[-1] == "dver[sign]==1.2"
    runner.run(step("setup", "Install dver"), {"INSTALL": "dver", "VERSION": ""})
    assert (runner.base / "pip").read_text().split()[-1] == "dver"

    runner.run(step("setup", "Find the local store"), {})
    assert runner.outputs()["path"] == str(runner.clone.path / ".git/dver")
    key = runner.outputs()["key"]
    assert re.fullmatch("[0-9a-f]{40}", key)

    runner.run(step("setup", "Pull"), {"PULL": "data/a b.csv\n\n", "REMOTE": "origin"})
    assert (runner.clone.path / "data/a b.csv").read_text() == "changed"
    assert not (runner.clone.path / "model.bin").exists()
    runner.run(step("setup", "Pull"), {"PULL": "true", "REMOTE": ""})
    assert (runner.clone.path / "model.bin").read_text() == "m"
    runner.run(step("setup", "Pull"), {"PULL": "nothing-of-the-kind", "REMOTE": ""}, code=4)

    # The key follows from the pointers alone.
    runner.clone.write("notes.txt", "x")
    runner.clone.commit("notes")
    runner.run(step("setup", "Find the local store"), {})
    assert runner.outputs()["key"] == key
    runner.clone.git("rm", "-q", "model.bin.dver")
    runner.run(step("setup", "Find the local store"), {})
    assert runner.outputs()["key"] != key


def report(runner: Runner, base: str, **env: str) -> str:
    given = {"BASE": base, "REVISION": "HEAD", "PATHS": "", "REMOTE": "", "COMMENT_FILE": ""}
    code = int(env.pop("code", "0"))
    return runner.run(step("report", "Report"), {**given, **env}, code=code)


def test_report_writes_summary_and_comment(runner: Runner) -> None:
    comment = runner.base / "comment.md"
    report(runner, runner.base_commit, COMMENT_FILE=str(comment))
    summary = (runner.base / "summary").read_text()
    assert "| `data` | modified | 7 B (+4 B) | 1 modified |" in summary
    assert "| `data/a b.csv` | modified | 7 B (+4 B) |" in summary
    assert comment.read_text() == "<!-- dver report -->\n" + summary
    assert runner.outputs() == {"changed": "true", "file": str(runner.base / "dver-report.md")}
    assert (runner.base / "dver-report.md").read_text() == summary


def test_report_of_nothing(runner: Runner) -> None:
    report(runner, "HEAD")
    assert runner.outputs()["changed"] == "false"
    assert "No tracked data" in (runner.base / "summary").read_text()
    for nothing in ("", "0" * 40):
        assert report(runner, nothing).startswith("::notice::")


def test_report_takes_branches_and_paths_and_passes_failures_on(runner: Runner) -> None:
    runner.repo.git("branch", "feature", runner.base_commit)
    report(runner, "feature", PATHS="model.bin\n")
    assert runner.outputs()["changed"] == "false"
    report(runner, "feature", PATHS="data\nmodel.bin\n")
    assert runner.outputs()["changed"] == "true"
    assert "no such revision: 'nope'" in report(runner, "HEAD", REVISION="nope", code="4")
    report(runner, "no-such-branch", code="128")


def test_a_comment_is_no_longer_than_a_host_takes(runner: Runner) -> None:
    runner.program(
        "dver",
        'i=0; while [ $i -lt 2000 ]; do echo "| `row $i` ' + "x" * 80 + '"; i=$((i+1)); done',
    )
    comment = runner.base / "comment.md"
    report(runner, "HEAD", COMMENT_FILE=str(comment))
    assert 50_000 < comment.stat().st_size < 60_000
    assert comment.read_text().endswith("\n... the rest is in the summary of the job\n")


def test_the_gitlab_template(runner: Runner) -> None:
    template = load(GITLAB)
    assert set(template) == {".dver", ".dver-report"}
    job, merge = template[".dver"], template[".dver-report"]
    assert merge["extends"] == ".dver"
    store = job["variables"]["DVER_STORE_PATH"].replace("$CI_PROJECT_DIR", str(runner.clone.path))
    cached = {path.removeprefix(".dver-store/") for path in job["cache"]["paths"]}
    before = "\n".join(job["before_script"])
    env = {"DVER_INSTALL": "dver", "DVER_PULL": "data", "DVER_STORE_PATH": store}
    runner.run(before, env)
    assert (runner.clone.path / "data/a b.csv").read_text() == "changed"
    assert {"packs", "index", "format.json"} == cached <= set(os.listdir(store))

    runner.clone.git("fetch", "-q", "--unshallow")
    runner.program("curl", f'printf "%s\\n" "$@" > "{runner.base}/curl"')
    env |= {
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": runner.base_commit,
        "DVER_REPORT_TOKEN": "secret",
        "CI_API_V4_URL": "https://gitlab.example.org/api/v4",
        "CI_PROJECT_ID": "7",
        "CI_MERGE_REQUEST_IID": "3",
    }
    shown = runner.run("\n".join(merge["script"]), env)
    assert "| `data` | modified |" in shown
    assert "secret" not in shown
    assert (runner.base / "curl").read_text().endswith("/projects/7/merge_requests/3/notes\n")
