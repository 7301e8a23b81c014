from __future__ import annotations

from pathlib import Path

import pytest

from dver.storage.base import Storage
from dver.storage.memory import MemoryStorage
from tests.transfer.world import TINY, Clone


@pytest.fixture
def bucket() -> Storage:
    return MemoryStorage()


@pytest.fixture
def alice(tmp_path: Path, bucket: Storage) -> Clone:
    return Clone(tmp_path / "alice", bucket, TINY)


@pytest.fixture
def bob(tmp_path: Path, bucket: Storage) -> Clone:
    return Clone(tmp_path / "bob", bucket, TINY)
