"""The contents of tracked data for readers that skip about: the local store, behind it a remote.

Unlike :class:`~dver.ops.targets.sources.RemoteBehind`, which one command uses and lets go of, this
lives as long as somebody reads: what another process adds meanwhile is found, several threads may
read, and a process that was forked opens the remote anew.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dver.base.errors import MissingContentError, NotFoundError, RemoteError
from dver.base.oid import Oid, format_oid
from dver.formats.chunklist import ChunkList
from dver.formats.tree import Tree
from dver.store.localchunks import LocalChunks
from dver.store.ranged import ChunkCache, ObjectReader, Wanted

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.store.codec import Buffer
    from dver.store.store import Store
    from dver.transfer.distantchunks import RemoteChunks

#: How many bytes of chunks are kept for reading them again, or for reading on.
CACHE = 64 << 20
#: How many entries of trees are kept decoded (each takes about 100 bytes).
_ENTRIES = 500_000

_alive: weakref.WeakSet[Contents] = weakref.WeakSet()


class Contents:
    """Objects of one repository, to be read in any order. For several threads.

    ``store`` is its local store, None if it has none; ``remote`` names the remote behind it, None
    is the default one. Nothing that is read is written anywhere.
    """

    def __init__(self, repo: Repo, store: Store | None, remote: str | None = None) -> None:
        self._repo = repo
        self._name = remote
        self._local = None if store is None else LocalChunks(store)
        self._begin()
        _alive.add(self)

    def use(self, store: Store) -> None:
        """Read from a local store from now on that was made, or filled, since this was."""
        if self._local is None:
            self._local = LocalChunks(store)
        else:
            self._local.store.refresh()

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._remote: RemoteChunks | None = None
        self._looked: list[str] = []
        self._cache = ChunkCache(CACHE)
        self._trees: OrderedDict[Oid, Tree] = OrderedDict()
        self._entries = 0
        self._segments: list[str] | None = None

    def forget_after_fork(self) -> None:
        """Let go of what must not be shared with the parent process: locks and connections."""
        # They are not closed: that would say good-bye to the server in the parent's name.
        self._begin()

    # -- what there is --------------------------------------------------------------------------

    def reader(self, oid: Oid, size: int) -> ObjectReader:
        """Return random access to an object's content. Raises MissingContentError."""
        return ObjectReader(self, self._cache, oid, size)

    def is_local(self, oid: Oid) -> bool:
        """Say whether the local store has an object (for a list: the list, not yet its chunks)."""
        if self._local is None:
            return False
        if self._local.has(oid):
            return True
        self._refresh(self._local)
        return self._local.has(oid)

    def read_tree(self, oid: Oid) -> Tree:
        """Return a tree. Raises MissingContentError, which says where it was looked for."""
        with self._lock:
            tree = self._trees.get(oid)
            if tree is not None:
                self._trees.move_to_end(oid)
                return tree
        if self._local is not None and self.is_local(oid):
            tree = self._local.store.read_tree(oid)
        else:
            tree = self._distant(oid).read_tree(oid)
        with self._lock:
            if oid not in self._trees:
                self._trees[oid] = tree
                self._entries += len(tree)
                while self._entries > _ENTRIES and len(self._trees) > 1:
                    self._entries -= len(self._trees.popitem(last=False)[1])
        return tree

    def chunk_list(self, oid: Oid) -> ChunkList | None:
        """Return the chunk list stored under an oid, or None; see ChunkSource."""
        if self._local is not None and self.is_local(oid):
            return self._local.chunk_list(oid)
        return self._distant(oid).chunk_list(oid)

    def fill(self, wanted: Sequence[Wanted]) -> list[Buffer]:
        """Return the content of each chunk, those that are not here from the remote."""
        local = self._local
        places = {} if local is None else local.places(wanted)
        absent = [i for i, want in enumerate(wanted) if want.oid not in places]
        if local is not None and absent:
            self._refresh(local)
            places = local.places(wanted)
            absent = [i for i, want in enumerate(wanted) if want.oid not in places]
        if local is not None and not absent:
            return local.fill(wanted, places)
        distant = [wanted[i] for i in absent]
        found = dict(zip(absent, self._distant(distant[0].oid).fill(distant), strict=True))
        if local is not None and len(found) < len(wanted):
            here = [i for i in range(len(wanted)) if i not in found]
            found.update(zip(here, local.fill([wanted[i] for i in here], places), strict=True))
        return [found[i] for i in range(len(wanted))]

    # -- where it is ----------------------------------------------------------------------------

    def _refresh(self, local: LocalChunks) -> None:
        """See segments that other processes have added to the local store, if there are any."""
        directory = os.path.join(local.store.local_directory(), "index")
        try:
            segments = sorted(os.listdir(directory))
        except OSError:
            return
        # Not by the time of the directory: two changes within a few milliseconds may share one.
        with self._lock:
            if segments != self._segments:
                self._segments = segments
                local.store.refresh()

    def _distant(self, oid: Oid) -> RemoteChunks:
        with self._lock:
            if not self._looked:
                self._open()
            remote = self._remote
            if remote is not None and not remote.has(oid):
                remote.forget()  # it may have been pushed since we looked
            if remote is None or not remote.has(oid):
                raise MissingContentError(
                    f"{format_oid(oid)} is neither in {' nor in '.join(self._looked)}",
                    hint=f"dver whereis --check {format_oid(oid)}",
                )
            return remote

    def _open(self) -> None:
        from dver.transfer.distantchunks import RemoteChunks

        looked = ["the local store"]
        if self._name is None and self._repo.config.default_remote() is None:
            looked.append("a remote, since no default one is set up")
        else:
            try:
                opened = self._repo.open_remote(self._name, write=False)
            except NotFoundError as error:
                # Nobody shall take that for a path which is not there.
                raise RemoteError(error.message, hint=error.hint) from error
            self._remote = RemoteChunks(opened)
            looked.append(self._remote.description)
        self._looked = looked

    @property
    def traffic(self) -> tuple[int, int]:
        """The requests made of the remote so far, and the bytes that they brought."""
        if self._remote is None:
            return 0, 0
        meter = self._remote.remote.storage
        return meter.requests, meter.received

    def close(self) -> None:
        """Let go of the remote and of what is kept in memory."""
        with self._lock:
            if self._remote is not None:
                self._remote.close()
            self._begin()


def _after_fork() -> None:
    for one in list(_alive):
        one.forget_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
