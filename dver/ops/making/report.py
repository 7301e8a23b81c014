"""What a change does to data, to numbers, and to how things were made: for whoever reviews it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from dver.base.dataclass import dataclass
from dver.base.errors import ConfigError, DverError, MissingContentError, NotFoundError, RemoteError
from dver.base.oid import Oid, parse_oid
from dver.base.reporter import Reporter
from dver.formats.record import Record
from dver.formats.tree import Tree
from dver.lineage.compared import Difference, table
from dver.lineage.index import LineageIndex
from dver.ops.data.diff import DiffOptions, DiffResult, TargetChange, diff
from dver.ops.making.maker import Asked, maker_of
from dver.ops.making.recordedvalues import ValueChange, diff_values
from dver.ops.targets.sources import RemoteBehind

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """The versions to compare: two, ``A..B``, or ``A...B``; one alone is compared with HEAD.

    ``remote`` is where listings of directories are read from that are not here (the default one
    if None); content is never fetched.
    """

    revisions: tuple[str, ...]
    paths: tuple[str, ...] = ()
    remote: str | None = None


@dataclass(frozen=True, slots=True)
class Making:
    """How the new version of some data was made, and what is different about that.

    ``record`` is the id of the record that made the new version and ``old_record`` that of the old
    version, each "" if no record tells. ``command`` and ``step`` are what ran. ``differences``
    compares the two, if both are known.
    """

    path: str
    record: str
    old_record: str
    step: str
    command: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class ReportResult:
    """The answer: ``data`` file by file, and what records tell of the rest.

    ``unexplained`` are the paths that a record told of before, and none tells of now.
    """

    old: str
    new: str
    data: DiffResult
    metrics: tuple[ValueChange, ...]
    params: tuple[ValueChange, ...]
    made: tuple[Making, ...]
    unexplained: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether anything differs; the command's ``--exit-code`` is 1 then."""
        return bool(self.data.targets or self.metrics or self.params)


def report(repo: Repo, options: ReportOptions, reporter: Reporter) -> ReportResult:
    """Compare two versions for a review. Nothing is written, and no content fetched.

    Raises NotFoundError for an unknown revision or path. A remote that does not answer costs the
    lists of files, with a warning, and nothing else.
    """
    old, new = _sides(repo, options.revisions)
    asked = DiffOptions((old, new), options.paths)
    with _Listings(repo, options.remote, reporter) as source:
        data = diff(repo, asked, reporter, source=source)
    with LineageIndex(repo) as index:
        told = [_making(repo, index, target) for target in data.targets]
    made = tuple(one for one in told if one is not None)
    return ReportResult(
        old,
        new,
        data,
        diff_values(repo, "metrics", (old, new)).changes,
        diff_values(repo, "params", (old, new)).changes,
        tuple(one for one in made if one.record),
        tuple(one.path for one in made if not one.record),
    )


def _sides(repo: Repo, revisions: tuple[str, ...]) -> tuple[str, str]:
    if len(revisions) == 2:
        return revisions[0], revisions[1]
    left, dots, right = revisions[0].partition("...")
    if dots:
        span = repo.git.resolve_range(revisions[0])
        if not span.exclude:
            raise NotFoundError(f"{left or 'HEAD'} and {right or 'HEAD'} have no common history")
        return span.exclude[0], right or "HEAD"
    left, dots, right = revisions[0].partition("..")
    if dots:
        return left or "HEAD", right or "HEAD"
    return revisions[0], "HEAD"


class _Listings:
    """The listings of directories that are here, and those of a remote if it lets them be read."""

    def __init__(self, repo: Repo, remote: str | None, reporter: Reporter) -> None:
        self._behind = RemoteBehind(repo, remote)
        self._here = RemoteBehind(repo, local_only=True)
        self._reporter = reporter
        self._given_up = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._behind.close()

    def read_tree(self, oid: Oid) -> Tree:
        """Return a tree. Raises MissingContentError if it cannot be had, for whatever reason."""
        if self._given_up:
            return self._here.read_tree(oid)
        try:
            return self._behind.read_tree(oid)
        except (RemoteError, ConfigError) as error:
            self._given_up = True
            self._reporter.warn(f"files are not listed: {error.message}", hint=error.hint)
            raise MissingContentError(error.message, hint=error.hint) from error


def _making(repo: Repo, index: LineageIndex, target: TargetChange) -> Making | None:
    """Return how a target was made; None if no record tells of either version of it."""
    before = _maker(repo, index, target.old_path or target.path, target.old_oid)
    after = _maker(repo, index, target.path, target.new_oid)
    if target.change in ("removed", "renamed") or (before is None and after is None):
        return None
    old = "" if before is None else before[0].hex()
    if after is None:
        return Making(target.path, "", old, "", "", ())
    record_id, value = after
    differences: Iterator[Difference] = iter(())
    if before is not None and before[0] != record_id:
        rows = table(repo, [before[1], value])
        differences = (row for row in rows if not row.same and row.kind != "metrics")
    command = "" if value.command is None else " ".join(value.command.argv)
    return Making(target.path, record_id.hex(), old, value.step, command, tuple(differences))


def _maker(
    repo: Repo, index: LineageIndex, path: str, oid: str | None
) -> tuple[Oid, Record] | None:
    if oid is None:
        return None
    try:
        return maker_of(repo, index, Asked(path, parse_oid(oid), None, path))
    except DverError:
        return None
