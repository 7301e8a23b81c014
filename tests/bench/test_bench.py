"""The benchmark's own arithmetic: what fails, what is counted, what is drawn. Nothing is timed."""

from __future__ import annotations

import http.client
import json
import socket
import xml.etree.ElementTree as ElementTree
from urllib.parse import urlsplit

import pytest

from tests.bench import chart, counts, growth, table, workloads
from tests.bench.lab import Case, Figure, Mark
from tests.bench.measure import Run, Series
from tests.bench.proxy import proxy
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo
from tests.support.s3server import Reply, scripted_server

BASE = {"add": {"system calls": 1000, "python calls": 4000}, "status": {"system calls": 100}}


def failures(now: counts.Counts) -> list[str]:
    return counts.verdict(counts.compare(BASE, now))


def with_count(command: str, unit: str, number: int) -> counts.Counts:
    return BASE | {command: BASE[command] | {unit: number}}


def test_what_stayed_the_same_passes() -> None:
    assert failures(BASE) == []


@pytest.mark.parametrize(
    ("number", "fails"), [(1250, False), (1251, True), (5000, True), (1, False)]
)
def test_a_quarter_more_is_the_limit(number: int, fails: bool) -> None:
    assert bool(failures(with_count("add", "system calls", number))) is fails


def test_a_failure_names_command_count_and_both_numbers() -> None:
    (text,) = failures(with_count("add", "python calls", 8000))
    assert text == "add: 8,000 python calls, 2.00 x the 4,000 before"


def test_each_count_is_judged_by_itself() -> None:
    now = {"add": {"system calls": 1, "python calls": 6000}, "status": {"system calls": 200}}
    assert [text.partition(":")[0] for text in failures(now)] == ["add", "status"]


def test_a_tool_that_is_missing_is_no_failure_while_another_counts() -> None:
    assert failures({"add": {"python calls": 4000}, "status": {"system calls": 100}}) == []


@pytest.mark.parametrize(
    "now",
    [
        {"add": BASE["add"]},
        {"add": BASE["add"], "status": {"python calls": 7}},
        {**BASE, "push": {"system calls": 7}},
    ],
    ids=["not counted", "counted otherwise", "new"],
)
def test_a_command_that_nothing_is_compared_of_fails(now: counts.Counts) -> None:
    (text,) = failures(now)
    assert text.endswith(": nothing to compare")


def test_the_baseline_has_every_command_for_each_python() -> None:
    baselines = json.loads(counts.BASELINE.read_text())
    names = {"status, nothing tracked", "add", "status", "add again", "checkout", "push"}
    assert all(set(one) == names for one in baselines.values())
    assert {"3.11", "3.13"} <= set(baselines)


def test_the_output_of_strace_is_added_up() -> None:
    rows = ["    calls syscall", "--------- ------", "  12 openat", "   3 read", "---- ---"]
    text = "\n".join([*rows, "  15 total", ""])
    assert counts.parse_strace(text) == 15


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("# started\n\n1234567,,instructions:u,1000,100.00,,\n", 1234567),
        ("<not supported>,,instructions:u,0,100.00,,\n", None),
        ("==7== Cachegrind\n==7==\n==7== I   refs:      1,234,567\n", 1234567),
        ("==7== I refs:        1,234,567\n", 1234567),
        ("", None),
    ],
)
def test_instructions_are_read_from_either_tool(text: str, number: int | None) -> None:
    assert counts.parse_instructions(text) == number


def series(name: str, seconds: float, peak: int = 1 << 20) -> Series:
    return Series(name, [Run(seconds, seconds, peak)])


@pytest.mark.parametrize(
    ("mark", "missed"),
    [
        (Mark("cp", 2.0), 0),
        (Mark("cp", 1.9), 1),
        (Mark("cp", more=1.0), 0),
        (Mark("cp", more=0.9), 1),
    ],
)
def test_marks_against_another_command(mark: Mark, missed: int) -> None:
    case = Case("work", [], [mark])
    rows, count = table.rows(case, [series("dver", 2.0), series("cp", 1.0)])
    assert count == missed
    assert ("MISSED" in rows[1][-1]) is bool(missed)


def test_marks_for_dver_alone() -> None:
    figure = Figure("sent", lambda: 3e6, 2e6, "B")
    case = Case("work", [], seconds=1.0, peak=1 << 20, figures=[figure])
    rows, missed = table.rows(case, [series("dver", 1.5, 2 << 20)])
    assert missed == 3
    assert (
        rows[0][-1]
        == "mark 1.000 s: MISSED; mark 1 MiB: MISSED; sent 3.00 MB (mark 2.00 MB: MISSED)"
    )


