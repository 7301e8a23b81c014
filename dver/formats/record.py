"""The lineage record: how something was made, written once, named by the hash of its bytes.

Page: ``docs/format/record.md``, which says what each field means and in which unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Literal

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.base.oid import Oid, oid_of
from dver.formats.canonical import dump, from_plain, load, load_checked, to_plain

MAX_SIZE = 16 << 20
VERSION = 1

Kind = Literal["run", "reproduce", "import"]
ItemKind = Literal["file", "tree"]
Grade = Literal["exact", "content", "metric", "diverged", "blocked"]
ValueType = Literal["int", "float", "bool", "text", "null", "json"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who made a record: a person as git knows them, on a host, perhaps by a CI job."""

    name: str = ""
    email: str = ""
    user: str = ""
    host: str = ""
    ci: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RepoIdentity:
    """Which git repository: by its root commits, and by a URL without credentials."""

    id: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """The exact code that ran; ``tree`` is a git tree, ``archive`` the same as a tree of dver's.

    ``used`` are the files of it that were seen to be read: modules, scripts, settings.
    """

    commit: str = ""
    tree: str = ""
    branch: str = ""
    dirty: bool = False
    snapshot: str = ""
    archive: Oid | None = None
    left_out: tuple[str, ...] = ()
    used: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """What ran: the arguments, and the directory relative to the repository ("" for its top)."""

    argv: tuple[str, ...]
    cwd: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One input or output: a path in the repository, and its exact content."""

    path: str
    oid: Oid
    kind: ItemKind
    size: int = 0
    files: int = 0
    executable: bool = False
    role: str = ""
    source: str = ""
    observed: bool = False
    producer: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """The effective value of a parameter, as text with its type, and where it came from."""

    key: str
    value: str
    type: ValueType
    source: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One number (or text) that a run gave for what it made."""

    name: str
    value: str
    type: ValueType
    source: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file of the environment."""

    path: str
    oid: Oid


@dataclass(frozen=True, slots=True)
class Environment:
    """Where it ran; texts by name. ``packages`` is the oid of a list, ``fingerprint`` of all."""

    python: Mapping[str, str] = field(default_factory=dict)
    packages: Oid | None = None
    locks: tuple[Lock, ...] = ()
    system: Mapping[str, str] = field(default_factory=dict)
    cpu: Mapping[str, str] = field(default_factory=dict)
    gpus: tuple[Mapping[str, str], ...] = ()
    libraries: Mapping[str, str] = field(default_factory=dict)
    container: str = ""
    vars: Mapping[str, str] = field(default_factory=dict)
    fingerprint: Oid | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """How it went. ``exit`` is the exit code, ``signal`` the name of the signal that ended it."""

    started: str
    finished: str
    milliseconds: int
    exit: int
    signal: str = ""
    peak_rss: int = 0
    stdout: Oid | None = None
    stderr: Oid | None = None


@dataclass(frozen=True, slots=True)
class Undeclared:
    """Paths in the repository that were noticed to be read or written, and were not declared."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parent:
    """An earlier record: its id, and why it is named."""

    id: str
    why: Literal["reproduces", "reuses", "retries"]


@dataclass(frozen=True, slots=True)
class Graded:
    """How one output compares with the recorded one."""

    path: str
    grade: Grade
    note: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of making something again.

    ``environment`` is the kind that it ran in, ``runs`` how often (0 stands for once), and
    ``noise`` how far apart each metric was in those runs, as text.
    """

    grade: Grade
    outputs: tuple[Graded, ...] = ()
    differs: tuple[str, ...] = ()
    environment: str = ""
    runs: int = 0
    noise: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody says of a run that dver did not see.

    ``fields`` are those of the record that nothing but this stands for. ``author`` made it, at the
    time ``made``, on ``host``; the record's own actor and time are of who wrote the record.
    """

    fields: tuple[str, ...] = ()
    author: Actor = Actor()
    made: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Keep:
    """The tree of all that a record needs."""

    oid: Oid
    size: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """How something was made."""

    dver_record: int
    kind: Kind
    created: str
    keep: Keep
    reason: str = ""
    step: str = ""
    actor: Actor = Actor()
    repo: RepoIdentity = RepoIdentity()
    code: Code = Code()
    command: Command | None = None
    inputs: tuple[Item, ...] = ()
    outputs: tuple[Item, ...] = ()
    params: tuple[Value, ...] = ()
    metrics: tuple[Metric, ...] = ()
    env: Environment = field(default_factory=Environment)
    seeds: Mapping[str, str] = field(default_factory=dict)
    run: Run | None = None
    undeclared: Undeclared = Undeclared()
    uncontrolled: tuple[str, ...] = ()
    parents: tuple[Parent, ...] = ()
    verdict: Verdict | None = None
    claim: Claim | None = None


def encode(record: Record) -> bytes:
    """Return the bytes of a record, with its lists in their order."""
    ordered = replace(
        record,
        inputs=tuple(sorted(record.inputs, key=lambda one: one.path)),
        outputs=tuple(sorted(record.outputs, key=lambda one: one.path)),
    )
    data = dump(to_plain(ordered))
    if len(data) > MAX_SIZE:
        raise FormatError(f"a record of {len(data)} bytes is longer than any record may be")
    return data


def decode_checked(data: bytes) -> Record:
    """Parse a record that :func:`decode` has accepted before."""
    return from_plain(Record, load_checked(data), "a record")


def decode(data: bytes, expected: Oid | None = None) -> Record:
    """Parse a record. Raises FormatError unless it is whole, canonical, and of this version.

    With ``expected`` its bytes must have that hash.
    """
    if expected is not None and oid_of(data) != expected:
        raise FormatError("a record is not what its name says: it was altered or damaged")
    fields = load(data, "a record", MAX_SIZE)
    version = fields.get("dver_record")
    if type(version) is not int:
        raise FormatError("a record is JSON, but not dver's")
    if version != VERSION:
        raise FormatError(
            f"a record has format version {version} and this dver reads version {VERSION}",
            hint="upgrade dver",
        )
    return from_plain(Record, fields, "a record")
