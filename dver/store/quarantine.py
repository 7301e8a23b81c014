"""Where a repair puts what is damaged: ``quarantine/`` of a store, until somebody cleans up.

A file there is named ``<when>-<key>``: the time it was moved, in UTC, and the key that it had, with
``-`` for each ``/``. Nothing refers to it, and no command reads it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from dver.base import clock, fsio
from dver.base.errors import ObjectNotFound
from dver.base.osat import osat
from dver.storage.base import Storage

DIRECTORY = "quarantine"
_STAMP = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"(\d{8}T\d{6}Z)-.+")


def key_for(key: str) -> str:
    """Return the key under which something with that key is set aside now."""
    when = clock.utc_text().replace("-", "").replace(":", "")
    return f"{DIRECTORY}/{when}-{key.replace('/', '-')}"


def set_aside(top: str, key: str) -> str:
    """Move what lies under a key of a local store, whatever it is; return its new key.

    Raises SystemFailure, also if there is nothing.
    """
    new = key_for(key)
    source, target = os.path.join(top, key), os.path.join(top, new)
    fsio.make_dirs(os.path.dirname(target))
    number = 1
    while os.path.lexists(target):
        number += 1
        target = os.path.join(top, f"{new}.{number}")
    with fsio.explained("move aside", source):
        fsio.step("rename")
        osat.rename(source, target)
    fsio.sync_dir(os.path.dirname(target))
    fsio.sync_dir(os.path.dirname(source))
    return os.path.relpath(target, top).replace(os.sep, "/")


def set_aside_in(storage: Storage, key: str) -> str | None:
    """Copy what lies under a key of any storage, then delete it; return its new key.

    Returns None if it was gone already. Nothing is deleted unless the copy is as long as it.
    """
    path = storage.local_path(key) if storage.facts.local else None
    if path is not None:
        if not os.path.lexists(path):
            return None
        return set_aside(path[: -len(key)], key)
    import tempfile

    new = key_for(key)
    with tempfile.TemporaryDirectory(prefix="dver-aside-") as temp:
        copy = Path(temp, "copy")
        try:
            size = storage.get_file(key, copy)
        except ObjectNotFound:
            return None
        storage.put_file(new, copy)
    kept = storage.head(new)
    if kept is None or kept.size != size:
        return None
    storage.delete(key)
    return new


def listed(storage: Storage) -> Iterator[tuple[str, int, float]]:
    """Yield (key, bytes, age in seconds) of all that was set aside."""
    from datetime import UTC, datetime

    now = clock.now_ns() / 1e9
    top = storage.local_path(DIRECTORY) if storage.facts.local else None
    if top is None:
        entries = [(one.key.rpartition("/")[2], one.size) for one in storage.list(f"{DIRECTORY}/")]
    else:
        entries = [(name, _size(os.path.join(top, name))) for name in _names(top)]
    for name, size in sorted(entries):
        if match := _NAME.fullmatch(name):
            with contextlib.suppress(ValueError):
                when = datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC)
                yield f"{DIRECTORY}/{name}", size, now - when.timestamp()


def remove(storage: Storage, key: str) -> None:
    """Delete something that was set aside, for good."""
    if not key.startswith(f"{DIRECTORY}/"):
        raise ValueError(f"not set aside: {key}")
    path = storage.local_path(key) if storage.facts.local else None
    if path is None:
        storage.delete(key)
    elif os.path.isdir(path) and not os.path.islink(path):
        with fsio.explained("remove", path):
            fsio.step("unlink")
            from dver.base.clearing import clear_away

            clear_away(path)
    else:
        fsio.remove(path)


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _size(path: str) -> int:
    with contextlib.suppress(OSError):
        return os.lstat(path).st_size
    return 0
