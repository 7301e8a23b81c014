"""Managing the places where data is shared."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import DverError, RemoteError
from dver.base.quoting import show
from dver.base.redact import printable, redact
from dver.base.reporter import Reporter
from dver.config import remotes, schema
from dver.config.load import check_url
from dver.config.remotes import RemoteSettings
from dver.config.schema import Level
from dver.repo import Repo

#: How URLs of directories may begin.
_LOCAL = ("file://", "local://")
FileLevel = Literal["user", "repository", "local"]


@dataclass(frozen=True, slots=True)
class RemoteInfo:
    """One remote as it is in force.

    ``url`` is as it was written; ``destination`` where data would go, spelled one way; ``options``
    what is set besides. ``level`` and ``origin`` say who decides where data goes. ``trusted`` tells
    whether data may be sent there.
    """

    name: str
    url: str
    destination: str
    default: bool
    trusted: bool
    level: Level
    origin: str
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RemoteListResult:
    """All remotes, by name."""

    remotes: tuple[RemoteInfo, ...]


@dataclass(frozen=True, slots=True)
class RemoteChange:
    """A remote after a change; None if it is gone. ``changed`` is False if it was so already.

    ``name`` is the remote that was named, before a renaming. ``made_directory`` is the directory
    that was made for it, if it is one and was not there.
    """

    name: str
    changed: bool
    remote: RemoteInfo | None
    made_directory: str | None = None


@dataclass(frozen=True, slots=True)
class AddRemoteOptions:
    """A new remote. ``level`` says which file it goes to; ``default`` makes it ``core.remote``."""

    name: str
    url: str
    level: FileLevel = "repository"
    default: bool = False


@dataclass(frozen=True, slots=True)
class RemoteCheck:
    """What a remote did when it was tried out; None is "not tried, or not known".

    ``exists`` tells whether somebody has pushed there. Only a remote that data may be sent to is
    written to: one small object, which is removed again. ``clock_skew`` is by how many seconds
    its clock is ahead. ``destination`` is a path if the remote is a directory. ``problem`` and
    ``hint`` say why it is not ``usable``.
    """

    name: str
    destination: str
    trusted: bool
    usable: bool
    exists: bool | None = None
    reachable: bool = False
    writable: bool | None = None
    ranges: bool | None = None
    conditional_create: bool | None = None
    clock_skew: float | None = None
    problem: str | None = None
    hint: str | None = None
    exit_code: int = 0


def check_remote(repo: Repo, name: str | None, reporter: Reporter) -> RemoteCheck:
    """Try a remote out. What the remote does wrong is in the result, and never raised."""
    from dver.storage.probe import probe_capabilities

    settings = remotes.find_remote(repo.config, name)
    info = _info(repo, settings)
    # A directory that is gone is not to be made by looking at it: the disk may not be mounted.
    place = _directory(settings)
    destination = settings.destination if place is None else place
    result = RemoteCheck(settings.name, destination, info.trusted, usable=False)
    present = place is None or os.path.isdir(place)
    write = info.trusted and present and not settings.options.get("anonymous")
    try:
        with reporter.task(f"checking {settings.name}", unit="objects"):
            remote = repo.open_remote(settings.name, write=False)
            found = probe_capabilities(remote.storage, write=write)
            if found.problem is not None:
                raise found.problem
            exists = remote.read_format() is not None
    except DverError as error:
        problem = printable(redact(error.message, repo.environ))
        hint = None if error.hint is None else printable(redact(error.hint, repo.environ))
        return replace(result, problem=problem, hint=hint, exit_code=error.exit_code)
    result = replace(
        result,
        exists=exists,
        reachable=found.reachable,
        writable=found.writable,
        ranges=found.ranges,
        conditional_create=found.conditional_create,
        clock_skew=None if found.skew is None else round(found.skew, 1),
    )
    if write and not found.usable:
        return replace(
            result,
            problem="it does not give back what was written to it",
            hint="is the endpoint an S3 server? a proxy or another service may answer there",
            exit_code=RemoteError.exit_code,
        )
    return replace(result, usable=True)


def list_remotes(repo: Repo) -> RemoteListResult:
    """Return every remote that has a URL."""
    return RemoteListResult(
        tuple(_info(repo, settings) for settings in remotes.list_remotes(repo.config))
    )


def add_remote(repo: Repo, options: AddRemoteOptions, reporter: Reporter) -> RemoteChange:
    """Add a remote; success without change if it was there. RefusedError if it was another.

    A directory that is not there is made, if the one above it is: from then on one that is missing
    means a disk that is not mounted. RefusedError for one that belongs to the local store.
    """
    _refuse_own_store(repo, options.name, options.url, options.level)
    changed = remotes.add_remote(
        repo.config,
        options.name,
        options.url,
        level=options.level,
        cwd=repo.cwd,
        default=options.default,
    )
    result = _changed(repo, options.name, options.name, changed)
    place = _directory(remotes.find_remote(repo.config, options.name))
    if place is None or os.path.isdir(place):
        return result
    if not os.path.isdir(os.path.dirname(place)):
        reporter.warn(f"the directory {show(place)} does not exist", hint=f"mkdir -p {place}")
        return result
    fsio.make_dirs(place)
    return replace(result, made_directory=place)


def _refuse_own_store(repo: Repo, name: str, url: str, level: FileLevel) -> None:
    """Raise RefusedError if a URL as it was typed leads into the local store."""
    if not url.strip() or not (remotes.is_directory(url) or url.lower().startswith(_LOCAL)):
        return
    # Before any error can repeat a secret.
    check_url(f"remote.{name}.url", url)
    written = remotes.normal_url(repo.config, url, level=level, cwd=repo.cwd)
    repo.refuse_own_store(remotes.location_of(repo.config, name, written, level))


def _directory(settings: RemoteSettings) -> str | None:
    """Return the directory that a remote is, or None if it is something else."""
    place = settings.destination.removeprefix("file://")
    return None if place == settings.destination else place


def remove_remote(repo: Repo, name: str) -> RemoteChange:
    """Forget a remote. What is in it stays there."""
    remotes.remove_remote(repo.config, name)
    return RemoteChange(name, True, None)


def rename_remote(repo: Repo, old: str, new: str) -> RemoteChange:
    """Give a remote another name."""
    remotes.rename_remote(repo.config, old, new)
    return _changed(repo, old, new, old != new)


def set_remote(
    repo: Repo, name: str, option: str, value: str, level: FileLevel | None = None
) -> RemoteChange:
    """Set one option of a remote, such as ``url`` or ``region``."""
    if option == "url":
        _refuse_own_store(repo, name, value, level or "local")
    changed = remotes.set_option(repo.config, name, option, value, level=level, cwd=repo.cwd)
    return _changed(repo, name, name, changed)


def unset_remote(repo: Repo, name: str, option: str) -> RemoteChange:
    """Remove one option of a remote."""
    changed = remotes.unset_option(repo.config, name, option)
    return _changed(repo, name, name, changed)


def default_remote(repo: Repo, name: str | None, level: FileLevel | None = None) -> RemoteChange:
    """Make a remote the default one, or with None return the one that is."""
    if name is None:
        found = remotes.find_remote(repo.config)
        return RemoteChange(found.name, False, _info(repo, found))
    changed = remotes.set_default(repo.config, name, level=level)
    return _changed(repo, name, name, changed)


def trust_remote(repo: Repo, name: str | None) -> RemoteChange:
    """Note that data may be sent to where a remote points now."""
    found = remotes.find_remote(repo.config, name)
    changed = remotes.trust_remote(repo.config, found.name)
    return _changed(repo, found.name, found.name, changed)


def _changed(repo: Repo, old: str, new: str, changed: bool) -> RemoteChange:
    return RemoteChange(old, changed, _info(repo, remotes.find_remote(repo.config, new)))


def _info(repo: Repo, settings: RemoteSettings) -> RemoteInfo:
    prefix = f"remote.{settings.name}."
    options = {
        key: schema.spell(value)
        for key, value in settings.options.items()
        if value != schema.find(prefix + key).default
    }
    return RemoteInfo(
        name=settings.name,
        url=settings.url,
        destination=settings.destination,
        default=settings.is_default,
        trusted=remotes.is_trusted(repo.config, settings),
        level=settings.level,
        origin=settings.origin,
        options=options,
    )
