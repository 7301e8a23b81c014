"""Writing one file or directory out of a store to any place, all of it or nothing."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dver.base import fsio
from dver.base.clearing import clear_away
from dver.base.errors import FormatError, RefusedError, SystemFailure
from dver.base.fsio import explained
from dver.base.osat import osat
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats import names
from dver.formats.tree import DIRECTORY, SYMLINK, Entry
from dver.store.store import Store
from dver.workspace.checkout import apply_plan, failure_of
from dver.workspace.planning import plan_checkout

_NAME = b"content"


def _name_for(output: Path) -> bytes:
    """Return what to call the content in the scratch directory: as the user does, if it may be."""
    name = os.fsencode(output.name)
    try:
        names.check_path(name)
    except FormatError:
        return _NAME
    return name


@contextlib.contextmanager
def scratch_beside(path: Path) -> Iterator[Path]:
    """Make a directory beside ``path``, on the same file system, that is removed afterwards."""
    fsio.make_dirs(path.parent)
    with explained("create a directory in", path.parent):
        made = Path(tempfile.mkdtemp(prefix=fsio.TEMP_PREFIX, dir=path.parent))
    try:
        yield made
    finally:
        remove_all(made)


def remove_all(path: Path) -> None:
    """Remove a file or a directory with all that is in it, read-only ones included."""
    if not path.is_dir() or path.is_symlink():
        fsio.remove(path)
        return
    for where, below, _ in os.walk(path):
        for name in below:
            inner = os.path.join(where, name)
            with contextlib.suppress(OSError):
                if not os.path.islink(inner):
                    os.chmod(inner, 0o700)
    clear_away(path, ignore_errors=True)


def refuse_existing(path: Path, shown: str) -> None:
    """Raise RefusedError if there is anything at a path, which messages call ``shown``."""
    if os.path.lexists(path):
        raise RefusedError(
            f"{show(shown)} exists already",
            hint="name another place with -o, or replace it with --force",
        )


def refuse_roots(path: Path, shown: str, cwd: Path) -> None:
    """Raise RefusedError for a directory that nothing may ever replace, whatever is forced.

    That is: a repository, what is inside git's own directory, what we stand in, and what is
    neither file nor directory: writing replaces the name, so ``/dev/null`` would be gone for all.
    """
    real = Path(os.path.realpath(path))
    here = Path(os.path.realpath(cwd))
    if real == here or real in here.parents:
        reason = "it is the current directory, or above it"
    elif os.path.lexists(real / ".git"):
        reason = "it is a git repository"
    elif ".git" in real.parts:
        reason = "it is inside a git directory"
    elif _is_special(path):
        reason = "it is a device, a pipe or a socket"
    else:
        return
    raise RefusedError(
        f"{show(shown)} cannot be written: {reason}", hint="name another place with -o"
    )


def _is_special(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))


def materialise(
    store: Store,
    entry: Entry,
    output: Path,
    scratch: Path,
    *,
    shown: str,
    force: bool,
    reporter: Reporter,
) -> None:
    """Write what an entry names to ``output``, by way of ``scratch``, a directory beside it.

    The place, called ``shown`` in messages, holds what it held before, or all of the content,
    verified. Without ``force`` RefusedError tells that something is there; with it, that is
    replaced.
    """
    name = _name_for(output)
    wanted = Entry(entry.kind, name, entry.size, entry.oid)
    plan = plan_checkout(name, None, wanted, store)
    with reporter.task(f"Writing {show(shown)}", unit="files", total=plan.files) as task:
        done = apply_plan(plan, os.fsencode(scratch), store, task=task)
    error = failure_of(done.failed)
    if error is not None:
        if isinstance(error, SystemFailure):
            error.hint = "nothing was written; run the same command again when that is mended"
        raise error
    if not _place(scratch / os.fsdecode(name), output, scratch, entry.kind, force=force):
        refuse_existing(output, shown)
    fsio.sync_dir(output.parent)


def _place(made: Path, output: Path, scratch: Path, kind: int, *, force: bool) -> bool:
    """Give what was made its name; with ``force`` what has it goes to the scratch directory.

    Returns False, with nothing done, if the name is taken.
    """
    if not force and os.path.lexists(output):
        return False
    if force and os.path.lexists(output) and (kind == DIRECTORY or output.is_dir()):
        aside = scratch / f"{fsio.TEMP_PREFIX}replaced"
        fsio.step("rename")
        with explained("replace", output):
            osat.rename(output, aside)
            try:
                osat.rename(made, output)
            except OSError:
                osat.rename(aside, output)
                raise
        return True
    if kind in (DIRECTORY, SYMLINK):
        fsio.step("rename")
        with explained("write", output):
            osat.rename(made, output)
        return True
    return fsio.publish(made, output, replace=force)
