"""Running a pipeline: what is stale, in order, each step recorded."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dver.base.oid import oid_of, parse_oid
from dver.formats import record, recordpath
from dver.formats.record import Record
from tests.lineage.conftest import Project, Templates
from tests.support.cli import Done
from tests.support.gitrepo import GitRepo

STEP = """\
import json, sys
from pathlib import Path

out, *ins = sys.argv[1:]
total = sum(sum(map(int, Path(one).read_text().split())) for one in ins)
rate = json.loads(Path("params.json").read_text())["rate"]
print(out, "of", *ins)
Path(out).parent.mkdir(parents=True, exist_ok=True)
Path(out).write_text(str(int(total * rate * 2)))
"""
PIPELINE = f"""\
steps:
  prepare:
    command: {sys.executable} step.py clean/rows data/rows.csv
    deps: [data]
    outs: [clean]
  train:
    command: {sys.executable} step.py model clean/rows
    deps:
      clean: train
    params:
      params.json: rate
    outs:
      model: model
  other:
    command: {sys.executable} step.py extra step.txt
    deps: [step.txt]
    outs: [extra]
"""


class Pipeline(Project):
    """A project with a pipeline of three steps, one of which needs another."""

    def prepare(self) -> None:
        super().prepare()
        self.write("step.py", STEP)
        self.write("step.txt", "7\n")
        self.write("dver.yaml", PIPELINE)
        self.commit("pipeline")

    def repro(self, *args: str, code: int = 0) -> dict[str, Any]:
        """Run ``dver repro --json``; return each step by name."""
        return {one["name"]: one for one in self.result(*args, code=code)["steps"]}

    def result(self, *args: str, code: int = 0) -> Any:
        """Run ``dver repro --json``; return its result."""
        return self.dver("repro", "--json", *args, code=code).json["result"]

    def actions(self, *args: str, code: int = 0) -> dict[str, str]:
        """Return what became of each step."""
        return {name: one["action"] for name, one in self.repro(*args, code=code).items()}

    def error(self, *args: str, code: int) -> Any:
        """Return the error that stops a pipeline before anything runs."""
        before = set((self.path / ".dver").rglob("*.json"))
        found = self.dver("repro", "--json", *args, code=code).json["error"]
        assert set((self.path / ".dver").rglob("*.json")) == before
        return found

    def record(self, record_id: str) -> Record:
        """Return a record by its id."""
        path = self.path / os.fsdecode(recordpath.path_of(parse_oid(record_id)))
        return record.decode(path.read_bytes(), oid_of(path.read_bytes()))

    def change(self, old: str, new: str, name: str = "dver.yaml") -> None:
        """Replace a text in a file."""
        text = (self.path / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))


@pytest.fixture
def pipe(git_repo: GitRepo, templates: Templates) -> Iterator[Pipeline]:
    with templates.filled(Pipeline(git_repo)) as project:
        yield project


CURRENT = {"prepare": "current", "train": "current", "other": "current"}


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


@pytest.mark.parametrize(
    ("change", "name", "reason", "step"),
    [
        (("1\n2\n3", "1\n2\n9"), "data/rows.csv", "input data changed from ", "prepare"),
        (('"rate": 0.5', '"rate": 1.0'), "params.json", "parameter rate changed from 0.5 to 1.0",
         "train"),
        (("print(out", "print('now', out"), "step.py", "input step.py changed from ", "other"),
        (("extra step.txt", "extra ./step.txt"), "dver.yaml", "the command changed", "other"),
        (("deps: [step.txt]", "deps: [step.txt, params.json]"), "dver.yaml",
         "input params.json is new", "other"),
        (("params.json: rate", "params.json:"), "dver.yaml", "parameter opt.name is new", "train"),
        (("      clean: train", "      clean/rows: train"), "dver.yaml",
         "input clean is not one any more", "train"),
        (("params:\n      params.json: rate", "locks: [step.txt]"), "dver.yaml",
         "lock file step.txt is new", "train"),
        (("params:\n      params.json: rate", "locks: [step.txt]"), "dver.yaml",
         "parameter rate is gone", "train"),
        (("outs: [extra]", "outs: [extra, step.log]"), "dver.yaml", "output step.log is missing",
         "other"),
    ],
)  # fmt: skip
def test_why_a_step_is_stale(
    pipe: Pipeline, change: tuple[str, str], name: str, reason: str, step: str
) -> None:
    pipe.repro()
    pipe.change(*change, name=name)
    found = pipe.repro("--explain")[step]
    assert found["action"] == "run"
    assert any(text.startswith(reason) for text in found["reasons"]), found["reasons"]


def test_an_output_that_is_no_output_any_more(pipe: Pipeline) -> None:
    pipe.change("outs: [extra]", "outs: [extra, params.copy]")
    pipe.change("import json, sys", "import json, sys; open('params.copy', 'w').close()", "step.py")
    pipe.repro()
    pipe.change("outs: [extra, params.copy]", "outs: [extra]")
    reasons = pipe.repro("-n")["other"]["reasons"]
    assert reasons == ["params.copy is not an output any more"]


def test_content_decides_and_not_times(pipe: Pipeline) -> None:
    pipe.repro()
    for name in ("data/rows.csv", "step.py", "params.json", "model", "dver.yaml"):
        os.utime(pipe.path / name, (0, 0))
    pipe.change('"name": "sgd"', '"name": "adam"', "params.json")  # no step takes this key
    assert pipe.actions() == CURRENT


def test_equal_outputs_stop_the_way_down(pipe: Pipeline) -> None:
    pipe.repro()
    pipe.change("1\n2\n3", "3\n2\n1", "data/rows.csv")
    assert pipe.actions("-n")["train"] == "pending"
    assert pipe.actions() == {"prepare": "run", "train": "current", "other": "current"}


@pytest.mark.parametrize("how", ["missing", "changed"])
def test_an_output_is_put_back_without_running(pipe: Pipeline, how: str) -> None:
    first = pipe.repro()["train"]["record"]
    if how == "missing":
        (pipe.path / "model").unlink()
        shutil.rmtree(pipe.path / "clean")
    else:
        pipe.write("model", "mine")
        pipe.write("clean/rows", "mine as well")
        pipe.write("clean/more", "and more")
    pipe.write("step.txt", "7\n")
    done = pipe.dver("repro", "--json")
    found = {one["name"]: one for one in done.json["result"]["steps"]}
    assert {name: one["action"] for name, one in found.items()} == {
        "prepare": "restore",
        "train": "restore",
        "other": "current",
    }
    assert found["train"]["donor"] == first
    assert (
        f"output model {'is missing' if how == 'missing' else 'changed from'}"
        in (found["train"]["reasons"][0])
    )
    assert (pipe.path / "model").read_text() == "6"
    assert sorted(os.listdir(pipe.path / "clean")) == ["rows"]
    assert pipe.dver("status", "--json", "model", "clean").result["targets"][0]["data_state"] == (
        "unchanged"
    )
    if how == "changed":
        (told,) = [line for line in done.stderr.splitlines() if "what model held" in line]
        oid = told.partition("blake3:")[2][:64]
        assert oid == oid_of(b"mine").hex()
    assert pipe.actions() == CURRENT


def test_a_file_that_nobody_tracks_is_put_back_too(pipe: Pipeline) -> None:
    pipe.change("outs: [extra]", "metrics: [extra]")
    pipe.repro()
    (pipe.path / "extra").unlink()
    assert pipe.actions()["other"] == "restore"
    assert (pipe.path / "extra").read_text() == "7"


def test_outputs_of_another_branch_are_taken_over(pipe: Pipeline) -> None:
    pipe.repro()
    pipe.commit("half")
    pipe.git.git("checkout", "-qb", "double")
    pipe.change('"rate": 0.5', '"rate": 1.0', "params.json")
    double = pipe.repro()["train"]["record"]
    pipe.commit("double")
    pipe.git.git("checkout", "-q", "main")
    pipe.dver("checkout", "-q")
    pipe.change('"rate": 0.5', '"rate": 1.0', "params.json")
    assert pipe.repro("-n")["train"]["action"] == "reuse"
    found = pipe.repro()
    assert {name: one["action"] for name, one in found.items()} == {
        "prepare": "current", "train": "reuse", "other": "current",
    }  # fmt: skip
    assert found["train"]["donor"] == double
    value = pipe.record(found["train"]["record"])
    assert [(one.id, one.why) for one in value.parents] == [(double, "reuses")]
    assert value.run is None
    path = os.fsdecode(recordpath.path_of(parse_oid(double)))
    data = pipe.git.git("show", f"double:{path}").encode() + b"\n"
    assert value.outputs == record.decode(data, parse_oid(double)).outputs
    assert value.code.commit == pipe.git.git("rev-parse", "main")
    assert (pipe.path / "model").read_text() == "12"
    assert pipe.actions() == CURRENT
    graph = pipe.dver("reproduce", "--json", "model").json["result"]
    assert graph["grade"] == "exact"


@pytest.mark.parametrize("what", ["environment", "no-reuse", "uncontrolled", "undeclared"])
def test_what_keeps_outputs_from_being_taken_over(
    pipe: Pipeline, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    if what == "undeclared":
        pipe.write(".gitignore", "/data\nhidden\n")
        pipe.write("hidden", "1")
        pipe.change("import json, sys", "import json, sys; open('hidden').read()", "step.py")
    if what == "uncontrolled":
        pipe.change("outs:\n      model: model", "outs: [model]\n    uncontrolled: the weather")
    pipe.repro()
    pipe.change('"rate": 0.5', '"rate": 1.0', "params.json")
    pipe.repro()
    pipe.change('"rate": 1.0', '"rate": 0.5', "params.json")
    if what == "environment":
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
    args = ("--no-reuse",) if what == "no-reuse" else ()
    assert pipe.actions("-n", *args)["train"] == "run"
    assert pipe.actions(*args)["train"] == "run"


def test_back_to_earlier_parameters_takes_what_was_made_then(pipe: Pipeline) -> None:
    first = pipe.repro()["train"]["record"]
    pipe.change('"rate": 0.5', '"rate": 1.0', "params.json")
    pipe.repro()
    pipe.change('"rate": 1.0', '"rate": 0.5', "params.json")
    text = pipe.dver("repro", "--dry-run").stdout
    assert (
        f"reuse      train: parameter rate changed from 1.0 to 0.5; the run {first[:10]} " in text
    )
    assert pipe.repro()["train"]["donor"] == first
    assert (pipe.path / "model").read_text() == "6"


def test_what_the_store_lost_comes_from_the_remote_or_is_made_again(
    pipe: Pipeline, tmp_path: Path
) -> None:
    pipe.dver("remote", "add", "origin", str(tmp_path / "remote"))
    pipe.repro()
    pipe.commit("made")
    pipe.dver("push", "-q")

    def lose() -> None:
        for name in ("packs", "index", "links"):
            shutil.rmtree(pipe.path / ".git/dver" / name, ignore_errors=True)
        (pipe.path / "model").unlink()

    lose()
    assert pipe.actions()["train"] == "restore"
    assert (pipe.path / "model").read_text() == "6"
    shutil.rmtree(tmp_path / "remote")
    pipe.dver("remote", "remove", "origin")
    lose()
    assert pipe.actions()["train"] == "run"
    assert (pipe.path / "model").read_text() == "6"


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


def test_dag(pipe: Pipeline) -> None:
    tree = pipe.dver("dag").stdout
    assert [line.partition(":")[0] for line in tree.splitlines()] == [
        "prepare",
        "└─ train",
        "other",
    ]
    mermaid = pipe.dver("dag", "--format", "mermaid", "train").stdout
    assert mermaid == 'flowchart LR\n  s0["prepare"]\n  s1["train"]\n  s0 --> s1\n'
    dot = pipe.dver("dag", "--format", "dot").stdout
    assert '"prepare" -> "train";' in dot
    found = pipe.dver("dag", "--json").result["steps"]
    assert [one["after"] for one in found] == [[], ["prepare"], []]
    assert found[1]["inputs"] == ["clean", "params.json", "step.py"]
    pipe.change("extra step.txt", "extra model clean/rows")
    tree = pipe.dver("dag").stdout
    assert [line.partition(":")[0] for line in tree.splitlines()] == [
        "prepare",
        "├─ train",
        "│  └─ other",
        "└─ other (above)",
    ]


def tells(done: Done) -> list[str]:
    return [one for one in done.stdout.splitlines() if one]


def test_text_for_people(pipe: Pipeline) -> None:
    lines = tells(pipe.dver("repro"))
    assert lines[0] == "run        prepare: no run of it is recorded on this branch"
    assert lines[1] == "clean/rows of data/rows.csv"
    assert lines[2].startswith("recorded   prepare as ")
    assert lines[-1].startswith("to stage ")
    assert tells(pipe.dver("repro")) == [
        "up to date prepare", "up to date train", "up to date other",
    ]  # fmt: skip
    assert pipe.dver("repro", "-q").stdout == ""
    assert json.loads(pipe.dver("repro", "--json").stdout)["ok"]


def test_status_names_stale_steps(pipe: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe.repro()
    assert pipe.dver("status", "--json").result["pipeline"] == {
        "steps": 3, "stale": [], "problem": None,
    }  # fmt: skip
    assert "Steps" not in pipe.dver("status").stdout
    pipe.change('"rate": 0.5', '"rate": 1.0', "params.json")
    (stale,) = pipe.dver("status", "--json").result["pipeline"]["stale"]
    assert stale == {"name": "train", "reasons": ["parameter rate changed from 0.5 to 1.0"]}
    assert "train: parameter rate changed from 0.5 to 1.0" in pipe.dver("status").stdout
    assert pipe.dver("status", "--porcelain").stdout.count("train") == 0
    monkeypatch.setattr("dver.ops.making.stalesteps._MOST_BYTES", 3)
    pipe.write("data/rows.csv", "4\n4\n4\n")
    assert "much data changed" in pipe.dver("status").stdout
    pipe.change("steps:", "stages:")
    assert "unknown key 'stages'" in pipe.dver("status").stdout
    (pipe.path / "dver.yaml").unlink()
    assert pipe.dver("status", "--json").result["pipeline"] is None


def test_a_status_without_a_pipeline_loads_nothing_for_it(project: Project) -> None:
    code = (
        "import sys; from dver.cli.main import main; main(['status']);"
        "print([one for one in sys.modules if one in ('yaml', 'sqlite3', 'dver.lineage.pipeline')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project.path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout


def test_an_earlier_state_is_up_to_date_again(pipe: Pipeline) -> None:
    pipe.repro()
    pipe.commit("half")
    pipe.change('"rate": 0.5', '"rate": 1.0', "params.json")
    pipe.repro()
    pipe.commit("double")
    pipe.git.git("checkout", "-q", "HEAD~", "--", "params.json", "model.dver")
    pipe.dver("checkout", "-q")
    assert (pipe.path / "model").read_text() == "6"
    assert pipe.actions() == CURRENT


def test_what_was_read_and_not_declared_is_told(pipe: Pipeline) -> None:
    pipe.write(".gitignore", "/data\nhidden\n")
    pipe.write("hidden", "1")
    pipe.change("import json, sys", "import json, sys; open('hidden').read()", "step.py")
    assert "warning: other: undeclared read: hidden\n" in pipe.dver("repro", "other").stderr
    assert pipe.repro("-f", "other")["other"]["reads"] == ["hidden"]


def test_metrics_are_told(pipe: Pipeline) -> None:
    pipe.change("outs: [extra]", "metrics: [m.json]")
    pipe.change("step.py extra", "step.py m.json")
    script = "Path(out).write_text(json.dumps({'auc': total}))"
    pipe.change("Path(out).write_text(str(int(total * rate * 2)))", script, "step.py")
    assert "auc=7" in pipe.dver("repro", "other").stdout
    assert pipe.repro("-f", "other")["other"]["metrics"] == {"auc": "7"}


def test_a_directory_of_another_repository(pipe: Pipeline) -> None:
    (pipe.path / "inner").mkdir()
    pipe.git.git("init", "-q", "inner")
    pipe.change("outs: [extra]", "outs: [extra]\n    cwd: inner")
    problem = pipe.repro("other", code=5)["other"]["problem"]
    assert "belongs to another repository" in problem


def test_a_long_chain_is_drawn_and_planned(pipe: Pipeline) -> None:
    count = 1500
    steps = [f"  s{n}: {{command: [true], deps: [o{n}], outs: [o{n + 1}]}}\n" for n in range(count)]
    pipe.write("dver.yaml", "steps:\n" + "".join(steps))
    pipe.write("o0", "")
    lines = pipe.dver("dag").stdout.splitlines()
    assert len(lines) == count
    assert lines[-1].endswith(f"s{count - 1}: true -> o{count}")
    actions = list(pipe.actions("-n").values())
    assert actions == ["run", *["pending"] * (count - 1)]
