"""SLSA provenance v1: https://slsa.dev/spec/v1.0/provenance, an in-toto statement.

A run on somebody's machine reaches build level 1 at most; nothing here claims more.
"""

from __future__ import annotations

from typing import Any

from dver.formats import canonical
from dver.formats.record import Environment, Record
from dver.lineage.exporting import spelling
from dver.lineage.exporting.contents import Contents, digests
from dver.lineage.exporting.intoto import STATEMENT, about_record, subjects
from dver.lineage.exporting.spelling import Recorded, filled, text, texts

PROVENANCE = "https://slsa.dev/provenance/v1"


def provenance(one: Recorded, contents: Contents) -> dict[str, Any]:
    """Return the provenance of what a record made, which is at least one output."""
    value = one.value
    return {
        "_type": STATEMENT,
        "subject": subjects(value.outputs, contents),
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": spelling.RUN,
                "externalParameters": _external(value),
                "internalParameters": filled(
                    environment=environment(value.env),
                    seeds=texts(value.seeds),
                    ci=texts(value.actor.ci),
                    uncontrolled=[text(one) for one in value.uncontrolled],
                ),
                "resolvedDependencies": _dependencies(value, contents),
            },
            "runDetails": {
                "builder": {"id": _builder(value), "version": {"dver": spelling.PRODUCER}},
                "metadata": {
                    "invocationId": spelling.record_uri(one.id),
                    "startedOn": spelling.started(value),
                    "finishedOn": spelling.finished(value),
                },
                "byproducts": [about_record(one), *_printed(value, contents)],
            },
        },
    }


def environment(env: Environment) -> dict[str, Any]:
    """Return an environment as records spell it, without what is a dependency."""
    plain = canonical.to_plain(env)
    return {key: spelling.clean(plain[key]) for key in plain if key not in ("packages", "locks")}


def _external(value: Record) -> dict[str, Any]:
    command = value.command
    return {
        "argv": [text(word) for word in command.argv] if command is not None else [],
        **filled(
            cwd=text(command.cwd) if command is not None else "",
            step=text(value.step),
            repository=spelling.repository(value),
            params={text(one.key): text(one.value) for one in value.params},
        ),
    }


def _builder(value: Record) -> str:
    """Name what ran it: whoever says who they are by a name of their own is not believed more."""
    if value.claim is not None:
        return "urn:dver:builder:claimed"
    provider = value.actor.ci.get("provider", "")
    return (
        f"urn:dver:builder:ci:{spelling.uri_path(provider)}"
        if provider
        else "urn:dver:builder:local"
    )


def _dependencies(value: Record, contents: Contents) -> list[dict[str, Any]]:
    found = []
    commit = spelling.commit_of(value)
    git = filled(gitCommit=commit, gitTree=value.code.tree)
    if git:
        uri = spelling.repository(value)
        where = f"git+{uri}@{commit}" if commit and "://" in uri else ""
        found.append({"name": "code", **filled(uri=where), "digest": git})
    for item in value.inputs:
        annotations = filled(role=text(item.role), kind=item.kind, size=item.size)
        found.append(
            {
                "name": text(item.path),
                "digest": digests(contents, item.oid, item.kind),
                "annotations": annotations,
            }
        )
    if value.env.packages is not None:
        packages = digests(contents, value.env.packages)
        found.append({"name": "packages", "digest": packages, "mediaType": "text/plain"})
    found += [
        {"name": text(lock.path), "digest": digests(contents, lock.oid)} for lock in value.env.locks
    ]
    return found


def _printed(value: Record, contents: Contents) -> list[dict[str, Any]]:
    run = value.run
    streams = [] if run is None else [("stdout", run.stdout), ("stderr", run.stderr)]
    return [
        {"name": name, "digest": digests(contents, oid), "mediaType": "text/plain"}
        for name, oid in streams
        if oid is not None
    ]
