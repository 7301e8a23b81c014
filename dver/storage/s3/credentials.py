"""Where the keys for S3 come from: AWS's usual chain, without botocore where it is not needed.

The order is botocore's own: a profile named in the settings; else the environment's keys; else
the shared credentials file; else whatever botocore finds (roles, SSO, processes, ECS, EC2).
Importing botocore costs some 200 ms, so plain keys in the environment or in the credentials file
are read here.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from dver.base import clock
from dver.base.dataclass import dataclass
from dver.base.errors import RemoteError
from dver.storage.s3.awsfiles import AwsFiles

# botocore renews keys that expire within 15 minutes; asking it this often costs nothing.
_ASK_AGAIN_SECONDS = 300.0
#: No real key is shorter; one of a test may be a word that stands in a message.
_SHORTEST = 8


@dataclass(frozen=True, slots=True)
class Credentials:
    """One set of keys. Their text form shows none of it."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class CredentialSource:
    """Where a storage asks for the keys to sign with. ``None`` means: do not sign."""

    def current(self) -> Credentials | None:
        """Return keys that are valid now. Raises RemoteError if there are none."""
        raise NotImplementedError

    def held(self) -> Credentials | None:
        """Return the keys that were used last, asking nobody."""
        raise NotImplementedError

    def masked(self, text: str) -> str:
        """Return what a server said without the keys: some repeat what they were sent."""
        keys = self.held()
        for one in (keys.secret_key, keys.token, keys.access_key) if keys is not None else ():
            if one and len(one) >= _SHORTEST:
                text = text.replace(one, "***")
        return text


class FixedCredentials(CredentialSource):
    """Keys that never change; with None, requests go out unsigned."""

    def __init__(self, credentials: Credentials | None) -> None:
        self._credentials = credentials

    def current(self) -> Credentials | None:
        """Return the keys."""
        return self._credentials

    def held(self) -> Credentials | None:
        """Return the keys."""
        return self._credentials


class BotocoreCredentials(CredentialSource):
    """Keys that botocore finds and renews: profiles, SSO, roles, processes, ECS, EC2."""

    def __init__(self, profile: str | None, environ: Mapping[str, str]) -> None:
        self._profile = profile
        self._environ = environ
        self._lock = threading.Lock()
        self._found: Any = None
        self._held: Credentials | None = None
        self._asked = 0.0

    def current(self) -> Credentials | None:
        """Return keys that are valid now, renewing them when they are about to expire."""
        with self._lock:
            now = clock.monotonic()
            if self._held is None or now - self._asked > _ASK_AGAIN_SECONDS:
                self._held = self._ask()
                self._asked = now
            return self._held

    def held(self) -> Credentials | None:
        """Return the keys that were found last, None before the first question."""
        return self._held

    def _ask(self) -> Credentials:
        try:
            if self._found is None:
                self._found = self._find()
            if self._found is None:
                raise RemoteError("no AWS credentials were found", hint=self._hint())
            frozen = self._found.get_frozen_credentials()
        except RemoteError:
            raise
        except Exception as error:  # botocore's errors share no base with its plugins'
            raise RemoteError(
                f"cannot get AWS credentials: {type(error).__name__}: {error}", hint=self._hint()
            ) from error
        if not frozen.access_key or not frozen.secret_key:
            raise RemoteError("the AWS credentials found are incomplete", hint=self._hint())
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

    def _find(self) -> Any:
        from botocore.session import Session

        session = Session(profile=self._profile)
        for variable, name in (
            ("config_file", "AWS_CONFIG_FILE"),
            ("credentials_file", "AWS_SHARED_CREDENTIALS_FILE"),
        ):
            if name in self._environ:
                session.set_config_variable(variable, self._environ[name])
        return session.get_credentials()

    def _hint(self) -> str:
        login = f"aws sso login --profile {self._profile}" if self._profile else "aws sso login"
        return (
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run 'aws configure' or "
            f"'{login}'; for a public bucket set the remote's 'anonymous' to true"
        )


def find_source(
    *, anonymous: bool, profile: str | None, environ: Mapping[str, str], files: AwsFiles
) -> CredentialSource:
    """Choose where keys come from; nothing is asked of the network yet."""
    if anonymous:
        return FixedCredentials(None)
    if profile is None:
        access = environ.get("AWS_ACCESS_KEY_ID")
        secret = environ.get("AWS_SECRET_ACCESS_KEY")
        if access and secret:
            return FixedCredentials(Credentials(access, secret, environ.get("AWS_SESSION_TOKEN")))
    name = profile or environ.get("AWS_PROFILE") or None
    if "AWS_WEB_IDENTITY_TOKEN_FILE" not in environ:
        keys = files.static_keys(name or "default")
        if keys is not None:
            return FixedCredentials(Credentials(*keys))
    return BotocoreCredentials(name, environ)
