"""Documents for other tools: each is read by the program that its standard's authors give."""

from __future__ import annotations

import copy
import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from prov.model import ProvActivity

from dver.base.errors import FormatError
from dver.base.oid import format_oid, oid_of
from dver.formats import record, recordpath
from dver.lineage.exporting import cyclonedx, intoto, mlflow, openlineage, prov, rocrate, slsa
from dver.lineage.exporting.spelling import Recorded
from tests.lineage.conftest import Project
from tests.lineage.standards import (
    Nowhere,
    check_bom,
    check_events,
    check_prov,
    check_provenance,
    check_run,
    check_statement,
    issues_of,
)

#: Prepares predictions from the model: a second step, so that there is something upstream.
PREDICT = (
    "import json; json.dump(json.load(open('model.json'))['weight'] * 2, open('out.json', 'w'))"
)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def chain(project: Project) -> Project:
    """Two steps: a model, and predictions of it."""
    project.train("--message", "more rows")
    project.commit()
    project.write("predict.py", PREDICT)
    project.dver(
        "run", "--name", "predict", "-d", "model.json:model", "-o", "out.json:predictions", "--",
        sys.executable, "predict.py",
    )  # fmt: skip
    project.commit()
    return project


def documents(project: Project, standard: str, target: str = "out.json", *args: str) -> list[Any]:
    """Return what is printed, which is what ``--json`` has too."""
    printed = project.dver("lineage", "--format", standard, *args, target).stdout
    if standard == "openlineage":
        found = [json.loads(line) for line in printed.splitlines()]
    else:
        found = [json.loads(printed)]
    told = project.dver("lineage", "--json", "--format", standard, *args, target).result
    assert (told["format"], told["documents"]) == (standard, found)
    return found


def document(project: Project, standard: str, target: str = "out.json", *args: str) -> Any:
    (found,) = documents(project, standard, target, *args)
    return found


def expect_refusal(check: Callable[[Any], None], broken: Any) -> None:
    """Show that a check can fail."""
    with pytest.raises(Exception):  # noqa: B017
        check(broken)


# in-toto and SLSA


def test_in_toto(chain: Project) -> None:
    found = document(chain, "in-toto", "model.json")
    check_statement(found)
    subjects = {one["name"]: one["digest"] for one in found["subject"]}
    model = chain.path / "model.json"
    assert subjects["model.json"] == {
        "sha256": sha256(model),
        "blake3": oid_of(model.read_bytes()).hex(),
    }
    (own,) = [name for name in subjects if name.startswith(".dver/records/")]
    assert subjects[own]["sha256"] == sha256(chain.path / own)
    assert json.loads((chain.path / own).read_bytes()) == found["predicate"]
    for change in ({"_type": "x"}, {"subject": []}, {"predicateType": ""}, {"more": 1}):
        expect_refusal(check_statement, {**found, **change})
    expect_refusal(check_statement, {**found, "subject": [{"name": "a"}]})


def test_slsa(chain: Project) -> None:
    found = document(chain, "slsa", "model.json")
    check_provenance(found)
    predicate = found["predicate"]
    assert [one["name"] for one in found["subject"]] == ["metrics.json", "model.json"]
    definition = predicate["buildDefinition"]
    assert definition["externalParameters"]["argv"] == [sys.executable, "train.py"]
    assert definition["externalParameters"]["params"] == {"opt.name": "sgd", "rate": "0.5"}
    needed = {one["name"]: one for one in definition["resolvedDependencies"]}
    commit = chain.git.git("rev-list", "--max-parents=0", "HEAD")
    assert needed["code"]["digest"] == {
        "gitCommit": commit,
        "gitTree": chain.git.git("rev-parse", f"{commit}^{{tree}}"),
    }
    assert needed["params.json"]["digest"]["sha256"] == sha256(chain.path / "params.json")
    assert set(needed["data"]["digest"]) == {"blake3"}
    assert {"packages", "data", "params.json", "code"} == set(needed)
    for gone in ("buildType", "externalParameters"):
        broken = copy.deepcopy(found)
        del broken["predicate"]["buildDefinition"][gone]
        expect_refusal(check_provenance, broken)
    broken = copy.deepcopy(found)
    broken["predicate"]["runDetails"]["builder"] = {}
    expect_refusal(check_provenance, broken)
    broken = copy.deepcopy(found)
    broken["predicate"]["runDetails"]["metadata"]["startedOn"] = "yesterday"
    expect_refusal(check_provenance, broken)


