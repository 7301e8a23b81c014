"""W3C PROV as PROV-JSON: https://www.w3.org/submissions/prov-json/.

Content is an entity, a record an activity, who recorded it an agent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dver.formats.record import Item, Record
from dver.lineage.exporting import spelling
from dver.lineage.exporting.spelling import Recorded, filled, text

PREFIXES = {
    "blake3": "urn:blake3:",
    "record": "urn:dver:record:blake3:",
    "git": "urn:git:",
    "who": "urn:dver:actor:",
    "dver": "urn:dver:",
}


def document(records: Iterable[Recorded]) -> dict[str, Any]:
    """Return the PROV document of some records."""
    found = _Document()
    for one in records:
        found.take(one)
    return found.build()


class _Document:
    """A document as it comes together; relations are numbered."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, dict[str, Any]]] = {}
        self._relations = 0

    def build(self) -> dict[str, Any]:
        return {"prefix": PREFIXES, **self._parts}

    def take(self, one: Recorded) -> None:
        value = one.value
        activity = f"record:{one.id.hex()}"
        self._put(
            "activity",
            activity,
            {
                "prov:startTime": spelling.started(value),
                "prov:endTime": spelling.finished(value),
                "prov:label": spelling.title(value),
                **_facts(value),
            },
        )
        for item in value.inputs:
            self._relate("used", activity, self._content(item), item)
        code = self._code(value)
        if code:
            self._relate("used", activity, code, None, "code")
        for item in value.outputs:
            self._relate("wasGeneratedBy", activity, self._content(item), item)
        agent = self._agent(value)
        if agent:
            self._add("wasAssociatedWith", {"prov:activity": activity, "prov:agent": agent})
        for parent in value.parents:
            informant = f"record:{parent.id}"
            self._put("activity", informant, {})
            self._add(
                "wasInformedBy",
                {
                    "prov:informed": activity,
                    "prov:informant": informant,
                    "dver:why": parent.why,
                },
            )

    def _put(self, part: str, name: str, facts: dict[str, Any]) -> str:
        """Declare something; what is known of it already is kept."""
        known = self._parts.setdefault(part, {}).setdefault(name, {})
        for key, fact in facts.items():
            known.setdefault(key, fact)
        return name

    def _add(self, part: str, facts: dict[str, Any]) -> None:
        self._relations += 1
        self._parts.setdefault(part, {})[f"_:r{self._relations}"] = facts

    def _relate(
        self, part: str, activity: str, entity: str, item: Item | None, role: str = ""
    ) -> None:
        facts = filled(
            **{
                "prov:activity": activity,
                "prov:entity": entity,
                "prov:role": text(item.role) if item is not None else role,
                "dver:path": text(item.path) if item is not None else "",
            }
        )
        self._add(part, facts)

    def _content(self, item: Item) -> str:
        facts = {"prov:label": text(item.path), "dver:kind": item.kind, "dver:size": item.size}
        if item.kind == "tree":
            facts["prov:type"] = {"$": "prov:Collection", "type": "prov:QUALIFIED_NAME"}
        return self._put("entity", f"blake3:{item.oid.hex()}", facts)

    def _code(self, value: Record) -> str:
        name = spelling.commit_of(value) or value.code.tree
        if not name:
            return ""
        facts = filled(
            **{
                "prov:label": "code",
                "dver:tree": value.code.tree,
                "dver:repository": spelling.repository(value),
            }
        )
        return self._put("entity", f"git:{name}", facts)

    def _agent(self, value: Record) -> str:
        actor = value.actor
        who = actor.email or actor.user or actor.name
        if not who:
            return ""
        kind = "prov:SoftwareAgent" if actor.ci else "prov:Person"
        return self._put(
            "agent",
            f"who:{spelling.uri_path(who)}",
            {
                "prov:type": {"$": kind, "type": "prov:QUALIFIED_NAME"},
                "prov:label": spelling.whoever(value),
            },
        )


def _facts(value: Record) -> dict[str, Any]:
    command = " ".join(value.command.argv) if value.command is not None else ""
    facts: dict[str, Any] = filled(
        **{
            "dver:command": text(command),
            "dver:reason": text(value.reason),
            "dver:host": text(value.actor.host),
        }
    )
    if value.run is not None:
        facts["dver:exit"] = value.run.exit
    params = [text(f"{one.key}={one.value}") for one in value.params]
    metrics = [text(f"{one.name}={one.value}") for one in value.metrics]
    return facts | filled(**{"dver:param": params, "dver:metric": metrics})
