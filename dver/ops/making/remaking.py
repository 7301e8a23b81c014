"""Making once more what a record made: what it takes is looked for first, then its command runs.

All happens in a directory outside of the repository, which is left as it was.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import DverError, NotFoundError
from dver.base.oid import short_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats.record import Item, Metric, Record
from dver.lineage import executing, values
from dver.lineage.checkedout import CodeUnavailableError, FoundCode, check_out, find_code
from dver.lineage.environment import RECORDED, Capture, Captured, differences
from dver.lineage.executing import Outcome, Sink
from dver.lineage.keeping import content_of
from dver.lineage.setting import Call, Current, Kind, Setting, SettingUnavailableError
from dver.ops.data.materialise import remove_all
from dver.ops.making.recordeditems import absent, bring, write_out
from dver.ops.making.verdict import GradedOutput, Grader

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(slots=True)
class Ready:
    """What it takes to make something again, as far as it was found; ``missing`` is what was not.

    ``inputs`` are those to use, which need not be the recorded ones. ``packages`` is the recorded
    list.
    """

    inputs: tuple[Item, ...]
    code: FoundCode = field(default_factory=FoundCode)
    setting: Setting = field(default_factory=Current)
    packages: bytes = b""
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Made:
    """What came of running a command once more; ``outcome`` None if it could not be started."""

    outcome: Outcome | None = None
    captured: Captured | None = None
    outputs: list[GradedOutput] = field(default_factory=list)
    items: dict[str, Item] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    differs: tuple[str, ...] = ()
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Remaking:
    """Makes again what records made. ``remote`` is where from what is not here is brought."""

    def __init__(
        self, repo: Repo, kind: Kind, remote: str | None, sink: Sink, reporter: Reporter
    ) -> None:
        self._repo = repo
        self._kind = kind
        self._remote = remote
        self._sink = sink
        self._reporter = reporter

    # before

    def preflight(self, value: Record, inputs: tuple[Item, ...]) -> Ready:
        """Find out what is missing, and bring what can be brought."""
        ready = Ready(inputs, setting=Current(os.fspath(self._repo.root)))
        if value.command is None:
            ready.missing.append("the record names no command: it was made elsewhere")
            return ready
        if value.run is not None and value.run.exit != 0:
            ready.notes.append(f"the recorded run itself ended with exit code {value.run.exit}")
        if value.claim is not None and value.claim.fields:
            ready.notes.append(f"nobody saw it made; claimed: {', '.join(value.claim.fields)}")
        try:
            ready.code = find_code(self._repo, value)
            if ready.code.note:
                ready.notes.append(ready.code.note)
        except CodeUnavailableError as error:
            ready.missing.append(error.message)
        self._bring(value, ready)
        if not ready.missing:
            # It may take minutes to build one, and all else is looked for in a moment.
            self._settle(value, ready)
        ready.notes += [
            f"the code lacks {text}, which was not kept" for text in value.code.left_out
        ]
        ready.notes += [f"not controlled: {text}" for text in value.uncontrolled]
        return ready

    def _bring(self, value: Record, ready: Ready) -> None:
        repo = self._repo
        listed = _listed(value)
        looked = bring(repo, [*ready.inputs, *listed], self._remote, self._reporter)
        for one in absent(repo, ready.inputs):
            ready.missing.append(
                f"the input {show(one.path)} ({short_oid(one.oid)}) is not in"
                f" {' and '.join(looked)}"
            )
        oid = value.env.packages
        if oid is not None and repo.store.has(oid):
            ready.packages = repo.store.read(oid)

    def _settle(self, value: Record, ready: Ready) -> None:
        """Find or build what the command is to run in."""
        repo = self._repo
        if self._kind == "current":
            return
        try:
            if self._kind == "container":
                from dver.lineage.container import find

                objects = repo.git.common_dir / "objects"
                ready.setting = find(value.env.container, repo.environ, [objects])
            else:
                from dver.lineage.virtualenv import Wanted, build

                locks = [
                    (one.path, repo.store.read(one.oid))
                    for one in value.env.locks
                    if repo.store.has(one.oid)
                ]
                if value.env.packages is not None and not ready.packages:
                    raise SettingUnavailableError("the recorded list of packages is not here")
                wanted = Wanted(ready.packages, locks, value.env.python)
                ready.setting = build(self._kind, wanted, repo.environ, self._reporter)
        except SettingUnavailableError as error:
            ready.missing.append(error.message + (f" ({error.hint})" if error.hint else ""))
            return
        ready.notes += ready.setting.notes

    # making

    def make(self, value: Record, ready: Ready, work: Path) -> Made:
        """Run the command in a new directory ``work``, and grade what it made."""
        made = Made()
        if value.command is None:
            return made
        scratch = work.with_name(f"{work.name}.parts")
        try:
            check_out(self._repo, ready.code, work)
            self._lay_out(value, ready.inputs, work, scratch)
            self._run(value, ready, work, made)
            if made.outcome is not None and made.outcome.exit == _exit_of(value):
                self._compare(value, work, scratch, made)
        finally:
            remove_all(scratch)
        return made

    def _run(self, value: Record, ready: Ready, work: Path, made: Made) -> None:
        if value.command is None:
            return
        cwd = work / value.command.cwd
        fsio.make_dirs(os.fspath(cwd))
        setting = ready.setting
        env = setting.variables(self._environment(value))
        names = sorted({*value.env.vars, *value.seeds})
        call = Call(value.command.argv, os.fspath(cwd), os.fspath(work), names, env)
        argv = setting.command(call)
        try:
            executing.find_program(argv, os.fspath(cwd), env)
        except NotFoundError as error:
            hint = " (--env venv builds one of the recorded packages)" if os.sep in argv[0] else ""
            made.missing.append(error.message + hint)
            return
        # What a container's interpreter answers does not follow from files here.
        cache = None if setting.kind == "container" else self._repo.layout.probes
        capture = Capture(argv, env, setting.python(argv, env), cache)
        made.outcome = executing.execute(argv, os.fspath(cwd), env, self._sink)
        if made.outcome.interrupted:
            raise KeyboardInterrupt  # what was stopped half-way says nothing about the recorded run
        container = value.env.container if setting.kind in ("current", "container") else ""
        made.captured = capture.finish(tuple(value.env.vars), container)
        now = made.captured
        found = differences(value.env, now.environment, ready.packages, now.packages)
        # pip brings the packages of a virtual environment, and is none of them.
        own = "package pip:" if setting.kind in ("venv", "uv") else "\0"
        made.differs = tuple(line for line in found if not line.startswith(own))

    def _environment(self, value: Record) -> dict[str, str]:
        """Return the variables of this process, with those that were recorded set as they were."""
        # Where the environment was recorded, what is not in it was not set.
        unset = RECORDED if value.env.fingerprint is not None else ()
        env = {
            name: text
            for name, text in self._repo.environ.items()
            if not name.startswith("GIT_") and name not in unset
        }
        return env | dict(value.env.vars) | dict(value.seeds)

    def _lay_out(self, value: Record, inputs: Sequence[Item], work: Path, scratch: Path) -> None:
        """Put the inputs where the command expects them, read-only, and take outputs away."""
        for out in value.outputs:
            place = work / out.path
            if os.path.lexists(place):
                remove_all(place)
            fsio.make_dirs(os.fspath(place.parent))
        for n, one in enumerate(inputs):
            place = work / one.path
            if one.kind == "file" and place.is_file() and content_of(place) == one.oid:
                continue
            write_out(self._repo, one, place, scratch / str(n), self._reporter)
            _protect(place)

    def _compare(self, value: Record, work: Path, scratch: Path, made: Made) -> None:
        store = self._repo.store
        grader = Grader(self._repo, self._remote, self._reporter)
        with store.hold():
            store.refresh()
            with store.writer() as writer:
                for n, one in enumerate(value.outputs):
                    place, apart = work / one.path, scratch / "compare" / str(n)
                    graded, item = grader.grade(one, place, apart, writer)
                    made.outputs.append(graded)
                    if item is not None:
                        made.items[one.path] = item
                writer.commit()
        found: list[Metric] = []
        for source in dict.fromkeys(one.source for one in value.metrics):
            if source in ("", "code", "claim"):
                continue  # it is no file
            try:
                found += values.metrics(os.fsencode(work / source), source)
            except DverError as error:
                made.notes.append(error.message)
        made.metrics = tuple(found)


def _exit_of(value: Record) -> int:
    return value.run.exit if value.run is not None else 0


def _listed(value: Record) -> list[Item]:
    """Return what tells of the environment, as items to bring."""
    found = [Item(one.path, one.oid, "file") for one in value.env.locks]
    if value.env.packages is not None:
        found.append(Item("packages", value.env.packages, "file"))
    return found


def _protect(place: Path) -> None:
    """Make an input read-only, so that a command that changes its inputs is noticed."""
    if place.is_symlink():
        return
    for where, _, files in os.walk(place):
        for name in files:
            inner = os.path.join(where, name)
            if not os.path.islink(inner):
                os.chmod(inner, stat.S_IMODE(os.stat(inner).st_mode) & ~0o222)
    if place.is_file():
        os.chmod(place, stat.S_IMODE(place.stat().st_mode) & ~0o222)
