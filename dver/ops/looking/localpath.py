"""A path on this machine for a file or directory of any version, without touching the workspace.

Libraries that take nothing but a path get one in ``<git dir>/dver/paths/<oid>/``: there a name of
its own stands for content in the link cache, or holds a copy where symlinks cannot be made. It may
be deleted at any time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.errors import DverError, UsageError
from dver.base.oid import Oid, oid_of
from dver.base.osat import osat
from dver.base.quoting import show
from dver.base.reporter import SILENT
from dver.formats.statindex import ROW_SIZE, KnownFile
from dver.formats.tree import DIRECTORY, EXECUTABLE, SYMLINK, Entry
from dver.ops.data.materialise import scratch_beside
from dver.ops.data.present import present_data
from dver.ops.looking.view import Node, View
from dver.store.walk import TreeSource, walk
from dver.workspace.checkout import apply_plan, failure_of
from dver.workspace.filescan import scan_file
from dver.workspace.links import LinkCache, is_content
from dver.workspace.planning import plan_checkout
from dver.workspace.statindex import StatIndex

if TYPE_CHECKING:
    from dver.store.store import Store

_DIRECTORY = "paths"


def local_path(view: View, path: bytes, bring: Callable[[bytes], Store]) -> str:
    """Return the absolute path of what a version has at a path; see :func:`dver.path`.

    ``bring`` is called with the path of data that has to be in the local store, and returns that.
    """
    node = view.resolve(view.node(path))
    if node.oid is None:
        return _plain(view, node)
    if not view.repo.git.is_bare and _is_in_work_tree(view, node, node.oid):
        return os.fsdecode(view.repo.absolute(node.path))
    return os.fspath(_cached(view, node, node.oid, bring))


def _plain(view: View, node: Node) -> str:
    if view.commit is None:
        return os.fsdecode(view.repo.absolute(node.path))
    if node.is_directory:
        raise UsageError(
            f"{show(node.path or b'.')} at {view.label} is a directory that git has, and no file"
            " here stands for that",
            hint="ask for the tracked data in it, or for single files",
        )
    place = _place(view, f"git-{node.blob}", node)
    if not _is_blob(place, node.blob):
        fsio.make_dirs(place.parent)
        data = view.repo.git.run("cat-file", "blob", node.blob)
        mode = 0o555 if node.kind == EXECUTABLE else 0o444
        fsio.write_atomic(place, data, mode=mode, durable=False)
    return os.fspath(place)


def _is_blob(path: Path, blob: str) -> bool:
    """Say whether a file holds just what git has under an id."""
    import hashlib

    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            # The name of git's object format is nowhere near, but its ids tell.
            hasher = hashlib.new("sha1" if len(blob) == 40 else "sha256", usedforsecurity=False)
            hasher.update(b"blob %d\0" % size)
            while piece := file.read(1 << 20):
                hasher.update(piece)
    except OSError:
        return False
    return hasher.hexdigest() == blob


def _is_in_work_tree(view: View, node: Node, oid: Oid) -> bool:
    """Say whether the work tree is known to hold just this at the same path."""
    repo = view.repo
    located = view.located(node.path)[1]
    if located is None or fsio.symlink_above(os.fsencode(repo.root), node.path) is not None:
        return False
    if node.kind == DIRECTORY:
        if located.inside or not os.path.isdir(repo.absolute(node.path)):
            return False
        found, _ = present_data(repo, {located.target: located.pointer}, SILENT)
        return found.get(located.target) == located.pointer
    index = StatIndex(repo.state_dir)
    known = _known(index, located.target, located.inside)
    if known is None:
        return False
    links = LinkCache(os.fspath(repo.store_path))
    state = scan_file(repo.absolute(node.path), known, links=links)
    return state is not None and state.oid == oid


def _known(index: StatIndex, target: bytes, inside: bytes) -> KnownFile | None:
    if not inside:
        return index.load_file(target)
    tree = index.load_tree(target)
    above, _, name = inside.rpartition(b"/")
    directory = None if tree is None else tree.dirs.get(above)
    if directory is None:
        return None
    names = bytes(directory.names).split(b"\0")
    if name not in names:
        return None
    i = names.index(name)
    row = bytes(directory.stats[i * ROW_SIZE : (i + 1) * ROW_SIZE])
    oid = Oid(bytes(directory.oids[i * 32 : (i + 1) * 32]))
    size = int.from_bytes(directory.sizes[8 * i : 8 * i + 8], "little")
    return KnownFile(directory.kinds[i], size, row, oid, None)


def _cached(view: View, node: Node, oid: Oid, bring: Callable[[bytes], Store]) -> Path:
    kind = "-x" if node.kind == EXECUTABLE else ""
    place = _place(view, oid.hex() + kind, node)
    links = LinkCache(os.fspath(view.repo.store_path))
    if _is_usable(place, node, oid, links, view.contents):
        return place
    store = bring(node.path)
    name = os.fsencode(place.name)
    plan = plan_checkout(name, None, Entry(node.kind, name, node.size, oid), store)
    with scratch_beside(place.parent) as scratch:
        made = scratch / "made"
        made.mkdir()
        done = apply_plan(plan, os.fsencode(made), store, modes=("symlink", "hardlink"))
        error = failure_of(done.failed)
        if error is not None:
            raise error
        _publish(made, place.parent, scratch)
    return place


def _publish(made: Path, final: Path, scratch: Path) -> None:
    fsio.step("rename")
    with fsio.explained("write", final):
        if final.exists():
            osat.rename(final, scratch / "old")
        try:
            osat.rename(made, final)
        except OSError:
            # Another process was faster; what it made is the same.
            if not final.exists():
                raise


def _is_usable(place: Path, node: Node, oid: Oid, links: LinkCache, trees: TreeSource) -> bool:
    if node.kind != DIRECTORY:
        executable = node.kind == EXECUTABLE
        return place.exists() and links.find(oid, node.size, executable=executable) is not None
    if not place.is_dir():
        return False
    top = os.fsencode(place)
    try:
        return all(
            _stands_for(os.path.join(top, path, entry.name), entry, links)
            for path, _, tree in walk(trees, oid)
            for entry in tree
        )
    except DverError:
        return False


def _stands_for(path: bytes, entry: Entry, links: LinkCache) -> bool:
    """Say whether a file made by an earlier call still holds what it should."""
    executable = entry.kind == EXECUTABLE
    try:
        if entry.kind == DIRECTORY:
            return os.path.isdir(path) and not os.path.islink(path)
        if entry.kind == SYMLINK:
            return oid_of(os.readlink(path)) == entry.oid
        if not os.path.islink(path):
            return os.lstat(path).st_size == entry.size and is_content(path, entry.oid)
        found = links.resolve(os.readlink(path))
    except OSError:
        return False
    # Its stamp tells that nobody wrote to it; what is damaged otherwise is for 'dver fsck'.
    return found is not None and found.oid == entry.oid and (found.kind == EXECUTABLE) == executable


def _place(view: View, key: str, node: Node) -> Path:
    name = os.fsdecode(node.path.rpartition(b"/")[2])
    return view.repo.common_state_dir / _DIRECTORY / key / name
