"""What made something, and what was made with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from dver.base.dataclass import dataclass
from dver.base.errors import NotFoundError
from dver.base.oid import Oid, format_oid
from dver.base.quoting import show
from dver.lineage.graph import Edge, Graph, Walker
from dver.lineage.index import LineageIndex
from dver.ops.making.maker import Asked, find
from dver.ops.making.remoterecords import asking

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class LineageOptions:
    """Of what to tell the lineage: ``PATH[@REV]``, a record's id, an oid, or a file on disk.

    ``down`` asks what was made with it, else what made it. ``depth`` bounds how many records lie
    one behind the other. ``remote`` names a remote whose records count as well; without it the
    default one is asked only if the records of git have no answer.
    """

    target: str
    down: bool = False
    depth: int | None = None
    remote: str | None = None


@dataclass(frozen=True, slots=True)
class LineageObject:
    """Some content: its oid in text form, whether it is a file or a tree, its size in bytes."""

    oid: str
    kind: str
    size: int
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LineageRecord:
    """One record: what ran, when (UTC), of which commit, how it ended, who recorded it.

    ``claimed`` are its fields that somebody stated and dver did not see; ``author`` and ``made``
    are then who made it, and when. ``remote`` is the one that has it, if git here does not.
    """

    id: str
    kind: str
    step: str
    command: tuple[str, ...]
    created: str
    commit: str
    dirty: bool
    exit: int | None
    actor: str
    reason: str
    metrics: Mapping[str, str]
    claimed: tuple[str, ...] = ()
    author: str = ""
    made: str = ""
    remote: str = ""


@dataclass(frozen=True, slots=True)
class LineageEdge:
    """An object is an ``input`` of a record or an ``output``; ``role`` as it was recorded.

    ``origin`` is the place and version that an input had been imported from, "" if it was not.
    """

    object: str
    record: str
    kind: Literal["input", "output"]
    role: str
    path: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class LineageResult:
    """What a walk found. ``start`` are the objects it began with, oids in text form.

    ``inside`` names for an object the recorded directories that hold it. ``complete`` is false
    if there is more than was walked. What no record names is not known: data may have been
    used without any.
    """

    target: str
    down: bool
    start: tuple[str, ...]
    objects: tuple[LineageObject, ...]
    records: tuple[LineageRecord, ...]
    edges: tuple[LineageEdge, ...]
    inside: Mapping[str, tuple[str, ...]]
    complete: bool


def lineage(repo: Repo, options: LineageOptions) -> LineageResult:
    """Walk the records of all refs, from something up to what made it, or down.

    Raises NotFoundError for what is unknown, or if no record names it, and RemoteError if a remote
    that was named cannot be asked.
    """
    with LineageIndex(repo) as index:
        walker = Walker(index, repo.store)
        graph = asking(
            repo,
            index,
            options.target,
            options.remote,
            lambda: _walked(walker, find(repo, index, options.target), options),
            always=True,
        )
        origins = index.origins(graph.records)
        plains = list(index.plain(graph.records))
    records = tuple(_told(one, plain, origins.get(one, "")) for one, plain in plains)
    imported = {
        (one, item["path"]): item["origin"]
        for one, plain in plains
        for item in plain.get("inputs", ())
        if "origin" in item
    }
    return LineageResult(
        options.target,
        options.down,
        tuple(map(format_oid, graph.start)),
        tuple(
            LineageObject(format_oid(one.oid), one.kind, one.size, one.paths)
            for one in graph.objects.values()
        ),
        records,
        tuple(
            _edge(one, "" if one.output else imported.get((one.record, one.path), ""))
            for one in graph.edges
        ),
        {format_oid(one): tuple(map(format_oid, two)) for one, two in graph.inside.items()},
        not graph.cut,
    )


def _walked(walker: Walker, asked: Asked, options: LineageOptions) -> Graph:
    graph = walk(walker, asked, options)
    if graph.records:
        return graph
    if options.down:
        raise NotFoundError(
            f"no record says that anything was made with {show(options.target)}",
            hint="'dver run -d PATH -- COMMAND' records what a command reads",
        )
    raise NotFoundError(
        f"no record says what made {show(options.target)}",
        hint="'dver run -o PATH -- COMMAND' records what a command makes",
    )


def walk(walker: Walker, asked: Asked, options: LineageOptions) -> Graph:
    """Walk up or down from what was asked for."""
    if asked.record is not None:
        return walker.from_record(asked.record, options.depth, down=options.down)
    start = [asked.oid] if asked.oid is not None else []
    if options.down:
        return walker.down(start, options.depth)
    return walker.up(start, options.depth)


def _told(record_id: Oid, plain: Mapping[str, Any], origin: str) -> LineageRecord:
    """Return what is told of a record, which was found to be sound when it was indexed."""
    code, actor, claim = (plain.get(name, {}) for name in ("code", "actor", "claim"))
    author = claim.get("author", {})
    return LineageRecord(
        record_id.hex(),
        plain["kind"],
        plain.get("step", ""),
        tuple(plain.get("command", {}).get("argv", ())),
        plain["created"],
        code.get("commit", ""),
        code.get("dirty", False),
        plain["run"]["exit"] if "run" in plain else None,
        actor.get("name", "") or actor.get("user", ""),
        plain.get("reason", ""),
        {one["name"]: one["value"] for one in plain.get("metrics", ())},
        tuple(claim.get("fields", ())),
        author.get("name", "") or author.get("email", ""),
        claim.get("made", ""),
        origin,
    )


def _edge(one: Edge, origin: str) -> LineageEdge:
    kind: Literal["input", "output"] = "output" if one.output else "input"
    return LineageEdge(format_oid(one.oid), one.record.hex(), kind, one.role, one.path, origin)
