"""Running a pipeline: each step once, in order, recorded; what stops it, and what may not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dver.base.oid import parse_oid
from dver.formats import record, recordpath
from tests.lineage.pipelines import CURRENT, Pipeline, pipe
from tests.support.gitrepo import GitRepo

__all__ = ["pipe"]


def test_everything_once_and_then_nothing(pipe: Pipeline) -> None:
    plan = pipe.repro("--dry-run")
    assert {name: one["action"] for name, one in plan.items()} == {
        "prepare": "run",
        "train": "pending",
        "other": "run",
    }
    assert plan["train"]["reasons"] == ["prepare comes first"]
    assert not (pipe.path / "clean").exists()
    result = pipe.result()
    assert [one["name"] for one in result["steps"]] == ["prepare", "train", "other"]
    assert {one["action"] for one in result["steps"]} == {"run"}
    assert (pipe.path / "model").read_text() == "6"
    value = pipe.record(result["steps"][1]["record"])
    assert value.step == "train"
    assert [(one.path, one.role, one.source) for one in value.inputs] == [
        ("clean", "train", "dver"),
        ("params.json", "config", "git"),
        ("step.py", "code", "git"),
    ]
    assert [(one.path, one.role, one.source) for one in value.outputs] == [
        ("model", "model", "dver")
    ]
    assert [(one.key, one.value) for one in value.params] == [("rate", "0.5")]
    assert "model.dver" in result["to_stage"]
    assert pipe.actions() == CURRENT
    pipe.git.git("add", *result["to_stage"])
    pipe.git.git("commit", "-qm", "made")
    assert pipe.actions() == CURRENT
    assert len(list((pipe.path / ".dver/records").rglob("*.json"))) == 3


def test_force_and_downstream(pipe: Pipeline) -> None:
    pipe.repro()
    assert pipe.actions("-f", "train") == {"prepare": "current", "train": "run"}
    assert pipe.actions("-n", "-f", "prepare", "--downstream") == {
        "prepare": "run",
        "train": "pending",
    }
    assert set(pipe.actions("--force").values()) == {"run"}
    assert pipe.repro("-n", "-f", "other")["other"]["reasons"] == ["forced"]


def test_a_failure_stops_what_needs_it(pipe: Pipeline) -> None:
    pipe.change("step.py clean/rows", "-c 'raise SystemExit(7)' step.py clean/rows")
    done = pipe.repro(code=7)
    assert {name: one["action"] for name, one in done.items()} == {
        "prepare": "failed", "train": "blocked", "other": "blocked",
    }  # fmt: skip
    assert done["prepare"]["exit"] == 7
    value = pipe.record(done["prepare"]["record"])
    assert value.run is not None
    assert value.run.exit == 7
    assert pipe.actions("--keep-going", code=7) == {
        "prepare": "failed", "train": "blocked", "other": "run",
    }  # fmt: skip
    assert pipe.actions("-n")["prepare"] == "run"
    shown = pipe.dver("repro", code=7)
    assert "failed     prepare with exit code 7, recorded as " in shown.stderr
    assert "not run    train: prepare did not end well" in shown.stdout


def test_a_step_that_does_not_make_its_output(pipe: Pipeline) -> None:
    pipe.change("step.py extra", "step.py extra2")
    pipe.change("outs: [extra]", "outs: [extra]  # it writes extra2")
    result = pipe.result("other", code=4)
    (found,) = result["steps"]
    assert found["action"] == "failed"
    assert "did not make all outputs" in found["problem"]
    # It is recorded all the same, and git is to know of that.
    (path,) = result["to_stage"]
    assert path == os.fsdecode(recordpath.path_of(parse_oid(found["record"])))


def test_at_the_same_time(pipe: Pipeline) -> None:
    """Two steps that need each other's sign of life can only end if both run at once."""
    script = (
        "import sys, time, pathlib as p\n"
        "mine, other = sys.argv[1:]\n"
        "p.Path('sign-' + mine).touch()\n"
        "end = time.monotonic() + 60\n"
        "while not p.Path('sign-' + other).exists():\n"
        "    assert time.monotonic() < end\n"
        "    time.sleep(0.01)\n"
        "print('met', other)\n"
        "p.Path('met-' + mine).write_text(other)\n"
    )
    pipe.write("meet.py", script)
    pipe.write(".gitignore", "/data\nsign-*\n")
    lines = [
        f"  {one}: {{command: {sys.executable} meet.py {one} {other}, outs: met-{one}}}\n"
        for one, other in (("ada", "bob"), ("bob", "ada"))
    ]
    command = f"{sys.executable} step.py sum step.txt"
    last = f"  end: {{command: {command}, deps: [met-ada, met-bob], outs: sum}}\n"
    pipe.write("dver.yaml", "steps:\n" + "".join(lines) + last)
    pipe.commit()
    done = pipe.dver("repro", "-j", "2", "--stage")
    assert "[ada] met bob\n" in done.stdout
    assert "[bob] met ada\n" in done.stdout
    assert pipe.actions() == {"ada": "current", "bob": "current", "end": "current"}
    staged = pipe.git.git("diff", "--cached", "--name-only").split()
    assert {"met-ada.dver", "met-bob.dver", "sum.dver", ".gitignore"} <= set(staged)
    for path in (pipe.path / ".dver/records").rglob("*.json"):
        value = record.decode(path.read_bytes())
        files = pipe.git.git("ls-tree", "-r", "--name-only", value.code.tree).split()
        assert "meet.py" in files
        assert not any(name.startswith(("met-", "sum")) for name in files)


