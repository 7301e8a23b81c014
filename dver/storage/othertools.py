"""Storages that another tool has set up, to be read with the options that it knows them by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dver.base.errors import ConfigError
from dver.storage.base import Storage
from dver.storage.factory import open_storage

_S3 = frozenset({"s3", "s3a", "s3n"})
#: Scheme -> option of DVC -> argument of the fsspec file system.
_ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    "gs": {"credentialpath": "token", "projectname": "project", "endpointurl": "endpoint_url"},
    "azure": {
        "account_name": "account_name",
        "account_key": "account_key",
        "connection_string": "connection_string",
        "sas_token": "sas_token",
        "tenant_id": "tenant_id",
        "client_id": "client_id",
        "client_secret": "client_secret",
        "allow_anonymous_login": "anon",
    },
    "ssh": {
        "user": "username",
        "port": "port",
        "password": "password",
        "keyfile": "key_filename",
        "timeout": "timeout",
    },
    "oss": {
        "oss_key_id": "key",
        "oss_key_secret": "secret",
        "oss_endpoint": "endpoint",
    },
    "http": {},
    "https": {},
    "hdfs": {"user": "user"},
    "webhdfs": {"user": "user", "token": "token"},
    "webdav": {},
    "memory": {},
}
_SAME = {"gcs": "gs", "az": "azure", "abfs": "azure", "sftp": "ssh", "webdavs": "webdav"}
_FSSPEC = {"azure": "az"}


def open_dvc_remote(
    url: str,
    options: Mapping[str, str],
    given: Mapping[str, str],
    *,
    environ: Mapping[str, str],
    base: Path,
) -> Storage:
    """Open what a remote of DVC names, to be read. Nothing is asked of the network yet.

    ``options`` and ``environ`` are dver's own, for S3; ``given`` are the remote's options as DVC
    spells them, for all others. Raises ConfigError for what cannot be opened here.
    """
    from dver.storage.wrappers import ReadOnly

    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme in _S3:
        return ReadOnly(open_storage(url, options, environ=environ, base=base))
    known = _ARGUMENTS.get(_SAME.get(scheme, scheme))
    if known is None:
        raise ConfigError(
            f"{scheme}:// is a kind of remote that dver cannot read",
            hint="'dvc fetch' brings what it holds into DVC's cache, which is read",
        )
    if ":" in rest.partition("/")[0].rpartition("@")[0]:
        raise ConfigError(f"the {scheme} URL carries a password", hint="move it to config.local")
    from dver.storage.fsspec_storage import FsspecStorage
    from dver.storage.retry import Policy, Retrying

    arguments: dict[str, Any] = {
        ours: given[theirs] for theirs, ours in known.items() if given.get(theirs)
    }
    if "port" in arguments:
        arguments["port"] = int(arguments["port"])
    inner = FsspecStorage(f"{_FSSPEC.get(scheme, scheme)}://{rest}", arguments)
    return ReadOnly(Retrying(inner, Policy(attempts=4)))