def test_slsa_names_the_snapshot_and_the_remote_of_code_that_is_not_committed(
    project: Project,
) -> None:
    project.git.git("remote", "add", "origin", "https://ada:secret@example.org/m.git")
    project.write("extra.py", "")
    project.train()
    found = document(project, "slsa", "model.json")
    check_provenance(found)
    (code,) = [
        one
        for one in found["predicate"]["buildDefinition"]["resolvedDependencies"]
        if one["name"] == "code"
    ]
    snapshot = project.git.git("for-each-ref", "--format=%(objectname)", "refs/dver/runs")
    assert code["digest"]["gitCommit"] == snapshot
    assert code["uri"] == f"git+https://example.org/m.git@{snapshot}"


def test_a_directory_is_named_with_each_of_its_files(project: Project) -> None:
    code = "import os; os.makedirs('m/sub'); [open(f'm/{n}', 'w').write(n) for n in ('a', 'sub/b')]"
    project.dver("run", "-o", "m:model", "--", sys.executable, "-c", code)
    found = document(project, "slsa", "m")
    check_provenance(found)
    assert {one["name"]: one["digest"].get("sha256") for one in found["subject"]} == {
        "m": None,
        "m/a": hashlib.sha256(b"a").hexdigest(),
        "m/sub/b": hashlib.sha256(b"sub/b").hexdigest(),
    }


def test_without_the_bytes_there_is_no_sha256(chain: Project) -> None:
    import shutil

    for name in ("packs", "index"):
        shutil.rmtree(chain.path / ".git/dver" / name)
    found = document(chain, "slsa", "model.json")
    check_provenance(found)
    assert all(set(one["digest"]) == {"blake3"} for one in found["subject"])


