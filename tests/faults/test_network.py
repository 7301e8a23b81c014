"""A short form of the campaign over a failing network: a few seeds in the ordinary test run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.flaky import FAULTS, FLIPPED, Plan, flaky
from tests.faults.kills import digests
from tests.faults.network import Campaign, Trial, connect, plan_of, prepare
from tests.support.cli import Dver
from tests.support.s3server import S3Server


@pytest.fixture
def campaign(
    tmp_path: Path,
    rclone_s3: S3Server,
    moto_s3: S3Server,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Campaign]:
    for name, value in rclone_s3.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with ExitStack() as stack:
        proxies = [stack.enter_context(flaky(one)) for one in (rclone_s3, moto_s3)]
        yield Campaign(prepare(tmp_path / "lab"), proxies)


def test_a_failing_network_loses_nothing(campaign: Campaign) -> None:
    # One with short pages before each server, and one with so many faults that commands fail.
    for seed in (4, 3):
        campaign.play(seed)
    quick = tuple(one for one in FAULTS if "stall" not in one)
    campaign.play(11, Plan("quick", 0.7, None, faults=quick))
    assert campaign.runs >= 30
    assert len(campaign.done) > len(FAULTS) // 2
    assert campaign.failed


def test_a_push_of_which_nothing_arrives_is_noticed(campaign: Campaign) -> None:
    lab = campaign.lab
    [proxy, _] = campaign.servers
    connect(lab, f"s3://{proxy.server.new_bucket()}/empty", proxy.endpoint)
    trial = Trial(lab, proxy, f"s3://{proxy.server.new_bucket()}/empty", None)
    with pytest.raises(AssertionError, match="not all arrived"):
        trial.run("here", "push", proves=trial.is_pushed("v2"))


def test_a_bit_that_flips_on_the_way_is_never_written(campaign: Campaign) -> None:
    [_, proxy] = campaign.servers
    lab = campaign.lab
    connect(lab, campaign.reference(proxy), proxy.endpoint)
    pull = Dver(lab.repo("aside"))
    codes = []
    for attempt in range(12):
        proxy.follow(Plan(f"flipped {attempt}", 0.25, None, faults=(FLIPPED,)))
        done = pull.attempt("pull")
        codes.append(done.exit_code)
        for path, digest in digests(lab.repo("aside") / "data").items():
            assert digest == lab.versions["v2"][path]
        if not done.exit_code:
            break
        assert done.exit_code in (6, 7, 8), done.stderr
    assert codes[-1] == 0
    assert proxy.done[FLIPPED]
    pull("fsck", "--full")


def test_seeds_differ() -> None:
    plans = [plan_of(seed) for seed in range(20)]
    assert {one.page for one in plans} == {None, 2}
    assert len({one.rate for one in plans}) > 3
    assert plan_of(3) == plan_of(3) == Plan("network 3", plans[3].rate, plans[3].page)
