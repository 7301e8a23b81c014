"""Recording from Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dver
from dver.base.errors import NotFoundError
from dver.formats import record
from dver.formats.record import Record
from tests.lineage.conftest import Project


def only_record(project: Project) -> Record:
    (path,) = (project.path / ".dver/records").rglob("*.json")
    return record.decode(path.read_bytes())


def test_a_block_is_recorded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.path)
    with dver.run(
        {"data": "train"}, ["model.bin"], params={"lr": 0.1, "opt": {"name": "sgd"}}, step="fit"
    ) as run:
        Path("model.bin").write_text("weights")
        run.log_param("epochs", 3)
        run.log_metric("auc", 0.5)
        run.log_metric("auc", 0.75)
    assert run.result is not None
    value = only_record(project)
    assert (value.step, value.kind) == ("fit", "run")
    assert [(i.path, i.role) for i in value.inputs] == [("data", "train")]
    assert [o.path for o in value.outputs] == ["model.bin"]
    assert {p.key: (p.value, p.source) for p in value.params} == {
        "lr": ("0.1", "code"),
        "opt.name": ("sgd", "code"),
        "epochs": ("3", "code"),
    }
    assert [(m.name, m.value) for m in value.metrics] == [("auc", "0.75")]
    assert (project.path / "model.bin.dver").exists()


def test_an_exception_is_recorded_and_raised(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.path)
    with pytest.raises(ZeroDivisionError), dver.run(["data"], ["model.bin"]):
        Path("model.bin").write_text("half")
        raise ZeroDivisionError("no data")
    value = only_record(project)
    assert value.run is not None
    assert value.run.exit == 1
    assert value.outputs == ()


def test_a_missing_input_stops_the_block(project: Project) -> None:
    ran = []
    with pytest.raises(NotFoundError), dver.run(["gone"], repo=project.path):
        ran.append(1)
    assert not ran


def test_a_function_is_recorded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.path)

    @dver.recorded_run(inputs=["data"], outputs=["model.json"])
    def train(rate: float) -> str:
        Path("model.json").write_text(json.dumps(rate))
        return "done"

    assert train(rate=0.5) == "done"
    value = only_record(project)
    assert value.step == "train"
    assert [(p.key, p.value) for p in value.params] == [("rate", "0.5")]


def test_what_is_not_there() -> None:
    with pytest.raises(AttributeError):
        dver.nothing  # noqa: B018
