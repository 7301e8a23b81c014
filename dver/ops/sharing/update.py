"""Move imported data to a newer version of its source, or tell whether there is one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from dver.base.dataclass import dataclass
from dver.base.errors import (
    ConfigError,
    CorruptError,
    DverError,
    MissingContentError,
    NotFoundError,
    ObjectNotFound,
    RefusedError,
    RemoteError,
    RepositoryError,
    UsageError,
)
from dver.base.oid import format_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats.origin import UNSEEN, Origin
from dver.formats.pointer import Pointer
from dver.ops.data.checkout import CheckoutOptions, checkout
from dver.ops.data.materialise import scratch_beside
from dver.ops.data.status import StatusOptions, status
from dver.ops.sharing import download, sourceurl
from dver.ops.sharing.importshape import Shape, has_columns, here, shape_of, with_columns
from dver.ops.sharing.provenance import (
    Imported,
    Told,
    agree,
    as_seen,
    imported_targets,
    is_agreed,
    require_agreed,
    told,
    write_import,
)
from dver.ops.sharing.sourcerepo import DEFAULT, Access, Repositories, Upstream
from dver.ops.targets import worktree

if TYPE_CHECKING:
    from dver.repo import Repo

State = Literal["current", "moved", "pinned", "gone", "failed"]
#: What is wrong with one source, and not with what was asked or with this machine.
_OF_ONE = (ConfigError, CorruptError, MissingContentError, NotFoundError, RemoteError)


@dataclass(frozen=True, slots=True)
class UpdateOptions:
    """What to update, and how.

    ``paths`` are imported targets, or directories that hold some; none means all there are, which
    has to be asked for with ``all``. ``rev`` is another branch, tag or commit to follow from now
    on. ``check`` and ``dry_run`` only look; the former is for programs. ``download`` False writes
    the pointers only. ``force`` gives up what was changed here. ``trust`` agrees to the sources.
    """

    paths: tuple[str, ...] = ()
    all: bool = False
    rev: str | None = None
    check: bool = False
    dry_run: bool = False
    download: bool = True
    force: bool = False
    trust: bool = False
    access: Access = DEFAULT
    stage: bool | None = None


@dataclass(frozen=True, slots=True)
class UpdatedTarget:
    """One imported target.

    ``state`` compares what was imported with what is at the source now:

    - current: nothing has changed there
    - moved: there is another version; ``updated`` says whether it was taken
    - pinned: a tag or a commit was asked for, which does not move; ``note`` tells if it did all the
      same, which nobody should have done
    - gone: the source has nothing of that name any more
    - failed: the source could not be asked or read; ``note`` says why, ``hint`` what helps

    ``old`` and ``new`` are the origins. ``oid`` is the text form of the content that is tracked
    after the command, None if nobody has seen it. ``shape`` says how the content differs, as far as
    that could be told without downloading it; None if nothing has changed.
    """

    path: str
    state: State
    updated: bool
    old: Told
    new: Told
    oid: str | None
    size: int
    files: int
    shape: Shape | None = None
    note: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """All imported targets that were looked at, by path; ``dry_run`` if nothing was changed.

    ``failure`` is the exit code of the first that could not be done, 0 if all could.
    """

    targets: tuple[UpdatedTarget, ...]
    dry_run: bool
    to_stage: tuple[str, ...]
    staged: bool
    failure: int = 0

    @property
    def has_moved(self) -> bool:
        """Whether a source has something else than what was imported, or nothing any more."""
        return any(
            one.state in ("moved", "gone") or (one.note and one.state != "failed")
            for one in self.targets
        )


@dataclass(slots=True)
class _Case:
    """One target on its way.

    ``one`` is what it was before, ``origin`` what is to be told of its source. ``pointer`` is set
    if there is something to take. ``refusal`` says what taking it would lose, ``failure`` why it
    cannot be done.
    """

    one: Imported
    state: State = "current"
    origin: Origin = field(default_factory=Origin)
    pointer: Pointer | None = None
    shape: Shape | None = None
    note: str = ""
    updated: bool = False
    refusal: RefusedError | None = None
    failure: DverError | None = None

    def fail(self, error: DverError) -> None:
        """Note that it cannot be done."""
        self.state, self.origin, self.failure = "failed", self.one.origin, error
        self.pointer, self.shape, self.note = None, None, error.message

    def require_clean(self) -> None:
        """Raise RefusedError if taking the source's version would lose something."""
        if self.refusal is not None:
            raise self.refusal


