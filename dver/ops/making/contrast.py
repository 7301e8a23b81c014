"""Put runs side by side, and say what differs between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import UsageError
from dver.formats.record import Record
from dver.lineage.compared import Difference, changed_code, changed_files, table
from dver.lineage.index import LineageIndex
from dver.ops.making.maker import find, maker_of

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class ContrastOptions:
    """Which runs: ``PATH[@REV]``, records' ids, or files, two or more.

    ``all`` tells what does not differ as well; ``files`` names the files that differ.
    """

    targets: tuple[str, ...]
    all: bool = False
    files: bool = False


@dataclass(frozen=True, slots=True)
class ContrastResult:
    """Runs side by side: ``records`` are their ids, in the order of the targets."""

    targets: tuple[str, ...]
    records: tuple[str, ...]
    rows: tuple[Difference, ...]
    files: tuple[str, ...]
    code: tuple[str, ...]


def contrast(repo: Repo, options: ContrastOptions) -> ContrastResult:
    """Compare the runs that made some things. Raises NotFoundError for what no record knows."""
    if len(options.targets) < 2:
        raise UsageError("there must be two things to compare", hint="dver compare A B")
    ids: list[str] = []
    records: list[Record] = []
    with LineageIndex(repo) as index:
        for target in options.targets:
            record_id, value = maker_of(repo, index, find(repo, index, target))
            ids.append(record_id.hex())
            records.append(value)
    rows = table(repo, records)
    kept = tuple(row for row in rows if options.all or not row.same or row.kind == "metrics")
    files: list[str] = []
    code: list[str] = []
    if options.files and len(records) == 2:
        files = _files(repo, records)
        code = changed_code(repo, records[0], records[1])
    return ContrastResult(options.targets, tuple(ids), kept, tuple(files), tuple(code))


def _files(repo: Repo, records: Sequence[Record]) -> list[str]:
    one, other = (
        {item.path: item for item in value.inputs if item.source != "git"} for value in records
    )
    found: list[str] = []
    for path in sorted(one.keys() & other.keys()):
        before, after = one[path], other[path]
        if before.oid != after.oid:
            found += changed_files(repo, before, after) or [f"changed {path}"]
    found += [f"gone {path}" for path in sorted(one.keys() - other.keys())]
    return found + [f"new {path}" for path in sorted(other.keys() - one.keys())]
