"""A configuration with all three files in a temporary directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from dver.config.load import Config, ConfigPaths, Overrides


@dataclass
class Place:
    """Three configuration files that need not exist, and the settings that they make."""

    root: Path
    paths: ConfigPaths

    def write(self, level: str, text: str | bytes) -> None:
        path = getattr(self.paths, level)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def read(self, level: str) -> str:
        path: Path = getattr(self.paths, level)
        return path.read_text() if path.exists() else ""

    def config(self, environ: Mapping[str, str] | None = None, overrides: Overrides = ()) -> Config:
        return Config(
            self.paths, environ={"HOME": "/home/ada", **(environ or {})}, overrides=overrides
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    root = tmp_path / "repo"
    root.mkdir()
    state = root / ".git" / "dver"
    paths = ConfigPaths(
        user=tmp_path / "home/.config/dver/config.yaml",
        repository=root / ".dver/config.yaml",
        local=state / "config.yaml",
        root=root,
        state=state,
    )
    return Place(root, paths)
