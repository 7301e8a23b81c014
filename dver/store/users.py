"""Which repositories use a store that lies outside of them, so that none loses another's data."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from dver.base import fsio
from dver.base.errors import RefusedError
from dver.base.oid import oid_of
from dver.base.quoting import show

_DIRECTORY = "users"


def register(store_directory: str, common_dir: Path) -> None:
    """Note durably that a repository uses the store. Costs one look when it is noted already."""
    path = str(common_dir.resolve())
    name = oid_of(os.fsencode(path)).hex()[:32]
    note = os.path.join(store_directory, _DIRECTORY, name)
    if not os.path.exists(note):
        fsio.write_atomic(note, os.fsencode(path) + b"\n")


def other_users(store_directory: str, common_dir: Path) -> list[Path]:
    """Return the git directories of all other repositories that were noted.

    Raises RefusedError for a note that names a repository of somebody else than who wrote it.
    """
    directory = os.path.join(store_directory, _DIRECTORY)
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
    own = common_dir.resolve()
    found = []
    for name in names:
        if name.startswith(fsio.TEMP_PREFIX):
            continue
        with fsio.explained("read", os.path.join(directory, name)):
            text = Path(directory, name).read_bytes().removesuffix(b"\n")
        path = Path(os.fsdecode(text))
        if path != own:
            _refuse_foreign(os.path.join(directory, name), path)
            found.append(path)
    return found


def _refuse_foreign(note: str, path: Path) -> None:
    """Raise RefusedError for a note that names the directory of somebody else than who wrote it.

    Git is going to read the settings there, which can make it run commands: nobody else may choose
    a directory of ours in which a repository came along with another one.
    """
    if not hasattr(os, "geteuid"):
        return
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        writer, owner = os.lstat(note).st_uid, os.stat(path).st_uid
        if writer not in (owner, os.geteuid(), 0):
            raise RefusedError(
                f"{show(note)} says that {show(path)} uses this store, and was not written by"
                " whoever owns that repository",
                hint="if no such repository is yours, remove the file",
            )
