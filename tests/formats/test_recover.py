"""docs/format/recover.py restores data from a store without dver."""

from __future__ import annotations

import ast
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import blake3
import pytest

from dver.base.oid import oid_of
from dver.formats import pack, pointer, tree
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY, EXECUTABLE, FILE, SYMLINK, Entry
from dver.storage.local import LocalStorage
from dver.store.store import Store
from dver.store.writer import Writer
from tests.formats.samples import PAGES

SCRIPT = PAGES / "recover.py"
LARGE = blake3.blake3(b"a file in chunks").digest(length=1 << 20) + b"compressible " * 50_000
MANY = 1100  # with names that make the tree longer than a chunk


def recover(store: Path, pointed: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Run the script as its page says, from elsewhere and without the environment's paths."""
    command = [sys.executable, "-I", str(SCRIPT), str(store), str(pointed), str(out)]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd="/")


def add_tree(writer: Writer, entries: list[Entry], below: int = 0) -> Entry:
    """Store a directory and return an unnamed entry for it."""
    made = tree.build(entries, below)
    return Entry(DIRECTORY, b"", made.size, writer.add(tree.encode(made), pack.TREE))


def add_file(writer: Writer, name: bytes, content: bytes, kind: int = FILE) -> Entry:
    return Entry(kind, name, len(content), writer.add(content))


def long_name(i: int) -> bytes:
    return b"%05d" % i + b"x" * 200


def named(entry: Entry, name: bytes) -> Entry:
    return Entry(entry.kind, name, entry.size, entry.oid)


class Dataset:
    """A store with one of everything, and the pointers to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = root / "store"
        store = Store.create(LocalStorage(self.store))
        with store.writer() as writer:
            deep = add_tree(writer, [add_file(writer, b"x", b"deep down\n")])
            for level in (b"c", b"b"):
                deep = add_tree(writer, [named(deep, level)], 1)
            many = [add_file(writer, long_name(i), b"%d\n" % i) for i in range(MANY)]
            self.top = add_tree(
                writer,
                [
                    add_file(writer, b"hello.txt", b"hello\n"),
                    add_file(writer, b"empty.txt", b""),
                    add_file(writer, b"run.sh", b"#!/bin/sh\n", EXECUTABLE),
                    add_file(writer, b"large.bin", LARGE),
                    add_file(writer, b"link", b"../outside/and/dangling", SYMLINK),
                    add_file(writer, b"odd \n\xff name", b"odd\n"),
                    named(add_tree(writer, []), b"nothing"),
                    named(deep, b"a"),
                    named(add_tree(writer, many), b"many"),
                ],
                1 + MANY,
            )
            self.many_size = sum(entry.size for entry in many)
            writer.commit()
        store.close()

    def point(self, name: str, value: Pointer) -> Path:
        path = self.root / f"{name}.dver"
        path.write_bytes(pointer.encode(value))
        return path

    def top_pointer(self) -> Path:
        return self.point("data", Pointer("tree", self.top.oid, self.top.size, 7 + MANY))

    def packs(self) -> list[Path]:
        return sorted((self.store / "packs").glob("*/*"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Shared by all tests; nobody may change it."""
    return Dataset(tmp_path_factory.mktemp("recover"))


def check_top(data: Path) -> None:
    """Compare a restored directory with what the data set holds."""
    plain = b"a hello.txt empty.txt run.sh large.bin link many nothing".split()
    assert set(os.listdir(os.fsencode(data))) == {*plain, b"odd \n\xff name"}
    assert (data / "hello.txt").read_bytes() == b"hello\n"
    assert (data / "empty.txt").read_bytes() == b""
    assert (data / "large.bin").read_bytes() == LARGE
    assert (data / os.fsdecode(b"odd \n\xff name")).read_bytes() == b"odd\n"
    assert os.readlink(data / "link") == "../outside/and/dangling"
    assert os.listdir(data / "nothing") == []
    assert (data / "a/b/c/x").read_bytes() == b"deep down\n"
    assert (data / "run.sh").stat().st_mode & stat.S_IXUSR
    assert not (data / "hello.txt").stat().st_mode & stat.S_IXUSR
    assert len(os.listdir(data / "many")) == MANY
    assert (data / "many" / os.fsdecode(long_name(MANY - 1))).read_bytes() == b"%d\n" % (MANY - 1)


def test_the_data_set_has_what_it_is_meant_to_have(whole: Dataset) -> None:
    kinds = {frame.kind for path in whole.packs() for frame in pack.check(path.read_bytes())}
    assert kinds >= {pack.BLOB, pack.TREE, pack.CHUNK, pack.BLOB_LIST, pack.TREE_LIST}


def test_a_directory_comes_back(whole: Dataset, tmp_path: Path) -> None:
    done = recover(whole.store, whole.top_pointer(), tmp_path / "out")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    check_top(tmp_path / "out" / "data")


def test_files_come_back(whole: Dataset, tmp_path: Path) -> None:
    plain = whole.point("large.bin", Pointer("file", oid_of(LARGE), len(LARGE)))
    assert recover(whole.store, plain, tmp_path).returncode == 0
    assert (tmp_path / "large.bin").read_bytes() == LARGE
    script = b"#!/bin/sh\n"
    tool = whole.point("tool", Pointer("file", oid_of(script), len(script), executable=True))
    assert recover(whole.store, tool, tmp_path).returncode == 0
    assert (tmp_path / "tool").stat().st_mode & stat.S_IXUSR


