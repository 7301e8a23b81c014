"""Records of what ``dvc.lock`` claims: that a command made these outputs out of these inputs.

DVC wrote down the contents and nobody watched the run, so the records are imports that say which of
their fields are claimed. The contents themselves are verified: a step is recorded only if all of
them are here, and are what the lock names by their MD5.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from dver.base import clock
from dver.base.errors import DverError
from dver.base.oid import Oid
from dver.foreign.dvcfiles import Out
from dver.formats.pointer import Pointer
from dver.formats.record import Actor, Claim, Command, Item, Metric, Record, Value
from dver.git.revisions import Commit
from dver.lineage import actor, running, values
from dver.lineage.index import LineageIndex
from dver.lineage.keeping import Keeper
from dver.lineage.pipelinefile import Step
from dver.lineage.running import Draft
from dver.store.sums import digest_of, hasher

if TYPE_CHECKING:
    from dver.ops.migration.dvcpipeline import ClaimedStep, Pipeline
    from dver.repo import Repo

_REASON = "taken over from dvc.lock"


def write_records(repo: Repo, pipeline: Pipeline) -> list[bytes]:
    """Write a record for each claimed step whose contents are verified; return the files' paths.

    A record that says the same is there already if the command was interrupted; it is not repeated.
    """
    store = repo.store
    made: list[tuple[Oid, bytes]] = []
    with store.hold():
        store.refresh()
        with store.writer() as writer, LineageIndex(repo) as index:
            claimant = _Claimant(repo, Keeper(repo, writer), pipeline.pointers)
            for one in pipeline.claims:
                draft = claimant.draft(one)
                if draft is not None and not _is_there(index, draft):
                    made.append(running.finish(draft, writer))
            writer.commit()
        return [running.write(repo, record_id, data) for record_id, data in made]


def is_taken_over(value: Record | None) -> bool:
    """Say whether a record was made of what a ``dvc.lock`` claims."""
    return value is not None and value.reason == _REASON


def _is_there(index: LineageIndex, draft: Draft) -> bool:
    def told(items: tuple[Item, ...]) -> set[tuple[str, Oid]]:
        return {(item.path, item.oid) for item in items}

    for found in index.of_step(draft.step):
        value = index.record(found)
        if (
            value is not None
            and is_taken_over(value)
            and value.command == draft.command
            and told(value.inputs) == told(draft.inputs)
            and told(value.outputs) == told(draft.outputs)
        ):
            return True
    return False


class _Claimant:
    """Makes drafts of records out of stages of ``dvc.lock``."""

    def __init__(self, repo: Repo, keeper: Keeper, pointers: Mapping[bytes, Pointer]) -> None:
        self._repo = repo
        self._keeper = keeper
        self._pointers = pointers
        self._authors: dict[bytes, Commit | None] = {}

    def draft(self, one: ClaimedStep) -> Draft | None:
        """Return a draft, or None if some content is not what the lock says."""
        step, stage = one.step, one.stage
        inputs = [self._item(out, step.deps.get(out.path, "")) for out in stage.deps]
        outputs = [self._item(out, self._role(step, out.path)) for out in stage.outs]
        if None in inputs or None in outputs:
            return None
        commit = self._author(one.lock)
        params = tuple(self._params(step, one))
        metrics = tuple(self._metrics(step))
        given = {
            "command": True,
            "inputs": inputs,
            "outputs": outputs,
            "params": params,
            "metrics": metrics,
        }
        claim = Claim(
            tuple(sorted(key for key, value in given.items() if value)),
            Actor(commit.author_name, commit.author_email) if commit else Actor(),
            clock.utc_text(commit.author_time * 1_000_000_000) if commit else "",
        )
        return Draft(
            kind="import",
            reason=_REASON,
            step=step.name,
            actor=actor.who(self._repo.git, self._repo.environ),
            repo=actor.identity(self._repo.git),
            command=Command(step.argv, step.cwd),
            inputs=tuple(item for item in inputs if item is not None),
            outputs=tuple(item for item in outputs if item is not None),
            params=params,
            metrics=metrics,
            uncontrolled=step.uncontrolled,
            claim=claim,
        )

    def _role(self, step: Step, path: bytes) -> str:
        return "metrics" if path in step.metrics else step.outs.get(path, "")

    def _item(self, out: Out, role: str) -> Item | None:
        path = os.fsdecode(out.path)
        if out.problem:
            return None
        pointer = self._pointers.get(out.path)
        if pointer is not None:
            if not self._is_pointed(out, pointer):
                return None
            kind, files = pointer.kind, pointer.files if pointer.kind == "tree" else 1
            executable = pointer.executable
            return Item(
                path, pointer.oid, kind, pointer.size, files, executable, role, source="dver"
            )
        if not is_as_locked(self._repo, out):
            return None
        try:
            kept = self._keeper.keep(out.path)
        except DverError:
            return None
        source = "git" if self._repo.git.tracked_by_git([out.path]) else ""
        return Item(path, kept.oid, kept.kind, kept.size, kept.files, kept.executable, role, source)

    def _is_pointed(self, out: Out, pointer: Pointer) -> bool:
        """Say whether a pointer is of the content that the lock names."""
        from dver.foreign.known import Known

        with Known(self._repo.common_state_dir) as known:
            find = known.tree if out.is_directory else known.file
            row = find(out.algorithm, out.digest)
        return row is not None and row.oid == pointer.oid

    def _params(self, step: Step, one: ClaimedStep) -> Iterator[Value]:
        """Yield the parameters that the lock names, which the step chose."""
        for path, keys in one.stage.params.items():
            if path in step.params:
                for key, value in keys.items():
                    for name, inner in values.flatten({key: value}):
                        yield Value(name, *values.spell(inner), f"file:{os.fsdecode(path)}")

    def _metrics(self, step: Step) -> Iterator[Metric]:
        for path in step.metrics:
            try:
                yield from values.metrics(self._repo.absolute(path), os.fsdecode(path))
            except DverError:
                continue

    def _author(self, lock: bytes) -> Commit | None:
        """Return the commit that last changed a lock file."""
        if lock not in self._authors:
            git = self._repo.git
            out = git.run("log", "-1", "--format=%H", "--", b":(top,literal)" + lock).decode()
            self._authors[lock] = git.commit(out.strip()) if out.strip() else None
        return self._authors[lock]


def is_as_locked(repo: Repo, out: Out) -> bool:
    """Say whether what is in the work tree has the MD5 that the lock names."""
    absolute = repo.absolute(out.path)
    try:
        if out.is_directory:
            return os.path.isdir(absolute) and _directory_digest(absolute) == out.digest
        with open(absolute, "rb") as file:
            made = hasher(out.algorithm)
            while data := file.read(1 << 20):
                made.update(data)
    except OSError:
        return False
    if made.digest() == out.digest:
        return True
    if out.algorithm == "md5":
        return False
    with open(absolute, "rb") as file:
        return digest_of("md5", file.read()) == out.digest


def _directory_digest(top: bytes) -> bytes:
    """Return the MD5 of the listing that DVC would write of a directory that it does not cache."""
    rows = []
    for directory, names, files in os.walk(top):
        names.sort()
        for name in files:
            path = os.path.join(directory, name)
            made = hashlib.md5(usedforsecurity=False)
            with open(path, "rb") as file:
                while data := file.read(1 << 20):
                    made.update(data)
            relative = os.fsdecode(os.path.relpath(path, top)).replace(os.sep, "/")
            rows.append({"md5": made.hexdigest(), "relpath": relative})
    rows.sort(key=lambda row: row["relpath"])
    return digest_of("md5", json.dumps(rows, sort_keys=True).encode())
