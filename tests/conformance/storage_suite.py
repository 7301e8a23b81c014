"""What every storage must do. ``test_storages.py`` runs it over each of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dver.base.errors import AlreadyExists, CorruptError, ObjectNotFound
from dver.storage.base import Storage

#: More than two pages of every server's listing here: the tests ask for PAGE keys at a time.
MANY, PAGE = 230, 100
LARGE = 6 << 20


def pattern(size: int) -> bytes:
    """Return bytes that differ everywhere, so that a shifted range shows."""
    block = b"".join(number.to_bytes(4, "little") for number in range(1 << 16))
    return (block * (size // len(block) + 1))[:size]


class StorageSuite:
    """The tests; a subclass provides the fixtures ``storage`` and ``reopen``."""

    @pytest.fixture
    def storage(self) -> Storage:
        raise NotImplementedError

    @pytest.fixture
    def reopen(self) -> Callable[[], Storage]:
        """A function that opens the same place again, as another process would."""
        raise NotImplementedError

    def test_put_then_get_head_list(self, storage: Storage) -> None:
        storage.put("packs/ab/one", b"hello")
        assert storage.get("packs/ab/one") == b"hello"
        entry = storage.head("packs/ab/one")
        assert entry is not None
        assert (entry.key, entry.size) == ("packs/ab/one", 5)
        assert [found.key for found in storage.list("")] == ["packs/ab/one"]

    def test_a_short_list_is_all_or_nothing(self, storage: Storage) -> None:
        for number in range(3):
            storage.put(f"key{number}", b"x" * number)
        entries = storage.list_short()
        assert entries is None or sorted(entries) == sorted(storage.list(""))

    def test_others_see_it_at_once(self, storage: Storage, reopen: Callable[[], Storage]) -> None:
        other = reopen()
        assert other.head("index/one") is None
        assert list(other.list("index/")) == []
        storage.put("index/one", b"1")
        assert other.head("index/one") is not None
        assert [entry.key for entry in other.list("index/")] == ["index/one"]
        assert other.get("index/one") == b"1"
        storage.put("index/one", b"22")
        assert other.get("index/one") == b"22"
        storage.delete("index/one")
        assert other.head("index/one") is None
        assert list(other.list("index/")) == []

    def test_put_replaces(self, storage: Storage) -> None:
        storage.put("key", b"old and longer")
        storage.put("key", memoryview(b"new"))
        assert storage.get("key") == b"new"
        assert [(entry.key, entry.size) for entry in storage.list("")] == [("key", 3)]

    def test_empty_value(self, storage: Storage, tmp_path: Path) -> None:
        storage.put("empty", b"")
        assert storage.get("empty") == b""
        entry = storage.head("empty")
        assert entry is not None
        assert entry.size == 0
        assert storage.get_file("empty", tmp_path / "out") == 0
        storage.put_file("again", tmp_path / "out")
        assert storage.get("again") == b""

    def test_ranges(self, storage: Storage) -> None:
        data = pattern(10_000)
        storage.put("key", data)
        assert storage.get("key", 0, 1) == data[:1]
        assert storage.get("key", 1234, 4321) == data[1234 : 1234 + 4321]
        assert storage.get("key", 9_999, 1) == data[-1:]
        assert storage.get("key", 0, 10_000) == data
        assert storage.get("key", 9_000) == data[9_000:]
        assert storage.get("key", 10_000) == b""
        assert storage.get("key", 5, 0) == b""

    @pytest.mark.parametrize(
        ("start", "length"), [(0, 11), (5, 6), (10, 1), (11, 1), (11, None), (500, 3), (11, 0)]
    )
    def test_range_beyond_the_end(self, storage: Storage, start: int, length: int | None) -> None:
        storage.put("key", b"0123456789")
        with pytest.raises(CorruptError):
            storage.get("key", start, length)

    def test_missing_key(self, storage: Storage, tmp_path: Path) -> None:
        storage.put("dir/present", b"1")
        for key in ("absent", "dir/absent", "dir", "dir/present/below"):
            assert storage.head(key) is None, key
            with pytest.raises(ObjectNotFound):
                storage.get(key)
            with pytest.raises(ObjectNotFound):
                storage.get(key, 3, 4)
            with pytest.raises(ObjectNotFound):
                storage.get(key, 3, 0)
            with pytest.raises(ObjectNotFound):
                storage.get_file(key, tmp_path / "out")
        storage.delete("absent")
        storage.delete("dir/absent")
        assert storage.get("dir/present") == b"1"

    def test_delete(self, storage: Storage) -> None:
        storage.put("a/b", b"1")
        storage.put("a/c", b"2")
        storage.delete("a/b")
        assert storage.head("a/b") is None
        assert [entry.key for entry in storage.list("")] == ["a/c"]

    def test_list_by_prefix(self, storage: Storage) -> None:
        assert list(storage.list("nothing/")) == []
        for key in ("packs/ab/1", "packs/abc", "packs/b/2", "packsnot", "index/1", "format.json"):
            storage.put(key, key.encode())
        for prefix, expected in {
            "": 6,
            "packs/": 3,
            "packs/ab": 2,
            "packs/ab/": 1,
            "packs": 4,
            "p": 4,
            "format.json": 1,
            "packs/ab/1": 1,
            "packs/ab/1/": 0,
            "zzz": 0,
        }.items():
            found = [entry.key for entry in storage.list(prefix)]
            assert len(found) == len(set(found)) == expected, (prefix, found)
            assert all(key.startswith(prefix) for key in found)

    def test_list_over_pages(self, storage: Storage) -> None:
        expected = {f"many/{number:05}": number % 3 for number in range(MANY)}
        self._put_many(storage, expected)
        found = [(entry.key, entry.size) for entry in storage.list("many/")]
        assert len(found) == MANY
        assert dict(found) == expected

    def _put_many(self, storage: Storage, sizes: dict[str, int]) -> None:
        """Write many small values; a subclass may know a quicker way."""
        for key, size in sizes.items():
            storage.put(key, b"x" * size)

    @pytest.mark.parametrize(
        "key", ["with space", "plus+and%25and~", "a=b&c=d", "dots..in.name", "(1),2;3!'*@", "~t/-x"]
    )
    def test_keys_with_odd_characters(self, storage: Storage, key: str) -> None:
        storage.put(key, b"value")
        assert storage.get(key) == b"value"
        assert [entry.key for entry in storage.list("")] == [key]
        assert [entry.key for entry in storage.list(key[:3])] == [key]
        storage.delete(key)
        assert storage.head(key) is None

    @pytest.mark.parametrize(
        "key", ["", "/abs", "../up", "a/../b", "a//b", "a/", "a/./b", "ä", "a\nb"]
    )
    def test_refused_keys(self, storage: Storage, key: str, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"1")
        for call in (
            lambda: storage.put(key, b"1"),
            lambda: storage.get(key),
            lambda: storage.head(key),
            lambda: storage.delete(key),
            lambda: storage.put_file(key, tmp_path / "file"),
        ):
            with pytest.raises(ValueError, match="not a storage key"):
                call()

    def test_create_refuses_a_taken_key(self, storage: Storage) -> None:
        storage.put("key", b"first", if_absent=True)
        with pytest.raises(AlreadyExists):
            storage.put("key", b"second", if_absent=True)
        assert storage.get("key") == b"first"
        storage.delete("key")
        storage.put("key", b"third", if_absent=True)
        assert storage.get("key") == b"third"

    def test_create_has_one_winner(self, storage: Storage) -> None:
        if not storage.try_conditional_create("probe"):
            # Nothing more is promised: that the storage says so is what is shown.
            assert storage.head("probe") is not None
            return
        won, barrier = [], threading.Barrier(4)

        def create(number: int) -> None:
            barrier.wait()
            try:
                storage.put("race", b"%d" % number, if_absent=True)
            except AlreadyExists:
                return
            won.append(number)

        threads = [threading.Thread(target=create, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert storage.get("race") == b"%d" % won[0]

    def test_files_go_and_come(self, storage: Storage, tmp_path: Path) -> None:
        data = pattern(LARGE)
        source, target = tmp_path / "source", tmp_path / "target"
        source.write_bytes(data)
        storage.put_file("packs/large", source)
        entry = storage.head("packs/large")
        assert entry is not None
        assert entry.size == LARGE
        assert storage.get_file("packs/large", target) == LARGE
        assert target.read_bytes() == data
        assert storage.get("packs/large", LARGE - 100, 100) == data[-100:]
        assert storage.get("packs/large") == data
        assert source.read_bytes() == data

    def test_large_value_from_memory(self, storage: Storage) -> None:
        data = pattern(LARGE)
        storage.put("large", memoryview(data))
        assert storage.get("large") == data

    def test_get_file_replaces_what_was_there(self, storage: Storage, tmp_path: Path) -> None:
        storage.put("key", b"short")
        target = tmp_path / "target"
        target.write_bytes(b"something longer")
        assert storage.get_file("key", target) == 5
        assert target.read_bytes() == b"short"

    def test_readers_never_see_half(self, storage: Storage) -> None:
        values = [bytes([65 + number]) * 200_000 for number in range(3)]
        storage.put("key", values[0])
        stop = threading.Event()

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                storage.put("key", values[number % 3])

        writer = threading.Thread(target=write)
        writer.start()
        try:
            seen = [storage.get("key") for _ in range(10)]
        finally:
            stop.set()
            writer.join()
        assert all(value in values for value in seen)

    def test_close(self, storage: Storage) -> None:
        storage.put("key", b"1")
        storage.close()
        storage.close()
