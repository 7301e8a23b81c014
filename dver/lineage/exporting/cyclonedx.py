"""CycloneDX 1.6 as an ML-BOM: https://cyclonedx.org/docs/1.6/json/.

The model, the data and the packages that it was made of, and how these depend on each other. What
lies further upstream is in it as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import dver
from dver.base.oid import Oid, format_oid
from dver.formats.record import Item, Record
from dver.lineage.environment import versions_of
from dver.lineage.exporting import spelling
from dver.lineage.exporting.contents import Contents, digests, main_output
from dver.lineage.exporting.spelling import Recorded, filled, text

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_ALGORITHMS = {"sha256": "SHA-256", "blake3": "BLAKE3"}
#: What inputs of some roles are; the model did not learn from those.
_DATA = {"config": "configuration", "code": "source-code"}


def bom(
    main: Recorded, records: Sequence[Recorded], contents: Contents, wanted: Oid | None = None
) -> dict[str, Any]:
    """Return the bill of materials of what one record made; ``records`` are all upstream.

    ``wanted`` says which of several outputs it is about.
    """
    return _Bom(main, records, contents, wanted).build()


class _Bom:
    """Components by reference, each named once."""

    def __init__(
        self, main: Recorded, records: Sequence[Recorded], contents: Contents, wanted: Oid | None
    ) -> None:
        self._main = main
        self._records = records
        self._contents = contents
        self._output = main_output(main.value.outputs, wanted)
        self._components: dict[str, dict[str, Any]] = {}
        self._depends: dict[str, dict[str, None]] = {}

    def build(self) -> dict[str, Any]:
        value = self._main.value
        for one in self._records:
            self._take(one)
        about = self._about(value)
        self._components.pop(about["bom-ref"], None)
        return {
            "$schema": SCHEMA,
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{spelling.record_uuid(self._main.id)}",
            "version": 1,
            "metadata": {
                "timestamp": value.created,
                "tools": {
                    "components": [
                        {"type": "application", "name": "dver", "version": dver.__version__}
                    ]
                },
                "component": about,
                "properties": _properties(
                    {
                        "dver:record": format_oid(self._main.id),
                        "dver:commit": value.code.commit,
                        "dver:tree": value.code.tree,
                        "dver:dirty": str(value.code.dirty).lower(),
                    }
                ),
            },
            "components": list(self._components.values()),
            "dependencies": [
                {"ref": ref, "dependsOn": list(below)} for ref, below in self._depends.items()
            ],
        }

    def _take(self, one: Recorded) -> None:
        """Add what a record read and made; each output depends on each input."""
        value = one.value
        below = [self._content(item) for item in value.inputs]
        below += self._packages(value)
        code = self._code(value)
        below += [code] if code else []
        for ref in below:
            self._depends.setdefault(ref, {})
        for item in value.outputs:
            mine = self._depends.setdefault(self._content(item), {})
            mine |= dict.fromkeys(ref for ref in below if ref != format_oid(item.oid))

    def _put(self, ref: str, kind: str, **fields: Any) -> str:
        self._components.setdefault(ref, {"type": kind, "bom-ref": ref, **filled(**fields)})
        return ref

    def _content(self, item: Item) -> str:
        kind = "machine-learning-model" if item.role == "model" else "data"
        data = []
        if kind == "data":
            what = _DATA.get(item.role, "dataset")
            data = [filled(type=what, name=text(item.path), classification=text(item.role))]
        return self._put(
            format_oid(item.oid),
            kind,
            name=text(item.path),
            hashes=self._hashes(item),
            data=data,
            properties=_properties(
                {
                    "dver:oid": format_oid(item.oid),
                    "dver:kind": item.kind,
                    "dver:role": text(item.role),
                    "dver:size": str(item.size),
                }
            ),
        )

    def _hashes(self, item: Item) -> list[dict[str, str]]:
        if item.kind == "tree":
            return []  # its oid is the hash of a listing, not of the component's bytes
        found = digests(self._contents, item.oid)
        return [{"alg": _ALGORITHMS[name], "content": digest} for name, digest in found.items()]

    def _packages(self, value: Record) -> list[str]:
        oid = value.env.packages
        data = self._contents.read(oid) if oid is not None else None
        refs = []
        for name, version in versions_of(data or b"").items():
            plain, _, origin = version.partition(" ")
            purl = f"pkg:pypi/{quote(name)}@{quote(plain, safe='')}"
            note = _properties({"dver:installed": origin.strip("() ")})
            refs.append(
                self._put(purl, "library", name=name, version=plain, purl=purl, properties=note)
            )
        return refs

    def _code(self, value: Record) -> str:
        version = spelling.commit_of(value) or value.code.tree
        if not version:
            return ""
        url = spelling.repository(value)
        where = [{"type": "vcs", "url": url}] if "://" in url else []
        return self._put(
            f"git:{version}",
            "application",
            name=url.rstrip("/").rpartition("/")[2].rpartition(":")[2] or "code",
            version=version,
            externalReferences=where,
        )

    def _about(self, value: Record) -> dict[str, Any]:
        item = self._output
        if item is None:
            raise ValueError("the record made nothing")
        component = self._components[self._content(item)]
        if component["type"] == "machine-learning-model":
            component["modelCard"] = self._card(value)
        return component

    def _card(self, value: Record) -> dict[str, Any]:
        learnt = [item for item in value.inputs if item.role not in _DATA]
        datasets = [{"ref": format_oid(item.oid)} for item in learnt]
        metrics = [
            {"type": text(metric.name), "value": text(metric.value)} for metric in value.metrics
        ]
        params = {f"dver:param:{one.key}": text(one.value) for one in value.params}
        return filled(
            modelParameters=filled(datasets=datasets),
            quantitativeAnalysis=filled(performanceMetrics=metrics),
            properties=_properties(params),
        )


def _properties(pairs: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": text(name), "value": found} for name, found in pairs.items() if found]
