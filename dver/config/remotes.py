"""The remotes that the settings name: finding, adding, renaming and removing them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from dver.base.dataclass import dataclass
from dver.base.errors import ConfigError, NotFoundError, RefusedError, UsageError
from dver.base.quoting import show
from dver.config import edit, schema, trust
from dver.config.load import Config, check_url
from dver.config.schema import Level, Scalar

_FILE_LEVELS: tuple[Level, ...] = ("local", "repository", "user")


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """One remote as configured.

    ``url`` is as it was written; :attr:`location` is what to open, with directories absolute.
    ``options`` are the other settings that any level sets, by the last part of their keys.
    ``level`` is the one that decides where data would go: ``repository`` as soon as the URL or the
    endpoint was committed. ``origin`` names the place for people.
    """

    name: str
    url: str
    location: str
    options: Mapping[str, Scalar]
    level: Level
    origin: str
    is_default: bool

    @property
    def destination(self) -> str:
        """Where data would go, spelled one way: what trust is given to.

        That includes the key of a storage's own encryption: who holds it can take it away.
        """
        key = str(self.options.get("sse_kms_key_id", ""))
        return f"{self._place()} with key {key}" if key else self._place()

    def _place(self) -> str:
        scheme, found, rest = self.location.partition("://")
        scheme = scheme.lower()
        if not found or scheme in ("file", "local"):
            path = rest if found else self.location
            return "file://" + os.path.normpath(path).replace(os.sep, "/")
        if scheme in ("s3a", "s3n"):
            scheme = "s3"
        authority, slash, path = rest.partition("?")[0].partition("/")
        where = f"{scheme}://{authority}{slash}{path}".rstrip("/")
        endpoint = str(self.options.get("endpoint_url", ""))
        return f"{where} at {endpoint.lower().rstrip('/')}" if endpoint else where


def is_directory(url: str) -> bool:
    """Tell whether a remote's URL is the path of a directory."""
    return "://" not in url


def list_remotes(config: Config) -> list[RemoteSettings]:
    """Return every remote that has a URL, sorted by name."""
    return [
        _settings(config, name)
        for name in config.remote_names()
        if config.get(f"remote.{name}.url") is not None
    ]


def find_remote(config: Config, name: str | None = None) -> RemoteSettings:
    """Return one remote; None is the default one.

    The default is ``core.remote``, or the only one there is. Raises NotFoundError with what there
    is, or how to add one.
    """
    chosen = name if name is not None else config.default_remote()
    known = [remote for remote in config.remote_names() if config.get(f"remote.{remote}.url")]
    if chosen is None:
        if known:
            raise NotFoundError(
                f"none of the remotes {', '.join(known)} is the default",
                hint=f"name one with -r, or run 'dver remote default {known[0]}'",
            )
        raise NotFoundError("no remote is set up", hint="dver remote add NAME URL")
    if chosen not in known:
        raise _unknown(chosen, known)
    return _settings(config, chosen)


def _unknown(name: str, known: list[str]) -> NotFoundError:
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    hint = f"there are: {', '.join(known)}" if known else "dver remote add NAME URL"
    if close:
        hint = f"did you mean {close[0]!r}?"
    return NotFoundError(f"there is no remote {name!r}", hint=hint)


def _settings(config: Config, name: str) -> RemoteSettings:
    found = config.find(f"remote.{name}.url")
    if found is None:
        raise _unknown(name, config.remote_names())
    options: dict[str, Scalar] = {}
    level, origin = found.level, found.origin
    for option in schema.REMOTE_OPTIONS[1:]:
        value = config.find(f"remote.{name}.{option}")
        if value is None or value.level == "default":
            continue
        text = value.value
        if schema.find(f"remote.{name}.{option}").kind == "path":
            text = config.expand(str(text))
        options[option] = text
        if option == "endpoint_url" and value.level == "repository":
            level, origin = value.level, value.origin
    url = str(found.value)
    return RemoteSettings(
        name=name,
        url=url,
        location=location_of(config, name, url, found.level),
        options=options,
        level=level,
        origin=origin,
        is_default=name == config.default_remote(),
    )


