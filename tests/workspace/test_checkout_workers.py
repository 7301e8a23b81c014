"""Checkout in several processes does the same, and fails the same."""

from __future__ import annotations

import errno
import os

import pytest

from dver.base.errors import CorruptError, RefusedError, SystemFailure
from dver.workspace import jobs
from dver.workspace.checkout import apply_plan
from dver.workspace.state import Scan
from tests.support.workbench import Workbench, kinds
from tests.workspace.checkouts import RICH, damage, versions, wipe


def test_worker_processes_do_the_same(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_WORTH_FILES", 1)
    monkeypatch.setattr(jobs, "_JOB_FILES", 7)
    many: dict[bytes, object] = RICH | {
        b"many/%d/%03d" % (i % 3, i): b"%d" % i * 50 for i in range(60)
    }
    first, second = versions(bench, many, many | {b"a": b"other", b"many/1/001": b"new"})
    lost = b"%d" % 8 * 50
    expected = kinds(bench.read())
    wipe(bench)
    os.rmdir(bench.path(b"data"))
    applied = bench.checkout(second, workers=2)
    assert kinds(bench.read()) == expected
    assert applied.failed == []
    assert (applied.written, applied.bytes) == (second.files, second.size)
    assert isinstance(applied.state, Scan)
    assert applied.state.top.tree == second.oid
    damage(bench, lost)
    os.unlink(bench.path(b"data/many/2/008"))
    applied = bench.checkout(first, workers=2)
    assert [(one.path, one.kind) for one in applied.failed] == [
        (b"data/many/2/008", "CorruptError")
    ]
    del many[b"many/2/008"]
    assert kinds(bench.read()) == kinds(many)


def test_a_root_that_is_replaced_is_noticed_by_the_workers(bench: Workbench) -> None:
    from dver.workspace.writing import Worker

    setup = (bench.root, (0, 0), bench.store.local_directory(), ["copy"])
    with pytest.raises(RefusedError, match="replaced"):
        Worker(setup)


def test_hopeless_failures_end_the_work_in_workers_too(bench: Workbench) -> None:
    from dver.workspace.writing import _give_up_if_hopeless

    with pytest.raises(SystemFailure):
        _give_up_if_hopeless(OSError(errno.ENOSPC, "full"), b"f")
    _give_up_if_hopeless(OSError(errno.EACCES, "denied"), b"f")
    _give_up_if_hopeless(CorruptError("bad"), b"f")


def test_an_interrupt_stops_the_workers_and_leaves_nothing(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    import _thread
    import signal

    from dver.base.reporter import Task

    signal.signal(signal.SIGINT, signal.default_int_handler)

    class Interrupting(Task):
        def advance(self, amount: int = 1) -> None:
            _thread.interrupt_main()

    monkeypatch.setattr(jobs, "_WORTH_FILES", 1)
    monkeypatch.setattr(jobs, "_JOB_FILES", 5)
    (pointer,) = versions(bench, {b"d%d/%03d" % (i % 5, i): b"%d" % i for i in range(400)})
    wipe(bench)
    os.rmdir(bench.path(b"data"))
    plan = bench.plan(pointer)
    with pytest.raises(KeyboardInterrupt):
        apply_plan(plan, bench.root, bench.store, workers=2, task=Interrupting())
    assert os.listdir(bench.root) == []
    bench.checkout(pointer)
    assert bench.now()[0] == pointer


def test_a_full_disk_met_by_this_process_ends_the_work_of_all(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from dver.workspace import writing

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(jobs, "_WORTH_FILES", 1)
    monkeypatch.setattr(jobs, "_JOB_FILES", 5)
    (pointer,) = versions(bench, {b"d%d/%03d" % (i % 5, i): b"%d" % i for i in range(400)})
    wipe(bench)
    os.rmdir(bench.path(b"data"))
    with monkeypatch.context() as patch:
        patch.setattr(writing, "_write_whole", full)
        with pytest.raises(SystemFailure, match="no space left"):
            bench.checkout(pointer, workers=2)
    assert os.listdir(bench.root) == []
    bench.checkout(pointer, workers=2)
    assert bench.now()[0] == pointer
