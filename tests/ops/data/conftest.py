"""A repository for each test: a copy of what its module prepares once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.workrepo import WorkRepo


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which dver is set up; whoever needs data in it has a template of its own."""
    return WorkRepo.create(tmp_path_factory.mktemp("template") / "repo").path


@pytest.fixture
def repo(template: Path, tmp_path: Path) -> WorkRepo:
    """A copy of the template."""
    shutil.copytree(template, tmp_path / "repo", symlinks=True)
    return WorkRepo(tmp_path / "repo")
