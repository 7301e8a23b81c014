"""Lineage in the languages of others: which records a document is about, and in what form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from dver.base.dataclass import dataclass
from dver.base.errors import NotFoundError, UsageError
from dver.base.oid import Oid
from dver.base.quoting import show
from dver.formats.record import Record
from dver.lineage.exporting.contents import Contents, StoreContents
from dver.lineage.exporting.spelling import Recorded
from dver.lineage.graph import Walker
from dver.lineage.index import LineageIndex
from dver.ops.making.lineage import LineageOptions, walk
from dver.ops.making.maker import Asked, find, maker_of
from dver.ops.making.remoterecords import asking

if TYPE_CHECKING:
    from dver.repo import Repo

Standard = Literal["in-toto", "slsa", "openlineage", "ro-crate", "cyclonedx", "prov", "mlflow"]
STANDARDS: tuple[Standard, ...] = get_args(Standard)
#: What these say is about one record, or what lies behind it; of others ``down`` may be asked.
UPWARD: tuple[Standard, ...] = ("in-toto", "slsa", "cyclonedx", "mlflow")


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Of what to tell the lineage, and how; ``down``, ``depth`` and ``remote`` as for lineage."""

    target: str
    standard: Standard
    down: bool = False
    depth: int | None = None
    remote: str | None = None


@dataclass(frozen=True, slots=True)
class ExportResult:
    """Documents of a standard, each plain JSON. All but OpenLineage give one."""

    target: str
    format: Standard
    documents: tuple[Mapping[str, Any], ...]


def export(repo: Repo, options: ExportOptions) -> ExportResult:
    """Return the lineage of something as documents of a standard.

    SHA-256 sums are taken of bytes that the local store has. Raises NotFoundError as lineage does,
    and UsageError for what a standard has no words for.
    """
    if options.down and options.standard in UPWARD:
        raise UsageError(
            f"{options.standard} tells what made something, not what was made with it",
            hint="openlineage, ro-crate and prov take --down",
        )
    with LineageIndex(repo) as index:

        def make() -> _Documents:
            asked = find(repo, index, options.target)
            return _MAKERS[options.standard](_Found(repo, index, asked, options))

        documents = asking(repo, index, options.target, options.remote, make, always=True)
    return ExportResult(options.target, options.standard, documents)


class _Found:
    """What a document may be about; looked up when it is asked for."""

    def __init__(
        self, repo: Repo, index: LineageIndex, asked: Asked, options: ExportOptions
    ) -> None:
        self._repo = repo
        self._index = index
        self.asked = asked
        self.options = options

    def contents(self) -> Contents:
        """Return where bytes are."""
        return StoreContents(self._repo.store)

    def main(self) -> Recorded:
        """Return the one record that made what was asked for, or that was asked for itself."""
        record_id, value = maker_of(self._repo, self._index, self.asked)
        return self._recorded(record_id, value)

    def maker(self) -> Recorded:
        """Return that record if it made something."""
        one = self.main()
        if not one.value.outputs:
            raise NotFoundError(
                f"the record {one.id.hex()[:10]} made nothing that"
                f" {self.options.standard} could be about",
                hint="openlineage, ro-crate, prov and mlflow tell of failed runs as well",
            )
        return one

    def graph(self) -> list[Recorded]:
        """Return all records that a walk finds, oldest first."""
        options = LineageOptions(self.options.target, self.options.down, self.options.depth)
        graph = walk(Walker(self._index, self._repo.store), self.asked, options)
        if not graph.records:
            raise NotFoundError(f"no record tells of {show(self.options.target)}")
        read = [(one, self._index.record(one)) for one in graph.records]
        found = [self._recorded(one, value) for one, value in read if value is not None]
        return sorted(found, key=lambda one: (one.value.created, one.id))

    def original(self, one: Recorded) -> Recorded | None:
        """Return the record that a verdict is about."""
        for parent in one.value.parents:
            if parent.why == "reproduces" and re.fullmatch("[0-9a-f]{64}", parent.id):
                record_id = Oid(bytes.fromhex(parent.id))
                value = self._index.record(record_id)
                if value is not None:
                    return self._recorded(record_id, value)
        return None

    def _recorded(self, record_id: Oid, value: Record) -> Recorded:
        data = self._index.data(record_id)
        if data is None:
            raise NotFoundError(f"there is no record {record_id.hex()[:10]}")
        return Recorded(record_id, value, data)


_Documents = tuple[Mapping[str, Any], ...]


def _in_toto(found: _Found) -> _Documents:
    from dver.lineage.exporting import intoto

    one = found.main()
    original = found.original(one) if one.value.verdict is not None else None
    if original is not None:
        return (intoto.test_result(one, original, found.contents()),)
    return (intoto.statement(one, found.contents()),)


def _slsa(found: _Found) -> _Documents:
    from dver.lineage.exporting import slsa

    return (slsa.provenance(found.maker(), found.contents()),)


def _openlineage(found: _Found) -> _Documents:
    from dver.lineage.exporting import openlineage

    return tuple(openlineage.events(found.graph()))


def _ro_crate(found: _Found) -> _Documents:
    from dver.lineage.exporting import rocrate

    return (rocrate.crate(found.options.target, found.graph()),)


def _cyclonedx(found: _Found) -> _Documents:
    from dver.lineage.exporting import cyclonedx

    main = found.maker()
    records = {one.id: one for one in (main, *found.graph())}
    made = list(records.values())
    return (cyclonedx.bom(main, made, found.contents(), found.asked.oid),)


def _prov(found: _Found) -> _Documents:
    from dver.lineage.exporting import prov

    return (prov.document(found.graph()),)


def _mlflow(found: _Found) -> _Documents:
    from dver.lineage.exporting import mlflow

    return (mlflow.run(found.main()),)


_MAKERS: Mapping[Standard, Callable[[_Found], _Documents]] = {
    "in-toto": _in_toto,
    "slsa": _slsa,
    "openlineage": _openlineage,
    "ro-crate": _ro_crate,
    "cyclonedx": _cyclonedx,
    "prov": _prov,
    "mlflow": _mlflow,
}
