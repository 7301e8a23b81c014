"""Putting dver's hooks and drivers into a git repository, and taking them out again."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import dver
from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import RefusedError, RepositoryError, UsageError
from dver.base.locking import Lock
from dver.base.osat import osat
from dver.base.quoting import show
from dver.git import drivers
from dver.git.drivers import DRIVER, DRIVERS
from dver.git.hookdir import Found, HookDir
from dver.git.hookscripts import HOOKS, driver_text, hook_text

if TYPE_CHECKING:
    from dver.repo import Repo

#: Everything that can be installed, by the names that people type.
PARTS = (*HOOKS, *DRIVERS)
#: Directories that were made for hooks, and go again with the last of them.
_MADE = "hooks-made"

PartState = Literal["installed", "outdated", "edited", "called", "foreign", "absent", "manual"]


@dataclass(frozen=True, slots=True)
class HooksOptions:
    """Which parts to install or take away: hooks, "merge" and "diff"; none means all."""

    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One hook or driver.

    ``state`` is

    - installed, or outdated: another version of dver, or one in another place, wrote it
    - edited: dver wrote the hook, and somebody changed it
    - called: a hook of somebody else's calls ``dver hooks run``
    - foreign: there is a hook of somebody else's, which does not
    - manual: the directory is somebody else's to write; ``line`` is to be added to ``path``
    - absent

    ``path`` is the hook's file, "" for a driver; ``kept`` is the hook that was there before, which
    dver's runs first. Both are absolute.
    """

    name: str
    state: PartState
    path: str = ""
    kept: str | None = None
    line: str | None = None


@dataclass(frozen=True, slots=True)
class HooksResult:
    """The parts asked for, in the order of PARTS.

    ``directory`` is where git takes hooks from; ``manager`` names who owns it if it is not git's
    own directory ("" for an unknown one). ``changed`` lists the parts that this command changed.
    """

    directory: str
    manager: str | None
    parts: tuple[PartStatus, ...]
    changed: tuple[str, ...] = ()

    @property
    def by_hand(self) -> tuple[PartStatus, ...]:
        """The hooks that only the owner of the directory can put there."""
        return tuple(part for part in self.parts if part.state == "manual")


def hooks_status(repo: Repo, options: HooksOptions) -> HooksResult:
    """Tell which hooks and drivers are there. Nothing is changed."""
    parts = _parts(options.parts)
    return _told(repo, HookDir.of(repo.git), parts, ())


def install_hooks(repo: Repo, options: HooksOptions) -> HooksResult:
    """Install hooks and drivers; what is there already stays, and runs first.

    Nothing is written into a directory of hooks that is not git's own: there, the lines to add are
    told. Raises RefusedError for a hook of dver's that somebody changed, RepositoryError for a
    bare repository.
    """
    _need_work_tree(repo)
    parts = _parts(options.parts)
    hooks = HookDir.of(repo.git)
    changed = []
    with _lock(repo):
        if hooks.manager is None and any(part in HOOKS for part in parts):
            _make(repo, hooks.path)
        for part in parts:
            if part in DRIVERS:
                _make(repo, repo.git.common_dir / "info")
                wrote = _write_driver(repo)
                if drivers.configure(repo.git, part) or wrote:
                    changed.append(part)
            elif hooks.manager is None and _install(hooks, part):
                changed.append(part)
    return _told(repo, hooks, parts, changed)


def uninstall_hooks(repo: Repo, options: HooksOptions) -> HooksResult:
    """Take hooks and drivers away, and put back what was there before, byte for byte.

    Raises RefusedError, with nothing changed, for a hook of dver's that somebody changed.
    """
    parts = _parts(options.parts)
    hooks = HookDir.of(repo.git)
    # Those that were written before core.hooksPath was set are to go as well.
    places = {hooks.path: hooks, **_own_directory(repo)}
    edited = [str(path) for one in places.values() for path in one.edited()]
    if edited:
        raise RefusedError(
            f"{show(edited[0])} was written by dver and changed by somebody since",
            hint="move what was added to a file of its own, or delete the hook, and run this again",
        )
    changed = []
    with _lock(repo):
        for part in parts:
            if part in DRIVERS:
                done = drivers.remove(repo.git, part)
            else:
                gone = [one.uninstall(part) for one in places.values()]
                done = any(path is not None for path in gone)
            if done:
                changed.append(part)
        told = _told(repo, hooks, parts, changed)
        _clean_up(repo)
    return told