@pytest.mark.parametrize(
    ("peaks", "fits"),
    [
        ({100: 50 << 20, 1000: 250 << 20}, True),
        ({100: 50 << 20, 1000: 251 << 20}, False),
        ({100: 900 << 20, 1000: 1025 << 20}, False),
        ({1000: 500 << 20}, True),
    ],
)
def test_memory_is_judged_by_a_tenth_of_the_files(peaks: dict[int, int], fits: bool) -> None:
    assert growth.memory_verdict(peaks)[1] is fits


def test_the_chart_has_a_line_for_each_step_and_program() -> None:
    by_count = {"1000": {"seconds": 1.0, "peak": 1e7}, "10": {"seconds": 0.5, "peak": 1e6}}
    svg = chart.draw_growth({"files": {"dver": {"add": by_count}, "dvc": {"add": by_count}}})
    root = ElementTree.fromstring(svg)
    lines = root.findall("{*}polyline")
    assert len(lines) == 4
    first, last = (point.split(",") for point in lines[0].attrib["points"].split())
    assert float(first[0]) < float(last[0])
    assert float(first[1]) < float(last[1]), "50,000 us per file is above 1,000 us"
    words = [element.text for element in root.findall("{*}text")]
    assert {"dver add", "dvc add", "1,000", "time per file (us)"} <= set(words)


def test_a_short_axis_has_more_numbers() -> None:
    assert chart.ticks(1, 2) == [10, 20, 50, 100]
    assert chart.ticks(0, 4) == [1, 10, 100, 1000, 10_000]


@pytest.mark.parametrize("count", [5, 1000, 2500])
def test_a_store_made_without_files_is_whole(count: int, git_repo: GitRepo) -> None:
    dver = Dver(git_repo.path, in_process=True)
    dver("init")
    workloads.tree_in_store(git_repo.path, count)
    dver("fsck", "--full")
    dver("checkout")
    assert len(list((git_repo.path / "data").rglob("*.bin"))) == count


def test_a_store_changed_without_files_is_whole(git_repo: GitRepo) -> None:
    dver = Dver(git_repo.path, in_process=True)
    dver("init")
    workloads.tree_in_store(git_repo.path, 3000)
    dver("checkout")
    before = {path: path.read_bytes() for path in (git_repo.path / "data").rglob("*.bin")}
    workloads.change_in_store(git_repo.path, 2, seed=3)
    dver("fsck", "--full")
    dver("checkout")
    assert before.keys() == set((git_repo.path / "data").rglob("*.bin"))
    assert sum(path.read_bytes() != data for path, data in before.items()) == 2


def test_the_proxy_counts_what_it_forwards() -> None:
    with scripted_server() as script:
        script.replies = [Reply(200, b"stored"), Reply(404, b""), Reply(200, b"more")]
        place = urlsplit(script.endpoint)
        with proxy(str(place.hostname), int(place.port or 0)) as one:
            client = http.client.HTTPConnection(urlsplit(one.endpoint).netloc)
            answers = []
            for method, body in (("PUT", b"12345"), ("HEAD", None), ("GET", None)):
                client.request(method, "/bucket/key", body)
                answer = client.getresponse()
                answers.append((answer.status, answer.read()))
            client.close()
            counted = one.counts
            one.reset()
    assert answers == [(200, b"stored"), (404, b""), (200, b"more")]
    assert counted.methods == {"PUT": 1, "HEAD": 1, "GET": 1}
    assert (counted.requests, counted.sent, counted.received) == (3, 5, 10)
    assert one.counts.requests == 0
    assert [(method, body) for method, _, _, body in script.requests] == [
        ("PUT", b"12345"),
        ("HEAD", b""),
        ("GET", b""),
    ]


def test_the_proxy_answers_who_asks_whether_to_go_on() -> None:
    with scripted_server() as script:
        script.replies = [Reply(200, b"stored")]
        place = urlsplit(script.endpoint)
        with proxy(str(place.hostname), int(place.port or 0)) as one:
            near = urlsplit(one.endpoint)
            with socket.create_connection((near.hostname, near.port), timeout=10) as client:
                client.sendall(
                    b"PUT /key HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                    b"Expect: 100-continue\r\n\r\n"
                )
                assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
                client.sendall(b"abc")
                assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
    (request,) = script.requests
    assert request[3] == b"abc"
    assert "expect" not in request[2]
