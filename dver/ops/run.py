"""Run a command, and record what it made out of what."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.errors import NotFoundError, RefusedError, UsageError
from dver.base.fsio import show
from dver.base.oid import format_oid
from dver.base.reporter import Reporter
from dver.formats import pointer as pointers
from dver.formats.pointer import Pointer
from dver.formats.record import DIRECTORY as RECORDS
from dver.formats.record import Command, Item, Metric, Undeclared, Value
from dver.git import snapshot
from dver.git.pointers import data_path, is_pointer_path
from dver.lineage import actor, executing, running, values
from dver.lineage.environment import Capture
from dver.lineage.executing import Outcome, Sink
from dver.lineage.keeping import Bundle, Keeper
from dver.lineage.observing import Observer
from dver.lineage.running import Draft
from dver.ops import naming, worktree
from dver.ops.add import record as add_jobs
from dver.ops.selection import select
from dver.ops.targets import load_targets

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
    result depends on. ``stage`` as in :class:`dver.ops.add.AddOptions`.
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


@dataclass(frozen=True, slots=True)
class RunItem:
    """One input or output: the path as the user would type it, the oid in text form."""

    path: str
    oid: str
    size: int
    files: int
    role: str


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run was recorded as.

    ``record`` is the record's id and ``file`` its file. ``exit`` is the command's exit code and
    ``milliseconds`` the time it took. ``reads`` and ``writes`` were noticed and not declared;
    ``left_out`` are changed files that the snapshot of the code does not hold.
    """

    record: str
    file: str
    exit: int
    milliseconds: int
    inputs: tuple[RunItem, ...]
    outputs: tuple[RunItem, ...]
    metrics: tuple[Metric, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    left_out: tuple[str, ...]
    to_stage: tuple[str, ...]
    staged: bool
    interrupted: bool


def run(repo: Repo, options: RunOptions, sink: Sink, reporter: Reporter) -> RunResult:
    """Run a command and record it; a failed run is recorded too, without outputs.

    Nothing is locked while the command runs: it may commit, switch branches, or use dver itself.
    Raises before the command is run if an input is missing, the program is not there, or an
    output is an input too; after it was recorded, if an output was not made.
    """
    if not options.argv:
        raise UsageError("there is no command to run", hint="dver run -o OUT -- COMMAND ARGS...")
    plan = _Plan(repo, options)
    env = dict(repo.environ)
    executing.find_program(options.argv, str(repo.cwd), env)
    if options.clean:
        snapshot.require_clean(repo.git, [RECORDS])
    draft = plan.draft()
    pin = _Pin(repo)
    try:
        _keep_inputs(repo, plan, draft, pin)
        seeds = {"PYTHONHASHSEED": env.setdefault("PYTHONHASHSEED", "0")}
        capture = Capture(options.argv, env)
        with Observer(repo.root) as observer:
            outcome = executing.execute(
                options.argv, str(repo.cwd), env | observer.variables(env), sink
            )
            reads, writes = observer.found()
        captured = capture.finish(options.variables, options.container)
        draft.outcome, draft.seeds = outcome, seeds
        draft.env, draft.packages = captured.environment, captured.packages
        return _Finish(repo, plan, draft, reporter).finish(reads, writes)
    finally:
        pin.remove()


class _Plan:
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
                if dep == out or _is_below(dep, out) or _is_below(out, dep):
                    shown = show(self.repo.display(out)), show(self.repo.display(dep))
                    raise UsageError(
                        f"the output {shown[0]} is an input too ({shown[1]})",
                        hint="what a command changes in place cannot be told from what it read;"
                        " let it write to another path",
                    )
        for one in made:
            for other in made:
                if _is_below(one, other):
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
        cwd = os.path.relpath(repo.cwd, repo.root)
        code = snapshot.take(repo.git, [RECORDS])
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

    def sources(self, paths: Iterable[bytes]) -> Mapping[bytes, str]:
        """Tell of some paths whether dver or git tracks them."""
        paths = list(paths)
        in_git = set(self.repo.git.tracked_by_git(paths))
        found = {}
        for path in paths:
            tracked = path in in_git or any(_is_below(one, path) for one in in_git)
            found[path] = "dver" if self.target_of(path) else "git" if tracked else ""
        return found


class _Pin:
    """Keeps what a run has stored from being collected before its record names it."""

    def __init__(self, repo: Repo) -> None:
        directory = os.path.join(repo.common_state_dir, "runs")
        fsio.make_dirs(directory)
        fd, self._path = fsio.create_temp(directory)
        os.close(fd)

    def write(self, pointer: Pointer) -> None:
        """Keep all that a pointer names."""
        fsio.write_atomic(self._path, pointers.encode(pointer))

    def remove(self) -> None:
        """Keep nothing more."""
        fsio.remove(self._path)


def _keep_inputs(repo: Repo, plan: _Plan, draft: Draft, pin: _Pin) -> None:
    """Store the inputs as the command will find them."""
    paths = {**dict.fromkeys(plan.param_files, "config"), **plan.deps}
    store = repo.store
    with store.hold():
        store.refresh()
        with store.writer() as writer:
            keeper = Keeper(repo, writer)
            sources = plan.sources(paths)
            draft.inputs = tuple(
                replace(keeper.keep(path, plan.target_of(path)), role=role, source=sources[path])
                for path, role in sorted(paths.items())
            )
            draft.locks = tuple(keeper.keep(path) for path in sorted(plan.locks))
            bundle = Bundle(writer)
            bundle.put_items("inputs", (*draft.inputs, *draft.locks))
            kept = bundle.finish()
            writer.commit()
        pin.write(Pointer("tree", kept.oid, kept.size, kept.files))


class _Finish:
    """What is done once the command has ended."""

    def __init__(self, repo: Repo, plan: _Plan, draft: Draft, reporter: Reporter) -> None:
        self._repo = repo
        self._plan = plan
        self._draft = draft
        self._reporter = reporter

    def finish(self, reads: set[bytes], writes: set[bytes]) -> RunResult:
        """Take the outputs in, write the record, and return the result."""
        repo, plan, draft = self._repo, self._plan, self._draft
        outcome = self._outcome()
        missing: list[bytes] = []
        to_stage: list[bytes] = []
        adopted: dict[bytes, str] = {}
        if outcome.exit == 0:
            for path, role in sorted({**plan.outs, **plan.metrics}.items()):
                if os.path.lexists(repo.absolute(path)):
                    adopted[path] = role
                else:
                    missing.append(path)
            to_stage += self._track([path for path in adopted if path in plan.outs])
        draft.undeclared = self._undeclared(reads, writes)
        store = repo.store
        with store.hold():
            store.refresh()
            with store.writer() as writer:
                plan.targets = load_targets(repo, [b""])
                keeper = Keeper(repo, writer)
                sources = plan.sources(adopted)
                draft.outputs = tuple(
                    replace(
                        keeper.keep(path, plan.target_of(path)), role=role, source=sources[path]
                    )
                    for path, role in adopted.items()
                )
                draft.metrics = tuple(self._metrics(adopted))
                record_id, data = running.finish(draft, writer)
                writer.commit()
            if draft.code is not None and draft.code.snapshot:
                snapshot.keep(repo.git, record_id.hex(), draft.code.snapshot)
            to_stage.append(running.write(repo, record_id, data))
        staged = worktree.stage(repo, to_stage, plan.options.stage)
        result = self._result(record_id.hex(), outcome, to_stage, staged)
        self._complain(result, missing)
        return result

    def _outcome(self) -> Outcome:
        if self._draft.outcome is None:
            raise ValueError("the command did not run")
        return self._draft.outcome

    def _track(self, paths: Sequence[bytes]) -> list[bytes]:
        """Track outputs that git does not; return the files that git is to know of."""
        repo = self._repo
        in_git = set(repo.git.tracked_by_git(paths))
        mine = [path for path in paths if path not in in_git]
        if not mine:
            return []
        typed = [os.fsdecode(os.path.join(os.fsencode(repo.root), path)) for path in mine]
        with worktree.hold_worktree(repo):
            done = add_jobs(repo, select(repo, typed), self._reporter, stage=False)
        return [repo.locate(os.path.join(repo.cwd, path)) for path in done.to_stage]

    def _metrics(self, adopted: Mapping[bytes, str]) -> Iterable[Metric]:
        for path in sorted(self._plan.metrics):
            if path in adopted:
                yield from values.metrics(self._repo.absolute(path), os.fsdecode(path))

    def _undeclared(self, reads: set[bytes], writes: set[bytes]) -> Undeclared:
        plan = self._plan
        declared = [*plan.deps, *plan.param_files, *plan.outs, *plan.metrics, *plan.locks]
        noticed = {
            path
            for path in reads | writes
            if not path.startswith((b".git/", RECORDS))
            and b"__pycache__" not in path
            and not any(path == one or _is_below(path, one) for one in declared)
        }
        code = set(self._repo.git.tracked_by_git(sorted(noticed)))
        written = sorted(path for path in noticed & writes if path not in code)
        read = sorted(
            path
            for path in noticed & reads - writes
            if path not in code and os.path.isfile(self._repo.absolute(path))
        )
        return Undeclared(tuple(map(os.fsdecode, read)), tuple(map(os.fsdecode, written)))

    def _result(
        self, record_id: str, outcome: Outcome, to_stage: Sequence[bytes], staged: bool
    ) -> RunResult:
        draft, display = self._draft, self._repo.display
        left_out = draft.code.left_out if draft.code is not None else ()
        return RunResult(
            record_id,
            display(to_stage[-1]),
            outcome.exit,
            outcome.milliseconds,
            tuple(self._item(one) for one in draft.inputs),
            tuple(self._item(one) for one in draft.outputs),
            draft.metrics,
            tuple(display(os.fsencode(path)) for path in draft.undeclared.reads),
            tuple(display(os.fsencode(path)) for path in draft.undeclared.writes),
            tuple(f"{display(one.path)}: {one.reason}" for one in left_out),
            () if staged else tuple(display(path) for path in to_stage),
            staged,
            outcome.interrupted,
        )

    def _item(self, one: Item) -> RunItem:
        path = self._repo.display(os.fsencode(one.path))
        return RunItem(path, format_oid(one.oid), one.size, one.files, one.role)

    def _complain(self, result: RunResult, missing: Sequence[bytes]) -> None:
        for text in result.left_out:
            self._reporter.warn(f"the record does not hold {text}")
        if missing:
            raise NotFoundError(
                f"the command ended well, but did not make all outputs; it was recorded as"
                f" {result.record[:10]}",
                hint="check the paths given with -o and -m",
                paths=[self._repo.display(path) for path in missing],
            )
        if self._plan.options.strict and (result.reads or result.writes):
            raise RefusedError(
                f"files were read or written that were not declared; the run was recorded as"
                f" {result.record[:10]}",
                hint="declare them with -d and -o, or leave --strict out",
                paths=[*result.reads, *result.writes],
            )


def _is_below(path: bytes, directory: bytes) -> bool:
    return path.startswith(directory + b"/") if directory else bool(path)