def test_what_other_steps_make_is_no_code(pipe: Pipeline) -> None:
    pipe.change("outs: [extra]", "metrics: [extra]")
    pipe.write(".gitignore", "/data\n/clean\n/model\n")
    pipe.commit()
    found = pipe.repro()
    for one in found.values():
        code = pipe.record(one["record"]).code
        assert (code.dirty, code.left_out) == (False, ()), one["name"]


def test_frozen_steps_stay_as_they_are(pipe: Pipeline) -> None:
    pipe.repro()
    pipe.change("outs: [clean]", "outs: [clean]\n    frozen: true")
    pipe.change("1\n2\n3", "1\n2\n9", "data/rows.csv")
    assert pipe.actions() == {"prepare": "frozen", "train": "current", "other": "current"}
    shutil.rmtree(pipe.path / "clean")
    (pipe.path / "model").unlink()
    error = pipe.error("--force", code=6)
    assert "needs clean" in error["message"]


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("deps: [step.txt]", "deps: [gone]", 4, "'other' needs gone, which does not exist"),
        ("deps: [step.txt]", "deps: [step.txt]\n    params: gone.json", 4, "no file gone.json"),
        ("params.json: rate", "params.json: rat", 4, "no parameter 'rat'"),
        (f"{sys.executable} step.py extra", "no-such-program", 4, "no program no-such-program"),
        ("outs: [extra]", "outs: [extra]\n    cwd: nowhere", 4, "no directory nowhere"),
        ("outs: [extra]", "outs: [clean]", 7, "clean is made by 'prepare' (line 2) as well"),
        (
            "deps: [data]",
            "deps: [data, model]",
            7,
            "in a circle: prepare needs train needs prepare",
        ),
        ("outs: [extra]", "out: [extra]", 7, "unknown key 'out'"),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(
    pipe: Pipeline, old: str, new: str, code: int, words: str
) -> None:
    pipe.change(old, new)
    assert words in pipe.error(code=code)["message"]
    assert not (pipe.path / "clean").exists()


def test_no_pipeline_and_no_such_step(pipe: Pipeline) -> None:
    assert pipe.error("trian", code=4)["hint"] == "did you mean 'train'?"
    (pipe.path / "dver.yaml").unlink()
    assert "no dver.yaml" in pipe.error(code=4)["message"]


def test_a_fresh_clone_needs_no_data_to_know(
    pipe: Pipeline, tmp_path: Path, git_repo: GitRepo
) -> None:
    pipe.dver("remote", "add", "origin", str(tmp_path / "remote"))
    pipe.repro()
    pipe.commit("made")
    pipe.dver("push", "-q")
    clone = tmp_path / "clone"
    git_repo.git("clone", "-q", str(pipe.path), str(clone))
    assert {
        one["name"]: one["action"]
        for one in pipe.dver("repro", "--json", cwd=clone).result["steps"]
    } == CURRENT
    assert not (clone / "data").exists()
    (clone / "params.json").write_text('{"rate": 1.0}')
    error = pipe.dver("repro", "--json", "train", cwd=clone, code=6).json["error"]
    assert error["message"] == "the step 'train' needs clean, which is not here"
    assert "--pull" in error["hint"]
    done = pipe.dver("repro", "--json", "--pull", "train", cwd=clone).result
    assert [one["action"] for one in done["steps"]] == ["current", "run"]
    assert (clone / "model").read_text() == "12"
    assert not (clone / "data").exists()


