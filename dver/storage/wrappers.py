"""Storages that stand before another one: read-only, tracing, failing on purpose."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from dver.base import clock
from dver.base.dataclass import dataclass
from dver.base.errors import RefusedError
from dver.storage.base import Entry, Facts, Storage

Verb = Literal["get", "put", "head", "list", "delete", "put_file", "get_file"]

_T = TypeVar("_T")


class Wrapper(Storage):
    """Passes every call on to ``inner``; subclasses change some of them."""

    def __init__(self, inner: Storage) -> None:
        self.inner = inner
        self.description = inner.description

    @property
    def facts(self) -> Facts:  # type: ignore[override]  # nobody sets it from outside
        """Return what the inner storage can do; it may find out with time."""
        return self.inner.facts

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Pass on."""
        return self.inner.get(key, start, length)

    def put(self, key: str, data: bytes | memoryview, *, if_absent: bool = False) -> None:
        """Pass on."""
        self.inner.put(key, data, if_absent=if_absent)

    def head(self, key: str) -> Entry | None:
        """Pass on."""
        return self.inner.head(key)

    def list(self, prefix: str) -> Iterator[Entry]:
        """Pass on."""
        return self.inner.list(prefix)

    def list_short(self) -> Sequence[Entry] | None:
        """Pass on."""
        return self.inner.list_short()

    def delete(self, key: str) -> None:
        """Pass on."""
        self.inner.delete(key)

    def delete_old_versions(self, key: str) -> Sequence[str]:
        """Pass on."""
        return self.inner.delete_old_versions(key)

    def put_file(self, key: str, path: Path) -> None:
        """Pass on."""
        self.inner.put_file(key, path)

    def get_file(self, key: str, path: Path) -> int:
        """Pass on."""
        return self.inner.get_file(key, path)

    def try_conditional_create(self, key: str) -> bool:
        """Pass on."""
        return self.inner.try_conditional_create(key)

    def leave_checks_to_caller(self) -> None:
        """Pass on."""
        self.inner.leave_checks_to_caller()

    def local_path(self, key: str) -> str | None:
        """Pass on."""
        return self.inner.local_path(key)

    def close(self) -> None:
        """Pass on."""
        self.inner.close()


