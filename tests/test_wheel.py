"""What is in the package that people install."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_wheel

ROOT = Path(__file__).parent.parent


def test_pages_and_manual_are_in_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / build_wheel(str(tmp_path))) as wheel:
        names = wheel.namelist()
        (manual,) = [name for name in names if name.endswith(".data/data/share/man/man1/dver.1")]
        assert wheel.read(manual) == (ROOT / "man/dver.1").read_bytes()
    for page in (ROOT / "dver/cli/concepts").glob("*.txt"):
        assert f"dver/cli/concepts/{page.name}" in names
    assert not [name for name in names if name.startswith(("tests", "docs"))]