def test_from_a_sub_directory_and_with_a_cwd(pipe: Pipeline) -> None:
    pipe.write(
        "sub/here.py", "import os, sys; open(sys.argv[1], 'w').write(os.path.basename(os.getcwd()))"
    )
    pipe.write(
        "dver.yaml",
        "steps:\n  a:\n    cwd: sub\n    outs: out/x\n"
        f"    command: {sys.executable} here.py ../out/x\n",
    )
    done = pipe.dver("repro", "--json", cwd=pipe.path / "sub").result
    assert done["steps"][0]["outputs"] == ["../out/x"]
    assert (pipe.path / "out/x").read_text() == "sub"
    value = pipe.record(done["steps"][0]["record"])
    assert value.command is not None
    assert (value.command.cwd, [one.path for one in value.inputs]) == ("sub", ["sub/here.py"])
    assert all((pipe.path / "sub" / path).exists() for path in done["to_stage"])
    assert pipe.dver("repro", "--json", cwd=pipe.path).result["steps"][0]["action"] == "current"


def test_code_in_a_directory_without_what_python_compiles(pipe: Pipeline) -> None:
    pipe.write("lib/helper.py", "VALUE = 3")
    pipe.write("use.py", "from lib.helper import VALUE; open('used', 'w').write(str(VALUE))")
    pipe.write(
        "dver.yaml",
        f"steps: {{a: {{command: {sys.executable} use.py, deps: [lib], outs: [used]}}}}",
    )
    env = {"PYTHONDONTWRITEBYTECODE": ""}
    pipe.dver("repro", "-q", env=env)
    assert (pipe.path / "lib/__pycache__").exists()
    assert pipe.actions() == {"a": "current"}
    pipe.write("lib/helper.py", "VALUE = 4")
    assert pipe.actions() == {"a": "run"}


def test_a_matrix_with_odd_values(pipe: Pipeline) -> None:
    pipe.write(
        "dver.yaml",
        "steps:\n  a:\n    matrix: {name: ['x y', 'ü;', '$(id)']}\n    shell: true\n"
        "    command: cat step.txt > out-${name}\n    outs: out-${name}\n",
    )
    assert set(pipe.actions("a").values()) == {"run"}
    assert {"out-x y", "out-ü;", "out-$(id)"} <= set(os.listdir(pipe.path))
    assert pipe.actions("a@name=x y") == {"a@name=x y": "current"}


def test_strict_and_message(pipe: Pipeline) -> None:
    pipe.write(".gitignore", "/data\nhidden\n")
    pipe.write("hidden", "1")
    pipe.change("import json, sys", "import json, sys; open('hidden').read()", "step.py")
    found = pipe.repro("--strict", "--message", "why not", "other", code=5)["other"]
    assert "not declared" in found["problem"]
    found = pipe.repro("--message", "why not", "-f", "other")["other"]
    assert pipe.record(found["record"]).reason == "why not"


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop(pipe: Pipeline, jobs: str, told: signal.Signals) -> None:
    script = "import pathlib, time; pathlib.Path('ready').touch(); time.sleep(60)"
    pipe.write("slow.py", script)
    pipe.change("step.py clean/rows", "slow.py")
    process = subprocess.Popen(
        [sys.executable, "-m", "dver", "repro", "-j", jobs, "prepare", "train"],
        cwd=pipe.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    for _ in range(600):
        if (pipe.path / "ready").exists():
            break
        time.sleep(0.05)
    if told == signal.SIGINT:
        os.killpg(process.pid, told)  # as a terminal does
    else:
        process.send_signal(told)
    out, err = process.communicate(timeout=60)
    assert process.returncode in (130, 143), (out, err)
    assert b"dver/" not in err
    (path,) = (pipe.path / ".dver/records").rglob("*.json")
    value = record.decode(path.read_bytes())
    assert value.run is not None
    assert value.run.exit != 0
    assert not (pipe.path / "model").exists()


def test_a_directory_of_another_repository(pipe: Pipeline) -> None:
    (pipe.path / "inner").mkdir()
    pipe.git.git("init", "-q", "inner")
    pipe.change("outs: [extra]", "outs: [extra]\n    cwd: inner")
    problem = pipe.repro("other", code=5)["other"]["problem"]
    assert "belongs to another repository" in problem
