"""The versions that git records, and what each of them loses when something is damaged."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, FormatError, MissingContentError
from dver.base.oid import Oid
from dver.base.quoting import show
from dver.formats import tree
from dver.formats.pack import LIST_KINDS
from dver.formats.pointer import Pointer
from dver.git import pointers
from dver.git.history import history
from dver.ops.targets.target import decode_at, read_pointer
from dver.repo import Repo
from dver.store import walk
from dver.store.affected import Affected as Tracer
from dver.store.fsck import Problem
from dver.store.store import Store

#: So many files of a version are named, and the others counted.
SHOWN_FILES = 10


@dataclass(frozen=True, slots=True)
class Affected:
    """A version that a problem takes away: the data's path, and the commit if it is committed.

    Of a directory ``files`` are the first of the paths in it that cannot be had, one that ends with
    a slash standing for all below it; ``more_files`` counts the others.
    """

    path: str
    commit: str | None
    files: tuple[str, ...] = ()
    more_files: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: its kind, the key or path it is at, what it costs.

    ``lost`` counts objects and chunks; ``affected`` lists versions that need one of them.
    """

    what: str
    where: str
    detail: str
    lost: int
    affected: tuple[Affected, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of some data: where it was, what it is; ``commit`` None is the workspace."""

    path: bytes
    commit: str | None
    pointer: Pointer


def versions(repo: Repo) -> tuple[list[Version], list[Finding]]:
    """Return every version in history and in the workspace, and the pointers that are broken."""
    found: list[Version] = []
    findings: list[Finding] = []
    revs = ["--all", *(["HEAD"] if repo.git.head() else [])]
    changes = [change for change in history(repo.git, revs) if change.blob]
    contents = pointers.read_blobs(repo.git, [change.blob for change in changes if change.blob])
    for change in changes:
        data = contents[change.blob or ""]
        try:
            one = decode_at(pointers.data_path(change.path), data)
        except FormatError as error:
            where = committed_at(change.commit.id, change.path)
            findings.append(Finding("pointer-broken", where, error.message, 0, ()))
            continue
        found.append(Version(pointers.data_path(change.path), change.commit.id, one))
    for file in pointers.in_workspace(repo.git):
        try:
            here = read_pointer(repo.absolute(file.path))
            if here is None:
                continue
            one = decode_at(pointers.data_path(file.path), here)
        except FormatError as error:
            where = repo.display(file.path)
            findings.append(Finding("pointer-broken", where, error.message, 0, ()))
            continue
        found.append(Version(pointers.data_path(file.path), None, one))
    return found, findings


def committed_at(commit: str, path: bytes) -> str:
    """Return how a committed file is named in a finding."""
    return f"{commit[:10]}:{os.fsdecode(path)}"


def false_claims(repo: Repo, store: Store, recorded: Sequence[Version]) -> Iterator[Finding]:
    """Yield the pointers whose size or number of files is not that of their content.

    What is missing or damaged says nothing here: that is a finding of its own.
    """
    told: dict[Pointer, str | None] = {}
    for one in recorded:
        pointer = one.pointer
        if pointer not in told:
            try:
                told[pointer] = _false_claim(store, pointer)
            except (CorruptError, MissingContentError):
                told[pointer] = None
        detail = told[pointer]
        if detail is not None:
            file = pointers.pointer_path(one.path)
            where = committed_at(one.commit, file) if one.commit else repo.display(file)
            yield Finding("pointer-false", where, detail, 0, ())


def _false_claim(store: Store, pointer: Pointer) -> str | None:
    if pointer.kind != "tree":
        size = store.size(pointer.oid)
        return None if size == pointer.size else _told(pointer.size, size, "bytes")
    size, files = tree.totals(store.read(pointer.oid))
    if size != pointer.size:
        return _told(pointer.size, size, "bytes")
    return None if files == pointer.files else _told(pointer.files, files, "files")


def false_sizes(repo: Repo, store: Store, recorded: Sequence[Version]) -> Iterator[Finding]:
    """Yield the directories that say other sizes than what they name has, each distinct one once.

    What is missing or damaged says nothing here.
    """
    seen: set[Oid] = set()
    sizes: dict[Oid, int] = {}
    claims: dict[tuple[Oid, int], tuple[Version, bytes]] = {}
    for version in recorded:
        if version.pointer.kind != "tree":
            continue
        with contextlib.suppress(CorruptError, MissingContentError):
            tops = [version.pointer.oid]
            for oid, listed in walk.distinct(store, tops, seen=seen, missing=lambda _: None):
                sizes[oid] = listed.size
                for i in walk.directories(listed):
                    claim = listed.oid(i), listed.sizes[i]
                    claims.setdefault(claim, (version, listed.names[i]))
                for name, claimed, real in _false_files(store, listed):
                    yield _false_size(repo, version, name, claimed, real)
    for (oid, claimed), (version, name) in claims.items():
        if sizes.get(oid, claimed) != claimed:
            yield _false_size(repo, version, name, claimed, sizes[oid])


def _false_files(store: Store, listed: tree.Tree) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, claimed size, real size) of the files that a tree tells wrong sizes of."""
    places = store.index.places(
        listed.oid(i) for i, kind in enumerate(listed.kinds) if kind != tree.DIRECTORY
    )
    for i, kind in enumerate(listed.kinds):
        place = places.get(listed.oid(i)) if kind != tree.DIRECTORY else None
        if place is None:
            continue
        real = place.raw
        if place.kind in LIST_KINDS:
            try:
                real = store.size(listed.oid(i))
            except (CorruptError, MissingContentError):
                continue
        if real != listed.sizes[i]:
            yield listed.names[i], listed.sizes[i], real


def _false_size(repo: Repo, version: Version, name: bytes, claimed: int, real: int) -> Finding:
    where = repo.display(version.path)
    if version.commit:
        where = f"{version.commit[:10]}:{where}"
    detail = f"of {show(name)} in it, {_told(claimed, real, 'bytes')}"
    return Finding("tree-false", where, detail, 0, ())


def _told(claimed: int, real: int, unit: str) -> str:
    return f"it says {claimed:,} {unit}, and its content has {real:,}"


def explain(
    repo: Repo, store: Store, recorded: Sequence[Version], problems: Iterable[Problem]
) -> Iterator[Finding]:
    """Turn problems into findings that name the versions they take away, and the files in them."""
    told = list(problems)
    tracer = Tracer(store, [problem.oids for problem in told], shown=SHOWN_FILES)
    affected: list[list[Affected]] = [[] for _ in told]
    for version in recorded if any(problem.oids for problem in told) else ():
        for number, harm in tracer.of(version.pointer.oid, version.pointer.kind).items():
            inside = [path for path in harm.paths if path]
            files = tuple(_shown(repo, version.path + b"/" + path) for path in inside)
            # A file by itself, or the listing of the whole directory, is named by its own path.
            more = harm.count - len(files) if inside else 0
            affected[number].append(
                Affected(repo.display(version.path), version.commit, files, more)
            )
    for problem, found in zip(told, affected, strict=True):
        yield Finding(problem.what, problem.key, problem.detail, len(problem.oids), tuple(found))


def _shown(repo: Repo, path: bytes) -> str:
    return repo.display(path.rstrip(b"/")) + ("/" if path.endswith(b"/") else "")


def needed_files(
    store: Store, recorded: Sequence[Version], lost: Sequence[Oid], most: int
) -> Iterator[tuple[Version, tuple[bytes, ...]]]:
    """Yield the distinct versions that need something lost, each with the paths inside it.

    With more than ``most`` paths, or if its own listing is lost, all of a version is meant: ().
    """
    tracer = Tracer(store, [lost], shown=most + 1)
    seen: set[tuple[Oid, str]] = set()
    for version in recorded:
        key = (version.pointer.oid, version.pointer.kind)
        harm = tracer.of(*key).get(0) if key not in seen else None
        seen.add(key)
        if harm is not None:
            inside = tuple(path.rstrip(b"/") for path in harm.paths)
            yield version, () if len(inside) > most or b"" in inside else inside