def update(repo: Repo, options: UpdateOptions, reporter: Reporter) -> UpdateResult:
    """Take the newest version of imported data from its source.

    All sources are asked first, then all content is brought, and only then does anything in the
    workspace change. Raises RefusedError, with nothing changed, if data was changed here;
    ConfigError for a source that nobody has agreed to in this clone; and what reading it raises.
    Of several targets, those that can be done are done, and the result tells of the others.
    """
    repo.require_init()
    if repo.git.is_bare:
        raise RepositoryError("a bare repository has no working tree to update")
    if not options.paths and not options.all:
        raise UsageError(
            "nothing to update was named", hint="dver update PATH..., or dver update --all"
        )
    broken: dict[bytes, DverError] = {}
    found = imported_targets(repo, options.paths, broken)
    if not found:
        for error in broken.values():
            raise error
        raise NotFoundError(
            "nothing here was imported", hint="'dver import' brings data from elsewhere"
        )
    if options.rev is not None and any(not one.origin.repository for one in found):
        raise UsageError("--rev is for data of another repository")
    if options.trust:
        agree(repo, [one.origin for one in found])
    if not any(is_agreed(repo, one.origin) for one in found):
        require_agreed(repo, found, "dver update")
    looking = options.check or options.dry_run
    edited = {} if looking or options.force else _edited(repo, found, reporter)
    with repo.store.hold():
        repo.store.refresh()
        cases = [_Case(one) for one in found]
        _look(repo, cases, options, reporter, edited=edited, bring=not looking)
        changed: list[bytes] = []
        staged = False
        if not looking:
            with worktree.hold_worktree(repo):
                changed = _write(repo, cases)
                staged = worktree.stage(repo, changed, options.stage)
    if options.download and not looking:
        _check_out(repo, cases, options, reporter)
    targets = [_told(repo, case) for case in cases]
    targets += [_broken(repo, path, error) for path, error in broken.items()]
    failures = [*broken.values(), *(case.failure for case in cases if case.failure is not None)]
    return UpdateResult(
        tuple(sorted(targets, key=lambda one: one.path)),
        looking,
        () if staged else tuple(repo.display(one) for one in changed),
        staged,
        failures[0].exit_code if failures else 0,
    )


def _edited(repo: Repo, found: Sequence[Imported], reporter: Reporter) -> dict[bytes, RefusedError]:
    """Return for targets whose data was changed here, recorded or not, why they are not updated."""
    errors: dict[bytes, RefusedError] = {}
    by_name = {repo.display(one.path): one for one in found}
    paths = tuple(os.fsdecode(repo.absolute(one.path)) for one in found)
    seen = status(repo, StatusOptions(paths=paths, no_remote=True, details=0), reporter)
    for state in seen.targets:
        one = by_name.get(state.path)
        if one is None:
            continue
        shown = show(state.path)
        if one.is_changed:
            errors[one.path] = RefusedError(
                f"{shown} was changed here since it was imported, and an update would take the"
                " source's version in its place",
                hint=f"'dver update --force {shown}' takes it all the same; git keeps the others",
            )
        if state.data_state in ("modified", "retyped"):
            errors[one.path] = RefusedError(
                f"{shown} was changed in the workspace, and an update would overwrite it",
                hint=f"'dver add {shown}' saves it, 'dver update --force {shown}' gives it up",
            )
    return errors


# -- looking, and bringing -----------------------------------------------------------------------


def _look(
    repo: Repo,
    cases: Sequence[_Case],
    options: UpdateOptions,
    reporter: Reporter,
    *,
    edited: Mapping[bytes, RefusedError],
    bring: bool,
) -> None:
    """Ask all sources, and with ``bring`` bring what has moved.

    What is wrong with one source is noted in its case; it is raised if nothing else can be done.
    """
    with (
        scratch_beside(repo.common_state_dir / "imports" / "clone") as scratch,
        Repositories(repo, options.access, Path(scratch), reporter) as others,
    ):
        for case in cases:
            try:
                require_agreed(repo, [case.one], "dver update")
                case.refusal = edited.get(case.one.path)
                if case.one.origin.repository:
                    _look_at_repository(repo, case, others, options, bring=bring)
                else:
                    _look_at_url(repo, case, options, reporter, bring=bring)
            except _OF_ONE as error:
                is_gone = isinstance(error, NotFoundError | ObjectNotFound)
                if len(cases) == 1 and (bring or not isinstance(error, NotFoundError)):
                    raise
                case.fail(error)
                if is_gone:
                    case.state = "gone"
                if is_gone and not bring:
                    case.failure = None
    if all(case.failure is not None for case in cases):
        for case in cases:
            if case.failure is not None:
                raise case.failure


