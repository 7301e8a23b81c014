"""What tests of checkout share: versions of a directory, and content that is lost or damaged."""

from __future__ import annotations

import os
from pathlib import Path

from dver.base.errors import MissingContentError
from dver.base.oid import Oid
from dver.formats.pointer import Pointer
from tests.support.workbench import ALWAYS, EMPTY_DIR, Link, Program, Workbench

RICH: dict[bytes, object] = {
    b"a": b"alpha",
    b"empty": b"",
    b"run": Program(b"#!/bin/sh\n"),
    b"link": Link(b"a"),
    b"dangling": Link(b"../../nowhere"),
    b"nothing": EMPTY_DIR,
    b"sub/b": b"beta" * 1000,
    b"sub/link": Link(b"\xff\xfe"),
    b"sub/deep/c": b"gamma",
    b"sub/deep/also/nothing": EMPTY_DIR,
    b"odd/new\nline": b"1",
    b"odd/-rf": b"2",
    b"odd/\xff\xfe": b"3",
    b"odd/" + b"n" * 255: b"4",
    b"odd/sp ace": b"5",
    b"big": bytes(range(256)) * 8192,
}


def versions(bench: Workbench, *contents: dict[bytes, object]) -> list[Pointer]:
    """Add several states of one directory and return their pointers; the last one stays."""
    pointers = []
    for files in contents:
        wipe(bench)
        bench.write(files)
        pointers.append(bench.add(moment=ALWAYS))
    return pointers


def wipe(bench: Workbench, target: bytes = b"data") -> None:
    """Remove the data of a target, and what is remembered of it."""
    import shutil

    path = bench.path(target)
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    bench.index.remove(target)
    os.makedirs(bench.path(b"data"), exist_ok=True)


# damage, missing content, full disks


def lose(bench: Workbench, content: bytes) -> None:
    """Make a store forget one object, as if it was never fetched."""
    from dver.base.oid import oid_of

    oid = oid_of(content)
    place, find = bench.store.place, bench.store.find

    def without(asked: Oid) -> object:
        return None if asked == oid else place(asked)

    def fail(asked: Oid) -> object:
        if asked == oid:
            raise MissingContentError(f"the object {asked.hex()} is not in the store")
        return find(asked)

    bench.store.place = without
    bench.store.find = fail


def damage(bench: Workbench, content: bytes) -> None:
    """Flip one byte of one stored object."""
    from dver.base.oid import oid_of
    from dver.formats.pack import FRAME
    from dver.store import layout

    place = bench.store.place(oid_of(content))
    assert place is not None
    path = Path(bench.store.local_directory(), layout.pack_key(place.pack))
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.seek(place.offset + FRAME.size + place.stored // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0xFF]))
