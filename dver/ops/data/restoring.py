"""Bringing what a pointer or a recorded entry says into the workspace, one path after the other.

All paths are looked at and planned first; only when no plan would lose anything is the first one
carried out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, DverError, MissingContentError, RefusedError
from dver.base.oid import Oid, format_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter, Task
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY, Entry
from dver.ops.data.inspection import Guesses, forget_guesses
from dver.store import walk
from dver.workspace.building import entry_of, finish_trees
from dver.workspace.filescan import scan_file
from dver.workspace.ignore import load_rules
from dver.workspace.links import LINK_MODES, LinkCache, LinkMode, probe_link_modes, usable_modes
from dver.workspace.plan import Applied, CheckoutPlan
from dver.workspace.planning import NOTHING, plan_checkout
from dver.workspace.scan import scan_directory
from dver.workspace.state import FileState, Scan
from dver.workspace.statindex import StatIndex

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(slots=True)
class Wish:
    """What is wanted at a target, or with ``part`` at one path inside a tracked directory.

    ``pointer`` is the target's; ``desired`` the entry wanted at the very path, None for nothing.
    ``origin`` are the lines that its pointer file ends with, if the data was imported.

    The rest is filled in on the way. ``base`` is the pointer by which the data was last brought or
    added, None if that is not known. ``moment`` is the file system's time (nanoseconds) from before
    the first look, up to which what was seen may be trusted. Instead of a ``plan`` there may be
    (path, oid) of listings that are ``missing`` in the local store, or ``damage`` to one.
    ``learned`` says that files were read whose content was not remembered.
    """

    target: bytes
    pointer: Pointer | None
    part: bytes = b""
    desired: Entry | None = None
    base: Pointer | None = None
    moment: int = 0
    plan: CheckoutPlan | None = None
    applied: Applied | None = None
    learned: bool = False
    missing: list[tuple[bytes, Oid]] = field(default_factory=list)
    damage: CorruptError | None = None
    origin: bytes = b""

    @property
    def path(self) -> bytes:
        """The path in the repository."""
        return walk.join(self.target, self.part) if self.part else self.target

    @property
    def is_done(self) -> bool:
        """Whether everything that was wanted is there."""
        return self.applied is not None and not self.applied.failed


class Restorer:
    """Plans and carries out wishes in one work tree.

    ``force`` lets go of what is not in the store; ``keep_edited`` leaves targets be in which
    something would be lost, where it is refused otherwise. ``link`` is the link mode that was
    asked for, None for the setting. ``stop_at_damage`` False notes damage in the wish and goes on.
    """

    def __init__(
        self,
        repo: Repo,
        reporter: Reporter,
        *,
        force: bool,
        link: str | None,
        keep_edited: bool = False,
        stop_at_damage: bool = True,
    ) -> None:
        self._repo = repo
        self._stop_at_damage = stop_at_damage
        self._store = repo.store
        self._reporter = reporter
        self._force = force
        self._keep_edited = keep_edited
        self._links = LinkCache(repo.store.local_directory())
        self.index = StatIndex(repo.state_dir)
        self.modes = _link_modes(repo, link, reporter)

    def restore(self, wishes: Sequence[Wish], workers: int | None = None) -> None:
        """Plan all wishes, then carry them out.

        Raises RefusedError, with nothing changed, if anything would be lost. What could not be
        brought is in the wishes; see :func:`failure`.
        """
        with self._reporter.task("Comparing", unit="files") as task:
            for wish in wishes:
                if not wish.missing and wish.damage is None:
                    self._plan(wish, task)
        self._keep_leftovers(wishes)
        if self._keep_edited:
            self._leave_edited(wishes)
        self._refuse_losses([wish.plan for wish in wishes if wish.plan is not None])
        total = sum(wish.plan.files for wish in wishes if wish.plan is not None)
        root = self._repo.absolute(b"")
        try:
            with self._reporter.task("Checking out", unit="files", total=total) as task:
                for wish in wishes:
                    if wish.plan is None:
                        continue
                    if wish.plan.is_empty:
                        wish.applied = Applied(state=wish.plan.current, moment=wish.moment)
                    else:
                        from dver.workspace.checkout import apply_plan

                        wish.applied = apply_plan(
                            wish.plan,
                            root,
                            self._store,
                            modes=self.modes,
                            moment=wish.moment,
                            workers=workers,
                            task=task,
                        )
                    self._remember(wish)
        finally:
            self.index.save()

    # planning

    def _plan(self, wish: Wish, task: Task) -> None:
        known_base = self.index.base(wish.target)
        wish.base = known_base
        wish.moment = self.index.moment(self._repo.absolute(b""))
        try:
            base = self._base_entry(wish, known_base)
            current = self._current(wish, base, task)
            pointer = wish.pointer
            whole_tree = pointer is not None and pointer.kind == "tree" and not wish.part
            wish.plan = plan_checkout(
                wish.path,
                current,
                wish.desired,
                self._store,
                base=base,
                files=pointer.files if pointer is not None and whole_tree else None,
                force=self._force,
            )
        except MissingContentError:
            oid = wish.desired.oid if wish.desired is not None else Oid(b"")
            wish.missing.append((wish.path, oid))
        except CorruptError as error:
            shown = show(self._repo.display(wish.path))
            wish.damage = CorruptError(
                f"{shown} cannot be compared: {error.message}",
                hint=error.hint
                or "'dver fsck --full' tells what is damaged, '--repair' puts it aside so that"
                " 'dver pull' brings it again; name other paths to leave it out",
            )
            wish.damage.__cause__ = error
            if self._stop_at_damage:
                raise wish.damage from error

    def _base_entry(self, wish: Wish, base: Pointer | None) -> Entry | None:
        """Return what the base has at the path, NOTHING included; None if that cannot be known."""
        if base is None or not wish.part:
            return entry_of(base) if base is not None else None
        if base.kind != "tree":
            return NOTHING
        try:
            return walk.find(self._store, base.oid, wish.part) or NOTHING
        except MissingContentError:
            return None

    def _current(self, wish: Wish, base: Entry | None, task: Task) -> Scan | FileState | None:
        mode = self._mode(wish)
        if mode is None:
            return None
        if stat.S_ISDIR(mode):
            return self._scan(wish, base, task)
        known = None if wish.part else self.index.load_file(wish.target)
        path = self._repo.absolute(wish.path)
        state = scan_file(path, known, links=self._links)
        if state is not None and state.oid is None:
            from dver.workspace.hashing import fill_files

            wish.learned = True
            fill_files([(path, state)], None, task=task)
        return state

    def _mode(self, wish: Wish) -> int | None:
        """Return the mode of what is at the path; refuse to go through a symlink inside."""
        path = wish.target
        names = [b"", *(wish.part.split(b"/") if wish.part else [])]
        for depth, name in enumerate(names):
            path = walk.join(path, name) if name else path
            try:
                mode = os.lstat(self._repo.absolute(path)).st_mode
            except (FileNotFoundError, NotADirectoryError):
                return None
            if depth < len(names) - 1 and not stat.S_ISDIR(mode):
                raise RefusedError(
                    f"{show(self._repo.display(path))} is in the way: it is no directory",
                    hint=f"move it away, or run 'dver checkout {show(self._repo.display(path))}'",
                )
        return mode

    def _scan(self, wish: Wish, base: Entry | None, task: Task) -> Scan:
        repo = self._repo
        scan = scan_directory(
            repo.absolute(wish.target),
            self.index.load_tree(wish.target),
            load_rules(repo.absolute(b""), wish.path),
            target=wish.target,
            start=wish.part,
            links=self._links,
            lenient=True,
            task=task,
        )
        if base is not None:
            self._skip_strangers(wish, scan, base)
        wish.learned = next(scan.unknown(), None) is not None
        if wish.learned:
            from dver.workspace.hashing import fill_scan

            fill_scan(scan, None, task=task, lenient=True)
        finish_trees(scan)
        return scan

    def _skip_strangers(self, wish: Wish, scan: Scan, base: Entry) -> None:
        """Leave unread what was never tracked and is not wanted either: it stays as it is."""
        guesses = Guesses()
        tops = [
            one.oid for one in (wish.desired, base) if one is not None and one.kind == DIRECTORY
        ]
        skip = len(wish.part) + 1 if wish.part else 0
        directory: bytes | None = None
        names: set[bytes] = set()
        for d, i in list(scan.unknown()):
            state = scan.dirs[d]
            if state.path != directory:
                directory = state.path
                names = self._names(tops, directory[skip:])
            if state.names[i] not in names:
                state.set_oid(i, guesses.next())

    def _names(self, tops: Sequence[Oid], directory: bytes) -> set[bytes]:
        names: set[bytes] = set()
        for top in tops:
            if not directory:
                names.update(self._store.read_tree(top).names)
            elif (entry := walk.find(self._store, top, directory)) and entry.kind == DIRECTORY:
                names.update(self._store.read_tree(entry.oid).names)
        return names

    def _keep_leftovers(self, wishes: Sequence[Wish]) -> None:
        """Let data whose pointer is gone be, if any of it was changed."""
        for wish in wishes:
            if wish.pointer is None and wish.plan is not None and wish.plan.conflicts:
                wish.plan = None
                shown = show(self._repo.display(wish.path))
                self._reporter.warn(
                    f"{shown} is not tracked any more, and stays since it was changed",
                    hint=f"'dver add {shown}' tracks it again",
                )

    def _leave_edited(self, wishes: Sequence[Wish]) -> None:
        """Let targets be in which something would be lost, and warn of it."""
        for wish in wishes:
            lost = wish.plan.conflicts if wish.plan is not None else ()
            if lost:
                wish.plan = None
                shown = show(self._repo.display(wish.path))
                first = show(self._repo.display(lost[0].path))
                inside = "" if first == shown else f" ({first})"
                self._reporter.warn(
                    f"{shown} was changed and stays as it is{inside}",
                    hint=f"'dver add {shown}' keeps the change, 'dver checkout --force {shown}'"
                    " gives it up",
                )

    def _refuse_losses(self, plans: Sequence[CheckoutPlan]) -> None:
        lost = [obstacle for plan in plans for obstacle in plan.conflicts]
        if lost:
            many = f"{len(lost)} files would be overwritten or deleted whose content is"
            one = f"{show(self._repo.display(lost[0].path))} would be overwritten or deleted,"
            raise RefusedError(
                f"{many} not in the store"
                if len(lost) > 1
                else f"{one} and its content is not in the store",
                hint="'dver add PATH' saves the content, 'dver checkout --force PATH' gives it up",
                paths=[self._repo.display(obstacle.path) for obstacle in lost],
            )

    # remembering

    def _remember(self, wish: Wish) -> None:
        """Remember what is there now. The base moves only when all that was wanted is there."""
        applied = wish.applied
        if applied is None or wish.plan is None:
            return
        base = wish.pointer if wish.is_done and not wish.part else wish.base
        if wish.plan.is_empty and not wish.learned:
            if base != wish.base:
                self.index.set_base(wish.target, base)
            return
        state = applied.state
        if isinstance(state, Scan):
            forget_guesses(state)
        if wish.part:
            self._remember_part(wish, applied)
            return
        if state is None:
            self.index.remove(wish.target)
        elif isinstance(state, Scan):
            if self.index.load_file(wish.target) is not None:
                self.index.remove(wish.target)
            self.index.save_tree(wish.target, state, moment=applied.moment, base=base)
        else:
            self.index.remove_tree(wish.target)
            self.index.set_file(wish.target, state, moment=applied.moment, base=base)

    def _remember_part(self, wish: Wish, applied: Applied) -> None:
        target, part, state = wish.target, wish.part, applied.state
        if isinstance(state, Scan):
            if state.start != part:
                _rebase(state, self._repo.absolute(target), part)
            known = self.index.load_tree(target)
            self.index.save_tree(target, state, moment=applied.moment, base=wish.base, known=known)
        else:
            self.index.save_entry(target, part, state, moment=applied.moment, base=wish.base)


def _rebase(scan: Scan, root: bytes, part: bytes) -> None:
    """Make the paths of a scan that began at its own root relative to a directory above."""
    for state in scan.dirs:
        state.path = walk.join(part, state.path) if state.path else part
    scan.root, scan.start = root, part


def _link_modes(repo: Repo, choice: str | None, reporter: Reporter) -> list[LinkMode]:
    """Return the link modes to try in turn.

    One that was asked for by name and does not work is refused; one that was only set is warned
    about, since data that is copied is better than none.
    """
    wanted = choice or repo.config.text("core.link") or "auto"
    if wanted == "copy":
        return ["copy"]
    preferred = [mode for mode in LINK_MODES if mode == wanted] or ["reflink"]
    store = os.fsencode(repo.store.local_directory())
    modes = usable_modes(preferred, probe_link_modes(repo.absolute(b""), store))
    if wanted not in ("auto", *modes):
        problem = f"cannot {wanted} from the store into the work tree: {_obstacle(repo, wanted)}"
        if choice is not None:
            raise RefusedError(problem, hint="'--link auto' takes what works; 'dver doctor' tells")
        reporter.warn(
            f"{problem}; files are copied", hint="'dver config set core.link auto' expects no more"
        )
    return modes


def _obstacle(repo: Repo, mode: str) -> str:
    """Say why a link mode does not work."""
    try:
        places = {os.stat(path).st_dev for path in (repo.root, repo.store.local_directory())}
    except OSError:
        places = set()
    if mode != "symlink" and len(places) > 1:
        return "they are on different file systems"
    return "the file system there does not do that"


def failure(repo: Repo, wishes: Sequence[Wish], rev: str | None = None) -> DverError | None:
    """Return the error that tells what could not be brought, None if everything was.

    ``rev`` is the revision that was wished for, None for the pointers of the work tree.
    """
    damage = next((wish.damage for wish in wishes if wish.damage is not None), None)
    if damage is not None:
        return damage
    failed = [one for wish in wishes if wish.applied is not None for one in wish.applied.failed]
    lost = [pair for wish in wishes for pair in wish.missing]
    lost += [
        (one.path, one.oid)
        for one in failed
        if one.kind == MissingContentError.__name__ and one.oid is not None
    ]
    graver = [one for one in failed if one.kind in ("CorruptError", "FormatError")]
    if not lost or graver:
        from dver.workspace.checkout import failure_of

        error = failure_of(failed)
        if error is not None:
            error.paths = tuple(
                repo.display(one.path) + (f" ({format_oid(one.oid)})" if one.oid else "")
                for one in failed
            )
        return error
    from dver.ops.targets.remembered import missing_error, was_purged

    error = missing_error(repo, lost, "the local store")
    if repo.config.default_remote() is not None and not was_purged(error):
        targets = sorted({wish.target for wish in wishes if not wish.is_done})
        names = " ".join(show(repo.display(target)) for target in targets[:3])
        # A pull brings what the work tree's pointers name, which is another version.
        verb = "dver pull" if rev is None else f"dver fetch --rev {show(rev)}"
        error.hint = f"{verb} {names}" if len(targets) <= 3 else verb
    return error
