"""Carrying out a checkout plan.

The order is: room is made for what changes its kind; new directories are filled beside their
place; files are replaced one by one; symlinks come after all files, so that no write can meet one;
new directories are renamed into place; deletions come last. At any moment a name holds its old
content or its new one.

Nothing is synced: all of it can be written again from the store, which is durable.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import replace

from dver.base import clock, errors, fsio
from dver.base.errors import CorruptError, DverError, RefusedError, SystemFailure
from dver.base.fsio import OPEN_FLAGS
from dver.base.oid import Oid, format_oid
from dver.base.osat import NOFOLLOW, fchmod, osat
from dver.base.quoting import show
from dver.base.reporter import Task
from dver.formats import names
from dver.formats.statindex import STAT_FIELDS
from dver.formats.tree import EXECUTABLE, FILE, SYMLINK
from dver.store.store import Store
from dver.store.walk import join
from dver.workspace.afterwards import Edits, note_directory, scan_after
from dver.workspace.fsclock import MARGIN_NS, moment_in
from dver.workspace.jobs import Output, write_files
from dver.workspace.links import LinkMode
from dver.workspace.plan import Applied, CheckoutPlan, FailedPath, Removal
from dver.workspace.safedir import SafeRoot, split
from dver.workspace.staging import Staged, clean_leftovers, discard, publish, stage
from dver.workspace.stamp import is_stamped
from dver.workspace.state import CTIME, MODE, MTIME, FileState, Row, Scan, stat_row
from dver.workspace.twins import refuse_twins, refuse_unfit
from dver.workspace.writing import check_unchanged, describe

_READ = os.O_RDONLY | OPEN_FLAGS | NOFOLLOW
_TEMP = fsio.TEMP_PREFIX.encode()
#: Waiting a tick is cheaper than reading this many bytes again.
_WORTH_WAITING = 64 << 20
#: No symlink's text is longer (bytes).
_MAX_LINK = 4095


def apply_plan(
    plan: CheckoutPlan,
    root: bytes,
    store: Store,
    *,
    modes: Sequence[LinkMode] = ("copy",),
    moment: int = 0,
    workers: int | None = None,
    task: Task | None = None,
) -> Applied:
    """Carry out a plan below the repository's root, an absolute path.

    ``modes`` are link modes in order of preference. ``moment`` is the stat index's from before the
    scan. ``task`` advances by files. What goes wrong with single paths is in ``failed``, and the
    rest is done; see :func:`failure_of`. Raises RefusedError, with nothing done, if the plan has
    conflicts, and SystemFailure when the disk is full or cannot be used at all. The plan is used
    up.
    """
    if plan.conflicts:
        count = len(plan.conflicts)
        raise RefusedError(
            f"{count} file{'s' * (count > 1)} would be overwritten or deleted whose content is"
            " not in the store",
            hint="save the content with 'dver add', or give it up with --force",
            paths=[os.fsdecode(one.path) for one in plan.conflicts],
        )
    names.check_path(plan.path)
    _check_space(plan, root, store, modes)
    with SafeRoot(root) as safe:
        refuse_unfit(plan)
        refuse_twins(plan, safe)
        work = _Checkout(plan, safe, store)
        work.run(modes, workers, task or Task())
        return work.result(moment)


def failure_of(failed: Sequence[FailedPath]) -> DverError | None:
    """Return the one error that tells of all failed paths, None if there are none.

    Its class is that of the gravest: damage, then missing content, then the rest.
    """
    if not failed:
        return None
    order = ("CorruptError", "FormatError", "MissingContentError", "SystemFailure")
    worst = min(failed, key=lambda one: order.index(one.kind) if one.kind in order else 9)
    kind = getattr(errors, worst.kind, SystemFailure)
    hint = {
        "MissingContentError": "run 'dver fetch' to get what is missing",
        "CorruptError": "run 'dver fsck --repair', then 'dver fetch' to get good copies",
    }.get(worst.kind, "all else was checked out; run the same command again")
    what = f"{len(failed)} paths" if len(failed) > 1 else show(failed[0].path)
    error: DverError = kind(
        f"{what} could not be checked out: {worst.message}",
        hint=hint,
        paths=[
            os.fsdecode(one.path) + (f" ({format_oid(one.oid)})" if one.oid else "")
            for one in failed
        ],
    )
    return error


def _check_space(plan: CheckoutPlan, root: bytes, store: Store, modes: Sequence[LinkMode]) -> None:
    """Raise SystemFailure if the files cannot fit, rather than stop halfway."""
    copies = not modes or modes[0] == "copy"
    where = root if copies else os.fsencode(store.local_directory())
    with fsio.explained("look at the disk of", where):
        need, free = plan.bytes, _free(where)
    if need and need + need * 3 // 100 > free:
        raise SystemFailure(
            f"not enough space on the disk of {show(where)}: {need} bytes are needed"
            f" and {free} are free",
            hint="free some space, or check out fewer paths",
        )


def _free(where: bytes) -> int:
    if hasattr(os, "statvfs"):
        found = os.statvfs(where)
        free: int = found.f_bavail * found.f_frsize
        return free
    import shutil

    return shutil.disk_usage(where).free


class _Checkout:
    """One plan being carried out."""

    def __init__(self, plan: CheckoutPlan, safe: SafeRoot, store: Store) -> None:
        self._plan = plan
        self._safe = safe
        self._store = store
        self._done = Applied()
        self._edits: Edits = {}
        self._removed: set[bytes] = set()
        self._made: list[list[Output]] = []

    def run(self, modes: Sequence[LinkMode], workers: int | None, task: Task) -> None:
        """Remove what is in the way, write what is new or changed, and note what became of it."""
        plan = self._plan
        self._clean()
        if plan.batches:
            # Data in a directory that is not there yet; if it cannot be made, the files tell.
            with contextlib.suppress(OSError, DverError):
                self._safe.open(split(plan.path)[0], make=True)
        self._remove(plan.before)
        staged: list[Staged] = []
        try:
            for new in plan.new:
                try:
                    staged.append(stage(self._safe, new))
                except (DverError, OSError) as error:
                    self._fail(new.path, None, error)
            fresh = [
                [Output.of(batch, one.actual(batch.path)) for batch in one.new.batches]
                for one in staged
            ]
            in_place = [Output.of(batch, batch.path) for batch in plan.batches]
            outputs = [*(output for group in fresh for output in group), *in_place]
            write_files(outputs, self._safe, self._store, modes, workers=workers, task=task)
            self._store.index.let_go()
            for output in outputs:
                self._write_symlinks(output, task)
                self._count(output)
            for one, group in zip(staged, fresh, strict=True):
                self._publish(one, group)
        except BaseException:
            for one in staged:
                with contextlib.suppress(OSError, DverError):
                    discard(self._safe, one)
            raise
        finally:
            for one in staged:
                one.unlock()
        for output in in_place:
            self._note(output)
        for path, executable, row in plan.modes:
            self._change_mode(path, executable, row)
        self._remove(plan.after)

    def result(self, moment: int) -> Applied:
        """Return what was done and what is there now."""
        plan, done = self._plan, self._done
        done.state = scan_after(
            plan, self._safe.root, moment, self._made, self._edits, self._removed
        )
        if done.state is None:
            directory, name = split(plan.path)
            changed = self._edits.get(directory, {})
            if name in changed:
                done.state = changed[name]
            elif isinstance(plan.current, FileState):
                late = max(plan.current.row[MTIME], plan.current.row[CTIME]) >= moment
                row = (0,) * STAT_FIELDS if late else plan.current.row
                done.state = replace(plan.current, row=row)
        done.moment = self._settle(directory=split(plan.path)[0])
        return done

    def _settle(self, directory: bytes) -> int:
        """Return the moment before which what was written is trusted.

        Waits out the margin if the last files are so large that reading them again costs more.
        """
        try:
            moment = moment_in(self._safe.open(directory))
            late = 0
            if self._done.bytes >= _WORTH_WAITING:
                late = _bytes_since(self._done.state, moment)
            if late < _WORTH_WAITING:
                return moment
            clock.sleep(MARGIN_NS / 1e9)
            return moment_in(self._safe.open(directory))
        except (DverError, OSError):
            return 0

    def _fail(self, path: bytes, oid: Oid | None, error: Exception) -> None:
        self._done.failed.append(FailedPath(path, oid, *describe(error, path)))

    # writing

    def _write_symlinks(self, output: Output, task: Task) -> None:
        batch = output.batch
        at = batch.kinds.find(SYMLINK)
        while at >= 0:
            replaced = None if batch.replaces is None else batch.replaces[at]
            try:
                dir_fd = self._safe.open(output.directory)
                text = self._link_text(batch.oid(at))
                row = _make_symlink(
                    dir_fd, batch.names[at], text, replaced, fresh=batch.replaces is None
                )
                output.rows[5 * at : 5 * at + 5] = type(output.rows)("Q", row)
            except (DverError, OSError) as error:
                path = join(batch.path, batch.names[at])
                output.failures.append((at, *describe(error, path)))
            task.advance()
            at = batch.kinds.find(SYMLINK, at + 1)

    def _link_text(self, oid: Oid) -> bytes:
        text = self._store.read(oid, limit=_MAX_LINK)
        if not 0 < len(text) <= _MAX_LINK or b"\0" in text:
            raise CorruptError(f"the object {format_oid(oid)} is no text of a symlink")
        return text

    def _count(self, output: Output) -> None:
        done, batch = self._done, output.batch
        failed = set()
        for i, kind, message in output.failures:
            failed.add(i)
            path = join(batch.path, batch.names[i])
            done.failed.append(FailedPath(path, batch.oid(i), kind, message))
        for i in batch.positions():
            if i not in failed:
                done.written += 1
                done.bytes += batch.sizes[i]

    def _note(self, output: Output) -> None:
        batch = output.batch
        changes = self._edits.setdefault(batch.path, {})
        for i, name in enumerate(batch.names):
            row = output.row(i)
            if row is not None:
                changes[name] = FileState(batch.kinds[i], batch.sizes[i], row, batch.oid(i))

    def _publish(self, staged: Staged, group: list[Output]) -> None:
        try:
            publish(self._safe, staged)
        except (DverError, OSError) as error:
            self._fail(staged.new.path, None, error)
            with contextlib.suppress(OSError, DverError):
                discard(self._safe, staged)
            return
        self._made.append(group)
        note_directory(self._edits, staged.new.path, gone=False)

    # changing and removing

    def _change_mode(self, path: bytes, executable: bool, expected: Row) -> None:
        directory, name = split(path)
        try:
            fd = osat.open(name, _READ, dir_fd=self._safe.open(directory))
            try:
                if stat_row(os.fstat(fd))[:CTIME] != expected[:CTIME]:
                    raise RefusedError("it changed during the checkout")
                mode = stat.S_IMODE(expected[0])
                fchmod(fd, mode | (mode & 0o444) >> 2 if executable else mode & ~0o111)
                row = stat_row(os.fstat(fd))
            finally:
                os.close(fd)
        except (DverError, OSError) as error:
            self._fail(path, None, error)
            return
        self._done.written += 1
        self._edits.setdefault(directory, {})[name] = self._with_mode(path, executable, row)

    def _with_mode(self, path: bytes, executable: bool, row: Row) -> FileState:
        kind = EXECUTABLE if executable else FILE
        current = self._plan.current
        if isinstance(current, FileState):
            return FileState(kind, current.size, row, current.oid)
        oid = None
        if current is not None:
            prefix = self._plan.path[: len(self._plan.path) - len(current.start)]
            inner, name = split(path[len(prefix) :].lstrip(b"/"))
            state = next(one for one in current.dirs if one.path == inner)
            oid = state.oid(state.names.index(name))
        return FileState(kind, row[2], row, oid)

    def _remove(self, removal: Removal) -> None:
        for path, row in removal.files:
            directory, name = split(path)
            try:
                dir_fd = self._safe.open(directory)
                check_unchanged(dir_fd, name, row)
                fsio.step("unlink")
                with contextlib.suppress(FileNotFoundError):
                    osat.unlink(name, dir_fd=dir_fd)
            except FileNotFoundError:
                pass
            except (DverError, OSError) as error:
                self._fail(path, None, error)
                continue
            self._done.deleted += 1
            self._edits.setdefault(directory, {})[name] = None
        for path in removal.directories:
            self._remove_directory(path)

    def _remove_directory(self, path: bytes) -> None:
        directory, name = split(path)
        try:
            fsio.step("rmdir")
            osat.rmdir(name, dir_fd=self._safe.open(directory))
        except FileNotFoundError:
            pass
        except DverError:
            return  # it is none any more, and stays
        except OSError as error:
            # Something that is not tracked is in it, and stays.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                self._fail(path, None, error)
            return
        self._safe.forget()
        self._removed.add(path)
        note_directory(self._edits, path, gone=True)

    def _clean(self) -> None:
        """Remove what a checkout that was killed left here."""
        for directory in {split(new.path)[0] for new in self._plan.new}:
            clean_leftovers(self._safe, directory)
        for path in self._plan.leftovers:
            directory, _ = split(path)
            clean_leftovers(self._safe, directory)


def _bytes_since(state: Scan | FileState | None, moment: int) -> int:
    """Return the bytes of files whose stat will not do to tell that they are as they were."""
    if isinstance(state, FileState):
        return 0 if _is_settled(state.row, state.oid, moment) else state.size
    late = 0
    for one in state.dirs if state is not None else ():
        if one.remembered is not None:
            continue
        times = one.stats[CTIME::STAT_FIELDS]
        if times and max(times) >= moment:
            late += sum(
                one.sizes[i]
                for i, time in enumerate(times)
                if time >= moment and not _is_settled(one.row(i), one.oid(i), moment)
            )
    return late


def _is_settled(row: Row, oid: Oid | None, moment: int) -> bool:
    """Say whether a later change would show; what links into the cache needs no stat for that."""
    if row[CTIME] < moment or stat.S_ISLNK(row[MODE]):
        return True
    return oid is not None and is_stamped(row, oid)


def _make_symlink(
    dir_fd: int, name: bytes, text: bytes, replaced: Row | None, *, fresh: bool
) -> Row:
    if fresh:
        fsio.step("symlink")
        osat.symlink(text, name, dir_fd=dir_fd)
        return stat_row(osat.stat(name, dir_fd=dir_fd, follow_symlinks=False))
    temp = _TEMP + os.urandom(8).hex().encode()
    fsio.step("symlink")
    osat.symlink(text, temp, dir_fd=dir_fd)
    try:
        check_unchanged(dir_fd, name, replaced)
        fsio.step("rename")
        osat.rename(temp, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    except BaseException:
        with contextlib.suppress(OSError):
            osat.unlink(temp, dir_fd=dir_fd)
        raise
    return stat_row(osat.stat(name, dir_fd=dir_fd, follow_symlinks=False))
