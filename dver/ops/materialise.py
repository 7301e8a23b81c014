"""Writing one file or directory out of a store to any place, all of it or nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dver.base import fsio
from dver.base.errors import RefusedError
from dver.base.fsio import explained, show
from dver.base.reporter import Reporter
from dver.formats.tree import DIRECTORY, SYMLINK, Entry
from dver.store.store import Store
from dver.workspace.checkout import apply_plan, failure_of
from dver.workspace.planning import plan_checkout

_NAME = b"content"


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
    for where, names, _ in os.walk(path):
        for name in names:
            inner = os.path.join(where, name)
            with contextlib.suppress(OSError):
                if not os.path.islink(inner):
                    os.chmod(inner, 0o700)
    shutil.rmtree(path, ignore_errors=True)


def refuse_existing(path: Path) -> None:
    """Raise RefusedError if there is anything at a path."""
    if os.path.lexists(path):
        raise RefusedError(
            f"{show(path)} exists already",
            hint="name another place with -o, or replace it with --force",
        )


def materialise(
    store: Store,
    entry: Entry,
    output: Path,
    scratch: Path,
    *,
    force: bool,
    reporter: Reporter,
) -> None:
    """Write what an entry names to ``output``, by way of ``scratch``, a directory beside it.

    The place holds what it held before, or all of the content, verified. Without ``force``
    RefusedError tells that something is there; with it, that is replaced.
    """
    wanted = Entry(entry.kind, _NAME, entry.size, entry.oid)
    plan = plan_checkout(_NAME, None, wanted, store)
    with reporter.task(f"Writing {show(output.name)}", unit="files", total=plan.files) as task:
        done = apply_plan(plan, os.fsencode(scratch), store, task=task)
    error = failure_of(done.failed)
    if error is not None:
        raise error
    _place(scratch / os.fsdecode(_NAME), output, scratch, entry.kind, force=force)
    fsio.sync_dir(output.parent)


def _place(made: Path, output: Path, scratch: Path, kind: int, *, force: bool) -> None:
    """Give what was made its name; what has the name already goes to the scratch directory."""
    if not force:
        refuse_existing(output)
    elif os.path.lexists(output) and (kind == DIRECTORY or output.is_dir()):
        aside = scratch / "replaced"
        with explained("replace", output):
            os.rename(output, aside)
            try:
                os.rename(made, output)
            except OSError:
                os.rename(aside, output)
                raise
        return
    if kind in (DIRECTORY, SYMLINK):
        with explained("write", output):
            os.rename(made, output)
    elif not fsio.publish(made, output, replace=force):
        refuse_existing(output)
