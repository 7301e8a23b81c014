"""A short form of the campaign: commands are stopped at a few of their steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kills import VICTIMS, environment, prepare
from tests.faults.steps import Course

#: A step in the middle of what each command writes; it has more.
MIDDLE = {"add": 20, "push": 25, "pull": 60, "checkout": 30, "gc": 10}


@pytest.mark.parametrize("name", VICTIMS)
def test_a_stop_in_the_middle_loses_nothing(name: str, tmp_path: Path) -> None:
    env = environment(tmp_path / "home")
    course = Course(prepare(tmp_path / "lab", env, files=40), VICTIMS[name], env, tmp_path)
    assert course.stop(MIDDLE[name], "kill", 1, 1.0)
    assert course.stop(MIDDLE[name], "power", 1, 0.0)
    # What a command has told is on the disk when it has ended.
    assert not course.stop(10_000, "power", 1, 0.0)
