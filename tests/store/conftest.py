from __future__ import annotations

from pathlib import Path

import pytest

from dver.formats.storeinfo import Chunker
from dver.storage.local import LocalStorage
from dver.store.store import Store

#: Small chunks, so that a few megabytes make lists of lists.
TINY = Chunker(min_size=1024, avg_size=2048, max_size=4096)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(LocalStorage(tmp_path / "store"))


@pytest.fixture
def tiny(tmp_path: Path) -> Store:
    return Store.create(LocalStorage(tmp_path / "tiny"), TINY)
