"""Trying again: what is repeated, how long, and what never is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dver.base import clock
from dver.base.errors import (
    AlreadyExists,
    CorruptError,
    ObjectNotFound,
    RemoteError,
    TransientError,
)
from dver.base.reporter import Reporter
from dver.storage.memory import MemoryStorage
from dver.storage.retry import Policy, Retrying
from dver.storage.wrappers import Fault, Faulty, Tracing, Verb

BUSY = TransientError("the server is busy", hint="wait")


class FakeClock(clock.Clock):
    """Time passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.naps: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


class Notes(Reporter):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture
def time() -> Iterator[FakeClock]:
    fake = FakeClock()
    before = clock.install(fake)
    yield fake
    clock.install(before)


def build(*faults: Fault, policy: Policy | None = None) -> tuple[Retrying, Tracing]:
    inner = MemoryStorage()
    inner.put("key", b"value")
    tracing = Tracing(Faulty(inner, *faults))
    return Retrying(tracing, policy), tracing


CALLS: dict[Verb, object] = {
    "get": lambda storage, path: storage.get("key"),
    "put": lambda storage, path: storage.put("key", b"new"),
    "head": lambda storage, path: storage.head("key"),
    "list": lambda storage, path: list(storage.list("")),
    "delete": lambda storage, path: storage.delete("key"),
    "put_file": lambda storage, path: storage.put_file("key", path),
    "get_file": lambda storage, path: storage.get_file("key", path),
}


@pytest.mark.parametrize("verb", CALLS)
def test_every_verb_is_repeated_until_it_succeeds(
    time: FakeClock, tmp_path: Path, verb: Verb
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"new")
    storage, tracing = build(*(Fault(verb, nth, BUSY) for nth in (1, 2, 3)))
    CALLS[verb](storage, path)
    assert [call.ok for call in tracing.calls if call.verb == verb] == [False, False, False, True]
    assert len(time.naps) == 3


@pytest.mark.parametrize(
    "error",
    [
        RemoteError("no"),
        ObjectNotFound("no"),
        AlreadyExists("no"),
        CorruptError("no"),
        KeyError("bug"),
    ],
)
def test_permanent_errors_pass_at_once(time: FakeClock, error: Exception) -> None:
    storage, tracing = build(Fault("get", 0, error))
    with pytest.raises(type(error)):
        storage.get("key")
    assert tracing.count("get") == 1
    assert time.naps == []


def test_it_gives_up_after_the_last_attempt_and_says_so(time: FakeClock) -> None:
    storage, tracing = build(Fault("head", 0, BUSY), policy=Policy(attempts=4))
    with pytest.raises(TransientError, match="busy; gave up after 4 attempts") as caught:
        storage.head("key")
    assert caught.value.hint == "wait"
    assert tracing.count("head") == 4


def test_one_attempt_means_none_more(time: FakeClock) -> None:
    storage, tracing = build(Fault("head", 0, BUSY), policy=Policy(attempts=1))
    with pytest.raises(TransientError) as caught:
        storage.head("key")
    assert caught.value is BUSY
    assert tracing.count("head") == 1


def test_it_stops_within_the_total_time(time: FakeClock) -> None:
    policy = Policy(attempts=10_000, first=1.0, longest=8.0, total=60.0)
    storage, _ = build(Fault("head", 0, BUSY), policy=policy)
    with pytest.raises(TransientError):
        storage.head("key")
    assert 40.0 < time.now <= 60.0


def test_pauses_grow_and_differ_but_are_bounded() -> None:
    policy = Policy(first=0.2, longest=20.0)
    for tries, most in ((1, 0.2), (2, 0.4), (5, 3.2), (20, 20.0), (5000, 20.0)):
        pauses = [policy.pause(tries) for _ in range(200)]
        assert 0.0 <= min(pauses) < most / 4
        assert most / 2 < max(pauses) <= most
        assert len(set(pauses)) > 100


def test_the_servers_advice_is_a_lower_bound(time: FakeClock) -> None:
    storage, _ = build(Fault("head", 1, TransientError("slow down", retry_after=7.0)))
    assert storage.head("key") is not None
    assert time.naps == [7.0]


def test_advice_beyond_the_total_time_ends_it(time: FakeClock) -> None:
    storage, _ = build(Fault("head", 1, TransientError("slow down", retry_after=3600.0)))
    with pytest.raises(TransientError):
        storage.head("key")
    assert time.naps == []


def test_long_pauses_are_told(time: FakeClock) -> None:
    notes = Notes()
    inner = Faulty(MemoryStorage(), Fault("head", 1, TransientError("slow", retry_after=5.0)))
    Retrying(inner, reporter=notes).head("key")
    assert notes.notes == ["slow; trying again in 5 s"]


def test_a_listing_that_breaks_half_way_gives_each_key_once(time: FakeClock) -> None:
    inner = MemoryStorage()
    for number in range(10):
        inner.put(f"key{number}", b"")
    storage = Retrying(
        Faulty(inner, Fault("list", 1, BUSY, keep=6), Fault("list", 2, BUSY, keep=3))
    )
    assert [entry.key for entry in storage.list("")] == [f"key{number}" for number in range(10)]


def test_a_create_whose_answer_was_lost_has_succeeded(time: FakeClock) -> None:
    storage, _ = build(Fault("put", 1, BUSY, after=True))
    storage.put("mine", b"unique", if_absent=True)
    assert storage.get("mine") == b"unique"


def test_a_create_that_somebody_else_won_meanwhile_has_not(time: FakeClock) -> None:
    storage, tracing = build(Fault("put", 1, BUSY))
    tracing.inner.inner.put("mine", b"theirs")
    with pytest.raises(AlreadyExists):
        storage.put("mine", b"ours", if_absent=True)
    assert storage.get("mine") == b"theirs"


def test_a_create_of_equal_bytes_is_refused_on_the_first_try(time: FakeClock) -> None:
    storage, _ = build()
    with pytest.raises(AlreadyExists):
        storage.put("key", b"value", if_absent=True)


def test_a_file_is_begun_anew_by_each_try(time: FakeClock, tmp_path: Path) -> None:
    storage, _ = build(Fault("get_file", 1, BUSY, after=True))
    assert storage.get_file("key", tmp_path / "out") == 5
    assert (tmp_path / "out").read_bytes() == b"value"
