"""Fixtures of the workspace tests."""

from __future__ import annotations

from pathlib import Path

import pytest

import tests.support.hypothesis_profile  # noqa: F401 - how many examples
from tests.support.workbench import Workbench


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    """An empty workspace beside an empty store."""
    return Workbench(tmp_path)
