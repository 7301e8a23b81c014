"""What tracked data is now in the workspace, as pointers and trees; nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dver.base.errors import MissingContentError
from dver.base.oid import Oid
from dver.base.quoting import show
from dver.base.reporter import Reporter, Task
from dver.formats.pointer import Pointer
from dver.formats.statindex import KnownTree
from dver.formats.tree import DIRECTORY, EXECUTABLE
from dver.ops.targets.placement import Placement
from dver.store.treediff import diff_trees
from dver.store.walk import EncodedTrees, Layered
from dver.workspace.building import Replacement, Splice, build_trees, pointer_of
from dver.workspace.filescan import scan_file
from dver.workspace.links import LinkCache
from dver.workspace.state import FileState
from dver.workspace.statindex import StatIndex

if TYPE_CHECKING:
    from dver.repo import Repo


def present_data(
    repo: Repo, targets: Mapping[bytes, Pointer], reporter: Reporter
) -> tuple[dict[bytes, Pointer], EncodedTrees]:
    """Return what pointers of the data now at some targets would say, and the trees they name.

    ``targets`` have the pointers that are recorded for them. What was never brought here counts as
    it is recorded, be it a target or a part of one. A target that was deleted has no pointer.
    Files whose stats are as remembered are not read. Trees that are in the local store are left
    out. Files that cannot be tracked are warned about.
    """
    index = StatIndex(repo.state_dir)
    links = LinkCache(repo.store.local_directory())
    found: dict[bytes, Pointer] = {}
    encoded: dict[Oid, bytes] = {}
    files: list[tuple[bytes, FileState]] = []
    with reporter.task("Comparing", unit="files") as task:
        for target, recorded in sorted(targets.items()):
            path = repo.absolute(target)
            state = scan_file(path, index.load_file(target), links=links)
            if state is None:
                if index.base(target) is None:
                    found[target] = recorded
                continue
            if state.kind == DIRECTORY:
                known = index.load_tree(target)
                here = _directory(repo, target, known, links, encoded, reporter, task)
                found[target] = _with_absent(repo, recorded, here, known, encoded)
            else:
                files.append((target, state))
        unknown = [(repo.absolute(target), state) for target, state in files if state.oid is None]
        if unknown:
            from dver.workspace.hashing import fill_files

            fill_files(unknown, None, task=task)
    for target, state in files:
        if state.oid is not None:
            found[target] = Pointer("file", state.oid, state.size, 1, state.kind == EXECUTABLE)
    return found, EncodedTrees(encoded)


def _directory(
    repo: Repo,
    target: bytes,
    known: KnownTree | None,
    links: LinkCache,
    encoded: dict[Oid, bytes],
    reporter: Reporter,
    task: Task,
) -> Pointer:
    from dver.workspace.ignore import load_rules
    from dver.workspace.scan import scan_directory

    root = repo.absolute(target)
    rules = load_rules(repo.absolute(b""), target)
    scan = scan_directory(root, known, rules, target=target, links=links, lenient=True, task=task)
    if next(scan.unknown(), None) is not None:
        from dver.workspace.hashing import fill_scan

        fill_scan(scan, None, task=task, lenient=True)
    for problem in scan.problems:
        at = target + b"/" + problem.path if problem.path else target
        reporter.warn(f"left out {show(repo.display(at))}: {problem.reason}", hint=problem.hint)
    encoded.update(build_trees(scan, known=repo.store.has))
    return pointer_of(scan)


def _with_absent(
    repo: Repo,
    recorded: Pointer,
    here: Pointer,
    known: KnownTree | None,
    encoded: dict[Oid, bytes],
) -> Pointer:
    """Return the pointer of what is here and what was never brought here, put together."""
    placement = Placement(repo.store, known, recorded)
    if recorded.kind != "tree" or recorded == here or placement.whole:
        return here
    source = Layered([EncodedTrees(encoded), repo.store])
    absent: dict[bytes, Replacement | None] = {}
    try:
        for change in diff_trees(source, recorded.oid, here.oid):
            old = change.old if change.new is None else None
            if old is not None and not placement.had(change.path):
                files = 0 if old.kind == DIRECTORY else 1
                absent[change.path] = Replacement(old.kind, old.size, old.oid, files)
        splice = Splice(source, here, absent)
        encoded.update(splice if absent else ())
    except MissingContentError:
        return here
    return splice.result