def test_a_pointer_that_git_and_people_touched(whole: Dataset, tmp_path: Path) -> None:
    path = whole.point("hello.txt", Pointer("file", oid_of(b"hello\n"), 6))
    path.write_bytes(b"# greeting\r\n" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert recover(whole.store, path, tmp_path).returncode == 0
    assert (tmp_path / "hello.txt").read_bytes() == b"hello\n"


def test_nothing_is_overwritten(whole: Dataset, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "hello.txt").write_bytes(b"mine\n")
    done = recover(whole.store, whole.top_pointer(), tmp_path)
    assert done.returncode == 1
    assert "File exists" in done.stderr
    assert os.listdir(tmp_path / "data") == ["hello.txt"]
    assert (tmp_path / "data" / "hello.txt").read_bytes() == b"mine\n"


def copied(whole: Dataset, directory: Path) -> Dataset:
    """Return the same data set in another place, to be damaged."""
    import shutil

    other = Dataset.__new__(Dataset)
    other.__dict__.update(whole.__dict__)
    other.root, other.store = directory, directory / "store"
    shutil.copytree(whole.store, other.store)
    for path in other.packs():
        path.chmod(0o644)
    return other


def cut_trailer(data: bytes) -> bytes:
    return data[:-40]


def break_trailer(data: bytes) -> bytes:
    return data[:-1] + b"X"


def lie_about_offsets(data: bytes) -> bytes:
    trailer = data[-pack.TRAILER.size :]
    at = len(data) - len(trailer) - pack.footer_length(trailer, len(data)) + 32
    return data[:at] + b"\x07" + data[at + 1 :]


@pytest.mark.parametrize("damage", [cut_trailer, break_trailer, lie_about_offsets])
def test_a_broken_footer_is_scanned_around(
    whole: Dataset, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    broken = copied(whole, tmp_path)
    for path in broken.packs():
        path.write_bytes(damage(path.read_bytes()))
    done = recover(broken.store, broken.top_pointer(), tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    check_top(tmp_path / "out" / "data")


def test_what_is_damaged_is_named_and_the_rest_comes_back(whole: Dataset, tmp_path: Path) -> None:
    broken = copied(whole, tmp_path)
    for path in broken.packs():
        data = bytearray(path.read_bytes())
        for frame in pack.check(bytes(data)):
            if frame.oid == oid_of(b"hello\n") or frame.kind == pack.BLOB_LIST:
                data[frame.end - 1] ^= 1
        path.write_bytes(data)
    done = recover(broken.store, broken.top_pointer(), tmp_path / "out")
    assert done.returncode == 1
    lost = sorted(done.stderr.splitlines())
    assert len(lost) == 2
    assert lost[0].startswith(f"lost: {tmp_path}/out/data/hello.txt: ")
    assert oid_of(b"hello\n").hex() in lost[0]
    assert lost[1].startswith(f"lost: {tmp_path}/out/data/large.bin: ")
    assert not (tmp_path / "out/data/hello.txt").exists()
    assert not (tmp_path / "out/data/large.bin").exists()
    assert (tmp_path / "out/data/a/b/c/x").read_bytes() == b"deep down\n"


def test_a_second_copy_of_a_damaged_object_is_used(whole: Dataset, tmp_path: Path) -> None:
    broken = copied(whole, tmp_path)
    for path in broken.packs():
        data = bytearray(path.read_bytes())
        good = [frame for frame in pack.check(bytes(data)) if frame.oid == oid_of(b"hello\n")]
        if good:
            (path.parent / ("0" * 64)).write_bytes(bytes(data))
            data[good[0].end - 1] ^= 1
            path.write_bytes(data)
    done = recover(broken.store, broken.top_pointer(), tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_empty_store_loses_everything(whole: Dataset, tmp_path: Path) -> None:
    done = recover(tmp_path, whole.top_pointer(), tmp_path / "out")
    assert done.returncode == 1
    assert "missing or damaged" in done.stderr


@pytest.mark.parametrize("name", [b"..", b".", b"../up", b"/tmp/x", b".git", b".GIT ", b"git~1"])
def test_unsafe_names_are_refused(tmp_path: Path, name: bytes) -> None:
    """The store and the pointer are an attacker's own, with hashes that fit."""
    store = Store.create(LocalStorage(tmp_path / "store"))
    with store.writer() as writer:
        bad = add_file(writer, name, b"evil\n")
        good = add_file(writer, b"zz", b"fine\n")
        top = add_tree(writer, [bad, good])
        writer.commit()
    store.close()
    path = tmp_path / "data.dver"
    path.write_bytes(pointer.encode(Pointer("tree", top.oid, top.size, 2)))
    done = recover(tmp_path / "store", path, tmp_path / "out")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert os.listdir(tmp_path / "out" / "data") == ["zz"]
    assert not (tmp_path / "out" / "up").exists()
    assert not (tmp_path / "up").exists()


def test_nothing_is_written_through_a_symlink(tmp_path: Path) -> None:
    """A hostile tree has a link and a directory of one name; trees that dver reads cannot."""
    victim = tmp_path / "victim"
    victim.mkdir()
    store = Store.create(LocalStorage(tmp_path / "store"))
    with store.writer() as writer:
        inner = add_tree(writer, [add_file(writer, b"evil", b"evil\n")])
        link = add_file(writer, b"twin", os.fsencode(victim), SYMLINK)
        top = add_tree(writer, [link, named(inner, b"twin")], 1)
        writer.commit()
    store.close()
    path = tmp_path / "data.dver"
    path.write_bytes(pointer.encode(Pointer("tree", top.oid, top.size, 2)))
    assert recover(tmp_path / "store", path, tmp_path / "out").returncode == 1
    assert os.listdir(victim) == []


def test_it_stands_alone_and_is_short() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    imported = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"blake3", "zstandard"}
