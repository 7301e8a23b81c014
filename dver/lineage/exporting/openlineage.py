"""OpenLineage run events: https://openlineage.io/spec/2-0-2/OpenLineage.json.

A START and a COMPLETE or FAIL for each record. Models are datasets there; what the standard has no
facet for is in facets whose names begin with ``dver_``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import dver
from dver.base.oid import format_oid
from dver.formats.record import Item, Record
from dver.lineage.exporting import spelling
from dver.lineage.exporting.spelling import PRODUCER, Recorded, failed, filled, text

EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = "https://openlineage.io/spec/facets"
_Side = Literal["input", "output"]


def events(records: Iterable[Recorded]) -> Iterator[dict[str, Any]]:
    """Yield the events of some records, in the order of the records."""
    for one in records:
        value = one.value
        yield _event("START", spelling.started(value), one, ())
        end = "FAIL" if failed(value) else "COMPLETE"
        yield _event(end, spelling.finished(value), one, value.outputs)


def _event(kind: str, when: str, one: Recorded, outputs: tuple[Item, ...]) -> dict[str, Any]:
    value = one.value
    run_facets = _run_facets(one)
    if kind == "FAIL" and value.run is not None:
        message = f"exit code {value.run.exit}"
        run_facets["errorMessage"] = _facet(
            "1-0-1/ErrorMessageRunFacet", message=message, programmingLanguage="unknown"
        )
    return {
        "eventType": kind,
        "eventTime": when,
        "producer": PRODUCER,
        "schemaURL": EVENT,
        "run": {"runId": spelling.record_uuid(one.id), "facets": run_facets},
        "job": {
            "namespace": spelling.repository(value),
            "name": spelling.title(value),
            "facets": _job_facets(value),
        },
        "inputs": [_dataset(value, item, "input") for item in value.inputs],
        "outputs": [_dataset(value, item, "output") for item in outputs],
    }


def _facet(schema: str, **fields: Any) -> dict[str, Any]:
    where = schema if schema.startswith("urn:") else f"{_FACETS}/{schema}.json"
    if not schema.startswith("urn:"):
        where += f"#/$defs/{schema.rpartition('/')[2]}"
    return {"_producer": PRODUCER, "_schemaURL": where, **fields}


def _run_facets(one: Recorded) -> dict[str, Any]:
    value = one.value
    params = [
        {"key": text(param.key), "name": text(param.key), "value": text(param.value)}
        for param in value.params
    ]
    variables = [
        {"name": text(name), "value": text(found)}
        for name, found in {**value.env.vars, **value.seeds}.items()
    ]
    facets = {
        "processing_engine": _facet(
            "1-1-1/ProcessingEngineRunFacet", name="dver", version=dver.__version__
        ),
        "dver_record": _facet(
            spelling.RECORD,
            id=format_oid(one.id),
            kind=value.kind,
            parents=[{"id": parent.id, "why": parent.why} for parent in value.parents],
            metrics={text(metric.name): text(metric.value) for metric in value.metrics},
        ),
    }
    if params:
        facets["executionParameters"] = _facet(
            "1-0-0/ExecutionParametersRunFacet", parameters=params
        )
    if variables:
        facets["environmentVariables"] = _facet(
            "1-0-0/EnvironmentVariablesRunFacet", environmentVariables=variables
        )
    return facets


def _job_facets(value: Record) -> dict[str, Any]:
    facets = {
        "jobType": _facet(
            "2-0-4/JobTypeJobFacet", processingType="BATCH", integration="DVER", jobType="RUN"
        )
    }
    commit = spelling.commit_of(value)
    if value.code.tree or commit:
        url = spelling.repository(value)
        facets["sourceCodeLocation"] = _facet(
            "1-1-0/SourceCodeLocationJobFacet",
            **filled(
                type="git",
                url=url,
                repoUrl=url,
                version=commit or value.code.tree,
                branch=text(value.code.branch),
            ),
        )
    if value.reason:
        facets["documentation"] = _facet(
            "1-1-0/DocumentationJobFacet", description=text(value.reason)
        )
    return facets


def _dataset(value: Record, item: Item, side: _Side) -> dict[str, Any]:
    facets = {
        "version": _facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=format_oid(item.oid)),
        "datasetType": _facet(
            "1-0-1/DatasetTypeDatasetFacet",
            datasetType="MODEL" if item.role == "model" else "FILE",
        ),
        "dver_content": _facet(
            "urn:dver:content:1",
            **filled(
                oid=format_oid(item.oid),
                kind=item.kind,
                role=text(item.role),
                source=item.source,
                producer=item.producer,
            ),
        ),
    }
    names: dict[_Side, tuple[str, str, str]] = {
        "input": ("inputFacets", "inputStatistics", "1-0-0/InputStatisticsInputDatasetFacet"),
        "output": ("outputFacets", "outputStatistics", "1-0-2/OutputStatisticsOutputDatasetFacet"),
    }
    field, name, schema = names[side]
    amount = {"size": item.size, "fileCount": item.files or 1}
    return {
        "namespace": spelling.repository(value),
        "name": text(item.path),
        "facets": facets,
        field: {name: _facet(schema, **amount)},
    }
