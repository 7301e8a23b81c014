"""What a directory does beyond the conformance suite: durability, tidiness, odd neighbours."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dver.base import fsio
from dver.base.errors import AlreadyExists, ObjectNotFound, SystemFailure
from dver.storage import files
from dver.storage.local import LocalStorage


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "root")


@pytest.fixture
def steps() -> Iterator[list[str]]:
    seen: list[str] = []
    fsio.install_hook(seen.append)
    yield seen
    fsio.install_hook(None)


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_the_first_put_makes_the_directory(storage: LocalStorage, tmp_path: Path) -> None:
    assert storage.head("packs/ab/1") is None
    with pytest.raises(ObjectNotFound):
        storage.get("packs/ab/1")
    storage.put("packs/ab/1", b"1")
    assert everything(tmp_path / "root") == ["packs", "packs/ab", "packs/ab/1"]


@pytest.mark.parametrize("verb", ["put", "put_file"])
def test_a_put_is_synced_before_and_after_the_rename(
    storage: LocalStorage, steps: list[str], tmp_path: Path, verb: str
) -> None:
    (tmp_path / "source").write_bytes(b"22")
    storage.put("key", b"1")
    steps.clear()
    if verb == "put":
        storage.put("key", b"22")
    else:
        storage.put_file("key", tmp_path / "source")
    assert steps == ["create", "write", "fsync", "rename", "fsync"]


@pytest.mark.parametrize("stop_at", ["create", "write", "fsync", "rename"])
def test_a_failed_put_leaves_the_old_value_and_nothing_else(
    storage: LocalStorage, tmp_path: Path, stop_at: str
) -> None:
    storage.put("key", b"old")

    def stop(name: str) -> None:
        if name == stop_at:
            raise KeyboardInterrupt

    fsio.install_hook(stop)
    try:
        with pytest.raises(KeyboardInterrupt):
            storage.put("key", b"new")
    finally:
        fsio.install_hook(None)
    assert storage.get("key") == b"old"
    assert everything(tmp_path / "root") == ["key"]


def test_temporary_files_and_foreign_names_are_not_listed(
    storage: LocalStorage, tmp_path: Path
) -> None:
    storage.put("packs/one", b"1")
    root = tmp_path / "root"
    (root / "packs" / f"{fsio.TEMP_PREFIX}abc").write_bytes(b"half")
    (root / "packs" / "ünknown").write_bytes(b"?")
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe")
    (root / "dangling").symlink_to("nowhere")
    assert [entry.key for entry in storage.list("")] == ["packs/one"]


def test_a_directory_or_a_pipe_is_no_key(storage: LocalStorage, tmp_path: Path) -> None:
    storage.put("dir/key", b"1")
    assert storage.head("dir") is None
    storage.delete("dir")
    assert storage.get("dir/key") == b"1"


def test_listing_a_missing_root_is_an_error(storage: LocalStorage) -> None:
    with pytest.raises(SystemFailure, match="no such directory"):
        list(storage.list(""))


def test_listing_an_unreadable_directory_is_an_error(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put("packs/ab/1", b"1")
    real = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("ab"):
            raise OSError(errno.EIO, "broken")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SystemFailure, match="I/O error"):
        list(storage.list(""))


def test_a_full_disk_is_named(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SystemFailure, match="no space left"):
        storage.put("key", b"1")


def test_a_lost_create_leaves_no_temporary_file(storage: LocalStorage, tmp_path: Path) -> None:
    storage.put("key", b"1")
    with pytest.raises(AlreadyExists):
        storage.put("key", b"2", if_absent=True)
    assert everything(tmp_path / "root") == ["key"]


def test_local_path(storage: LocalStorage, tmp_path: Path) -> None:
    assert storage.local_path("packs/ab/1") == str(tmp_path / "root" / "packs" / "ab" / "1")
    assert storage.facts.local


@pytest.mark.parametrize("size", [0, 1, (1 << 20) + 1, 3 << 20])
@pytest.mark.parametrize("way", ["ioctl", "copy_file_range", "read"])
def test_copy_by_every_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, way: str
) -> None:
    data = os.urandom(size)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(data)
    if way != "ioctl":

        def refuse(*_args: object) -> int:
            raise OSError(errno.EOPNOTSUPP, "no")

        monkeypatch.setattr("fcntl.ioctl", refuse)
    if way == "read":

        def refuse_too(*_args: object) -> int:
            raise OSError(errno.EXDEV, "no")

        monkeypatch.setattr(os, "copy_file_range", refuse_too)
    with open(source, "rb") as file, files.created(target) as fd:
        assert files.copy(file.fileno(), fd, target) == size
    assert target.read_bytes() == data


def test_a_copy_that_fails_for_good_is_not_tried_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source").write_bytes(b"12345")

    def full(*_args: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("fcntl.ioctl", full)
    monkeypatch.setattr(os, "copy_file_range", full)
    with (
        open(tmp_path / "source", "rb") as file,
        files.created(tmp_path / "target") as fd,
        pytest.raises(SystemFailure, match="no space left"),
    ):
        files.copy(file.fileno(), fd, tmp_path / "target")


def test_opening_a_directory_imports_no_network_library() -> None:
    script = (
        "import sys; import dver.storage.local;"
        "print([m for m in ('fsspec', 's3fs', 'botocore', 'http.client', 'ssl', 'asyncio')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
