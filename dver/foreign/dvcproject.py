"""A DVC project's settings: where its cache and its remotes are, read and never copied anywhere."""

from __future__ import annotations

import configparser
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from pathlib import Path

from dver.base.dataclass import dataclass
from dver.base.errors import ConfigError, FormatError
from dver.config import document

DIRECTORY = b".dvc"
CONFIG = b".dvc/config"
_LOCAL = "config.local"
_LAYOUTS = ("files/md5/", "")
#: Options that whoever can commit must not decide: a file of settings may name a program that gives
#: credentials, and Google's storage is sent a token that is good anywhere.
_OWN_FILES = ("configpath", "credentialpath")
_GOOGLE = ("gs", "gcs")
#: Options that say which machine is asked, or on whose behalf.
_PLACE = ("url", "endpointurl", "port", "connection_string", "account_name", "oss_endpoint")
#: Before the name of an option that stands in the committed file.
_COMMITTED = "committed:"


@dataclass(frozen=True, slots=True)
class DvcRemote:
    """A remote of DVC: its URL (a directory is absolute) and its other options."""

    name: str
    url: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def directory(self) -> Path | None:
        """The directory of this machine that it is, or None."""
        scheme, found, rest = self.url.partition("://")
        if found and scheme not in ("file", "local"):
            return None
        return Path(rest if found else self.url)

    @property
    def is_elsewhere(self) -> bool:
        """Whether another machine is asked; Windows asks one for a path such as //host/share."""
        return self.directory is None or (
            os.name == "nt" and str(self.directory).replace("\\", "/").startswith("//")
        )

    @property
    def is_committed(self) -> bool:
        """Whether settings that git shares decide which machine is asked."""
        return any(_COMMITTED + name in self.options for name in _PLACE)

    @property
    def place(self) -> str:
        """What is asked, spelled one way: what the user agrees to."""
        scheme, found, rest = self.url.partition("://")
        host, slash, path = (rest if found else scheme).partition("?")[0].partition("/")
        host = host.rpartition("@")[2]
        where = f"{scheme.lower() + found if found else ''}{host}{slash}{path}".rstrip("/")
        endpoint = self.options.get("endpointurl", "")
        return f"{where} at {endpoint.lower().rstrip('/')}" if endpoint else where


@dataclass(frozen=True, slots=True)
class Project:
    """A DVC project: ``root`` is its path in the repository, ``caches`` absolute directories.

    ``remotes`` are those to look in for what no cache has: the default one, or all if none is, and
    those that were asked for.
    """

    root: bytes
    caches: tuple[Path, ...]
    remotes: tuple[DvcRemote, ...]


def open_project(
    top: Path,
    root: bytes,
    environ: Mapping[str, str],
    *,
    committed: bytes | None = None,
    main_top: Path | None = None,
    named: Collection[str] = (),
    local_is_shared: bool = False,
) -> Project:
    """Read the settings of the project at a path below the work tree ``top``.

    ``committed`` is the file as some commit has it, which counts if the work tree has none.
    ``main_top`` is the main work tree, whose cache a linked one has no copy of; ``named`` are
    remotes that outs name as theirs. With ``local_is_shared`` git tracks ``config.local``, so that
    it is trusted with no more than the committed file. Raises FormatError.
    """
    place = top / os.fsdecode(root) / ".dvc"
    sections: dict[str, dict[str, str]] = {}
    for path, base, fallback in (
        (_user_file(environ), None, None),
        (place / "config", place, committed),
        (place / _LOCAL, place, None),
    ):
        data = document.read(path) if path is not None else None
        for name, values in _sections(data or fallback or b"", str(path)).items():
            into = sections.setdefault(name, {})
            for key, value in values.items():
                into[key] = _absolute(key, value, base, environ)
                if path == place / "config" or (local_is_shared and path == place / _LOCAL):
                    into[_COMMITTED + key] = "yes"
                else:
                    into.pop(_COMMITTED + key, None)
    caches = _caches(sections, place)
    if main_top is not None:
        caches.append(main_top / os.fsdecode(root) / ".dvc" / "cache")
    return Project(root, tuple(dict.fromkeys(caches)), tuple(_remotes(sections, named)))


def local_file(top: Path, root: bytes) -> Path:
    """Return where the settings are that DVC keeps out of git."""
    return top / os.fsdecode(root) / ".dvc" / _LOCAL


def keys(digest: bytes, *, directory: bool) -> Iterator[str]:
    """Yield where an object may lie in a cache or remote: DVC 3 first, then DVC 2."""
    text = digest.hex()
    suffix = ".dir" if directory else ""
    for layout in _LAYOUTS:
        yield f"{layout}{text[:2]}/{text[2:]}{suffix}"


