"""A short form of the campaign: a few kills of each command in the ordinary test run."""

from __future__ import annotations

import pytest

from tests.faults.kills import VICTIMS, Lab, campaign, environment, prepare


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """What every trial copies."""
    top = tmp_path_factory.mktemp("kills")
    return prepare(top / "lab", environment(top / "home"), files=300)


@pytest.mark.parametrize("name", VICTIMS)
def test_kills_lose_nothing(name: str, lab: Lab) -> None:
    env = environment(lab.top.parent / "home")
    killed, tried = campaign(lab, VICTIMS[name], 1, 3, env)
    assert 1 <= killed <= tried
