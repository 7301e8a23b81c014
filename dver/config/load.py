"""Bringing the levels together: files, environment and command line, each value with its origin."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dver.base.errors import ConfigError
from dver.config import document, schema
from dver.config.schema import LEVELS, REMOTE_OPTIONS, Level, Scalar

Overrides = Mapping[str, str] | Sequence[tuple[str, str]]

_PREFIX = "DVER_"
_SECTIONS = {setting.key.partition(".")[0] for setting in schema.SETTINGS}


def environment() -> Mapping[str, str]:
    """Return the process's environment. No other module of the library asks for it."""
    return os.environ


class Value(NamedTuple):
    """One value: its key, where it was set, and by which level. ``origin`` is for people."""

    key: str
    value: Scalar
    level: Level
    origin: str


class ConfigPaths(NamedTuple):
    """Where the files of each level are; None where there is no such level, as outside git.

    ``root`` is the top of the working tree, and ``state`` dver's own directory in the common git
    directory.
    """

    user: Path
    repository: Path | None = None
    local: Path | None = None
    root: Path | None = None
    state: Path | None = None

    def of(self, level: Level) -> Path:
        """Return the file of a level. Raises ConfigError where it has none."""
        path = {"user": self.user, "repository": self.repository, "local": self.local}.get(level)
        if path is None:
            raise ConfigError(
                f"there is no {level} configuration here",
                hint="run this inside a git repository with a working tree, or use --user",
            )
        return path

    def show(self, level: Level) -> str:
        """Return how messages name the file of a level."""
        return document.show_path(self.of(level), self.root)


def user_config_path(environ: Mapping[str, str]) -> Path:
    """Return where the user's own configuration is, whether it exists or not."""
    if sys.platform == "win32" and environ.get("APPDATA"):
        return Path(environ["APPDATA"], "dver", "config.yaml")
    base = environ.get("XDG_CONFIG_HOME", "")
    if os.path.isabs(base):
        return Path(base, "dver", "config.yaml")
    return Path(home(environ), ".config", "dver", "config.yaml")


def home(environ: Mapping[str, str]) -> str:
    """Return the user's home directory."""
    return environ.get("HOME") or os.path.expanduser("~")


class Config:
    """All settings of one run. Files are read at the first question, and again after a change.

    ``committed`` supplies the committed level where it is not a file of the working tree (bare
    repositories, sparse checkouts): its bytes and what to call it, or None.
    """

    def __init__(
        self,
        paths: ConfigPaths,
        *,
        environ: Mapping[str, str],
        overrides: Overrides = (),
        committed: Callable[[], tuple[bytes, str] | None] | None = None,
    ) -> None:
        self.paths = paths
        self.environ = environ
        self._overrides = overrides.items() if isinstance(overrides, Mapping) else overrides
        self._committed = committed
        self._levels: dict[Level, dict[str, Value]] | None = None
        self._effective: dict[str, Value] = {}

    def reload(self) -> None:
        """Forget what was read, since a file has changed."""
        self._levels = None

    # -- questions ------------------------------------------------------------------------------

    def find(self, key: str) -> Value | None:
        """Return the value in force and its origin; None if it is unset and has no default."""
        setting = schema.find(key)
        self._load()
        found = self._effective.get(key)
        if found is None and setting.default is not None:
            return Value(key, setting.default, "default", "default")
        return found

    def get(self, key: str) -> Scalar | None:
        """Return the value in force, or None."""
        found = self.find(key)
        return None if found is None else found.value

    def text(self, key: str) -> str | None:
        """Return the value of a textual setting."""
        value = self.get(key)
        return None if value is None else schema.spell(value)

    def number(self, key: str) -> int | None:
        """Return the value of a setting that is a number."""
        value = self.get(key)
        return value if isinstance(value, int) else None

    def path(self, key: str, *, base: Path) -> Path | None:
        """Return the value of a setting that is a path, ``~`` expanded, below ``base``."""
        value = self.text(key)
        return None if value is None else base / self.expand(value)

    def expand(self, path: str) -> str:
        """Return a path with a leading ``~`` replaced by the home directory."""
        if path == "~" or path.startswith(("~/", "~" + os.sep)):
            return home(self.environ) + path[1:]
        return path

    def values(self) -> list[Value]:
        """Return every value that is set anywhere and in force, in order of key."""
        self._load()
        return [self._effective[key] for key in sorted(self._effective)]

    def at_level(self, level: Level) -> dict[str, Value]:
        """Return what one level sets, in force or not, by key."""
        return self._load()[level]

    def remote_names(self) -> list[str]:
        """Return the names under which any level sets anything of a remote, sorted."""
        self._load()
        return sorted({key.split(".")[1] for key in self._effective if key.startswith("remote.")})

    def default_remote(self) -> str | None:
        """Return the name of the default remote, which may have no URL, or None.

        It is ``core.remote``, or the only remote there is.
        """
        chosen = self.text("core.remote")
        if chosen is not None:
            return chosen
        names = [name for name in self.remote_names() if self.get(f"remote.{name}.url")]
        return names[0] if len(names) == 1 else None

    # -- loading --------------------------------------------------------------------------------

    def _load(self) -> dict[Level, dict[str, Value]]:
        if self._levels is None:
            levels: dict[Level, dict[str, Value]] = {level: {} for level in LEVELS}
            levels["user"] = self._read_file("user", self.paths.user)
            levels["repository"] = self._read_committed()
            levels["local"] = self._read_file("local", self.paths.local)
            known = {
                key.split(".")[1]
                for level in levels.values()
                for key in level
                if key.startswith("remote.")
            }
            levels["environment"] = _from_environment(self.environ, known)
            levels["command"] = _from_command(self._overrides)
            effective: dict[str, Value] = {}
            for level in LEVELS:
                effective.update(levels[level])
            self._levels, self._effective = levels, effective
        return self._levels

    def _read_file(self, level: Level, path: Path | None) -> dict[str, Value]:
        data = document.read(path) if path is not None else None
        return {} if data is None else self._values(level, data, self.paths.show(level))

    def _read_committed(self) -> dict[str, Value]:
        path = self.paths.repository
        data = document.read(path, shared=True) if path is not None else None
        if data is not None:
            return self._values("repository", data, self.paths.show("repository"))
        supplied = self._committed() if self._committed is not None else None
        return {} if supplied is None else self._values("repository", *supplied)

    def _values(self, level: Level, data: bytes, origin: str) -> dict[str, Value]:
        flat = document.flatten(document.parse(data, origin), origin)
        return {key: _value(level, key, text, origin) for key, text in flat.items()}


