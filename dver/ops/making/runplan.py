"""What is done before a recorded command runs: its paths are understood, its inputs are kept."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import FormatError, UsageError
from dver.base.oid import Oid
from dver.base.quoting import show
from dver.formats import origin as origins
from dver.formats import pointer as pointers
from dver.formats.pointer import Pointer
from dver.formats.record import Command, Value
from dver.formats.recordpath import DIRECTORY as RECORDS
from dver.git import snapshot
from dver.git.pointers import data_path, is_pointer_path
from dver.lineage import actor, values
from dver.lineage.archive import Archiver
from dver.lineage.keeping import Bundle, Keeper
from dver.lineage.running import Draft
from dver.ops.targets import naming
from dver.ops.targets.target import load_targets
from dver.repo.naming import in_git

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What to run, and what it needs and makes.

    ``argv`` is the command. ``deps`` and ``outs`` are paths, each with ``:ROLE`` behind it if its
    role is told. ``params`` are files, with ``:KEY,KEY`` behind those of which only some count;
    ``metrics`` and ``locks`` are files. ``step`` names what is done, ``message`` says why.
    ``clean`` refuses a work tree that is not as committed, ``strict`` fails if something was read
    or written that was not declared. ``variables`` are environment variables to record as well,
    ``container`` the digest of the image that all runs in, ``uncontrolled`` what else the
    result depends on. ``stage`` as in :class:`dver.ops.data.add.AddOptions`. ``apart`` are paths of
    the repository that are no code: what other steps make, perhaps at this moment.
    """

    argv: tuple[str, ...]
    step: str = ""
    deps: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    outs: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    message: str = ""
    clean: bool = False
    strict: bool = False
    variables: tuple[str, ...] = ()
    container: str = ""
    uncontrolled: tuple[str, ...] = ()
    stage: bool | None = None
    apart: tuple[bytes, ...] = ()


class Plan:
    """The paths of one run, looked up once, before anything happens."""

    def __init__(self, repo: Repo, options: RunOptions) -> None:
        self.repo = repo
        self.options = options
        self.deps = dict(self._with_role(arg) for arg in options.deps)
        self.outs = dict(self._with_role(arg) for arg in options.outs)
        self.metrics = {repo.locate(arg): "metrics" for arg in options.metrics}
        self.locks = [repo.locate(arg) for arg in options.locks]
        self.param_files = dict(self._with_keys(arg) for arg in options.params)
        self._require_apart()
        self.targets = load_targets(repo, [b""])

    def _with_role(self, arg: str) -> tuple[bytes, str]:
        path, colon, role = arg.rpartition(":")
        if not colon or os.path.lexists(os.path.join(self.repo.cwd, arg)):
            path, role = arg, ""
        located = self.repo.locate(path)
        return (data_path(located) if is_pointer_path(located) else located), role

    def _with_keys(self, arg: str) -> tuple[bytes, tuple[str, ...]]:
        path, colon, keys = arg.rpartition(":")
        if not colon or os.path.lexists(os.path.join(self.repo.cwd, arg)):
            path, keys = arg, ""
        return self.repo.locate(path), tuple(key for key in keys.split(",") if key)

    def _require_apart(self) -> None:
        made = [*self.outs, *self.metrics]
        read = [*self.deps, *self.param_files, *self.locks]
        for out in made:
            if not out:
                raise UsageError("the whole repository cannot be an output")
            for dep in read:
                if dep == out or is_below(dep, out) or is_below(out, dep):
                    shown = show(self.repo.display(out)), show(self.repo.display(dep))
                    raise UsageError(
                        f"the output {shown[0]} is an input too ({shown[1]})",
                        hint="what a command changes in place cannot be told from what it read;"
                        " let it write to another path",
                    )
        for one in made:
            for other in made:
                if is_below(one, other):
                    raise UsageError(
                        f"the output {show(self.repo.display(one))} lies in the output"
                        f" {show(self.repo.display(other))}"
                    )

    def target_of(self, path: bytes) -> bytes:
        """Return the tracked target that a path is or lies in, b"" if there is none."""
        return naming.holder(self.targets, path) or b""

    def draft(self) -> Draft:
        """Return what can be said before the command runs."""
        repo, options = self.repo, self.options
        cwd = in_git(repo.cwd, repo.root)
        code = snapshot.take(repo.git, [RECORDS, *options.apart])
        return Draft(
            reason=options.message,
            step=options.step,
            actor=actor.who(repo.git, repo.environ),
            repo=actor.identity(repo.git),
            code=code,
            command=Command(options.argv, "" if cwd == "." else cwd.replace(os.sep, "/")),
            params=tuple(self._params()),
            uncontrolled=options.uncontrolled,
        )

    def _params(self) -> Iterable[Value]:
        for path, keys in sorted(self.param_files.items()):
            yield from values.params(self.repo.absolute(path), os.fsdecode(path), keys)

    def origin_of(self, path: bytes, oid: Oid) -> str:
        """Return where an input with that content was imported from, "" if it was not.

        What was recorded anew since the import came from nowhere but here.
        """
        target = self.targets.get(self.target_of(path))
        if target is None or target.pointer is None:
            return ""
        try:
            found = origins.decode(target.raw)
        except FormatError:
            return ""
        here = oid if target.path == path else target.pointer.oid
        return found.place if found is not None and found.oid == here else ""

    def sources(self, paths: Iterable[bytes]) -> Mapping[bytes, str]:
        """Tell of some paths whether dver or git tracks them."""
        paths = list(paths)
        in_git = set(self.repo.git.tracked_by_git(paths))
        found = {}
        for path in paths:
            tracked = path in in_git or any(is_below(one, path) for one in in_git)
            found[path] = "dver" if self.target_of(path) else "git" if tracked else ""
        return found


