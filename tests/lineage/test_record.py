"""Recording what was made elsewhere: what is known of it, and what is only claimed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from dver.base.oid import format_oid
from dver.formats import record, recordpath
from dver.formats.record import Record
from dver.lineage.finding import records_at
from dver.repo import Repo
from tests.lineage.conftest import Project


def written(project: Project, **told: Any) -> str:
    project.write("claims.json", json.dumps(told))
    return "claims.json"


def recorded(project: Project, **told: Any) -> Record:
    project.write("model.bin", "weights")
    result = project.dver("record", "--json", "--from", written(project, **told)).result
    return record.decode((project.path / result["file"]).read_bytes())


FULL = {
    "step": "train",
    "message": "from the cluster",
    "author": "Bob <bob@example.org>",
    "date": "2024-05-01T12:00:00Z",
    "host": "gpu-7",
    "code": "HEAD",
    "command": "python train.py --lr '0.1'",
    "inputs": [{"path": "data", "role": "train"}, "params.json"],
    "outputs": [{"path": "model.bin", "role": "model"}],
    "params": {"lr": 0.1, "opt": {"name": "sgd"}},
    "metrics": {"auc": 0.91},
    "env": {"python": "3.11.2", "packages": ["torch==2.3.0+cu121"], "vars": {"OMP": 1}},
    "seeds": {"torch": 7},
}


def test_all_that_can_be_told(project: Project) -> None:
    head = project.git.git("rev-parse", "HEAD").strip()
    value = recorded(project, **FULL)
    assert (value.kind, value.step, value.reason) == ("import", "train", "from the cluster")
    assert value.claim is not None
    assert value.claim.fields == (
        *("code", "command", "env", "inputs", "metrics", "outputs", "params", "seeds"),
    )
    assert (value.claim.author.name, value.claim.author.email) == ("Bob", "bob@example.org")
    assert (value.claim.made, value.claim.host) == ("2024-05-01T12:00:00Z", "gpu-7")
    assert value.actor.name == "Ada Test"
    assert value.command is not None
    assert value.command.argv == ("python", "train.py", "--lr", "0.1")
    assert (value.code.commit, value.code.dirty) == (head, False)
    assert value.code.archive is not None
    assert [(one.path, one.kind, one.role, one.source) for one in value.inputs] == [
        ("data", "tree", "train", "dver"),
        ("params.json", "file", "", "git"),
    ]
    assert [(one.path, one.role, one.source) for one in value.outputs] == [
        ("model.bin", "model", "dver")
    ]
    assert [(one.key, one.value) for one in value.params] == [("lr", "0.1"), ("opt.name", "sgd")]
    assert value.env.python == {"version": "3.11.2"}
    assert value.env.packages is not None
    assert (value.env.vars, value.seeds) == ({"OMP": "1"}, {"torch": "7"})
    assert value.run is None
    assert (project.path / "model.bin.dver").exists()


def test_it_is_asked_like_any_other_and_told_apart(project: Project) -> None:
    recorded(project, **FULL)
    project.commit()
    shown = project.dver("lineage", "model.bin").stdout
    assert " 2024-05-01 claimed made by Bob commit " in shown
    (one,) = project.dver("lineage", "--json", "model.bin").result["records"]
    assert "metrics" in one["claimed"]
    assert "auc" in project.dver("runs", "--where", "auc > 0.9").stdout
    slsa = json.loads(project.dver("lineage", "--format", "slsa", "model.bin").stdout)
    builder = slsa["predicate"]["runDetails"]["builder"]["id"]
    assert builder == "urn:dver:builder:claimed"


def test_a_claim_that_holds_becomes_evidence(project: Project) -> None:
    project.write("make.py", "open('model.bin', 'w').write('weights')")
    project.commit("code")
    recorded(project, outputs=["model.bin"], code="HEAD", command=[sys.executable, "make.py"])
    project.commit("model")
    result = project.dver("reproduce", "--json", "model.bin").result
    assert result["grade"] == "exact"
    assert "nobody saw it made; claimed: code, command, outputs" in result["notes"]


def test_content_that_is_known_without_being_here(project: Project) -> None:
    tree = recorded(project, outputs=["model.bin"], inputs=["data"]).inputs[0]
    named = {"path": "old/data", "oid": format_oid(tree.oid), "role": "train"}
    at_rev = {"path": "data/rows.csv", "rev": "HEAD"}
    value = recorded(project, outputs=["model.bin"], inputs=[named, at_rev])
    first, second = value.inputs
    assert (first.path, first.kind, first.size) == ("data/rows.csv", "file", 6)
    assert (second.path, second.oid, second.kind, second.files) == ("old/data", tree.oid, "tree", 1)


def test_a_commit_of_another_repository(project: Project) -> None:
    code = {"commit": "abc123", "repository": "https://me:secret@example.org/m.git"}
    value = recorded(project, outputs=["model.bin"], code=code)
    assert (value.code.commit, value.repo.url) == ("abc123", "https://example.org/m.git")


@pytest.mark.parametrize(
    ("told", "code", "message"),
    [
        ({}, 7, "it names no outputs"),
        ({"outputs": ["nothing.bin"]}, 4, "the output nothing.bin is not there"),
        ({"outputs": ["model.bin"], "inputs": ["gone"]}, 4, "the input gone is not there"),
        ({"outputs": ["model.bin"], "inputs": ["model.bin"]}, 2, "both an input and an output"),
        ({"outputs": ["model.bin", "model.bin"]}, 7, "comes twice"),
        ({"outputs": ["model.bin"], "metric": {}}, 7, "the key 'metric', which is not known"),
        ({"outputs": ["model.bin"], "code": "nowhere"}, 4, "no commit 'nowhere'"),
        ({"outputs": ["model.bin"], "date": "yesterday"}, 7, "'yesterday' is no date"),
        ({"outputs": ["model.bin"], "date": "2024-13-45"}, 7, "date: "),
        ({"outputs": ["../model.bin"]}, 2, "outside"),
        ({"outputs": [{"path": "x", "oid": "blake3:" + "0" * 64}]}, 4, "has the content blake3:00"),
        ({"outputs": [{"path": "x", "oid": "123"}]}, 7, "is no oid"),
        ({"outputs": "model.bin"}, 7, "outputs is no list"),
        ({"outputs": ["model.bin"], "env": {"packages": ["numpy"]}}, 7, "is not name==version"),
    ],
)
def test_bad_claims_write_nothing(
    project: Project, told: dict[str, Any], code: int, message: str
) -> None:
    project.write("model.bin", "weights")
    before = project.git.git("status", "--porcelain")
    done = project.dver("record", "--from", written(project, **told), code=code)
    assert message in done.stderr
    (project.path / "claims.json").unlink()
    assert project.git.git("status", "--porcelain") == before


def test_yaml_with_a_date_and_a_params_file(project: Project, tmp_path: Path) -> None:
    project.write("model.bin", "weights")
    elsewhere = tmp_path / "claims.yaml"
    elsewhere.write_text("date: 2024-05-01\noutputs: [model.bin]\nparams: params.json\n")
    result = project.dver("record", "--json", "--from", elsewhere).result
    value = record.decode((project.path / result["file"]).read_bytes())
    assert value.claim is not None
    assert value.claim.made == "2024-05-01"
    assert [one.key for one in value.params] == ["opt.name", "rate"]


def test_what_git_adds_to_lines_on_checkout_changes_no_record(project: Project) -> None:
    recorded(project, **FULL)
    repo = Repo.open(project.path)
    (before,) = records_at(repo, "")
    path = project.path / os.fsdecode(recordpath.path_of(before[0]))
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert list(records_at(repo, "")) == [before]
    repo.close()
