"""A run as MLflow's tracking API has it: what ``GET /api/2.0/mlflow/runs/get`` answers.

Names and lengths are cut to what MLflow accepts; nothing is invented for what it cannot hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from dver.base.errors import FormatError
from dver.base.oid import format_oid
from dver.formats.record import Item, Record
from dver.lineage.exporting import spelling
from dver.lineage.exporting.spelling import Recorded, failed, filled, text
from dver.lineage.values import number

#: MLflow's limits: characters of a name, a parameter, a tag, a data set's digest and its name.
MAX_KEY, MAX_PARAM, MAX_TAG, MAX_DIGEST, MAX_NAME = 250, 6000, 5000, 36, 500
_UNFIT = re.compile(r"[^\w\-. /]", re.ASCII)


def run(one: Recorded) -> dict[str, Any]:
    """Return the run of a record."""
    value = one.value
    begun, ended = _millis(spelling.started(value)), _millis(spelling.finished(value))
    run_id = spelling.record_uuid(one.id).replace("-", "")
    return {
        "run": {
            "info": {
                "run_id": run_id,
                "run_uuid": run_id,
                "run_name": spelling.title(value)[:MAX_KEY],
                "experiment_id": "0",
                "user_id": spelling.whoever(value),
                "status": _status(value),
                "start_time": begun,
                "end_time": ended,
                "lifecycle_stage": "active",
            },
            "data": {
                "metrics": [
                    {"key": key, "value": found, "timestamp": ended, "step": 0}
                    for key, found in _metrics(value)
                ],
                "params": _pairs(((p.key, p.value) for p in value.params), MAX_PARAM),
                "tags": _pairs(_tags(one), MAX_TAG),
            },
            "inputs": {"dataset_inputs": [_dataset(value, item) for item in value.inputs]},
        }
    }


def _status(value: Record) -> str:
    if not failed(value):
        return "FINISHED"
    return "KILLED" if value.run is not None and value.run.signal else "FAILED"


def _millis(when: str) -> int:
    try:
        return round(datetime.fromisoformat(when).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise FormatError(f"a record has a time that does not parse: {when[:40]!r}") from error


def _metrics(value: Record) -> Iterable[tuple[str, float | str]]:
    """Yield what is a number; JSON has no others, so protobuf writes those as text."""
    taken: set[str] = set()
    for metric in value.metrics:
        found = number(metric.value, metric.type)
        if found is None:
            continue
        plain = found if found - found == 0 else _SPECIAL[str(found)]
        yield _key(metric.name, taken), plain


_SPECIAL = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _key(name: str, taken: set[str]) -> str:
    """Return a name that MLflow accepts and that is not taken yet."""
    plain = _UNFIT.sub("_", text(name)).strip("/. ")[:MAX_KEY] or "_"
    plain = re.sub(r"/+", "/", plain)
    key, n = plain, 1
    while key in taken:
        n += 1
        key = f"{plain[: MAX_KEY - 8]}_{n}"
    taken.add(key)
    return key


def _pairs(pairs: Iterable[tuple[str, str]], most: int) -> list[dict[str, str]]:
    taken: set[str] = set()
    return [{"key": _key(name, taken), "value": text(found)[:most]} for name, found in pairs]


def _tags(one: Recorded) -> Iterable[tuple[str, str]]:
    value = one.value
    command = " ".join(value.command.argv) if value.command is not None else ""
    yield from filled(
        **{
            "mlflow.runName": spelling.title(value),
            "mlflow.user": spelling.whoever(value),
            "mlflow.source.name": command,
            "mlflow.source.type": "JOB" if value.actor.ci else "LOCAL",
            "mlflow.source.git.commit": spelling.commit_of(value),
            "mlflow.source.git.branch": value.code.branch,
            "mlflow.source.git.repoURL": spelling.repository(value),
            "mlflow.note.content": value.reason,
            "dver.record": format_oid(one.id),
            "dver.kind": value.kind,
            "dver.code.tree": value.code.tree,
        }
    ).items()
    if value.code.dirty:
        yield "dver.code.commit", value.code.commit
    for metric in value.metrics:
        if number(metric.value, metric.type) is None:
            yield f"dver.metric.{metric.name}", metric.value
    for item in value.outputs:
        yield f"dver.output.{item.path}", format_oid(item.oid)
    for group, found in (("python", value.env.python), ("system", value.env.system)):
        yield from ((f"dver.{group}.{name}", version) for name, version in found.items())
    yield from ((f"dver.variable.{name}", found) for name, found in value.env.vars.items())
    yield from ((f"dver.seed.{name}", found) for name, found in value.seeds.items())


def _dataset(value: Record, item: Item) -> dict[str, Any]:
    """Return an input. Its digest is cut to MLflow's length; the source has all of it."""
    source = {
        "repository": spelling.repository(value),
        "path": text(item.path),
        "oid": format_oid(item.oid),
    }
    profile = {"size": item.size, "files": item.files or 1}
    tags = [{"key": "mlflow.data.context", "value": text(item.role)}] if item.role else []
    return {
        "tags": tags,
        "dataset": {
            "name": text(item.path)[:MAX_NAME],
            "digest": item.oid.hex()[:MAX_DIGEST],
            "source_type": "dver",
            "source": json.dumps(source, sort_keys=True),
            "profile": json.dumps(profile, sort_keys=True),
        },
    }
