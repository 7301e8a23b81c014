"""A report on this set-up: versions, places, capabilities, and what is wrong with them.

It is made to be pasted into a public issue: no secrets, no values of environment variables, the
home directory written as ``~``, and no names of other people's.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import dver
from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import DverError
from dver.base.quoting import show
from dver.base.redact import printable, redact, without_homes
from dver.base.reporter import Reporter
from dver.base.workers import usable_cores
from dver.config import remotes
from dver.config.load import Config
from dver.git import process
from dver.git.pointers import in_workspace
from dver.ops.sharing.remote import RemoteCheck, check_remote
from dver.repo import Repo

LIBRARIES = (
    "blake3",
    "click",
    "fsspec",
    "pathspec",
    "pyfastcdc",
    "pyyaml",
    "rich",
    "s3fs",
    "xxhash",
    "zstandard",
)
MINIMUM_GIT = (2, 25)
#: From how many seconds on a remote's clock is worth a word.
SKEW = 60

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """``offline`` asks no remote."""

    offline: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One fact, and whether it is fine. ``hint`` says what to do about a problem.

    ``size`` is a number of bytes that belongs to the fact and is shown after ``value``.
    """

    section: str
    name: str
    value: str
    state: State = "ok"
    hint: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class DoctorResult:
    """All facts, in the order to be read."""

    checks: tuple[Check, ...]

    @property
    def problems(self) -> int:
        """How many facts are not fine."""
        return sum(check.state == "problem" for check in self.checks)


def doctor(
    repo: Repo | None,
    config: Config,
    options: DoctorOptions,
    reporter: Reporter,
    *,
    environ: Mapping[str, str],
) -> DoctorResult:
    """Look at everything that commands rest on. A failure becomes a problem in the report."""
    checks = [*_versions(environ), *_settings(config, environ)]
    if repo is None:
        checks.append(Check("repository", "git repository", "none here", "note"))
    else:
        for section, look in _PLACES:
            checks += _guarded(section, look, repo)
        if not options.offline:
            checks += _remotes(repo, reporter)
    return DoctorResult(tuple(_public(check, environ) for check in checks))


def _public(check: Check, environ: Mapping[str, str]) -> Check:
    def masked(text: str) -> str:
        return printable(without_homes(redact(text, environ), environ))

    hint = None if check.hint is None else masked(check.hint)
    return replace(check, name=masked(check.name), value=masked(check.value), hint=hint)


def _guarded(section: str, look: Callable[[Repo], Iterator[Check]], repo: Repo) -> list[Check]:
    found: list[Check] = []
    try:
        found.extend(look(repo))
    except DverError as error:
        found.append(Check(section, "error", error.message, "problem", error.hint))
    return found


# -- the machine ----------------------------------------------------------------------------------


def _versions(environ: Mapping[str, str]) -> Iterator[Check]:
    from importlib.metadata import PackageNotFoundError, version

    yield Check("versions", "dver", dver.__version__)
    yield Check(
        "versions", "python", f"{platform.python_implementation()} {platform.python_version()}"
    )
    yield Check(
        "versions",
        "system",
        f"{platform.system()} {platform.release()} {platform.machine()}, {usable_cores()} cores",
    )
    yield _git_version(environ)
    for name in LIBRARIES:
        try:
            yield Check("versions", name, version(name))
        except PackageNotFoundError:
            hint = "install dver again"
            yield Check("versions", name, "not installed", "problem", hint)


def _git_version(environ: Mapping[str, str]) -> Check:
    try:
        out = process.run(["--version"], cwd=os.sep, env=process.environment(environ))
    except DverError as error:
        return Check("versions", "git", error.message, "problem", error.hint)
    text = out.decode(errors="replace").strip().removeprefix("git version ")
    numbers = re.match(r"(\d+)\.(\d+)", text)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < MINIMUM_GIT:
        wanted = ".".join(map(str, MINIMUM_GIT))
        return Check("versions", "git", text, "problem", f"dver needs git {wanted} or newer")
    return Check("versions", "git", text)


def _settings(config: Config, environ: Mapping[str, str]) -> Iterator[Check]:
    try:
        values = config.values()
    except DverError as error:
        yield Check("settings", "configuration", error.message, "problem", error.hint)
        return
    for value in values:
        if not value.key.startswith("remote."):
            yield Check("settings", value.key, f"{value.value} ({value.level})")
    names = sorted(name for name in environ if name.startswith(("AWS_", "DVER_", "GIT_")))
    if names:
        yield Check("settings", "environment", ", ".join(names) + " set", "ok")


# -- the repository -------------------------------------------------------------------------------


