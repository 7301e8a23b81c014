"""From what went wrong with S3 to an error that says why and what to do next."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator, Mapping
from http.client import HTTPException

from dver.base.errors import ObjectNotFound, RemoteError, TransientError
from dver.storage.s3.answers import is_number, parse_error, plain_region
from dver.storage.s3.settings import S3Settings

_TRANSIENT_CODES = frozenset(
    {
        "ConditionalRequestConflict",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
    }
)
_TRANSIENT_STATUS = frozenset({408, 429, 500, 502, 503, 504})

_KEYS = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile; then run "
_CHECK = "'dver remote check'"
_CAUSES = {
    "AccessDenied": (
        "access denied",
        f"the keys need s3:ListBucket, GetObject, PutObject and DeleteObject; then run {_CHECK}",
    ),
    "AllAccessDisabled": ("the bucket is disabled", None),
    "AuthorizationHeaderMalformed": ("the region is wrong", None),
    "EntityTooLarge": ("the server takes no object of that size", None),
    "ExpiredToken": (
        "the credentials have expired",
        "get new ones, for instance with 'aws sso login', and run the same command again",
    ),
    "InvalidAccessKeyId": ("the server does not know the access key", _KEYS + _CHECK),
    "InvalidToken": ("the session token is not valid", _KEYS + _CHECK),
    "NoSuchBucket": (
        "the bucket does not exist",
        "create it, or correct the remote's url and endpoint_url",
    ),
    "QuotaExceeded": ("the quota is used up", None),
    "RequestTimeTooSkewed": ("this machine's clock is wrong", "set the clock"),
    "SignatureDoesNotMatch": ("the secret key is wrong", _KEYS + _CHECK),
    "XMinioStorageFull": ("the server's disk is full", None),
}


def refusal(
    settings: S3Settings, doing: str, status: int, headers: Mapping[str, str], body: bytes
) -> RemoteError:
    """Return the error for an answer other than the one hoped for."""
    code, message, region = parse_error(body)
    region = plain_region(headers.get("x-amz-bucket-region")) or region
    said = f"HTTP {status}" + (f" {code}" if code else "")
    start = f"cannot {doing} {settings.description}"
    if status in _TRANSIENT_STATUS or code in _TRANSIENT_CODES:
        return TransientError(
            f"{start}: the server is busy or failing ({said})",
            hint="run the same command again later",
            retry_after=_retry_after(headers),
        )
    if code == "NoSuchKey":
        return ObjectNotFound(f"{start}: there is no such key")
    if region and region != settings.region:
        return RemoteError(
            f"{start}: the bucket is in region {region}, not {settings.region} ({said})",
            hint=f"run 'dver remote set NAME region {region}'",
        )
    if code in _CAUSES:
        cause, hint = _CAUSES[code]
        return RemoteError(f"{start}: {cause} ({said})", hint=hint)
    if not code:
        return not_s3(settings, doing, said)
    return RemoteError(
        f"{start}: {_clip(settings.source.masked(message)) or 'the server refused'} ({said})"
    )


def not_s3(settings: S3Settings, doing: str, what: str) -> RemoteError:
    """Return the error for a server that does not speak S3: a console, a proxy, a wrong port."""
    return RemoteError(
        f"cannot {doing} {settings.description}: what answers there is not S3 ({what})",
        hint="check the remote's endpoint_url: an S3 server's API often has another port than "
        f"its web page; then run {_CHECK}",
    )


@contextlib.contextmanager
def explained(settings: S3Settings, doing: str, *, reached: bool) -> Iterator[None]:
    """Turn what the network raises into RemoteError or TransientError.

    ``reached``: the server has answered before, so that being unable to find it may pass. When
    it never has, a wrong setting is likelier than a passing fault, and waiting would not help.
    """
    start = f"cannot {doing} {settings.description}"
    endpoint = f"check the remote's endpoint_url, and the network; then run {_CHECK}"
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise RemoteError(
            f"{start}: the server's certificate is not trusted ({error.verify_message})",
            hint="name your authority's file in AWS_CA_BUNDLE or the remote's ca_bundle",
        ) from error
    except ssl.SSLError as error:
        reason = (error.reason or "TLS failed").lower().replace("_", " ")
        if reached:
            raise TransientError(f"{start}: {reason}") from error
        raise RemoteError(
            f"{start}: no secure connection ({reason})",
            hint="check whether endpoint_url should begin with http:// instead of https://",
        ) from error
    except (socket.gaierror, ConnectionRefusedError) as error:
        found = isinstance(error, ConnectionRefusedError)
        text = (
            f"{settings.host} refuses connections" if found else f"no address for {settings.host}"
        )
        kind = TransientError if reached else RemoteError
        raise kind(f"{start}: {text}", hint=endpoint) from error
    except TimeoutError as error:
        raise TransientError(f"{start}: no answer in time", hint=endpoint) from error
    except (OSError, HTTPException) as error:
        text = str(error) or type(error).__name__
        raise TransientError(f"{start}: the connection broke ({text})", hint=endpoint) from error


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "")
    return float(value) if is_number(value) else None


def _clip(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:200]).strip().rstrip(".")