def location_of(config: Config, name: str, url: str, level: Level) -> str:
    """Return what to open for a URL as a level's file has it, with directories absolute."""
    scheme, found, rest = url.partition("://")
    if found and scheme.lower() not in ("file", "local"):
        return url
    path = config.expand(rest if found else url)
    if os.path.isabs(path):
        return path
    if config.paths.root is None or level == "user":
        raise ConfigError(
            f"the directory of the remote {name!r} is a relative path: {show(path)}",
            hint=(
                "write an absolute path"
                if config.paths.root is not None
                else "it counts from a work tree, and there is none here: give an absolute path, by"
                f" 'dver import --remote-url PATH' or 'dver -c remote.{name}.url=PATH'"
            ),
        )
    return os.path.normpath(config.paths.root / path)


def add_remote(
    config: Config,
    name: str,
    url: str,
    *,
    level: Level = "repository",
    cwd: Path,
    default: bool = False,
) -> bool:
    """Add a remote to a level's file; return False if it was there with the same URL already.

    ``url`` may be a directory relative to ``cwd``; at the committed level it is written relative
    to the top of the repository, elsewhere absolute. The first remote, or one added with
    ``default``, becomes ``core.remote`` at the same level. Having been typed here, the place is
    trusted from now on. Raises RefusedError if the name is taken by another URL, or differs from
    another name by case alone.
    """
    schema.check_remote_name(name)
    check_url(f"remote.{name}.url", url)
    written = normal_url(config, url, level=level, cwd=cwd)
    edit.check(level, f"remote.{name}.url", written)
    names = config.remote_names()
    for other in names:
        if other != name and other.lower() == name.lower():
            raise RefusedError(f"there is a remote {other!r}, which differs by case alone")
    changes: dict[str, str | None] = {}
    present = config.find(f"remote.{name}.url")
    if present is None:
        changes[f"remote.{name}.url"] = written
    elif location_of(config, name, str(present.value), present.level) != location_of(
        config, name, written, level
    ):
        raise RefusedError(
            f"there is a remote {name!r} already, and its URL is {present.value}",
            hint=f"dver remote set {name} url {url}",
        )
    if default or (present is None and not names and config.text("core.remote") is None):
        changes["core.remote"] = name
    changed = edit.apply(config, level, changes) if changes else False
    trust_remote(config, name)
    return changed


def trust_remote(config: Config, name: str) -> bool:
    """Note that data may be sent to where a remote points now; return False if that was known."""
    remote = _settings(config, name)
    state = config.paths.state
    return (
        state is not None
        and not is_trusted(config, remote)
        and trust.pin(state, remote.destination)
    )


def trust_first_remote(config: Config, name: str) -> bool:
    """Trust a remote that was fetched from, if nothing is trusted yet; say whether it is now."""
    state = config.paths.state
    if state is not None and trust.is_anything_pinned(state):
        return is_trusted(config, _settings(config, name))
    trust_remote(config, name)
    return True


def is_trusted(config: Config, remote: RemoteSettings) -> bool:
    """Tell whether data may be sent to a remote: its place is the user's own word, or pinned."""
    state = config.paths.state
    if remote.level != "repository":
        return True
    return state is not None and trust.is_pinned(state, remote.destination)


def require_trusted(config: Config, remote: RemoteSettings) -> None:
    """Raise ConfigError unless data may be sent to a remote."""
    if not is_trusted(config, remote):
        raise ConfigError(
            f"the remote {remote.name!r} comes from {remote.origin}, which is shared through git,"
            f" and you have not yet agreed to send data to {remote.destination}",
            hint=f"if you know that place: dver remote trust {remote.name}",
        )


def normal_url(config: Config, url: str, *, level: Level, cwd: Path) -> str:
    """Return how a level writes a URL that was typed in the directory ``cwd``."""
    if not url.strip():
        raise UsageError("the URL of a remote is empty")
    if not is_directory(url):
        return url
    _refuse_half_a_url(url)
    expanded = config.expand(url)
    if os.path.isabs(expanded):
        return os.path.normpath(expanded)
    absolute = os.path.normpath(cwd / expanded)
    if level != "repository" or config.paths.root is None:
        return absolute
    return os.path.relpath(absolute, config.paths.root).replace(os.sep, "/")


# Two letters at least: one is a drive of Windows.
_HALF_A_URL = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]+|[^/\\:]*@[^/\\:]+):")


