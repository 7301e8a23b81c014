"""From a remote's URL and options to an open storage."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dver.base.errors import ConfigError
from dver.base.quoting import show
from dver.base.reporter import SILENT, Reporter
from dver.storage.base import Storage
from dver.storage.options import flag, seconds

S3_SCHEMES = frozenset({"s3", "s3a", "s3n"})
# These lead through another URL, a file or a machine to where the bytes are: not a place that
# a team shares, and not what a committed setting should be able to reach for.
NOT_PLACES = frozenset(
    {
        "asynclocal",
        "blockcache",
        "cached",
        "dask",
        "data",
        "dir",
        "filecache",
        "generic",
        "git",
        "jlab",
        "jupyter",
        "libarchive",
        "reference",
        "simplecache",
        "tar",
        "zip",
    }
)
_SERVER_OPTIONS = ("endpoint_url", "region", "profile", "sse", "sse_kms_key_id")
#: So often a request is repeated unless ``retries`` says otherwise.
_FEW = 8


def open_storage(
    url: str,
    options: Mapping[str, str | int | bool],
    *,
    environ: Mapping[str, str],
    base: Path,
    reporter: Reporter = SILENT,
) -> Storage:
    """Open what a URL names. Nothing is asked of the network yet.

    ``url`` is a directory (relative ones from ``base``), ``file://``, ``s3://bucket/prefix``, or
    any URL of fsspec. ``options`` are the remote's other settings, ``environ`` the environment to
    take credentials from. Remote storages repeat what fails in passing, and tell ``reporter``.
    Raises ConfigError for a URL or an option that makes no sense.
    """
    texts = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in options.items()
        if name != "url"
    }
    scheme, found, rest = url.partition("://")
    if not found or scheme.lower() in ("file", "local"):
        from dver.storage.local import LocalStorage

        return LocalStorage(_directory(rest if found else url, environ, base))
    scheme = scheme.lower()
    _check(scheme, rest)
    client = texts.pop("client", "auto")
    retries = _retries(texts.pop("retries", ""))
    inner: Storage
    if scheme in S3_SCHEMES and client != "fsspec":
        from dver.storage.s3.settings import resolve
        from dver.storage.s3.storage import S3Storage

        bucket, _, prefix = rest.partition("/")
        inner = S3Storage(resolve(bucket, _normal(prefix), texts, environ))
    else:
        inner = _through_fsspec(scheme, rest, texts, environ)
    from dver.storage.retry import Policy, Retrying

    return Retrying(inner, Policy(attempts=retries + 1), reporter)


def _directory(path: str, environ: Mapping[str, str], base: Path) -> Path:
    home = environ.get("HOME") or environ.get("USERPROFILE")
    if home and (path == "~" or path.startswith(("~/", "~\\"))):
        path = home + path[1:]
    elif path.startswith("~"):
        path = os.path.expanduser(path)
    if not path:
        raise ConfigError("the remote's url names no directory")
    return base / path


def _check(scheme: str, rest: str) -> None:
    """Raise ConfigError for a URL that cannot be a remote's; its secrets are not repeated."""
    place = rest.partition("?")[0]
    authority = place.partition("/")[0]
    user, at, _ = authority.rpartition("@")
    if at and (":" in user or scheme in S3_SCHEMES or scheme in ("http", "https", "gs", "gcs")):
        raise ConfigError(
            f"the {scheme} URL carries credentials",
            hint="give the URL without them; dver takes credentials from the environment and "
            "from the configuration files of the cloud's own tools",
        )
    if "?" in rest or "#" in rest:
        raise ConfigError(
            f"the {scheme} URL has a query or fragment", hint="give the URL up to the '?' or '#'"
        )
    if "::" in scheme or "::" in rest or scheme in NOT_PLACES:
        raise ConfigError(f"{scheme}:// is no place for a remote")
    if scheme in S3_SCHEMES and not authority:
        raise ConfigError(
            f"the URL {scheme}://{show(rest)} names no bucket", hint="s3://BUCKET/PREFIX"
        )


def _normal(prefix: str) -> str:
    parts = [part for part in prefix.split("/") if part]
    if any(part in (".", "..") for part in parts):
        raise ConfigError("the URL has '.' or '..' in its path")
    return "/".join(parts)


def _retries(text: str) -> int:
    if text and not text.isdecimal():
        raise ConfigError(f"retries is {text!r}", hint="it must be a whole number")
    return int(text) if text else _FEW


def _through_fsspec(
    scheme: str, rest: str, options: dict[str, str], environ: Mapping[str, str]
) -> Storage:
    from dver.storage.fsspec_storage import FsspecStorage

    if scheme in S3_SCHEMES:
        return FsspecStorage(f"s3://{rest}", _s3fs_options(options, environ))
    for name in _SERVER_OPTIONS:
        if name in options and not (name == "endpoint_url" and scheme in ("gs", "gcs")):
            raise ConfigError(f"the setting {name} means nothing for a {scheme}:// remote")
    arguments: dict[str, Any] = {}
    if "endpoint_url" in options:
        arguments["endpoint_url"] = options["endpoint_url"]
    if flag(options, "anonymous", default=False):
        arguments |= {"token": "anon"} if scheme in ("gs", "gcs") else {"anon": True}
    storage: Storage = FsspecStorage(f"{scheme}://{rest}", arguments)
    if scheme in ("http", "https"):
        from dver.storage.wrappers import ReadOnly

        storage = ReadOnly(storage)
    return storage


def _s3fs_options(options: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, Any]:
    endpoint = (
        options.get("endpoint_url")
        or environ.get("AWS_ENDPOINT_URL_S3")
        or environ.get("AWS_ENDPOINT_URL")
    )
    region = options.get("region") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    path_style = flag(options, "path_style", default=endpoint is not None)
    config: dict[str, Any] = {
        # Servers exist that send whole-object checksums with ranges; new SDKs then refuse.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "retries": {"mode": "standard", "max_attempts": 1},
        "read_timeout": seconds(options, "timeout", default=60.0),
        "s3": {"addressing_style": "path" if path_style else "virtual"},
    }
    client: dict[str, Any] = {}
    if region:
        client["region_name"] = region
    if options.get("ca_bundle"):
        client["verify"] = options["ca_bundle"]
    found: dict[str, Any] = {
        "anon": flag(options, "anonymous", default=False),
        "client_kwargs": client,
        "config_kwargs": config,
    }
    if endpoint:
        found["endpoint_url"] = endpoint
    if options.get("profile"):
        found["profile"] = options["profile"]
    elif environ.get("AWS_ACCESS_KEY_ID") and environ.get("AWS_SECRET_ACCESS_KEY"):
        found["key"] = environ["AWS_ACCESS_KEY_ID"]
        found["secret"] = environ["AWS_SECRET_ACCESS_KEY"]
        found["token"] = environ.get("AWS_SESSION_TOKEN")
    encryption = {}
    if options.get("sse"):
        encryption["ServerSideEncryption"] = options["sse"]
    if options.get("sse_kms_key_id"):
        encryption |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": options["sse_kms_key_id"]}
    if encryption:
        found["s3_additional_kwargs"] = encryption
    return found
