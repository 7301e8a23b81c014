"""Record something that was made elsewhere, from what somebody says of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dver.base.dataclass import dataclass
from dver.base.errors import NotFoundError, UsageError
from dver.base.oid import Oid, format_oid, oid_of
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats.canonical import dump, to_plain
from dver.formats.kinds import DIRECTORY, EXECUTABLE
from dver.formats.pack import TREE, TREE_LIST
from dver.formats.record import (
    Actor,
    Claim,
    Command,
    Environment,
    Item,
    Metric,
    RepoIdentity,
    Value,
)
from dver.git.snapshot import Snapshot
from dver.lineage import actor, claims, running, values
from dver.lineage.archive import Archiver
from dver.lineage.claims import ClaimedItem, Claims
from dver.lineage.index import LineageIndex
from dver.lineage.keeping import Keeper
from dver.lineage.looking import Looker
from dver.lineage.running import Draft
from dver.ops.data.add import record as add_jobs
from dver.ops.making.runfinish import RunItem
from dver.ops.targets import naming, worktree
from dver.ops.targets.selection import select
from dver.ops.targets.target import load_targets
from dver.ops.targets.versions import entry_at, locate, typed_path, version_at

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """``source`` is the file that tells how it was made. ``stage`` as in add."""

    source: str
    stage: bool | None = None


@dataclass(frozen=True, slots=True)
class RecordResult:
    """What was recorded: ``claimed`` are the fields of the record that nobody here saw."""

    record: str
    file: str
    inputs: tuple[RunItem, ...]
    outputs: tuple[RunItem, ...]
    claimed: tuple[str, ...]
    to_stage: tuple[str, ...]
    staged: bool


def record(repo: Repo, options: RecordOptions, reporter: Reporter) -> RecordResult:
    """Write a record of what a file tells.

    Inputs and outputs must be known by their content: they are in the work tree, or a version in
    git or a record has them. Outputs that nothing tracks are added. Raises before anything is
    written if one is not known, or the file does not parse.
    """
    repo.require_init()
    name = os.fspath(options.source)
    told = claims.read(os.fsencode(os.path.join(repo.cwd, name)), name)
    return _Recording(repo, told, options, reporter).run()


class _Recording:
    """One file of claims on its way to a record."""

    def __init__(
        self, repo: Repo, told: Claims, options: RecordOptions, reporter: Reporter
    ) -> None:
        self._repo = repo
        self._told = told
        self._options = options
        self._reporter = reporter
        self._looker = Looker(repo)

    def run(self) -> RecordResult:
        """Write the record, after what it names went into the store."""
        repo, told = self._repo, self._told
        draft = self._draft()
        for path in told.env.locks if told.env is not None else ():
            if not os.path.isfile(repo.absolute(repo.locate(path))):
                raise NotFoundError(f"there is no lock file {show(path)}")
        inputs = [self._known(one, "input") for one in told.inputs]
        outputs = [self._known(one, "output") for one in told.outputs]
        for path in {one.path for one in inputs} & {one.path for one in outputs}:
            raise UsageError(f"{show(path)} is both an input and an output")
        to_stage = self._track(outputs)
        store = repo.store
        with store.hold():
            store.refresh()
            with store.writer() as writer:
                targets = load_targets(repo, [b""])
                keeper = Keeper(repo, writer)
                draft.inputs = tuple(self._kept(one, keeper, targets) for one in inputs)
                draft.outputs = tuple(self._kept(one, keeper, targets) for one in outputs)
                self._environment(draft, keeper)
                if draft.code is not None and draft.code.tree:
                    with Archiver(repo, writer) as archiver:
                        draft.archive = archiver.store(draft.code.tree)
                record_id, data = running.finish(draft, writer)
                writer.commit()
            to_stage.append(running.write(repo, record_id, data))
        staged = worktree.stage(repo, to_stage, self._options.stage)
        return RecordResult(
            record_id.hex(),
            repo.display(to_stage[-1]),
            tuple(self._told_of(one) for one in draft.inputs),
            tuple(self._told_of(one) for one in draft.outputs),
            draft.claim.fields if draft.claim is not None else (),
            () if staged else tuple(repo.display(path) for path in to_stage),
            staged,
        )

    def _draft(self) -> Draft:
        repo, told = self._repo, self._told
        given = {
            "command": told.command,
            "code": told.commit,
            "inputs": told.inputs,
            "outputs": told.outputs,
            "params": told.params,
            "metrics": told.metrics,
            "env": told.env,
            "seeds": told.seeds,
        }
        name, email = told.author
        claim = Claim(
            tuple(sorted(one for one, value in given.items() if value)),
            Actor(name, email),
            told.date,
            told.host,
        )
        return Draft(
            kind="import",
            reason=told.message,
            step=told.step,
            actor=actor.who(repo.git, repo.environ),
            repo=self._identity(),
            code=self._code(),
            command=Command(told.command, told.cwd) if told.command else None,
            params=tuple(self._params()),
            metrics=tuple(self._metrics()),
            seeds=told.seeds,
            uncontrolled=told.uncontrolled,
            claim=claim,
        )

    def _identity(self) -> RepoIdentity:
        if self._told.repository:
            return RepoIdentity("", actor.without_credentials(self._told.repository))
        return actor.identity(self._repo.git)

    # inputs and outputs

    def _known(self, one: ClaimedItem, what: str) -> Item:
        """Return what is known of the content of an input or output; oids are filled in later."""
        repo = self._repo
        if one.oid is not None:
            path = os.fsdecode(repo.locate(one.path))
            return replace(self._by_content(one, one.oid, what), path=path, role=one.role)
        path = os.fsdecode(typed_path(repo, one.path))
        if one.rev:
            version = version_at(repo, one.rev)
            located = locate(repo, version, os.fsencode(path))
            entry = entry_at(repo, version, located, repo.store)
            if entry.kind == DIRECTORY:
                files = repo.store.read_tree(entry.oid).files
                return Item(path, entry.oid, "tree", entry.size, files, False, one.role, "dver")
            executable = entry.kind == EXECUTABLE
            return Item(path, entry.oid, "file", entry.size, 1, executable, one.role, "dver")
        seen = self._looker.look([os.fsencode(path)])[os.fsencode(path)]
        if seen is None:
            raise NotFoundError(
                f"the {what} {show(one.path)} is not there, and no pointer names it",
                hint="put it there, or name its oid, or the revision that has it",
            )
        where = "" if seen.here else "dver"
        return Item(
            path, seen.oid, seen.kind, seen.size, seen.files, seen.executable, one.role, where
        )

    def _by_content(self, one: ClaimedItem, oid: Oid, what: str) -> Item:
        """Return what records, the store or pointers know of some content."""
        repo = self._repo
        with LineageIndex(repo) as index:
            for found in (*index.makers(oid), *index.users(oid)):
                value = index.record(found)
                for item in (*value.outputs, *value.inputs) if value is not None else ():
                    if item.oid == oid:
                        return replace(item, observed=False, producer="", source="dver")
        place = repo.store.place(oid)
        if place is not None and repo.store.is_complete(oid):
            if place.kind in (TREE, TREE_LIST):
                tree = repo.store.read_tree(oid)
                return Item(one.path, oid, "tree", tree.size, tree.files, source="dver")
            return Item(one.path, oid, "file", repo.store.size(oid), 1, source="dver")
        for target in load_targets(repo, [b""]).values():
            pointer = target.pointer
            if pointer is not None and pointer.oid == oid:
                kind, size, files = pointer.kind, pointer.size, pointer.files
                return Item(one.path, oid, kind, size, files, pointer.executable, source="dver")
        raise NotFoundError(
            f"the {what} {show(one.path)}: no record, version or object here has the content"
            f" {format_oid(oid)}",
            hint="put the data at its path and leave 'oid' out, or 'dver fetch' the version",
        )

    def _track(self, outputs: Sequence[Item]) -> list[bytes]:
        """Track outputs in the work tree as they are, but for those that git tracks."""
        repo = self._repo
        here = [os.fsencode(one.path) for one in outputs if not one.source]
        in_git = set(repo.git.tracked_by_git(here))
        mine = [os.fsdecode(repo.absolute(path)) for path in here if path not in in_git]
        if not mine:
            return []
        with worktree.hold_worktree(repo):
            done = add_jobs(repo, select(repo, mine), self._reporter, stage=False, made=True)
        return [repo.locate(os.path.join(repo.cwd, path)) for path in done.to_stage]

    def _kept(self, one: Item, keeper: Keeper, targets: Mapping[bytes, Any]) -> Item:
        if one.source:
            return one  # it is not in the work tree, or not in this version
        path = os.fsencode(one.path)
        target = naming.holder(targets, path) or b""
        kept = keeper.keep(path, target)
        source = "dver" if target else "git" if self._repo.git.tracked_by_git([path]) else ""
        return replace(kept, role=one.role, source=source)

    def _told_of(self, one: Item) -> RunItem:
        path = self._repo.display(os.fsencode(one.path))
        return RunItem(path, format_oid(one.oid), one.size, one.files, one.role)

    # the rest

    def _params(self) -> Iterator[Value]:
        told = self._told.params
        if isinstance(told, str):
            path = self._repo.locate(told)
            yield from values.params(self._repo.absolute(path), os.fsdecode(path), ())
            return
        for key, value in sorted(values.flatten(dict(told))):
            yield Value(key, *values.spell(value), "claim")

    def _metrics(self) -> Iterator[Metric]:
        told = self._told.metrics
        if isinstance(told, str):
            path = self._repo.locate(told)
            yield from values.metrics(self._repo.absolute(path), os.fsdecode(path))
            return
        for key, value in sorted(values.flatten(dict(told))):
            yield Metric(key, *values.spell(value), "claim")

    def _environment(self, draft: Draft, keeper: Keeper) -> None:
        env = self._told.env
        if env is None:
            return
        draft.locks = tuple(keeper.keep(self._repo.locate(path)) for path in sorted(env.locks))
        draft.packages = "".join(f"{line}\n" for line in env.packages).encode()
        found = Environment(
            python=env.texts.get("python", {}),
            packages=oid_of(draft.packages) if draft.packages else None,
            system=env.texts.get("system", {}),
            cpu=env.texts.get("cpu", {}),
            gpus=env.gpus,
            libraries=env.texts.get("libraries", {}),
            container=env.container,
        )
        fingerprint = oid_of(dump(to_plain(found)))
        draft.env = replace(found, vars=env.texts.get("vars", {}), fingerprint=fingerprint)

    def _code(self) -> Snapshot | None:
        """Return the commit that was named; if it is not here its name is all there is."""
        git, name = self._repo.git, self._told.commit
        if not name:
            return None
        if git.is_revision(name):
            commit = git.resolve(name)
            return Snapshot(commit, git.run("rev-parse", f"{commit}^{{tree}}").decode().strip(), "")
        if not self._told.repository:
            raise NotFoundError(
                f"there is no commit {name!r} in this repository",
                hint="'git fetch --all' may bring it; for a commit of another repository, name it:"
                " 'code: {commit: ..., repository: URL}'",
            )
        return Snapshot(name, "", "")
