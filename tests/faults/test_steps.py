"""A short form of the campaign: commands are stopped at a few of their steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kills import VICTIMS, Lab, environment, prepare
from tests.faults.steps import Course

#: A step in the middle of what each command writes; it has more.
MIDDLE = {"add": 20, "push": 25, "pull": 60, "checkout": 30, "gc": 10}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """What every trial copies."""
    top = tmp_path_factory.mktemp("steps")
    return prepare(top / "lab", environment(top / "home"), files=40)


@pytest.mark.parametrize("name", VICTIMS)
def test_a_stop_in_the_middle_loses_nothing(name: str, lab: Lab, tmp_path: Path) -> None:
    course = Course(lab, VICTIMS[name], environment(lab.top.parent / "home"), tmp_path)
    assert course.stop(MIDDLE[name], "kill", 1, 1.0)
    assert course.stop(MIDDLE[name], "power", 1, 0.0)
    # What a command has told is on the disk when it has ended.
    assert not course.stop(10_000, "power", 1, 0.0)
