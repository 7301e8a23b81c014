"""The storages that stand before another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from dver.base import clock
from dver.base.errors import RefusedError, RemoteError
from dver.storage.base import Entry, Storage
from dver.storage.local import LocalStorage
from dver.storage.memory import MemoryStorage
from dver.storage.wrappers import Call, Fault, Faulty, ReadOnly, Tracing, Wrapper


def test_a_wrapper_passes_everything_on(tmp_path: Path) -> None:
    inner = LocalStorage(tmp_path)
    storage = Wrapper(inner)
    overridden = {name for name in vars(Storage) if not name.startswith("_")} - {"description"}
    assert overridden <= set(vars(Wrapper)), "a verb of the interface is not passed on"
    assert storage.facts == inner.facts
    assert storage.description == inner.description
    assert storage.local_path("a/b") == inner.local_path("a/b")
    assert storage.try_conditional_create("probe")


def test_read_only(tmp_path: Path) -> None:
    inner = MemoryStorage()
    inner.put("key", b"value")
    storage = ReadOnly(inner)
    (tmp_path / "file").write_bytes(b"1")
    for call in (
        lambda: storage.put("key", b"1"),
        lambda: storage.put("new", b"1", if_absent=True),
        lambda: storage.put_file("key", tmp_path / "file"),
        lambda: storage.delete("key"),
        lambda: storage.try_conditional_create("key"),
    ):
        with pytest.raises(RefusedError, match="memory is opened for reading only"):
            call()
    assert storage.get("key") == b"value"
    assert [entry.key for entry in storage.list("")] == ["key"]


def test_tracing_records_bytes_and_failures(tmp_path: Path) -> None:
    storage = Tracing(Faulty(MemoryStorage(), Fault("head", 1, RemoteError("no"))))
    (tmp_path / "file").write_bytes(b"123")
    storage.put("packs/a", b"12345")
    storage.put_file("packs/b", tmp_path / "file")
    storage.get("packs/a", 1, 2)
    storage.get_file("packs/b", tmp_path / "out")
    list(storage.list("packs/"))
    with pytest.raises(RemoteError):
        storage.head("packs/a")
    storage.delete("packs/a")
    assert storage.calls == [
        Call("put", "packs/a", 5),
        Call("put_file", "packs/b", 3),
        Call("get", "packs/a", 2),
        Call("get_file", "packs/b", 3),
        Call("list", "packs/", 2),
        Call("head", "packs/a", ok=False),
        Call("delete", "packs/a"),
    ]
    assert storage.count("get") == 1
    assert storage.count("put", "index/") == 0


def test_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    monkeypatch.setattr(clock, "sleep", naps.append)
    inner = MemoryStorage()
    inner.put("key", b"value")
    storage = Faulty(
        inner,
        Fault("get", 2, RemoteError("second")),
        Fault("get", 3, keep=2),
        Fault("put", 1, RemoteError("lost"), after=True),
        Fault("put", 2, keep=1),
        Fault("get_file", 1, keep=3),
        Fault("head", 0, delay=9.0),
    )
    assert storage.get("key") == b"value"
    with pytest.raises(RemoteError, match="second"):
        storage.get("key")
    assert storage.get("key") == b"va"
    with pytest.raises(RemoteError, match="lost"):
        storage.put("new", b"12")
    assert inner.get("new") == b"12"
    storage.put("new", b"34")
    assert inner.get("new") == b"3"
    assert storage.get_file("key", tmp_path / "out") == 3
    assert (tmp_path / "out").read_bytes() == b"val"
    storage.head("key")
    storage.head("key")
    assert naps == [9.0, 9.0]


class OnePage(MemoryStorage):
    """A storage that tells all its keys at once."""

    def list_short(self) -> list[Entry] | None:
        return [*self.list("")]


def test_a_listing_of_everything_is_traced_and_may_be_made_to_fail() -> None:
    inner = OnePage()
    inner.put("key", b"value")
    traced = Tracing(inner)
    assert traced.list_short() == [*inner.list("")]
    assert traced.count("list") == 1
    assert Tracing(MemoryStorage()).list_short() is None
    # Whoever gets None lists what it needs, which the faults are about.
    assert Faulty(inner, Fault("list", 1, RemoteError("no"))).list_short() is None