class Pin:
    """Keeps what a run has stored from being collected before its record names it."""

    def __init__(self, repo: Repo) -> None:
        directory = os.fspath(repo.layout.runs_dir)
        fsio.make_dirs(directory)
        self._path = os.path.join(directory, os.urandom(16).hex())

    def write(self, pointer: Pointer) -> None:
        """Keep all that a pointer names."""
        fsio.write_atomic(self._path, pointers.encode(pointer))

    def remove(self) -> None:
        """Keep nothing more."""
        fsio.remove(self._path)


def keep_inputs(repo: Repo, plan: Plan, draft: Draft, pin: Pin) -> None:
    """Store the inputs as the command will find them."""
    paths = {**dict.fromkeys(plan.param_files, "config"), **plan.deps}
    store = repo.store
    with store.hold():
        store.refresh()
        with store.writer() as writer:
            keeper = Keeper(repo, writer)
            sources = plan.sources(paths)
            kept_inputs = [
                replace(keeper.keep(path, plan.target_of(path)), role=role, source=sources[path])
                for path, role in sorted(paths.items())
            ]
            draft.inputs = tuple(
                replace(one, origin=plan.origin_of(os.fsencode(one.path), one.oid))
                for one in kept_inputs
            )
            draft.locks = tuple(keeper.keep(path) for path in sorted(plan.locks))
            if draft.code is not None:
                with Archiver(repo, writer) as archiver:
                    draft.archive = archiver.store(draft.code.tree)
            bundle = Bundle(writer)
            bundle.put_items("inputs", (*draft.inputs, *draft.locks))
            if draft.archive is not None:
                oid, size, files = draft.archive
                bundle.put("code", "tree", oid, size, files)
            kept = bundle.finish()
            writer.commit()
        pin.write(Pointer("tree", kept.oid, kept.size, kept.files))


def is_below(path: bytes, directory: bytes) -> bool:
    """Say whether a path lies below a directory; all others lie below the top, b""."""
    return path.startswith(directory + b"/") if directory else bool(path)