def _user_file(environ: Mapping[str, str]) -> Path | None:
    home = environ.get("HOME") or environ.get("USERPROFILE")
    base = environ.get("XDG_CONFIG_HOME") or (os.path.join(home, ".config") if home else None)
    return Path(base, "dvc", "config") if base else None


def _sections(data: bytes, what: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(
        strict=False, delimiters=("=",), comment_prefixes=("#",), allow_no_value=True
    )
    try:
        # DVC indents keys, which would make them parts of the value before.
        parser.read_string("\n".join(line.strip() for line in data.decode().splitlines()))
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise FormatError(f"{what} is not a configuration of DVC: {reason}") from None
    return {
        section.strip("'").lower()
        if section.lower() in ("core", "cache")
        else section.strip("'"): {
            key.lower(): _unquoted(value or "") for key, value in parser.items(section)
        }
        for section in parser.sections()
    }


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


def _absolute(key: str, value: str, base: Path | None, environ: Mapping[str, str]) -> str:
    """Return a directory relative to the file that names it as an absolute path."""
    if key not in ("url", "dir") or "://" in value:
        return value
    home = environ.get("HOME") or environ.get("USERPROFILE")
    if home and (value == "~" or value.startswith("~/")):
        value = home + value[1:]
    return value if base is None else os.path.normpath(base / value)


def _caches(sections: Mapping[str, Mapping[str, str]], place: Path) -> list[Path]:
    settings = sections.get("cache", {})
    caches = [Path(settings["dir"])] if settings.get("dir") else []
    local = sections.get(f'remote "{settings.get("local", "")}"', {}).get("url")
    if local and "://" not in local:
        caches.append(Path(local))
    return [*caches, place / "cache"]


def _remotes(
    sections: Mapping[str, Mapping[str, str]], named: Collection[str]
) -> Iterator[DvcRemote]:
    found = {
        name[len('remote "') : -1]: dict(values)
        for name, values in sections.items()
        if name.startswith('remote "') and name.endswith('"')
    }
    default = sections.get("core", {}).get("remote", "")
    for name in sorted(found, key=lambda name: (name != default, name)):
        if default in found and name != default and name not in named:
            continue
        values = found[name]
        for _ in range(8):
            scheme, colon, rest = values.get("url", "").partition("://")
            if not colon or scheme != "remote":
                break
            base, slash, path = rest.partition("/")
            outer = found.get(base, {})
            joined = outer.get("url", "").rstrip("/") + slash + path
            values = {**outer, **values, "url": joined}
        url = values.pop("url", "")
        if url and not url.startswith("remote://"):
            yield DvcRemote(name, url, values)


def remote_options(
    remote: DvcRemote, environ: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return a remote's options as those of dver, and the environment with its credentials.

    Both are for opening the storage and nothing else. Raises ConfigError for what dver cannot do,
    and for settings of the committed file that are the user's own to make.
    """
    given = remote.options
    _refuse_committed(remote)
    options = {"retries": "3"}
    for theirs, ours in (
        ("endpointurl", "endpoint_url"),
        ("region", "region"),
        ("profile", "profile"),
    ):
        if given.get(theirs):
            options[ours] = given[theirs]
    if given.get("allow_anonymous_login", "").lower() in ("true", "yes", "on", "1"):
        options["anonymous"] = "true"
    verify = given.get("ssl_verify", "")
    if verify and verify.lower() not in ("true", "false"):
        options["ca_bundle"] = verify
    env = dict(environ)
    for theirs, name in (
        ("access_key_id", "AWS_ACCESS_KEY_ID"),
        ("secret_access_key", "AWS_SECRET_ACCESS_KEY"),
        ("session_token", "AWS_SESSION_TOKEN"),
        ("credentialpath", "AWS_SHARED_CREDENTIALS_FILE"),
        ("configpath", "AWS_CONFIG_FILE"),
    ):
        if given.get(theirs):
            env[name] = given[theirs]
    if given.get("access_key_id") and not given.get("session_token"):
        env.pop("AWS_SESSION_TOKEN", None)
    if (
        given.get("version_aware", "").lower() == "true"
        or given.get("worktree", "").lower() == "true"
    ):
        raise ConfigError(
            f"the DVC remote {remote.name!r} keeps files under their own names (version_aware), not"
            " by content",
            hint="'dvc fetch' brings them into DVC's cache, which is read",
        )
    return options, env


def _refuse_committed(remote: DvcRemote) -> None:
    """Raise ConfigError if whoever can commit has decided what only the user here may."""
    names = list(_OWN_FILES)
    if remote.url.partition("://")[0].lower() in _GOOGLE:
        names.append("endpointurl")
    for name in names:
        if remote.options.get(name) and _COMMITTED + name in remote.options:
            raise ConfigError(
                f"the DVC remote {remote.name!r} has its {name} from .dvc/config, which is shared"
                " through git and is not trusted with that",
                hint=f"if you know it: dvc remote modify --local {remote.name} {name} VALUE",
            )