def _value(level: Level, key: str, text: str, origin: str) -> Value:
    try:
        setting = schema.find(key)
        if level == "repository" and not setting.committed:
            raise ConfigError(
                f"{key} cannot be set for everybody through git",
                hint=f"take it out, and use 'dver config set --local {key} VALUE'",
            )
        check_url(key, text)
        return Value(key, schema.parse(setting, key, text), level, origin)
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error.message}", hint=error.hint) from error


def _from_command(overrides: Iterable[tuple[str, str]]) -> dict[str, Value]:
    return {key: _value("command", key, text, "command line") for key, text in overrides}


def _from_environment(environ: Mapping[str, str], remotes: set[str]) -> dict[str, Value]:
    values = {}
    for name in sorted(environ):
        if not name.startswith(_PREFIX) or not environ[name]:
            continue
        key = _key_of_variable(name.removeprefix(_PREFIX), name, remotes)
        if key is not None:
            values[key] = _value("environment", key, environ[name], name)
    return values


def _key_of_variable(rest: str, variable: str, remotes: set[str]) -> str | None:
    section, _, tail = rest.lower().partition("_")
    if section not in _SECTIONS:
        return None  # not a setting: DVER_DEBUG and the like
    if section != "remote":
        return f"{section}.{tail}"
    options = sorted(REMOTE_OPTIONS, key=len, reverse=True)
    option = next((option for option in options if tail.endswith("_" + option)), None)
    if option is None:
        raise ConfigError(
            f"the environment variable {variable} is no setting of a remote",
            hint="DVER_REMOTE_NAME_URL is an example",
        )
    wanted = tail.removesuffix("_" + option)
    names = sorted(name for name in remotes if name.lower().replace("-", "_") == wanted)
    if len(names) > 1:
        raise ConfigError(
            f"the environment variable {variable} may mean any of the remotes {', '.join(names)}"
        )
    return f"remote.{names[0] if names else wanted}.{option}"


_SECRET_PARAMETERS = (
    "secret",
    "token",
    "password",
    "passwd",
    "signature",
    "credential",
    "accesskey",
    "accountkey",
    "apikey",
    "sig",
    "key",
    "keyid",
    "auth",
    "pass",
    "pwd",
    "sas",
    "jwt",
)


def check_url(key: str, text: str) -> None:
    """Raise ConfigError, which does not repeat the value, if a URL carries credentials."""
    if key.endswith((".url", ".endpoint_url")) and carries_credentials(text):
        raise ConfigError(
            f"{key} holds credentials",
            hint="leave them out of the URL; dver takes them from the environment and the"
            " configuration files of the cloud's own tools, such as ~/.aws/credentials",
        )


def carries_credentials(url: str) -> bool:
    """Tell whether a URL, or what was meant to be one, holds a password, a key or a token.

    A secret that was not percent-encoded may hold slashes; those of AWS often do.
    """
    scheme, found, rest = url.partition("://")
    if not found:
        return re.match(r"[^/\\:@]{2,}:[^\\@]*@", url) is not None
    address, *parameters = re.split("[?#&;]", rest)
    names = [parameter.partition("=")[0].lower() for parameter in parameters]
    if any(name.replace("-", "").replace("_", "").endswith(_SECRET_PARAMETERS) for name in names):
        return True
    authority, _, path = address.partition("/")
    user, at, _ = authority.rpartition("@")
    if at:
        return ":" in user or scheme.lower() not in _USER_SCHEMES
    _, colon, port = authority.partition(":")
    if scheme.lower() in _BUCKET_SCHEMES:
        return bool(colon)
    return bool(colon) and "@" in path and not (port.isdecimal() or authority.startswith("["))


# What stands where other URLs have a host is a bucket, and has no port.
_BUCKET_SCHEMES = frozenset({"s3", "s3a", "s3n", "gs", "gcs"})
# For these a user name is an address and no secret.
_USER_SCHEMES = frozenset({"sftp", "ssh", "hdfs", "webhdfs", "smb", "ftp", "abfs", "abfss"})
