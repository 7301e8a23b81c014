"""A directory and a file in two versions, to be checked out."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.workrepo import WorkRepo

ONE = {"a": b"1", "s/x": b"x1", "s/y": b"y1", "t/z": b"z1"}
TWO = {"a": b"2", "s/x": b"x1", "t/z": b"z2", "u/n": b"n2"}


def put(repo: WorkRepo, files: dict[str, bytes], top: str = "d") -> None:
    """Make a directory hold exactly some files."""
    for name in repo.tree(top) if (repo.path / top).exists() else ():
        os.unlink(repo.path / top / name)
    for where, _, _ in os.walk(repo.path / top, topdown=False):
        if not os.listdir(where):
            os.rmdir(where)
    for name, content in files.items():
        repo.write(f"{top}/{name}", content)


def two_versions(top: Path) -> Path:
    """Make a repository with two versions, v1 and v2, of a directory ``d`` and a file ``f``."""
    repo = WorkRepo.create(top)
    for tag, files in (("v1", ONE), ("v2", TWO)):
        put(repo, files)
        repo.write("f", tag.encode())
        repo.add("d", "f")
        repo.commit(tag)
        repo.git("tag", tag)
    return repo.path


def is_clean(repo: WorkRepo) -> bool:
    return repo.status().is_clean