def _look_at_repository(
    repo: Repo, case: _Case, others: Repositories, options: UpdateOptions, *, bring: bool
) -> None:
    before = case.one.origin
    rev = before.rev if options.rev is None else options.rev
    there = others.look(before, rev)
    pointer = others.pointer(there)
    case.origin = as_seen(there.origin, pointer)
    same = pointer.oid == before.oid
    if options.rev is None and others.is_pinned(there):
        case.state, case.pointer = "pinned", None
        if not same or there.origin.commit != before.commit:
            case.note = (
                f"{rev!r} named commit {before.commit[:10]} when it was imported, and names"
                f" {there.origin.commit[:10]} now; --rev {rev} takes that"
            )
        case.origin = before
        if case.note and not same:
            case.shape = _shape_there(repo, case, pointer, others, there)
        return
    case.state = "current" if same else "moved"
    if not same:
        case.shape = _shape_there(repo, case, pointer, others, there)
    if same and rev == before.rev:
        # Who commits elsewhere in that repository need not change this pointer.
        case.origin = before
    elif bring:
        if not same:
            case.require_clean()
            if options.download:
                others.bring(there, repo.store)
        # Of what was changed here and not there, only the origin is new.
        case.pointer = case.one.pointer if same else pointer


def _shape_there(
    repo: Repo, case: _Case, new: Pointer, others: Repositories, there: Upstream
) -> Shape:
    shape = shape_of(repo.store, case.one.pointer, new, others.source(there))
    name, old = there.origin.path, case.one.pointer
    if new.kind != "file" or not has_columns(name):
        return shape
    before = old.size, here(repo.store, old)
    return with_columns(shape, name, before, (new.size, others.reader(there, new)))


def _look_at_url(
    repo: Repo, case: _Case, options: UpdateOptions, reporter: Reporter, *, bring: bool
) -> None:
    before = case.one.origin
    with sourceurl.opened(before, repo.environ) as plain:
        there = sourceurl.look(plain, before)
        case.origin = there.origin
        if sourceurl.is_same(before, there.origin):
            case.origin = before
            if not (bring and options.download and case.one.is_unseen):
                return
        else:
            case.state = "moved"
            case.shape = sourceurl.shape(repo.store, case.one.pointer, there)
            name = os.fsencode(urlsplit(before.url).path)
            if not there.is_directory and has_columns(name):
                old = case.one.pointer
                then = old.size, here(repo.store, old)
                now = there.size, sourceurl.reader(plain, there)
                case.shape = with_columns(case.shape, name, then, now)
        if not bring:
            return
        case.require_clean()
        if not options.download:
            case.pointer, case.origin = there.pointer(), replace(there.origin, oid=None)
            return
        case.pointer = download.bring(
            repo, plain, there, reporter, jobs=options.access.jobs, before=before
        )
        case.origin = as_seen(there.origin, case.pointer)
        if case.pointer.oid == case.one.pointer.oid:
            # Written again there, with the same content.
            case.state, case.shape = "current", None
        elif case.pointer.kind == "tree":
            case.shape = shape_of(repo.store, case.one.pointer, case.pointer, repo.store)


# -- writing ---------------------------------------------------------------------------------------


def _write(repo: Repo, cases: Sequence[_Case]) -> list[bytes]:
    """Write the pointers of what has moved; return the files that changed."""
    changed: list[bytes] = []
    for case in cases:
        pointer = case.pointer
        if pointer is None:
            continue
        # Who has meanwhile recorded something else is not overwritten.
        now = imported_targets(repo, [os.fsdecode(repo.absolute(case.one.path))])
        if not now or now[0].pointer != case.one.pointer:
            raise RefusedError(
                f"{show(repo.display(case.one.path))} was changed while its source was read",
                hint="run the same command again",
            )
        changed += write_import(repo, case.one.path, pointer, case.origin)
        case.updated = pointer != case.one.pointer
    return list(dict.fromkeys(changed))


def _check_out(
    repo: Repo, cases: Sequence[_Case], options: UpdateOptions, reporter: Reporter
) -> None:
    paths = tuple(os.fsdecode(repo.absolute(case.one.path)) for case in cases if case.updated)
    if not paths:
        return
    try:
        checkout(repo, CheckoutOptions(paths=paths, force=options.force), reporter)
    except RefusedError:
        # Edited after it was looked at: the pointer must not say what the data is not.
        with worktree.hold_worktree(repo):
            for case in cases:
                if case.updated:
                    write_import(repo, case.one.path, case.one.pointer, case.one.origin)
        raise


def _told(repo: Repo, case: _Case) -> UpdatedTarget:
    pointer = case.pointer or case.one.pointer
    return UpdatedTarget(
        path=repo.display(case.one.path),
        state=case.state,
        updated=case.updated,
        old=told(case.one.origin),
        new=told(case.origin),
        oid=None if pointer.oid == UNSEEN else format_oid(pointer.oid),
        size=pointer.size,
        files=pointer.files,
        shape=case.shape,
        note=case.note,
        hint="" if case.failure is None else case.failure.hint or "",
    )


def _broken(repo: Repo, path: bytes, error: DverError) -> UpdatedTarget:
    return UpdatedTarget(
        path=repo.display(path),
        state="failed",
        updated=False,
        old=Told(),
        new=Told(),
        oid=None,
        size=0,
        files=0,
        note=error.message,
        hint=error.hint or "",
    )
