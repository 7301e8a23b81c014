"""What differs between runs, by class: data, code, parameters, environment, hardware, seeds.

Metrics are numbers about something: about the data they were taken on, by the code that took them.
Where these differ, two numbers of one name say nothing about each other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, MissingContentError
from dver.base.oid import short_oid
from dver.formats.record import Item, Record
from dver.git.pointers import is_pointer_path
from dver.lineage.environment import versions_of
from dver.store.treediff import diff_trees

if TYPE_CHECKING:
    from dver.repo import Repo

Class = Literal["data", "code", "params", "metrics", "environment", "hardware", "seeds", "command"]
#: Inputs of these roles are what a model is judged on.
_JUDGED_ON = ("test", "validation", "eval", "label")
_MOST_FILES = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing, with its value in each of the runs (None where it is not there).

    ``comparable`` is false for metrics that are about different things, and ``note`` says why.
    """

    kind: Class
    name: str
    values: tuple[str | None, ...]
    comparable: bool = True
    note: str = ""

    @property
    def same(self) -> bool:
        """Whether all runs agree."""
        return len(set(self.values)) == 1


def table(repo: Repo, records: Sequence[Record]) -> Iterator[Difference]:
    """Yield everything that runs may differ in, class by class, whether it differs or not."""
    yield from _rows("data", [_inputs(one) for one in records])
    yield from _code(records)
    yield from _rows("command", [_command(one) for one in records])
    yield from _rows("params", [{p.key: p.value for p in one.params} for one in records])
    yield from _rows("seeds", [dict(one.seeds) for one in records])
    yield from _rows("environment", [_environment(repo, one) for one in records])
    yield from _rows("hardware", [_hardware(one) for one in records])
    reason = why_not_comparable(repo, records)
    for row in _rows("metrics", [{m.name: m.value for m in one.metrics} for one in records]):
        yield Difference("metrics", row.name, row.values, not reason, reason)


def _rows(kind: Class, found: Sequence[Mapping[str, str]]) -> Iterator[Difference]:
    for name in sorted({name for one in found for name in one}):
        yield Difference(kind, name, tuple(one.get(name) for one in found))


def _inputs(value: Record) -> dict[str, str]:
    own_class = ("config", "code")
    return {one.path: short_oid(one.oid) for one in value.inputs if one.role not in own_class}


def _command(value: Record) -> dict[str, str]:
    if value.command is None:
        return {}
    return {"argv": " ".join(value.command.argv), "cwd": value.command.cwd or "."}


def _code(records: Sequence[Record]) -> Iterator[Difference]:
    for name, values in (
        ("commit", [one.code.commit[:10] + ("+" if one.code.dirty else "") for one in records]),
        ("tree", [one.code.tree[:10] for one in records]),
    ):
        yield Difference("code", name, tuple(values))


def _environment(repo: Repo, value: Record) -> dict[str, str]:
    found = {f"python {key}": text for key, text in value.env.python.items()}
    found |= {f"system {key}": text for key, text in value.env.system.items()}
    found |= {f"variable {key}": text for key, text in value.env.vars.items()}
    if value.env.container:
        found["container"] = value.env.container
    oid = value.env.packages
    if oid is not None and repo.store.has(oid):
        found |= {
            f"package {name}": version
            for name, version in versions_of(repo.store.read(oid)).items()
        }
    elif oid is not None:
        found["packages"] = short_oid(oid)
    return found


def _hardware(value: Record) -> dict[str, str]:
    found = {f"cpu {key}": text for key, text in value.env.cpu.items()}
    for n, gpu in enumerate(value.env.gpus):
        found |= {f"gpu {n} {key}": text for key, text in gpu.items()}
    return found | {f"library {key}": text for key, text in value.env.libraries.items()}


def why_not_comparable(repo: Repo, records: Sequence[Record]) -> str:
    """Return why metrics are about different things, "" if they are about one."""
    if len({_judged_on(one) for one in records}) > 1:
        return "taken on different data"
    if len({_judged_by(repo, one) for one in records}) > 1:
        return "taken by different code"
    return ""


def _judged_on(value: Record) -> frozenset[tuple[str, bytes]]:
    judged = [one for one in value.inputs if one.role in _JUDGED_ON]
    if not judged:
        judged = [one for one in value.inputs if one.source == "dver"]
    return frozenset((one.path, one.oid) for one in judged)


def _judged_by(repo: Repo, value: Record) -> tuple[tuple[str, str], ...]:
    """Return the git blobs of the files that a command names, as far as git has them."""
    if value.command is None or not value.code.tree:
        return ()
    found = []
    for word in value.command.argv:
        path = os.path.normpath(os.path.join(value.command.cwd, word)).replace(os.sep, "/")
        if path.startswith(("../", "/")) or path == ".":
            continue
        name = f"{value.code.tree}:{path}"
        out = repo.git.run("rev-parse", "--verify", "--quiet", name, answers=(0, 1, 128))
        if out.strip():
            found.append((path, out.decode().strip()))
    return tuple(found)


def changed_files(repo: Repo, one: Item, other: Item) -> list[str]:
    """Return which files of two versions of a directory differ, as far as they are here."""
    if one.kind != "tree" or other.kind != "tree":
        return []
    found: list[str] = []
    try:
        for change in diff_trees(repo.store, one.oid, other.oid):
            word = "new" if change.old is None else "gone" if change.new is None else "changed"
            found.append(f"{word} {one.path}/{os.fsdecode(change.path)}")
            if len(found) > _MOST_FILES:
                found[-1] = "... and more"
                break
    except (MissingContentError, CorruptError):
        return ["not all of it is here to compare; 'dver fetch' brings it"]
    return found


def _is_bookkeeping(path: bytes) -> bool:
    """Say whether a file is git's or dver's own and not code: pointers, records, settings."""
    name = path.rpartition(b"/")[2]
    return path.startswith(b".dver/") or is_pointer_path(path) or name == b".gitignore"


def changed_code(repo: Repo, one: Record, other: Record) -> list[str]:
    """Return which files of the code differ between two runs, as far as git has them."""
    if one.code.tree == other.code.tree or not one.code.tree or not other.code.tree:
        return []
    args = ("diff-tree", "-r", "--name-status", "-z", "--no-renames")
    trees = (f"{one.code.tree}^{{tree}}", f"{other.code.tree}^{{tree}}")
    if any(
        not repo.git.run("rev-parse", "--verify", "--quiet", name, answers=(0, 1, 128)).strip()
        for name in trees
    ):
        return ["not all of it is in this clone; 'git fetch --all' may bring it"]
    words = repo.git.run(*args, *trees).split(b"\0")
    pairs = zip(words[::2], words[1::2], strict=False)
    named = {b"A": "new", b"D": "gone"}
    made = {os.fsencode(item.path) for value in (one, other) for item in value.outputs}
    found = [
        f"{named.get(kind, 'changed')} {os.fsdecode(path)}"
        for kind, path in pairs
        if path and path not in made and not _is_bookkeeping(path)
    ]
    return found[:_MOST_FILES] + ["... and more"] * (len(found) > _MOST_FILES)
