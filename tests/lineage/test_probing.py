"""Asking an interpreter once for as long as what it would answer is the same."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dver.lineage import probing
from dver.lineage.probing import Probe


def installed(site: Path, name: str, *, seconds: int) -> None:
    """Put a package into a directory, at some time long ago."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    os.utime(site, (1_000_000 + seconds, 1_000_000 + seconds))


def test_an_answer_is_kept_until_something_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, cache = tmp_path / "site", tmp_path / "cache" / "interpreters.json"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(site)}
    python = [sys.executable, "-S"]  # only what is in the path counts
    installed(site, "first", seconds=0)

    first = Probe(python, env, cache).answer()
    assert first["packages"] == ["first==1.0"]
    with monkeypatch.context() as patched:
        patched.setattr(probing, "start", lambda *_: pytest.fail("it was asked again"))
        assert Probe(python, env, cache).answer() == first

    installed(site, "second", seconds=1)
    assert Probe(python, env, cache).answer()["packages"] == ["first==1.0", "second==1.0"]
    other = Probe(python, env | {"PYTHONPATH": ""}, cache).answer()
    assert other["packages"] == []
    # Garbage is asked anew, and so is what changed only just now.
    cache.write_bytes(b"[" * 9000)
    os.utime(site)
    assert len(Probe(python, env, cache).answer()["packages"]) == 2
    assert cache.read_bytes() == b"[" * 9000
