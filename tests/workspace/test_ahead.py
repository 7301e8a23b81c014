"""A scan in two processes finds what a scan in one does."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from dver.base.workers import Worker
from dver.workspace import ahead as looking
from dver.workspace import scan as scanning
from dver.workspace.ahead import Ahead
from dver.workspace.state import Scan
from tests.support.workbench import ALWAYS, EMPTY_DIR, Link, Program, Workbench

FILES: dict[bytes, object] = {
    b"a/%d/%d" % (i, j): b"%d,%d" % (i, j) for i in range(12) for j in range(20)
} | {b"top": b"1", b"a/run": Program(b"#!"), b"b/c/d/link": Link(b"x"), b"b/e": EMPTY_DIR}


@pytest.fixture(autouse=True)
def _few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "WORTH", 0)
    monkeypatch.setattr(looking, "_BATCH", 50)
    monkeypatch.setattr("dver.base.workers.usable_cores", lambda: 2)


@pytest.fixture
def remembered(bench: Workbench) -> Workbench:
    """A workspace with files that were added."""
    bench.write(FILES)
    bench.add(moment=ALWAYS)
    return bench


@pytest.fixture
def thorough(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Let the second process finish before a scan begins; collects what it was asked for."""
    enter, take = Ahead.__enter__, Ahead.take
    taken: list[bytes] = []

    def entered(self: Ahead) -> Ahead:
        enter(self)
        self._thread.join()
        return self

    def took(self: Ahead, path: bytes) -> object:
        found = take(self, path)
        taken.extend([path] if found is not None else [])
        return found

    monkeypatch.setattr(Ahead, "__enter__", entered)
    monkeypatch.setattr(Ahead, "take", took)
    return taken


def alone(bench: Workbench, monkeypatch: pytest.MonkeyPatch, **options: object) -> Scan:
    """Scan in one process."""
    with monkeypatch.context() as patch:
        patch.setattr(scanning, "is_worth", lambda _known: False)
        return bench.scan(**options)


def nothing(_: Workbench) -> None:
    pass


def changes(bench: Workbench) -> None:
    bench.write({b"a/3/7": b"changed", b"a/4/new": b"", b"new/dir/f": b"1", b"top": Link(b"a")})
    for name in (b"a/5/1", b"a/5/2"):
        os.unlink(bench.path(b"data/" + name))


def moved_directories(bench: Workbench) -> None:
    os.rename(bench.path(b"data/a/11"), bench.path(b"data/b/11"))
    os.rename(bench.path(b"data/a/2"), bench.path(b"aside"))
    bench.write({b"a/2": b"a file now"})
    os.rename(bench.path(b"data/a/1"), bench.path(b"elsewhere"))
    os.symlink(bench.path(b"elsewhere"), bench.path(b"data/a/1"))


def left_out(bench: Workbench) -> None:
    bench.write({b"a/.dverignore": b"*7\n", b"a/6/.dver-tmp-0123456789abcdef": b""})


def old_times(bench: Workbench) -> None:
    os.utime(bench.path(b"data/a/8/8"), (-5, -5))


@pytest.mark.parametrize("change", [nothing, changes, moved_directories, left_out, old_times])
def test_the_same_scan(
    remembered: Workbench,
    monkeypatch: pytest.MonkeyPatch,
    thorough: list[bytes],
    change: Callable[[Workbench], None],
) -> None:
    change(remembered)
    assert remembered.scan() == alone(remembered, monkeypatch)
    assert b"a/9" in thorough
    assert (b"a/1" in thorough) == (change is not moved_directories)


def test_meeting_halfway(remembered: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        assert remembered.scan() == alone(remembered, monkeypatch)


def test_a_part(
    remembered: Workbench, monkeypatch: pytest.MonkeyPatch, thorough: list[bytes]
) -> None:
    assert remembered.scan(start=b"a") == alone(remembered, monkeypatch, start=b"a")
    assert thorough == [b"a", *sorted(b"a/%d" % i for i in range(12))]


def test_a_process_that_dies_is_done_without(
    remembered: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = Worker.receive
    answers = []

    def dying(self: Worker) -> object:
        answers.append(1)
        if len(answers) == 3:
            self.kill()
        return receive(self)

    expected = alone(remembered, monkeypatch)
    monkeypatch.setattr(Worker, "receive", dying)
    assert remembered.scan() == expected


def test_a_scan_that_fails_leaves_no_process(
    remembered: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Ahead] = []
    enter = Ahead.__enter__

    def entered(self: Ahead) -> Ahead:
        started.append(self)
        return enter(self)

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ahead, "__enter__", entered)
    monkeypatch.setattr(scanning, "_recall", broken)
    with pytest.raises(KeyboardInterrupt):
        remembered.scan()
    assert not started[0]._thread.is_alive()


def test_when_it_is_worth_it(remembered: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    known = remembered.index.load_tree(b"data")
    assert looking.is_worth(known)
    assert not looking.is_worth(None)
    monkeypatch.setattr("dver.base.workers.usable_cores", lambda: 1)
    assert not looking.is_worth(known)
    monkeypatch.setattr("dver.base.workers.usable_cores", lambda: 2)
    monkeypatch.setattr(looking, "WORTH", 1000)
    assert not looking.is_worth(known)