def _parts(typed: Sequence[str]) -> list[str]:
    unknown = [part for part in typed if part not in PARTS]
    if unknown:
        raise UsageError(
            f"there is no hook or driver {unknown[0]!r}", hint=f"choose from {', '.join(PARTS)}"
        )
    return [part for part in PARTS if not typed or part in typed]


def _need_work_tree(repo: Repo) -> None:
    if repo.git.is_bare:
        raise RepositoryError("a bare repository has no working tree that hooks could look after")


def _lock(repo: Repo) -> Lock:
    return Lock(repo.common_state_dir / "config.lock", exclusive=True)


def _program() -> tuple[str, str]:
    """Return this interpreter and the directory that dver's modules are in."""
    return sys.executable, os.path.dirname(os.path.abspath(dver.__file__))


def _install(hooks: HookDir, name: str) -> bool:
    text = hook_text(name, *_program())
    before = hooks.look(name, text)
    return hooks.install(name, text) != before


def _write_driver(repo: Repo) -> bool:
    path = repo.common_state_dir / DRIVER
    text = driver_text(*_program())
    if _read(path) == text:
        return False
    fsio.write_atomic(path, text, mode=0o777, durable=False)
    return True


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _own_directory(repo: Repo) -> dict[Path, HookDir]:
    path = Path(os.path.realpath(repo.git.common_dir / "hooks"))
    return {path: HookDir(path, None)}


def _make(repo: Repo, path: Path) -> None:
    """Make a directory, and remember that it was not there."""
    if not path.is_dir():
        list_of = repo.common_state_dir / _MADE
        fsio.write_atomic(list_of, _read(list_of) + os.fsencode(path) + b"\0", durable=False)
        fsio.make_dirs(path)


def _clean_up(repo: Repo) -> None:
    """Remove what hooks and drivers share, once the last of them is gone."""
    configured = [one for one in DRIVERS if drivers.is_configured(repo.git, one)]
    if not configured:
        fsio.remove(repo.common_state_dir / DRIVER)
        _remove_cache(repo.common_state_dir / "textconv")
    for data in _read(repo.common_state_dir / _MADE).split(b"\0"):
        if data and os.path.isdir(data) and not os.listdir(data):
            osat.rmdir(data)
    hooks = _own_directory(repo).popitem()[1]
    left = any(hooks.look(name, b"").state == "outdated" for name in HOOKS)
    if not configured and not left:
        fsio.remove(repo.common_state_dir / _MADE)


def _remove_cache(directory: Path) -> None:
    if directory.is_dir():
        for name in os.listdir(directory):
            fsio.remove(directory / name)
        osat.rmdir(directory)


def _told(repo: Repo, hooks: HookDir, parts: Sequence[str], changed: Sequence[str]) -> HooksResult:
    return HooksResult(
        str(hooks.path),
        hooks.manager,
        tuple(_status(repo, hooks, part) for part in parts),
        tuple(changed),
    )


def _status(repo: Repo, hooks: HookDir, part: str) -> PartStatus:
    if part in DRIVERS:
        current = drivers.is_configured(repo.git, part)
        script = _read(repo.common_state_dir / DRIVER)
        state: PartState = "outdated" if drivers.is_there(repo.git, part) else "absent"
        if current and script == driver_text(*_program()):
            state = "installed"
        return PartStatus(part, state)
    found: Found = hooks.look(part, hook_text(part, *_program()))
    kept = None if found.kept is None else str(found.kept)
    if hooks.manager is not None and found.state in ("foreign", "absent"):
        line = f'dver hooks run {part} "$@"'
        return PartStatus(part, "manual", str(hooks.path / part), line=line)
    return PartStatus(part, found.state, str(found.path), kept)
