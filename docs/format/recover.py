"""Restore a file or directory from a dver store by its pointer, without dver.

Usage: python recover.py STORE_DIR POINTER_FILE OUT_DIR    (needs: pip install blake3 zstandard)
STORE_DIR holds ``packs/``, as a repository's ``.git/dver`` and every remote do; the index is not
needed. Every byte is verified. What is lost or unsafe is named, and the exit code is then 1.
"""

import itertools
import os
import re
import struct
import sys
from pathlib import Path

import blake3
import zstandard

FRAME, ROW = struct.Struct("<4sBBHIIQ32s"), struct.Struct("<32sIIIBBHQ")
TRAILER, TREE = struct.Struct("<II24s8s"), struct.Struct("<8sIIQQQ")
LIST, PART = struct.Struct("<8sBBHIQ"), struct.Struct("<32sQ")
TOP_LISTS, MAX_FRAME, LIST_CONTEXT = (5, 6), 1 << 20, "dver 2026-11 chunk list"
UNSAFE = re.compile(rb"(?is)\.{0,2}|.*[/\0].*|(\.git|\.dver|git~1|dver~1)[. ]*(:.*)?|.{256,}")


def read_pack(path):
    """Yield (oid, place) of each frame: by the footer, or by a forward scan if that is broken."""
    data = path.read_bytes()
    count, _, _, magic = TRAILER.unpack(data[-TRAILER.size :].rjust(TRAILER.size))
    rows_at = len(data) - TRAILER.size - count * ROW.size
    sound = magic == b"DVERPEND" and rows_at >= TRAILER.size
    starts = [row[1] for row in ROW.iter_unpack(data[rows_at : -TRAILER.size])] if sound else []
    if not starts or any(data[at : at + 4] != b"DVFR" for at in starts):
        starts = [match.start() for match in re.finditer(b"DVFR", data)]
    for at in [at for at in starts if at <= len(data) - FRAME.size]:
        _, kind, codec, _, stored, raw, _, oid = FRAME.unpack_from(data, at)
        yield oid, (path, at + FRAME.size, stored, raw, kind, codec)


def load(store, oid):
    """Yield (kind, content) of each sound frame that is stored under an oid."""
    for path, offset, stored, raw, kind, codec in store.get(oid, ()):
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(min(stored, MAX_FRAME))
        try:
            if codec == 1 and zstandard.frame_content_size(data) == raw <= MAX_FRAME:
                data = zstandard.ZstdDecompressor().decompress(data, max_output_size=raw)
        except zstandard.ZstdError:
            continue
        hasher = blake3.blake3(data, derive_key_context=LIST_CONTEXT if kind == 4 else None)
        if len(data) == raw and (kind in TOP_LISTS or hasher.digest() == oid):
            yield kind, data


def parts(store, data):
    """Yield the pieces of content that a chunk list names; nothing for one that is lost."""
    magic, version, level, _, count, _ = LIST.unpack_from(data.ljust(LIST.size))
    if (magic, version, len(data)) != (b"DVERLIST", 1, LIST.size + count * PART.size):
        raise ValueError("a chunk list is damaged")
    for oid, _ in PART.iter_unpack(data[LIST.size :]):
        part = next((part for kind, part in load(store, oid) if kind not in TOP_LISTS), b"")
        yield from parts(store, part) if level else [part]


def content(store, oid):
    """Return the pieces of an object's content, after a first pass that verified all of it."""
    for kind, data in load(store, oid):
        hasher = blake3.blake3()
        try:
            for piece in parts(store, data) if kind in TOP_LISTS else [data]:
                hasher.update(piece)
        except ValueError:
            continue
        if hasher.digest() == oid:
            return parts(store, data) if kind in TOP_LISTS else [data]
    raise ValueError(f"the object {oid.hex()} is missing or damaged")


def restore(store, kind, oid, folder, name, lost):
    """Restore an entry and all below it under a new name; add to ``lost`` what cannot be."""
    path = os.path.join(folder, name)
    try:
        if UNSAFE.fullmatch(name):
            raise ValueError("the name is unsafe")
        pieces = content(store, oid)
        if kind in (b"f", b"x"):
            with open(path, "xb") as out:
                out.writelines(pieces)
            os.chmod(path, 0o755 if kind == b"x" else 0o644)
        elif kind == b"l":
            os.symlink(b"".join(pieces), path)
        else:
            data = b"".join(pieces)
            magic, version, count, *_ = TREE.unpack_from(data.ljust(TREE.size))
            if (kind, magic, version) != (b"d", b"DVERTREE", 1):
                raise ValueError(f"the tree {oid.hex()} is damaged")
            os.mkdir(path)
            kinds, oids = data[TREE.size :], data[TREE.size + 9 * count :]
            for i, name in enumerate(oids[32 * count :].split(b"\0")[:-1]):
                entry = kinds[i : i + 1], oids[32 * i : 32 * i + 32]
                restore(store, *entry, path, name, lost)
    except (ValueError, OSError, RecursionError) as error:
        lost.append(f"{os.fsdecode(path)}: {error}")


def main(store_dir, pointer_file, out_dir):
    """Restore what the pointer names to a new entry of OUT_DIR; return what is lost, or None."""
    store, lost = {}, []
    for oid, place in itertools.chain(*map(read_pack, Path(store_dir).glob("packs/*/*"))):
        store.setdefault(oid, []).append(place)
    fields = dict(re.findall(rb"(?m)^(\w+): (\S+)\r?$", Path(pointer_file).read_bytes()))
    kind = b"d" if fields[b"kind"] == b"tree" else b"x" if b"executable" in fields else b"f"
    oid = bytes.fromhex(fields[b"oid"].decode().removeprefix("blake3:"))
    os.makedirs(out_dir, exist_ok=True)
    restore(store, kind, oid, os.fsencode(out_dir), os.fsencode(Path(pointer_file).stem), lost)
    return "\n".join(f"lost: {line}" for line in lost) or None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
