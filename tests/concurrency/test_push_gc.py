"""Pushes and collections of garbage in processes of their own; the long form is in campaign.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from dver.base.reporter import SILENT
from dver.transfer.gc.collect import collect
from tests.concurrency.campaign import check, on_server, run, stopped_push
from tests.concurrency.worker import Place, content
from tests.support.s3server import S3Server
from tests.transfer.collecting import forget_roots
from tests.transfer.world import Clone


@pytest.fixture
def directory(tmp_path: Path) -> Place:
    (tmp_path / "remote").mkdir()
    return Place(str(tmp_path / "remote"))


def test_eight_pushers_and_two_collectors(directory: Place, tmp_path: Path) -> None:
    outcome = run(directory, tmp_path, pushers=8, rounds=3, limit=120.0)
    assert check(directory, tmp_path, outcome) == []
    assert len(outcome.acknowledged) == 25
    assert outcome.collections > 0


@pytest.mark.parametrize("server", ["rclone_s3", "moto_s3"])
def test_pushers_and_collectors_on_a_server(
    tmp_path: Path, request: pytest.FixtureRequest, server: str
) -> None:
    """The one ignores If-None-Match, the other heeds it."""
    place = on_server(request.getfixturevalue(server))
    outcome = run(place, tmp_path, pushers=3, rounds=3, limit=120.0)
    assert check(place, tmp_path, outcome) == []
    assert len(outcome.acknowledged) == 10


def stop_and_collect(place: Place, tmp_path: Path, number: int) -> bool:
    """Stop a pusher before a request, collect twice, and let it go on; say if it came so far."""
    bucket = place.open()
    first = Clone(tmp_path / "first", bucket)
    # The pusher finds most of what it needs in packs that nobody needs.
    first.push(first.add("kept/dead", content(777_000)))
    forget_roots(bucket)
    first.push(first.add("kept/other", content(5)))
    collector = Clone(tmp_path / "collector", place.open())

    def between() -> None:
        for _ in range(2):
            collect(collector.store, collector.remote(), grace=0, reporter=SILENT)

    came, succeeded, outcome = stopped_push(place, tmp_path, number, between)
    if not succeeded:
        assert outcome.failed
        again = Clone(tmp_path / "stopped", place.open())
        assert again.push(again.add("kept/777000", content(777_000))).session
    assert check_one(place, tmp_path, 777_000)
    between()
    assert check_one(place, tmp_path, 777_000)
    return came


def check_one(place: Place, tmp_path: Path, seed: int) -> bool:
    source = Clone(tmp_path / "source", place.open()).add(f"kept/{seed}", content(seed))
    fresh = Clone(tmp_path / f"fresh{len(list(tmp_path.iterdir()))}", place.open())
    return not fresh.fetch(source).lost


@pytest.mark.parametrize("number", [0, 4, 6, 8, 9, 10, 11, 12])
def test_a_pusher_that_sleeps_through_a_collection(
    directory: Place, tmp_path: Path, number: int
) -> None:
    assert stop_and_collect(directory, tmp_path, number)


@pytest.mark.parametrize("server", ["rclone_s3", "moto_s3"])
def test_a_pusher_that_sleeps_through_a_collection_on_a_server(
    tmp_path: Path, request: pytest.FixtureRequest, server: str
) -> None:
    s3: S3Server = request.getfixturevalue(server)
    came = []
    for number in (3, 9):
        below = tmp_path / str(number)
        below.mkdir()
        came.append(stop_and_collect(on_server(s3), below, number))
    assert came[0]