def _refuse_half_a_url(url: str) -> None:
    """Raise UsageError for ``s3:bucket``, ``s3:/bucket`` and ``user@host:path``.

    They would be directories, made here, in which somebody then believes that the data is safe.
    """
    found = _HALF_A_URL.match(url)
    if found is None:
        return
    start = found[0]
    rest = url[len(start) :].lstrip("/")
    better = f"{start}//{rest}"
    if "@" in start:
        better = f"sftp://{start[:-1]}/{rest}"
    raise UsageError(
        f"{show(url)} is no URL, since '://' is missing",
        hint=f"if you mean {show(better)}, write that; for a directory of this name write"
        f" {show('./' + url)}",
    )


def set_option(
    config: Config,
    name: str,
    option: str,
    value: str,
    *,
    level: Level | None = None,
    cwd: Path,
) -> bool:
    """Set one option of a remote that exists; return False if it had that value.

    Without a level it goes to the file that holds the remote's URL, or if the option may not
    stand there, to the local one.
    """
    home = _home_level(config, name)
    key = f"remote.{name}.{option}"
    setting = schema.find(key)
    chosen = level or ("local" if home == "repository" and not setting.committed else home)
    if option == "url":
        check_url(key, value)
        value = normal_url(config, value, level=chosen, cwd=cwd)
    elif setting.kind == "path" and not value.startswith("~"):
        value = os.path.normpath(cwd / value)
    changed = edit.set_value(config, chosen, key, value)
    if option in ("url", "endpoint_url"):
        trust_remote(config, name)
    return changed


def unset_option(config: Config, name: str, option: str) -> bool:
    """Take one option of a remote out of every file; return False if none had it."""
    _home_level(config, name)
    key = f"remote.{name}.{option}"
    schema.find(key)
    holders = [level for level in _FILE_LEVELS if key in config.at_level(level)]
    for level in holders:
        edit.unset_value(config, level, key)
    return bool(holders)


def _home_level(config: Config, name: str) -> Level:
    for level in _FILE_LEVELS:
        if f"remote.{name}.url" in config.at_level(level):
            return level
    raise _unknown(name, [remote.name for remote in list_remotes(config)])


def remove_remote(config: Config, name: str) -> None:
    """Take a remote out of the files of this repository, and of the user's if only there.

    ``core.remote`` goes where it names it. Nothing in the remote is touched. Raises NotFoundError.
    """
    home = _home_level(config, name)
    levels: tuple[Level, ...] = ("user",) if home == "user" else ("local", "repository")
    for level in levels:
        changes = _keys_of(config, level, name)
        if config.at_level(level).get("core.remote") and _default_at(config, level) == name:
            changes["core.remote"] = None
        if changes:
            edit.apply(config, level, changes)


def rename_remote(config: Config, old: str, new: str) -> None:
    """Give a remote another name in the files that define it. Raises as add and remove do."""
    schema.check_remote_name(new)
    home = _home_level(config, old)
    taken = [name for name in config.remote_names() if name.lower() == new.lower() and name != old]
    if taken:
        raise RefusedError(f"there is a remote {taken[0]!r} already")
    if old == new:
        return
    levels: tuple[Level, ...] = ("user",) if home == "user" else ("local", "repository")
    for level in levels:
        values = config.at_level(level)
        changes = _keys_of(config, level, old)
        for key in list(changes):
            changes[key.replace(f".{old}.", f".{new}.", 1)] = schema.spell(values[key].value)
        if _default_at(config, level) == old:
            changes["core.remote"] = new
        if changes:
            edit.apply(config, level, changes)


def set_default(config: Config, name: str, *, level: Level | None = None) -> bool:
    """Make a remote the default; return False if it was. Goes to the level of its URL."""
    home = _home_level(config, name)
    return edit.set_value(config, level or home, "core.remote", name)


def _default_at(config: Config, level: Level) -> str | None:
    value = config.at_level(level).get("core.remote")
    return None if value is None else str(value.value)


def _keys_of(config: Config, level: Level, name: str) -> dict[str, str | None]:
    prefix = f"remote.{name}."
    return {key: None for key in config.at_level(level) if key.startswith(prefix)}
