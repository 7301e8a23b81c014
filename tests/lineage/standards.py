"""What holds a document against its standard: the program that the authors of it give."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from openlineage.client import event_v2
from prov.model import ProvActivity, ProvAgent, ProvDocument, ProvEntity, ProvRelation

from dver.base.oid import Oid
from dver.lineage.exporting.contents import Member


class Nowhere:
    """There are no bytes: oids are all that is known."""

    def sha256(self, oid: Oid) -> str | None:
        """Return None."""

    def read(self, oid: Oid) -> bytes | None:
        """Return None."""

    def members(self, oid: Oid) -> list[Member] | None:
        """Return None."""


# in-toto and SLSA


def check_statement(found: Any) -> None:
    parsed = json_format.ParseDict(found, statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()


def check_provenance(found: Any) -> None:
    check_statement(found)
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    predicate = found["predicate"]
    json_format.ParseDict(predicate, provenance_pb2.Provenance())
    # The parser lets these be absent, and the standard does not.
    definition, details = predicate["buildDefinition"], predicate["runDetails"]
    assert definition["buildType"]
    assert definition["externalParameters"]
    assert details["builder"]["id"]
    for one in [*definition["resolvedDependencies"], *details["byproducts"]]:
        assert one.get("uri") or one.get("digest") or one.get("content")
        assert all(re.fullmatch("[0-9a-f]{40,128}", text) for text in one["digest"].values())


# OpenLineage


def check_events(events: list[Any]) -> None:
    """Build each event of the client's own classes, which are generated from the standard."""
    pairs: dict[str, list[str]] = {}
    for one in events:
        assert one["schemaURL"] == event_v2.RunEvent._get_schema()
        check_facets(one["run"]["facets"])
        check_facets(one["job"]["facets"])
        sides = {"inputs": event_v2.InputDataset, "outputs": event_v2.OutputDataset}
        datasets: dict[str, list[Any]] = {"inputs": [], "outputs": []}
        for side, kind in sides.items():
            for dataset in one[side]:
                check_facets(dataset["facets"])
                check_facets(dataset.get("inputFacets", {}) | dataset.get("outputFacets", {}))
                datasets[side].append(kind(**dataset))
        fields = {key: value for key, value in one.items() if key not in ("schemaURL", *sides)}
        fields["eventType"] = event_v2.RunState(one["eventType"])
        fields["run"] = event_v2.Run(**one["run"])
        fields["job"] = event_v2.Job(**one["job"])
        event_v2.RunEvent(**fields, **datasets)
        pairs.setdefault(one["run"]["runId"], []).append(one["eventType"])
    for states in pairs.values():
        assert states in (["START", "COMPLETE"], ["START", "FAIL"])


def check_facets(facets: dict[str, Any]) -> None:
    for name, facet in facets.items():
        assert facet["_producer"]
        where = facet["_schemaURL"]
        if not where.startswith("https://openlineage.io/spec/facets/"):
            assert name.startswith("dver_")
            continue
        kind = where.rpartition("/")[2]
        snake = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.removesuffix("Facet")).lower()
        made = getattr(import_module(f"openlineage.client.generated.{snake}"), kind)
        assert made._get_schema() == where
        made(**{key: value for key, value in facet.items() if not key.startswith("_")})


# RO-Crate


_VALIDATE = """
import json, pathlib, sys
import rocrate
from rocrate_validator import models, services
shipped = pathlib.Path(rocrate.__file__).parent / "data/ro-crate.jsonld"
context = json.loads(shipped.read_text())["@context"]
for line in sys.stdin:
    crate = json.loads(line)
    # The validator would fetch it.
    assert crate["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    crate["@context"][0] = context
    found = services.validate_metadata_as_dict(crate, {
        "profile_identifier": "process-run-crate-0.5", "offline": True, "metadata_only": True,
        "requirement_severity": models.Severity.REQUIRED})
    issues = [one.message for one in found.get_issues() if one.severity >= models.Severity.REQUIRED]
    print("ISSUES " + json.dumps(issues))
"""


def issues_of(*crates: Any) -> list[list[str]]:
    """Ask the validator, in a process of its own: it logs, and warns of its own code."""
    lines = "".join(json.dumps(one) + "\n" for one in crates)
    done = subprocess.run(
        [sys.executable, "-c", _VALIDATE], input=lines, capture_output=True, text=True, check=True
    )
    found = [line[7:] for line in done.stdout.splitlines() if line.startswith("ISSUES ")]
    assert len(found) == len(crates), done.stderr
    return [json.loads(line) for line in found]


# CycloneDX


def check_bom(found: Any) -> None:
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(found))
    assert problem is None, problem
    assert found["specVersion"] == "1.6"  # the schema takes any
    refs = [one["bom-ref"] for one in (found["metadata"]["component"], *found["components"])]
    assert len(set(refs)) == len(refs)
    for one in found["dependencies"]:
        assert {one["ref"], *one["dependsOn"]} <= set(refs)


# PROV


def check_prov(found: Any) -> ProvDocument:
    parsed = ProvDocument.deserialize(content=json.dumps(found), format="json")
    assert isinstance(parsed, ProvDocument)
    declared = {
        str(one.identifier) for kind in (ProvActivity, ProvAgent, ProvEntity)
        for one in parsed.get_records(kind)
    }  # fmt: skip
    for relation in parsed.get_records(ProvRelation):
        # The library takes relations between things that are nowhere.
        ends = [str(name) for _, name in relation.formal_attributes[:2] if name is not None]
        assert len(ends) == 2
        assert set(ends) <= declared
    assert json.loads(parsed.serialize(format="json")).keys() == found.keys()
    return parsed


# MLflow


def check_run(found: Any) -> None:
    """Hold a run against the limits of MLflow's own validation (mlflow/utils/validation.py)."""
    run = found["run"]
    assert re.fullmatch("[0-9a-f]{32}", run["info"]["run_id"])
    assert run["info"]["status"] in ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
    name = re.compile(r"[\w\-. /:]{1,250}", re.ASCII)
    for part, most in (("params", 6000), ("tags", 8000)):
        keys = [one["key"] for one in run["data"][part]]
        assert len(set(keys)) == len(keys)
        for one in run["data"][part]:
            assert name.fullmatch(one["key"]), one
            assert "//" not in one["key"]
            assert len(one["value"]) <= most
    for one in run["data"]["metrics"]:
        assert name.fullmatch(one["key"])
        assert isinstance(one["value"], float) or one["value"] in ("NaN", "Infinity", "-Infinity")
        assert isinstance(one["timestamp"], int)
    for one in run["inputs"]["dataset_inputs"]:
        dataset = one["dataset"]
        assert 0 < len(dataset["digest"]) <= 36
        assert 0 < len(dataset["name"]) <= 500
        assert dataset["source_type"]
        assert json.loads(dataset["source"])["oid"].startswith(f"blake3:{dataset['digest']}")
