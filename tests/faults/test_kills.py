"""A short form of the campaign: a few kills of each command in the ordinary test run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kills import VICTIMS, campaign, environment, prepare


@pytest.mark.parametrize("name", VICTIMS)
def test_kills_lose_nothing(name: str, tmp_path: Path) -> None:
    env = environment(tmp_path / "home")
    lab = prepare(tmp_path / "lab", env, files=300)
    killed, tried = campaign(lab, VICTIMS[name], 1, 3, env)
    assert 1 <= killed <= tried
