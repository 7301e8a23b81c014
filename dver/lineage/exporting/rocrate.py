"""RO-Crate 1.1 with the profile Process Run Crate 0.5: what ran, as JSON-LD.

https://www.researchobject.org/workflow-run-crate/profiles/process_run_crate/. The crate describes
content that lies elsewhere, by its oid; it holds no files itself.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from typing import Any

from dver.base.oid import format_oid
from dver.formats.record import Item, Record
from dver.lineage.exporting import spelling
from dver.lineage.exporting.spelling import Recorded, failed, filled, text

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_TERMS = "https://w3id.org/ro/terms/workflow-run#"


def crate(title: str, records: Sequence[Recorded]) -> dict[str, Any]:
    """Return the crate of some records as the content of ``ro-crate-metadata.json``."""
    return _Crate(title, records).build()


def _one_or_all(found: list[dict[str, str]]) -> object:
    """Return a list, or what is in it if that is one: JSON-LD does not tell these apart."""
    return found[0] if len(found) == 1 else found


class _Crate:
    """Entities by their id, each named once."""

    def __init__(self, title: str, records: Sequence[Recorded]) -> None:
        self._title = title
        self._records = records
        self._entities: dict[str, dict[str, Any]] = {}

    def build(self) -> dict[str, Any]:
        actions = [self._action(one) for one in self._records]
        parts = [
            {"@id": one["@id"]}
            for one in self._entities.values()
            if one["@type"] in ("File", "Dataset")
        ]
        authors = [
            {"@id": name} for name, one in self._entities.items() if one["@type"] == "Person"
        ]
        root = {
            "@id": "./",
            "@type": "Dataset",
            "name": f"How {text(self._title)} was made",
            "description": "Runs that dver recorded, with the exact content they read and made",
            "datePublished": max((one.value.created for one in self._records), default=""),
            "conformsTo": {"@id": PROFILE},
            "license": self._put("#license", "CreativeWork", name="not stated"),
            "author": _one_or_all(authors),
            "mentions": _one_or_all(actions),
            "hasPart": _one_or_all(parts),
        }
        descriptor = {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": CONTEXT.removesuffix("/context")},
        }
        profile = {
            "@id": PROFILE,
            "@type": "CreativeWork",
            "name": "Process Run Crate",
            "version": "0.5",
        }
        terms = {name: _TERMS + name for name in ("environment", "containerImage")}
        return {
            "@context": [CONTEXT, terms],
            "@graph": [descriptor, root, profile, *self._entities.values()],
        }

    def _put(self, entity: str, kind: str, **fields: Any) -> dict[str, str]:
        """Add an entity unless it is there; return the reference to it."""
        self._entities.setdefault(entity, {"@id": entity, "@type": kind, **filled(**fields)})
        return {"@id": entity}

    def _action(self, one: Recorded) -> dict[str, str]:
        value = one.value
        status = "FailedActionStatus" if failed(value) else "CompletedActionStatus"
        error = f"exit code {value.run.exit}" if value.run is not None and failed(value) else ""
        command = " ".join(value.command.argv) if value.command is not None else ""
        return self._put(
            spelling.record_uri(one.id),
            "CreateAction",
            name=spelling.title(value),
            description=text(value.reason or command) or "made elsewhere",
            startTime=spelling.started(value),
            endTime=spelling.finished(value),
            instrument=self._instrument(value),
            agent=self._agent(value),
            object=[*map(self._content, value.inputs), *self._params(one)],
            result=[*map(self._content, value.outputs), *self._metrics(one)],
            environment=self._environment(one),
            containerImage=text(value.env.container),
            actionStatus={"@id": f"http://schema.org/{status}"},
            error=error,
        )

    def _content(self, item: Item) -> dict[str, str]:
        tree = item.kind == "tree"
        guessed = mimetypes.guess_type(text(item.path))[0] or "application/octet-stream"
        return self._put(
            format_oid(item.oid) + "/" * tree,
            "Dataset" if tree else "File",
            encodingFormat="" if tree else guessed,
            name=text(item.path),
            description=f"{text(item.role) or 'content'}, kept by dver",
            identifier=format_oid(item.oid),
            contentSize=str(item.size),
        )

    def _instrument(self, value: Record) -> dict[str, str]:
        version = spelling.commit_of(value) or value.code.tree or "unknown"
        repository = spelling.repository(value)
        return self._put(
            f"#code-{version}-{spelling.uri_path(spelling.title(value))}",
            "SoftwareApplication",
            name=spelling.title(value),
            description="the code as it was when it ran",
            softwareVersion=version,
            url=repository if "://" in repository else "",
        )

    def _agent(self, value: Record) -> dict[str, str]:
        name = spelling.whoever(value)
        if not name:
            return self._put("#somebody", "Person", name="not recorded")
        who = value.actor.email or value.actor.user or name
        return self._put(
            f"#person-{spelling.uri_path(who)}", "Person", name=name, email=text(value.actor.email)
        )

    def _values(self, one: Recorded, what: str, pairs: dict[str, str]) -> list[dict[str, str]]:
        return [
            self._put(
                f"#{what}-{one.id.hex()[:16]}-{spelling.uri_path(name)}",
                "PropertyValue",
                name=text(name),
                value=text(found),
            )
            for name, found in pairs.items()
        ]

    def _params(self, one: Recorded) -> list[dict[str, str]]:
        return self._values(one, "param", {param.key: param.value for param in one.value.params})

    def _metrics(self, one: Recorded) -> list[dict[str, str]]:
        return self._values(one, "metric", {m.name: m.value for m in one.value.metrics})

    def _environment(self, one: Recorded) -> list[dict[str, str]]:
        env = one.value.env
        pairs = {f"python {key}": found for key, found in env.python.items()}
        pairs |= {f"system {key}": found for key, found in env.system.items()}
        pairs |= {f"cpu {key}": found for key, found in env.cpu.items()}
        for n, gpu in enumerate(env.gpus):
            pairs |= {f"gpu {n} {key}": found for key, found in gpu.items()}
        return self._values(one, "env", {**pairs, **env.vars, **one.value.seeds})
