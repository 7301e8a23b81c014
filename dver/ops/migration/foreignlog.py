"""Versions of some data from before dver: how the files of DVC and git-lfs changed.

Nothing is read but these files. What the content of a version is in dver is known if it was read
before; otherwise its old name is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dver.base.errors import FormatError
from dver.foreign import dvcfiles, lfsfiles
from dver.foreign.dvcfiles import LOCK, PIPELINE, Out
from dver.foreign.known import Known
from dver.formats.pointer import Pointer
from dver.git.history import PointerChange
from dver.git.pointers import pointer_path, read_blobs
from dver.repo.layout import COMMITTED_CONFIG

if TYPE_CHECKING:
    from dver.repo import Repo

_KEY = "other:"
_MAX_FILE = 64 << 20


class ForeignLog:
    """The changes of what other tools versioned at, above or below a path, newest first.

    A change's blobs are keys for :meth:`pointer`.
    """

    def __init__(self, repo: Repo, raw: Sequence[PointerChange], path: bytes) -> None:
        """``raw`` are the changes of DVC's files, and of the path itself where git has it."""
        self._repo = repo
        self._outs: dict[str, Out] = {}
        self.changes = list(self._changes(raw, path))

    def _changes(self, raw: Sequence[PointerChange], path: bytes) -> Iterator[PointerChange]:
        git = self._repo.git
        ours = self._with_dver({change.commit.id for change in raw})
        raw = [change for change in raw if change.commit.id not in ours]
        blobs = {blob for change in raw for blob in (change.blob, change.previous) if blob}
        contents = read_blobs(git, blobs, limit=_MAX_FILE)
        for change in raw:
            after = self._read(change, change.blob, contents, path)
            before = self._read(change, change.previous, contents, path)
            for data in sorted(after.keys() | before.keys()):
                new, old = after.get(data), before.get(data)
                if new != old:
                    yield PointerChange(
                        change.commit, pointer_path(data), self._key(new), self._key(old)
                    )

    def _with_dver(self, commits: set[str]) -> set[str]:
        """Return those of some commits in which dver is set up."""
        names = sorted(commits)
        config = COMMITTED_CONFIG.decode()
        stdin = "".join(f"{commit}:{config}\n" for commit in names).encode()
        out = self._repo.git.run("cat-file", "--batch-check", stdin=stdin).splitlines()
        return {
            commit
            for commit, line in zip(names, out, strict=True)
            if not line.endswith(b" missing")
        }

    def _read(
        self, change: PointerChange, blob: str | None, contents: Mapping[str, bytes], path: bytes
    ) -> dict[bytes, Out]:
        if blob is None:
            return {}
        data = contents[blob]
        name = change.path.rpartition(b"/")[2]
        outs: Sequence[Out]
        try:
            if name == LOCK:
                pipeline = change.path[: -len(LOCK)] + PIPELINE
                text = self._repo.git.read_file(change.commit.id, pipeline) or b""
                wdirs = dvcfiles.stage_directories(pipeline, text)
                stages = dvcfiles.read_lock(change.path, data, wdirs)
                outs = [out for stage in stages.values() for out in stage.outs]
            elif name.endswith(dvcfiles.SUFFIX):
                outs = dvcfiles.read_dvc_file(change.path, data).outs
            else:
                pointer = lfsfiles.read_pointer(change.path, data)
                outs = [pointer] if pointer is not None else []
        except FormatError:
            return {}
        return {out.path: out for out in outs if not out.problem and _is_related(out.path, path)}

    def _key(self, out: Out | None) -> str | None:
        if out is None:
            return None
        key = f"{_KEY}{out.algorithm}:{out.digest.hex()}:{out.is_directory}:{out.executable}"
        self._outs[key] = out
        return key

    def continued(self, change: PointerChange) -> PointerChange:
        """Return the commit that made a pointer as a change of what was there before."""
        if change.previous is None and change.blob is not None:
            for older in self.changes:
                if older.path == change.path and older.blob is not None:
                    return replace(change, previous=older.blob)
        return change

    def pointer(self, key: str) -> Pointer | str | None:
        """Return what a blob of a change stands for, a text that says why it is not known.

        None for a blob that is git's own.
        """
        if not key.startswith(_KEY):
            return None
        out = self._outs[key]
        with Known(self._repo.common_state_dir) as known:
            find = known.tree if out.is_directory else known.file
            row = find(out.algorithm, out.digest)
        if row is None or not self._repo.store.has(row.oid):
            tool, name = ("git-lfs", "sha256") if out.algorithm == "sha256" else ("DVC", "md5")
            return f"{tool} has it as {name} {out.digest.hex()}; 'dver ls --rev' reads it"
        if out.is_directory:
            return Pointer("tree", row.oid, row.size, row.files)
        return Pointer("file", row.oid, row.size, 1, out.executable)


def _is_related(data: bytes, path: bytes) -> bool:
    return not path or data == path or data.startswith(path + b"/") or path.startswith(data + b"/")
