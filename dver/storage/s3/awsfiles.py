"""What ``~/.aws/config`` and ``~/.aws/credentials`` say of a profile, as far as dver asks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property

from dver.base.errors import ConfigError
from dver.base.quoting import show

# With one of these in a profile, botocore gets its keys elsewhere than from the credentials file.
_DYNAMIC = ("role_arn", "sso_session", "sso_start_url", "web_identity_token_file")

Sections = Mapping[str, Mapping[str, str]]


class AwsFiles:
    """The two files, each read at most once and only when something in it is asked for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        home = environ.get("HOME") or environ.get("USERPROFILE") or "~"
        self._config_path = environ.get("AWS_CONFIG_FILE") or f"{home}/.aws/config"
        self._credentials_path = (
            environ.get("AWS_SHARED_CREDENTIALS_FILE") or f"{home}/.aws/credentials"
        )

    @cached_property
    def _config(self) -> Sections:
        return _read(self._config_path)

    @cached_property
    def _credentials(self) -> Sections:
        return _read(self._credentials_path)

    def _profile(self, name: str) -> Mapping[str, str]:
        return self._config.get(f"profile {name}") or self._config.get(name) or {}

    def has_profile(self, name: str) -> bool:
        """Tell whether either file has that profile."""
        return (
            f"profile {name}" in self._config or name in self._config or name in self._credentials
        )

    def region(self, profile: str) -> str | None:
        """Return the profile's region."""
        return self._profile(profile).get("region")

    def endpoint_url(self, profile: str) -> str | None:
        """Return the profile's endpoint for S3: that of its ``services`` section, or its own."""
        settings = self._profile(profile)
        services = self._config.get(f"services {settings.get('services', '')}", {})
        for line in services.get("s3", "").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "endpoint_url" and value.strip():
                return value.strip()
        return settings.get("endpoint_url")

    def ca_bundle(self, profile: str) -> str | None:
        """Return the profile's file of trusted certificates."""
        return self._profile(profile).get("ca_bundle")

    def static_keys(self, profile: str) -> tuple[str, str, str | None] | None:
        """Return a profile's plain keys, unless botocore would look elsewhere first."""
        if any(name in self._profile(profile) for name in _DYNAMIC):
            return None
        keys = self._credentials.get(profile, {})
        if any(name in keys for name in _DYNAMIC):
            return None
        access, secret = keys.get("aws_access_key_id"), keys.get("aws_secret_access_key")
        if not access or not secret:
            return None
        return access, secret, keys.get("aws_session_token")


def _read(path: str) -> Sections:
    import configparser

    parser = configparser.RawConfigParser(strict=False, default_section="\0none")
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            parser.read_file(file)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except (configparser.Error, UnicodeDecodeError):
        # The parser's own message would quote the line, which may hold a secret.
        # The parser's own error quotes lines, which may hold keys, and a traceback would show it.
        raise ConfigError(f"cannot parse {show(path)} as an AWS configuration file") from None
    return {name.strip(): dict(parser.items(name)) for name in parser.sections()}
