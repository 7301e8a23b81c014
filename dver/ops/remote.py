"""Managing the places where data is shared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dver.config import remotes, schema
from dver.config.remotes import RemoteSettings
from dver.config.schema import Level
from dver.repo import Repo

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

    ``name`` is the remote that was named, before a renaming.
    """

    name: str
    changed: bool
    remote: RemoteInfo | None


@dataclass(frozen=True, slots=True)
class AddRemoteOptions:
    """A new remote. ``level`` says which file it goes to; ``default`` makes it ``core.remote``."""

    name: str
    url: str
    level: FileLevel = "repository"
    default: bool = False


def list_remotes(repo: Repo) -> RemoteListResult:
    """Return every remote that has a URL."""
    return RemoteListResult(
        tuple(_info(repo, settings) for settings in remotes.list_remotes(repo.config))
    )


def add_remote(repo: Repo, options: AddRemoteOptions) -> RemoteChange:
    """Add a remote; success without change if it was there. RefusedError if it was another."""
    changed = remotes.add_remote(
        repo.config,
        options.name,
        options.url,
        level=options.level,
        cwd=repo.cwd,
        default=options.default,
    )
    return _changed(repo, options.name, options.name, changed)


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
