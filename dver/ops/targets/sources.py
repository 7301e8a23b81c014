"""Where content is read from: the local store, and behind it a remote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dver.base.errors import MissingContentError
from dver.base.oid import Oid, format_oid
from dver.formats.tree import Tree

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.store.store import Store
    from dver.transfer.remote import Remote


class RemoteBehind:
    """The local store first; a remote only for what is missing there, opened when it is needed.

    ``remote`` None is the default one, if there is one; ``local_only`` asks none at all. Nothing
    that is read from a remote is kept. Close it after use, or use it in a ``with`` block.
    """

    def __init__(self, repo: Repo, remote: str | None = None, *, local_only: bool = False) -> None:
        self._repo = repo
        self._name = remote
        self._local_only = local_only
        self._remote: Remote | None = None
        self._reader: Store | None = None
        self._looked: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def read_tree(self, oid: Oid) -> Tree:
        """Return a tree. Raises MissingContentError, which says where it was looked for."""
        try:
            return self._repo.store.read_tree(oid)
        except MissingContentError:
            return self._distant(oid).read_tree(oid)

    def store_of(self, oid: Oid) -> Store:
        """Return the store that has an object whole. Raises MissingContentError if neither has."""
        if self._repo.store.is_complete(oid):
            return self._repo.store
        return self._distant(oid)

    def _distant(self, oid: Oid) -> Store:
        if not self._looked:
            self._open()
        if self._reader is None or not self._reader.has(oid):
            from dver.store.tombstones import explain

            words = explain(self._repo.store.local_directory(), oid)
            if words is not None:
                raise MissingContentError(f"{format_oid(oid)} was {words}")
            raise MissingContentError(
                f"{format_oid(oid)} is neither in {' nor in '.join(self._looked)}",
                hint=f"dver whereis --check {format_oid(oid)}",
            )
        return self._reader

    def _open(self) -> None:
        from dver.transfer.reader import reader

        self._looked.append("the local store")
        if self._local_only:
            self._looked.append("a remote that may be asked")
            return
        if self._name is None and self._repo.config.default_remote() is None:
            self._looked.append("a remote, since no default one is set up")
            return
        self._remote = self._repo.open_remote(self._name, write=False)
        self._looked.append(self._remote.description)
        self._reader = reader(self._remote)

    def close(self) -> None:
        """Let go of the remote."""
        if self._remote is not None:
            self._remote.close()
            self._remote = None
            self._reader = None
            self._looked.clear()
