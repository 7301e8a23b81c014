"""Where frames from a remote go: invisible at first, and visible once they are committed."""

from __future__ import annotations

import contextlib
import os
from typing import Self

from dver.base.oid import Oid
from dver.formats import pack
from dver.store.packfile import FinishedPack
from dver.store.store import Store
from dver.store.writer import Writer
from dver.transfer.delivery import Batch, Got
from dver.transfer.spool import Spool

#: How much is received before it is committed, so that an interruption loses little (bytes).
COMMIT_EVERY = 256 << 20


class Receiver:
    """Collects verified frames and whole packs for a local store, and commits them in batches.

    Use it in a ``with`` block; what is not committed when that ends is dropped, but for whole
    packs, which wait in the spool for the next fetch if the block ends with an error.
    """

    def __init__(self, local: Store, remote_name: str) -> None:
        self._local = local
        self._name = remote_name
        self._held = contextlib.ExitStack()
        self._writing = contextlib.ExitStack()
        self._writer: Writer | None = None
        self._spool: Spool | None = None
        self._size = 0
        self._whole: list[FinishedPack] = []
        self.objects = 0
        self.packs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._writing.close()
        if self._spool is not None:
            self._spool.__exit__(kind, *rest)

    def spool(self) -> Spool:
        """Return the directory for whole packs, made when it is first asked for."""
        if self._spool is None:
            directory = self._local.local_directory()
            spool = Spool(directory, f"{self._name}/fetch", os.urandom(16).hex())
            self._spool = spool.__enter__()
        return self._spool

    def has(self, oid: Oid) -> bool:
        """Say whether an object is in the local store, or among the frames not committed yet."""
        if self._writer is not None:
            return oid in self._writer.packs
        return self._local.has(oid)

    def add(self, got: Got, *, tree: bool = False) -> None:
        """Take one verified frame."""
        writer = self._open()
        if got.frame.oid in writer.packs:
            return
        writer.packs.add_frame(got.frame, got.stored, tree=tree)
        self._size += len(got.stored)
        self.objects += got.frame.kind not in (pack.CHUNK, pack.LIST)
        self._commit_if_due()

    def adopt(self, batch: Batch) -> None:
        """Take a whole pack from the spool, if the batch has one."""
        if batch.whole is None:
            return
        self._whole.append(batch.whole)
        self._size += batch.whole.size
        self.packs += 1
        self.objects += batch.objects
        self._commit_if_due()

    def _open(self) -> Writer:
        if self._writer is None:
            self._writer = self._writing.enter_context(self._local.writer())
        return self._writer

    def _commit_if_due(self) -> None:
        if self._size >= COMMIT_EVERY:
            self.commit()

    def commit_packs(self) -> None:
        """Make whole packs visible, if there are any, so that their frames are found."""
        if self._whole:
            self.commit()

    def commit(self) -> None:
        """Make all that was taken visible, durably."""
        if self._writer is not None or self._whole:
            writer = self._open()
            for one in self._whole:
                writer.adopt(one)
            self._whole.clear()
            writer.commit()
            self._writing.close()
            self._writer = None
        self._size = 0
