"""The bytes of one file of any version, to a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, UsageError
from dver.base.oid import format_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats.tree import DIRECTORY, SYMLINK
from dver.ops.targets.scope import Scope
from dver.ops.targets.sources import RemoteBehind
from dver.ops.targets.versions import entry_at, locate, typed_path, version_at

if TYPE_CHECKING:
    from dver.repo import Repo

#: Content up to this length is verified before any of it is written (bytes).
VERIFY_FIRST = 8 << 20


@dataclass(frozen=True, slots=True)
class CatOptions:
    """Which file: a target that is a file, or a file inside a tracked directory.

    ``rev`` None reads the pointers in the work tree. ``remote`` is where content that is not here
    is read from (the default remote if None).
    """

    path: str
    rev: str | None = None
    remote: str | None = None


@dataclass(frozen=True, slots=True)
class CatResult:
    """What was streamed: all ``size`` bytes are those of ``oid`` (text form)."""

    path: str
    oid: str
    size: int


def cat(repo: Repo, options: CatOptions, output: BinaryIO, reporter: Reporter) -> CatResult:
    """Write the bytes of one file to ``output``.

    What is not in the local store is read from the remote, chunk by chunk, and not kept. Raises
    CorruptError if the content is not what its oid promises: then nothing was written, or of
    content above VERIFY_FIRST what was written must not be used.
    """
    path = typed_path(repo, options.path)
    version = version_at(repo, options.rev, Scope([path]))
    with RemoteBehind(repo, options.remote) as source:
        located = locate(repo, version, path)
        entry = entry_at(repo, version, located, source)
        shown = repo.display(path)
        if entry.kind == DIRECTORY:
            raise UsageError(f"{show(shown)} is a directory", hint=f"dver ls {show(shown)}")
        store = source.store_of(entry.oid)
        if entry.kind == SYMLINK:
            raise UsageError(f"{show(shown)} is a symlink to {show(store.read(entry.oid))}")
        size = store.size(entry.oid)
        if size != entry.size:
            raise CorruptError(
                f"{show(shown)} is {entry.size} bytes by its pointer and {size} by its content"
            )
        with reporter.task("Reading", unit="bytes", total=size) as task:
            if size <= VERIFY_FIRST:
                output.write(store.read(entry.oid))
                task.advance(size)
            else:
                for piece in store.stream(entry.oid):
                    output.write(piece)
                    task.advance(len(piece))
    return CatResult(shown, format_oid(entry.oid), size)