class ReadOnly(Wrapper):
    """Refuses to write."""

    def _refuse(self, *_args: object, **_options: object) -> Any:
        raise RefusedError(f"{self.description} is opened for reading only")

    put = put_file = delete = delete_old_versions = try_conditional_create = _refuse


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its verb, its key or prefix, the bytes it moved, and whether it succeeded."""

    verb: Verb
    key: str
    size: int = 0
    ok: bool = True


class Tracing(Wrapper):
    """Records every call, in the order in which they ended."""

    def __init__(self, inner: Storage) -> None:
        super().__init__(inner)
        self.calls: list[Call] = []

    def count(self, verb: Verb, prefix: str = "") -> int:
        """Return how many calls of a verb there were with keys that begin with ``prefix``."""
        return sum(call.verb == verb and call.key.startswith(prefix) for call in self.calls)

    def _traced(
        self, verb: Verb, key: str, call: Callable[[], _T], size: Callable[[_T], int]
    ) -> _T:
        try:
            result = call()
        except BaseException:
            self.calls.append(Call(verb, key, ok=False))
            raise
        self.calls.append(Call(verb, key, size(result)))
        return result

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Record a read, with the bytes that came."""
        return self._traced("get", key, lambda: self.inner.get(key, start, length), len)

    def put(self, key: str, data: bytes | memoryview, *, if_absent: bool = False) -> None:
        """Record a write."""
        size = len(data)
        self._traced(
            "put", key, lambda: self.inner.put(key, data, if_absent=if_absent), lambda _: size
        )

    def head(self, key: str) -> Entry | None:
        """Record a look-up."""
        return self._traced("head", key, lambda: self.inner.head(key), lambda _: 0)

    def list(self, prefix: str) -> Iterator[Entry]:
        """Record a listing, with the number of its entries, when it has ended."""
        entries = self._traced("list", prefix, lambda: [*self.inner.list(prefix)], len)
        yield from entries

    def list_short(self) -> Sequence[Entry] | None:
        """Record a listing of everything, if there was one."""
        entries = self.inner.list_short()
        if entries is not None:
            self.calls.append(Call("list", "", len(entries)))
        return entries

    def delete(self, key: str) -> None:
        """Record a removal."""
        self._traced("delete", key, lambda: self.inner.delete(key), lambda _: 0)

    def put_file(self, key: str, path: Path) -> None:
        """Record a write."""
        size = path.stat().st_size
        self._traced("put_file", key, lambda: self.inner.put_file(key, path), lambda _: size)

    def get_file(self, key: str, path: Path) -> int:
        """Record a read."""
        return self._traced("get_file", key, lambda: self.inner.get_file(key, path), int)


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with the ``nth`` call of a verb (from 1; 0 is every call).

    ``error`` is raised, before the inner storage is asked or, with ``after``, when it has done
    what it was asked. ``keep`` cuts what is read or written to so many bytes, silently. ``delay``
    waits first, by :mod:`dver.base.clock`.
    """

    verb: Verb
    nth: int = 1
    error: Exception | None = None
    after: bool = False
    keep: int | None = None
    delay: float = 0.0


class Faulty(Wrapper):
    """Fails as it is told to; for tests."""

    def __init__(self, inner: Storage, *faults: Fault) -> None:
        super().__init__(inner)
        self._faults = faults
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def _next(self, verb: Verb) -> Fault | None:
        with self._lock:
            number = self._counts[verb] = self._counts.get(verb, 0) + 1
        for fault in self._faults:
            if fault.verb == verb and fault.nth in (0, number):
                return fault
        return None

    def _run(self, verb: Verb, call: Callable[[int | None], _T]) -> _T:
        fault = self._next(verb)
        if fault is None:
            return call(None)
        if fault.delay:
            clock.sleep(fault.delay)
        if fault.error is not None and not fault.after:
            raise fault.error
        result = call(fault.keep)
        if fault.error is not None:
            raise fault.error
        return result

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Read, or fail to."""
        return self._run("get", lambda keep: self.inner.get(key, start, length)[:keep])

    def put(self, key: str, data: bytes | memoryview, *, if_absent: bool = False) -> None:
        """Write, or fail to."""
        self._run("put", lambda keep: self.inner.put(key, data[:keep], if_absent=if_absent))

    def head(self, key: str) -> Entry | None:
        """Look up, or fail to."""
        return self._run("head", lambda _: self.inner.head(key))

    def list(self, prefix: str) -> Iterator[Entry]:
        """List, or fail to; ``keep`` is the number of entries before the error, if there is one."""
        fault = self._next("list")
        if fault is None:
            yield from self.inner.list(prefix)
            return
        if fault.delay:
            clock.sleep(fault.delay)
        for number, entry in enumerate(self.inner.list(prefix)):
            if number == (fault.keep or 0):
                break
            yield entry
        if fault.error is not None:
            raise fault.error

    def list_short(self) -> Sequence[Entry] | None:
        """Return None, so that what is listed is listed in a way that can be made to fail."""
        return None

    def delete(self, key: str) -> None:
        """Remove, or fail to."""
        self._run("delete", lambda _: self.inner.delete(key))

    def put_file(self, key: str, path: Path) -> None:
        """Write, or fail to."""

        def put(keep: int | None) -> None:
            if keep is None:
                self.inner.put_file(key, path)
            else:
                self.inner.put(key, path.read_bytes()[:keep])

        self._run("put_file", put)

    def get_file(self, key: str, path: Path) -> int:
        """Read, or fail to."""

        def get(keep: int | None) -> int:
            size = self.inner.get_file(key, path)
            if keep is None:
                return size
            with open(path, "r+b") as file:
                file.truncate(keep)
            return keep

        return self._run("get_file", get)
