"""Worker processes: every job once, errors brought home, nothing left running."""

from __future__ import annotations

import os
from typing import Any

import pytest

from dver.base.errors import CorruptError, RefusedError, SystemFailure
from dver.base.workers import run_jobs, usable_cores

ADDER = "tests.base.handlers:Adder"


def run(
    jobs: list[object], *, setup: int = 0, workers: int = 2
) -> tuple[dict[Any, Any], list[Any]]:
    answers: dict[Any, Any] = {}
    closing = run_jobs(ADDER, setup, jobs, workers=workers, answered=answers.__setitem__)
    return answers, closing


def test_every_job_is_done_once() -> None:
    answers, closing = run(list(range(50)), setup=100)
    assert answers == {i: i + 100 for i in range(50)}
    assert sum(closing) == 50
    assert len(closing) == 2


def test_no_jobs_at_all() -> None:
    assert run([], workers=0) == ({}, [0])


def test_odd_values_travel() -> None:
    jobs = [b"\xff\0", "é\udcff", (1, (2.5, None)), 1 << 80]
    answers, _ = run(list(jobs), workers=1)
    assert answers == {job: job + 0 if isinstance(job, int) else job for job in jobs}


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_are_brought_home(workers: int) -> None:
    with pytest.raises(RefusedError) as caught:
        run([1, 2, "refuse", 3], workers=workers)
    assert caught.value.message == "this job is refused"
    assert caught.value.hint == "send another"
    assert caught.value.paths == ("x", "y")


def test_an_error_in_the_set_up_is_brought_home() -> None:
    with pytest.raises(RefusedError, match="no negative numbers"):
        run([1], setup=-1)


def test_a_bug_comes_with_the_workers_traceback() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)in __call__.*a bug in a handler"):
        run(["bug"], workers=1)


def test_a_worker_that_dies_is_a_system_failure() -> None:
    with pytest.raises(SystemFailure, match="worker process died"):
        run([1, "die", 2], workers=1)


def test_an_error_of_the_callback_stops_the_work() -> None:
    seen: list[object] = []

    def answered(job: object, answer: object) -> None:
        seen.append(job)
        raise KeyError(job)

    with pytest.raises(KeyError):
        run_jobs(ADDER, 0, iter(range(10_000)), workers=2, answered=answered)
    assert len(seen) == 1


def test_printing_does_not_disturb_the_conversation(capfd: pytest.CaptureFixture[str]) -> None:
    answers, _ = run(["print"], workers=1)
    assert answers == {"print": "print"}
    assert capfd.readouterr() == ("", "to standard output\n")


def test_workers_import_nothing_from_the_current_directory(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "marshal.py").write_text("raise SystemExit('imported from the repository')")
    (tmp_path / "importlib.py").write_text("raise SystemExit('imported from the repository')")
    monkeypatch.chdir(tmp_path)
    answers, _ = run(["path"], workers=1)
    path, process = answers["path"]
    assert "" not in path
    assert str(tmp_path) not in path
    assert process != os.getpid()


def test_cores() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_the_caller_does_jobs_too() -> None:
    answers: dict[int, int] = {}
    mine: list[int] = []

    def here(job: int) -> int:
        mine.append(job)
        return job + 100

    run_jobs(ADDER, 100, range(50), workers=1, answered=answers.__setitem__, here=here)
    assert answers == {job: job + 100 for job in range(50)}
    assert mine


def test_an_error_of_the_caller_stops_the_work() -> None:
    def here(job: int) -> int:
        raise CorruptError(f"job {job}")

    with pytest.raises(CorruptError):
        run_jobs(ADDER, 0, range(50), workers=1, answered=lambda *_: None, here=here)