def _repository(repo: Repo) -> Iterator[Check]:
    git = repo.git
    yield Check("repository", "root", str(repo.root))
    if repo.is_initialised:
        yield Check("repository", "dver", "set up")
    else:
        yield Check("repository", "dver", "not set up", "problem", "dver init")
    head = git.head()
    where = git.branch() or ("detached" if head else "no branch")
    yield Check("repository", "HEAD", f"{head[:10] if head else 'no commit yet'} ({where})")
    for word, flag, meaning in (
        ("bare", git.is_bare, "there is no working tree"),
        ("shallow", git.is_shallow, "older versions cannot be listed, and gc refuses"),
        ("sparse", git.is_sparse, "pointers outside it are not looked at"),
    ):
        if flag:
            yield Check("repository", word, f"yes: {meaning}", "note")
    yield Check("repository", "worktrees", str(len(git.worktrees())))
    if not git.is_bare:
        count = sum(1 for _ in in_workspace(git))
        yield Check("repository", "pointers", f"{count:,} in the workspace")


def _store(repo: Repo) -> Iterator[Check]:
    path = repo.store_path
    yield Check("store", "path", str(path))
    if not os.path.isdir(path):
        yield Check("store", "state", "not made yet", "note")
        return
    yield from _sharing(path)
    packs = repo.store.index.packs()
    total = sum(packs.values())
    number = "1 pack" if len(packs) == 1 else f"{len(packs):,} packs"
    yield Check("store", "size", number, size=total)
    free = shutil.disk_usage(path).free
    low = free < max(total // 20, 1 << 30)
    hint = "free some space, or move the store with 'dver config set store.path DIR'"
    state: State = "note" if low else "ok"
    yield Check("store", "free space", "", state, hint if low else None, size=free)


def _sharing(path: Path) -> Iterator[Check]:
    """Tell whether all accounts of a group can use a store that is set up for a group."""
    bits = fsio.shared_bits(path)
    if not bits:
        return
    inner = [entry for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
    closed = sorted(entry.name for entry in inner if entry.stat().st_mode & bits != bits)
    if closed:
        value = f"no, the group cannot write to {', '.join(closed)}"
        yield Check("store", "shared", value, "problem", f"chmod -R g+rwX {show(path)}")
    else:
        yield Check("store", "shared", "with its group")


def _links(repo: Repo) -> Iterator[Check]:
    from dver.workspace.links import probe_link_modes

    if repo.git.is_bare or not os.path.isdir(repo.store_path):
        return
    modes = probe_link_modes(os.fsencode(repo.root), os.fsencode(repo.store_path))
    yield Check("store", "link modes", ", ".join(modes))
    wanted = repo.config.text("core.link")
    if wanted not in (None, "auto", *modes):
        hint = "dver config set core.link auto"
        yield Check("store", "core.link", f"{wanted} does not work here", "problem", hint)


_PLACES: tuple[tuple[str, Callable[[Repo], Iterator[Check]]], ...] = (
    ("repository", _repository),
    ("store", _store),
    ("store", _links),
)


# -- remotes --------------------------------------------------------------------------------------


def _remotes(repo: Repo, reporter: Reporter) -> Iterator[Check]:
    try:
        found = remotes.list_remotes(repo.config)
        default = repo.config.default_remote()
    except DverError as error:
        yield Check("remotes", "configuration", error.message, "problem", error.hint)
        return
    if not found:
        yield Check("remotes", "none", "'dver remote add NAME URL' adds one", "note")
    names = [settings.name for settings in found]
    if default is not None and default not in names:
        hint = "dver remote default NAME"
        yield Check("remotes", "core.remote", f"{default}: no such remote", "problem", hint)
    for settings in found:
        result = check_remote(repo, settings.name, reporter)
        if result.problem is not None:
            value = f"{result.destination}: {result.problem}"
            yield Check("remotes", settings.name, value, "problem", result.hint)
            continue
        value = f"{result.destination}: {', '.join(remote_facts(result))}"
        state: State = "ok" if result.trusted and result.exists else "note"
        yield Check("remotes", settings.name, value, state)


def remote_facts(check: RemoteCheck) -> list[str]:
    """Return what a remote that works can do, in words."""
    words = ["works" if check.writable else "answers"]
    if not check.exists:
        words.append("nothing was pushed to it yet")
    if not check.trusted:
        words.append("not trusted yet")
    if check.conditional_create is not None:
        words.append(
            "guards against overwriting"
            if check.conditional_create
            else "does not guard against overwriting"
        )
    if check.clock_skew is not None and abs(check.clock_skew) >= SKEW:
        words.append(f"its clock is {check.clock_skew:+.0f} s off")
    return words
