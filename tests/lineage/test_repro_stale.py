"""What makes a step of a pipeline stale, and outputs that are put back or taken over, not made."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dver.base.oid import oid_of, parse_oid
from dver.formats import record, recordpath
from tests.lineage.pipelines import CURRENT, Pipeline, pipe

__all__ = ["pipe"]


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
