"""``dver://`` URLs: any version of any file for every library that reads through fsspec."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO

from fsspec.spec import AbstractFileSystem

from dver.base.errors import DverError, NotFoundError
from dver.base.oid import format_oid
from dver.base.redact import without_userinfo
from dver.formats.tree import EXECUTABLE, SYMLINK
from dver.git.pointers import data_path, is_pointer_path
from dver.ops.looking.streams import open_node
from dver.ops.looking.view import Node, View
from dver.python import sessions
from dver.python.errors import as_files_say, read_only
from dver.python.sessions import PathLike, Session

Info = dict[str, Any]
#: Options that fsspec itself, or whoever makes file systems of any kind, may give.
_OF_FSSPEC = {
    "add_aliases",
    "add_docs",
    "anon",  # with it pandas tries once more after a PermissionError
    "asynchronous",
    "batch_size",
    "listings_expiry_time",
    "loop",
    "max_paths",
    "use_listings_cache",
}


class DverFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """One version of a repository, or several, as a file system to read from.

    A path is that from the repository's root: ``dver://data/train.parquet``. Data stands where its
    pointer is, beside it what git tracks; pointer files are not seen.

    ``rev`` is the version. Without it a path may begin with one: ``dver://v1.0@data/train.parquet``
    (what stands before ``@`` must be a revision, or ``@`` belongs to the path); otherwise data is
    what the pointers of the work tree say, and other files are read as they are there. With it,
    ``@`` has no meaning. A branch is looked up once, when the file system is made.

    ``repo`` is a path in a repository or the URL of one, by default the current directory's.
    What is not in its local store is read from ``remote``, by default the default one, in the
    ranges that are asked for; with ``cache`` each file that is opened is fetched into the local
    store first. Nothing can be written.

    It can be pickled, and so sent to other processes, which read the same commit. For several
    threads.
    """

    protocol = "dver"
    root_marker = ""
    # An instance is one commit of a branch: asking for the branch again must be able to give
    # another. What is expensive, the open repository, is shared below.
    cachable = False
    async_impl = False

    def __init__(
        self,
        rev: str | None = None,
        repo: PathLike | None = None,
        remote: str | None = None,
        cache: bool = False,
        **options: Any,
    ) -> None:
        unknown = sorted(options.keys() - _OF_FSSPEC)
        if unknown:
            # A misspelled revision must not give another version.
            known = "rev, repo, remote and cache"
            raise TypeError(f"dver:// has no option {unknown[0]!r}, but {known}")
        super().__init__(**options)
        self.rev, self.remote, self.cache = rev, remote, cache
        # Another process may have another current directory.
        self.repo = sessions.here() if repo is None else os.fsdecode(repo)
        self._commits: dict[str, str] = {}
        self._views: dict[str, View] = {}
        self._made: Session | None = None
        self._pid = os.getpid()
        if rev is not None:
            self._view(rev)

    # -- identity -------------------------------------------------------------------------------

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (self._options(),)

    def _options(self) -> dict[str, Any]:
        rev = self.rev if self.rev is None else self._commits[self.rev]
        return {"rev": rev, "repo": self.repo, "remote": self.remote, "cache": self.cache}

    @property
    def _fs_token(self) -> str:
        from fsspec.utils import tokenize

        token: str = tokenize(type(self), **self._options())
        return token

    def to_dict(self, *, include_password: bool = True) -> dict[str, Any]:
        """Return what a file system is made of; the URL of a repository may have a password."""
        name = f"{type(self).__module__}:{type(self).__name__}"
        options = {key: value for key, value in self._options().items() if value is not None}
        if not include_password:
            options["repo"] = without_userinfo(self.repo)
        return {"cls": name, "protocol": self.protocol, "args": [], **options}

    @property
    def fsid(self) -> str:
        """A name for the repository and version that are read."""
        return f"dver-{self._fs_token}"

    def invalidate_cache(self, path: str | None = None) -> None:
        """Look up branches anew, and clone URLs again."""
        sessions.forget()
        self._made = None
        self._commits.clear()
        self._views.clear()
        super().invalidate_cache(path)

    # -- versions -------------------------------------------------------------------------------

    def _session(self) -> Session:
        made = self._made
        if made is None or self._pid != os.getpid() or not made.is_current:
            made = self._made = sessions.session(self.repo, self.rev, self.remote)
            self._pid = os.getpid()
            self._views.clear()
        return made

    def _view(self, rev: str | None) -> View:
        """Return a version; a revision is that commit which it was at first."""
        place = self._session()
        if rev is None:
            return place.view(None)
        view = self._views.get(rev)
        if view is None:
            view = place.view(self._commits.get(rev, rev))
            self._views[rev] = view
            self._commits[rev] = view.commit or ""
        return view

    def _find(self, path: str) -> tuple[View, str, bytes]:
        """Return the version that a path is of, what stands before its names, and where it is."""
        text = self._strip_protocol(path).strip("/")
        if self.rev is not None:
            return self._view(self.rev), "", _located(text)
        rev, at, rest = _split(text)
        if at:
            try:
                return self._view(rev), f"{rev}@", _located(rest.strip("/"))
            except NotFoundError:
                pass  # the @ belongs to the path
        return self._view(None), "", _located(text)

    def _node(self, view: View, where: bytes) -> Node:
        try:
            return view.node(where)
        except NotFoundError as error:
            rev, at, _ = _split(os.fsdecode(where))
            if at and self.rev is None and view.commit is None:
                hint = f"nor is {rev!r} a revision; {error.hint}"
                raise NotFoundError(error.message, hint=hint) from error
            raise

    # -- looking --------------------------------------------------------------------------------

    def info(self, path: str, **kwargs: Any) -> Info:
        """Return what is known of a file or directory.

        ``name``, ``type`` (file or directory) and ``size`` (bytes);
        ``oid`` and ``etag`` for data, ``blob`` for what git has; ``islink`` and ``destination`` of
        a symlink, which counts as what it leads to, or as ``other`` if that is not there.
        """
        with as_files_say():
            view, prefix, where = self._find(path)
            return _info(view, prefix, self._node(view, where))

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """Return what is in a directory, or of a file itself: names, or with ``detail`` infos."""
        with as_files_say():
            view, prefix, where = self._find(path)
            node = self._node(view, where)
            nodes = view.children(where) if view.resolve(node).is_directory else [node]
            if not detail:
                return [prefix + os.fsdecode(one.path) for one in nodes]
            return [_info(view, prefix, one) for one in nodes]

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return all files below a path, as :meth:`fsspec.AbstractFileSystem.find` does."""
        if maxdepth is not None or withdirs:
            return super().find(path, maxdepth, withdirs, detail, **kwargs)
        try:
            with as_files_say():
                view, prefix, where = self._find(path)
                nodes = sorted(view.files(where), key=lambda one: one.path)
                found = {prefix + os.fsdecode(one.path): one for one in nodes}
                if not detail:
                    return list(found)
                return {name: _info(view, prefix, one) for name, one in found.items()}
        except FileNotFoundError:
            return {} if detail else []

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Say whether there is something at a path. Failing to find that out raises."""
        try:
            self.info(path, **kwargs)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def isdir(self, path: str) -> bool:
        """Say whether a path is a directory. Failing to find that out raises."""
        return self._type(path) == "directory"

    def isfile(self, path: str) -> bool:
        """Say whether a path is a file. Failing to find that out raises."""
        return self._type(path) == "file"

    def _type(self, path: str) -> str:
        try:
            return str(self.info(path)["type"])
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def ukey(self, path: str) -> str:
        """Return what is the same for the same content: the oid of data, git's id of a blob."""
        info = self.info(path)
        return str(info.get("oid") or info.get("blob") or super().ukey(path))

    def checksum(self, path: str) -> int:
        """Return :meth:`ukey` as a number."""
        from fsspec.utils import tokenize

        return int(tokenize(self.ukey(path)), 16)

    def modified(self, path: str) -> datetime:
        """Return the time of the commit, or in the work tree that of the file or its pointer."""
        with as_files_say():
            view, _, where = self._find(path)
            return datetime.fromtimestamp(view.modified(where), UTC)

    created = modified

    # -- reading --------------------------------------------------------------------------------

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> BinaryIO:
        if mode != "rb":
            raise read_only(f"open {path!r} with mode {mode!r}")
        with as_files_say():
            view, _, where = self._find(path)
            return self._open_node(view, where)

    def _open_node(self, view: View, where: bytes) -> BinaryIO:
        node = view.resolve(self._node(view, where))
        if self.cache and node.oid is not None and not node.is_directory:
            self._session().bring(view, node.path)
        return open_node(view, node)

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        """Return a file's bytes, or those from ``start`` to ``end``, as a slice has them."""
        with self._open(path, **kwargs) as file:
            size = file.seek(0, os.SEEK_END)
            first, last, _ = slice(start, end).indices(size)
            file.seek(first)
            return file.read(max(0, last - first))

    def cat_ranges(
        self,
        paths: list[str],
        starts: Any,
        ends: Any,
        max_gap: int | None = None,  # chunks that lie together come together
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        """Return the bytes of many ranges; those of one file come in as few requests as can be."""
        starts = list(starts) if isinstance(starts, Sequence) else [starts] * len(paths)
        ends = list(ends) if isinstance(ends, Sequence) else [ends] * len(paths)
        if len(starts) != len(paths) or len(ends) != len(paths):
            raise ValueError("there must be as many starts and ends as paths")
        results: list[Any] = [b""] * len(paths)
        by_path: dict[str, list[int]] = {}
        for i, path in enumerate(paths):
            by_path.setdefault(path, []).append(i)
        for path, numbers in by_path.items():
            try:
                with self._open(path) as file:
                    size = file.seek(0, os.SEEK_END)
                    spans = [slice(starts[i], ends[i]).indices(size)[:2] for i in numbers]
                    prepare = getattr(getattr(file, "raw", None), "prepare", None)
                    if prepare is not None:
                        prepare(spans)
                    for i, (first, last) in zip(numbers, spans, strict=True):
                        file.seek(first)
                        results[i] = file.read(max(0, last - first))
            except (DverError, OSError) as error:
                if on_error != "return":
                    raise
                for i in numbers:
                    results[i] = error
        return results

    # -- writing --------------------------------------------------------------------------------

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise read_only("write, move or delete anything")

    mkdir = makedirs = rmdir = rm = rm_file = _rm = _refuse
    cp_file = copy = mv = move = rename = touch = pipe_file = pipe = put_file = put = _refuse
    write_bytes = write_text = upload = mkdirs = delete = _refuse
    start_transaction = _refuse

    def sign(self, path: str, expiration: int = 100, **kwargs: Any) -> str:
        """Raise NotImplementedError: content lies in pieces, which no one URL leads to."""
        raise NotImplementedError(f"there is no URL for {path!r} alone")


def _make(options: dict[str, Any]) -> DverFileSystem:
    return DverFileSystem(**options)


def _split(text: str) -> tuple[str, str, str]:
    """Split ``REV@path`` at the first ``@`` that is not one of git's own, as in ``HEAD@{1}``."""
    at = text.find("@")
    while at >= 0 and text[at + 1 : at + 2] == "{":
        at = text.find("@", at + 1)
    return (text[:at], "@", text[at + 1 :]) if at > 0 else ("", "", text)


def _located(text: str) -> bytes:
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in text:
        raise NotFoundError(f"{text!r} is no path from the root of a repository")
    path = os.fsencode("/".join(parts))
    return data_path(path) if is_pointer_path(path) else path


def _info(view: View, prefix: str, node: Node) -> Info:
    found: Info = {"name": prefix + os.fsdecode(node.path)}
    if node.kind == SYMLINK:
        found |= {"islink": True, "destination": os.fsdecode(view.link_text(node))}
        try:
            node = view.resolve(node)
        except NotFoundError:
            return {**found, "size": node.size, "type": "other"}
    found["size"] = 0 if node.is_directory else view.size(node)
    found["type"] = "directory" if node.is_directory else "file"
    if node.oid is not None:
        found["oid"] = found["etag"] = format_oid(node.oid)
    elif node.blob:
        found["blob"] = found["etag"] = node.blob
    if node.kind == EXECUTABLE:
        found["executable"] = True
    return found