@pytest.mark.parametrize(
    ("script", "result", "field"),
    [
        ("pass", "PASSED", "passedTests"),
        ("import os; open('m', 'ab').write(os.urandom(9))", "FAILED", "failedTests"),
    ],
)
def test_a_verdict_is_a_test_result(project: Project, script: str, result: str, field: str) -> None:
    code = f"open('m', 'w').write('x'); {script}"
    project.dver("run", "-o", "m:model", "--", sys.executable, "-c", code)
    project.commit()
    done = project.dver("reproduce", "--json", "m", code=0 if result == "PASSED" else 22).json
    found = document(project, "in-toto", done["result"]["verdict"])
    check_statement(found)
    assert found["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    predicate = found["predicate"]
    json_format.ParseDict(predicate, test_result_pb2.TestResult())
    assert (predicate["result"], predicate[field]) == (result, ["m"])
    assert predicate["configuration"]
    assert found["subject"][0]["digest"]["sha256"] == sha256(project.path / "m")


# OpenLineage


def test_openlineage(chain: Project) -> None:
    found = documents(chain, "openlineage")
    check_events(found)
    assert [(one["job"]["name"], one["eventType"]) for one in found] == [
        ("train", "START"),
        ("train", "COMPLETE"),
        ("predict", "START"),
        ("predict", "COMPLETE"),
    ]
    made, read = found[1]["outputs"][1], found[3]["inputs"][0]
    assert [one["name"] for one in (made, read)] == ["model.json"] * 2
    assert made["namespace"] == read["namespace"]
    oid = format_oid(oid_of((chain.path / "model.json").read_bytes()))
    assert made["facets"]["version"]["datasetVersion"] == oid
    assert read["facets"]["version"] == made["facets"]["version"]
    assert made["facets"]["datasetType"]["datasetType"] == "MODEL"
    assert found[1]["job"]["facets"]["documentation"]["description"] == "more rows"
    assert documents(chain, "openlineage") == found  # the same ids each time
    for place, value in ((("run", "runId"), "no uuid"), (("eventTime",), "today")):
        broken = copy.deepcopy(found)
        inner = broken[0]
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
        expect_refusal(check_events, broken)
    expect_refusal(check_events, found[:1])
    broken = copy.deepcopy(found)
    del broken[0]["run"]["facets"]["processing_engine"]["version"]
    expect_refusal(check_events, broken)


def test_openlineage_of_a_failed_run(project: Project) -> None:
    project.write("train.py", "raise SystemExit(3)")
    failed = project.train(code=3).json["result"]["record"]
    found = documents(project, "openlineage", failed)
    check_events(found)
    assert [one["eventType"] for one in found] == ["START", "FAIL"]
    assert found[1]["run"]["facets"]["errorMessage"]["message"] == "exit code 3"


def test_down(chain: Project) -> None:
    found = documents(chain, "openlineage", "data/rows.csv", "--down")
    check_events(found)
    assert {one["job"]["name"] for one in found} == {"train", "predict"}
    done = chain.dver("lineage", "--format", "slsa", "--down", "data", code=2)
    assert "not what was made with it" in done.stderr


# RO-Crate


def test_ro_crate(chain: Project) -> None:
    found = document(chain, "ro-crate")
    broken = rocrate.crate("broken", [bare()])
    for one in broken["@graph"]:
        one.pop("instrument", None)
    good, texts, bad = issues_of(found, rocrate.crate("a\udcff", [odd(), bare()]), broken)
    assert (good, texts) == ([], [])
    assert any("instrument" in one for one in bad)
    entities = {one["@id"]: one for one in found["@graph"]}
    assert len(entities) == len(found["@graph"])
    for one in entities.values():
        for name in references(one):
            assert name in entities or name.startswith("http"), name
    actions = [one for one in entities.values() if one["@type"] == "CreateAction"]
    assert [one["name"] for one in actions] == ["train", "predict"]
    assert entities["./"]["mentions"] == [{"@id": one["@id"]} for one in actions]
    for one in actions:
        # What the profile asks for; the validator does not insist.
        assert {"instrument", "name", "description", "endTime", "agent", "result"} <= set(one)
    model = {"@id": format_oid(oid_of((chain.path / "model.json").read_bytes()))}
    assert model in actions[0]["result"]
    assert model in actions[1]["object"]


def references(entity: Any) -> list[str]:
    if isinstance(entity, dict):
        own = [entity["@id"]] if set(entity) == {"@id"} else []
        return own + [name for key in entity for name in references(entity[key])]
    return [name for one in entity for name in references(one)] if isinstance(entity, list) else []


# CycloneDX


def test_cyclonedx(chain: Project) -> None:
    found = document(chain, "cyclonedx", "model.json")
    check_bom(found)
    model = found["metadata"]["component"]
    assert (model["type"], model["name"]) == ("machine-learning-model", "model.json")
    assert {"alg": "SHA-256", "content": sha256(chain.path / "model.json")} in model["hashes"]
    card = model["modelCard"]
    metrics = {
        one["type"]: one["value"] for one in card["quantitativeAnalysis"]["performanceMetrics"]
    }
    assert metrics == {"loss": "0.25", "rows": "3"}
    (data,) = card["modelParameters"]["datasets"]
    parts = {one["bom-ref"]: one for one in found["components"]}
    assert parts[data["ref"]]["name"] == "data"
    needs = {one["ref"]: one["dependsOn"] for one in found["dependencies"]}
    assert data["ref"] in needs[model["bom-ref"]]
    packages = {one["name"]: one for one in found["components"] if one["type"] == "library"}
    version = import_module("importlib.metadata").version("click")
    assert packages["click"]["purl"] == f"pkg:pypi/click@{version}"
    for change in ({"specVersion": "9"}, {"more": 1}):
        expect_refusal(check_bom, {**found, **change})
    broken = copy.deepcopy(found)
    broken["metadata"]["component"]["modelCard"]["more"] = 1
    expect_refusal(check_bom, broken)


def test_cyclonedx_has_what_lies_upstream(chain: Project) -> None:
    found = document(chain, "cyclonedx", "out.json")
    check_bom(found)
    assert found["metadata"]["component"]["type"] == "data"
    model = format_oid(oid_of((chain.path / "model.json").read_bytes()))
    needs = {one["ref"]: one["dependsOn"] for one in found["dependencies"]}
    assert model in needs[found["metadata"]["component"]["bom-ref"]]
    names = {one["bom-ref"]: one["name"] for one in found["components"]}
    assert "data" in [names[ref] for ref in needs[model]]


# PROV


def test_prov(chain: Project) -> None:
    found = document(chain, "prov")
    parsed = check_prov(found)
    assert len(list(parsed.get_records(ProvActivity))) == 2
    model = "blake3:" + oid_of((chain.path / "model.json").read_bytes()).hex()
    makers = [
        one["prov:activity"]
        for one in found["wasGeneratedBy"].values()
        if one["prov:entity"] == model
    ]
    users = [one["prov:activity"] for one in found["used"].values() if one["prov:entity"] == model]
    assert (len(makers), len(users)) == (1, 1)
    assert makers != users
    broken = copy.deepcopy(found)
    del broken["entity"][model]
    expect_refusal(check_prov, broken)
    broken = copy.deepcopy(found)
    del broken["prefix"]["blake3"]
    expect_refusal(check_prov, broken)


# MLflow


def test_mlflow(chain: Project) -> None:
    found = document(chain, "mlflow", "model.json")
    check_run(found)
    data = found["run"]["data"]
    assert {one["key"]: one["value"] for one in data["metrics"]} == {"loss": 0.25, "rows": 3.0}
    assert {one["key"]: one["value"] for one in data["params"]} == {
        "opt.name": "sgd",
        "rate": "0.5",
    }
    tags = {one["key"]: one["value"] for one in data["tags"]}
    assert tags["mlflow.source.git.commit"] == chain.git.git("rev-list", "--max-parents=0", "HEAD")
    assert tags["mlflow.note.content"] == "more rows"
    inputs = {
        one["dataset"]["name"]: one["tags"] for one in found["run"]["inputs"]["dataset_inputs"]
    }
    assert inputs["data"] == [{"key": "mlflow.data.context", "value": "train"}]


# all of them


def odd() -> Recorded:
    """Return a record whose every text is awkward."""
    name = "a b\n\"'<&>\\é\udcff/ü:#?%"
    item = record.Item(name, oid_of(b"1"), "file", 5, role=name)
    value = record.Record(
        1,
        "run",
        "2026-01-31T12:00:03.500Z",
        record.Keep(oid_of(b"2")),
        reason=name,
        step=name,
        actor=record.Actor(name, name, name, name, {"provider": name}),
        repo=record.RepoIdentity("", f"git@host:{name}"),
        code=record.Code("a" * 40, "b" * 40, name, dirty=True),
        command=record.Command((name, name), name),
        inputs=(item, record.Item("d\udcff", oid_of(b"3"), "tree", 0)),
        outputs=(record.Item(name + "2", oid_of(b"4"), "file", role="model"),),
        params=(
            record.Value(name, name * 1000, "text"),
            record.Value(name + "!", "", "null"),
            record.Value("//", "1e400", "float"),
        ),
        metrics=(
            record.Metric(name, "nan", "float"),
            record.Metric("x", "-inf", "float"),
            record.Metric("y", name, "text"),
        ),
        env=record.Environment(
            vars={name: name}, python={"version": name}, gpus=({"model": name},)
        ),
        run=record.Run("2026-01-31T12:00:00.000Z", "2026-01-31T12:00:03.000Z", 3, 9, "SIGKILL"),
        parents=(record.Parent("c" * 64, "retries"),),
        uncontrolled=(name,),
    )
    data = record.encode(value)
    return Recorded(oid_of(data), record.decode(data), data)


def bare() -> Recorded:
    """Return a record that says as little as one may."""
    item = record.Item("m", oid_of(b"4"), "file")
    value = record.Record(
        1, "import", "2026-01-31T12:00:03.500Z", record.Keep(oid_of(b"2")), outputs=(item,)
    )
    data = record.encode(value)
    return Recorded(oid_of(data), value, data)


@pytest.mark.parametrize("make", [odd, bare])
def test_any_texts_and_none(make: Callable[[], Recorded]) -> None:
    one = make()
    made = {
        "slsa": slsa.provenance(one, Nowhere()),
        "cyclonedx": cyclonedx.bom(one, [one], Nowhere()),
        "prov": prov.document([one]),
        "mlflow": mlflow.run(one),
        "openlineage": list(openlineage.events([one])),
        "ro-crate": rocrate.crate("a\udcff", [one]),
    }
    for found in made.values():
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    check_provenance(made["slsa"])
    check_bom(made["cyclonedx"])
    check_prov(made["prov"])
    check_run(made["mlflow"])
    check_events(made["openlineage"])
    assert json.loads(one.data) == intoto.statement(one, Nowhere())["predicate"]


@pytest.mark.parametrize("standard", ["slsa", "cyclonedx"])
def test_what_made_nothing_has_no_provenance(project: Project, standard: str) -> None:
    project.write("train.py", "raise SystemExit(3)")
    failed = project.train(code=3).json["result"]["record"]
    done = project.dver("lineage", "--format", standard, failed, code=4)
    assert "made nothing" in done.stderr


def test_times_that_are_none_are_told() -> None:
    value = replace(bare().value, created="soon")
    data = record.encode(value)
    with pytest.raises(FormatError, match="does not parse: 'soon'"):
        mlflow.run(Recorded(oid_of(data), value, data))


def test_a_verdict_on_a_record_that_is_not_here(project: Project) -> None:
    value = replace(
        bare().value,
        kind="reproduce",
        verdict=record.Verdict("exact"),
        parents=(record.Parent("z" * 64, "reproduces"), record.Parent("a" * 64, "reproduces")),
    )
    data = record.encode(value)
    path = project.path / recordpath.path_of(oid_of(data)).decode()
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    found = document(project, "in-toto", oid_of(data).hex())
    check_statement(found)
    assert found["predicate"]["verdict"] == {"grade": "exact"}


def test_unknown_targets(project: Project) -> None:
    for standard in ("in-toto", "openlineage"):
        project.dver("lineage", "--format", standard, "data", code=4)
        project.dver("lineage", "--format", standard, "nowhere", code=4)
