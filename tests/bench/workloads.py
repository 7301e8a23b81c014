"""Deterministic data to work on."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path


def small_files(
    root: Path, count: int, size: int, *, per_directory: int = 1000, seed: int = 1
) -> None:
    """Make ``count`` files of ``size`` incompressible bytes, so many in each directory."""
    block = random.Random(seed).randbytes(max(1 << 22, size * 2))
    for number in range(count):
        if number % per_directory == 0:
            directory = root / f"{number // per_directory:05}"
            directory.mkdir(parents=True, exist_ok=True)
        at = number * 4093 % (len(block) - size)
        with open(directory / f"{number:08}.bin", "wb", buffering=0) as file:
            file.write(number.to_bytes(8, "little") + block[at : at + size - 8])


def large_file(path: Path, size: int, *, seed: int = 2) -> None:
    """Make one file of incompressible bytes."""
    rng = random.Random(seed)
    with open(path, "wb") as file:
        left = size
        while left:
            left -= file.write(rng.randbytes(min(left, 16 << 20)))


def repository(root: Path, env: Mapping[str, str]) -> Path:
    """Make an empty git repository with dver set up in it."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    git(root, env, "init", "-q")
    return root


def git(cwd: Path, env: Mapping[str, str], *args: str) -> None:
    """Run git, quietly, or fail."""
    subprocess.run(["git", *args], cwd=cwd, env=dict(env), check=True, stdout=subprocess.DEVNULL)


def hermetic(home: Path) -> dict[str, str]:
    """Return an environment without the user's git, DVC or dver configuration."""
    home.mkdir(parents=True, exist_ok=True)
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}
    for role in ("AUTHOR", "COMMITTER"):
        env[f"GIT_{role}_NAME"], env[f"GIT_{role}_EMAIL"] = "bench", "bench@example.org"
    return env | {"GIT_CONFIG_NOSYSTEM": "1", "DVC_NO_ANALYTICS": "1", "NO_COLOR": "1"}
