"""Which repositories use a store that lies outside of them, so that none loses another's data."""

from __future__ import annotations

import os
from pathlib import Path

from dver.base import fsio
from dver.base.oid import oid_of

_DIRECTORY = "users"


def register(store_directory: str, common_dir: Path) -> None:
    """Note durably that a repository uses the store. Costs one look when it is noted already."""
    path = str(common_dir.resolve())
    name = oid_of(os.fsencode(path)).hex()[:32]
    note = os.path.join(store_directory, _DIRECTORY, name)
    if not os.path.exists(note):
        fsio.write_atomic(note, os.fsencode(path) + b"\n")


def other_users(store_directory: str, common_dir: Path) -> list[Path]:
    """Return the git directories of all other repositories that were noted."""
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
            found.append(path)
    return found
