"""Finding the repository that a directory is in, as git does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

from dver.base.errors import RepositoryError
from dver.git import process

_ASK = (
    *("rev-parse", "--is-bare-repository", "--is-shallow-repository"),
    *("--absolute-git-dir", "--git-common-dir"),
    # The anchor of _parse, and last the one that fails where there is no working tree.
    *("--is-inside-git-dir",) * 3,
    "--show-toplevel",
)


class Found(NamedTuple):
    """Where a repository is, as seen from the directory ``cwd``.

    ``root`` is the top of the working tree, symlinks resolved; in a bare repository it is the
    git directory. ``prefix`` is where ``cwd`` is below ``root`` (``b""`` at the top), or None if
    it is outside (only with GIT_WORK_TREE, or in a bare repository). ``git_dir`` belongs to this
    working tree alone, ``common_dir`` to all working trees of the repository. ``env`` is what to
    run git with from now on, from whatever directory.
    """

    cwd: Path
    root: Path
    git_dir: Path
    common_dir: Path
    is_bare: bool
    is_shallow: bool
    prefix: bytes | None
    env: Mapping[str, str]


class Search:
    """A search for the repository around a directory, which git makes while others load code.

    Close it, or leave the block that it heads. Raises SystemFailure if git cannot be run.
    """

    def __init__(self, cwd: str | os.PathLike[str], environ: Mapping[str, str] | None) -> None:
        self._env = process.environment(environ)
        self._where = os.path.realpath(cwd)
        self._asked = process.Asked(_ASK, cwd=self._where, env=self._env)

    def result(self, *, needs_tree: bool = True) -> Found:
        """Wait for what git finds, once. Raises RepositoryError if that is nothing.

        Without ``needs_tree`` a git directory will do whose working tree is elsewhere.
        """
        code, out = self._asked.answer((0, 128))
        lines = os.fsdecode(out).split("\n")
        if code != 0 and len(lines) < 8:
            # Ask again only to hear the reason.
            process.run(["rev-parse", "--git-dir"], cwd=self._where, env=self._env)
            raise RepositoryError("git does not say where its repository is; is it too old?")
        return _parse(self._where, lines, self._env, has_tree=code == 0, needs_tree=needs_tree)

    def close(self) -> None:
        """Stop the search if nobody waited for it."""
        self._asked.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _parse(
    where: str, lines: list[str], env: dict[str, str], *, has_tree: bool, needs_tree: bool
) -> Found:
    is_bare, is_shallow = lines[0] == "true", lines[1] == "true"
    # A path may itself hold line breaks, so look for the three equal words after the two paths.
    after = next(
        end
        for end in range(len(lines) - 1, 4, -1)
        if lines[end - 3 : end] in (["true"] * 3, ["false"] * 3)
    )
    git_dir, common_dir = _two_paths(lines[2 : after - 3], where)
    if not has_tree and not is_bare and needs_tree:
        raise RepositoryError(
            "this is inside a git directory, not inside a working tree",
            hint="change to the directory that your files are in",
        )
    root, prefix = git_dir, None
    if has_tree:
        root = os.path.realpath("\n".join(lines[after:]).removesuffix("\n"))
        prefix = _prefix(root, where)
    _pin(env, git_dir=git_dir, common_dir=common_dir, root=root if has_tree else None)
    return Found(
        Path(where),
        Path(root),
        Path(git_dir),
        Path(common_dir),
        is_bare and not has_tree,
        is_shallow,
        prefix,
        env,
    )


def _prefix(root: str, where: str) -> bytes | None:
    relative = os.path.relpath(where, root)
    if relative == os.pardir or relative.startswith(os.pardir + os.sep):
        return None
    return b"" if relative == os.curdir else os.fsencode(relative.replace(os.sep, "/"))


def _pin(env: dict[str, str], *, git_dir: str, common_dir: str, root: str | None) -> None:
    """Make the variables that say where the repository is absolute: git is run from the root."""
    if "GIT_COMMON_DIR" in env:
        env["GIT_COMMON_DIR"] = common_dir
    if "GIT_DIR" in env or "GIT_WORK_TREE" in env:
        env["GIT_DIR"] = git_dir
        if root is not None:
            env["GIT_WORK_TREE"] = root


def _two_paths(lines: list[str], where: str) -> tuple[str, str]:
    half = 1
    if len(lines) != 2:
        # A newline in the path: the first is absolute and the second is '.git', equal or relative.
        half = next(
            (i for i in range(1, len(lines)) if os.path.isdir("\n".join(lines[:i]))), len(lines) - 1
        )
    git_dir = os.path.realpath("\n".join(lines[:half]))
    common = "\n".join(lines[half:])
    return git_dir, os.path.realpath(os.path.join(where, common))
